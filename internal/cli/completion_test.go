package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
)

// completes gives the words that are suggested behind what was typed.
func (p *person) completes(t *testing.T, current string, words ...string) []string {
	t.Helper()
	if code := p.types(t.Context(), strings.NewReader(""), append([]string{"__complete", "zsh", "=" + current}, words...)...); code != ExitOK || p.err.Len() > 0 {
		t.Errorf("code %d, said %q", code, p.err.String())
	}
	var out []string
	for line := range strings.Lines(p.out.String()) {
		word, _, _ := strings.Cut(line, "\t")
		out = append(out, word)
	}
	return out
}

// Whoever may name a cluster does not get his text into other people's shells.
func TestCompletionDropsHostileNames(t *testing.T) {
	p := newPerson(t)
	hostile := []string{"$(reboot)", "`reboot`", "a b", "a\nb", "a\tb", "a;b", "a'b", `a"b`, "a\x1b[2Jb", "--yes", "-y", "a\u202eb", "a*", "~root", "../..", ":files", "=x", "", strings.Repeat("a", 254)}
	for i, name := range hostile {
		p.sim.AddCluster(simrancher.Cluster{ID: "c-hos" + string(rune('a'+i)), Name: name})
	}
	got := p.completes(t, "", "plan")
	if len(got) < 15 || !slices.Contains(got, "prod-eu") {
		t.Errorf("the honest names are missing: %q", got)
	}
	for _, name := range got {
		if slices.Contains(hostile, name) || !safeName.MatchString(name) {
			t.Errorf("suggested %q", name)
		}
	}
	if got := p.completes(t, "--", "plan"); slices.Contains(got, "--yes") {
		t.Error("a cluster was suggested as a flag")
	}
}

// Nothing is known of a cluster, and nothing is said of that: no token, a wrong
// one, nobody there, an answer that is none.
func TestCompletionIsSilent(t *testing.T) {
	p := newPerson(t)
	for _, words := range [][]string{
		{"plan", "--url", "http://127.0.0.1:1"},
		{"plan", "--url", "not a url"},
		{"plan", "--token", "token-wrong:wrong"},
		{"plan", "--ca-file", "/does/not/exist"},
		{"plan", "--server", "nobody"},
		{"plan", "--insecure=perhaps"},
		{"unknown"}, {"nodes", "unknown"}, {"runs", "show", "x"}, {"rollback", "unknown"}, {"nodes", "script"}, {"plan", "--for", "x"},
	} {
		if got := p.completes(t, "", words...); len(got) > 0 && words[len(words)-1] != "x" {
			t.Errorf("%q: suggested %q", words, got)
		}
	}
	for _, args := range [][]string{{"__complete"}, {"__complete", "zsh"}, {"__complete", "zsh", "x"}, {"__complete", "bash", "="}, {"__complete", "bash", "=", "rkepatch"}, {"__complete", "bash", "=", "'"}} {
		if code := p.types(t.Context(), strings.NewReader(""), args...); code != ExitOK || p.out.Len()+p.err.Len() > 0 {
			t.Errorf("%q: code %d, %q, %q", args, code, p.out.String(), p.err.String())
		}
	}
}

// The Tab key only looks: no PUT, no log although it is asked for, no state.
func TestCompletionWritesNothing(t *testing.T) {
	p := newPerson(t)
	log := filepath.Join(t.TempDir(), "log")
	if got := p.completes(t, "prod", "apply", "--yes", "--log-file", log, "--verbose", "--report", log+".html"); len(got) != 2 {
		t.Errorf("suggested %q", got)
	}
	p.completes(t, "", "rollback")
	for _, r := range p.sim.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
	for _, dir := range []string{filepath.Dir(log), p.state} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("written: %v, %v", entries, err)
		}
	}
}

// Rancher takes its time; the person at the keyboard has none.
func TestCompletionDoesNotWait(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	}))
	defer server.Close()
	p := newPerson(t)
	p.url = server.URL
	begun := time.Now()
	if got := p.completes(t, "", "plan"); len(got) > 0 {
		t.Errorf("suggested %q", got)
	}
	<-gone
	if took := time.Since(begun); took > 10*answerTime {
		t.Errorf("it took %v", took)
	}
}

