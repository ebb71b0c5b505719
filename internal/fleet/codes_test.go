package fleet

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rkepatch/internal/clusterfile"
)

// literalCode finds the code of a finding in source: Code: "x", or a row of a
// table of rules.
var literalCode = regexp.MustCompile(`Code: *"([a-z0-9-]+)"|\{ *"([a-z0-9]+-[a-z0-9-]+)", *(?:Block|Warn|Info|Fatal|Caution|Note)\b`)

// Whatever code a person can meet is in a catalogue: that of plans, from which
// docs/findings.md is made, or one of what is seen on nodes.
func TestEveryCodeIsInTheCatalogue(t *testing.T) {
	known := map[string]bool{}
	for _, f := range Catalogue() {
		if known[f.Code] {
			t.Errorf("%s is there twice", f.Code)
		}
		known[f.Code] = true
	}
	for _, f := range slices.Concat(NodeCatalogue(), clusterfile.Findings) {
		if known[f.Code] {
			t.Errorf("%s is there twice", f.Code)
		}
		known[f.Code] = true
	}
	found := 0
	for _, dir := range []string{".", "../kubelet", "../nodes", "../clusterfile", "../../rkeconfig"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", dir, names, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range literalCode.FindAllStringSubmatch(string(text), -1) {
				found++
				if code := m[1] + m[2]; !known[code] {
					t.Errorf("%s says %s, which the catalogue does not have", name, code)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d codes: they are written in another way now", found)
	}
}
