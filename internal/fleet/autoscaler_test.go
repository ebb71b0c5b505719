package fleet

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rkepatch/fixtures/simkube"
	"rkepatch/fixtures/simrancher"
)

// An autoscaler that runs in the cluster is found by what it writes there, whatever
// Rancher knows of pools; where nobody may look, that is said.
func TestAutoscalerInTheCluster(t *testing.T) {
	refusing := func(status int) http.Handler {
		kube := simkube.New()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/configmaps/") {
				kube.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"hunter2","reason":%q,"code":%d}`,
				map[int]string{403: "Forbidden"}[status], status)
		})
	}
	scaled := simkube.New()
	scaled.Autoscale()
	for _, tt := range []struct {
		name   string
		kube   http.Handler
		says   string // "" for nothing
		strict bool
	}{
		{"none", simkube.New(), "", true},
		{"one", scaled, "a cluster autoscaler is at work", false},
		{"one, strictly", scaled, "a cluster autoscaler is at work", true},
		{"forbidden", refusing(403), "the token may not read ConfigMaps", false},
		{"no answer", refusing(500), "gave no answer to go by", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.sim.SetKubernetes("c-aaaaa", tt.kube, nil)
			withPool("c-aaaaa", readyTemplate)(r.sim)
			p := r.planOf("c-aaaaa", ActionPatch)
			r.planner.Strict = tt.strict
			look := &NodeLook{Rancher: r.planner.Rancher, Clock: r.clock.clock()}
			var got Checked
			if err := look.CheckPlans(t.Context(), r.planner, []*ClusterPlan{p}, 1, func(c Checked) { got = c }); err != nil {
				t.Fatal(err)
			}
			f, found := find(got.Found, newUnknownFinding.Code)
			if found != (tt.says != "") || !strings.Contains(f.Message, tt.says) || strings.Contains(f.Message, "hunter2") {
				t.Errorf("%v", got.Found)
			}
			if found && (f.Severity == Block) != tt.strict {
				t.Errorf("severity %s, strict %v", f.Severity, tt.strict)
			}
		})
	}
}
