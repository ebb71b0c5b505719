package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
	"rkepatch/rancher"
)

// execute carries the plans out, and shows and logs how that goes.
func (a *app) execute(c *cli.Context, j *job) ([]fleet.Outcome, error) {
	if j.run != nil {
		a.logs.run.Store(&j.run.ID)
	}
	w := a.streams.Err
	if a.live() {
		w = a.terminal
	}
	progress := report.NewProgress(w, a.live(), j.pending(), a.clock.Now)
	defer progress.Close()
	a.aside = progress.Aside
	applier := fleet.Applier{
		Planner: j.session.planner, Run: j.run, Clock: a.clock, Pace: j.pace, Revert: j.revert, Earlier: j.resumed,
		Parallel: c.Int(flagParallel), Timeout: c.Duration(flagTimeout), Poll: c.Duration(flagPoll),
		RollbackOnFailure: c.Bool(flagRollback), RaiseUnavailable: c.Bool(flagRaise), Flags: runWords(c), PlanFlags: planWords(c, j.session.planner), NodeFlags: nodeWords(c), Recheck: c.IsSet(flagPlan) || c.IsSet(flagResume),
		Say: func(id, name, text string) {
			a.logs.step(id, name, text)
			progress.Say(id, name, text)
		},
		Done: func(o fleet.Outcome) {
			o = j.words(o)
			a.logs.outcome(o)
			progress.Done(o)
		},
	}
	if j.look != nil {
		j.look.Say = func(cl *rancher.Cluster, text string) { a.logs.step(cl.ID, cl.Name, text) }
		applier.Nodes, applier.SkipCheck = j.look, c.Bool(flagSkipNodeCheck)
	}
	outcomes, err := applier.Apply(c.Context, j.plans)
	for i, o := range outcomes {
		outcomes[i] = j.words(o)
	}
	return outcomes, err
}

// live reports whether lines on the terminal may be written over. The requests
// that --verbose shows would run through them.
func (a *app) live() bool {
	return a.streams.Terminal && a.streams.Getenv("TERM") != "dumb" && !a.logs.verbose
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
		case fleet.StatusNotStarted:
			code = max(code, ExitError)
		case fleet.StatusInFlight:
			code = ExitInterrupted
		}
	}
	if ctx.Err() != nil {
		return ExitInterrupted
	}
	return code
}
