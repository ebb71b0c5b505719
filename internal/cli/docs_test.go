package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rkepatch/internal/fleet"
)

// The page that says why no kubelet is broken names tests and findings that
// there are.
func TestSafetyPageIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/why-it-is-safe.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("there is no %s", m[1])
		}
	}
	codes := map[string]bool{"nodes-unreadable": true}
	for _, f := range append(fleet.Catalogue(), fleet.NodeCatalogue()...) {
		codes[f.Code] = true
	}
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z0-9.]+(?:-[a-z0-9.]+)+)`").FindAllStringSubmatch(cells[2], -1) {
			if !codes[m[1]] {
				t.Errorf("no finding is called %s", m[1])
			}
		}
	}
}
