package kubelet

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"
)

// FuzzStart gives kubelets any file as a config.
func FuzzStart(f *testing.F) {
	raw, err := os.ReadFile("testdata/verdicts.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct{ Cases []verdict }
	if err := json.Unmarshal(raw, &file); err != nil {
		f.Fatal(err)
	}
	for _, c := range file.Cases {
		f.Add([]byte(c.Config))
	}
	f.Add([]byte(base + base))
	f.Add([]byte(base + "  args: &a [*a]\n"))
	f.Add([]byte(base + "---\n" + base))
	f.Fuzz(func(t *testing.T, config []byte) {
		p := good(string(config))
		var verdicts []*Refusal
		for minor := uint(20); minor <= newest.Minor; minor++ {
			v := Version{1, minor}
			r := Start(v, p)
			verdicts = append(verdicts, r)
			if r == nil {
				continue
			}
			if r.ExitCode != 1 && r.ExitCode != 255 {
				t.Errorf("%s exits %d", v, r.ExitCode)
			}
			if strings.ContainsFunc(r.Reason, func(c rune) bool { return !unicode.IsPrint(c) }) || r.Reason == "" || len([]rune(r.Reason)) > maxReason+1 {
				t.Errorf("%s says %q", v, r.Reason)
			}
		}
		// What 1.32 takes, every kubelet from 1.26 on took, but for in-tree names.
		if verdicts[32-20] == nil {
			for minor := 26; minor < 32; minor++ {
				if r := verdicts[minor-20]; r != nil && r.ExitCode != 255 {
					t.Errorf("1.%d refuses what 1.32 takes: %s", minor, r.Reason)
				}
			}
		}
		for _, r := range Foresee(Version{1, 24}, newest, p) {
			if strings.ContainsFunc(r.Text, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("%s says %q", r.Code, r.Text)
			}
		}
		for _, name := range ProviderNames(config) {
			if !isFileName(name) {
				t.Errorf("the name %q", name)
			}
		}
	})
}

// FuzzMatches gives any pattern and any image.
func FuzzMatches(f *testing.F) {
	for _, p := range Patterns() {
		f.Add(p.Glob, p.sample+"/team/app:1.0")
	}
	f.Add("[::1]:5000", "[::1]:5000/x")
	f.Add("a:b:c", "a:b:c@d")
	f.Add("x[a-", "xa/b")
	f.Add("\ue000", "\ue001/b")
	f.Fuzz(func(t *testing.T, pattern, image string) {
		matched, err := Matches(pattern, image)
		if matched && err != nil {
			t.Errorf("both a match and %v", err)
		}
		if matched && futile(pattern) != "" && isImage(image) {
			t.Errorf("%q matches %q, but never does: %s", pattern, image, futile(pattern))
		}
		if again := Repository(Repository(image)); isImage(image) && again != Repository(image) {
			t.Errorf("the repository of %q is %q, and its own %q", image, Repository(image), again)
		}
	})
}

// isImage is a little narrower than what registries take.
func isImage(image string) bool {
	host, path, found := strings.Cut(Repository(image), "/")
	for _, label := range strings.Split(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	for _, part := range strings.Split(path, "/") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
			return false
		}
	}
	return found && host != "index.docker.io"
}
