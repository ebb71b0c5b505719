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
	"rkepatch/internal/nodes"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// watchedNodes is a NodeCheck that answers as it is told and remembers what was
// asked.
type watchedNodes struct {
	check, verify []Finding
	onCheck       func()
	args          map[string]string // of the document that was checked
	since         time.Time
	blind         bool
	asked         []string
}

func (n *watchedNodes) Check(_ context.Context, cl *rancher.Cluster, doc rkeconfig.Document) []Finding {
	n.asked, n.args = append(n.asked, "check "+cl.ID), doc.ExtraArgs()
	if n.onCheck != nil {
		n.onCheck()
	}
	return n.check
}

func (n *watchedNodes) Verify(_ context.Context, cl *rancher.Cluster, _ rkeconfig.Document, since time.Time) ([]Finding, bool) {
	n.asked, n.since = append(n.asked, "verify "+cl.ID), since
	return n.verify, !n.blind
}

// The nodes are looked at right before the PUT and once Rancher is done. What is
// wrong there stops the cluster, or makes it a failure.
func TestApplyLooksAtTheNodes(t *testing.T) {
	missing := []Finding{{Code: "kubelet-refuses", Severity: Block, Message: "1 of 3 nodes (worker-1): no such file", Todo: "install it"}}
	doubtful := []Finding{{Code: "in-doubt", Severity: Warn, Message: "something else"}}
	for _, tt := range []struct {
		name   string
		nodes  *watchedNodes
		edit   bool // somebody changes the cluster during the check
		back   bool // --rollback-on-failure
		status Status
		says   string
		puts   int
		stored bool
		asked  []string
	}{
		{"all is well", &watchedNodes{}, false, false, StatusPatched, "as seen on its node", 1, true, []string{"check c-aaaaa", "verify c-aaaaa"}},
		{"a warning does not stop it", &watchedNodes{check: doubtful}, false, false, StatusPatched, "as seen on its node", 1, true, []string{"check c-aaaaa", "verify c-aaaaa"}},
		{"the provider is missing", &watchedNodes{check: missing}, false, false, StatusBlocked, "kubelet-refuses: 1 of 3 nodes", 0, false, []string{"check c-aaaaa"}},
		{"somebody changed it during the check", &watchedNodes{}, true, false, StatusStale, "1.27", 0, false, []string{"check c-aaaaa"}},
		{"a kubelet runs without it", &watchedNodes{verify: missing}, false, false, StatusFailed, "Rancher is done, but kubelet-refuses", 1, true, []string{"check c-aaaaa", "verify c-aaaaa"}},
		{"and it is taken back", &watchedNodes{verify: missing}, false, true, StatusFailed, "the change was taken back", 2, false, []string{"check c-aaaaa", "verify c-aaaaa"}},
		{"it could not be verified wholly", &watchedNodes{verify: doubtful}, false, false, StatusPatched, "in-doubt: something else", 1, true, []string{"check c-aaaaa", "verify c-aaaaa"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDrill(t, simrancher.Cluster{})
			tt.nodes.onCheck = func() {
				if d.puts() > 0 {
					t.Error("looked at the nodes after the PUT")
				}
				if tt.edit {
					d.sim.Edit(drilled, func(cluster map[string]any) {
						put(cluster, "v1.27.16-rancher1-1", "rancherKubernetesEngineConfig", "kubernetesVersion")
					})
				}
			}
			a := d.applier(d.run, d.planner)
			a.Nodes, a.RollbackOnFailure = tt.nodes, tt.back
			d.sim.ResetRequests()
			began := d.clock.Now()
			outcomes, err := a.Apply(t.Context(), []*ClusterPlan{d.plan})
			if err != nil {
				t.Fatal(err)
			}
			o := outcomes[0]
			if o.Status != tt.status || o.Stored != tt.stored || !strings.Contains(o.Message, tt.says) || d.puts() != tt.puts {
				t.Errorf("%s, %d PUTs; want %s, stored %v, %d PUTs, %q", o, d.puts(), tt.status, tt.stored, tt.puts, tt.says)
			}
			if !slices.Equal(tt.nodes.asked, tt.asked) || tt.nodes.args[kubelet.FlagProviderBinDir] != kubelet.DefaultBinDir {
				t.Errorf("asked %v about %v, want %v about what would be stored", tt.nodes.asked, tt.nodes.args, tt.asked)
			}
			if len(tt.asked) == 2 && tt.nodes.since.Before(began) {
				t.Errorf("verified since %s, began at %s", tt.nodes.since, began)
			}
			if tt.status == StatusBlocked && (o.Next != "rkepatch nodes check "+drilled || len(o.Findings) != 1) {
				t.Errorf("%s, findings %v", o, o.Findings)
			}
		})
	}
}