func TestCompletionOfFlagsAndServers(t *testing.T) {
	p := newPerson(t)
	flags := p.completes(t, "--", "plan")
	for _, want := range []string{"--help", "--out", "--output", "--token"} {
		if !slices.Contains(flags, want) {
			t.Errorf("no %s in %q", want, flags)
		}
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "cli2.json"), []byte(`{"Servers":{"prod":{},"a b":{},"$(x)":{}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"RANCHER_CONFIG_DIR": home}
	a := &app{streams: Streams{Getenv: func(k string) string { return env[k] }}}
	if got := a.serverNames(); !slices.Equal(got, []string{"prod"}) {
		t.Errorf("servers %q", got)
	}
}

// What may stand behind what was typed, whatever the shell.
func TestCompletionWords(t *testing.T) {
	p := newPerson(t)
	run, err := fleet.NewRun(filepath.Join(p.state, "rkepatch"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	for _, err := range []error{
		run.Begin(fleet.Head{Kind: kindApply, Server: p.url}, nil),
		run.Note(fleet.Entry{Event: fleet.EventPut, Cluster: "c-prod1", Name: "prod-eu"}),
		run.Note(fleet.Entry{Event: fleet.EventPut, Cluster: "c-prod2", Name: "prod us"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		typed string
		want  []string
	}{
		{"pl", []string{"plan"}},
		{"plan -o ", []string{"text", "json"}},
		{"plan --detailed", []string{"--detailed-exitcode"}},
		{"plan --provider-api v1al", []string{"v1alpha1"}},
		{"plan --exclude arc", []string{"archive"}},
		{"plan payments pay", nil},  // stands there already
		{"plan payments --ou", nil}, // would be refused
		{"apply --plan ", []string{":files"}},
		{"apply --bin-dir ", nil}, // lies on the nodes
		{"apply --order la", []string{":nospace", "label:"}},
		{"apply --resume ", []string{run.ID, "auto"}},
		{"rollback ", []string{run.ID}},
		{"rollback " + run.ID + " ", []string{"prod-eu"}},
		{"runs ", []string{"show"}},
		{"runs show ", []string{run.ID}},
		{"runs show x ", nil},
		{"nodes ", []string{"check", "install", "script"}},
		{"completion f", []string{"fish"}},
		{"file ", []string{":files"}},
		{"file x ", nil},
	} {
		words := strings.Split(tt.typed, " ")
		got := p.completes(t, words[len(words)-1], words[:len(words)-1]...)
		if tt.typed == "nodes " {
			got = slices.DeleteFunc(got, func(word string) bool { return !slices.Contains(tt.want, word) }) // there may be more
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.typed, got, tt.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	p := newPerson(t)
	for shell := range shells {
		if code := p.types(t.Context(), strings.NewReader(""), "completion", shell); code != ExitOK || !strings.Contains(p.out.String(), "__complete "+shell) {
			t.Errorf("%s: code %d\n%s", shell, code, p.out.String())
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		if code := p.types(t.Context(), strings.NewReader(""), args...); code != ExitUsage || !strings.Contains(p.err.String(), "bash, fish, powershell, zsh") {
			t.Errorf("%q: code %d, %s", args, code, p.err.String())
		}
	}
}

// bash gives the line as it was typed: what a shell makes of its words, so does
// splitLine.
func TestSplitLine(t *testing.T) {
	for line, want := range map[string][]string{
		"":                    {""},
		"rkepatch ":           {"rkepatch", ""},
		"rkepatch  plan a":    {"rkepatch", "plan", "a"},
		`rkepatch 'a b' "c d`: {"rkepatch", "a b", "c d"},
		`rkepatch a\ b '\'`:   {"rkepatch", "a b", `\`},
		`rkepatch '' x`:       {"rkepatch", "", "x"},
		`rkepatch a\`:         {"rkepatch", "a"},
	} {
		if got := splitLine(line); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.String()).Draw(t, "words")
		line := ""
		for _, word := range words {
			line += shellWord(word) + " "
		}
		if got := splitLine(line); !slices.Equal(got, append(slices.Clone(words), "")) {
			t.Fatalf("%q: %q, want %q", line, got, words)
		}
	})
}
