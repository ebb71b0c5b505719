package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// What can end the handling of a cluster, for errors.Is.
var (
	ErrInterrupted = errors.New("interrupted")
	ErrTimeout     = errors.New("not finished")
	ErrStale       = errors.New("the cluster is no longer as planned")
)

// Status is how one cluster came out of a run.
type Status string

// The outcomes, worst first.
const (
	StatusFailed     Status = "failed"      // see Outcome.Err; Stored says whether the cluster was changed
	StatusInFlight   Status = "in-flight"   // interrupted while Rancher was rolling it out
	StatusStale      Status = "stale"       // changed since the plan, left alone
	StatusBlocked    Status = "blocked"     // left alone, see the findings
	StatusNotStarted Status = "not-started" // the run ended before its turn
	StatusRolledBack Status = "rolled-back" // an earlier part of the run changed it, a rollback took that back
	StatusPatched    Status = "patched"     // every kubelet runs with it
	StatusUnchanged  Status = "unchanged"   // it was as wanted already
)

// Statuses lists them in the order in which they are shown.
var Statuses = []Status{StatusFailed, StatusInFlight, StatusStale, StatusBlocked, StatusNotStarted, StatusRolledBack, StatusPatched, StatusUnchanged}

// Outcome is what a run did to one cluster.
type Outcome struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Status   Status        `json:"status"`
	Stored   bool          `json:"stored"`                  // Rancher's stored config holds the change, or may
	Unsure   bool          `json:"storedUnknown,omitempty"` // nobody knows whether it does
	Wave     int           `json:"wave,omitempty"`          // counted from 1; 0 when it had no turn
	Started  time.Time     `json:"started,omitzero"`
	Duration time.Duration `json:"durationNanoseconds"`
	Message  string        `json:"message,omitempty"`
	Next     string        `json:"next,omitempty"`     // the command that settles it
	Findings []Finding     `json:"findings,omitempty"` // what was seen on the nodes
	Err      error         `json:"-"`
}

// Applier carries plans out.
type Applier struct {
	Planner  *Planner
	Run      *Run
	Clock    Clock
	Parallel int           // clusters in flight at once, at least 1
	Timeout  time.Duration // per cluster, from its PUT to its end
	Poll     time.Duration // between two polls
	Pace     Pace
	// RollbackOnFailure takes the change of a cluster that failed back at once.
	RollbackOnFailure bool
	// RaiseUnavailable lets a rollback raise the cluster's upgrade strategy for as
	// long as it takes, where Rancher refuses it for nodes that are not Ready.
	RaiseUnavailable bool
	// Revert makes the run a rollback: plans are computed by it.
	Revert *Reverter
	// Nodes looks at the nodes right before each PUT, unless SkipCheck, and once a
	// roll-out is over: Rancher is done with a worker whose kubelet has just died
	// before the node is seen to be lost. Nil does neither.
	Nodes     NodeCheck
	SkipCheck bool
	// Earlier holds what a run that is resumed had come to, by cluster id.
	Earlier map[string]Earlier
	// Recheck says that the plans are older than this call: a cluster with
	// nothing to do is read again before that is said.
	Recheck bool
	// Flags and PlanFlags are put into the commands that Outcome.Next names: those
	// that find the run again, such as " --state-dir DIR", and those that plan the
	// same once more. NodeFlags follow PlanFlags where nodes are looked at.
	Flags, PlanFlags, NodeFlags string
	// Say is told of every step, Done of every cluster that is over; from
	// several goroutines.
	Say  func(id, name, text string)
	Done func(Outcome)
}

// neverNoticed is how long Rancher may take to react to a PUT. Its controller
// reacts within seconds; a reconcile that is queued behind others may not.
const neverNoticed = 5 * time.Minute

// retried is how long Rancher may take to try a failed reconcile again: it backs
// off up to 10 minutes (rancher v2.9.1 clusterprovisioner/provisioner.go:456-474).
const retried = 11 * time.Minute

