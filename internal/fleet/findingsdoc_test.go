package fleet

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"rkepatch/internal/clusterfile"
	"rkepatch/rkeconfig"
)

var update = flag.Bool("update", false, "rewrite golden files")

// docs/findings.md is made from the catalogue and testdata/findings.md.tmpl.
func TestFindingsDoc(t *testing.T) {
	type group struct {
		Severity rkeconfig.Severity
		Findings []Finding
	}
	groups := []group{{Severity: Block}, {Severity: Warn}, {Severity: Info}}
	for _, f := range Catalogue() {
		for i := range groups {
			if groups[i].Severity == f.Severity {
				groups[i].Findings = append(groups[i].Findings, f)
			}
		}
	}
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	page, err := template.New("findings.md.tmpl").Funcs(template.FuncMap{"cell": cell}).ParseFiles("testdata/findings.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	data := struct {
		Groups []group
		Nodes  []Finding
		Files  []Finding
	}{groups, NodeCatalogue(), clusterfile.Findings}
	if err := page.Execute(&got, data); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("..", "..", "docs", "findings.md")
	if *update {
		if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("docs/findings.md is not what the catalogue says; run go test ./internal/fleet -update\n%s", d)
	}
	for _, f := range slices.Concat(Catalogue(), NodeCatalogue(), clusterfile.Findings) {
		if !strings.Contains(string(want), "\n| `"+f.Code+"` |") {
			t.Errorf("docs/findings.md has no line for %s", f.Code)
		}
	}
}
