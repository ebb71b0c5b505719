package rkeconfig

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Any patch merged into any config, clean or odd, keeps the promises of Merge:
// see checkMerged.
func TestMergeProperties(t *testing.T) {
	names := []string{"max-pods", "v", "my-token", "image-credential-provider-config"}
	odd := []string{"--max-pods", "Max-Pods", " v", "my_token"}
	values := rapid.SampledFrom([]string{"", "1", "2", "/opt/x"})
	paths := rapid.SampledFrom([]string{"/a", "/a/", "/b", "/var/lib/rancher/x", "/etc/kubernetes", "/run"})
	bindOf := func(t *rapid.T) string {
		return paths.Draw(t, "source") + ":" + paths.Draw(t, "target") + rapid.SampledFrom([]string{"", ":ro", ":z"}).Draw(t, "options")
	}
	reached := map[State]int{}
	blocked := 0
	rapid.Check(t, func(t *rapid.T) {
		p := Patch{
			Args:  rapid.MapOfN(rapid.SampledFrom(names), values, 1, 3).Draw(t, "args"),
			Binds: rapid.SliceOfN(rapid.Custom(bindOf), 0, rapid.IntRange(0, 2).Draw(t, "most binds")).Draw(t, "binds"),
			Groups: []Group{{
				Args:       names[:2],
				Half:       Finding{Code: "half", Severity: Warn, Message: "half"},
				Incomplete: Finding{Code: "incomplete", Severity: Block, Message: "incomplete"},
				Taken:      Finding{Code: "taken", Severity: Block, Message: "taken"},
				Paths:      names[3:],
				Unmounted:  Finding{Code: "unmounted", Severity: Block, Message: "unmounted"},
			}},
		}
		root := drawObject(t, configShape(), 3, false)
		kubelet := map[string]any{"future": drawAny(t, 2), "type": "/v3/schemas/kubeletService"}
		if rapid.IntRange(0, 3).Draw(t, "has args") > 0 {
			today := rapid.MapOfN(rapid.SampledFrom(names), values, 0, 1).Draw(t, "args today")
			for _, name := range slices.Sorted(maps.Keys(p.Args)) {
				if rapid.IntRange(0, 3).Draw(t, "held") > 0 {
					today[name] = p.Args[name]
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
				today[rapid.SampledFrom(odd).Draw(t, "odd name")] = "1"
			}
			kubelet["extraArgs"] = today
		}
		if rapid.Bool().Draw(t, "has binds") {
			kubelet["extraBinds"] = rapid.SliceOfN(rapid.Custom(bindOf), 0, 2).Draw(t, "binds today")
		}
		if rapid.IntRange(0, 3).Draw(t, "has a kubelet") > 0 {
			services, _ := root["services"].(map[string]any)
			if services == nil {
				services = map[string]any{}
			}
			services["kubelet"] = kubelet
			root["services"] = services
		}
		doc, err := NewDocument(root)
		if err != nil {
			t.Fatal(err)
		}
		o := MergeOptions{ReplaceArgs: rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "replace"), WindowsNodes: rapid.IntRange(0, 4).Draw(t, "windows") == 0}
		got := Merge(doc, p, o)
		reached[got.State]++
		if got.Blocked() {
			blocked++
		}
		checkMerged(t, doc, p, o, got)
	})
	if reached[Patched] == 0 || reached[HalfPatched] == 0 || reached[NotPatched] == 0 || blocked == 0 {
		t.Errorf("the property never saw some states: %v, %d blocked", reached, blocked)
	}
}
