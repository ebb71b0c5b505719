package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

// The kinds of runs, as the journal names them.
const (
	kindApply    = "apply"
	kindRollback = "rollback"
)

// job is a run in the making.
type job struct {
	session *session
	pace    fleet.Pace
	kind    string
	plans   []*fleet.ClusterPlan // as they are carried out
	planned []*fleet.ClusterPlan // as they were made, when that differs
	totals  report.Totals
	visible int

	look      *fleet.NodeLook // nil for a rollback
	selection string          // which clusters were asked for, in words

	checksum string // of the plan file
	planFile []byte // as it was reviewed; nil when the plans are fresh
	run      *fleet.Run
	earlier  *fleet.Record // run that is resumed or rolled back
	resumed  map[string]fleet.Earlier
	revert   *fleet.Reverter
}

// todo gives the clusters that are still to be changed: a run that is resumed
// leaves those alone that it is done with.
func (j *job) todo() []*fleet.ClusterPlan {
	var todo []*fleet.ClusterPlan
	for _, p := range j.plans {
		done := false
		if j.kind == kindApply && j.earlier != nil {
			earlier := j.earlier.Clusters[p.ID]
			done = earlier.Settled() || earlier.RolledBack != ""
		}
		if p.Action == fleet.ActionPatch && !done {
			todo = append(todo, p)
		}
	}
	return todo
}

func (j *job) pending() int { return len(j.todo()) }

// words gives an outcome as this kind of run calls it.
func (j *job) words(o fleet.Outcome) fleet.Outcome {
	if j.revert != nil {
		return report.OfRollback(o)
	}
	return o
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
		return a.endedBy(c, j, err)
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

// endedBy notes that a run ended before any cluster had its turn, and says which
// one.
func (a *app) endedBy(c *cli.Context, j *job, why error) error {
	if j.run == nil {
		return why
	}
	fmt.Fprintf(a.streams.Err, "rkepatch: run %s ended before anything was sent; its journal lies in %s\n", j.run.ID, j.run.Dir)
	if c.Context.Err() != nil {
		return why
	}
	return errors.Join(why, j.run.Note(fleet.Entry{Event: fleet.EventEnded, Text: "nothing was sent: " + why.Error()}))
}

// announce says how the clusters will be gone through.
func (a *app) announce(c *cli.Context, j *job) error {
	sizes := j.pace.Sizes(j.pending())
	if len(sizes) > 1 {
		fmt.Fprintf(a.streams.Err, "rkepatch: %d waves of %s clusters (percentages of %d, rounded up)\n", len(sizes), join(sizes), j.pending())
	}
	if !j.pace.NotAfter.IsZero() {
		fmt.Fprintf(a.streams.Err, "rkepatch: no cluster is started after %s\n", j.pace.NotAfter.Format(time.DateTime))
	}
	return a.notTooLarge(c, j)
}

// notTooLarge stops a run that would change too much at once.
func (a *app) notTooLarge(c *cli.Context, j *job) error {
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
	return j.pending() > 0 || j.kind == kindApply && (j.earlier != nil || j.planFile != nil) || j.revert != nil && j.totals.Blocked < len(j.plans)
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
		announced := j.pending()
		if j.earlier, err = fleet.LoadRun(dir, j.earlier.ID); err != nil {
			return err
		}
		if left := j.pending(); left != announced {
			return fmt.Errorf("run %s went on meanwhile: %d of its clusters were left, now %d are; nothing was changed, resume it again", j.earlier.ID, announced, left)
		}
		j.resumed = j.earlier.Clusters
		if j.run, err = j.earlier.Open(); err != nil {
			return err
		}
		return j.run.Note(fleet.Entry{Event: fleet.EventResumed, Text: skipped(c)})
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
		Kind: j.kind, Of: of, Server: j.session.head.Server, Program: a.build.Version,
		Clusters: len(j.plans), SkipNodeCheck: c.Bool(flagSkipNodeCheck), PlanChecksum: j.checksum, Flags: given(c, slices.Concat(keptFlags, rancherFlags)...),
	}, j.planFile)
}

// skipped is what the journal keeps of a resumption without a look at the nodes.
func skipped(c *cli.Context) string {
	if c.Bool(flagSkipNodeCheck) {
		return "with --" + flagSkipNodeCheck
	}
	return ""
}

func (a *app) writePlanFile(j *job) ([]byte, error) {
	name := filepath.Join(j.run.Dir, "plan.new")
	w, err := j.session.planner.CreatePlan(name, a.build.Version, j.session.head.RancherVersion, a.clock.Now())
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	plans := j.plans
	if j.planned != nil {
		plans = j.planned
	}
	for _, p := range plans {
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
		doc := report.RunJSON{Head: j.session.head, RunKind: j.kind, Plans: j.plans, Outcomes: outcomes, Totals: j.totals, ExitCode: code}
		if j.revert != nil {
			doc.Of = j.earlier.ID
		}
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
