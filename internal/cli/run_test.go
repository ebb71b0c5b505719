package cli

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
)

// person is somebody at a terminal, in front of a simulated Rancher.
type person struct {
	sim      *simrancher.Server
	url      string
	state    string
	clock    fleet.Clock
	out, err bytes.Buffer
}

func newPerson(t *testing.T) *person {
	sim := simrancher.New(simrancher.Options{Step: time.Millisecond})
	sim.AddDemoFleet()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return &person{sim: sim, url: server.URL, state: t.TempDir(), clock: fleet.SystemClock()}
}

// types runs rkepatch with a terminal at which answer is typed.
func (p *person) types(ctx context.Context, answer io.Reader, args ...string) int {
	p.out.Reset()
	p.err.Reset()
	env := map[string]string{"RANCHER_URL": p.url, "RANCHER_TOKEN_KEY": simrancher.AdminToken, "XDG_STATE_HOME": p.state}
	s := Streams{In: answer, Out: &p.out, Err: &p.err, Getenv: func(k string) string { return env[k] }, Terminal: true}
	inProcess.Lock()
	defer inProcess.Unlock()
	return run(ctx, s, append([]string{"rkepatch"}, args...), Build{Version: "v0.0.0-test"}, p.clock)
}

func (p *person) puts() int {
	n := 0
	for _, r := range p.sim.Requests() {
		if r.Method == "PUT" {
			n++
		}
	}
	return n
}

func TestApplyAsks(t *testing.T) {
	apply := []string{"apply", "--skip-node-check", "--poll", "10ms", "prod-eu"}
	for _, tt := range []struct {
		name, answer string
		code, puts   int
		says         string
	}{
		{"yes", "yes\n", ExitOK, 1, "Only \"yes\" is taken for an answer"},
		{"no", "no\n", ExitError, 0, "nothing was changed"},
		{"just return", "\n", ExitError, 0, "nothing was changed"},
		{"y is not yes", "y\n", ExitError, 0, "nothing was changed"},
		{"end of input", "", ExitError, 0, "nothing was changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPerson(t)
			code := p.types(t.Context(), strings.NewReader(tt.answer), apply...)
			if code != tt.code || p.puts() != tt.puts || !strings.Contains(p.err.String(), tt.says) {
				t.Errorf("code %d, %d PUTs; want %d, %d and %q in\n%s", code, p.puts(), tt.code, tt.puts, tt.says, p.err.String())
			}
			if !strings.Contains(p.out.String(), "+        image-credential-provider-bin-dir: /opt/aws/bin") {
				t.Errorf("asked without showing the diff:\n%s", p.out.String())
			}
		})
	}
}

func TestCtrlCAtTheQuestion(t *testing.T) {
	p := newPerson(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked := &prompt{cancel: cancel}
	if code := p.types(ctx, asked, "apply", "--skip-node-check", "prod-eu"); code != ExitInterrupted || p.puts() != 0 {
		t.Errorf("code %d, %d PUTs; want %d and none\n%s", code, p.puts(), ExitInterrupted, p.err.String())
	}
}

// prompt is an input at which somebody presses Ctrl-C instead of typing.
type prompt struct{ cancel func() }

func (p *prompt) Read([]byte) (int, error) {
	p.cancel()
	select {}
}

func TestCtrlCWhileFollowing(t *testing.T) {
	p := newPerson(t)
	p.sim.Script("c-prod1", simrancher.Hang{})
	ctx, cancel := context.WithCancel(t.Context())
	p.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters", Skip: 3, Count: 1, Before: cancel})
	code := p.types(ctx, strings.NewReader(""), "apply", "--yes", "--skip-node-check", "--poll", "1ms", "prod-eu", "prod-us")
	if code != ExitInterrupted {
		t.Errorf("code %d, want %d", code, ExitInterrupted)
	}
	for _, want := range []string{"in-flight   prod-eu", "next: rkepatch apply --resume ", "not-started prod-us"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("no %q in\n%s", want, p.out.String())
		}
	}
}

// TestNoSecretIsShown runs every command over the whole demo fleet and looks
// for every secret that the simulator knows in all that was said and written.
func TestNoSecretIsShown(t *testing.T) {
	p := newPerson(t)
	secrets := p.sim.Secrets()
	if len(secrets) < 20 {
		t.Fatalf("the demo fleet has only %d secrets", len(secrets))
	}
	for _, args := range [][]string{
		{"clusters"}, {"clusters", "-o", "json"},
		{"plan", "--all"}, {"plan", "--all", "-o", "json"},
		{"apply", "--all", "--yes", "--skip-node-check", "--poll", "1ms", "--parallel", "4"},
		{"apply", "--all", "--yes", "--skip-node-check", "-o", "json"},
	} {
		log := filepath.Join(t.TempDir(), "log")
		args = append([]string{args[0], "--verbose", "--log-file", log}, args[1:]...)
		p.types(t.Context(), strings.NewReader(""), args...)
		logged, err := os.ReadFile(log)
		if err != nil || len(logged) == 0 || !strings.Contains(p.err.String(), "GET /") {
			t.Fatalf("nothing was logged: %v", err)
		}
		_, key, _ := strings.Cut(simrancher.AdminToken, ":")
		for _, secret := range append(secrets, key) {
			if strings.Contains(p.out.String(), secret) || strings.Contains(p.err.String(), secret) || strings.Contains(string(logged), secret) {
				t.Errorf("rkepatch %s shows the secret %q", strings.Join(args, " "), secret)
			}
		}
	}
}
