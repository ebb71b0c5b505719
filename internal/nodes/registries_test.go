package nodes

import (
	"path/filepath"
	"strings"
	"testing"

	"rkepatch/internal/kubelet"
)

// The providers of other clouds, each as its released program behaves, judged
// with its own config by the real script.
func TestCheckScriptForOtherRegistries(t *testing.T) {
	v1, old := kubelet.APIv1, kubelet.APIv1alpha1
	for _, tt := range []struct {
		name   string
		kind   kubelet.Kind
		role   string
		change func(tree, kubelet.Registry)
		code   string // of the finding; "" when there is none above a note
		says   string
	}{
		{name: "ACR", kind: kubelet.ACR, role: "acr"},
		{name: "GCP", kind: kubelet.GCP, role: "gcp v1"},
		{name: "an old GCP provider", kind: kubelet.GCP, role: "gcp v1alpha1", code: "binary-api", says: "speaks v1alpha1"},
		{name: "ACR without its cloud config", kind: kubelet.ACR, role: "acr", change: func(n tree, r kubelet.Registry) {
			r.Args = nil
			n.writeConfig(r, v1)
		}, code: "args-missing"},
		{name: "GCP without its subcommand", kind: kubelet.GCP, role: "gcp v1", change: func(n tree, r kubelet.Registry) {
			r.Args = []string{"--v=3"}
			n.writeConfig(r, v1)
		}, code: "args-missing"},
		{name: "ACR with another API in the config", kind: kubelet.ACR, role: "acr", change: func(n tree, r kubelet.Registry) { n.writeConfig(r, old) }, code: "binary-api", says: "it speaks v1"},
		{name: "a program that is no provider", kind: kubelet.GCP, role: "helper", code: otherUnasked, says: "did not answer as a credential provider does"},
		{name: "no binary", kind: kubelet.ACR, role: "acr", change: func(n tree, r kubelet.Registry) { n.remove(binDir + "/" + r.Provider) }, code: kubeletRefuses, says: "acr-credential-provider did not exist"},
		{name: "only ECR's is there", kind: kubelet.ACR, role: "acr", change: func(n tree, _ kubelet.Registry) {
			n.write(configPath, goodConfig, 0o644)
			n.provider(name, "v1")
		}, code: providerAbsent, says: "names ecr-credential-provider, but no acr-credential-provider"},
		{name: "ECR's is there, too", kind: kubelet.GCP, role: "gcp v1", change: func(n tree, r kubelet.Registry) {
			config, _ := kubelet.BuildConfig(r, kubelet.Version{Major: 1, Minor: 26}, v1)
			_, ecr, _ := strings.Cut(goodConfig, "providers:\n")
			n.write(configPath, string(config)+strings.ReplaceAll(ecr[2:], "\n  ", "\n"), 0o644)
			n.provider(name, "v1")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for shell, path := range shells(t) {
				n := newTree(t)
				r, _ := kubelet.RegistryByKind(tt.kind)
				n.writeConfig(r, v1)
				n.provider(r.Provider, tt.role)
				if tt.change != nil {
					tt.change(n, r)
				}
				q := query()
				q.Provider, q.ForVersion = tt.kind, r.Gone
				report := n.check(path, "v1.26.15", q)
				found := false
				for _, f := range report.Findings {
					if f.Level == kubelet.Note {
						continue
					}
					if f.Code != tt.code {
						t.Errorf("%s: %s: %s", shell, f.Code, f.Message)
					}
					found = found || strings.Contains(f.Message, tt.says)
				}
				if tt.code != "" && !found {
					t.Errorf("%s: no %s that says %q: %+v", shell, tt.code, tt.says, report.Findings)
				}
			}
		})
	}
}

// writeConfig writes a registry's config for kubelets from 1.26 on.
func (n tree) writeConfig(r kubelet.Registry, api kubelet.API) {
	n.t.Helper()
	config, err := kubelet.BuildConfig(r, kubelet.Version{Major: 1, Minor: 26}, api)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mkdir(filepath.Dir(configPath))
	n.write(configPath, string(config), 0o644)
}
