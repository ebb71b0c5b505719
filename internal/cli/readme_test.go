package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedThere  = regexp.MustCompile("`(make [a-z0-9-]+|Test[A-Za-z0-9]+(?:/[a-z]+)?)`")
	testNames   = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	targetNames = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
)

// What README.md names as shown by a test or a target is there, and each line of its table names one.
func TestReadmeNamesWhatShowsIt(t *testing.T) {
	root := filepath.Join("..", "..")
	known := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".txtar") && name != filepath.Join(root, "Makefile") {
			return err
		}
		if script, ok := strings.CutSuffix(filepath.Base(name), ".txtar"); ok {
			known["TestScripts/"+script] = true
			return nil
		}
		text, err := os.ReadFile(name)
		for _, m := range testNames.FindAllStringSubmatch(string(text), -1) {
			known[m[1]] = true
		}
		if filepath.Base(name) == "Makefile" {
			for _, m := range targetNames.FindAllStringSubmatch(string(text), -1) {
				known["make "+m[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range namedThere.FindAllStringSubmatch(string(readme), -1) {
		if !known[m[1]] {
			t.Errorf("README.md names %s, which is not there", m[1])
		}
	}
	_, table, _ := strings.Cut(string(readme), "| for | it does | shown by | page |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if len(rows) < 8 {
		t.Fatalf("README.md has a table of %d lines", len(rows))
	}
	for _, row := range rows {
		if cells := strings.Split(row, "|"); len(cells) < 5 || !namedThere.MatchString(cells[3]) {
			t.Errorf("nothing shows %s", row)
		}
	}
}
