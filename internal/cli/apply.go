package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

const (
	flagYes           = "yes"
	flagSkipNodeCheck = "skip-node-check"
	flagParallel      = "parallel"
	flagTimeout       = "timeout"
	flagPoll          = "poll"
	flagStateDir      = "state-dir"
)

func (a *app) applyCommand() *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "patch the selected clusters, follow each to its real end",
		ArgsUsage: "[NAME...]",
		Description: "Plans, shows the diff, asks, then changes one cluster after the other (or --parallel N at once). A cluster\n" +
			"counts as done when its control plane and every worker run with the change. What a cluster was before is\n" +
			"kept in the state directory. The first failure stops new clusters from starting. Ctrl-C stops following.",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			&cli.BoolFlag{Name: flagSkipNodeCheck, Usage: "apply without having seen that every node holds a working provider; if one does not, its kubelet will not start"},
			&cli.IntFlag{Name: flagParallel, Value: 1, Usage: "clusters in flight at once, `N`"},
			&cli.DurationFlag{Name: flagTimeout, Value: 30 * time.Minute, Usage: "how long one cluster's roll-out may take"},
			&cli.DurationFlag{Name: flagPoll, Value: 5 * time.Second, Usage: "time between two looks at the clusters in flight"},
			&cli.StringFlag{Name: flagStateDir, Usage: "`DIR` for runs and what clusters were before (default: $XDG_STATE_HOME/rkepatch)"},
		}, selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.apply,
	}
}

const nodeCheckHint = "make sure that every node of every selected cluster holds the provider binary and its config file, then say --" + flagSkipNodeCheck

func (a *app) apply(c *cli.Context) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	if !c.Bool(flagSkipNodeCheck) {
		return usagef(nodeCheckHint, "this version cannot look at the nodes itself: a kubelet that is told of a provider that is missing, not executable or misconfigured does not start, on every node, which takes the whole cluster down")
	}
	if c.Int(flagParallel) < 1 || c.Duration(flagTimeout) <= 0 || c.Duration(flagPoll) <= 0 {
		return usagef("rkepatch apply --help shows the defaults", "--%s, --%s and --%s must be positive", flagParallel, flagTimeout, flagPoll)
	}
	if !c.Bool(flagYes) && !a.streams.Terminal {
		return usagef("review rkepatch plan, then say --yes", "there is no terminal to ask on")
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	a.warn("--" + flagSkipNodeCheck + ": nobody has looked whether the nodes hold a working provider; a kubelet without one does not start")

	plans, totals, err := a.review(c, s, sel)
	if err != nil {
		return err
	}
	var outcomes []fleet.Outcome
	var run *fleet.Run
	if totals.Patch > 0 {
		if err := a.confirm(c, totals); err != nil {
			return err
		}
		if run, err = a.newRun(c); err != nil {
			return err
		}
	}
	if outcomes, err = a.carryOut(c, s, run, plans, totals); err != nil {
		return err
	}
	code := applyCode(c.Context, outcomes)
	if s.json {
		doc := report.RunJSON{Head: s.head, Plans: plans, Outcomes: outcomes, Totals: totals, ExitCode: code}
		if run != nil {
			doc.Run = run.ID
		}
		if err := doc.Write(a.streams.Out); err != nil {
			return err
		}
	} else {
		text := a.text(a.streams.Out)
		text.Outcomes(outcomes)
		fmt.Fprintln(a.streams.Out, report.CountOutcomes(outcomes))
	}
	if run != nil {
		fmt.Fprintf(a.streams.Err, "rkepatch: run %s; what the clusters were before lies in %s\n", run.ID, run.Dir)
	}
	if code == ExitOK {
		return nil
	}
	return exitError(code)
}

// review plans the selected clusters and shows the plans, on stderr when stdout
// is to hold JSON only.
func (a *app) review(c *cli.Context, s *session, sel fleet.Selection) ([]*fleet.ClusterPlan, report.Totals, error) {
	var plans []*fleet.ClusterPlan
	var totals report.Totals
	text := a.text(a.streams.Out)
	if s.json {
		text = a.text(a.streams.Err)
	}
	for p, err := range s.planner.Plan(c.Context, sel) {
		if err != nil {
			return nil, totals, err
		}
		totals.Add(p)
		plans = append(plans, p)
		text.Plan(p)
	}
	if len(plans) == 0 {
		return nil, totals, noneSelected()
	}
	fmt.Fprintln(text.W, totals)
	return plans, totals, nil
}

func (a *app) confirm(c *cli.Context, t report.Totals) error {
	if c.Bool(flagYes) {
		return nil
	}
	fmt.Fprintf(a.streams.Err, "\nChange %d cluster(s)? Their kubelets restart, node by node. Only \"yes\" is taken for an answer: ", t.Patch)
	answer, err := readLine(c.Context, a.streams.In)
	if err != nil {
		return err
	}
	if answer != "yes" {
		fmt.Fprintln(a.streams.Err, "rkepatch: nothing was changed")
		return exitError(ExitError)
	}
	return nil
}

// readLine gives up when ctx ends, so that Ctrl-C at the question works.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	type line struct {
		text string
		err  error
	}
	got := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(r).ReadString('\n')
		if err == io.EOF {
			err = nil
		}
		got <- line{strings.TrimSpace(text), err}
	}()
	select {
	case l := <-got:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (a *app) newRun(c *cli.Context) (*fleet.Run, error) {
	dir := c.String(flagStateDir)
	if dir == "" {
		var err error
		if dir, err = fleet.StateDir(a.streams.Getenv); err != nil {
			return nil, err
		}
	}
	return fleet.NewRun(dir, a.clock.Now())
}

func (a *app) carryOut(c *cli.Context, s *session, run *fleet.Run, plans []*fleet.ClusterPlan, totals report.Totals) ([]fleet.Outcome, error) {
	progress := report.NewProgress(a.streams.Err, a.streams.Terminal, totals.Patch, a.clock.Now)
	defer progress.Close()
	applier := fleet.Applier{
		Planner: s.planner, Run: run, Clock: a.clock,
		Parallel: c.Int(flagParallel), Timeout: c.Duration(flagTimeout), Poll: c.Duration(flagPoll),
		Say: progress.Say, Done: progress.Done,
	}
	return applier.Apply(c.Context, plans)
}

// applyCode: an interrupt outranks a failure, a failure outranks a block.
func applyCode(ctx context.Context, outcomes []fleet.Outcome) int {
	code := ExitOK
	for _, o := range outcomes {
		switch o.Status {
		case fleet.StatusFailed:
			code = max(code, ExitFailed)
		case fleet.StatusBlocked, fleet.StatusStale:
			code = max(code, ExitBlocked)
		case fleet.StatusInFlight:
			code = ExitInterrupted
		}
	}
	if ctx.Err() != nil {
		return ExitInterrupted
	}
	return code
}
