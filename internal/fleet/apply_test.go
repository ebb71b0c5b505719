package fleet

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

const rkeField = "rancherKubernetesEngineConfig"

func TestApplyTwoAtOnce(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"}, simrancher.Cluster{ID: "c-bbbbb"})
	plans := r.plan(Selection{All: true})
	r.sim.ResetRequests()
	r.poll = 5 * time.Second
	meet := r.meetingOfPuts(2)
	outcomes, err := r.apply(t.Context(), 2, plans...)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Status != StatusPatched || !o.Stored || o.Err != nil || o.ID != plans[i].ID || o.Duration <= 0 || !r.holdsPatch(o.ID) {
			t.Errorf("%s", o)
		}
	}
	if len(r.done) != 2 || !meet() {
		t.Errorf("%d clusters were told to be done, both in flight at once: %v", len(r.done), meet())
	}
	for _, id := range []string{"c-aaaaa", "c-bbbbb"} {
		if gets, puts := r.count("GET", "/v3/clusters/"+id, ""), r.count("PUT", "/v3/clusters/"+id, ""); gets != 1 || puts != 1 {
			t.Errorf("%s: %d GETs and %d PUTs, want one of each", id, gets, puts)
		}
		if r.kubeletOf(id)["extraBinds"] == nil {
			t.Errorf("%s: no binds were stored", id)
		}
	}
	// The polls list both clusters in one request, and nothing else is asked.
	lists, both, nodes := r.count("GET", "/v3/clusters", ""), 0, r.count("GET", "/v3/nodes", "")
	for _, q := range r.sim.Requests() {
		if strings.Contains(q.Query, "id_in=c-aaaaa&id_in=c-bbbbb") {
			both++
		}
	}
	if polls := r.clock.sleeps; lists > polls+1 || nodes > polls+1 || both == 0 {
		t.Errorf("%d lists of clusters (%d of both) and %d of nodes in %d polls", lists, both, nodes, polls)
	}
	if schemas := r.count("GET", "/v3/schemas/kubeletService", ""); schemas != 1 || len(r.sim.Requests()) != 4+lists+nodes+schemas {
		t.Errorf("%d schemas, %d requests in all: %v", schemas, len(r.sim.Requests()), r.sim.Requests())
	}
	for _, p := range r.plan(Selection{All: true}) {
		if p.Action != ActionNone || p.Patched != rkeconfig.Patched {
			t.Errorf("planned again: %s %s", p.Name, p.Action)
		}
	}
}

// meetingOfPuts holds each PUT back until n of them are there. The function
// says whether they met.
func (r *rig) meetingOfPuts(n int) (met func() bool) {
	var mu sync.Mutex
	arrived, all := 0, make(chan struct{})
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/", Count: n, Before: func() {
		mu.Lock()
		if arrived++; arrived == n {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-r.t.Context().Done():
		}
	}})
	return func() bool { mu.Lock(); defer mu.Unlock(); return arrived >= n }
}

// In the whole store, only the patch's own paths change, and what the plan said
// that Rancher would.
func TestApplyChangesNothingElse(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	r.planner.API = kubelet.APIv1alpha1 // 1.24 and 1.25, too
	plans := slices.DeleteFunc(r.plan(Selection{All: true}), func(p *ClusterPlan) bool { return p.Action != ActionPatch || p.Template != nil })
	if len(plans) < 8 {
		t.Fatalf("only %d of the demo clusters can be patched", len(plans))
	}
	before := map[string]object{}
	for _, p := range plans {
		before[p.ID] = r.sim.Stored(p.ID)
	}
	outcomes, err := r.apply(t.Context(), len(plans), plans...)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range plans {
		if outcomes[i].Status != StatusPatched {
			t.Fatalf("%s", outcomes[i])
		}
		after := r.sim.Stored(p.ID)
		if d := cmp.Diff(withoutStatus(before[p.ID]), withoutStatus(after)); d != "" {
			t.Errorf("%s: beside the config, there changed\n%s", p.Name, d)
		}
		want := map[string]bool{}
		for _, c := range p.Changes {
			want[c.Path] = true
		}
		for _, w := range p.Rewrites {
			if !w.Pinned {
				want[w.Path] = true
			}
		}
		got := map[string]bool{}
		for _, c := range rkeconfig.Compare(document(t, before[p.ID]), document(t, after)) {
			got[c.Path] = true
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: planned and stored changes differ\n%s", p.Name, d)
		}
	}
}

