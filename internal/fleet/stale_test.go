package fleet

import (
	"encoding/json"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// What was reviewed is what happens: a plan whose head says more than its
// clusters showed is refused, whoever wrote it.
func TestAPatchThatGrewSinceTheReviewIsStale(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	reviewed := r.planOf("c-aaaaa", ActionPatch)
	r.planner.Patch.Args["anonymous-auth"] = "true"
	r.planner.Patch.Binds = append(r.planner.Patch.Binds, "/data/x:/data/x:rw")
	reviewed.Basis = r.planner.Patch.Basis(docOf(t, r, "c-aaaaa")) // an attacker fits it
	out, err := r.apply(t.Context(), 1, reviewed)
	if err != nil || out[0].Status != StatusStale || !strings.Contains(out[0].Message, "anonymous-auth") {
		t.Errorf("%+v, %v; want stale because of anonymous-auth", out[0], err)
	}
	if kubeletText := r.sim.Stored("c-aaaaa"); strings.Contains(toText(t, kubeletText), "anonymous-auth") {
		t.Error("it was stored")
	}
}

// A warning that nobody has seen is no less than a changed value.
func TestANewWarningIsStale(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	reviewed := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Edit("c-aaaaa", func(o map[string]any) {
		o["rancherKubernetesEngineConfig"].(map[string]any)["cloudProvider"] = map[string]any{"name": "aws", "useInstanceMetadataHostname": false}
		o["appliedSpec"].(map[string]any)["rancherKubernetesEngineConfig"].(map[string]any)["cloudProvider"] = map[string]any{"name": "aws", "useInstanceMetadataHostname": false}
	})
	out, err := r.apply(t.Context(), 1, reviewed)
	if err != nil || out[0].Status != StatusStale || !strings.Contains(out[0].Message, "cloud-provider-aws") {
		t.Errorf("%+v, %v; want stale because of cloud-provider-aws", out[0], err)
	}
}

// The check ahead of the PUT stands on its own feet: a wanted config that goes
// beyond the patch is not sent, however it came about.
func TestNothingButThePatchIsSent(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	a := &Applier{Planner: r.planner}
	cl, err := r.planner.Rancher.Cluster(t.Context(), "c-aaaaa")
	if err != nil {
		t.Fatal(err)
	}
	p := r.planner.judge(t.Context(), cl)
	if err := a.onlyOwn(cl, p); err != nil {
		t.Errorf("the plan itself: %v", err)
	}
	beyond := p.wanted.Map()
	beyond["addons"] = "kind: Namespace"
	if p.wanted, err = rkeconfig.NewDocument(beyond); err != nil {
		t.Fatal(err)
	}
	if err := a.onlyOwn(cl, p); err == nil || !strings.Contains(err.Error(), "addons") {
		t.Errorf("%v, want an error that names addons", err)
	}
}

// A stored config that is as wanted is not the same as a cluster that runs it.
func TestAPatchedClusterInTroubleIsNotUnchanged(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.sim.Script("c-aaaaa", simrancher.Fail{Message: "etcd is not healthy"})
	if out, err := r.apply(t.Context(), 1, r.planOf("c-aaaaa", ActionPatch)); err != nil || out[0].Status != StatusFailed {
		t.Fatalf("%+v, %v", out, err)
	}
	p := r.planOf("c-aaaaa", ActionBlocked)
	if p.Patched != rkeconfig.Patched {
		t.Errorf("patched %s, want yes", p.Patched)
	}
	if worst, _ := p.Worst(); worst.Code != "last-update-failed" {
		t.Errorf("worst %s, want last-update-failed", worst.Code)
	}
}

// The kubelet's rules look at what the kubelet will get, in any spelling.
func TestGatesAreSeenWhereverTheyStand(t *testing.T) {
	for name, tt := range map[string]struct {
		version string
		cluster simrancher.Cluster
		patch   map[string]string
		code    string
	}{
		"the patch brings it":   {v126, simrancher.Cluster{}, map[string]string{"feature-gates": "KubeletCredentialProviders=false"}, "gate-credential-providers"},
		"in extra_args_array":   {v128, simrancher.Cluster{Kubelet: object{"extraArgsArray": object{"feature-gates": []any{"A=true", "KubeletCredentialProviders=true"}}}}, nil, "gate-credential-providers"},
		"with an underscore":    {v128, withArgs("feature_gates", "KubeletCredentialProviders=true"), nil, "gate-credential-providers"},
		"the patch, a later 28": {v127, simrancher.Cluster{}, map[string]string{"feature-gates": "KubeletCredentialProviders=true"}, "gate-gone-in-1.28"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cluster.ID = "c-aaaaa"
			r := newRig(t, at(tt.version, tt.cluster))
			patch := ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig)
			for k, v := range tt.patch {
				patch.Args[k] = v
			}
			r.planner.Patch = patch
			if _, ok := find(r.plan(Selection{Names: []string{"c-aaaaa"}})[0].Findings, tt.code); !ok {
				t.Errorf("no %s", tt.code)
			}
		})
	}
}

func docOf(t *testing.T, r *rig, id string) rkeconfig.Document {
	t.Helper()
	cl, err := r.planner.Rancher.Cluster(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func toText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
