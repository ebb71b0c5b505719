package fleet

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// revertAll takes the rig's run back on all clusters named, at once.
func (r *rig) revertAll(ids ...string) (plans []*ClusterPlan, outcomes []Outcome) {
	r.t.Helper()
	run, err := NewRun(r.t.TempDir(), epoch)
	if err != nil {
		r.t.Fatal(err)
	}
	defer run.Close()
	a := &Applier{
		Planner: r.planner, Run: run, Clock: r.clock.clock(), Parallel: len(ids), Timeout: r.timeout, Poll: r.poll,
		Revert: &Reverter{Planner: r.planner, Run: r.run},
		Say:    func(_, name, text string) {}, Done: func(Outcome) {},
	}
	if plans, err = a.Revert.Plan(r.t.Context(), ids); err != nil {
		r.t.Fatal(err)
	}
	if outcomes, err = a.Apply(r.t.Context(), plans); err != nil {
		r.t.Fatal(err)
	}
	return plans, outcomes
}

// On every demo cluster that can be patched, a rollback puts back what the run
// changed and moves nothing else in the whole object. Where something becomes
// empty, and only there, it takes ?_replace=true.
func TestRollbackOfTheDemoFleet(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	r.planner.API = kubelet.APIv1alpha1
	plans := slices.DeleteFunc(r.plan(Selection{All: true}), func(p *ClusterPlan) bool { return p.Action != ActionPatch || p.Template != nil })
	before := map[string]object{}
	var ids []string
	rewritten := map[string][]string{}
	for _, p := range plans {
		before[p.ID] = r.sim.Stored(p.ID)
		ids = append(ids, p.ID)
		rewritten[p.ID] = rewritePaths(p.Rewrites, false)
	}
	if _, err := r.apply(t.Context(), len(plans), plans...); err != nil {
		t.Fatal(err)
	}
	r.sim.ResetRequests()
	back, outcomes := r.revertAll(ids...)
	for i, o := range outcomes {
		if o.Status != StatusPatched || o.Message != "rolled back, every kubelet is as before" {
			t.Errorf("%s", o)
		}
		after := r.sim.Stored(o.ID)
		if d := cmp.Diff(withoutStatus(before[o.ID]), withoutStatus(after)); d != "" {
			t.Errorf("%s: beside the config, there changed\n%s", o.Name, d)
		}
		var got []string
		for _, c := range rkeconfig.Compare(document(t, before[o.ID]), document(t, after)) {
			got = append(got, c.Path)
		}
		if slices.Sort(got); !slices.Equal(got, rewritten[o.ID]) {
			t.Errorf("%s: there changed %v; what Rancher rewrites by itself is %v", o.Name, got, rewritten[o.ID])
		}
		replaced := r.count(http.MethodPut, "/v3/clusters/"+o.ID, "_replace=true")
		if all := r.count(http.MethodPut, "/v3/clusters/"+o.ID, ""); all != 1 || (replaced == 1) != back[i].emptied {
			t.Errorf("%s: %d PUTs, %d of them with ?_replace=true, something becomes empty: %v", o.Name, all, replaced, back[i].emptied)
		}
		args, _ := r.sim.Stored(o.ID)["rancherKubernetesEngineConfig"].(object)["services"].(object)["kubelet"].(object)["extraArgs"].(object)
		if was, _ := before[o.ID]["rancherKubernetesEngineConfig"].(object)["services"].(object)["kubelet"].(object)["extraArgs"].(object); len(was) == 0 && len(args) > 0 {
			t.Errorf("%s: extraArgs was empty and is %v", o.Name, args)
		}
	}
	emptied := 0
	for _, p := range back {
		if p.emptied {
			emptied++
		}
	}
	if emptied == 0 || emptied == len(back) {
		t.Errorf("%d of %d clusters needed ?_replace=true: both ways are to be seen", emptied, len(back))
	}
}

