package rkeconfig

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var providerPatch = Patch{
	Args:  map[string]string{"image-credential-provider-bin-dir": "/opt/aws/bin", "image-credential-provider-config": "/opt/aws/c.yaml"},
	Binds: []string{"/opt/aws:/opt/aws:ro"},
}

// kubeletOf is a config with this services.kubelet.
func kubeletOf(t testing.TB, kubelet string) Document {
	t.Helper()
	return parse(t, `{"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":`+kubelet+`}}`)
}

func TestRevert(t *testing.T) {
	const both = `"image-credential-provider-bin-dir":"/opt/aws/bin","image-credential-provider-config":"/opt/aws/c.yaml"`
	for _, tt := range []struct {
		name              string
		before, now, want string
		emptied           bool
		blocks            string // in the finding's message
	}{
		{name: "nothing was there", before: `{}`, now: `{"extraArgs":{` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro"]}`, want: `{}`, emptied: true},
		{name: "other things were there", before: `{"extraArgs":{"v":"2"},"extraBinds":["/data:/data"]}`,
			now: `{"extraArgs":{"v":"2",` + both + `},"extraBinds":["/data:/data","/opt/aws:/opt/aws:ro"]}`, want: `{"extraArgs":{"v":"2"},"extraBinds":["/data:/data"]}`},
		{name: "args were there, binds were not", before: `{"extraArgs":{"v":"2"}}`,
			now: `{"extraArgs":{"v":"2",` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro"]}`, want: `{"extraArgs":{"v":"2"}}`, emptied: true},
		{name: "half of it was there", before: `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/aws/bin"}}`,
			now: `{"extraArgs":{` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro"]}`, want: `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/aws/bin"}}`, emptied: true},
		{name: "somebody has added other things since", before: `{}`,
			now:  `{"extraArgs":{"v":"4",` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro","/new:/new"],"extraEnv":["A=b"]}`,
			want: `{"extraArgs":{"v":"4"},"extraBinds":["/new:/new"],"extraEnv":["A=b"]}`},
		{name: "somebody has removed other things since", before: `{"extraArgs":{"v":"2"},"extraBinds":["/data:/data"]}`,
			now: `{"extraArgs":{` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro"]}`, want: `{}`, emptied: true},
		{name: "it is back already", before: `{"extraArgs":{"v":"2"}}`, now: `{"extraArgs":{"v":"2"}}`, want: `{"extraArgs":{"v":"2"}}`},
		{name: "it is half back", before: `{}`, now: `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/aws/bin"}}`, want: `{}`, emptied: true},
		{name: "the bind is there twice by now", before: `{"extraBinds":["/data:/data"]}`,
			now:  `{"extraArgs":{"v":"2",` + both + `},"extraBinds":["/opt/aws:/opt/aws:ro","/data:/data","/opt/aws:/opt/aws:ro"]}`,
			want: `{"extraArgs":{"v":"2"},"extraBinds":["/data:/data"]}`},

		{name: "one arg has another value by now", before: `{}`, now: `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/gcr","image-credential-provider-config":"/opt/aws/c.yaml"}}`,
			blocks: "image-credential-provider-bin-dir is \"/opt/gcr\""},
		{name: "the container path is another bind's by now", before: `{}`, now: `{"extraArgs":{` + both + `},"extraBinds":["/elsewhere:/opt/aws"]}`,
			blocks: `the bind of /opt/aws is "/elsewhere:/opt/aws"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, now := kubeletOf(t, tt.before), kubeletOf(t, tt.now)
			got := Revert(now, before, providerPatch, MergeOptions{})
			if tt.blocks != "" {
				if len(got.Findings) == 0 || got.Findings[0].Code != "changed-since" || got.Findings[0].Severity != Block || !strings.Contains(got.Findings[0].Message, tt.blocks) || len(got.Changes) > 0 || len(Compare(got.Document, now)) > 0 {
					t.Errorf("%+v, want a block that says %q and no change", got, tt.blocks)
				}
				return
			}
			if len(got.Findings) > 0 || got.Emptied != tt.emptied {
				t.Errorf("emptied %v, %v; want emptied %v", got.Emptied, got.Findings, tt.emptied)
			}
			if diff := Compare(kubeletOf(t, tt.want), got.Document); len(diff) > 0 {
				t.Errorf("not as it should be: %v", diff)
			}
			if again := Revert(got.Document, before, providerPatch, MergeOptions{}); len(again.Changes)+len(again.Findings) > 0 {
				t.Errorf("a second time: %v %v", again.Changes, again.Findings)
			}
		})
	}
}

// A value that --replace-arg took away comes back.
func TestRevertOfAReplacedArg(t *testing.T) {
	o := MergeOptions{ReplaceArgs: []string{"image-credential-provider-bin-dir"}}
	before := kubeletOf(t, `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/old"}}`)
	merged := Merge(before, providerPatch, o)
	if merged.Blocked() {
		t.Fatal(merged.Findings)
	}
	back := Revert(merged.Document, before, providerPatch, o)
	if diff := Compare(before, back.Document); len(diff) > 0 {
		t.Errorf("%v, %v", diff, back.Findings)
	}
}

// What a cluster was merged with must come off again, whatever nodes it has by
// now: a Windows node that came since does not make the change invisible.
func TestRevertAfterAWindowsNodeCame(t *testing.T) {
	before := kubeletOf(t, `{}`)
	now := Merge(before, providerPatch, MergeOptions{}).Document
	back := Revert(now, before, providerPatch, MergeOptions{WindowsNodes: true})
	if diff := Compare(before, back.Document); len(diff) > 0 || len(back.Changes) == 0 {
		t.Errorf("%v, %v", diff, back.Findings)
	}
}

// A pre-image that the patch could not have been merged into is not one of this
// run: nothing may pass for "nothing to take back".
func TestRevertOfWhatWasNeverMerged(t *testing.T) {
	before := kubeletOf(t, `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/gcr"}}`)
	got := Revert(kubeletOf(t, `{"extraArgs":{"v":"2"}}`), before, providerPatch, MergeOptions{})
	if len(got.Findings) == 0 || got.Findings[0].Severity != Block {
		t.Errorf("%+v, want a block", got)
	}
}

// For any config: what was merged comes off without a trace, once and no more,
// and what somebody else has edited beside it survives.
func TestRevertProperties(t *testing.T) {
	names := []string{"max-pods", "v", "my-token", "image-credential-provider-config"}
	values := rapid.SampledFrom([]string{"", "1", "2", "/opt/x"})
	paths := rapid.SampledFrom([]string{"/a", "/b", "/c", "/var/lib/rancher/x", "/run"})
	bindOf := func(t *rapid.T) string {
		return paths.Draw(t, "source") + ":" + paths.Draw(t, "target") + rapid.SampledFrom([]string{"", ":ro"}).Draw(t, "options")
	}
	merges, emptied := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		root := drawObject(t, configShape(), 3, false)
		kubelet := map[string]any{"future": drawAny(t, 2)}
		if rapid.Bool().Draw(t, "has args") {
			kubelet["extraArgs"] = rapid.MapOfN(rapid.SampledFrom(names), values, 0, 3).Draw(t, "args today")
		}
		if rapid.Bool().Draw(t, "has binds") {
			kubelet["extraBinds"] = rapid.SliceOfN(rapid.Custom(bindOf), 0, 2).Draw(t, "binds today")
		}
		services, _ := root["services"].(map[string]any)
		if services == nil {
			services = map[string]any{}
		}
		services["kubelet"] = kubelet
		root["services"] = services
		before, err := NewDocument(root)
		if err != nil {
			t.Fatal(err)
		}
		p := Patch{
			Args:  rapid.MapOfN(rapid.SampledFrom(names), values, 0, 3).Draw(t, "args"),
			Binds: rapid.SliceOfN(rapid.Custom(bindOf), 0, 2).Draw(t, "binds"),
		}
		o := MergeOptions{ReplaceArgs: rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "replace")}
		merged := Merge(before, p, o)
		if merged.Blocked() {
			return
		}
		if len(merged.Changes) > 0 {
			merges++
		}
		back := Revert(merged.Document, before, p, o)
		if back.Emptied {
			emptied++
		}
		if diff := Compare(before, back.Document); len(diff) > 0 || len(back.Findings) > 0 {
			t.Fatalf("not as before: %v %v", diff, back.Findings)
		}
		if again := Revert(back.Document, before, p, o); len(again.Changes)+len(again.Findings) > 0 {
			t.Fatalf("reverting twice: %v %v", again.Changes, again.Findings)
		}

		edit := func(d Document) Document {
			args := map[string]any{}
			for k, v := range d.ExtraArgs() {
				args[k] = v
			}
			args["somebody-elses"] = "1"
			binds := []any{"/theirs:/theirs"}
			for _, b := range d.ExtraBinds() {
				binds = append(binds, b)
			}
			return d.with(args, "services", "kubelet", "extraArgs").with(binds, "services", "kubelet", "extraBinds").with("theirs", "addons")
		}
		kept := Revert(edit(merged.Document), before, p, o)
		if diff := Compare(edit(before), kept.Document); len(diff) > 0 || len(kept.Findings) > 0 || kept.Emptied {
			t.Fatalf("somebody's edit: %v %v", diff, kept.Findings)
		}
	})
	if merges == 0 || emptied == 0 {
		t.Errorf("the property saw %d merges and %d that empty something", merges, emptied)
	}
}

// What is wrong with the result of a run is a reason to take it back, not one
// against it.
func TestRevertOfAHarmfulPatch(t *testing.T) {
	p := ecrWith(map[string]string{binDirArg: "/opt/aws/bin"}) // one flag, and nothing mounts it
	before := kubeletOf(t, `{"extraArgs":{"v":"2"}}`)
	got := Revert(kubeletOf(t, `{"extraArgs":{"v":"2","`+binDirArg+`":"/opt/aws/bin"}}`), before, p, MergeOptions{WindowsNodes: true})
	if len(got.Findings) > 0 || len(Compare(got.Document, before)) > 0 {
		t.Errorf("%+v, want what was there before", got)
	}
}