// A rollback must work on nodes that are in trouble: they are not looked at.
func TestRollbackDoesNotLookAtTheNodes(t *testing.T) {
	d := newDrill(t, simrancher.Cluster{})
	d.attempt()
	run, err := NewRun(d.stateDir(), d.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	a := d.applier(run, d.planner)
	seen := &watchedNodes{check: []Finding{{Code: "x", Severity: Block}}}
	a.Nodes, a.Revert = seen, &Reverter{Planner: d.planner, Run: d.run}
	plans, err := a.Revert.Plan(t.Context(), []string{drilled})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := a.Apply(t.Context(), plans)
	if err != nil || outcomes[0].Status != StatusPatched || len(seen.asked) != 0 {
		t.Errorf("%v, %v, asked %v", outcomes, err, seen.asked)
	}
}

func TestNodeFindings(t *testing.T) {
	refuses := nodes.Finding{Code: "kubelet-refuses", Level: kubelet.Fatal, Message: "no such file", Todo: "install it"}
	wide := nodes.Finding{Code: "pattern-wide", Level: kubelet.Caution, Message: "* matches everything", Todo: "be narrower"}
	windows := nodes.Finding{Code: "windows-node", Level: kubelet.Note, Message: "left out", Todo: "nothing"}
	got := NodeFindings([]nodes.NodeReport{
		{Name: "b", Findings: []nodes.Finding{wide, refuses, wide}},
		{Name: "a", Findings: []nodes.Finding{refuses}},
		{Name: "w", Findings: []nodes.Finding{windows}},
	})
	want := []Finding{
		{Code: "kubelet-refuses", Severity: Block, Message: "2 of 3 nodes (a, b): no such file", Todo: "install it"},
		{Code: "pattern-wide", Severity: Warn, Message: "1 of 3 nodes (b): * matches everything", Todo: "be narrower"},
		{Code: "windows-node", Severity: Info, Message: "1 of 3 nodes (w): left out", Todo: "nothing"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What the check looks for is what the kubelet will be told, at the places that
// its container will see, for the version that the cluster is on its way to.
func TestQueryFor(t *testing.T) {
	for _, tt := range []struct{ version, forVersion, want string }{
		{"v1.26.15-rancher1-1", "", "1.27"}, {"v1.28.9-rancher1-1", "", "1.28"}, {"v1.26.15-rancher1-1", "1.30", "1.30"}, {"v1.30.1-rancher1-1", "1.28", "1.30"}, {"nonsense", "", "1.27"},
	} {
		doc, err := rkeconfig.ParseDocument([]byte(`{"kubernetesVersion":"` + tt.version + `","services":{"kubelet":{
			"extraArgs":{"image-credential-provider-config":"/etc/p/config.yaml","image_credential_provider_bin_dir":"/opt/p"},"extraBinds":["/srv/p:/etc/p:ro"]}}}`))
		if err != nil {
			t.Fatal(err)
		}
		look := &NodeLook{}
		if tt.forVersion != "" {
			if look.ForVersion, err = kubelet.ParseVersion(tt.forVersion); err != nil {
				t.Fatal(err)
			}
		}
		q, ok := look.QueryFor(&rancher.Cluster{DockerRootDir: "/data/docker"}, doc)
		if !ok || q.ConfigPath != "/etc/p/config.yaml" || q.BinDir != "/opt/p" || q.ForVersion.String() != tt.want {
			t.Errorf("%s for %q: %+v", tt.version, tt.forVersion, q)
		}
		for _, b := range []nodes.Bind{{Host: "/srv/p", Container: "/etc/p"}, {Host: "/data/docker", Container: "/data/docker"}, {Host: "/var/lib/rancher", Container: "/var/lib/rancher"}} {
			if !slices.Contains(q.Binds, b) {
				t.Errorf("%v is missing in %v", b, q.Binds)
			}
		}
	}
	// What moves from node to node, and what no pod can look into, is passed on.
	doc, err := rkeconfig.ParseDocument([]byte(`{"kubernetesVersion":"v1.26.15-rancher1-1","prefixPath":"/opt/rke","services":{"kubelet":{"extraBinds":["myvol:/opt/aws/bin"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	q, _ := (&NodeLook{}).QueryFor(&rancher.Cluster{}, doc)
	for _, b := range []nodes.Bind{{Host: "/opt/rke/etc/kubernetes", Container: "/etc/kubernetes", Shifting: true}, {Container: "/opt/aws/bin"}} {
		if !q.Prefixed || !slices.Contains(q.Binds, b) {
			t.Errorf("%v is missing in %+v", b, q)
		}
	}
	doc, _ = rkeconfig.ParseDocument([]byte(`{"services":{"kubelet":{"extraArgs":{"max-pods":"250"}}}}`))
	if _, ok := (&NodeLook{}).QueryFor(&rancher.Cluster{}, doc); ok {
		t.Error("a patch without the provider's flags looks for a provider")
	}
}

// A cluster whose nodes cannot be seen is not patched.
func TestNodeLookWithoutAnAnswer(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.sim.Inject(simrancher.Fault{Path: "/k8s/clusters/", Status: http.StatusForbidden})
	p := r.planOf("c-aaaaa", ActionPatch)
	look := &NodeLook{Rancher: r.planner.Rancher, Clock: r.clock.clock()}
	cl, err := r.planner.Rancher.Cluster(t.Context(), "c-aaaaa")
	if err != nil {
		t.Fatal(err)
	}
	found := look.Check(t.Context(), cl, p.wanted)
	if len(found) != 1 || found[0].Code != "nodes-unreadable" || found[0].Severity != Block || found[0].Todo == "" {
		t.Errorf("%+v", found)
	}
}

// The table of what is harmless after a roll-out names codes that there are.
func TestHarmless(t *testing.T) {
	for _, code := range harmless {
		if !slices.ContainsFunc(NodeCatalogue(), func(f Finding) bool { return f.Code == code && f.Severity == Block }) {
			t.Errorf("no look at a node ever finds %s", code)
		}
	}
	for _, code := range []string{"kubelet-not-found", "kubelet-flags-differ", "kubelet-restarting", "node-not-ready", "pod-stuck", "pod-ended", "pod-not-created", "answer-garbled", "kubelet-refuses"} {
		if isHarmless(code) {
			t.Errorf("%s after a roll-out is no failure", code)
		}
	}
}