// withoutStatus leaves what a user can set, but for the config.
func withoutStatus(cluster object) object {
	cluster = maps.Clone(cluster)
	for _, field := range []string{rkeField, "appliedSpec", "failedSpec", "conditions", "nodeVersion"} {
		delete(cluster, field)
	}
	maps.DeleteFunc(cluster, func(_ string, v any) bool { return v == nil })
	return cluster
}

func document(t *testing.T, cluster object) rkeconfig.Document {
	t.Helper()
	d, err := rkeconfig.NewDocument(cluster[rkeField].(object))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// external-aws without useInstanceMetadataHostname: Rancher would set it to true
// on any update, and the nodes would get other names.
func TestApplyKeepsNodeNames(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-xaws1", Config: object{"cloudProvider": object{"name": "external-aws"}}})
	if o := r.applyOne(r.planOf("c-xaws1", ActionPatch)); o.Status != StatusPatched {
		t.Fatalf("%s", o)
	}
	provider := r.sim.Stored("c-xaws1")[rkeField].(object)["cloudProvider"].(object)
	if provider["useInstanceMetadataHostname"] != false {
		t.Errorf("%v, want useInstanceMetadataHostname false", provider)
	}
}

func TestApplyComparesWithThePlan(t *testing.T) {
	clean := simrancher.Cluster{ID: "c-aaaaa", Kubelet: object{"extraArgs": args("max-pods", "110"), "extraBinds": []any{"/data:/data"}}}
	kubeletArg := func(k, v string) func(*rig) {
		return func(r *rig) { r.edit("c-aaaaa", []string{"extraArgs", k}, v) }
	}
	for _, tt := range []struct {
		name   string
		edit   func(*rig)
		status Status
		says   string
	}{
		{"nothing happened", func(*rig) {}, StatusPatched, ""},
		{"one of the flags was set meanwhile", kubeletArg(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir), StatusStale, kubelet.FlagProviderBinDir},
		{"one of the binds was added meanwhile", func(r *rig) {
			r.edit("c-aaaaa", []string{"extraBinds"}, []any{"/data:/data", "/opt/aws/bin:/opt/aws/bin:ro"})
		}, StatusStale, "/opt/aws/bin"},
		{"another provider was set up meanwhile", func(r *rig) {
			kubeletArg(kubelet.FlagProviderBinDir, "/opt/gcr/bin")(r)
			kubeletArg(kubelet.FlagProviderConfig, "/opt/gcr/config.yaml")(r)
		}, StatusBlocked, "provider-already-configured"},
		{"somebody else patched it", func(r *rig) {
			kubeletArg(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir)(r)
			kubeletArg(kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig)(r)
			r.edit("c-aaaaa", []string{"extraBinds"}, []any{"/data:/data", "/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"})
		}, StatusUnchanged, "somebody else"},
		{"it was upgraded", func(r *rig) {
			r.sim.Edit("c-aaaaa", func(c map[string]any) { put(c, v127, rkeField, "kubernetesVersion") })
		}, StatusStale, "kubernetes_version"},
		{"it was made anew under the same id", func(r *rig) {
			r.sim.Edit("c-aaaaa", func(c map[string]any) { c["uuid"] = "11111111-0000-0000-0000-000000000000" })
		}, StatusStale, "another cluster"},
		{"it is being updated", func(r *rig) {
			r.sim.Script("c-aaaaa", simrancher.Hang{})
			kubeletArg("max-pods", "120")(r)
			r.settle()
		}, StatusBlocked, "already-updating"},
		{"an unrelated argument changed", kubeletArg("max-pods", "120"), StatusPatched, ""},
		{"an unrelated bind was put in front", func(r *rig) {
			r.edit("c-aaaaa", []string{"extraBinds"}, []any{"/logs:/logs", "/data:/data"})
		}, StatusPatched, ""},
		{"all unrelated binds are gone", func(r *rig) {
			r.edit("c-aaaaa", []string{"extraBinds"}, nil)
		}, StatusPatched, ""},
		{"the description changed", func(r *rig) {
			r.sim.Edit("c-aaaaa", func(c map[string]any) { c["description"] = "reviewed" })
		}, StatusPatched, ""},
		{"another part of the config changed", func(r *rig) {
			r.sim.Edit("c-aaaaa", func(c map[string]any) { put(c, "# addons", rkeField, "addons") })
		}, StatusPatched, ""},
		{"it is gone", func(r *rig) { r.sim.Delete("c-aaaaa") }, StatusFailed, "not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, clean)
			p := r.planOf("c-aaaaa", ActionPatch)
			tt.edit(r)
			if tt.status != StatusBlocked {
				r.settle()
			}
			want := r.kubeletOf("c-aaaaa")
			o := r.applyOne(p)
			if o.Status != tt.status || !strings.Contains(o.Message, tt.says) {
				t.Errorf("%s; want %s that says %q", o, tt.status, tt.says)
			}
			if tt.status == StatusPatched {
				if !r.holdsPatch("c-aaaaa") || r.puts() != 1 {
					t.Errorf("%d PUTs, stored %v", r.puts(), r.kubeletOf("c-aaaaa"))
				}
				return
			}
			if d := cmp.Diff(want, r.kubeletOf("c-aaaaa")); d != "" || r.puts() != 0 || o.Stored {
				t.Errorf("%d PUTs, stored %v, changed:\n%s", r.puts(), o.Stored, d)
			}
			if errors.Is(o.Err, ErrStale) != (tt.status == StatusStale) {
				t.Errorf("error %v", o.Err)
			}
			if tt.status != StatusUnchanged && !strings.Contains(o.Next, "rkepatch plan c-aaaaa") {
				t.Errorf("next: %q", o.Next)
			}
		})
	}
}

