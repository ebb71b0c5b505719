package rkeconfig

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v2"
)

func seedDocuments(f *testing.F) []string {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no documents in testdata", err)
	}
	seeds := []string{"{}", kubelet(`{"extraArgs":{"--max-pods":"1"},"extraArgsArray":{"v":["2"]},"extraBinds":["/a:/b","/c:/b","x"]}`), kubelet(`{"extraArgs":[]}`)}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(raw))
	}
	return seeds
}

// FuzzMerge merges any patch into any config.
func FuzzMerge(f *testing.F) {
	for _, doc := range seedDocuments(f) {
		f.Add(doc, "extra_args: {max-pods: 200, image-credential-provider-config: /opt/x}\nextra_binds: ['/opt/x:/opt/x:ro', '/etc/kubernetes/x:/etc/kubernetes/x']\n", "max-pods", false)
		f.Add(doc, "extra_binds: ['/data:/data', '/a:/var/lib/rancher/a']\n", "", true)
	}
	f.Fuzz(func(t *testing.T, rawDoc, rawPatch, replace string, windows bool) {
		doc, err := ParseDocument([]byte(rawDoc))
		if err != nil {
			t.Skip()
		}
		p, err := ReadPatch([]byte(rawPatch))
		if err != nil {
			t.Skip()
		}
		options := MergeOptions{ReplaceArgs: []string{replace}, WindowsNodes: windows}
		before := toJSON(t, doc)
		got := Merge(doc, p, options)
		if toJSON(t, doc) != before {
			t.Fatal("the input changed")
		}
		checkMerged(t, doc, p, options, got)
	})
}

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// checkMerged holds a result against what Merge promises: blocked means
// untouched, nothing changes but the patch's own paths, binds keep their order,
// merging again does nothing, and all of it can be shown.
func checkMerged(t tester, doc Document, p Patch, o MergeOptions, got Result) {
	t.Helper()
	if got.Blocked() {
		if toJSON(t, got.Document) != toJSON(t, doc) || len(got.Changes) > 0 {
			t.Fatalf("blocked, but changed: %v", got.Changes)
		}
	}
	for _, f := range got.Findings {
		if strings.ContainsFunc(f.Message+f.Todo, isControl) {
			t.Fatalf("finding holds control characters: %q", f)
		}
	}
	if diff := cmp.Diff(Compare(doc, got.Document), got.Changes); diff != "" {
		t.Fatalf("changes are not what differs: %s", diff)
	}
	for _, c := range got.Changes {
		if !strings.HasPrefix(c.Path, `services.kubelet.extraArgs["`) && !strings.HasPrefix(c.Path, "services.kubelet.extraBinds[") {
			t.Fatalf("change outside the patch's own paths: %s", c.Path)
		}
	}
	old := doc.ExtraBinds()
	if now := got.Document.ExtraBinds(); len(now) < len(old) || !slices.Equal(old, now[:len(old)]) {
		t.Fatalf("binds were %q, are %q", old, now)
	}
	if !got.Blocked() {
		again := Merge(got.Document, p, o)
		if again.Blocked() || len(again.Changes) > 0 || again.State != Patched || toJSON(t, again.Document) != toJSON(t, got.Document) {
			t.Fatalf("merging again gives %v, %+v, state %s", again.Changes, again.Findings, again.State)
		}
		for name, value := range p.Args {
			if got.Document.ExtraArgs()[name] != value {
				t.Fatalf("%s is not set", name)
			}
		}
		if err := got.Document.Check(); err != nil {
			t.Fatalf("the result is not understood: %v", err)
		}
	}
	if (got.State == Patched) != (len(got.Changes) == 0) && !got.Blocked() {
		t.Fatalf("state %s with changes %v", got.State, got.Changes)
	}
	checkText(t, Diff(doc, got.Document, DiffOptions{}))
	text := YAML(got.Document)
	checkText(t, text)
	var parsed any
	if err := yaml.UnmarshalStrict([]byte(text), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

func checkText(t tester, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && isControl(r) }); i >= 0 {
		t.Fatalf("control character in %q", text[max(0, i-20):i+4])
	}
}

// FuzzReadPatch reads anything as a patch.
func FuzzReadPatch(f *testing.F) {
	for _, s := range []string{
		"", "extra_args: {v: 2}", "extra_args:\n- a: b\n- c: 'd,e'\nextra_binds:\n- /a:/b:ro\n",
		"rancher_kubernetes_engine_config: {services: {kubelet: {extraArgs: {a: true}}}}", "kubelet: {extra_env: [A=b]}", "a: &a [*a]", "---\n---\n", "extra_args: {<<: {v: 2}}", aliasBomb(),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := ReadPatch(src)
		if err != nil {
			checkPatchError(t, err)
			return
		}
		if len(p.Args)+len(p.Binds) == 0 {
			t.Fatal("a patch that sets nothing")
		}
		canonical, err := yaml.Marshal(map[string]any{"extra_args": p.Args, "extra_binds": p.Binds})
		if err != nil {
			t.Fatal(err)
		}
		if p.Args == nil || p.Binds == nil {
			only := map[string]any{"extra_args": p.Args}
			if p.Args == nil {
				only = map[string]any{"extra_binds": p.Binds}
			}
			if canonical, err = yaml.Marshal(only); err != nil {
				t.Fatal(err)
			}
		}
		again, err := ReadPatch(canonical)
		if err != nil {
			t.Fatalf("%v in\n%s", err, canonical)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("written out and read again it differs: %s", diff)
		}
		checkMerged(t, Document{}, p, MergeOptions{}, Merge(Document{}, p, MergeOptions{}))
	})
}

