package fleet

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// drill is a whole run on one cluster, with its state directory, in which
// something goes wrong: applied, then resumed or rolled back from what is on the
// disk.
type drill struct {
	*rig
	wire *wire
	full *atomic.Bool // the disk

	plan   *ClusterPlan
	before object       // as it was stored ahead of everything
	edit   func(object) // somebody else's edit, part of what is right afterwards; nil when there was none
}

const drilled = "c-aaaaa"

func newDrill(t *testing.T, c simrancher.Cluster) *drill {
	t.Helper()
	c.ID = drilled
	d := &drill{rig: newRig(t, c), wire: &wire{}, full: &atomic.Bool{}}
	client, err := rancher.New(rancher.Options{URL: d.planner.Rancher.URL(), Token: simrancher.AdminToken, RetryBudget: -1, Transport: d.wire})
	if err != nil {
		t.Fatal(err)
	}
	d.planner.Rancher = client
	d.before = d.sim.Stored(drilled)
	d.plan = d.planOf(drilled, ActionPatch)
	d.begin(d.run, "apply", d.plan)
	return d
}

// stateDir is where all runs of the drill are.
func (d *drill) stateDir() string { return filepath.Dir(filepath.Dir(d.run.Dir)) }

// begin makes run a run of the plans, on a disk that may fill up.
func (d *drill) begin(run *Run, kind string, plans ...*ClusterPlan) {
	d.t.Helper()
	name := filepath.Join(d.t.TempDir(), "plan")
	w, err := d.planner.CreatePlan(name, "test", "v2.9.1", epoch)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range plans {
		if err := w.Add(p); err != nil {
			d.t.Fatal(err)
		}
	}
	sum, err := w.Close(len(plans))
	if err != nil {
		d.t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := run.Begin(Head{Kind: kind, Server: d.planner.Rancher.URL(), Clusters: len(plans), PlanChecksum: sum}, data); err != nil {
		d.t.Fatal(err)
	}
	d.onDisk(run)
}

// onDisk puts run on the disk that may fill up.
func (d *drill) onDisk(run *Run) {
	run.journal.f = &disk{file: run.journal.f, full: d.full}
	write := run.write
	run.write = func(name string, data []byte, mode os.FileMode) error {
		if d.full.Load() {
			return syscall.ENOSPC
		}
		return write(name, data, mode)
	}
}

func (d *drill) applier(run *Run, planner *Planner) *Applier {
	return &Applier{
		Planner: planner, Run: run, Clock: d.clock.clock(), Parallel: 1, Timeout: d.timeout, Poll: d.poll,
		Say:  func(string, string, string) {},
		Done: func(Outcome) {},
	}
}

func (d *drill) outcome(a *Applier, plans []*ClusterPlan) Outcome {
	d.t.Helper()
	d.sim.ResetRequests()
	d.clock.mu.Lock()
	d.clock.sleeps = 0
	d.clock.mu.Unlock()
	outcomes, err := a.Apply(d.t.Context(), plans)
	if err != nil || len(outcomes) != 1 {
		d.t.Fatalf("%v, %v", outcomes, err)
	}
	if d.puts() > 1 {
		d.t.Errorf("%d PUTs in one attempt", d.puts())
	}
	return outcomes[0]
}

// attempt applies the plan.
func (d *drill) attempt() Outcome {
	d.t.Helper()
	return d.outcome(d.applier(d.run, d.planner), []*ClusterPlan{d.plan})
}

// record reads the run from the disk.
func (d *drill) record() *Record {
	d.t.Helper()
	r, err := LoadRun(d.stateDir(), d.run.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// resume goes on with what is on the disk, as another process would.
func (d *drill) resume() Outcome {
	d.t.Helper()
	record := d.record()
	file, err := record.Plan()
	if err != nil {
		d.t.Fatal(err)
	}
	run, err := record.Open()
	if err != nil {
		d.t.Fatal(err)
	}
	defer run.Close()
	d.onDisk(run)
	a := d.applier(run, file.Planner(d.planner))
	if err := a.Planner.Prepare(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	a.Earlier = record.Clusters
	return d.outcome(a, file.Plans)
}

// rollback takes the run back. strike is called when the plans are made. It
// reports false when there is nothing that the run may have changed.
func (d *drill) rollback(strike func(*Run)) (Outcome, bool) {
	d.t.Helper()
	record := d.record()
	ids, err := record.Changed(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(ids) == 0 {
		return Outcome{}, false
	}
	file, err := record.Plan()
	if err != nil {
		d.t.Fatal(err)
	}
	original, err := record.Open()
	if err != nil {
		d.t.Fatal(err)
	}
	defer original.Close()
	d.onDisk(original)
	a := d.applier(nil, file.Planner(d.planner))
	a.Revert = &Reverter{Planner: a.Planner, Run: original}
	plans, err := a.Revert.Plan(d.t.Context(), ids)
	if err != nil {
		d.t.Fatal(err)
	}
	if a.Run, err = NewRun(d.stateDir(), d.clock.Now()); err != nil {
		d.t.Fatal(err)
	}
	d.begin(a.Run, "rollback", plans...)
	defer a.Run.Close()
	strike(a.Run)
	return d.outcome(a, plans), true
}

func calm(*Run) {}

// heal ends all trouble.
func (d *drill) heal() {
	d.sim.ClearFaults()
	d.sim.AddToken(simrancher.Token{Key: simrancher.AdminToken, User: "user-npk46", Admin: true})
	d.wire.set(nil)
	d.full.Store(false)
	d.clock.mu.Lock()
	d.clock.onSleep = nil
	d.clock.mu.Unlock()
}

// is fails the test unless the store holds what was there before, with
// somebody's edit and, when patched, with what the plan said; and nothing else.
func (d *drill) is(patched bool, when string) {
	d.t.Helper()
	was, now := d.expected(), d.sim.Stored(drilled)
	if now == nil {
		d.t.Fatalf("%s: the cluster is gone", when)
	}
	if diff := cmp.Diff(withoutStatus(was), withoutStatus(now)); diff != "" {
		d.t.Errorf("%s: beside the config, there changed\n%s", when, diff)
	}
	var want, got []string
	if patched {
		for _, c := range d.plan.Changes {
			want = append(want, c.Path)
		}
	}
	for _, c := range rkeconfig.Compare(document(d.t, was), document(d.t, now)) {
		got = append(got, c.Path)
	}
	slices.Sort(want)
	if d.edit != nil && patched { // indices may have moved
		if !d.holdsPatch(drilled) || len(got) != len(want) {
			d.t.Errorf("%s: there changed %v, the plan said %v", when, got, want)
		}
		return
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("%s: there changed %v, the plan said %v", when, got, want)
	}
	if patched != d.holdsPatch(drilled) {
		d.t.Errorf("%s: holds the patch: %v, want %v", when, !patched, patched)
	}
}

func (d *drill) expected() object {
	was := maps.Clone(d.before)
	if d.edit != nil {
		was = simrancherCopy(was)
		d.edit(was)
	}
	return was
}

// simrancherCopy copies an object in depth.
func simrancherCopy(v object) object {
	out := object{}
	for k, e := range v {
		switch e := e.(type) {
		case object:
			out[k] = simrancherCopy(e)
		case []any:
			out[k] = slices.Clone(e)
		default:
			out[k] = e
		}
	}
	return out
}

// wire carries the requests; a hook may do something to them on the way.
type wire struct {
	mu   sync.Mutex
	hook func(*http.Request, func() (*http.Response, error)) (*http.Response, error)
}

func (w *wire) set(hook func(*http.Request, func() (*http.Response, error)) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	send := func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) }
	if hook == nil {
		return send()
	}
	return hook(r, send)
}

// outOfTime is what net/http says when an answer does not come in time.
type outOfTime struct{}

func (outOfTime) Error() string   { return "timeout awaiting response headers" }
func (outOfTime) Timeout() bool   { return true }
func (outOfTime) Temporary() bool { return true }

// on makes f happen to the first n requests of a kind; after says that Rancher
// has answered them by then.
func (w *wire) on(method, path string, n int, after bool, f func() error) {
	w.set(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		w.mu.Lock()
		hit := r.Method == method && strings.HasSuffix(r.URL.Path, path) && n > 0
		if hit {
			n--
		}
		w.mu.Unlock()
		if !hit {
			return send()
		}
		var resp *http.Response
		if after {
			var err error
			if resp, err = send(); err != nil {
				return nil, err
			}
		}
		if err := f(); err != nil {
			if resp != nil {
				resp.Body.Close()
			}
			return nil, err
		}
		if resp != nil {
			return resp, nil
		}
		return send()
	})
}

// disk is a file on a disk that may be full: half of what is written then
// arrives. It is not synced, which costs more than all else in a drill.
type disk struct {
	file
	full *atomic.Bool
}

func (f *disk) Sync() error { return nil }

func (f *disk) WriteAt(p []byte, at int64) (int, error) {
	if !f.full.Load() {
		return f.file.WriteAt(p, at)
	}
	n, err := f.file.WriteAt(p[:len(p)/2], at)
	if err != nil {
		return n, err
	}
	return n, syscall.ENOSPC
}
