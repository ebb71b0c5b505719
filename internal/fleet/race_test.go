package fleet

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v, want ErrLocked that names the directory and --state-dir", err)
	}
	other, err := Lock(t.TempDir())
	if err != nil {
		t.Errorf("another directory: %v", err)
	}
	other()
	release()
	if release, err = Lock(dir); err != nil {
		t.Fatalf("after it was released: %v", err)
	}
	release()
}

// Two runs with two state directories on one cluster, both of which have read it
// when the first PUT arrives.
func TestTwoRunsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		patch rkeconfig.Patch // of the second run
		check func(t *testing.T, first, second Outcome, kubelet object)
	}{
		{"with the same patch", ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig), func(t *testing.T, first, second Outcome, k object) {
			if first.Status != StatusPatched || second.Status != StatusPatched {
				t.Errorf("%s; %s", first, second)
			}
			if binds, _ := k["extraBinds"].([]any); len(binds) != 2 {
				t.Errorf("binds %v", binds)
			}
		}},
		{"with another one", rkeconfig.Patch{Args: map[string]string{"max-pods": "200"}}, func(t *testing.T, first, second Outcome, k object) {
			// Rancher has no version tokens: the later PUT stands, and the other
			// run sees it and says so.
			args, _ := k["extraArgs"].(object)
			lost := first
			if args["max-pods"] == nil {
				lost = second
			}
			if !(lost.Status == StatusStale && errors.Is(lost.Err, ErrStale)) && !(lost.Status == StatusFailed && strings.Contains(lost.Message, "not stored as sent")) {
				t.Errorf("whose change is lost does not hear of it: %s; %s; %v", first, second, args)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			before := r.sim.Stored("c-aaaaa")
			other := *r.planner
			other.Patch = tt.patch
			run, err := NewRun(t.TempDir(), epoch)
			if err != nil {
				t.Fatal(err)
			}
			plan := r.planOf("c-aaaaa", ActionPatch)
			var second *ClusterPlan
			for p, err := range other.Plan(t.Context(), Selection{All: true}) {
				if err != nil {
					t.Fatal(err)
				}
				second = p
			}
			met := r.meetingOfPuts(2)
			outcomes := make([]Outcome, 2)
			var both sync.WaitGroup
			for i, a := range []*Applier{
				{Planner: r.planner, Run: r.run}, {Planner: &other, Run: run},
			} {
				a.Clock, a.Parallel, a.Timeout, a.Poll = r.clock.clock(), 1, r.timeout, r.poll
				a.Say, a.Done = func(string, string, string) {}, func(Outcome) {}
				p := []*ClusterPlan{plan, second}[i]
				both.Go(func() {
					out, err := a.Apply(t.Context(), []*ClusterPlan{p})
					if err != nil {
						t.Error(err)
						return
					}
					outcomes[i] = out[0]
				})
			}
			both.Wait()
			if !met() {
				t.Fatal("the two PUTs did not meet")
			}
			r.settle()
			tt.check(t, outcomes[0], outcomes[1], r.kubeletOf("c-aaaaa"))
			if tt.name != "with the same patch" {
				return
			}
			r.revertAll("c-aaaaa")
			if c := rkeconfig.Compare(document(t, before), document(t, r.sim.Stored("c-aaaaa"))); len(c) > 0 {
				t.Errorf("one of them rolled back: %v", c)
			}
			r.run = run
			if _, back := r.revertAll("c-aaaaa"); back[0].Status != StatusUnchanged {
				t.Errorf("the other rolled back: %s", back[0])
			}
		})
	}
}

// A run on a cluster that another run has patched meanwhile has nothing to do.
func TestRunAfterAnother(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	if o := r.applyOne(p); o.Status != StatusPatched {
		t.Fatalf("%s", o)
	}
	run, err := NewRun(t.TempDir(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	r.run = run
	r.sim.ResetRequests()
	if o := r.applyOne(p); o.Status != StatusUnchanged || r.puts() != 0 || !strings.Contains(o.Message, "somebody else") {
		t.Errorf("%s, %d PUTs", o, r.puts())
	}
}

// What Rancher cannot guard against, having no version tokens: an edit of the
// config in the moment between the GET and the PUT is written over
// (rancher-api.md 7). It takes nothing else with it, and what was read is on the
// disk. An edit outside the config survives: TestFaults.
func TestFaultsLostEdit(t *testing.T) {
	for _, path := range [][]string{{"extraArgs", "max-pods"}, {"extraArgs", kubelet.FlagProviderBinDir}} {
		d := newDrill(t, simrancher.Cluster{})
		d.wire.on(http.MethodPut, "/v3/clusters/"+drilled, 1, false, func() error {
			d.rig.edit(drilled, path, "250")
			return nil
		})
		if o := d.attempt(); o.Status != StatusPatched {
			t.Errorf("%s", o)
		}
		d.is(true, "afterwards")
		d.heal()
		if o, _ := d.rollback(calm); o.Status != StatusPatched {
			t.Errorf("%s", o)
		}
		d.is(false, "rolled back")
	}
}

// The disk fills up at each single write of the journal: before the PUT nothing
// is sent; after it the outcome is told, and that it could not be noted. From
// each, both ways lead out.
func TestFaultsJournalFull(t *testing.T) {
	writes := 0
	for n := 1; n <= 50; n++ {
		for _, way := range []string{"resume", "rollback"} {
			d := newDrill(t, simrancher.Cluster{})
			late := &lateDisk{file: d.run.journal.f, left: n - 1}
			d.run.journal.f = late
			o := d.attempt()
			if !late.struck.Load() {
				writes = n - 1
				break
			}
			patched := d.puts() == 1
			d.is(patched, "full")
			switch {
			case patched && (o.Status != StatusPatched || !strings.Contains(o.Message, "could not be noted")):
				t.Errorf("write %d: %s", n, o)
			case !patched && (o.Status != StatusFailed || o.Stored || !errors.Is(o.Err, ErrState) || !strings.HasPrefix(o.Next, "rkepatch apply --resume")):
				t.Errorf("write %d: %s", n, o)
			}
			if way == "resume" {
				if o := d.resume(); o.Status != StatusPatched {
					t.Errorf("write %d, resumed: %s", n, o)
				}
				d.is(true, "resumed")
				continue
			}
			if o, any := d.rollback(calm); any != patched || any && o.Status != StatusPatched {
				t.Errorf("write %d, rolled back: %s", n, o)
			}
			d.is(false, "rolled back")
		}
		if writes > 0 {
			break
		}
	}
	if writes < 6 {
		t.Errorf("the journal of one cluster took %d writes", writes)
	}
}

// lateDisk is full after so many writes, for good.
type lateDisk struct {
	file
	left   int
	struck atomic.Bool
}

func (f *lateDisk) WriteAt(p []byte, at int64) (int, error) {
	if f.left > 0 {
		f.left--
		return f.file.WriteAt(p, at)
	}
	f.struck.Store(true)
	var full atomic.Bool
	full.Store(true)
	return (&disk{f.file, &full}).WriteAt(p, at)
}
