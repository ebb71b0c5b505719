package rancher_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// demo is a client of the simulated Rancher with its demo fleet.
func demo(t *testing.T, o rancher.Options) (*simrancher.Server, *rancher.Client) {
	t.Helper()
	sim := simrancher.New(simrancher.Options{})
	sim.AddDemoFleet()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	if o.Token == "" && o.AccessKey == "" {
		o.Token = simrancher.AdminToken
	}
	if o.RetryBudget == 0 {
		o.RetryBudget = -1
	}
	o.URL = server.URL + "/v3/"
	return sim, newClientWith(t, o)
}

// patched reads a cluster's config and sets a kubelet arg in it.
func patched(t *testing.T, cl *rancher.Cluster) map[string]any {
	t.Helper()
	config := object(t, string(cl.Config))
	services, _ := config["services"].(map[string]any)
	kubelet, _ := services["kubelet"].(map[string]any)
	if kubelet == nil {
		t.Fatalf("%s has no kubelet", cl.ID)
	}
	args, _ := kubelet["extraArgs"].(map[string]any)
	if args == nil {
		args = map[string]any{}
	}
	args["image-credential-provider-bin-dir"] = "/opt/aws/bin"
	kubelet["extraArgs"] = args
	return config
}

// What Rewrites foresees is what Rancher stores, for every cluster of the fleet that may be updated; and
// nothing else changes.
func TestRewritesForeseeWhatIsStored(t *testing.T) {
	sim, c := demo(t, rancher.Options{})
	no := map[string]string{"io.cattle.cluster.cridockerd.enable": "false", "note": "kept"}
	for id, config := range map[string]map[string]any{
		"c-rewr1": {"enableCriDockerd": false, "addons": "kind: Pod\n", "upgradeStrategy": nil},
		"c-rewr2": {"privateRegistries": []any{map[string]any{"url": "a.example.com", "ecrCredentialPlugin": map[string]any{}}}},
		"c-rewr3": {"cloudProvider": map[string]any{"name": "aws", "awsCloudProvider": map[string]any{"global": map[string]any{"vpc": "vpc-1"}}}},
		"c-rewr4": {"cloudProvider": map[string]any{"name": "external-aws"}, "upgradeStrategy": map[string]any{"maxUnavailableWorker": "3"}},
		"c-rewr5": {"services": map[string]any{"kubelet": map[string]any{"extraArgs": map[string]any{"v": " 2 "}, "extraBinds": []any{" /a:/a"}}}},
	} {
		sim.AddCluster(simrancher.Cluster{ID: id, Config: config, Nodes: []simrancher.Node{{Name: id + "-1", ControlPlane: true, Etcd: true, Worker: true}}})
	}
	sim.AddCluster(simrancher.Cluster{
		ID: "c-rewr6", Annotations: no, Config: map[string]any{"enableCriDockerd": false},
		Nodes: []simrancher.Node{{Name: "c-rewr6-1", ControlPlane: true, Etcd: true, Worker: true}},
	})
	updated, rewritten := 0, 0
	for listed, err := range c.Clusters(t.Context(), rancher.ClusterQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		cl, err := c.Cluster(t.Context(), listed.ID)
		if err != nil {
			t.Fatal(err)
		}
		config := patched(t, cl)
		if cl.TemplateRevisionID != nil {
			_, err := c.UpdateConfig(t.Context(), cl, config, differences)
			wantError(t, err, rancher.ErrNotUpdatable, "template")
			continue
		}
		_, _, rewrites, err := cl.Rewrites(config)
		if err != nil {
			t.Errorf("%s: %v", cl.ID, err)
			continue
		}
		before := sim.Stored(cl.ID)
		got, err := c.UpdateConfig(t.Context(), cl, config, differences)
		if errors.Is(err, rancher.ErrValidation) || errors.Is(err, rancher.ErrServer) { // a name, a version, nodes: findings of a plan
			if diff := cmp.Diff(before, sim.Stored(cl.ID)); diff != "" {
				t.Errorf("%s was changed: %s", cl.ID, diff)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", cl.ID, err)
			continue
		}
		updated++
		if diff := cmp.Diff(cl.Annotations, got.Annotations); diff != "" {
			t.Errorf("%s: annotations: %s", cl.ID, diff)
		}
		paths, err := differences(cl.Config, got.Config)
		if err != nil {
			t.Fatal(err)
		}
		foreseen := []string{"services.kubelet.extraArgs.image-credential-provider-bin-dir", "services.kubelet.extraArgs"}
		for _, r := range rewrites {
			rewritten++
			foreseen = append(foreseen, r.Path)
		}
		for _, path := range paths {
			if !slices.ContainsFunc(foreseen, func(f string) bool { return path == f || strings.HasPrefix(path, f+".") }) {
				t.Errorf("%s: %s changed unforeseen", cl.ID, path)
			}
		}
	}
	if updated < 20 || rewritten < 8 {
		t.Errorf("%d clusters were updated with %d rewrites: the test shows little", updated, rewritten)
	}
}

// The facts' worst case: Rancher answers an error, or not at all, and has stored the change.
func TestLostAnswersOfTheSimulatedRancher(t *testing.T) {
	for name, fault := range map[string]simrancher.Fault{
		"500 after the store":  {Method: "PUT", Status: 500, AfterStore: true},
		"409 after the store":  {Method: "PUT", Status: 409, AfterStore: true},
		"lost":                 {Method: "PUT", Lost: true},
		"cut":                  {Method: "PUT", CutAt: 500},
		"garbled":              {Method: "PUT", Garble: true},
		"reset before":         {Method: "PUT", Reset: true},
		"502 before the store": {Method: "PUT", Status: 502, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}},
	} {
		t.Run(name, func(t *testing.T) {
			sim, c := demo(t, rancher.Options{RetryInterval: 1})
			cl, err := c.Cluster(t.Context(), "c-prod1")
			if err != nil {
				t.Fatal(err)
			}
			config := patched(t, cl)
			sim.ResetRequests()
			sim.Inject(fault)
			_, err = c.UpdateConfig(t.Context(), cl, config, differences)
			wantError(t, err, rancher.ErrUnknownOutcome, "c-prod1")
			if n := len(sim.Requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
			sim.ClearFaults()
			again, err := c.Cluster(t.Context(), "c-prod1")
			if err != nil {
				t.Fatal(err)
			}
			_, expected, _, err := cl.Rewrites(config)
			if err != nil {
				t.Fatal(err)
			}
			intent, err := json.Marshal(expected)
			if err != nil {
				t.Fatal(err)
			}
			paths, err := differences(intent, again.Config)
			if err != nil {
				t.Fatal(err)
			}
			if isStored := len(paths) == 0; isStored == strings.Contains(name, "before") {
				t.Errorf("stored: %v, differences %v", isStored, paths)
			}
		})
	}
}

func TestReadsSurviveFaultsOfTheSimulatedRancher(t *testing.T) {
	for name, fault := range map[string]simrancher.Fault{
		"503":     {Status: 503, Header: http.Header{"Retry-After": {"0"}}, Count: 2},
		"reset":   {Reset: true, Count: 2},
		"cut":     {CutAt: 5000, Count: 2},
		"lost":    {Lost: true, Count: 2},
		"garbled": {Garble: true, Count: 1},
		"type":    {Type: "text/plain", Count: 2},
	} {
		t.Run(name, func(t *testing.T) {
			sim, c := demo(t, rancher.Options{RetryBudget: 1e12, RetryInterval: 2})
			all, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
			if err != nil {
				t.Fatal(err)
			}
			sim.Inject(fault)
			got, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
			if name == "garbled" { // the server is not what it was: no use in asking again
				wantError(t, err, rancher.ErrNotRancher, "not JSON")
				return
			}
			if err != nil || ids(got) != ids(all) {
				t.Errorf("got %q, %v", ids(got), err)
			}
		})
	}
}

func TestTokensOfTheSimulatedRancher(t *testing.T) {
	_, member := demo(t, rancher.Options{Token: simrancher.MemberToken})
	cl, err := member.Cluster(t.Context(), "c-prod1")
	if err != nil || cl.CanUpdate {
		t.Fatalf("got %v, %v", cl, err)
	}
	config := patched(t, cl)
	_, err = member.UpdateConfig(t.Context(), cl, config, differences)
	wantError(t, err, rancher.ErrNotUpdatable, "may not update")
	cl.CanUpdate = true // as if the right was taken away meanwhile
	_, err = member.UpdateConfig(t.Context(), cl, config, differences)
	wantError(t, err, rancher.ErrForbidden, "403")

	_, scoped := demo(t, rancher.Options{Token: simrancher.ClusterToken})
	_, err = collect(scoped.Clusters(t.Context(), rancher.ClusterQuery{}))
	wantError(t, err, rancher.ErrUnauthorized, "must authenticate")
	wantHint(t, err, "one cluster only")
	_, err = collect(scoped.Nodes(t.Context(), rancher.NodeQuery{}))
	wantError(t, err, rancher.ErrUnauthorized)

	_, expired := demo(t, rancher.Options{Token: simrancher.ExpiredToken})
	_, err = expired.Cluster(t.Context(), "c-prod1")
	wantError(t, err, rancher.ErrUnauthorized, "401")
	wantHint(t, err, "expired")

	name, key, _ := strings.Cut(simrancher.AdminToken, ":")
	_, basic := demo(t, rancher.Options{AccessKey: name, SecretKey: rancher.Secret(key)})
	if _, err := basic.Cluster(t.Context(), "c-prod1"); err != nil {
		t.Error(err)
	}
	_, err = basic.Cluster(t.Context(), "c-zzzzz")
	wantError(t, err, rancher.ErrNotFound, `"c-zzzzz" not found`)
}

// shortPages makes every page hold n items, whatever the client asks for.
func shortPages(n int) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		q := r.URL.Query()
		if q.Has("limit") {
			q.Set("limit", fmt.Sprint(n))
		}
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
		return http.DefaultTransport.RoundTrip(r)
	})
}

