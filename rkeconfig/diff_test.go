package rkeconfig

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v2"
	"pgregory.net/rapid"
)

func TestDiffs(t *testing.T) {
	custom := load(t, "custom.json")
	edit := func(value any, at ...string) Document { return custom.with(value, at...) }
	patched := Merge(custom, Patch{
		Args:  map[string]string{binDirArg: "/opt/aws/bin", configArg: "/opt/aws/config/p.yaml"},
		Binds: []string{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/ecr:/opt/ecr:ro"},
	}, MergeOptions{}).Document
	tests := []struct {
		file          string
		before, after Document
		options       DiffOptions
	}{
		{"patched.diff", custom, patched, DiffOptions{FromLabel: "shop-prod (today)", ToLabel: "shop-prod (patched)"}},
		{"patched-context-1.diff", custom, patched, DiffOptions{Context: 1}},
		{"new-kubelet.diff", parse(t, `{"services":{"etcd":{"snapshot":false}}}`), parse(t, `{"services":{"etcd":{},"kubelet":{"extraArgs":{"v":"2"}}}}`), DiffOptions{}},
		{"rewritten-by-rancher.diff", custom, edit(true, "cloudProvider", "useInstanceMetadataHostname"), DiffOptions{}},
		{"secret-added.diff", custom, edit([]any{"HTTP_PROXY=http://proxy:3128", "TOKEN=hunter2"}, "services", "kubelet", "extraEnv"), DiffOptions{}},
		{"hostile.diff", custom, edit(map[string]any{"max-pods": "150", "a: b": "\x1b[2J", "x\n  y": "two\nlines", "<<": "*a", "é\u202e": "- x", "": "'"}, "services", "kubelet", "extraArgs"),
			DiffOptions{FromLabel: "a\nb", ToLabel: "\x1b[31m"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got := Diff(tt.before, tt.after, tt.options)
			golden(t, tt.file, got)
			for _, r := range got {
				if r != '\n' && isControl(r) {
					t.Fatalf("the diff holds the control character %q", r)
				}
			}
		})
	}
}

// A diff can be followed line by line: its numbers and its lines are those of
// both texts.
func TestDiffsApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewDocument(drawObject(t, configShape(), 4, false))
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewDocument(drawObject(t, configShape(), 4, false))
		if err != nil {
			t.Fatal(err)
		}
		checkApplies(t, a, b, rapid.IntRange(0, 4).Draw(t, "context"))
	})
	everything := load(t, "everything.json")
	checkApplies(t, everything, parse(t, strings.ReplaceAll(toJSON(t, everything), "SECRET-", "SECRET-other-")), 2)
}

func checkApplies(t interface{ Fatalf(string, ...any) }, a, b Document, context int) {
	from, to := sides(a, b)
	text := Diff(a, b, DiffOptions{Context: context})
	if text == "" {
		if from != to {
			t.Fatalf("no diff between\n%s\nand\n%s", from, to)
		}
		return
	}
	old, made := strings.SplitAfter(from, "\n"), []string{}
	at := 0 // in old
	for line := range strings.Lines(text) {
		switch line[0] {
		case '@':
			fromLine, toLine := hunkStart(line)
			for at < fromLine-1 {
				made, at = append(made, old[at]), at+1
			}
			if len(made) != toLine-1 {
				t.Fatalf("%s stands at line %d of the new text, in\n%s", line, len(made)+1, text)
			}
		case ' ', '-':
			if strings.HasPrefix(line, "--- ") {
				continue
			}
			if old[at] != line[1:] {
				t.Fatalf("line %d is %q, the diff says %q", at+1, old[at], line)
			}
			if line[0] == ' ' {
				made = append(made, old[at])
			}
			at++
		case '+':
			if !strings.HasPrefix(line, "+++ ") {
				made = append(made, line[1:])
			}
		}
	}
	if got := strings.Join(append(made, old[at:]...), ""); got != to {
		t.Fatalf("the diff leads to\n%s\nnot to\n%s", got, to)
	}
}

// hunkStart reads @@ -a,b +c,d @@, where ,b and ,d may be missing.
func hunkStart(line string) (from, to int) {
	fields := strings.Fields(line)
	number := func(s string) int {
		digits, _, _ := strings.Cut(s[1:], ",")
		n, _ := strconv.Atoi(digits)
		return n
	}
	return number(fields[1]), number(fields[2])
}

