package kubelet

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	const ecr = "*.dkr.ecr.*.amazonaws.com"
	for _, tt := range []struct {
		pattern, image string
		want           bool
	}{
		{ecr, "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:1.0", true},
		{ecr, "123456789012.dkr.ecr.us-east-1.amazonaws.com/app@sha256:" + strings.Repeat("0", 64), true},
		{ecr, "123456789012.dkr.ecr.us-east-1.amazonaws.com:443/app", false}, // a port must be named
		{ecr, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app", false},
		{ecr, "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app", false},
		{ecr, "123456789012.DKR.ecr.us-east-1.amazonaws.com/app", false},
		{"*.dkr.ecr*.*.amazonaws.com", "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app", true},
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/team", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team-b/x", true}, // a plain prefix
		{"123456789012.dkr.ecr.us-east-1.amazonaws.com/team/", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team-b/x", false},
		{"registry.io:8080/path", "registry.io:8080/path/x:tag", true},
		{"registry.io:8080", "registry.io/x", false},
		{"*.docker.io", "docker.io/library/nginx", false},
		{"docker.io", "nginx", true},
		{"docker.io/library/nginx", "nginx:1.25", true},
		{"index.docker.io", "index.docker.io/a/b", false}, // it is called docker.io
		{"*", "localhost/x", true},
		{"*", "nginx", false},
		{"*.*", "nginx", true},
		{"", "nginx", false},
		{"https://" + ecr, "123456789012.dkr.ecr.us-east-1.amazonaws.com/app", false},
		{ecr + ",", "123456789012.dkr.ecr.us-east-1.amazonaws.com/app", false},
		{"x[ab].io", "xa.io/x", true},
		{"user@registry.io", "registry.io/x", true},
		{"registry.io?x", "registry.io/x", true},
	} {
		got, err := Matches(tt.pattern, tt.image)
		if got != tt.want || err != nil {
			t.Errorf("%s, %s: %t, %v", tt.pattern, tt.image, got, err)
		}
	}
}

func TestMatchesRefuses(t *testing.T) {
	for _, tt := range []struct{ pattern, image, says string }{
		{"registry.io:*", "nginx", `reading pattern "registry.io:*"`},
		{"a b", "nginx", `reading pattern "a b"`},
		{"docker.io", "a\x00b", `reading image "a b"`},
		{"x[.io", "xa.io/x", "syntax error in pattern"},
	} {
		if got, err := Matches(tt.pattern, tt.image); got || err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q, %q: %t, %v", tt.pattern, tt.image, got, err)
		}
	}
}

func TestRepository(t *testing.T) {
	for image, want := range map[string]string{
		"nginx":                            "docker.io/library/nginx",
		"nginx:1.25":                       "docker.io/library/nginx",
		"grafana/grafana":                  "docker.io/grafana/grafana",
		"index.docker.io/nginx":            "docker.io/library/nginx",
		"localhost/x:1":                    "localhost/x",
		"localhost:5000/x:1":               "localhost:5000/x",
		"quay.io/a/b:1@sha256:00":          "quay.io/a/b",
		"1.dkr.ecr.r.amazonaws.com/a/b":    "1.dkr.ecr.r.amazonaws.com/a/b",
		"registry/a":                       "docker.io/registry/a",
		"registry:5000/a:latest@sha256:00": "registry:5000/a",
	} {
		if got := Repository(image); got != want {
			t.Errorf("%s is %s, not %s", image, got, want)
		}
	}
}

// The built-in provider of 1.26 matched these and only these.
func TestPatternsLoseNothingAndAddNothing(t *testing.T) {
	required := func(image string) bool {
		for _, p := range Patterns() {
			if ok, err := Matches(p.Glob, image); ok && err == nil && !p.Optional {
				return true
			}
		}
		return false
	}
	account := rapid.StringMatching(`[0-9]{12}`)
	region := rapid.StringMatching(`[a-z][-a-z0-9]{1,15}`)
	inTree := rapid.SampledFrom([]string{
		".dkr.ecr.%.amazonaws.com", ".dkr.ecr-fips.%.amazonaws.com", ".dkr.ecr.%.amazonaws.com.cn", ".dkr.ecr.%.c2s.ic.gov", ".dkr.ecr.%.sc2s.sgov.gov",
	})
	rapid.Check(t, func(rt *rapid.T) {
		host := account.Draw(rt, "account") + strings.Replace(inTree.Draw(rt, "suffix"), "%", region.Draw(rt, "region"), 1)
		if !required(host + "/team/app:1") {
			rt.Fatalf("%s is lost", host)
		}
	})
	for _, image := range strangers {
		if required(image) {
			t.Errorf("%s gets an ECR token", image)
		}
	}
	if required("public.ecr.aws/a/b") {
		t.Error("public.ecr.aws is asked for credentials")
	}
	for _, p := range Patterns() {
		if ok, err := Matches(p.Glob, p.sample+"/a"); !ok || err != nil {
			t.Errorf("%s does not match its sample %s: %v", p.Glob, p.sample, err)
		}
		if p.Why == "" || p.Optional != (p.Provider != "") {
			t.Errorf("%s does not say why, or from which provider on", p.Glob)
		}
	}
}
