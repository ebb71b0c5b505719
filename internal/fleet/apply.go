package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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
	StatusPatched    Status = "patched"     // every kubelet runs with it
	StatusUnchanged  Status = "unchanged"   // it was as wanted already
)

// Statuses lists them in the order in which they are shown.
var Statuses = []Status{StatusFailed, StatusInFlight, StatusStale, StatusBlocked, StatusNotStarted, StatusPatched, StatusUnchanged}

// Outcome is what a run did to one cluster.
type Outcome struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Status   Status        `json:"status"`
	Stored   bool          `json:"stored"` // Rancher's stored config holds the change
	Duration time.Duration `json:"durationNanoseconds"`
	Message  string        `json:"message,omitempty"`
	Next     string        `json:"next,omitempty"` // the command that settles it
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
	// Say is told of every step, Done of every cluster that is over; from
	// several goroutines.
	Say  func(id, name, text string)
	Done func(Outcome)
}

// neverNoticed is how long Rancher may take to react to a PUT. Its controller
// reacts within seconds; a reconcile that is queued behind others may not.
const neverNoticed = 5 * time.Minute

// Apply changes the clusters whose plan says so, at most Parallel at a time,
// and gives one outcome per plan, in their order. The first failure stops new
// clusters from starting; those in flight are followed to their end. When ctx
// ends, no new cluster is started and no PUT is cut short, but following stops.
//
// The schema that Rancher serves is checked first; an error wraps
// rancher.ErrSchema and nothing was written.
func (a *Applier) Apply(ctx context.Context, plans []*ClusterPlan) ([]Outcome, error) {
	if slices.ContainsFunc(plans, func(p *ClusterPlan) bool { return p.Action == ActionPatch }) {
		if err := a.checkSchema(ctx); err != nil {
			return nil, err
		}
	}
	f := newFollower(a.Planner.Rancher, a.Clock, a.Poll, a.Say)
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	go f.run(following)

	outcomes := make([]Outcome, len(plans))
	var failed atomic.Bool
	var group errgroup.Group
	group.SetLimit(max(1, a.Parallel))
	for i, p := range plans {
		outcomes[i] = Outcome{ID: p.ID, Name: p.Name, Status: StatusNotStarted, Message: "the run ended before its turn"}
		switch p.Action {
		case ActionNone:
			outcomes[i].Status, outcomes[i].Message = StatusUnchanged, "already as wanted"
		case ActionBlocked:
			worst, _ := p.Worst()
			outcomes[i].Status, outcomes[i].Message = StatusBlocked, worst.Code+": "+worst.Message
		case ActionPatch:
			group.Go(func() error {
				if ctx.Err() != nil || failed.Load() {
					return nil
				}
				began := a.Clock.Now()
				outcomes[i] = a.one(ctx, f, p)
				outcomes[i].Duration = a.Clock.Now().Sub(began)
				a.Done(outcomes[i])
				if outcomes[i].Status == StatusFailed {
					failed.Store(true)
				}
				return nil
			})
		}
	}
	return outcomes, group.Wait()
}

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

// one takes one cluster through GET, comparison, pre-image, PUT and following.
func (a *Applier) one(ctx context.Context, f *follower, planned *ClusterPlan) Outcome {
	out := Outcome{ID: planned.ID, Name: planned.Name}
	cl, fresh, err := a.fresh(ctx, planned)
	switch {
	case err != nil && ctx.Err() != nil:
		out.Status, out.Message = StatusNotStarted, "interrupted before anything was written"
		return out
	case errors.Is(err, ErrStale):
		out.Status, out.Message, out.Err = StatusStale, err.Error(), err
		out.Next = "rkepatch plan " + planned.ID
		return out
	case err != nil:
		return out.failed(false, err, "rkepatch plan "+planned.ID)
	case fresh.Action == ActionNone:
		out.Status, out.Message = StatusUnchanged, "already as wanted: somebody else was faster"
		return out
	case fresh.Action == ActionBlocked:
		worst, _ := fresh.Worst()
		out.Status, out.Message = StatusBlocked, worst.Code+": "+worst.Message
		out.Next = "rkepatch plan " + planned.ID
		return out
	}
	if err := a.Run.SavePreImage(a.Planner.Rancher.URL(), cl, a.Clock.Now()); err != nil {
		return out.failed(false, err, "")
	}

	// From here on the cluster may change: a PUT that is cut short leaves
	// nobody wiser, so an interrupt waits for its answer.
	a.Say(cl.ID, cl.Name, "writing the config")
	stored, err := a.put(context.WithoutCancel(ctx), cl, fresh)
	if err != nil {
		var wrong *rancher.NotStoredError
		return out.failed(errors.As(err, &wrong), err, "rkepatch plan "+cl.ID)
	}
	out.Stored = true
	w, err := newWatch(cl, stored, a.Planner.Patch, a.Clock.Now(), patience{unnoticed: neverNoticed, total: a.Timeout})
	if err != nil {
		return out.failed(true, err, "rkepatch plan "+cl.ID)
	}
	a.Say(cl.ID, cl.Name, "stored, Rancher reconciles")
	switch err := f.follow(ctx, w); {
	case errors.Is(err, ErrInterrupted):
		out.Status, out.Message, out.Err = StatusInFlight, err.Error(), err
		out.Next = "rkepatch clusters " + cl.ID
	case err != nil:
		return out.failed(true, err, "rkepatch clusters "+cl.ID)
	default:
		out.Status, out.Message = StatusPatched, "every kubelet has the change"
	}
	return out
}

