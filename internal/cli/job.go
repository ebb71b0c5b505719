package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

// job is a run in the making.
type job struct {
	session *session
	pace    fleet.Pace
	kind    string // apply or rollback
	plans   []*fleet.ClusterPlan
	totals  report.Totals
	visible int

	checksum string // of the plan file
	planFile []byte // as it was reviewed; nil when the plans are fresh
	run      *fleet.Run
	earlier  *fleet.Record // run that is resumed or rolled back
	resumed  map[string]fleet.Earlier
	revert   *fleet.Reverter
}

// pending is how many clusters are still to be changed: a run that is resumed
// leaves those alone that it is done with.
func (j *job) pending() int {
	n := 0
	for _, p := range j.plans {
		done := false
		if j.kind == "apply" && j.earlier != nil {
			earlier := j.earlier.Clusters[p.ID]
			done = earlier.Settled() || earlier.RolledBack != ""
		}
		if p.Action == fleet.ActionPatch && !done {
			n++
		}
	}
	return n
}

// carryOut asks, makes the run, applies and reports.
func (a *app) carryOut(c *cli.Context, j *job, dir string) error {
	if j.pending() > 0 {
		if err := a.announce(c, j); err != nil {
			return err
		}
		if err := a.confirm(c, j); err != nil {
			return err
		}
	}
	if j.writes() {
		release, err := fleet.Lock(dir)
		if err != nil {
			return err
		}
		defer release()
		if err := a.begin(c, j, dir); err != nil {
			return err
		}
		defer j.run.Close()
	}
	outcomes, err := a.execute(c, j)
	if err != nil {
		return err
	}
	code := applyCode(c.Context, outcomes)
	var unnoted error
	if j.run != nil && c.Context.Err() == nil {
		unnoted = j.run.Note(fleet.Entry{Event: fleet.EventEnded, Text: report.CountOutcomes(outcomes)})
	}
	// What came of it is shown also when the disk is full.
	if err := errors.Join(a.show(c, j, outcomes, code), unnoted); err != nil {
		return err
	}
	if code == ExitOK {
		return nil
	}
	return exitError(code)
}

// announce says how the clusters will be gone through, and stops a run that
// would change too much at once.
func (a *app) announce(c *cli.Context, j *job) error {
	sizes := j.pace.Sizes(j.pending())
	if len(sizes) > 1 {
		fmt.Fprintf(a.streams.Err, "rkepatch: %d waves of %s clusters (percentages of %d, rounded up)\n", len(sizes), join(sizes), j.pending())
	}
	if !j.pace.NotAfter.IsZero() {
		fmt.Fprintf(a.streams.Err, "rkepatch: no cluster is started after %s\n", j.pace.NotAfter.Format(time.DateTime))
	}
	// A rollback goes where its run went.
	if why := j.pace.TooLarge(j.pending(), j.visible); why != "" && !c.Bool(flagLargeWave) && j.revert == nil {
		return usagef("use --"+flagWaves+" 1,10%,100% or fewer clusters, or allow it with --"+flagLargeWave, "%s", why)
	}
	return nil
}

func join(ns []int) string {
	parts := make([]string, len(ns))
	for i, n := range ns {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, ", ")
}

// writes reports whether the job writes into the state directory: it changes
// clusters, or finds that what it was to take back is back already.
func (j *job) writes() bool {
	return j.pending() > 0 || j.kind == "apply" && (j.earlier != nil || j.planFile != nil) || j.revert != nil && j.totals.Blocked < len(j.plans)
}

// begin makes the run's place, or goes on in that of the run to be resumed. An
// earlier run's journal is opened only here, where nobody else writes to it.
func (a *app) begin(c *cli.Context, j *job, dir string) (err error) {
	of := ""
	switch {
	case j.revert != nil:
		of = j.earlier.ID
		// Under the lock: somebody may have rolled it back while the question stood.
		if j.earlier, err = fleet.LoadRun(dir, of); err != nil {
			return err
		}
		for _, p := range j.plans {
			if by := j.earlier.Clusters[p.ID].RolledBack; by != "" {
				return fmt.Errorf("%s was rolled back by run %s meanwhile; nothing was changed, call rollback again for the others", p.Name, by)
			}
		}
		if j.revert.Run, err = j.earlier.Open(); err != nil {
			return err
		}
	case j.earlier != nil:
		if j.earlier, err = fleet.LoadRun(dir, j.earlier.ID); err != nil {
			return err
		}
		j.resumed = j.earlier.Clusters
		if j.run, err = j.earlier.Open(); err != nil {
			return err
		}
		return j.run.Note(fleet.Entry{Event: fleet.EventResumed})
	}
	if j.run, err = fleet.NewRun(dir, a.clock.Now()); err != nil {
		return err
	}
	if j.planFile == nil {
		if j.planFile, err = a.writePlanFile(j); err != nil {
			return err
		}
	}
	return j.run.Begin(fleet.Head{
		Kind: j.kind, Of: of, Server: j.session.head.Server, Program: a.version,
		Clusters: len(j.plans), SkipNodeCheck: c.Bool(flagSkipNodeCheck), PlanChecksum: j.checksum, Flags: paceOf(c),
	}, j.planFile)
}

func (a *app) writePlanFile(j *job) ([]byte, error) {
	name := filepath.Join(j.run.Dir, "plan.new")
	w, err := j.session.planner.CreatePlan(name, a.version, j.session.head.RancherVersion, a.clock.Now())
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	for _, p := range j.plans {
		if err := w.Add(p); err != nil {
			return nil, err
		}
	}
	if j.checksum, err = w.Close(j.visible); err != nil {
		return nil, err
	}
	defer os.Remove(name)
	return os.ReadFile(name)
}

// show writes what came of the run: text or JSON on stdout, and the page.
func (a *app) show(c *cli.Context, j *job, outcomes []fleet.Outcome, code int) error {
	if j.session.json {
		doc := report.RunJSON{Head: j.session.head, Plans: j.plans, Outcomes: outcomes, Totals: j.totals, ExitCode: code}
		if j.run != nil {
			doc.Run = j.run.ID
		}
		if err := doc.Write(a.streams.Out); err != nil {
			return err
		}
	} else {
		a.text(a.streams.Out).Outcomes(outcomes)
		fmt.Fprintln(a.streams.Out, report.CountOutcomes(outcomes))
	}
	if j.run != nil {
		fmt.Fprintf(a.streams.Err, "rkepatch: run %s; what the clusters were before lies in %s\n", j.run.ID, j.run.Dir)
	}
	return a.writeRunPage(c, j, outcomes)
}
