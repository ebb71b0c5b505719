package clusterfile

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v2"
	"pgregory.net/rapid"
)

// Whatever the bytes are: an answer, or a refusal; and what was patched stays so.
func FuzzPatch(f *testing.F) {
	for seed := range 40 {
		f.Add(rapid.Custom(someFile).Example(seed))
	}
	for _, text := range []string{
		"services:\n  kubelet:\n    extra_args:\n      - v: 2\n", "{services: {kubelet: }}", "services: {? kubelet : {}}", "services:\n  ? kubelet\n",
		"services: !!map\n  kubelet: !!map {}\n", "services: &a\n  kubelet: &b\n  - c", "kubernetes_version: 'a'\nservices: \"x\"",
		"rancher_kubernetes_engine_config: >+\n\n\n", "services:\n  kubelet: # c\n    {}\n", "kubernetes_version: [a: b, ? c, \"d\":e]",
		"kubernetes_version: a\n b\n\n  c # d\nservices:\n", "services:\n kubelet: {\"extra_args\":{\"a\":\"b\"}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Read([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		for n, s := range file.spans {
			if s.start > s.content || s.content > s.end || s.end > len(file.src) {
				t.Fatalf("%q stands at %v", n.Value, s)
			}
		}
		file.masked()
		r, err := file.Patch(smallPatch, Options{ReplaceArgs: []string{"max-pods"}})
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		if !r.Changed() {
			if string(r.Text) != text {
				t.Fatal("the text changed without a diff")
			}
			return
		}
		var v any
		if err := yaml.Unmarshal(r.Text, &v); err != nil {
			t.Fatal(err)
		}
		again := mustPatch(t, string(r.Text), smallPatch, Options{})
		if again.Changed() {
			t.Fatalf("patching twice:\n%s", again.Diff)
		}
		if strings.Count(string(r.Text), "\n") > strings.Count(text, "\n")+12 {
			t.Fatalf("too many lines:\n%s", r.Diff)
		}
	})
}
