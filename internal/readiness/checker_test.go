package readiness

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simkube"
	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
)

func newChecker(t *testing.T, sim *simrancher.Server) *Checker {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	client, err := rancher.New(rancher.Options{URL: server.URL, Token: simrancher.AdminToken, RetryBudget: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &Checker{
		Planner: &fleet.Planner{Rancher: client, Patch: fleet.ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig), API: kubelet.APIv1},
		Look:    &fleet.NodeLook{Rancher: client, Clock: fleet.SystemClock()},
		Target:  Oldest, Parallel: 3, Timeout: time.Minute,
	}
}

func all(t *testing.T, c *Checker, sel fleet.Selection) []*Cluster {
	t.Helper()
	var out []*Cluster
	for found, err := range c.Check(t.Context(), sel) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found)
	}
	return out
}

func runningPod(image string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": "app", "namespace": "default"}, "status": map[string]any{"phase": "Running"},
		"spec": map[string]any{"containers": []any{map[string]any{"image": image}}, "imagePullSecrets": []any{map[string]any{"name": "s"}}},
	}
}

// From the list of clusters to the pods of the look at nodes: nothing is listed
// without a limit.
func TestNoRequestWithoutALimit(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddCluster(simrancher.Cluster{ID: "c-one", Name: "one"})
	kube, err := simkube.Behind(sim, "c-one", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer kube.Close()
	kube.Put("pods", runningPod(ecrHost+"/shop/web"))
	kube.Put("deployments", map[string]any{"metadata": map[string]any{"name": "d", "namespace": "default"}, "spec": map[string]any{
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": ecrHost + "/shop/idle"}}}},
	}})
	found := all(t, newChecker(t, sim), fleet.Selection{All: true})
	if len(found) != 1 || found[0].Verdict != NotReady || found[0].Use.Registries[0].Idle != 1 {
		t.Fatalf("%+v", found)
	}
	lists := 0
	for _, r := range sim.Requests() {
		parts := strings.Split(strings.Trim(r.Path, "/"), "/")
		last := parts[len(parts)-1]
		plural := slices.Contains([]string{"clusters", "nodes", "pods", "secrets", "serviceaccounts", "replicationcontrollers", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"}, last)
		if r.Method != http.MethodGet || !plural || strings.Contains(r.Query, "watch=") {
			continue
		}
		lists++
		if !strings.Contains(r.Query, "limit=") {
			t.Errorf("GET %s?%s", r.Path, r.Query)
		}
	}
	if lists < 14 {
		t.Errorf("only %d lists were seen", lists)
	}
}

// Clusters come in the order of their names, whoever is done first; one that
// does not answer is not known and holds nobody up, one that vanishes is not
// known either.
func TestCheckIsInOrderAndUnknownIsNoError(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	for _, name := range []string{"alpha", "bravo", "charlie", "delta"} {
		sim.AddCluster(simrancher.Cluster{ID: "c-" + name, Name: name})
		sim.SetKubernetes("c-"+name, simkube.Crowd{}, nil)
	}
	stuck := make(chan struct{})
	sim.SetKubernetes("c-alpha", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stuck:
		}
	}), nil)
	defer close(stuck)
	c := newChecker(t, sim)
	c.Timeout = time.Second
	sim.Inject(simrancher.Fault{Path: "/v3/clusters/c-charlie", Status: http.StatusNotFound})
	// alpha is looked at no longer than its time, and its nodes not at all.
	sim.Inject(simrancher.Fault{Path: "/k8s/clusters/c-alpha/api/v1/nodes", Status: http.StatusForbidden})
	found := all(t, c, fleet.Selection{All: true})
	var got []string
	for _, f := range found {
		got = append(got, f.Name+" "+string(f.Verdict))
	}
	if want := []string{"alpha unknown", "bravo ready", "charlie unknown", "delta ready"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if r := found[0].Result(checkRegistries); !strings.Contains(r.Message, "it took longer than 1s") {
		t.Errorf("%+v", r)
	}
	if r := found[2].Result(checkRancher); r.Status != Unknown || !strings.Contains(r.Message, "could not be read") {
		t.Errorf("%+v", r)
	}
}

// Whoever stops listening, or is interrupted, waits for nobody.
func TestCheckStops(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddFleet(8)
	for _, id := range sim.ClusterIDs() {
		sim.SetKubernetes(id, simkube.Crowd{}, nil)
	}
	c := newChecker(t, sim)
	for range c.Check(t.Context(), fleet.Selection{All: true}) {
		break
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	seen := 0
	var last error
	for _, err := range c.Check(ctx, fleet.Selection{All: true}) {
		if last = err; err == nil {
			seen++
			cancel(why)
		}
	}
	if !errors.Is(last, why) || seen == 0 || seen == 8 {
		t.Errorf("%d clusters, %v", seen, last)
	}
}

// What is wrong with the call or with Rancher is an error, not a verdict.
func TestCheckFails(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddCluster(simrancher.Cluster{ID: "c-one", Name: "one"})
	sim.SetKubernetes("c-one", simkube.Crowd{}, nil)
	for name, tt := range map[string]struct {
		sel   fleet.Selection
		fault simrancher.Fault
		want  error
	}{
		"an unknown name":                    {fleet.Selection{Names: []string{"nosuch"}}, simrancher.Fault{Path: "/nowhere"}, fleet.ErrUnknownCluster},
		"a bad selection":                    {fleet.Selection{Names: []string{"a,b"}}, simrancher.Fault{Path: "/nowhere"}, fleet.ErrSelection},
		"Rancher is down":                    {fleet.Selection{All: true}, simrancher.Fault{Path: "/v3/clusters", Status: 502}, rancher.ErrServer},
		"the settings cannot be read at all": {fleet.Selection{All: true}, simrancher.Fault{Path: "/v3/settings/k8s-versions-current", Status: 500}, rancher.ErrServer},
	} {
		t.Run(name, func(t *testing.T) {
			sim.ClearFaults()
			sim.Inject(tt.fault)
			for found, err := range newChecker(t, sim).Check(t.Context(), tt.sel) {
				if found != nil || !errors.Is(err, tt.want) {
					t.Errorf("%+v, %v", found, err)
				}
			}
		})
	}
	// A setting that is not there is no reason to stop.
	sim.ClearFaults()
	sim.Inject(simrancher.Fault{Path: "/v3/settings/k8s-versions-current", Status: http.StatusForbidden})
	if found := all(t, newChecker(t, sim), fleet.Selection{All: true}); len(found) != 1 || found[0].Result(checkVersion).Status != Ready {
		t.Errorf("%+v", found)
	}
}
