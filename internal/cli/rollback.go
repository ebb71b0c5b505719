package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

const flagDisable = "disable-revision"

func (a *app) rollbackCommand() *cli.Command {
	return &cli.Command{
		Name:      "rollback",
		Usage:     "take the change of a run back",
		ArgsUsage: "RUN [NAME...]",
		Description: "Puts back what the run changed on its clusters, and nothing else, from what it kept; shows the diff and asks.\n" +
			"Works while a cluster is in a failed or half-finished update. Leaves a cluster alone where the run's own\n" +
			"values are no longer there. A cluster made from an RKE template is moved back to its old revision.\n" +
			"rkepatch runs lists the runs.\n\n" +
			"Examples:\n" +
			"  rkepatch rollback 20261123T130501.042Z-4f2a91 prod-eu   one cluster of the run\n" +
			"  rkepatch rollback 20261123T130501.042Z-4f2a91",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagDisable, Usage: "disable the revisions of RKE templates that the run made, once no cluster uses them"},
		}, runFlags(), paceFlags(), connectFlags(), []cli.Flag{reportFlag(), outputFlag()}),
		Action: a.rollback,
	}
}

func (a *app) rollback(c *cli.Context) error {
	if !c.Args().Present() {
		return usagef("rkepatch runs lists them", "no run given")
	}
	if err := checkReport(c); err != nil {
		return err
	}
	pace, err := readPace(c, a.clock.Now())
	if err != nil {
		return err
	}
	if err := a.checkRunFlags(c); err != nil {
		return err
	}
	dir, err := a.stateDir(c)
	if err != nil {
		return err
	}
	record, err := fleet.LoadRun(dir, c.Args().First())
	if err != nil {
		return err
	}
	if record.Head.Kind != kindApply && record.Head.Kind != fleet.KindNodeTemplates {
		return usagef("apply again what it took back", "run %s is a %s, which is not rolled back", record.ID, record.Head.Kind)
	}
	ids, err := record.Changed(c.Args().Tail())
	if err != nil {
		return err
	}
	if len(ids) == 0 && !c.Bool(flagDisable) {
		fmt.Fprintf(a.streams.Err, "rkepatch: run %s holds nothing to roll back: it changed nothing, or all was rolled back already\n", record.ID)
		return nil
	}
	if record.Head.Kind == fleet.KindNodeTemplates {
		return a.rollbackTemplates(c, record, ids)
	}
	file, err := record.Plan()
	if err != nil {
		return err
	}
	s, err := a.openFor(c, file)
	if err != nil {
		return err
	}
	j := &job{session: s, pace: pace, kind: kindRollback, selection: rollbackWords(record.ID, c.Args().Tail()), earlier: record, visible: file.Visible, revert: &fleet.Reverter{Planner: s.planner, Run: record.Place()}}
	if j.plans, err = j.revert.Plan(c.Context, ids); err != nil {
		return err
	}
	text := a.reviewText(s)
	for _, p := range j.plans {
		j.totals.Add(p)
		text.Plan(p)
	}
	fmt.Fprintln(text.W, j.totals)
	sortPlans(c, j.plans)
	asked := j.pending() > 0
	if err := a.carryOut(c, j, dir); err != nil || !c.Bool(flagDisable) {
		return err
	}
	return a.disableRevisions(c, s, record, asked)
}

// disableRevisions asks unless that was part of the question about the clusters.
func (a *app) disableRevisions(c *cli.Context, s *session, record *fleet.Record, asked bool) error {
	if len(record.Revisions) == 0 {
		fmt.Fprintf(a.streams.Err, "rkepatch: run %s made no revision of a template\n", record.ID)
		return nil
	}
	if !asked && !c.Bool(flagYes) {
		if err := a.ask(c, fmt.Sprintf("Disable %d revision(s) of RKE templates?", len(record.Revisions))); err != nil {
			return err
		}
	}
	return fleet.DisableRevisions(c.Context, s.planner.Rancher, record.Revisions, func(text string) {
		fmt.Fprintln(a.streams.Err, "rkepatch: "+report.Clean(text))
	})
}

// rollbackWords says which clusters of which run are meant.
func rollbackWords(run string, names []string) string {
	if len(names) == 0 {
		return "the clusters that run " + run + " changed"
	}
	return inWords(fleet.Selection{Names: names}) + " of run " + run
}

// openFor opens a session for what a run's plan file says, which must be for
// this Rancher.
func (a *app) openFor(c *cli.Context, file *fleet.PlanFile) (*session, error) {
	s, err := a.open(c)
	if err != nil {
		return nil, err
	}
	if file.Server != s.head.Server {
		return nil, fmt.Errorf("%w: the run was on %s, this is %s", fleet.ErrPlanFile, file.Server, s.head.Server)
	}
	s.planner = file.Planner(s.planner)
	return s, nil
}
