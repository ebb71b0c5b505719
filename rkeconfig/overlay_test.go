package rkeconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What a plain PUT leaves of two configs: rancher-api.md 5.4, row by row.
func TestOverlay(t *testing.T) {
	for _, tt := range []struct{ name, stored, data, want string }{
		{"a key that the body lacks stays", `{"addonJobTimeout":45}`, `{}`, `{"addonJobTimeout":45}`},
		{"a map is taken whole", `{"services":{"kubelet":{"extraArgs":{"a":"1","b":"2"}}}}`, `{"services":{"kubelet":{"extraArgs":{"c":"3"}}}}`, `{"services":{"kubelet":{"extraArgs":{"c":"3"}}}}`},
		{"a list is taken whole", `{"services":{"kubelet":{"extraBinds":["/a:/a"]}}}`, `{"services":{"kubelet":{"extraBinds":["/b:/b"]}}}`, `{"services":{"kubelet":{"extraBinds":["/b:/b"]}}}`},
		{"an empty map has no effect", `{"services":{"kubelet":{"extraArgs":{"a":"1"}}}}`, `{"services":{"kubelet":{"extraArgs":{}}}}`, `{"services":{"kubelet":{"extraArgs":{"a":"1"}}}}`},
		{"null has no effect", `{"cloudProvider":{"awsCloudProvider":{"global":{"vpc":"v"}}}}`, `{"cloudProvider":{"awsCloudProvider":null}}`, `{"cloudProvider":{"awsCloudProvider":{"global":{"vpc":"v"}}}}`},
		{"a struct is merged", `{"network":{"plugin":"canal","mtu":1400}}`, `{"network":{"plugin":"flannel"}}`, `{"network":{"plugin":"flannel","mtu":1400}}`},
		{"what is never left out goes to zero", `{"sshAgentAuth":true,"ignoreDockerVersion":true}`, `{}`, `{}`},
		{"the type keys of answers are nothing", `{"network":{"plugin":"canal"}}`, `{"network":{"type":"/v3/schemas/networkConfig"}}`, `{"network":{"plugin":"canal"}}`},
		{"failSwapOn false has no effect", `{"services":{"kubelet":{"failSwapOn":true}}}`, `{"services":{"kubelet":{"failSwapOn":false}}}`, `{"services":{"kubelet":{"failSwapOn":true}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(parse(t, tt.want).root, Overlay(parse(t, tt.stored), parse(t, tt.data)).root); d != "" {
				t.Error(d)
			}
		})
	}
}

// A config laid over itself stays as it is, and neither argument is changed.
func TestOverlayOfItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := NewDocument(drawObject(t, configShape(), 4, true))
		if err != nil {
			t.Fatal(err)
		}
		before := d.Map()
		if changes := Compare(d, Overlay(d, d)); len(changes) > 0 {
			t.Errorf("changed %v", changes)
		}
		if diff := cmp.Diff(before, d.root); diff != "" {
			t.Error(diff)
		}
	})
}