// What somebody has changed since is not taken back; the cluster is left alone.
func TestRollbackRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		path []string
		set  any
		says string
	}{
		{"an argument has another value", []string{"extraArgs", kubelet.FlagProviderBinDir}, "/opt/gcr/bin", "/opt/gcr/bin"},
		{"the container path is another bind's", []string{"extraBinds"}, []any{"/elsewhere:/opt/aws/bin"}, "/elsewhere:/opt/aws/bin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			if o := r.applyOne(r.planOf("c-aaaaa", ActionPatch)); o.Status != StatusPatched {
				t.Fatalf("%s", o)
			}
			r.edit("c-aaaaa", tt.path, tt.set)
			r.settle()
			was := r.sim.Stored("c-aaaaa")
			r.sim.ResetRequests()
			plans, outcomes := r.revertAll("c-aaaaa")
			if f, ok := find(plans[0].Findings, "changed-since"); !ok || !strings.Contains(f.Message, tt.says) || f.Todo == "" {
				t.Errorf("%+v", plans[0].Findings)
			}
			if o := outcomes[0]; o.Status != StatusBlocked || r.puts() != 0 || cmp.Diff(was, r.sim.Stored("c-aaaaa")) != "" {
				t.Errorf("%s, %d PUTs", o, r.puts())
			}
		})
	}
}

// An edit between the plan of a rollback and its turn is seen, too.
func TestRollbackStale(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	if o := d.attempt(); o.Status != StatusPatched {
		t.Fatalf("%s", o)
	}
	o, _ := d.rollback(func(*Run) { d.rig.edit(drilled, []string{"extraArgs", kubelet.FlagProviderBinDir}, "/opt/gcr/bin") })
	if o.Status != StatusBlocked || d.puts() != 0 || !strings.Contains(o.Message, "changed-since") {
		t.Errorf("%s, %d PUTs", o, d.puts())
	}
	if d.record().Clusters[drilled].RolledBack != "" {
		t.Error("the journal says that it was rolled back")
	}
}

// A rollback works while the update has failed, hangs, was never noticed or has a
// worker that does not come up. It comes to an end each time, and does not claim
// what nobody can see.
func TestRollbackOfAnUpdateInTrouble(t *testing.T) {
	const unseen = "c-aaaaa-cp-1 may still run with it, look at each with docker inspect kubelet"
	for _, tt := range []struct {
		name   string
		script simrancher.Script
		then   simrancher.Script // from the rollback on
		status Status
		says   string
		within time.Duration
	}{
		{"RKE failed early", simrancher.Fail{Message: "[etcd] not healthy"}, simrancher.Succeed{}, StatusPatched, unseen, 5 * time.Minute},
		{"RKE failed in the update", simrancher.Fail{Message: "not healthy", Condition: "Updated"}, simrancher.Succeed{}, StatusPatched, unseen, 5 * time.Minute},
		{"RKE hangs", simrancher.Hang{}, simrancher.Succeed{}, StatusFailed, unseen, 7 * time.Minute},
		{"Rancher never noticed", simrancher.NeverNotice{}, simrancher.Succeed{}, StatusPatched, "every kubelet is as before", time.Minute},
		{"a worker is stuck and stays so", simrancher.WorkerStuck{Node: "c-aaaaa-worker-1"}, simrancher.WorkerStuck{Node: "c-aaaaa-worker-1"}, StatusFailed, "c-aaaaa-worker-1", 12 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.timeout = 10 * time.Minute
			before := r.sim.Stored("c-aaaaa")
			p := r.planOf("c-aaaaa", ActionPatch)
			r.sim.Script("c-aaaaa", tt.script)
			if o := r.applyOne(p); o.Status != StatusFailed || !o.Stored || !strings.HasPrefix(o.Next, "rkepatch rollback") {
				t.Fatalf("%s", o)
			}
			r.sim.Script("c-aaaaa", tt.then)
			_, outcomes := r.revertAll("c-aaaaa")
			o := outcomes[0]
			if o.Status != tt.status || !strings.Contains(o.Message, tt.says) || o.Duration > tt.within {
				t.Errorf("%s, after %s; want %s within %s and %q", o, o.Duration, tt.status, tt.within, tt.says)
			}
			if tt.says == unseen && strings.Contains(o.Message, "every kubelet") || tt.status == StatusFailed && o.Next == "" {
				t.Errorf("claims too much, or does not say how to go on: %s", o)
			}
			if c := rkeconfig.Compare(document(t, before), document(t, r.sim.Stored("c-aaaaa"))); len(c) > 0 {
				t.Errorf("not as before: %v", c)
			}
			if record, err := LoadRun(stateOf(r.run), r.run.ID); err == nil && record.Clusters["c-aaaaa"].RolledBack == "" {
				t.Error("the journal does not know of the rollback")
			}
		})
	}
}

