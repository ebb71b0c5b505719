package fleet

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// The PUT's answer is lost and found late: a kubelet that was restarted meanwhile
// was restarted by this change.
func TestVerifySinceThePut(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	var stored time.Time
	d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Count: 1, AfterStore: true, Status: 504, Before: func() { stored = d.clock.Now() }})
	d.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters/" + drilled, Skip: 2, Count: 4, Status: 503})
	n := &watchedNodes{}
	a := d.applier(d.run, d.planner)
	a.Nodes = n
	if o := d.outcome(a, []*ClusterPlan{d.plan}); o.Status != StatusPatched || n.since.IsZero() || n.since.After(stored) {
		t.Errorf("%s; stored at %s, verified since %s", o, stored, n.since)
	}
}

// A patch without the provider's flags: nobody claims to have seen anything.
func TestVerifyClaimsNothingUnseen(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.planner.Patch = rkeconfig.Patch{Args: map[string]string{"max-pods": "250"}}
	p := r.planOf("c-aaaaa", ActionPatch)
	a := &Applier{
		Planner: r.planner, Run: r.run, Clock: r.clock.clock(), Parallel: 1, Timeout: r.timeout, Poll: r.poll,
		Nodes: &NodeLook{Rancher: r.planner.Rancher, Clock: r.clock.clock()}, Say: func(_, _, _ string) {}, Done: func(Outcome) {},
	}
	outcomes, err := a.Apply(t.Context(), []*ClusterPlan{p})
	if err != nil || outcomes[0].Status != StatusPatched || strings.Contains(outcomes[0].Message, "seen") {
		t.Errorf("%v, %v", outcomes, err)
	}
}

// interruptedVerify ends the run while it looks at the running kubelets.
type interruptedVerify struct {
	watchedNodes
	cancel func()
}

func (n *interruptedVerify) Verify(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document, since time.Time) ([]Finding, bool) {
	n.cancel()
	return n.watchedNodes.Verify(ctx, cl, doc, since)
}

// Ctrl-C during the last look hides nothing: what was seen is a failure, what was
// not seen is looked at by whoever resumes.
func TestVerifyInterrupted(t *testing.T) {
	down := []Finding{{Code: "kubelet-not-found", Severity: Block, Message: "1 of 3 nodes (worker-1)"}}
	for _, tt := range []struct {
		found  []Finding
		status Status
	}{{down, StatusFailed}, {nil, StatusInFlight}} {
		d := newDrill(t, simrancher.Cluster{})
		ctx, cancel := context.WithCancel(t.Context())
		a := d.applier(d.run, d.planner)
		a.Nodes = &interruptedVerify{watchedNodes{verify: tt.found}, cancel}
		outcomes, err := a.Apply(ctx, []*ClusterPlan{d.plan})
		cancel()
		if err != nil || outcomes[0].Status != tt.status || !outcomes[0].Stored || outcomes[0].Next == "" {
			t.Errorf("%v, %v, want %s", outcomes, err, tt.status)
		}
		if d.record().Clusters[drilled].Settled() {
			t.Errorf("%s: a resumed run would not look again", outcomes[0])
		}
	}
}

