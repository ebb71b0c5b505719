package kubelet

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestBuildConfig(t *testing.T) {
	for _, tt := range []struct {
		name  string // of the golden file
		kind  Kind
		first uint // the oldest kubelet that takes it
		api   API
	}{{"v1alpha1", ECR, 20, APIv1alpha1}, {"v1", ECR, 26, APIv1}, {"acr", ACR, 26, APIv1}, {"gcp", GCP, 26, APIv1}, {"gcp-v1alpha1", GCP, 20, APIv1alpha1}} {
		t.Run(tt.name, func(t *testing.T) {
			golden := filepath.Join("testdata", "config-"+tt.name+".yaml")
			registry, _ := RegistryByKind(tt.kind)
			var one []byte
			for minor := uint(19); minor <= 36; minor++ {
				v := Version{1, minor}
				config, err := BuildConfig(registry, v, tt.api)
				if minor < tt.first {
					if !errors.Is(err, ErrAPIUnknown) {
						t.Errorf("%s: %v", v, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", v, err)
				}
				if one == nil {
					one = config
				}
				if d := cmp.Diff(string(one), string(config)); d != "" {
					t.Errorf("%s gets another config: %s", v, d)
				}
				p := good(string(config))
				if r := Start(v, p); r != nil {
					t.Errorf("%s does not start: %s", v, r.Reason)
				}
				b := p.Binaries[ProviderName]
				b.Speaks = []API{tt.api}
				p.Binaries[registry.Provider] = b
				if remarks := Foresee(v, Version{1, 35}, p); minor <= 35 && len(remarks) > 0 {
					t.Errorf("%s: %v", v, remarks)
				}
			}
			if *update {
				if err := os.WriteFile(golden, one, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(one)); d != "" {
				t.Error(d)
			}
		})
	}
	for _, api := range []API{"", "v1beta1", "v2"} {
		if _, err := BuildConfig(registries[0], Version{1, 30}, api); !errors.Is(err, ErrAPIUnknown) {
			t.Errorf("%q: %v", api, err)
		}
	}
}

func TestProviderNames(t *testing.T) {
	many := "providers:\n"
	for c := 'a'; c <= 'z'; c++ {
		many += "- name: " + string(c) + "1\n"
	}
	for _, tt := range []struct {
		name, config string
		want         []string
	}{
		{"one", base, []string{"ecr-credential-provider"}},
		{"JSON", baseJSON, []string{"ecr-credential-provider"}},
		{"a byte order mark", "\xef\xbb\xbf" + base, []string{"ecr-credential-provider"}},
		{"two, one of them twice", "providers:\n- name: a\n- name: b\n- name: a\n", []string{"a", "b"}},
		{"a config that no kubelet takes", "providers:\n- name: a\n  matchImages: 1\n- {}\n- name: 7\n- x\n- name: b\n", []string{"a", "b"}},
		{"names that are no files", `{"providers":[{"name":""},{"name":"."},{"name":".."},{"name":"../../bin/sh"},{"name":"a\u0000"},{"name":"a\nb"},{"name":"\u001b[31m"},{"name":"ok"}]}`, []string{"ok"}},
		{"an entry that a later list leaves as it was", strings.Replace(baseJSON, "}]}", `}],"providers":[null]}`, 1), []string{"ecr-credential-provider"}},
		{"more than there ever are", many, strings.Fields("a1 b1 c1 d1 e1 f1 g1 h1 i1 j1 k1 l1 m1 n1 o1 p1")},
		{"not YAML", "providers: [", nil},
		{"nothing", "", nil},
		{"a list", "[1,2]", nil},
		{"the last providers count", "providers:\n- name: a\nproviders:\n- name: b\n", []string{"b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, ProviderNames([]byte(tt.config))); d != "" {
				t.Error(d)
			}
		})
	}
}
