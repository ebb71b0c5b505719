package fleet

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
)

// What is in use stays in use: with MergeConfig nothing is sent to a cluster whose
// kubelets have a provider config, and its nodes are looked at where that is.
func TestMergeConfigKeepsArguments(t *testing.T) {
	theirs := withArgs(kubelet.FlagProviderBinDir, "/var/lib/rancher/gcr/bin", kubelet.FlagProviderConfig, "/var/lib/rancher/gcr/config.yaml")
	unmounted := withArgs(kubelet.FlagProviderBinDir, "/opt/gcr/bin", kubelet.FlagProviderConfig, "/opt/gcr/config.yaml")
	for _, tt := range []struct {
		name    string
		cluster simrancher.Cluster
		action  Action
		codes   []string // that must be there
		binDir  string   // that the nodes are looked at for
	}{
		{"another provider", theirs, ActionNone, []string{"provider-joins-others"}, "/var/lib/rancher/gcr/bin"},
		{"none", simrancher.Cluster{}, ActionPatch, nil, kubelet.DefaultBinDir},
		{"this one", withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig), ActionPatch, nil, kubelet.DefaultBinDir},
		{"this one, binds and all", simrancher.Cluster{Kubelet: object{
			"extraArgs":  args(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig),
			"extraBinds": []any{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"}}}, ActionNone, []string{"provider-joins-others"}, kubelet.DefaultBinDir},
		{"half of another", withArgs(kubelet.FlagProviderBinDir, "/opt/gcr/bin"), ActionBlocked, []string{"provider-already-configured"}, ""},
		{"another that the kubelet cannot see", unmounted, ActionBlocked, []string{"provider-not-mounted", "provider-joins-others"}, "/opt/gcr/bin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			tt.cluster.ID = hasID
			r.sim.AddCluster(tt.cluster)
			r.planner.MergeConfig, r.planner.KeepClusters, r.planner.Provider = true, true, kubelet.ECR
			plans := r.plan(Selection{Names: []string{hasID}})
			p := plans[0]
			if p.Action != tt.action {
				t.Errorf("%s, want %s: %v", p.Action, tt.action, p.Findings)
			}
			for _, code := range tt.codes {
				if _, ok := find(p.Findings, code); !ok {
					t.Errorf("no %s in %v", code, p.Findings)
				}
			}
			if tt.binDir == "" {
				return
			}
			look := &NodeLook{Rancher: r.planner.Rancher}
			look.Want(r.planner)
			q, ok := look.QueryFor(p.cluster, p.result)
			if !ok || q.BinDir != tt.binDir || q.Provider != kubelet.ECR || q.ForVersion.String() != "1.27" {
				t.Errorf("%t, %+v", ok, q)
			}
		})
	}
}

// A plan file says whose provider it is for, and that it joins others.
func TestPlanFileKeepsTheProvider(t *testing.T) {
	r := newRig(t)
	r.sim.AddCluster(simrancher.Cluster{ID: hasID})
	wanting(kubelet.GCP)(r.planner)
	r.planner.MergeConfig = true
	name := filepath.Join(t.TempDir(), "plan")
	w, err := r.planner.CreatePlan(name, "rkepatch test", "v2.9.1", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.plan(Selection{Names: []string{hasID}}) {
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	file, err := OpenPlan(name)
	if err != nil {
		t.Fatal(err)
	}
	if p := file.Planner(r.planner); p.Provider != kubelet.GCP || !p.MergeConfig || !slices.Equal(p.Patch.Binds, r.planner.Patch.Binds) {
		t.Errorf("%+v", p)
	}
}

// The later kubelet that counts is the first without the built-in login.
func TestQueryForEveryRegistry(t *testing.T) {
	for kind, want := range map[kubelet.Kind]string{"": "1.27", kubelet.ECR: "1.27", kubelet.ACR: "1.30", kubelet.GCP: "1.31"} {
		r := newRig(t)
		r.sim.AddCluster(simrancher.Cluster{ID: hasID})
		if kind != "" {
			wanting(kind)(r.planner)
		}
		r.planner.KeepClusters = true
		p := r.plan(Selection{Names: []string{hasID}})[0]
		look := &NodeLook{Rancher: r.planner.Rancher}
		look.Want(r.planner)
		if q, ok := look.QueryFor(p.cluster, p.result); !ok || q.ForVersion.String() != want {
			t.Errorf("%q: %t, %s, want %s", kind, ok, q.ForVersion, want)
		}
	}
}
