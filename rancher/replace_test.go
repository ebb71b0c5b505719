package rancher_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// withoutKubelet takes the kubelet's args and binds out of a cluster's config.
func withoutKubelet(t *testing.T, cl *rancher.Cluster) map[string]any {
	t.Helper()
	config := object(t, string(cl.Config))
	kubelet := config["services"].(map[string]any)["kubelet"].(map[string]any)
	delete(kubelet, "extraArgs")
	delete(kubelet, "extraBinds")
	return config
}

// The last arg and the last bind do not go away by a plain update (T1), and everything else stays when
// they go away by a replacing one (T2).
func TestReplaceRemovesTheLastOfAMap(t *testing.T) {
	sim, c := demo(t, rancher.Options{})
	cl, err := c.Cluster(t.Context(), "c-done1")
	if err != nil {
		t.Fatal(err)
	}
	config := withoutKubelet(t, cl)
	_, err = c.UpdateConfig(t.Context(), cl, config, differences)
	wantError(t, err, rancher.ErrNotStored, "extraArgs")

	before := sim.Stored("c-done1")
	got, err := c.ReplaceConfig(t.Context(), cl, config, differences)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got.Config), "image-credential-provider") {
		t.Errorf("still there: %s", got.Config)
	}
	after := sim.Stored("c-done1")
	for _, obj := range []map[string]any{before, after} {
		delete(obj, "rancherKubernetesEngineConfig")
	}
	was, _ := json.Marshal(before)
	is, _ := json.Marshal(after)
	paths, err := differences(was, is)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if path != "conditions" && path != "nodeVersion" && path != "state" && !strings.HasPrefix(path, "transitioning") && !strings.HasPrefix(path, "conditions") {
			t.Errorf("%s was changed as well", path)
		}
	}
}

func TestReplacesThatAreNotSent(t *testing.T) {
	for name, tt := range map[string]struct {
		id   string
		edit func(*simrancher.Server, *rancher.Cluster)
		kind error
		word string
	}{
		"secrets not migrated": {"c-unmi1", nil, rancher.ErrNotUpdatable, "not moved to secrets"},
		"no Fleet workspace": {"c-done1", func(sim *simrancher.Server, _ *rancher.Cluster) {
			sim.Edit("c-done1", func(obj map[string]any) { obj["fleetWorkspaceName"] = "" })
		}, rancher.ErrNotUpdatable, "Fleet workspace"},
		"edited meanwhile": {"c-done1", func(sim *simrancher.Server, _ *rancher.Cluster) {
			sim.Edit("c-done1", func(obj map[string]any) {
				obj["rancherKubernetesEngineConfig"].(map[string]any)["addonJobTimeout"] = 46
			})
		}, rancher.ErrNotUpdatable, "this very moment"},
		"gone meanwhile": {"c-done1", func(sim *simrancher.Server, _ *rancher.Cluster) { sim.Delete("c-done1") }, rancher.ErrNotFound, "c-done1"},
		"no schema": {"c-done1", func(sim *simrancher.Server, _ *rancher.Cluster) {
			sim.Inject(simrancher.Fault{Path: "/v3/schemas/", Status: 403})
		}, rancher.ErrForbidden, "schema"},
		"template": {"c-done1", func(_ *simrancher.Server, cl *rancher.Cluster) { cl.TemplateRevisionID = ptr("") }, rancher.ErrNotUpdatable, "empty instead of null"},
	} {
		t.Run(name, func(t *testing.T) {
			sim, c := demo(t, rancher.Options{})
			cl, err := c.Cluster(t.Context(), tt.id)
			if err != nil {
				t.Fatal(err)
			}
			config := object(t, string(cl.Config))
			if tt.edit != nil {
				tt.edit(sim, cl)
			}
			sim.ResetRequests()
			_, err = c.ReplaceConfig(t.Context(), cl, config, differences)
			wantError(t, err, tt.kind, tt.word)
			for _, r := range sim.Requests() {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s was sent", r.Method, r.Path)
				}
			}
		})
	}
}

// The object is read again afterwards: what else moved is said, and when that cannot be read, so is that.
func TestReplacesAreReadBack(t *testing.T) {
	for name, tt := range map[string]struct {
		fault simrancher.Fault
		kind  error
		word  string
	}{
		"something else moved": {simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-done1", Skip: 1, Count: 1}, rancher.ErrNotStored, "description"},
		"answer lost":          {simrancher.Fault{Method: "PUT", Lost: true}, rancher.ErrUnknownOutcome, "c-done1"},
		"not read again":       {simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-done1", Skip: 1, Status: 503}, rancher.ErrUnknownOutcome, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			sim, c := demo(t, rancher.Options{})
			cl, err := c.Cluster(t.Context(), "c-done1")
			if err != nil {
				t.Fatal(err)
			}
			if tt.kind == rancher.ErrNotStored {
				tt.fault.Before = func() {
					sim.Edit("c-done1", func(obj map[string]any) { obj["description"] = "edited by somebody" })
				}
			}
			sim.Inject(tt.fault)
			_, err = c.ReplaceConfig(t.Context(), cl, withoutKubelet(t, cl), differences)
			wantError(t, err, tt.kind, tt.word)
		})
	}
}

// A reference that is null must not come back as "": that bricks a cluster (T4).
func TestReplaceSendsNoNulls(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddDemoFleet()
	var sent map[string]any
	c := newClientWith(t, rancher.Options{Token: simrancher.AdminToken, RetryBudget: -1, Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || r.URL.RawQuery != "_replace=true" {
				t.Errorf("%s: %v", r.URL, err)
			}
			answer(409, `{}`)(w, r)
			return
		}
		sim.ServeHTTP(w, r)
	})}})
	cl, err := c.Cluster(t.Context(), "c-done1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ReplaceConfig(t.Context(), cl, withoutKubelet(t, cl), differences)
	wantError(t, err, rancher.ErrUnknownOutcome)
	for key, value := range sent {
		if value == nil || key == "clusterTemplateRevisionId" || key == "appliedSpec" || key == "conditions" || key == "id" {
			t.Errorf("%s: %v was sent", key, value)
		}
	}
	for _, key := range []string{"name", "rancherKubernetesEngineConfig", "fleetWorkspaceName", "dockerRootDir", "labels", "annotations", "enableNetworkPolicy", "localClusterAuthEndpoint"} {
		if _, ok := sent[key]; !ok {
			t.Errorf("%s was not sent and would be deleted", key)
		}
	}
	if diff := cmp.Diff("shop", sent["name"]); diff != "" {
		t.Error(diff)
	}
}