func TestDiffOfEqualConfigsIsEmpty(t *testing.T) {
	custom := load(t, "custom.json")
	for name, other := range map[string]Document{
		"itself":            custom,
		"without zeros":     custom.with(map[string]any{"plugin": "canal", "options": map[string]any{"flannel_backend_type": "vxlan"}}, "network"),
		"a number respelt":  custom.with(parse(t, `{"n":45.0}`).root["n"], "addonJobTimeout"),
		"with more zeros":   custom.with(map[string]any{"a": []any{}}, "future"),
		"null for an empty": custom.with(nil, "authorization"),
	} {
		if got := Diff(custom, other, DiffOptions{}); got != "" {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestYAMLOfRecordings(t *testing.T) {
	for _, name := range []string{"custom", "templated", "failed-spec"} {
		golden(t, name+".yaml", YAML(load(t, name+".json")))
	}
	if got, want := YAML(Document{}), "rancher_kubernetes_engine_config: {}\n"; got != want {
		t.Errorf("the empty config is %q, want %q", got, want)
	}
}

// A field that Rancher does not know may have the YAML name of one it does.
func TestYAMLNamesAreUnique(t *testing.T) {
	doc := parse(t, kubelet(`{"extraArgs":{"a":"1"},"extra_args":{"a":"2"},"extra_args (as sent)":3,"ExtraArgs":4,"someField":1,"some_field":2}`))
	var got map[string]any
	if err := yaml.UnmarshalStrict([]byte(YAML(doc)), &got); err != nil {
		t.Fatalf("%v in\n%s", err, YAML(doc))
	}
	for _, line := range []string{"extra_args:\n        a: \"1\"", "extra_args (as sent)", "ExtraArgs: 4"} {
		if !strings.Contains(YAML(doc), line) {
			t.Errorf("%q is missing in\n%s", line, YAML(doc))
		}
	}
}

func TestScalars(t *testing.T) {
	texts := []string{"", " ", "x ", " x", "true", "No", "~", "null", "1", "1.5", "0x1f", "1e3", "12:30", "2020-01-01", "1_000", ".5", "-", "- x", "a: b", "a:", "a #b", "#a",
		"*a", "&a", "!a", "%a", "@a", "`a", "'", `"`, "\\", "{a}", "[a]", "a,b", "<<", "<", ">x", "|", "?", "? a", "=", "10%", "12h", "v1.26.15-rancher1-1", "30000-32767", "a\tb", "a\nb", "a\nb\n",
		"a\n\nb\n\n", "\na", "  a\nb", "a\n  b\n", "a \nb", "\r\n", "a\rb", "\u0085", "\u2028", "\u202e", "\ufeff", "\u00a0", "é", "😀", "\x00", "\x7f", "\U000e0001", "---", "...", "a\n---\nb", "a\n...\nb\n", "y", "Y", "on", ".inf", ".nan", "0b1", "0o7", "+1", "1,000",
		strings.Repeat("long ", 100), strings.Repeat("x", 3000)}
	check := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, s string,
	) {
		t.Helper()
		doc, err := NewDocument(map[string]any{"future": map[string]any{"text": s, "list": []any{s, []any{s}, map[string]any{"k": s}}}})
		if err != nil {
			t.Fatalf("%v", err)
		}
		text := YAML(doc)
		for _, r := range text {
			if r != '\n' && isControl(r) {
				t.Fatalf("control character %q in\n%s", r, text)
			}
		}
		var got map[string]map[string]map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &got); err != nil {
			t.Fatalf("%q: %v in\n%s", s, err, text)
		}
		want := fmt.Sprintf("%q", []any{s, []any{s}, map[any]any{"k": s}})
		if f := got[topKey]["future"]; f["text"] != s || fmt.Sprintf("%q", f["list"]) != want {
			t.Fatalf("%q is read back as %q from\n%s", s, f, text)
		}
	}
	for _, s := range texts {
		check(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ToValidUTF8(rapid.StringOf(rapid.SampledFrom([]rune("ab :#-\n\t'\"{}[]<>|&*!%@?,=.0123456789~\\é\u0085\u2028\u202e"))).Draw(t, "text"), "")
		if maskText(s, "M") == s {
			check(t, s)
		}
	})
}

func TestKeysCanBeAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		doc, err := NewDocument(map[string]any{"network": map[string]any{"options": map[string]any{key: "v"}}})
		if err != nil {
			t.Skip("too long")
		}
		if isSecretName(key) {
			t.Skip("masked")
		}
		var got map[string]map[string]map[string]map[string]string
		if err := yaml.UnmarshalStrict([]byte(YAML(doc)), &got); err != nil {
			t.Fatalf("%v in\n%s", err, YAML(doc))
		}
		if v := got[topKey]["network"]["options"]; len(v) != 1 || v[strings.ToValidUTF8(key, "\uFFFD")] != "v" {
			t.Fatalf("read back as %q from\n%s", v, YAML(doc))
		}
	})
}

func TestUINames(t *testing.T) {
	for in, want := range map[string]string{
		"kubernetesVersion": "kubernetes_version", "awsCloudProvider": "awsCloudProvider", "cloudProvider": "cloud_provider",
		"subnet-id": "subnet-id", "s3BackupConfig": "s3_backup_config", "someQPS": "some_qps", "x": "x", "": "",
	} {
		if got := uiName(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}
