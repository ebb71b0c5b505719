package fleet

import (
	"net/http"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rkeconfig"
)

// Rancher is done, then a worker's kubelet turns out to be dead. Rancher takes no
// update while it is: a rollback says so, or raises the upgrade strategy for as
// long as it takes, and puts it back.
func TestRollbackWithADeadWorker(t *testing.T) {
	for _, raise := range []bool{false, true} {
		r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
		before := r.sim.Stored("c-aaaaa")
		if o := r.applyOne(r.planOf("c-aaaaa", ActionPatch)); o.Status != StatusPatched {
			t.Fatalf("%s", o)
		}
		r.sim.LoseNode("c-aaaaa", "c-aaaaa-worker-1")
		r.sim.ResetRequests()
		run, err := NewRun(t.TempDir(), epoch)
		if err != nil {
			t.Fatal(err)
		}
		a := &Applier{
			Planner: r.planner, Run: run, Clock: r.clock.clock(), Parallel: 1, Timeout: r.timeout, Poll: r.poll, RaiseUnavailable: raise,
			Revert: &Reverter{Planner: r.planner, Run: r.run}, Say: func(_, _, text string) { t.Log(text) }, Done: func(Outcome) {},
		}
		plans, err := a.Revert.Plan(t.Context(), []string{"c-aaaaa"})
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := a.Apply(t.Context(), plans)
		run.Close()
		if err != nil {
			t.Fatal(err)
		}
		o := outcomes[0]
		if !raise {
			if o.Status != StatusFailed || !strings.Contains(o.Message, "--raise-max-unavailable") || o.Stored || r.puts() != 1 || !r.holdsPatch("c-aaaaa") {
				t.Errorf("%s, %d PUTs", o, r.puts())
			}
			continue
		}
		if o.Status != StatusPatched || r.puts() != 3 || strings.Contains(o.Message, "still raised") {
			t.Errorf("%s, %d PUTs, want three: refused, raised, put back", o, r.puts())
		}
		if c := rkeconfig.Compare(document(t, before), document(t, r.sim.Stored("c-aaaaa"))); len(c) > 0 {
			t.Errorf("not as before: %v", c)
		}
	}
}

// The strategy could not be put back: that is no good end, and what is left to do
// is said with the value that it had. Should the program die in between, the
// journal has that value, too.
func TestRollbackLeavesTheStrategyRaised(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	d.attempt()
	d.sim.LoseNode(drilled, drilled+"-worker-1")
	d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/", Skip: 2, Status: 403})
	run, err := NewRun(d.stateDir(), d.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	a := d.applier(run, d.planner)
	a.Revert, a.RaiseUnavailable = &Reverter{Planner: d.planner, Run: d.run}, true
	var said strings.Builder
	a.Say = func(_, _, text string) { said.WriteString(text + "\n") }
	plans, err := a.Revert.Plan(t.Context(), []string{drilled})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := a.Apply(t.Context(), plans)
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Status != StatusFailed || !o.Stored || !strings.Contains(o.Message, "maxUnavailableWorker to 10% in Rancher") || o.Next == "" {
		t.Errorf("%s", o)
	}
	if !strings.Contains(said.String(), "maxUnavailableWorker 2 instead of 10%") {
		t.Errorf("said %q", said.String())
	}
}