// A rollback while the workers are being rolled: one has the change, another one
// does not yet.
func TestRollbackHalfWay(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.poll = time.Second
	before := r.sim.Stored("c-aaaaa")
	p := r.planOf("c-aaaaa", ActionPatch)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.clock.onSleep = func(int) {
		if r.hasSaid("1/2 workers rolled") {
			cancel()
		}
	}
	if outcomes, err := r.apply(ctx, 1, p); err != nil || outcomes[0].Status != StatusInFlight {
		t.Fatalf("%v, %v", outcomes, err)
	}
	r.clock.onSleep = nil
	if _, back := r.revertAll("c-aaaaa"); back[0].Status != StatusPatched || back[0].Message != "rolled back, every kubelet is as before" {
		t.Errorf("%s", back[0])
	}
	if c := rkeconfig.Compare(document(t, before), document(t, r.sim.Stored("c-aaaaa"))); len(c) > 0 {
		t.Errorf("not as before: %v", c)
	}
}

func stateOf(run *Run) string { return run.Dir[:strings.LastIndex(run.Dir, "/"+runsDir+"/")] }

func TestRollbackOnFailure(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fail   func(*drill)
		puts   int
		back   bool // it was stored, and taken back
		says   string
		stored bool
	}{
		{"RKE fails", func(d *drill) { d.sim.Script(drilled, simrancher.Fail{Message: "not healthy"}) }, 2, true, "the change was taken back: ", false},
		{"nothing was stored", func(d *drill) {
			d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/", Status: 403})
		}, 1, false, "forbidden", false},
		{"the rollback is refused, too", func(d *drill) {
			d.sim.Script(drilled, simrancher.Fail{Message: "not healthy"})
			d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/", Skip: 1, Status: 403})
		}, 2, false, "taking the change back failed, too", true},
		{"nobody knows about the rollback", func(d *drill) {
			d.sim.Script(drilled, simrancher.Fail{Message: "not healthy"})
			d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/", Skip: 1, Status: 502})
		}, 2, false, "taking the change back failed, too", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDrill(t, simrancher.Cluster{})
			tt.fail(d)
			a := d.applier(d.run, d.planner)
			a.RollbackOnFailure = true
			d.sim.ResetRequests()
			outcomes, err := a.Apply(t.Context(), []*ClusterPlan{d.plan})
			if err != nil {
				t.Fatal(err)
			}
			o := outcomes[0]
			if o.Status != StatusFailed || o.Stored != tt.stored || !strings.Contains(o.Message, tt.says) || o.Next == "" || d.puts() != tt.puts {
				t.Errorf("%s, %d PUTs; want stored %v, %d PUTs and %q", o, d.puts(), tt.stored, tt.puts, tt.says)
			}
			d.is(tt.stored, "after it")
			if got := d.record().Clusters[drilled].RolledBack; (got != "") != tt.back {
				t.Errorf("the journal says rolled back by %q", got)
			}
			d.heal()
			if _, any := d.rollback(calm); any != tt.stored && tt.back {
				t.Errorf("something to take back: %v", any)
			}
		})
	}
}