func TestPagesOfTheSimulatedRancher(t *testing.T) {
	sim, whole := demo(t, rancher.Options{})
	all, err := collect(whole.Clusters(t.Context(), rancher.ClusterQuery{AnyDriver: true}))
	if err != nil || len(all) < 20 {
		t.Fatalf("got %d clusters, %v", len(all), err)
	}
	c := newClientWith(t, rancher.Options{URL: whole.URL(), Token: simrancher.AdminToken, Transport: shortPages(3)})
	got, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{AnyDriver: true}))
	if err != nil || ids(got) != ids(all) {
		t.Errorf("got %q, want %q, %v", ids(got), ids(all), err)
	}

	// The object a marker names is deleted just before its page is asked for: the list starts over.
	var seen []string
	for cl, err := range c.Clusters(t.Context(), rancher.ClusterQuery{AnyDriver: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, cl.ID); len(seen) == 3 {
			sim.Delete(all[3].ID)
		}
	}
	var want []string
	for i, cl := range all {
		if i != 3 {
			want = append(want, cl.ID)
		}
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}

	nodes, err := collect(c.Nodes(t.Context(), rancher.NodeQuery{ClusterIDs: []string{"c-prod1", "c-prod2"}}))
	if err != nil || len(nodes) < 4 {
		t.Fatalf("got %d nodes, %v", len(nodes), err)
	}
	for _, n := range nodes {
		if n.ClusterID != "c-prod1" && n.ClusterID != "c-prod2" {
			t.Errorf("got %s", n.ID)
		}
		if workerOnly := n.Worker && !n.ControlPlane && !n.Etcd; workerOnly != (n.KubeletCommand != nil) {
			t.Errorf("%s: worker only %v, command %v", n.ID, workerOnly, n.KubeletCommand)
		}
	}
}