// Apply changes the clusters whose plan says so, wave by wave, at most Parallel
// at a time, and gives one outcome per plan, in their order. Once more clusters
// failed than Pace allows, no new one is started; those in flight are followed
// to their end. When ctx ends, no new cluster is started and no PUT is cut
// short, but following stops.
//
// The schema that Rancher serves is checked first; an error wraps
// rancher.ErrSchema and nothing was written.
func (a *Applier) Apply(ctx context.Context, plans []*ClusterPlan) ([]Outcome, error) {
	outcomes := make([]Outcome, len(plans))
	var todo, again []int
	for i, p := range plans {
		outcomes[i] = Outcome{ID: p.ID, Name: p.Name}
		earlier, resumed := a.Earlier[p.ID]
		switch {
		case resumed && earlier.RolledBack != "":
			outcomes[i].Status, outcomes[i].Message = StatusRolledBack, "taken back by run "+earlier.RolledBack+", left alone; plan again to patch it"
		case resumed && earlier.Settled():
			outcomes[i] = *earlier.Outcome
		case p.Action == ActionNone && a.Recheck:
			again = append(again, i)
		case p.Action == ActionNone && a.Revert == nil:
			outcomes[i].Status, outcomes[i].Message = StatusUnchanged, "already as wanted"
		case p.Action == ActionBlocked:
			outcomes[i].Status, outcomes[i].Message = StatusBlocked, worstOf(p)
			if p.byNodes {
				outcomes[i].Next = a.seeNodes(p.ID)
			}
		default:
			outcomes[i] = a.notStarted(outcomes[i], "the run ended before its turn")
			todo = append(todo, i)
		}
	}
	if len(todo)+len(again) == 0 {
		return outcomes, nil
	}
	if err := a.checkSchema(ctx); err != nil {
		return nil, err
	}
	a.Run.journal.setClock(a.Clock.Now)
	f := newFollower(a.Planner.Rancher, a.Clock, a.Poll, a.say)
	following, stopFollowing := context.WithCancel(ctx)
	var polling sync.WaitGroup
	polling.Go(func() { f.run(following) })
	defer polling.Wait() // nothing is said any more once Apply has returned
	defer stopFollowing()

	carryOut := func(i, wave int) Outcome {
		began := a.Clock.Now()
		out := a.one(ctx, f, plans[i])
		out.Wave = wave
		out.Started, out.Duration = began, a.Clock.Now().Sub(began)
		if err := a.log(Entry{Event: EventOutcome, Cluster: out.ID, Name: out.Name, Outcome: &out}); err != nil {
			out.Message += "; this could not be noted: " + err.Error()
		}
		outcomes[i] = out
		return out
	}
	for _, i := range again {
		carryOut(i, 0)
	}
	a.Pace.look = func() error { return a.Planner.seeNodes(ctx) }
	a.Pace.run(ctx, a.Clock, max(1, a.Parallel), len(todo), func(n, wave int, why string) turn {
		i := todo[n]
		if why != "" {
			outcomes[i] = a.notStarted(outcomes[i], why)
			return turn{}
		}
		out := carryOut(i, wave)
		a.Done(out)
		return turn{failed: out.Status == StatusFailed, changed: out.Stored || out.Status == StatusFailed}
	})
	return outcomes, nil
}

func worstOf(p *ClusterPlan) string {
	worst, _ := p.Worst()
	return worst.Code + ": " + worst.Message
}

// say tells a step and keeps it in the journal.
func (a *Applier) say(id, name, text string) {
	_ = a.log(Entry{Event: EventStep, Cluster: id, Name: name, Text: text}) // what matters is logged apart
	a.Say(id, name, text)
}

func (a *Applier) log(e Entry) error { return a.Run.journal.Append(e) }