// Somebody has put the config back by hand while Rancher was at the change:
// "as before" is said of the nodes only once it is seen.
func TestRollbackOfWhatIsBackAlready(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script simrancher.Script
		status Status
		says   string
	}{
		{"all went well", simrancher.Succeed{}, StatusUnchanged, "its config was as before already"},
		{"RKE had failed in between", simrancher.Fail{Message: "not healthy", Condition: "Updated"}, StatusUnchanged, "may still run with it"},
		{"a worker does not come up", simrancher.WorkerStuck{Node: "c-aaaaa-worker-1"}, StatusFailed, "c-aaaaa-worker-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.timeout = 10 * time.Minute
			before := r.kubeletOf("c-aaaaa")
			r.sim.Script("c-aaaaa", tt.script)
			r.applyOne(r.planOf("c-aaaaa", ActionPatch))
			if _, failed := tt.script.(simrancher.Fail); failed {
				r.sim.Script("c-aaaaa", simrancher.Succeed{})
			}
			r.edit("c-aaaaa", []string{"extraArgs"}, before["extraArgs"])
			r.edit("c-aaaaa", []string{"extraBinds"}, before["extraBinds"])
			r.sim.ResetRequests()
			_, outcomes := r.revertAll("c-aaaaa")
			o := outcomes[0]
			if o.Status != tt.status || !strings.Contains(o.Message, tt.says) || r.puts() != 0 {
				t.Errorf("%s, %d PUTs; want %s and %q", o, r.puts(), tt.status, tt.says)
			}
			if tt.status == StatusUnchanged && o.Stored {
				t.Errorf("%s says that something is stored", o)
			}
		})
	}
}

// Clusters that are back already have their turns like others: side by side, and
// each is told of.
func TestRollbackOfManyThatAreBack(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"}, simrancher.Cluster{ID: "c-bbbbb"}, simrancher.Cluster{ID: "c-ccccc"})
	ids := []string{"c-aaaaa", "c-bbbbb", "c-ccccc"}
	before := map[string]map[string]any{}
	for _, id := range ids {
		before[id] = r.kubeletOf(id)
	}
	if _, err := r.apply(t.Context(), 3, r.plan(Selection{Names: ids})...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		r.edit(id, []string{"extraArgs"}, before[id]["extraArgs"])
		r.edit(id, []string{"extraBinds"}, before[id]["extraBinds"])
	}
	run, err := NewRun(t.TempDir(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	var told []Outcome
	a := &Applier{
		Planner: r.planner, Run: run, Clock: r.clock.clock(), Parallel: 1, Timeout: r.timeout, Poll: r.poll,
		Revert: &Reverter{Planner: r.planner, Run: r.run}, Say: func(_, _, _ string) {}, Done: func(o Outcome) { told = append(told, o) },
	}
	plans, err := a.Revert.Plan(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := a.Apply(t.Context(), plans)
	if err != nil || len(told) != 3 {
		t.Errorf("%v, %v; told of %d", outcomes, err, len(told))
	}
}

// The PUT was never answered and no read either: finding the config as before
// later does not say that the change cannot come any more.
func TestRollbackOnFailureInDoubt(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/", Status: http.StatusGatewayTimeout})
	d.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters/" + drilled, Skip: 1, Count: looks, Status: http.StatusServiceUnavailable})
	a := d.applier(d.run, d.planner)
	a.RollbackOnFailure = true
	o := d.outcome(a, []*ClusterPlan{d.plan})
	if o.Status != StatusFailed || !o.Unsure || !o.Stored || !strings.Contains(o.Message, "may still be changed") {
		t.Errorf("%s, unsure %v", o, o.Unsure)
	}
	if by := d.record().Clusters[drilled].RolledBack; by != "" {
		t.Errorf("the journal says that run %s rolled it back", by)
	}
}

// The answer to a ?_replace=true is lost: what else moved with it is seen all the
// same.
func TestRollbackLostReplace(t *testing.T) {
	for _, moved := range []bool{false, true} {
		r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
		if o := r.applyOne(r.planOf("c-aaaaa", ActionPatch)); o.Status != StatusPatched {
			t.Fatalf("%s", o)
		}
		r.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/c-aaaaa", Lost: true})
		// After the reads of the plan, of its turn and the two ahead of the PUT.
		r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters/c-aaaaa", Skip: 4, Count: 1, Before: func() {
			if moved {
				r.sim.Edit("c-aaaaa", func(cluster map[string]any) { cluster["description"] = "moved" })
			}
		}})
		plans, outcomes := r.revertAll("c-aaaaa")
		o := outcomes[0]
		switch {
		case !plans[0].emptied:
			t.Fatal("this rollback takes no ?_replace=true")
		case !moved && o.Status != StatusPatched:
			t.Errorf("%s", o)
		case moved && (o.Status != StatusFailed || !strings.Contains(o.Message, "description")):
			t.Errorf("%s: the description has moved and nobody says so", o)
		}
	}
}
