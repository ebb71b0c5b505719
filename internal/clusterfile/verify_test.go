package clusterfile

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

func TestReplacedValueKeepsItsQuotes(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{`110`, `"200"`},
		{`"110" # was: 250`, `"200" # was: 250`},
		{`'110'`, `'200'`},
		{`&pods "110"`, `&pods "200"`},
		{`!!str 110`, `!!str "200"`},
		{"|-\n        110", `"200"`},
		{"", `"200"`},
	} {
		file := "services:\n  kubelet:\n    extra_args:\n      max-pods: %\n      v: \"2\"\n"
		p := rkeconfig.Patch{Args: map[string]string{"max-pods": "200"}}
		before := strings.TrimSpace(strings.Replace(file, "%", c.before, 1))
		before = strings.ReplaceAll(before, "pods: \n", "pods:\n")
		r := mustPatch(t, before, p, Options{ReplaceArgs: []string{"max-pods"}})
		if d := cmp.Diff(strings.TrimSpace(strings.Replace(file, "%", c.after, 1)), string(r.Text)); d != "" {
			t.Errorf("%q (-want +got):\n%s", c.before, d)
		}
		blocked := mustPatch(t, before, p, Options{})
		if !blocked.Blocked() || blocked.Changed() || string(blocked.Text) != before {
			t.Errorf("%q was replaced without being allowed", c.before)
		}
	}
}

// What a real Rancher 2.9.1 gives out.
func TestRecordedExport(t *testing.T) {
	raw, err := os.ReadFile("../../fixtures/recordings/action-exportYaml.json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ YAMLOutput string }
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatal(err)
	}
	r := mustPatch(t, answer.YAMLOutput, fleet.ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig), Options{API: kubelet.APIv1})
	const last = "            max-pods: \"150\"\n"
	want := strings.Replace(answer.YAMLOutput, last, last+"            image-credential-provider-bin-dir: /opt/aws/bin\n            image-credential-provider-config: /opt/aws/config/custom-credential-providers.yaml\n", 1)
	if d := cmp.Diff(want, string(r.Text)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if strings.Contains(r.Diff, "AKIA") {
		t.Errorf("the diff:\n%s", r.Diff)
	}
}

// The net below: a text that says something else than Merge is not given out.
func TestVerifyRefuses(t *testing.T) {
	const before = "services:\n  kubelet:\n    extra_args: {v: \"2\"}\n  etcd: {}\n"
	read := func(text string) *File {
		f, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := read(before)
	want, err := read(strings.Replace(before, `"2"`, `"3"`, 1)).document()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{strings.Replace(before, `"2"`, `"3"`, 1), true},
		{before, false},
		{strings.Replace(before, `"2"`, `"3", w: x`, 1), false},
		{strings.Replace(before, `"2"}`, `"3"}`+"\n    fail_swap_on: true", 1), false},
		{strings.Replace(before, `"2"}`, `"3"}`, 1) + "nodes: []\n", false},
		{strings.Replace(strings.Replace(before, `"2"`, `"3"`, 1), "etcd", "scheduler", 1), false},
	} {
		if err := f.verify(read(c.text), want); (err == nil) != c.ok {
			t.Errorf("%v for\n%s", err, c.text)
		}
	}
	list := read("services: {kubelet: {extra_args: [{v: 2}]}}\n")
	node := member(member(member(list.config, "services"), "kubelet"), "extra_args")
	if err := list.checkRepair(read("services: {kubelet: {extra_args: {v: 3}}}\n"), node); err == nil {
		t.Error("a repair that changed a value was taken")
	}
}

func TestScalar(t *testing.T) {
	for _, c := range []struct {
		text   string
		style  yaml.Style
		inFlow bool
		want   string
	}{
		{"/opt/aws/bin", 0, false, "/opt/aws/bin"},
		{"/a:/b:ro", 0, false, "/a:/b:ro"},
		{"/a:/b:ro", 0, true, `"/a:/b:ro"`},
		{"yes", 0, false, `"yes"`},
		{"Off", 0, false, `"Off"`},
		{"110", 0, false, `"110"`},
		{"1e3", 0, false, `"1e3"`},
		{"", 0, false, `""`},
		{"a: b", 0, false, `"a: b"`},
		{"a #b", 0, false, `"a #b"`},
		{"trailing:", 0, false, `"trailing:"`},
		{"it's", yaml.SingleQuotedStyle, false, "'it''s'"},
		{`say "x" \`, yaml.DoubleQuotedStyle, false, `"say \"x\" \\"`},
		{"a\u202eb", yaml.SingleQuotedStyle, false, `"a\U0000202eb"`},
	} {
		if got := (&writer{}).scalar(c.text, c.style, c.inFlow); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}
