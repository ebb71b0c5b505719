package kubelet

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRegistryOf(t *testing.T) {
	for _, tt := range []struct {
		host string
		want Kind // "" none
	}{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", ECR},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ECR},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", ECR},
		{"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", ECR},
		{"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", ECR},
		{"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", ECR},
		{"123456789012.dkr-ecr.eu-west-1.on.aws", ECR},
		{"public.ecr.aws", ""}, // needs no login
		{"team.azurecr.io", ACR},
		{"team.azurecr.cn", ACR},
		{"team.azurecr.de", ACR},
		{"team.azurecr.us", ACR},
		{"azurecr.io", ""},
		{"a.b.azurecr.io", ""}, // the kubelet's built-in provider did not match it either
		{"mcr.microsoft.com", ""},
		{"gcr.io", GCP},
		{"eu.gcr.io", GCP},
		{"container.cloud.google.com", GCP},
		{"europe-west3-docker.pkg.dev", GCP},
		{"pkg.dev", ""},
		{"registry.k8s.io", ""},
		{"k8s.gcr.io", GCP}, // public, but the built-in provider was asked for it
		{"team.azurecr.io:443", ""},
		{"TEAM.AZURECR.IO", ""},
		{"docker.io", ""},
		{"", ""},
		{"team.azurecr.io\x00", ""},
		{"https://team.azurecr.io", ""},
	} {
		got, ok := RegistryOf(tt.host)
		if got.Kind != tt.want || ok != (tt.want != "") {
			t.Errorf("%q is of %q, %t; want %q", tt.host, got.Kind, ok, tt.want)
		}
	}
}

func TestRegistries(t *testing.T) {
	for _, r := range Registries() {
		if got, ok := RegistryByKind(r.Kind); !ok || got.Provider != r.Provider {
			t.Errorf("%s is not found by its kind", r.Kind)
		}
		if r.Gone.Before(r.Off.Major, r.Off.Minor) {
			t.Errorf("the login to %s is gone before it is switched off", r.Name)
		}
		for _, p := range r.Patterns {
			if got, _ := RegistryOf(p.sample); got.Kind != r.Kind {
				t.Errorf("%s of %s is taken for %q", p.sample, r.Kind, got.Kind)
			}
			if p.Why == "" {
				t.Errorf("%s does not say why", p.Glob)
			}
		}
	}
	if _, ok := RegistryByKind("quay"); ok {
		t.Error("quay has a row")
	}
}

// What is handed out is a copy: nobody changes the table.
func TestRegistriesAreCopies(t *testing.T) {
	Registries()[0].Patterns[0].Glob = "*"
	Registries()[1].Args[0] = "x"
	if r, ok := RegistryOf("docker.io"); ok {
		t.Errorf("docker.io is of %s now", r.Kind)
	}
	if r, _ := RegistryByKind(ACR); r.Args[0] != DefaultCloudConfig {
		t.Errorf("args are %q now", r.Args)
	}
}

// No host belongs to two clouds: two providers would be asked for it.
func TestRegistriesAreDistinct(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,4})?`)
	suffix := rapid.SampledFrom([]string{"azurecr.io", "gcr.io", "pkg.dev", "dkr.ecr.eu-west-1.amazonaws.com", "example.com", "on.aws"})
	rapid.Check(t, func(rt *rapid.T) {
		host := label.Draw(rt, "label") + "." + suffix.Draw(rt, "suffix")
		var owners []Kind
		for _, r := range Registries() {
			if r.asks(host + "/a") {
				owners = append(owners, r.Kind)
			}
		}
		if len(owners) > 1 {
			rt.Fatalf("%s belongs to %v", host, owners)
		}
	})
}
