package cli

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

var update = flag.Bool("update", false, "write docs/commands.md and docs/rkepatch.1 anew")

// docPage is what the command reference and the man page are made from.
type docPage struct {
	Usage    string
	Prose    string
	Examples []string
	Shared   []docGroup
	Commands []docCommand
}

// docGroup are flags that belong together and are shared by commands.
type docGroup struct {
	Title string
	Flags []docFlag
}

type docCommand struct {
	Name     string // rkepatch nodes check
	Usage    string
	Args     string
	Prose    string
	Examples []string
	Flags    []docFlag // its own
	Shared   []string  // titles of groups
}

type docFlag struct {
	Names   []string // --output, -o
	Value   string   // "" for a switch
	Usage   string
	Default string
}

// sharedFlags are the groups, in the order of the page. A command that takes all
// flags of a group refers to it.
func sharedFlags() []docGroup {
	return []docGroup{
		{"Which clusters", docFlags(selectFlags())},
		{"What is patched", docFlags(patchFlags())},
		{"How the nodes are looked at", docFlags(nodeFlags())},
		{"How a run spreads over its clusters", docFlags(paceFlags())},
		{"Which Rancher, and the log", docFlags(connectFlags())},
	}
}

func docFlags(flags []cli.Flag) (out []docFlag) {
	for _, f := range flags {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		d := f.(cli.DocGenerationFlag)
		value, usage := placeholder(d.GetUsage())
		doc := docFlag{Value: value, Usage: usage}
		for _, name := range f.Names() {
			doc.Names = append(doc.Names, strings.Repeat("-", min(len(name), 2))+name)
		}
		switch {
		case !d.TakesValue():
			doc.Value = ""
		case doc.Value == "":
			doc.Value = "VALUE"
		}
		if d.TakesValue() {
			doc.Default = strings.Trim(d.GetDefaultText(), `"`)
		}
		out = append(out, doc)
	}
	return out
}

func docOf(a *cli.App) docPage {
	page := docPage{Usage: a.Usage, Shared: sharedFlags()}
	page.Prose, page.Examples = splitDescription(a.Description)
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			if c.Hidden {
				continue
			}
			doc := docCommand{Name: prefix + " " + c.Name, Usage: c.Usage, Args: c.ArgsUsage, Flags: docFlags(c.Flags)}
			doc.Prose, doc.Examples = splitDescription(c.Description)
			if doc.Args == "" && len(c.Subcommands) > 0 {
				doc.Args = "COMMAND"
			}
			for _, group := range page.Shared {
				if containsAll(doc.Flags, group.Flags) {
					doc.Shared = append(doc.Shared, group.Title)
					doc.Flags = slices.DeleteFunc(doc.Flags, func(f docFlag) bool { return containsAll(group.Flags, []docFlag{f}) })
				}
			}
			page.Commands = append(page.Commands, doc)
			walk(doc.Name, c.Subcommands)
		}
	}
	walk(a.Name, a.Commands)
	return page
}

func containsAll(flags, wanted []docFlag) bool {
	for _, w := range wanted {
		if !slices.ContainsFunc(flags, func(f docFlag) bool { return cmp.Equal(f, w) }) {
			return false
		}
	}
	return true
}

// splitDescription parts the prose from the examples behind it.
func splitDescription(text string) (prose string, examples []string) {
	prose, rest, _ := strings.Cut(text, "\n\nExamples:\n")
	for line := range strings.Lines(rest) {
		examples = append(examples, strings.TrimSpace(line))
	}
	return prose, examples
}

// docs/commands.md and docs/rkepatch.1 are made from the commands themselves and
// the templates in testdata.
func TestCommandsDoc(t *testing.T) {
	a := &app{logs: noLogs()}
	page := docOf(a.command())
	for _, tt := range []struct {
		template, file string
		escape         func(string) string
	}{
		{"commands.md.tmpl", "commands.md", func(s string) string {
			return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(s)
		}},
		{"rkepatch.1.tmpl", "rkepatch.1", roff},
	} {
		funcs := template.FuncMap{
			"text": tt.escape, "join": strings.Join, "anchor": anchor,
		}
		tmpl, err := template.New(tt.template).Funcs(funcs).ParseFiles(filepath.Join("testdata", tt.template))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := tmpl.Execute(&got, page); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("..", "..", "docs", tt.file)
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
			t.Errorf("docs/%s is not what the commands say; run make docs\n%s", tt.file, d)
		}
	}
	if len(page.Commands) < 10 {
		t.Errorf("only %d commands", len(page.Commands))
	}
}

// anchor gives the name under which a heading is linked to.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), ",", ""), " ", "-")
}

// roff escapes a text so that man shows it as it is.
func roff(s string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// man reads the page without a complaint.
func TestManPage(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not on this machine")
	}
	cmd := exec.CommandContext(t.Context(), groff, "-man", "-Kutf8", "-Tutf8", "-P-cbou", "-ww", "../../docs/rkepatch.1")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("%v\n%s", err, complaints.String())
	}
	plain := strings.NewReplacer("\u2010", "-", "\u2212", "-").Replace(string(text))
	for _, want := range []string{"RKEPATCH(1)", "skip-node-check", "EXIT STATUS", "--not-after HH:MM"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}