func (o Outcome) failed(stored bool, err error, next string) Outcome {
	o.Status, o.Stored, o.Err, o.Message, o.Next = StatusFailed, stored, err, err.Error(), next
	return o
}

// fresh reads the cluster anew and plans it again. The error wraps ErrStale
// when the changes are no longer those that were shown.
func (a *Applier) fresh(ctx context.Context, planned *ClusterPlan) (*rancher.Cluster, *ClusterPlan, error) {
	cl, err := a.Planner.Rancher.Cluster(ctx, planned.ID)
	if err != nil {
		return nil, nil, err
	}
	if cl.UUID != planned.UUID {
		return nil, nil, fmt.Errorf("%w: %s is another cluster now (uuid %s, planned for %s)", ErrStale, cl.ID, cl.UUID, planned.UUID)
	}
	doc, docErr := rkeconfig.ParseDocument(cl.Config)
	fresh := a.Planner.judge(cl, doc, docErr)
	if fresh.Action != ActionPatch {
		return cl, fresh, nil
	}
	if !reflect.DeepEqual(fresh.Changes, planned.Changes) || !slices.Equal(rewritePaths(fresh.Rewrites, false), rewritePaths(planned.Rewrites, false)) {
		return nil, nil, fmt.Errorf("%w: the change would now be\n%s", ErrStale, fresh.Diff)
	}
	return cl, fresh, nil
}

// put writes the config once. When the answer does not say what was stored, the
// cluster is read again: nothing is retried blind.
func (a *Applier) put(ctx context.Context, cl *rancher.Cluster, p *ClusterPlan) (*rancher.Cluster, error) {
	stored, err := a.Planner.Rancher.UpdateConfig(ctx, cl, p.wanted.Map(), differing)
	if !errors.Is(err, rancher.ErrUnknownOutcome) {
		return stored, err
	}
	a.Say(cl.ID, cl.Name, "no usable answer, reading the cluster again")
	now, getErr := a.Planner.Rancher.Cluster(ctx, cl.ID)
	if getErr != nil {
		return nil, fmt.Errorf("%w; reading the cluster again: %w", err, getErr)
	}
	_, expected, _, rewriteErr := cl.Rewrites(p.wanted.Map())
	if rewriteErr != nil {
		return nil, rewriteErr
	}
	intent, marshalErr := json.Marshal(expected)
	if marshalErr != nil {
		return nil, marshalErr
	}
	fromIntent, diffErr := differing(intent, now.Config)
	if diffErr != nil {
		return nil, diffErr
	}
	if len(fromIntent) == 0 {
		a.Say(cl.ID, cl.Name, "the change is stored, although the answer was lost")
		return now, nil
	}
	fromBefore, diffErr := differing(cl.Config, now.Config)
	if diffErr != nil {
		return nil, diffErr
	}
	if len(fromBefore) == 0 {
		return nil, fmt.Errorf("nothing was stored: %w", err)
	}
	return nil, &rancher.NotStoredError{Paths: fromIntent}
}

// differing is the comparison that rancher.UpdateConfig is given.
func differing(intent, stored json.RawMessage) ([]string, error) {
	a, err := rkeconfig.ParseDocument(intent)
	if err != nil {
		return nil, err
	}
	b, err := rkeconfig.ParseDocument(stored)
	if err != nil {
		return nil, err
	}
	changes := rkeconfig.Compare(a, b)
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = c.Path
	}
	return paths, nil
}