// The edit may also come in the very instant before the PUT's own GET.
func TestApplyComparesWithAFreshGet(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-aaaaa", Before: func() {
		r.edit("c-aaaaa", []string{"extraArgs", kubelet.FlagProviderConfig}, kubelet.DefaultProviderConfig)
	}})
	if o := r.applyOne(p); o.Status != StatusStale || r.puts() != 0 {
		t.Errorf("%s, %d PUTs", o, r.puts())
	}
}

func TestApplyLeavesTheOthersAlone(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	plans := r.plan(Selection{Names: []string{"shop", "factory-win", "prod-us", "next-gen"}})
	r.sim.ResetRequests()
	outcomes, err := r.apply(t.Context(), 1, plans...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Status{}
	for _, o := range outcomes {
		got[o.Name] = o.Status
		if o.Status == StatusBlocked && !strings.Contains(o.Message, ": ") {
			t.Errorf("%s: does not say what blocks it", o)
		}
	}
	want := map[string]Status{"shop": StatusUnchanged, "factory-win": StatusBlocked, "prod-us": StatusPatched, "next-gen": StatusBlocked}
	if d := cmp.Diff(want, got); d != "" || r.puts() != 1 {
		t.Errorf("%d PUTs, %s", r.puts(), d)
	}
}

// Nothing to change: nothing is asked, not even the schema.
func TestApplyNothing(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	plans := r.plan(Selection{Names: []string{"shop", "factory-win"}})
	r.sim.ResetRequests()
	if _, err := r.apply(t.Context(), 1, plans...); err != nil || len(r.sim.Requests()) != 0 {
		t.Errorf("%v, requests %v", err, r.sim.Requests())
	}
}

// A Rancher whose schema lacks a field would drop it and answer 200.
func TestApplyAsksForTheSchema(t *testing.T) {
	for field, change := range map[string]func(fields object){
		"extraArgs":  func(fields object) { delete(fields, "extraArgs") },
		"extraBinds": func(fields object) { fields["extraBinds"].(object)["type"] = "map[string]" },
	} {
		r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
		p := r.planOf("c-aaaaa", ActionPatch)
		var schema object
		getJSON(t, r, "/v3/schemas/kubeletService", &schema)
		change(schema["resourceFields"].(object))
		body, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		r.sim.Inject(simrancher.Fault{Path: "/v3/schemas/kubeletService", Status: http.StatusOK, Body: string(body)})
		outcomes, err := r.apply(t.Context(), 1, p)
		if !errors.Is(err, rancher.ErrSchema) || !strings.Contains(err.Error(), field) || r.puts() != 0 {
			t.Errorf("%s: %v, %v, %d PUTs", field, outcomes, err, r.puts())
		}
	}
}

// getJSON asks the simulator without the client under test.
func getJSON(t *testing.T, r *rig, path string, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.planner.Rancher.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+simrancher.AdminToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
}