// checkSchema asks the server whether it knows the fields that are about to be
// written: it would drop what it does not know, with a 200.
func (a *Applier) checkSchema(ctx context.Context) error {
	args := map[string]any{}
	for k, v := range a.Planner.Patch.Args {
		args[k] = v
	}
	binds := []any{}
	for _, b := range a.Planner.Patch.Binds {
		binds = append(binds, b)
	}
	return a.Planner.Rancher.CheckSchema(ctx, "kubeletService", map[string]any{"extraArgs": args, "extraBinds": binds})
}

// one takes one cluster through GET, comparison, a look at its nodes, pre-image,
// PUT and following.
func (a *Applier) one(ctx context.Context, f *follower, planned *ClusterPlan) Outcome {
	out := Outcome{ID: planned.ID, Name: planned.Name}
	if err := a.log(Entry{Event: EventStarted, Cluster: out.ID, Name: out.Name}); err != nil {
		return out.failed(false, err, a.again(out.ID))
	}
	cl, fresh, over := a.ready(ctx, f, out, planned)
	if over == nil && a.Nodes != nil && !a.SkipCheck && a.Revert == nil {
		a.say(out.ID, out.Name, "looking at the nodes")
		out.Findings = a.Nodes.Check(ctx, cl, fresh.wanted)
		if f, _ := worst(out.Findings); f.Severity == Block && ctx.Err() == nil {
			out.Status, out.Message, out.Next = StatusBlocked, f.Code+": "+f.Message, a.seeNodes(out.ID)
			return out
		}
		// That took a while: somebody may have changed the cluster.
		cl, fresh, over = a.ready(ctx, f, out, planned)
	}
	if over != nil {
		return *over
	}
	if err := a.onlyOwn(cl, fresh); err != nil {
		return out.failed(false, err, a.look(out.ID))
	}
	revision, err := a.revisionFor(ctx, cl, fresh)
	if err != nil {
		return out.failed(false, err, a.look(out.ID))
	}
	err = a.Run.SavePreImage(a.Planner.Rancher.URL(), cl, revision, a.Clock.Now())
	for _, event := range []Event{EventPreImage, EventPut} {
		if err == nil && ctx.Err() != nil {
			return a.notStarted(out, "interrupted before anything was written")
		}
		if err == nil {
			err = a.log(Entry{Event: event, Cluster: out.ID, Name: out.Name, Revision: revision})
		}
	}
	if err != nil {
		return out.failed(false, err, a.again(out.ID))
	}

	// From here on the cluster may change: a PUT that is cut short leaves
	// nobody wiser, so an interrupt waits for its answer.
	a.say(cl.ID, cl.Name, writing(fresh))
	sent := a.Clock.Now()
	var stored *rancher.Cluster
	var raised map[string]string
	if a.Revert != nil {
		stored, raised, err = a.putBack(ctx, cl, fresh)
	} else {
		stored, err = a.put(ctx, cl, fresh)
	}
	if err != nil {
		out.Unsure = unsure(err)
		perhaps := out.Unsure || errors.Is(err, rancher.ErrNotStored)
		if !perhaps && !errors.Is(err, errUntouched) {
			_ = a.log(Entry{Event: EventRefused, Cluster: out.ID, Name: out.Name}) // without it, the cluster counts as sent
		}
		return a.failed(ctx, f, out, cl, perhaps, err)
	}
	_ = a.log(Entry{Event: EventStored, Cluster: out.ID, Name: out.Name}) // EventPut says enough without it
	if a.Revert != nil {
		out = a.noteUndone(out)
	}
	a.say(cl.ID, cl.Name, "stored, Rancher reconciles")
	return a.lower(ctx, a.follow(ctx, f, out, cl, stored, sent), raised)
}

