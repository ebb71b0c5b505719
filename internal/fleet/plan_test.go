package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// A fleet is read in pages; a request per cluster would take minutes.
func TestPlanAsksForPagesOnly(t *testing.T) {
	var first []simrancher.Request
	for _, clusters := range []int{5, 500} {
		r := newRig(t)
		raw := make([]string, clusters)
		for i := range raw {
			raw[i] = rawCluster(fmt.Sprintf("c-%05d", i), `{"kubernetesVersion":"`+v126+`"}`)
		}
		r.sim.Inject(answeringClusters(raw...))
		seen := 0
		for p, err := range r.planner.Plan(t.Context(), Selection{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; p.Action != ActionPatch || p.Diff == "" {
				t.Errorf("%s: %s, %v", p.Name, p.Action, codes(p))
			}
		}
		if seen != clusters {
			t.Errorf("%d plans, want %d", seen, clusters)
		}
		if first == nil {
			first = r.sim.Requests()
		}
		if d := cmp.Diff(first, r.sim.Requests()); d != "" || len(first) != 5 {
			t.Errorf("%d clusters: requests %v, want five and the same as for 5 clusters", clusters, r.sim.Requests())
		}
		for _, q := range r.sim.Requests() {
			if q.Method != http.MethodGet {
				t.Errorf("a plan must change nothing: %+v", q)
			}
		}
	}
}

func TestPlanOrder(t *testing.T) {
	r := newRig(t)
	var names []string
	for i, name := range []string{"zeta", "alpha", "m-2", "m-10", "Big", "alpha-0"} {
		r.sim.AddCluster(simrancher.Cluster{ID: fmt.Sprintf("c-%05d", 9-i), Name: name})
	}
	for _, p := range r.plan(Selection{All: true}) {
		names = append(names, p.Name)
	}
	if len(names) != 6 || !slices.IsSorted(names) {
		t.Errorf("%q, want all six by name", names)
	}
}

func TestPlanNames(t *testing.T) {
	r := newRig(t,
		simrancher.Cluster{ID: "c-prod1", Name: "prod-eu", Labels: map[string]string{"env": "prod"}},
		simrancher.Cluster{ID: "c-stag1", Name: "staging", Labels: map[string]string{"env": "staging"}},
		simrancher.Cluster{ID: "c-shop1", Name: "shop", Labels: map[string]string{"env": "prod"}},
		simrancher.Cluster{ID: "c-shop2", Name: "shop-staging", Labels: map[string]string{"env": "staging"}, KubernetesVersion: "v1.24.17-rancher1-1"},
		simrancher.Cluster{ID: "c-m-rk2a", Name: "next-gen", Driver: "rke2"},
		simrancher.Cluster{ID: "c-impt1", Name: "bought-in", Driver: "imported", Status: object{"provider": "rke"}},
		simrancher.Cluster{ID: "local", Driver: "imported", Internal: true},
	)
	for _, tt := range []struct {
		name  string
		sel   Selection
		want  []string // ids
		err   error
		words []string
	}{
		{name: "by name and by id, each once", sel: Selection{Names: []string{"prod-eu", "c-prod1", "c-stag1"}}, want: []string{"c-prod1", "c-stag1"}},
		{name: "by glob", sel: Selection{Names: []string{"shop*"}}, want: []string{"c-shop1", "c-shop2"}},
		{name: "a glob never means what is not RKE1", sel: Selection{Names: []string{"*"}}, want: []string{"c-prod1", "c-shop1", "c-shop2", "c-stag1"}},
		{name: "all but some", sel: Selection{All: true, Exclude: []string{"shop*", "c-stag1"}}, want: []string{"c-prod1"}},
		{name: "all excluded", sel: Selection{All: true, Exclude: []string{"*"}}},
		{name: "no such name", sel: Selection{Names: []string{"prod-ap"}}, err: ErrUnknownCluster, words: []string{`"prod-ap"`, "4 RKE1 clusters"}},
		{name: "no such id", sel: Selection{Names: []string{"c-zzzzz"}}, err: ErrUnknownCluster, words: []string{`"c-zzzzz"`}},
		{name: "a glob that matches nothing", sel: Selection{Names: []string{"x*"}}, err: ErrUnknownCluster, words: []string{`"x*"`}},
		{name: "one known, one not", sel: Selection{Names: []string{"prod-eu", "prod-ap"}}, want: []string{"c-prod1"}, err: ErrUnknownCluster},
		{name: "RKE2 by name", sel: Selection{Names: []string{"next-gen"}}, want: []string{"c-m-rk2a"}},
		{name: "RKE2 by id", sel: Selection{Names: []string{"c-m-rk2a"}}, want: []string{"c-m-rk2a"}},
		{name: "RKE2 by both", sel: Selection{Names: []string{"next-gen", "c-m-rk2a"}}, want: []string{"c-m-rk2a"}},
		{name: "Rancher's own", sel: Selection{Names: []string{"local"}}, want: []string{"local"}},
		{name: "an imported RKE1 cluster", sel: Selection{Names: []string{"bought-in"}}, want: []string{"c-impt1"}},
		{name: "contradiction", sel: Selection{Names: []string{"prod-eu"}, All: true}, err: ErrSelection},
		{name: "below 1.25", sel: Selection{KubernetesVersion: "<1.25"}, want: []string{"c-shop2"}},
		{name: "by label", sel: Selection{Label: "env=staging"}, want: []string{"c-shop2", "c-stag1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plans, err := collect(r, tt.sel)
			var got []string
			for _, p := range plans {
				got = append(got, p.ID)
				if p.Driver != rancher.DriverRKE && (p.Action != ActionBlocked || !slices.Equal(codes(p), []string{"not-rke1"})) {
					t.Errorf("%s is not RKE1: %s, %v", p.ID, p.Action, codes(p))
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
		})
	}
}

// What a cluster's owner can write must not break a plan, nor get lost on the
// way to the report, which makes it fit for a terminal.
func TestPlanOfHostileTexts(t *testing.T) {
	texts := map[string]string{
		"c-ctrl0": "evil\x1b[2J\r\nfake: patched\x00\u009b",
		"c-html0": `<script>alert("x")</script>`,
		"c-long0": strings.Repeat("long", 25_000),
		"c-bidi0": "prod\u202egnp.exe\u2066",
		"c-glob0": `[a*?\`,
	}
	r := newRig(t)
	for id, text := range texts {
		r.sim.AddCluster(simrancher.Cluster{ID: id, Name: text, Labels: map[string]string{"owner": text},
			Conditions: []simrancher.Condition{{Type: "Updated", Status: "False", Message: text}}})
	}
	plans := r.plan(Selection{All: true})
	if len(plans) != len(texts) {
		t.Fatalf("%d plans, want %d", len(plans), len(texts))
	}
	for _, p := range plans {
		var again ClusterPlan
		raw, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(raw, &again)
		}
		if err != nil || again.Name != texts[p.ID] {
			t.Errorf("%s: name %.80q, want %.80q (%v)", p.ID, again.Name, texts[p.ID], err)
		}
		if p.Action != ActionBlocked || !slices.Contains(codes(p), "name-refused") || !slices.Contains(codes(p), "last-update-failed") {
			t.Errorf("%s: %s, %v", p.ID, p.Action, codes(p))
		}
	}
}

// One cluster that cannot be read must not take the others down.
func TestPlanOfWrongTypes(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300)
	for _, tt := range []struct{ config, code string }{
		{`null`, "config-not-understood"},
		{`[]`, "config-not-understood"},
		{`"a: b"`, "config-not-understood"},
		{deep, "config-not-understood"},
		{`{"kubernetesVersion":126}`, "not-understood"},
		{`{"kubernetesVersion":"` + v126 + `","services":[]}`, "not-understood"},
		{`{"kubernetesVersion":"` + v126 + `","services":{"kubelet":"x"}}`, "not-understood"},
		{`{"kubernetesVersion":"` + v126 + `","services":{"kubelet":{"extraArgs":[{"a":"b"}]}}}`, "not-understood"},
		{`{"kubernetesVersion":"` + v126 + `","services":{"kubelet":{"extraArgs":{"a":null}}}}`, "not-understood"},
		{`{"kubernetesVersion":"` + v126 + `","privateRegistries":[{"isDefault":"yes"}]}`, "not-understood"},
		{`{"kubernetesVersion":"\u001b[31m` + v126 + `"}`, "version-not-understood"},
		{`{}`, "version-not-understood"},
	} {
		r := newRig(t)
		r.sim.Inject(answeringClusters(
			rawCluster("c-first", `{"kubernetesVersion":"`+v126+`"}`), rawCluster("c-wrong", tt.config), rawCluster("c-third", `{"kubernetesVersion":"`+v126+`"}`)))
		plans := r.plan(Selection{All: true})
		if len(plans) != 3 {
			t.Fatalf("%.60s: %d plans, want 3", tt.config, len(plans))
		}
		if p := plans[1]; p.Action != ActionBlocked || !slices.Contains(codes(p), tt.code) || len(p.Changes) > 0 || p.Diff != "" {
			t.Errorf("%.60s: %s, %v, want blocked by %s", tt.config, p.Action, codes(p), tt.code)
		}
		if slices.Contains(codes(plans[0]), tt.code) {
			t.Errorf("%.60s: its neighbour has %s, too", tt.config, tt.code)
		}
	}
}

func TestPlanHoldsNoSecret(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	r.sim.AddCluster(simrancher.Cluster{ID: "c-near0", Name: "near", Kubelet: object{
		"extraArgs": args("max-pods", "110"), "extraBinds": []any{"/data:/data"},
		"extraEnv": []any{"PULL_TOKEN=next-to-the-patch-1", "PROXY_PASSWORD=next-to-the-patch-2", "HTTP_PROXY=http://proxy.example.com"},
	}})
	r.planner.API = kubelet.APIv1alpha1 // 1.24 and 1.25, too
	r.planner.WideDiffs = true
	secrets := r.sim.Secrets()
	patched := 0
	for _, p := range r.plan(Selection{All: true}) {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if strings.Contains(string(raw)+p.Diff+p.WideDiff, s) {
				t.Errorf("%s: the plan holds the secret %s", p.Name, s)
			}
		}
		if p.Action == ActionPatch {
			patched++
		}
		if p.ID == "c-near0" && !strings.Contains(p.Diff, "PULL_TOKEN=<redacted>") {
			t.Errorf("the diff was to show the masked neighbourhood:\n%s", p.Diff)
		}
	}
	if patched < 8 || !slices.Contains(secrets, "next-to-the-patch-1") {
		t.Errorf("%d patchable clusters and %d secrets are too few to prove anything", patched, len(secrets))
	}
}

// An argument may be a secret itself, the old value as well as the new one.
func TestPlanMasksArguments(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa", Kubelet: object{"extraArgs": args("proxy-token", "the-old-secret", "max-pods", "110")}})
	r.planner.Patch = rkeconfig.Patch{Args: map[string]string{"proxy-token": "the-new-secret"}}
	r.planner.ReplaceArgs = []string{"proxy-token"}
	p := r.planOf("c-aaaaa", ActionPatch)
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"the-old-secret", "the-new-secret"} {
		if strings.Contains(string(raw)+p.Diff, s) {
			t.Errorf("the plan holds %s: %s\n%s", s, raw, p.Diff)
		}
	}
	if len(p.Changes) != 1 || p.Changes[0].Before == p.Changes[0].After || !strings.Contains(p.Diff, "proxy-token") {
		t.Errorf("%+v does not show that the argument changes:\n%s", p.Changes, p.Diff)
	}
}

func TestPlanServerTrouble(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault simrancher.Fault
		err   error  // nil: the plan works all the same
		words string // in the error
	}{
		{"nodes hidden from the token", simrancher.Fault{Path: "/v3/nodes", Status: http.StatusForbidden}, nil, ""},
		{"nodes broken", simrancher.Fault{Path: "/v3/nodes", Status: http.StatusInternalServerError}, rancher.ErrServer, "listing nodes"},
		{"no such setting", simrancher.Fault{Path: "/v3/settings/k8s-versions-deprecated", Status: http.StatusNotFound}, nil, ""},
		{"setting without a value", simrancher.Fault{Path: "/v3/settings/", Status: http.StatusOK, Body: `{"value":""}`}, nil, ""},
		{"setting that is no JSON", simrancher.Fault{Path: "/v3/settings/", Status: http.StatusOK, Body: `{"value":"v1.26"}`}, errAny, "k8s-versions-deprecated"},
		{"token expired", simrancher.Fault{Path: "/v3/", Status: http.StatusUnauthorized}, rancher.ErrUnauthorized, ""},
		{"list cut short", simrancher.Fault{Path: "/v3/clusters", CutAt: 3000}, rancher.ErrUnreachable, "listing clusters"},
		{"list garbled", simrancher.Fault{Path: "/v3/clusters", Garble: true}, rancher.ErrNotRancher, "listing clusters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.sim.Inject(tt.fault)
			plans, err := collect(r, Selection{All: true})
			switch {
			case tt.err == nil && (err != nil || len(plans) != 1 || plans[0].Action != ActionPatch):
				t.Errorf("%+v, %v", plans, err)
			case tt.err == errAny && err == nil, tt.err != nil && tt.err != errAny && !errors.Is(err, tt.err):
				t.Errorf("error %v, want %v", err, tt.err)
			case err != nil && !strings.Contains(err.Error(), tt.words):
				t.Errorf("the error does not say %q: %v", tt.words, err)
			}
		})
	}
}

// errAny stands for an error without a sentinel.
var errAny = errors.New("any error")

// A caller that has seen enough is not served more.
func TestPlanStops(t *testing.T) {
	r := newRig(t)
	r.sim.AddDemoFleet()
	n := 0
	for _, err := range r.planner.Plan(t.Context(), Selection{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d plans", n)
	}
}

// A plan that is interrupted half-way is not taken for a whole one, wherever the
// interrupt falls.
func TestPlanInterruptedIsNotWhole(t *testing.T) {
	r := newRig(t)
	r.sim.AddFleet(40)
	for _, stop := range []int{0, 1, 2, 5, 11, 20, 30, 37, 38, 39} {
		ctx, cancel := context.WithCancel(t.Context())
		seen, failed := 0, false
		for _, err := range r.planner.Plan(ctx, Selection{All: true}) {
			if err != nil {
				failed = true
				break
			}
			if seen++; seen == stop+1 {
				cancel()
			}
		}
		cancel()
		if !failed && seen < 40 {
			t.Errorf("interrupted after %d of 40: ended with %d and no error", stop+1, seen)
		}
	}
}