// FuzzMask puts a secret into any config, at any place where secrets are, and
// looks for it in everything that is shown.
func FuzzMask(f *testing.F) {
	for i, doc := range seedDocuments(f) {
		for j := range 6 {
			f.Add(doc, uint(i*7+j*5), []byte{byte(i), byte(j), 0xff})
		}
	}
	for i := range len(SecretRules) + len(unknownSecrets) {
		f.Add("{}", uint(i), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, rawDoc string, place uint, noise []byte) {
		doc, err := ParseDocument([]byte(rawDoc))
		if err != nil {
			t.Skip()
		}
		if len(noise) > 50 {
			noise = noise[:50]
		}
		// A word that can not be in the document by chance, and no path or duration.
		const needle = "zQ9needle"
		if strings.Contains(rawDoc, "needle") {
			t.Skip()
		}
		one, two := needle+hex.EncodeToString(noise), needle+"2"+hex.EncodeToString(noise)
		before, err := NewDocument(withSecret(doc.Map(), place, one))
		if err != nil {
			t.Skip() // one level too deep
		}
		after, err := NewDocument(withSecret(doc.Map(), place, two))
		if err != nil {
			t.Skip()
		}
		p := Patch{Args: map[string]string{"my-token": "x", "max-pods": "1"}, Binds: []string{"/a:/b"}}
		merged := Merge(before, p, MergeOptions{})
		diff := Diff(before, after, DiffOptions{})
		for name, text := range map[string]string{
			"YAML": YAML(before), "diff of a change": diff,
			"diff of an addition":      Diff(doc, before, DiffOptions{}),
			"diff of a removal":        Diff(before, Document{}, DiffOptions{}),
			"diff of a merge":          Diff(before, merged.Document, DiffOptions{}),
			"changes":                  changesJSON(t, MaskChanges(Compare(before, after))),
			"changes of everything":    changesJSON(t, MaskChanges(Compare(before, Document{}))),
			"findings":                 fmt.Sprint(merged.Findings),
			"error of Check":           fmt.Sprint(before.Check()),
			"changes read from a file": changesJSON(t, MaskChanges(reread(t, Compare(Document{}, after)))),
		} {
			if strings.Contains(text, needle) {
				t.Fatalf("%s shows the secret:\n%s", name, text)
			}
			if strings.HasPrefix(name, "diff") || name == "YAML" {
				checkText(t, text)
			}
		}
		if !strings.Contains(diff, RedactedBefore) || !strings.Contains(diff, RedactedAfter) {
			t.Fatalf("the diff does not say that the secret changed:\n%s", diff)
		}
	})
}

func reread(t testing.TB, changes []Change) []Change {
	t.Helper()
	var back []Change
	if err := json.Unmarshal([]byte(changesJSON(t, changes)), &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// unknownSecrets are fields that rke's types do not know, and keys of free maps.
var unknownSecrets = []string{
	"newThing.password", "services.kubelet.futureToken", "services.kubelet.extraArgs{}.registry-password",
	"services.kubeApi.extraArgsArray{}.client-secret[]", "network.options{}.ssh-key", "privateRegistries[].identityToken",
	"services.kubeApi.admissionConfiguration.plugins[].configuration.private_key", "ingress.extraVolumes[].future.clientKey",
}

// withSecret sets a secret at one of the places of SecretRules or unknownSecrets.
func withSecret(root map[string]any, place uint, secret string) map[string]any {
	places := slices.Clone(unknownSecrets)
	for _, rule := range SecretRules {
		p := rule.Path
		if rule.Masking == MaskEnv {
			p += "[]="
		}
		places = append(places, strings.ReplaceAll(p, "*", "kubelet"))
	}
	setAt(root, strings.Split(places[place%uint(len(places))], "."), secret)
	return root
}

func setAt(m map[string]any, path []string, secret string) {
	name, isEnv := strings.CutSuffix(path[0], "=")
	name, isItem := strings.CutSuffix(name, "[]")
	name, isMap := strings.CutSuffix(name, "{}")
	var value any = secret
	if isEnv {
		value = "NAME=" + secret
	}
	if len(path) > 1 {
		child := map[string]any{}
		if old, ok := m[name].(map[string]any); ok && !isItem {
			child = old
		}
		if isMap && strings.Contains(path[1], "password") && len(path) == 2 && name == "virtualCenter" {
			child["vc.example.com"] = map[string]any{path[1]: secret}
		} else {
			setAt(child, path[1:], secret)
		}
		value = child
	}
	if isItem {
		old, _ := m[name].([]any)
		value = append(slices.Clone(old), value)
	}
	m[name] = value
}
