package rancher_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

func TestRecordedCluster(t *testing.T) {
	var path string
	text := recorded("sequence-put-then-rke-fails-3.json")
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		answer(200, text)(w, r)
	})
	got, err := c.Cluster(t.Context(), "c-6wjgc")
	if err != nil {
		t.Fatal(err)
	}
	if path != "/v3/clusters/c-6wjgc" {
		t.Errorf("asked for %s", path)
	}
	kubelets := map[string]json.RawMessage{"applied": got.AppliedKubelet, "failed": got.FailedKubelet}
	whole := object(t, text)
	config := got.Config
	if diff := cmp.Diff(whole["rancherKubernetesEngineConfig"], any(object(t, string(config)))); diff != "" {
		t.Errorf("config: %s", diff)
	}
	for name, raw := range kubelets {
		spec := whole[name+"Spec"].(map[string]any)["rancherKubernetesEngineConfig"].(map[string]any)
		want := spec["services"].(map[string]any)["kubelet"]
		if diff := cmp.Diff(want, any(object(t, string(raw)))); diff != "" {
			t.Errorf("%s kubelet: %s", name, diff)
		}
	}
	if p, ok := got.Conditions.Get("Provisioned"); !ok || p.Reason != "Error" || p.LastUpdateTime != "2026-11-23T08:42:17Z" || !strings.Contains(p.Message, "etcd plane host") {
		t.Errorf("got %+v", p)
	}
	if !got.Conditions.IsTrue("Updated") || got.Conditions.IsTrue("Provisioned") || got.Conditions.Status("Provisioned") != "False" || got.Conditions.Status("None") != "" {
		t.Error("conditions are misread")
	}
	if _, ok := got.Conditions.Get("None"); ok {
		t.Error("a condition that is not there")
	}
	if len(got.Annotations) != 6 || got.Labels["env"] != "prod" {
		t.Errorf("got %v, %v", got.Annotations, got.Labels)
	}
	got.Config, got.AppliedKubelet, got.FailedKubelet, got.Conditions, got.Annotations, got.Labels = nil, nil, nil, nil, nil, nil
	want := &rancher.Cluster{
		ID: "c-6wjgc", UUID: "3c138802-9942-4241-8497-df38aa46cd21", Name: "prod-eu",
		Driver: rancher.DriverRKE, Provider: "rke", State: "provisioning", Transitioning: "error",
		TransitioningMessage: "Cluster must have at least one etcd plane host: failed to connect to the following etcd host(s) [10.0.0.1]",
		NodeCount:            2, LinuxWorkerCount: 1, DockerRootDir: "/var/lib/docker", Description: "holds ECR workloads",
		CanUpdate: true, HasAppliedConfig: true, HasFailedSpec: true,
		ClusterSecrets: map[string]string{
			"kubeletExtraEnvSecret":    "cluster-kubeletextraenv-l8tdl",
			"privateRegistryECRSecret": "cluster-privateregistryecr-8lzmg",
			"privateRegistrySecret":    "cluster-registry-zvvrg",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Two rows decide whether a cluster may be touched at all: the revision and the update link.
func TestTemplateAndRight(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		revision   *string
		template   string
		canUpdate  bool
		config     string
	}{
		{"recorded, with template", recorded("cluster-rke1-templated.json"), ptr("cattle-global-data:ctr-ff2pw"), "cattle-global-data:ct-8x9lg", true, "{"},
		{"null", `{"id":"ID","clusterTemplateRevisionId":null,"clusterTemplateId":null,"links":{"self":"x"},"rancherKubernetesEngineConfig":null,"appliedSpec":null}`, nil, "", false, ""},
		{"absent", `{"id":"ID"}`, nil, "", false, ""},
		{"the empty one that bricks updates", `{"id":"ID","clusterTemplateRevisionId":"","links":{"update":"x"},"rancherKubernetesEngineConfig":{"a":1.50}}`, ptr(""), "", true, `{"a":1.50}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := "c-abc12"
			if m := object(t, tt.body); m["id"] != "ID" {
				id, _ = m["id"].(string)
				tt.revision, tt.template = ptr(m["clusterTemplateRevisionId"].(string)), m["clusterTemplateId"].(string)
				if *tt.revision == "" || tt.template == "" {
					t.Fatal("the recording is not of a template")
				}
			}
			got, err := newClient(t, answer(200, strings.Replace(tt.body, `"ID"`, `"`+id+`"`, 1))).Cluster(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.revision, got.TemplateRevisionID); diff != "" || got.TemplateID != tt.template || got.CanUpdate != tt.canUpdate {
				t.Errorf("got %+v %s", got.TemplateRevisionID, diff)
			}
			if !strings.HasPrefix(string(got.Config), tt.config) || (got.Config == nil) != (tt.config == "") {
				t.Errorf("config is %q", got.Config)
			}
			if got.AppliedKubelet != nil || got.FailedKubelet != nil || got.HasFailedSpec {
				t.Errorf("got %+v", *got)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestHostileIDsAreNotSent(t *testing.T) {
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	for _, id := range []string{"", ".", "..", "../settings", "c-abc12/../x", "c-abc12?action=delete", "c-abc12#", "%2e%2e", "c abc", "c-abc12\n", "-c", "c-\x00", "c-é", strings.Repeat("c", 300)} {
		_, err := c.Cluster(t.Context(), id)
		wantError(t, err, rancher.ErrNotFound, "reading cluster", "not a cluster id")
	}
}

func TestRecordedListAndNodes(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		name := "clusters-list-by-name.json"
		if r.URL.Path == "/v3/nodes" {
			name = "nodes-worker-with-nodeplan.json"
			if r.URL.RawQuery != "clusterId_in=c-6wjgc&limit=10000&sort=name&state_ne=active" && r.URL.RawQuery != "limit=10000&sort=name" {
				t.Errorf("asked for %s", r.URL)
			}
		}
		answer(200, recorded(name))(w, r)
	})
	clusters, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
	if err != nil || ids(clusters) != "c-6wjgc" || clusters[0].Config == nil {
		t.Errorf("got %v, %v", clusters, err)
	}
	nodes, err := collect(c.Nodes(t.Context(), rancher.NodeQuery{}))
	if err != nil {
		t.Fatal(err)
	}
	want := []*rancher.Node{{
		ID: "c-6wjgc:m-aaaa1", ClusterID: "c-6wjgc", Name: "worker-1", State: "active", Transitioning: "no",
		Worker: true, AppliedNodeVersion: 2, PlanVersion: 2,
		KubeletCommand: []string{
			"/opt/rke-tools/entrypoint.sh", "kubelet", "--max-pods=150", "--image-credential-provider-bin-dir=/opt/aws/bin",
			"--image-credential-provider-config=/opt/aws/config/custom-credential-providers.yaml",
		},
		KubeletBinds: []string{"/opt/aws/bin:/opt/aws/bin:ro"},
		OS:           "linux", KubeletVersion: "v1.26.15", Ready: rancher.Condition{Type: "Ready", Status: "True"},
	}}
	if diff := cmp.Diff(want, nodes); diff != "" {
		t.Error(diff)
	}
	// The recorded node is active and the server seems not to have filtered.
	if nodes, err = collect(c.Nodes(t.Context(), rancher.NodeQuery{ClusterIDs: []string{"c-6wjgc"}, NotActive: true})); err != nil || len(nodes) != 0 {
		t.Errorf("got %v, %v", nodes, err)
	}
}

// Node plans hold registry credentials and AWS keys beside the kubelet's command.
func TestSecretsOfNodePlansAreNotHeld(t *testing.T) {
	plan := `{"type":"collection","data":[{"id":"c-1:m-1","clusterId":"c-1","requestedHostname":"new-1","customConfig":{"label":{"x":"SECRET"}},
		"nodePlan":{"version":3,"plan":{"files":[{"name":"cloud-config","contents":"SECRET"}],"processes":{
			"share-mnt":{"args":["SECRET"],"command":["SECRET"]},
			"kubelet":{"command":["kubelet"],"env":["AWS_SECRET_ACCESS_KEY=SECRET"],"imageRegistryAuthConfig":"SECRET","healthCheck":{"url":"SECRET"}}}}}},
		{"id":"c-1:m-2","clusterId":"c-1","nodeName":"cp-1","controlPlane":true,"nodePlan":{"plan":{"processes":{"share-mnt":{"args":["SECRET"]}}}}},
		{"id":"c-2:m-3","clusterId":"c-2"}]}`
	c := newClient(t, answer(200, strings.ReplaceAll(plan, "SECRET", testKey)))
	nodes, err := collect(c.Nodes(t.Context(), rancher.NodeQuery{ClusterIDs: []string{"c-1"}}))
	if err != nil || len(nodes) != 2 {
		t.Fatal(nodes, err)
	}
	held, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	wantNoLeak(t, string(held))
	if nodes[0].Name != "new-1" || nodes[0].PlanVersion != 3 || nodes[1].KubeletCommand != nil || nodes[1].KubeletBinds != nil {
		t.Errorf("got %s", held)
	}
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		body string
		want rancher.Version
		warn string
	}{
		{recorded("rancherversion.json"), rancher.Version{Version: "v2.9.1", GitCommit: "HEAD"}, ""},
		{`{"Version":"v2.8.0","GitCommit":"abc","RancherPrime":"true"}`, rancher.Version{Version: "v2.8.0", GitCommit: "abc", Prime: true}, ""},
		{`{"Version":"v2.11.3","RancherPrime":true}`, rancher.Version{Version: "v2.11.3", Prime: true}, ""},
		{`{"Version":"v2.9-head"}`, rancher.Version{Version: "v2.9-head"}, ""},
		{`{"Version":"v2.10.1-rc3"}`, rancher.Version{Version: "v2.10.1-rc3"}, ""},
		{`{"Version":"v2.7.15"}`, rancher.Version{Version: "v2.7.15"}, "only 2.8 to 2.11"},
		{`{"Version":"v2.12.0"}`, rancher.Version{Version: "v2.12.0"}, "does not manage RKE1"},
		{`{"Version":"v3.0.0"}`, rancher.Version{Version: "v3.0.0"}, "does not manage RKE1"},
		{`{"Version":"dev"}`, rancher.Version{Version: "dev"}, "not one of 2.8 to 2.11"},
		{`{"Version":"2024-10-abc"}`, rancher.Version{Version: "2024-10-abc"}, "not one of 2.8 to 2.11"},
		{`{"Version":"v2\u001b[31m"}`, rancher.Version{Version: "v2\ufffd[31m"}, "not one of"},
	} {
		var said []string
		c := newClientWith(t, rancher.Options{Warn: func(s string) { said = append(said, s) }, Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/rancherversion" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked for %s with %q", r.URL, r.Header.Get("Authorization"))
			}
			answer(200, tt.body)(w, r)
		})}})
		got, err := c.Version(t.Context())
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v", tt.body, got, err)
		}
		if text := strings.Join(said, " "); (text == "") != (tt.warn == "") || !strings.Contains(text, tt.warn) || strings.Contains(text, "\x1b") {
			t.Errorf("%s: warned %q, want %q", tt.body, text, tt.warn)
		}
	}
}

func TestWhatIsNoRancher(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"page":              answer(200, "<html><title>"+testKey+"</title></html>"),
		"page not found":    answer(404, "404 page not found\n"),
		"JSON not found":    answer(404, `{"error":"no such route"}`),
		"other JSON":        answer(200, `{"kind":"Status"}`),
		"other version":     answer(200, `{"Version":{"major":1}}`),
		"list":              answer(200, `[]`),
		"nothing, no error": answer(200, `{}`),
		"method":            answer(405, `{"message":"no"}`),
	} {
		_, err := newClient(t, h).Version(t.Context())
		wantError(t, err, rancher.ErrNotRancher, "asking for the version of "+testURL)
		wantHint(t, err, "/dashboard")
		if errors := err.Error(); strings.Count(errors, "\n") > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := newClient(t, answer(503, "<html>")).Version(t.Context())
	wantError(t, err, rancher.ErrServer, "503")
}

func TestSetting(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/v3/settings/set":
			answer(200, `{"id":"set","value":"a","default":"b"}`)(w, r)
		case "/v3/settings/unset":
			answer(200, `{"id":"unset","value":"","default":"b"}`)(w, r)
		default:
			answer(404, `{"code":"NotFound","message":""}`)(w, r)
		}
	})
	for name, want := range map[string]string{"set": "a", "unset": "b"} {
		if got, err := c.Setting(t.Context(), name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	_, err := c.Setting(t.Context(), "../clusters\x1b")
	wantError(t, err, rancher.ErrNotFound, "reading setting")
}
