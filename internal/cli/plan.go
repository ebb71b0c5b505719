package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

const flagDetailed = "detailed-exitcode"

func (a *app) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "what would change, as a diff; changes nothing",
		ArgsUsage: "[NAME...]",
		Description: "Shows for each selected cluster what apply would change and what the operator must know about it.\n" +
			"Exit code 3 when a cluster is blocked.",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagDetailed, Usage: "exit with 2 when there are changes and nothing is blocked"},
		}, selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.plan,
	}
}

func (a *app) plan(c *cli.Context) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	var totals report.Totals
	if s.json {
		if err := a.streamJSON(c, s, sel, "Plan", totals.Add); err != nil {
			return err
		}
		return planCode(c, totals)
	}
	text := a.text(a.streams.Out)
	for p, err := range s.planner.Plan(c.Context, sel) {
		if err != nil {
			return err
		}
		totals.Add(p)
		text.Plan(p)
	}
	if totals.Clusters == 0 {
		return noneSelected()
	}
	fmt.Fprintln(a.streams.Out, totals)
	return planCode(c, totals)
}

func noneSelected() error {
	return fmt.Errorf("%w: no RKE1 cluster fits the selection (rkepatch clusters lists what there is)", fleet.ErrUnknownCluster)
}

func planCode(c *cli.Context, t report.Totals) error {
	switch {
	case t.Blocked > 0:
		return exitError(ExitBlocked)
	case t.Patch > 0 && c.Bool(flagDetailed):
		return exitError(ExitChanges)
	}
	return nil
}