func TestSchemaOfTheSimulatedRancher(t *testing.T) {
	_, c := demo(t, rancher.Options{})
	if err := c.CheckSchema(t.Context(), "kubeletService", object(t, `{"extraArgs":{"v":"2"},"extraBinds":["/a:/a"]}`)); err != nil {
		t.Error(err)
	}
	err := c.CheckSchema(t.Context(), "kubeletService", object(t, `{"extraArgs":[{"v":"2"}]}`))
	wantError(t, err, rancher.ErrSchema, "extraArgs is a list")
	if v, err := c.Version(t.Context()); err != nil || v.Version != "v2.9.1" {
		t.Errorf("%+v, %v", v, err)
	}
	if s, err := c.Setting(t.Context(), "k8s-versions-deprecated"); err != nil || s == "" {
		t.Errorf("%q, %v", s, err)
	}
}

// No secret that the server knows is in anything this package prints, nor in what it holds of a node.
func TestSecretsOfTheSimulatedRancher(t *testing.T) {
	sim, c := demo(t, rancher.Options{})
	secrets := sim.Secrets()
	if len(secrets) < 10 {
		t.Fatalf("the fleet has only %d secrets", len(secrets))
	}
	var printed strings.Builder
	for cl, err := range c.Clusters(t.Context(), rancher.ClusterQuery{AnyDriver: true}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&printed, "%v %+v %#v %s\n", cl, *cl, cl, []*rancher.Cluster{cl})
		if cl.Config == nil {
			continue
		}
		config := patched(t, cl)
		config["services"] = []any{config["services"]} // which norman quotes in its refusal
		_, err := c.UpdateConfig(t.Context(), cl, config, differences)
		if err == nil {
			t.Errorf("%s took it", cl.ID)
		}
		fmt.Fprintf(&printed, "%v %+v %#v\n", err, err, err)
	}
	for n, err := range c.Nodes(t.Context(), rancher.NodeQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&printed, "%+v %#v %s\n", n, *n, text)
	}
	fmt.Fprintf(&printed, "%+v %#v", c, c)
	for _, secret := range secrets {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%q is printed", secret)
		}
	}
}