// A cluster that was sent, and that cannot be read for a moment when the run is
// resumed, is neither ready nor blocked: its turn tells.
func TestCheckPlansWithoutAnAnswer(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	d.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters/" + drilled, Count: 1, Status: 503})
	look := &NodeLook{Rancher: d.planner.Rancher, Clock: d.clock.clock()}
	var got []Checked
	if err := look.CheckPlans(t.Context(), d.planner, []*ClusterPlan{d.plan}, 4, func(c Checked) { got = append(got, c) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Looked || got[0].Plan.Action != ActionPatch {
		t.Errorf("%+v", got)
	}
}

// What was found on the nodes is of the moment: the plan stays as it was made.
func TestCheckPlansLeavesThePlan(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	before := len(d.plan.Findings)
	look := &NodeLook{Rancher: d.planner.Rancher, Clock: d.clock.clock()} // no Kubernetes API behind it
	var got Checked
	if err := look.CheckPlans(t.Context(), d.planner, []*ClusterPlan{d.plan}, 1, func(c Checked) { got = c }); err != nil {
		t.Fatal(err)
	}
	if !got.Looked || got.Plan.Action != ActionBlocked || len(got.Plan.Findings) != before+1 {
		t.Errorf("%+v", got)
	}
	if d.plan.Action != ActionPatch || len(d.plan.Findings) != before {
		t.Errorf("the plan itself is %s now, with %d findings", d.plan.Action, len(d.plan.Findings))
	}
	a := d.applier(d.run, d.planner)
	a.PlanFlags, a.NodeFlags = " --url https://rancher.example.com", " --for-version 1.30"
	outcomes, err := a.Apply(t.Context(), []*ClusterPlan{got.Plan})
	if err != nil || outcomes[0].Status != StatusBlocked || outcomes[0].Next != "rkepatch nodes check --url https://rancher.example.com --for-version 1.30 "+drilled {
		t.Errorf("%v, %v", outcomes, err)
	}
}

// The cluster lists fewer nodes than Rancher has, or none: unknown is not good.
func TestNodesThatAreMissing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind := "PodList"
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			kind = "NodeList"
		}
		fmt.Fprintf(w, `{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`, kind)
	}))
	defer server.Close()
	client, err := rancher.New(rancher.Options{URL: server.URL, Token: "token-x:y"})
	if err != nil {
		t.Fatal(err)
	}
	look := &NodeLook{Rancher: client, Clock: SystemClock()}
	doc, err := rkeconfig.ParseDocument([]byte(`{"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":{"extraArgs":{"image-credential-provider-config":"/opt/c","image-credential-provider-bin-dir":"/opt/b"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	cl := &rancher.Cluster{ID: "c-aaaaa", NodeCount: 3}
	if found := look.Check(t.Context(), cl, doc); len(found) != 1 || found[0].Code != "nodes-missing" || found[0].Severity != Block {
		t.Errorf("%+v", found)
	}
	if found, looked := look.Verify(t.Context(), cl, doc, time.Time{}); looked || len(found) != 1 || found[0].Severity != Warn {
		t.Errorf("looked %v: %+v", looked, found)
	}
}

// Rancher's own word: the control plane's applied config, and every worker's plan.
func TestAppliedFindings(t *testing.T) {
	codesOf := func(found []Finding) (out []string) {
		for _, f := range found {
			out = append(out, f.Code)
		}
		return out
	}
	for _, tt := range []struct {
		name  string
		apply simrancher.Script
		edit  bool
		fault *simrancher.Fault
		want  string
	}{
		{"all is applied", simrancher.Succeed{}, false, nil, "[]"},
		{"a worker did not take its plan", simrancher.WorkerStuck{Node: "c-aaaaa-worker-1"}, false, nil, "[node-plan-behind]"},
		{"RKE hangs", simrancher.Hang{}, false, nil, "[rancher-not-applied node-plan-behind]"},
		{"the config was changed and not rolled out", simrancher.NeverNotice{}, true, nil, "[rancher-not-applied node-plan-behind]"},
		{"nodes may not be listed", simrancher.Succeed{}, false, &simrancher.Fault{Path: "/v3/nodes", Status: 403}, "[node-plans-unread]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.timeout = 10 * time.Minute
			r.sim.Script("c-aaaaa", tt.apply)
			r.applyOne(r.planOf("c-aaaaa", ActionPatch))
			if tt.edit {
				r.edit("c-aaaaa", []string{"extraArgs", "max-pods"}, "99")
			}
			if tt.fault != nil {
				r.sim.Inject(*tt.fault)
			}
			cl, err := r.planner.Rancher.Cluster(t.Context(), "c-aaaaa")
			if err != nil {
				t.Fatal(err)
			}
			l := &NodeLook{Rancher: r.planner.Rancher, Clock: r.clock.clock()}
			if got := fmt.Sprint(codesOf(l.appliedFindings(t.Context(), r.planner.Patch, cl))); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// What a run sent last is known to whoever verifies, by server and cluster.
func TestLastSent(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	began := d.clock.Now()
	d.attempt()
	sent, err := LastSent(d.stateDir(), d.planner.Rancher.URL(), func(string) {})
	if err != nil || sent[drilled].Before(began) || len(sent) != 1 {
		t.Errorf("%v, %v; began at %s", sent, err, began)
	}
	if other, err := LastSent(d.stateDir(), "https://another.example.com", func(string) {}); err != nil || len(other) != 0 {
		t.Errorf("%v, %v", other, err)
	}
}

// The nodes are judged by the provider API of the plan.
func TestVisitAsksByThePlan(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.planner.API = kubelet.APIv1alpha1
	look := &NodeLook{Rancher: r.planner.Rancher, Clock: r.clock.clock()}
	var asked []Ask
	for _, err := range look.Visit(t.Context(), r.planner, Selection{All: true}, func(_ context.Context, _ *nodes.Checker, a Ask) ([]nodes.NodeReport, error) {
		asked = append(asked, a)
		return nil, nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(asked) != 1 || asked[0].Query.ProviderAPI != kubelet.APIv1alpha1 || asked[0].Query.BinDir != kubelet.DefaultBinDir {
		t.Errorf("%+v", asked)
	}
}
