package rancher_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

const usualStrategy = `"upgradeStrategy":{"drain":false,"maxUnavailableControlplane":"1","maxUnavailableWorker":"10%"}`

// One row per rule of cluster.Store.Update that changes a config by itself.
func TestRewrites(t *testing.T) {
	no := map[string]string{"io.cattle.cluster.cridockerd.enable": "false"}
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		config      string // without the usual strategy
		body        string // "" for the config itself
		stored      string // "" for the body
		rewrites    []string
	}{
		{name: "nothing to rewrite", config: `{"kubernetesVersion":"v1.26.15-rancher1-1","enableCriDockerd":true,"addonJobTimeout":45}`},

		{name: "cri-dockerd from 1.24 on", config: `{"kubernetesVersion":"v1.24.0-rancher1-1","enableCriDockerd":false}`, stored: `{"kubernetesVersion":"v1.24.0-rancher1-1","enableCriDockerd":true}`, rewrites: []string{"enableCriDockerd false->true"}},
		{name: "cri-dockerd absent", config: `{"kubernetesVersion":"v1.26.15-rancher1-1"}`, stored: `{"kubernetesVersion":"v1.26.15-rancher1-1","enableCriDockerd":true}`, rewrites: []string{"enableCriDockerd <nil>->true"}},
		{name: "cri-dockerd before 1.24", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","enableCriDockerd":false}`},
		{name: "cri-dockerd, 1.9 is before 1.24", config: `{"kubernetesVersion":"v1.9.5-rancher1-1"}`},
		{name: "cri-dockerd, no version counts as new", config: `{}`, stored: `{"enableCriDockerd":true}`, rewrites: []string{"enableCriDockerd <nil>->true"}},
		{name: "cri-dockerd, annotation says no", annotations: no, config: `{"kubernetesVersion":"v1.26.15-rancher1-1","enableCriDockerd":false}`},
		{name: "cri-dockerd, annotation says yes", annotations: map[string]string{"io.cattle.cluster.cridockerd.enable": "true"}, config: `{"kubernetesVersion":"v1.26.15-rancher1-1"}`, stored: `{"kubernetesVersion":"v1.26.15-rancher1-1","enableCriDockerd":true}`, rewrites: []string{"enableCriDockerd <nil>->true"}},
		{name: "cri-dockerd, another annotation", annotations: map[string]string{"a": " b "}, config: `{"kubernetesVersion":"v1.23.17-rancher1-1"}`},
		{name: "annotations that are sent along are trimmed", annotations: map[string]string{"io.cattle.cluster.cridockerd.enable": "false", "a": "b\n"}, config: `{"kubernetesVersion":"v1.26.15-rancher1-1"}`, rewrites: []string{"annotations.a <nil>-><nil>"}},

		{name: "host names of external-aws are pinned", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"external-aws"}}`, body: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"external-aws","useInstanceMetadataHostname":false}}`, rewrites: []string{"cloudProvider.useInstanceMetadataHostname <nil>->false pinned"}},
		{name: "host names of external-aws, null", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"external-aws","useInstanceMetadataHostname":null}}`, body: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"external-aws","useInstanceMetadataHostname":false}}`, rewrites: []string{"cloudProvider.useInstanceMetadataHostname <nil>->false pinned"}},
		{name: "host names of external-aws, chosen", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"external-aws","useInstanceMetadataHostname":true}}`},
		{name: "host names of aws", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"aws"}}`, stored: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"aws","useInstanceMetadataHostname":false}}`},
		{name: "host names of others", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":{"name":"azure"}}`},
		{name: "no cloud provider", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","cloudProvider":null}`},

		{name: "no upgrade strategy", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","upgradeStrategy":null}`, stored: `{"kubernetesVersion":"v1.23.17-rancher1-1",` + usualStrategy + `}`, rewrites: []string{"upgradeStrategy.maxUnavailableControlplane <nil>->1", "upgradeStrategy.maxUnavailableWorker <nil>->10%"}},
		{name: "half an upgrade strategy", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","upgradeStrategy":{"drain":true,"maxUnavailableWorker":"2","maxUnavailableControlplane":""}}`, stored: `{"kubernetesVersion":"v1.23.17-rancher1-1","upgradeStrategy":{"drain":true,"maxUnavailableWorker":"2","maxUnavailableControlplane":"1"}}`, rewrites: []string{"upgradeStrategy.maxUnavailableControlplane <nil>->1"}},

		{name: "registry plugin without keys", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","privateRegistries":[{"url":"a"},{"url":"b","ecrCredentialPlugin":{"type":"/v3/schemas/ecrCredentialPlugin"}}]}`, stored: `{"kubernetesVersion":"v1.23.17-rancher1-1","privateRegistries":[{"url":"a"},{"url":"b"}]}`, rewrites: []string{"privateRegistries[1].ecrCredentialPlugin map[]-><nil>"}},
		{name: "registry plugin with keys", config: `{"kubernetesVersion":"v1.23.17-rancher1-1","privateRegistries":[{"ecrCredentialPlugin":{"awsAccessKeyId":"A"}},{"ecrCredentialPlugin":{"awsAccessToken":"A"}},{"ecrCredentialPlugin":null}]}`},

		{
			name:     "text is trimmed, but not where Rancher takes any JSON",
			config:   `{"kubernetesVersion":"v1.23.17-rancher1-1","addons":"a\n","services":{"kubelet":{"extraBinds":["/a:/a"," /b:/b"],"extraArgs":{"k":" v "}},"kubeApi":{"auditLog":{"configuration":{"policy":{"x":" y "}}},"admissionConfiguration":{"x":" y "}}},"ingress":{"extraEnvs":[{"name":" x "}]}}`,
			stored:   `{"kubernetesVersion":"v1.23.17-rancher1-1","addons":"a","services":{"kubelet":{"extraBinds":["/a:/a","/b:/b"],"extraArgs":{"k":"v"}},"kubeApi":{"auditLog":{"configuration":{"policy":{"x":" y "}}},"admissionConfiguration":{"x":" y "}}},"ingress":{"extraEnvs":[{"name":" x "}]}}`,
			rewrites: []string{"addons <nil>-><nil>", "services.kubelet.extraArgs.k <nil>-><nil>", "services.kubelet.extraBinds[1] <nil>-><nil>"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withStrategy := func(text string) map[string]any {
				if !strings.Contains(text, "upgradeStrategy") {
					text = strings.Replace(strings.Replace(text, "{", "{"+usualStrategy+",", 1), ",}", "}", 1)
				}
				return object(t, text)
			}
			config := withStrategy(tt.config)
			before := plain(config)
			body, stored, list, err := (&rancher.Cluster{ID: "c-abc12", Annotations: tt.annotations}).Rewrites(config)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, plain(config)); diff != "" {
				t.Errorf("the config given was changed: %s", diff)
			}
			wantBody := config
			if tt.body != "" {
				wantBody = withStrategy(tt.body)
			}
			if diff := cmp.Diff(wantBody, body); diff != "" {
				t.Errorf("body: %s", diff)
			}
			wantStored := wantBody
			if tt.stored != "" {
				wantStored = withStrategy(tt.stored)
			}
			if diff := cmp.Diff(wantStored, stored); diff != "" {
				t.Errorf("stored: %s", diff)
			}
			var got []string
			for _, r := range list {
				line := fmt.Sprintf("%s %v->%v", r.Path, r.Before, r.After)
				if r.Pinned {
					line += " pinned"
				}
				if r.Why == "" {
					t.Errorf("%s: no reason", r.Path)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.rewrites, got); diff != "" {
				t.Errorf("rewrites: %s", diff)
			}
		})
	}
}

func TestConfigsThatCannotBeForeseen(t *testing.T) {
	for _, tt := range []struct {
		config string
		kind   error
		word   string
	}{
		{`{"kubernetesVersion":"1.26.x"}`, rancher.ErrNotUpdatable, `"1.26.x"`},
		{`{"kubernetesVersion":"v1.26.15"}`, rancher.ErrNotUpdatable, `"v1.26.15"`},
		{`{"kubernetesVersion":"latest-rancher"}`, rancher.ErrNotUpdatable, "latest-rancher"},
		{`{"kubernetesVersion":7}`, rancher.ErrBadAnswer, "kubernetesVersion is a number"},
		{`{"cloudProvider":"aws"}`, rancher.ErrBadAnswer, "cloudProvider is text"},
		{`{"cloudProvider":{"name":[]}}`, rancher.ErrBadAnswer, "cloudProvider.name is a list"},
		{`{"upgradeStrategy":true}`, rancher.ErrBadAnswer, "upgradeStrategy is true or false"},
		{`{"privateRegistries":{}}`, rancher.ErrBadAnswer, "privateRegistries is a map"},
		{`{"privateRegistries":[null]}`, rancher.ErrBadAnswer, "privateRegistries[0] is null"},
		{`{"privateRegistries":[{"ecrCredentialPlugin":"x"}]}`, rancher.ErrBadAnswer, "privateRegistries[0].ecrCredentialPlugin is text"},
	} {
		body, stored, list, err := (&rancher.Cluster{ID: "c-abc12"}).Rewrites(object(t, tt.config))
		wantError(t, err, tt.kind, "c-abc12", tt.word)
		if body != nil || stored != nil || list != nil {
			t.Errorf("%s: got %v, %v, %v", tt.config, body, stored, list)
		}
	}
}

// differences is a Differ as callers write it: absent and zero are equal, norman's type keys do not count.
func differences(intent, stored json.RawMessage) ([]string, error) {
	var a, b any
	if err := json.Unmarshal(intent, &a); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(stored, &b); err != nil {
		return nil, err
	}
	return walkBoth("", a, b), nil
}

func walkBoth(path string, a, b any) []string {
	var found []string
	left, isLeft := a.(map[string]any)
	right, isRight := b.(map[string]any)
	if isLeft && (isRight || b == nil) || isRight && a == nil {
		var keys []string
		for key := range left {
			keys = append(keys, key)
		}
		for key := range right {
			if _, both := left[key]; !both {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			if link, _ := right[key].(string); key != "type" || !strings.HasPrefix(link, "/v3/schemas/") && link != "" {
				found = append(found, walkBoth(path+"."+key, left[key], right[key])...)
			}
		}
		return found
	}
	leftList, isLeft := a.([]any)
	rightList, isRight := b.([]any)
	if isLeft && isRight && len(leftList) == len(rightList) {
		for i := range leftList {
			found = append(found, walkBoth(fmt.Sprintf("%s[%d]", path, i), leftList[i], rightList[i])...)
		}
		return found
	}
	if isZero(a) && isZero(b) || cmp.Equal(a, b) {
		return nil
	}
	return []string{strings.TrimPrefix(path, ".")}
}

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == "" || v == false || v == 0.0
}