// ready reads a cluster whose turn has come. The outcome is nil when it is to be
// changed, and says what became of it when it is not.
func (a *Applier) ready(ctx context.Context, f *follower, out Outcome, planned *ClusterPlan) (*rancher.Cluster, *ClusterPlan, *Outcome) {
	cl, fresh, err := a.fresh(ctx, planned)
	switch {
	case err != nil && ctx.Err() != nil:
		out = a.notStarted(out, "interrupted before anything was written")
	case errors.Is(err, ErrStale):
		out.Status, out.Message, out.Next, out.Err = StatusStale, err.Error(), a.look(out.ID), err
	case err != nil && a.Earlier[out.ID].Sent:
		out = out.failed(true, err, a.again(out.ID))
	case err != nil:
		out = out.failed(false, err, a.look(out.ID))
	case fresh.Action == ActionNone && a.Revert != nil:
		out = a.follow(ctx, f, a.noteUndone(out), cl, cl, time.Time{})
	case fresh.Patched == rkeconfig.Patched && a.Revert == nil && a.Earlier[out.ID].Sent:
		out = a.follow(ctx, f, out, cl, cl, time.Time{})
	case fresh.Action == ActionNone:
		out.Status, out.Message = StatusUnchanged, "already as wanted: somebody else was faster"
	case fresh.Action == ActionBlocked:
		out.Status, out.Message, out.Next = StatusBlocked, worstOf(fresh), a.look(out.ID)
	default:
		return cl, fresh, nil
	}
	return cl, fresh, &out
}

// follow waits for the end of a roll-out that began with stored, which was sent
// at the time given; zero is by an earlier call.
func (a *Applier) follow(ctx context.Context, f *follower, out Outcome, before, stored *rancher.Cluster, sent time.Time) Outcome {
	out.Stored = true
	w, err := newWatch(before, stored, a.Planner.Patch, a.Clock.Now(), patience{unnoticed: neverNoticed, total: a.Timeout})
	if err != nil {
		return a.failed(ctx, f, out, before, true, err)
	}
	if a.Revert != nil {
		w.goBack(before)
	}
	if before == stored {
		w.resumed, w.patience.unnoticed = true, retried
	}
	switch err := f.follow(ctx, w); {
	case errors.Is(err, ErrInterrupted):
		out.Status, out.Message, out.Err = StatusInFlight, err.Error(), err
		if out.Next = a.again(out.ID); a.Revert != nil {
			out.Next = a.seeClusters()
		}
	case errors.Is(err, ErrStale) && a.Revert == nil:
		out.Status, out.Stored, out.Message, out.Next, out.Err = StatusStale, false, err.Error(), a.look(out.ID), err
	case err != nil:
		return a.failed(ctx, f, out, before, true, err)
	case a.Revert != nil && before == stored:
		out.Status, out.Stored, out.Message = StatusUnchanged, false, "its config was as before already"
		if w.begun {
			out.Message += ": " + w.doubt()
		}
	case a.Revert != nil && w.begun:
		out.Status, out.Message = StatusPatched, "rolled back: "+w.doubt()
	case a.Revert != nil:
		out.Status, out.Message = StatusPatched, "rolled back, every kubelet is as before"
	default:
		out.Status, out.Message = StatusPatched, "every kubelet has the change"
		if a.Nodes != nil {
			return a.verify(ctx, f, out, before, stored, sent)
		}
	}
	return out
}

// verify looks at the running kubelets of a cluster that Rancher is done with.
func (a *Applier) verify(ctx context.Context, f *follower, out Outcome, before, stored *rancher.Cluster, sent time.Time) Outcome {
	a.say(out.ID, out.Name, "looking at the running kubelets")
	doc, err := rkeconfig.ParseDocument(stored.Config)
	if err != nil {
		return a.failed(ctx, f, out, before, true, err)
	}
	found, looked := a.Nodes.Verify(ctx, stored, doc, sent)
	out.Findings = found
	switch bad, _ := worst(found); {
	case bad.Severity == Block:
		return a.failed(ctx, f, out, before, true, fmt.Errorf("Rancher is done, but %s: %s", bad.Code, bad.Message))
	case ctx.Err() != nil:
		// Not settled: who resumes looks again.
		out.Status, out.Err, out.Next = StatusInFlight, ErrInterrupted, a.again(out.ID)
		out.Message = "Rancher is done; interrupted before every kubelet was looked at"
	case bad.Severity == Warn:
		out.Message += "; " + bad.Code + ": " + bad.Message
	case looked:
		out.Message = "every kubelet runs with the change, as seen on its node"
	}
	return out
}

