package cli

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"pgregory.net/rapid"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// called gives the context of a command that was called with args.
func called(t *testing.T, flags []cli.Flag, args ...string) *cli.Context {
	t.Helper()
	var got *cli.Context
	app := &cli.App{Name: "rkepatch", HideHelp: true, DisableSliceFlagSeparator: true, Commands: []*cli.Command{{
		Name: "apply", HideHelp: true, Flags: flags, Action: func(c *cli.Context) error { got = c; return nil },
	}}}
	inProcess.Lock()
	defer inProcess.Unlock()
	if err := app.Run(append([]string{"rkepatch", "apply"}, args...)); err != nil {
		t.Fatal(err)
	}
	return got
}

// What a later command needs is what was given, and never a secret.
func TestRunWords(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--yes", "--token", "token-abcde:secret", "prod-eu"}, ""},
		{[]string{"--url", "https://rancher.example.com", "--insecure", "--token", "x"}, " --url https://rancher.example.com --insecure"},
		{[]string{"--insecure=false", "--server", "prod eu"}, " --server 'prod eu'"},
		{[]string{"--ca-file", "/etc/ca's.pem", "--state-dir", "/srv/my runs"}, ` --ca-file '/etc/ca'\''s.pem' --state-dir '/srv/my runs'`},
	} {
		c := called(t, concat(runFlags(), connectFlags(), patchFlags()), tt.args...)
		if got := runWords(c); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
	// Typed in another directory, a path still means the same.
	if got := runWords(called(t, runFlags(), "--state-dir", "here")); !strings.HasPrefix(got, " --state-dir /") || !strings.HasSuffix(got, "/here") {
		t.Errorf("%q", got)
	}
}

// plan judges by what the run plans, wherever that was taken from.
func TestPlanWords(t *testing.T) {
	provider := func(binDir, config string) rkeconfig.Patch { return fleet.ProviderPatch(binDir, config) }
	usual := provider(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig)
	snippet := rkeconfig.Patch{Args: map[string]string{"max-pods": "150"}}
	for _, tt := range []struct {
		name    string
		args    []string
		planner fleet.Planner
		want    string
	}{
		{"the usual", nil, fleet.Planner{Patch: usual, API: kubelet.APIv1}, ""},
		{"other paths", []string{"--url", "https://r.example.com", "--bin-dir", "/opt/other"}, fleet.Planner{Patch: provider("/opt/other", "/opt/c.yaml"), API: kubelet.APIv1},
			" --url https://r.example.com --bin-dir /opt/other --provider-config /opt/c.yaml"},
		{"another cloud, beside others", nil, fleet.Planner{Patch: provider("/var/lib/rancher/credentialprovider/bin", "/opt/c.yaml"), API: kubelet.APIv1, Provider: kubelet.ACR, MergeConfig: true},
			" --provider acr --provider-config /opt/c.yaml --merge-provider-config"},
		{"the older API, arguments that may be lost", nil, fleet.Planner{Patch: usual, API: kubelet.APIv1alpha1, ReplaceArgs: []string{kubelet.FlagProviderConfig, "v"}},
			" --provider-api v1alpha1 --replace-arg image-credential-provider-config --replace-arg v"},
		{"a snippet", []string{"--patch", "/srv/my patch.yaml"}, fleet.Planner{Patch: snippet, API: kubelet.APIv1}, " --patch '/srv/my patch.yaml'"},
		{"a snippet on stdin", []string{"--patch", "-"}, fleet.Planner{Patch: snippet, API: kubelet.APIv1}, " --patch -"},
		{"a snippet within a plan file", []string{"--state-dir", "/x"}, fleet.Planner{Patch: snippet, API: kubelet.APIv1}, " --patch FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := called(t, concat(runFlags(), connectFlags(), patchFlags()), tt.args...)
			if got := planWords(c, &tt.planner); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	c := called(t, concat(runFlags(), selectFlags(), connectFlags(), patchFlags()),
		"-y", "--token", "token-abcde:secret", "--url", "https://r.example.com", "--replace-arg", "a", "--replace-arg", "b,c", "--insecure=false", "--kubernetes-version", "<1.27", "prod-*")
	got := commandLine(c)
	for _, want := range []string{"rkepatch apply ", " --yes", " --replace-arg a --replace-arg b,c", " --kubernetes-version '<1.27'", " 'prod-*'"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	for _, secret := range []string{"secret", "r.example.com", "insecure", "--y "} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	}
}

// A shell takes what was quoted for the very word that it was.
func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"": "''", "prod-eu": "prod-eu", "/opt/aws/bin": "/opt/aws/bin", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~": "'~'", "*": "'*'", "a=b,c": "a=b,c", "ü": "'ü'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.StringOf(rapid.Rune()), 50, 50).Draw(t, "words")
		var line, want strings.Builder
		line.WriteString("printf '%s\\0'")
		for _, word := range all {
			word = strings.ReplaceAll(word, "\x00", "")
			line.WriteString(" " + shellWord(word))
			want.WriteString(word + "\x00")
		}
		got, err := exec.Command(sh, "-c", line.String()).Output()
		if err != nil || string(got) != want.String() {
			t.Fatalf("%v: %q, want %q", err, got, want.String())
		}
	})
}

// whileAsked is an input at which something happens before yes is typed.
type whileAsked struct{ happens func() }

func (w *whileAsked) Read(p []byte) (int, error) {
	if w.happens != nil {
		w.happens()
		w.happens = nil
	}
	return copy(p, "yes\n"), nil
}

// What was announced is what is done: a run that went on while the question
// stood is not resumed by an answer to the old one.
func TestResumeOfARunThatWentOnMeanwhile(t *testing.T) {
	p := newPerson(t)
	p.sim.Script("c-prod1", simrancher.Fail{Message: "etcd is not healthy"})
	if code := p.types(t.Context(), strings.NewReader("yes\n"), "apply", "--skip-node-check", "--poll", "1ms", "prod-eu", "prod-us"); code != ExitFailed {
		t.Fatalf("code %d\n%s", code, p.err.String())
	}
	state := filepath.Join(p.state, "rkepatch")
	records, err := fleet.Runs(state, func(s string) { t.Error(s) })
	if err != nil || len(records) != 1 {
		t.Fatalf("%v, %v", records, err)
	}
	before := p.puts()
	meanwhile := func() {
		run, err := records[0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		defer run.Close()
		if err := run.Note(fleet.Entry{Event: fleet.EventOutcome, Cluster: "c-prod2", Name: "prod-us", Outcome: &fleet.Outcome{ID: "c-prod2", Status: fleet.StatusPatched}}); err != nil {
			t.Error(err)
		}
	}
	code := p.types(t.Context(), &whileAsked{meanwhile}, "apply", "--resume", records[0].ID, "--skip-node-check")
	if code != ExitError || p.puts() != before || !strings.Contains(p.err.String(), "went on meanwhile: 2 of its clusters were left, now 1 are; nothing was changed") {
		t.Errorf("code %d, %d PUTs more\n%s", code, p.puts()-before, p.err.String())
	}
}
