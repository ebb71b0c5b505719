package kubelet

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	gate := func(s string) map[string]string { return map[string]string{"feature-gates": s} }
	azure := map[string]string{"azure-container-registry-config": "/etc/kubernetes/cloud-config"}
	both := func(a, b map[string]string) map[string]string {
		all := maps.Clone(a)
		maps.Copy(all, b)
		return all
	}
	type want map[string]Level
	for _, tt := range []struct {
		name    string
		version string
		flags   Flags
		want    want
	}{
		{"1.23 is too old whatever the API", "v1.23.17-rancher1-1", Flags{API: APIv1alpha1}, want{"kubelet-too-old": Fatal, "in-tree-masks": Note}},
		{"1.24 does not know v1", "v1.24.17-rancher1-1", Flags{API: APIv1}, want{"provider-api": Fatal, "in-tree-masks": Note}},
		{"1.25 with v1alpha1", "v1.25.16-rancher2-3", Flags{API: APIv1alpha1}, want{"in-tree-masks": Note}},
		{"1.26 knows v1", "v1.26.15-rancher1-1", Flags{API: APIv1}, want{"in-tree-masks": Note}},
		{"1.27 without provider", "v1.27.16-rancher1-1", Flags{API: APIv1}, want{"in-tree-gone": Caution}},
		{"1.27 with provider", "v1.27.16-rancher1-1", Flags{API: APIv1, Providers: true}, want{}},
		{"gate off on 1.25: flags ignored", "v1.25.16", Flags{API: APIv1alpha1, Args: gate("KubeletCredentialProviders=false")}, want{"gate-credential-providers": Fatal, "in-tree-masks": Note}},
		{"gate off on 1.26: locked", "v1.26.15", Flags{API: APIv1, Args: gate("A=true, KubeletCredentialProviders=False")}, want{"gate-credential-providers": Fatal, "in-tree-masks": Note}},
		{"gate on on 1.27: fatal one step later", "v1.27.16", Flags{API: APIv1, Providers: true, Args: gate("KubeletCredentialProviders=true")}, want{"gate-gone-in-1.28": Caution}},
		{"gate on on 1.28: unknown", "v1.28.15", Flags{API: APIv1, Providers: true, Args: gate("KubeletCredentialProviders=true")}, want{"gate-credential-providers": Fatal}},
		{"in-tree off for a rehearsal", "v1.26.15", Flags{API: APIv1, Args: gate("DisableKubeletCloudCredentialProviders=true")}, want{"gate-disable-in-tree": Caution}},
		{"ACR on 1.28 without its flag: nothing answers", "v1.28.15", Flags{API: APIv1, Registry: ACR}, want{}},
		{"ACR on 1.28 with its flag", "v1.28.15", Flags{API: APIv1, Registry: ACR, Args: azure}, want{"azure-flag-gone-in-1.30": Caution, "in-tree-masks": Note}},
		{"ACR on 1.29: switched off", "v1.29.15", Flags{API: APIv1, Registry: ACR, Args: azure}, want{"azure-flag-gone-in-1.30": Caution, "in-tree-gone": Caution}},
		{"ACR on 1.29: switched on again", "v1.29.15", Flags{API: APIv1, Registry: ACR, Args: both(azure, gate("DisableKubeletCloudCredentialProviders=false"))},
			want{"azure-flag-gone-in-1.30": Caution, "gate-disable-in-tree": Caution, "in-tree-masks": Note}},
		{"ACR on 1.30 with its flag", "v1.30.14", Flags{API: APIv1, Registry: ACR, Providers: true, Args: azure}, want{"azure-flag-refused": Fatal}},
		{"the flag of ACR stops the kubelets of others, too", "v1.30.14", Flags{API: APIv1, Providers: true, Args: azure}, want{"azure-flag-refused": Fatal}},
		{"ACR on 1.30 without provider", "v1.30.14", Flags{API: APIv1, Registry: ACR}, want{"in-tree-gone": Caution}},
		{"GCP on 1.28", "v1.28.15", Flags{API: APIv1, Registry: GCP}, want{"in-tree-masks": Note}},
		{"GCP on 1.29: switched off", "v1.29.15", Flags{API: APIv1, Registry: GCP}, want{"in-tree-gone": Caution}},
		{"GCP on 1.30: switched on again", "v1.30.14", Flags{API: APIv1, Registry: GCP, Args: gate("DisableKubeletCloudCredentialProviders=false")},
			want{"gate-disable-in-tree": Caution, "in-tree-masks": Note}},
		{"GCP on 1.31: the gate is locked", "v1.31.13", Flags{API: APIv1, Registry: GCP, Providers: true, Args: gate("DisableKubeletCloudCredentialProviders=false")},
			want{"gate-disable-in-tree": Caution, "gate-in-tree-refused": Fatal}},
		{"GCP on 1.31 with provider", "v1.31.13", Flags{API: APIv1, Registry: GCP, Providers: true}, want{}},
		{"a gate whose name only begins alike", "v1.28.0", Flags{API: APIv1, Providers: true, Args: gate("KubeletCredentialProvidersX=true")}, want{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := ParseVersion(tt.version)
			if err != nil {
				t.Fatal(err)
			}
			got := want{}
			for _, r := range Judge(v, tt.flags) {
				got[r.Code] = r.Level
				if r.Text == "" || r.Todo == "" {
					t.Errorf("%s says nothing, or not what to do", r.Code)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What is said and what is to be done name the registry's own versions.
func TestJudgeNamesTheRegistry(t *testing.T) {
	for _, tt := range []struct {
		kind       Kind
		text, todo string
	}{
		{"", "built-in ECR login", "before the upgrade to 1.27"},
		{GCP, "built-in GCR and Artifact Registry login", "before the upgrade to 1.29"},
	} {
		all := Judge(Version{1, 26}, Flags{API: APIv1, Registry: tt.kind})
		if len(all) != 1 || !strings.Contains(all[0].Text, tt.text) || !strings.Contains(all[0].Todo, tt.todo) {
			t.Errorf("%q: %v", tt.kind, all)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"v1.26.15-rancher1-1": "1.26", "1.27": "1.27", "v1.27.8-rancher2-2": "1.27", "v1.9.7": "1.9",
		"": "", "latest": "", "v1": "", "v1.x-rancher1": "",
	} {
		v, err := ParseVersion(in)
		if got := v.String(); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("ParseVersion(%q) = %s, %v; want %q", in, got, err, want)
		}
	}
}