// seeNodes is the command that shows what is the matter with the nodes.
func (a *Applier) seeNodes(id string) string {
	return "rkepatch nodes check" + a.PlanFlags + a.NodeFlags + " " + id
}

// seeClusters is what to do about a rollback that is stored: it cannot be done
// twice, Rancher goes on with it.
func (a *Applier) seeClusters() string { return "rkepatch clusters" + a.PlanFlags }

// again is the command that tries once more; it looks first at what there is.
func (a *Applier) again(id string) string {
	if a.Revert != nil {
		return "rkepatch rollback" + a.Flags + " " + a.Revert.Run.ID + " " + id
	}
	skip := ""
	if a.SkipCheck || a.Nodes == nil {
		skip = " --skip-node-check"
	}
	return "rkepatch apply --resume " + a.Run.ID + skip + a.Flags
}

// look is the command that shows what stands in the way.
func (a *Applier) look(id string) string {
	if a.Revert != nil {
		return a.again(id)
	}
	return "rkepatch plan" + a.PlanFlags + " " + id
}

// failed makes out a failure. A change that Rancher may hold is taken back when
// the run was told to.
func (a *Applier) failed(ctx context.Context, f *follower, out Outcome, before *rancher.Cluster, stored bool, err error) Outcome {
	next := a.look(out.ID)
	switch {
	case a.Revert != nil && out.Stored:
		next = a.seeClusters()
	case a.Revert == nil && stored:
		next = "rkepatch rollback" + a.Flags + " " + a.Run.ID + " " + out.ID
	}
	out = out.failed(stored, err, next)
	if !stored || !a.RollbackOnFailure || a.Revert != nil || ctx.Err() != nil {
		return out
	}
	a.say(out.ID, out.Name, "failed, taking the change back")
	back := *a
	back.Revert = &Reverter{Planner: a.Planner, Run: a.Run}
	// The pre-image of this run must stay: it is what the cluster was before.
	undone := back.revert(ctx, f, before, out.Unsure)
	if undone.Status == StatusFailed && (!undone.Stored || undone.Unsure) {
		out.Message += "; taking the change back failed, too: " + undone.Message
		return out
	}
	out.Stored, out.Unsure = false, false
	out.Message += "; the change was taken back: " + undone.Message
	if out.Next = a.look(out.ID); undone.Next != "" {
		out.Next = undone.Next
	}
	return out
}

// notStarted is the outcome of a cluster that this call did nothing to. When an
// earlier call of the run did, Rancher may be at it.
func (a *Applier) notStarted(out Outcome, why string) Outcome {
	out.Status, out.Message = StatusNotStarted, why
	if a.Earlier[out.ID].Sent {
		out.Status, out.Stored, out.Next = StatusInFlight, true, a.again(out.ID)
		out.Message = "sent by an earlier part of the run and not looked at since: Rancher may be rolling it out"
	}
	return out
}

func (o Outcome) failed(stored bool, err error, next string) Outcome {
	o.Status, o.Stored, o.Err, o.Message, o.Next = StatusFailed, stored, err, err.Error(), next
	return o
}

func (a *Applier) judge(ctx context.Context, cl *rancher.Cluster) *ClusterPlan {
	if a.Revert != nil {
		return a.Revert.judge(ctx, cl)
	}
	return a.Planner.judge(ctx, cl)
}
