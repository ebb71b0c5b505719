package rkeconfig

import (
	"slices"
	"strings"
	"testing"
)

func TestBasis(t *testing.T) {
	base := `{"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":{"extraArgs":{"v":"2"},"extraBinds":["/data:/data"]},"kubeApi":{}},"addons":"a"}`
	of := func(raw string) Basis { return providerPatch.Basis(parse(t, raw)) }
	for _, tt := range []struct {
		name, raw string
		same      bool
		fact      string
	}{
		{"the same in another order", `{"addons":"a","services":{"kubeApi":{},"kubelet":{"extraBinds":["/data:/data"],"extraArgs":{"v":"2"}}},"kubernetesVersion":"v1.26.15-rancher1-1"}`, true, ""},
		{"another argument", strings.Replace(base, `"v":"2"`, `"v":"4","max-pods":"250"`, 1), true, ""},
		{"another bind", strings.Replace(base, `"/data:/data"`, `"/data:/data","/more:/more"`, 1), true, ""},
		{"another part of the config", strings.Replace(base, `"addons":"a"`, `"addons":"b","enableCriDockerd":true`, 1), true, ""},
		{"an argument of the patch", strings.Replace(base, `"v":"2"`, `"v":"2","image-credential-provider-config":"/x"`, 1), false, `extra_args "image-credential-provider-config": "/x"`},
		{"an argument of the patch, misspelt", strings.Replace(base, `"v":"2"`, `"v":"2","--Image-Credential-Provider-Config":"/x"`, 1), false, `--Image-Credential-Provider-Config`},
		{"the same as a list", strings.Replace(base, `"extraBinds"`, `"extraArgsArray":{"image-credential-provider-config":["/x"]},"extraBinds"`, 1), false, `extra_args_array: "image-credential-provider-config"`},
		{"its container path", strings.Replace(base, `"/data:/data"`, `"/data:/data","/elsewhere:/opt/aws"`, 1), false, `extra_binds: "/elsewhere:/opt/aws"`},
		{"a bind that nobody understands", strings.Replace(base, `"/data:/data"`, `"/data:/data","nonsense"`, 1), false, `extra_binds: "nonsense"`},
		{"the Kubernetes version", strings.Replace(base, "v1.26.15", "v1.27.1", 1), false, `kubernetes_version: "v1.27.1-rancher1-1"`},
		{"the prefix path", strings.Replace(base, `"addons"`, `"prefixPath":"/opt/rke","addons"`, 1), false, `prefix_path: "/opt/rke"`},
		{"an empty value for Windows, which is one", strings.Replace(base, `"extraBinds"`, `"winExtraArgs":{"v":""},"extraBinds"`, 1), false, `winExtraArgs set: "true"`},
		{"no value for Windows", strings.Replace(base, `"extraBinds"`, `"winExtraArgs":{},"winExtraBinds":null,"extraBinds"`, 1), true, `winExtraArgs set: "false"`},
		{"values for Windows", strings.Replace(base, `"extraBinds"`, `"winExtraArgs":{"v":"2"},"extraBinds"`, 1), false, `winExtraArgs set: "true"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was, is := of(base), of(tt.raw)
			if (was.Sum == is.Sum) != tt.same {
				t.Errorf("same sum: %v, want %v\n%v\n%v", !tt.same, tt.same, was.Facts, is.Facts)
			}
			if !slices.ContainsFunc(is.Facts, func(f string) bool { return strings.Contains(f, tt.fact) }) {
				t.Errorf("no fact says %q: %q", tt.fact, is.Facts)
			}
		})
	}
}

// What decides whether a group is whole and its paths are mounted counts as well.
func TestBasisOfGroups(t *testing.T) {
	p := ecrWith(map[string]string{binDirArg: "/opt/aws/bin"})
	base := p.Basis(kubeletOf(t, `{"extraArgs":{"v":"2"}}`)).Sum
	for raw, same := range map[string]bool{
		`{"extraArgs":{"v":"2","` + configArg + `":"/x/p.yaml"}}`:          false,
		`{"extraArgs":{"v":"2"},"extraBinds":["/opt/aws:/opt/aws"]}`:       false,
		`{"extraArgs":{"v":"2"},"extraBinds":["/opt/aws/bi:/opt/aws/bi"]}`: true,
		`{"extraArgs":{"v":"2","max-pods":"1"}}`:                           true,
	} {
		if got := p.Basis(kubeletOf(t, raw)); (got.Sum == base) != same {
			t.Errorf("%s: same sum %v, want %v: %q", raw, !same, same, got.Facts)
		}
	}
	a := p.Basis(kubeletOf(t, `{"extraArgs":{"`+configArg+`":"/x/p.yaml"},"extraBinds":["/x:/x"]}`))
	b := p.Basis(kubeletOf(t, `{"extraArgs":{"`+configArg+`":"/x/p.yaml"}}`))
	if a.Sum == b.Sum {
		t.Error("the bind of the config that the cluster names does not count")
	}
}

// A value that must not be shown counts, and is not shown.
func TestBasisHoldsNoSecret(t *testing.T) {
	p := Patch{Args: map[string]string{"my-token": "new-secret"}}
	a := p.Basis(kubeletOf(t, `{"extraArgs":{"my-token":"hunter2-one"}}`))
	b := p.Basis(kubeletOf(t, `{"extraArgs":{"my-token":"hunter2-two"}}`))
	if a.Sum == b.Sum {
		t.Error("the sums are equal although the secret differs")
	}
	for _, fact := range slices.Concat(a.Facts, b.Facts) {
		if strings.Contains(fact, "hunter2") {
			t.Errorf("shows it: %s", fact)
		}
	}
}
