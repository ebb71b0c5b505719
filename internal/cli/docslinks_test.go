package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// docPages gives README.md and every page below docs, by their paths from here.
func docPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	read := func(name string) error {
		text, err := os.ReadFile(name)
		pages[name] = string(text)
		return err
	}
	err := filepath.WalkDir("../../docs", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		return read(name)
	})
	if err == nil {
		err = read("../../README.md")
	}
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	return pages
}

var (
	pageLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pageFence  = regexp.MustCompile("(?s)\n *```.*?\n *```")
	pageTitle  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	codeSpan   = regexp.MustCompile("`[^`]+`")
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fencedCall = regexp.MustCompile(`(?m)^ *(\$ )?(?:[A-Z_]+=\S+ )*(rkepatch (?:\\\n|[^\n])*)`)
	continued  = regexp.MustCompile(`\\\n\s*`)
	inlineCall = regexp.MustCompile("(?s)`(rkepatch [^`]*)`")
)

// slugs gives the names of a page's headings, as links call them.
func slugs(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range pageTitle.FindAllStringSubmatch(pageFence.ReplaceAllString(page, ""), -1) {
		out[strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return out
}

// Every link in the docs leads somewhere.
func TestDocsLinks(t *testing.T) {
	pages := docPages(t)
	links := 0
	for name, page := range pages {
		prose := codeSpan.ReplaceAllString(pageFence.ReplaceAllString(page, ""), "")
		for _, m := range pageLink.FindAllStringSubmatch(prose, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
				continue
			}
			if fragment != "" && !slugs(pages[file])[fragment] {
				t.Errorf("%s links to %s, which has no such heading", name, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("found only %d links: they are written in another way now", links)
	}
}

// Every command line in the docs is one that the program takes: commands and
// flags are known, and flags stand before names.
func TestDocsCommands(t *testing.T) {
	root := (&app{logs: noLogs()}).command()
	calls := 0
	for name, page := range docPages(t) {
		var lines []string
		for _, fence := range pageFence.FindAllString(page, -1) {
			for _, m := range fencedCall.FindAllStringSubmatch(fence, -1) {
				if m[1] != "" || !strings.Contains(fence, "\n$ ") { // else it is what the program says
					lines = append(lines, m[2])
				}
			}
		}
		for _, m := range inlineCall.FindAllStringSubmatch(pageFence.ReplaceAllString(page, ""), -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			calls++
			if problem := misspelt(root, line); problem != "" {
				t.Errorf("%s: %s: %s", name, line, problem)
			}
		}
	}
	if calls < 100 {
		t.Errorf("found only %d calls: they are written in another way now", calls)
	}
}

// misspelt says what is wrong with a command line, "" when nothing is.
func misspelt(root *cli.App, line string) string {
	line, _, _ = strings.Cut(continued.ReplaceAllString(line, " "), "   ") // what it is for stands behind three spaces
	call := typed{command: &cli.Command{Subcommands: root.Commands, Flags: root.Flags}, flags: map[string]string{}}
	for _, word := range splitLine(strings.TrimSpace(line))[1:] {
		if strings.ContainsAny(word, "|;") || strings.HasPrefix(word, ">") || word == "&&" {
			break
		}
		flag, _, _ := strings.Cut(word, "=")
		switch {
		case call.pending == nil && len(word) > 1 && strings.HasPrefix(word, "-"):
			if len(call.names) > 0 {
				return word + " stands behind a name"
			}
			if call.flag(flag) == nil && flag != "--help" && flag != "--version" {
				return "no flag " + flag
			}
		case word == "COMMAND" || word == "...":
			return ""
		}
		if call.take(word); call.command == nil {
			return "no command " + word
		}
	}
	return ""
}

func TestMisspelt(t *testing.T) {
	root := (&app{logs: noLogs()}).command()
	for line, right := range map[string]bool{
		"rkepatch plan --out x prod-eu":              true,
		"rkepatch nodes script | ssh root@w sh --no": true,
		"rkepatch plan prod-eu --out x":              false,
		"rkepatch paln prod-eu":                      false,
		"rkepatch nodes chekc prod-eu":               false,
		"rkepatch plan --nosuch prod-eu":             false,
		"rkepatch apply --plan \\\n  x --nosuch":     false,
	} {
		if problem := misspelt(root, line); (problem == "") != right {
			t.Errorf("%s: %q", line, problem)
		}
	}
}
