package fleet

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
)

// step is the time between two steps of Rancher's. A test that polls much faster
// sees every state, one that polls slower is done sooner.
const step = 7 * time.Second

// rig is a simulated Rancher, a client of it, and a clock that both share and
// that moves only when the code under test sleeps.
type rig struct {
	t       *testing.T
	sim     *simrancher.Server
	clock   *testClock
	planner *Planner
	run     *Run
	timeout time.Duration
	poll    time.Duration

	mu   sync.Mutex
	said []string
	done []Outcome
}

func newRig(t *testing.T, clusters ...simrancher.Cluster) *rig {
	t.Helper()
	r := &rig{t: t, clock: &testClock{now: epoch}, timeout: 30 * time.Minute, poll: 30 * time.Second}
	r.sim = simrancher.New(simrancher.Options{Now: r.clock.Now, Step: step})
	for _, c := range clusters {
		r.sim.AddCluster(c)
	}
	server := httptest.NewServer(r.sim)
	t.Cleanup(server.Close)
	r.planner = &Planner{
		Rancher: r.client(server.URL, simrancher.AdminToken),
		Patch:   ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig),
		API:     kubelet.APIv1,
	}
	run, err := NewRun(t.TempDir(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	r.run = run
	return r
}

// client makes one that never repeats a request: the tests count them.
func (r *rig) client(url, token string) *rancher.Client {
	r.t.Helper()
	c, err := rancher.New(rancher.Options{URL: url, Token: rancher.Secret(token), RetryBudget: -1})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// as goes on with another token.
func (r *rig) as(token string) *rig {
	r.planner.Rancher = r.client(r.planner.Rancher.URL(), token)
	return r
}

func (r *rig) plan(sel Selection) []*ClusterPlan {
	r.t.Helper()
	plans, err := collect(r, sel)
	if err != nil {
		r.t.Fatal(err)
	}
	return plans
}

func collect(r *rig, sel Selection) ([]*ClusterPlan, error) {
	var plans []*ClusterPlan
	for p, err := range r.planner.Plan(r.t.Context(), sel) {
		if err != nil {
			return plans, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// planOf plans one cluster and wants it to come out as said.
func (r *rig) planOf(id string, action Action) *ClusterPlan {
	r.t.Helper()
	plans := r.plan(Selection{Names: []string{id}})
	if len(plans) != 1 || plans[0].Action != action {
		r.t.Fatalf("plan of %s: %+v, want one plan to %s", id, plans, action)
	}
	return plans[0]
}

func (r *rig) apply(ctx context.Context, parallel int, plans ...*ClusterPlan) ([]Outcome, error) {
	r.t.Helper()
	a := &Applier{
		Planner: r.planner, Run: r.run, Clock: r.clock.clock(), Parallel: parallel, Timeout: r.timeout, Poll: r.poll,
		Say: func(_, name, text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.said = append(r.said, name+": "+text)
		},
		Done: func(o Outcome) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.done = append(r.done, o)
		},
	}
	return a.Apply(ctx, plans)
}

// applyOne applies one plan and gives its outcome.
func (r *rig) applyOne(p *ClusterPlan) Outcome {
	r.t.Helper()
	outcomes, err := r.apply(r.t.Context(), 1, p)
	if err != nil || len(outcomes) != 1 {
		r.t.Fatalf("apply: %v, %v", outcomes, err)
	}
	return outcomes[0]
}

// hasSaid reports whether a step was announced that holds text.
func (r *rig) hasSaid(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.said, func(s string) bool { return strings.Contains(s, text) })
}

// count gives how many requests there were with a method, a path and a query
// that begin like that.
func (r *rig) count(method, path, query string) int {
	n := 0
	for _, q := range r.sim.Requests() {
		if q.Method == method && q.Path == path && strings.HasPrefix(q.Query, query) {
			n++
		}
	}
	return n
}

func (r *rig) puts() int {
	n := 0
	for _, q := range r.sim.Requests() {
		if q.Method != http.MethodGet {
			n++
		}
	}
	return n
}

// kubeletOf gives services.kubelet as it is stored.
func (r *rig) kubeletOf(id string) map[string]any {
	config, _ := r.sim.Stored(id)["rancherKubernetesEngineConfig"].(map[string]any)
	services, _ := config["services"].(map[string]any)
	k, _ := services["kubelet"].(map[string]any)
	return k
}

func (r *rig) holdsPatch(id string) bool {
	args, _ := r.kubeletOf(id)["extraArgs"].(map[string]any)
	return args[kubelet.FlagProviderBinDir] == kubelet.DefaultBinDir && args[kubelet.FlagProviderConfig] == kubelet.DefaultProviderConfig
}

// edit sets one value below services.kubelet, as somebody else would.
func (r *rig) edit(id string, path []string, value any) {
	r.sim.Edit(id, func(cluster map[string]any) {
		put(cluster, value, append([]string{"rancherKubernetesEngineConfig", "services", "kubelet"}, path...)...)
	})
}

func put(m map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		child, ok := m[name].(map[string]any)
		if !ok {
			child = map[string]any{}
			m[name] = child
		}
		m = child
	}
	m[path[len(path)-1]] = value
}

// rawCluster is a healthy cluster, with any JSON for a config.
func rawCluster(id, config string) string {
	return `{"id":"` + id + `","type":"cluster","name":"` + id + `","uuid":"u-` + id + `","driver":"` + rancher.DriverRKE + `","state":"active",
		"links":{"update":"https://rancher.example.com/v3/clusters/` + id + `"},
		"conditions":[{"type":"Provisioned","status":"True"},{"type":"Updated","status":"True"},{"type":"Ready","status":"True"},
			{"type":"SecretsMigrated","status":"True"},{"type":"RKESecretsMigrated","status":"True"},{"type":"ACISecretsMigrated","status":"True"}],
		"appliedSpec":{"rancherKubernetesEngineConfig":{}},
		"rancherKubernetesEngineConfig":` + config + `}`
}

// answeringClusters makes the next list of clusters hold just these.
func answeringClusters(clusters ...string) simrancher.Fault {
	return simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters", Count: 1, Status: http.StatusOK,
		Body: `{"type":"collection","data":[` + strings.Join(clusters, ",") + `]}`}
}

func codes(p *ClusterPlan) []string {
	var out []string
	for _, f := range p.Findings {
		out = append(out, f.Code)
	}
	return out
}

// testClock moves when somebody sleeps.
type testClock struct {
	mu      sync.Mutex
	now     time.Time
	sleeps  int
	onSleep func(n int) // runs ahead of the nth sleep
}

func (c *testClock) clock() Clock { return Clock{Now: c.Now, Sleep: c.Sleep} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.sleeps++
	n, f := c.sleeps, c.onSleep
	c.mu.Unlock()
	if f != nil {
		f(n)
	}
	c.pass(d)
	return ctx.Err()
}

func (c *testClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// settle lets all reconciles that go on come to their end.
func (r *rig) settle() {
	r.clock.pass(10 * time.Minute)
	r.sim.Tick()
}

func (o Outcome) String() string {
	return fmt.Sprintf("%s: %s, stored %v, %s (next: %s)", o.ID, o.Status, o.Stored, o.Message, o.Next)
}
