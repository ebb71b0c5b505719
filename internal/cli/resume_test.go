package cli

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
)

// A Job's pod is started again after the window: --not-after still means the
// night in which the run began, not the next one.
func TestResumeAutoKeepsTheWindow(t *testing.T) {
	p := newPerson(t)
	plan := filepath.Join(t.TempDir(), "change.plan")
	if code := p.types(t.Context(), strings.NewReader(""), "plan", "--out", plan, "prod-eu", "prod-us"); code != ExitOK {
		t.Fatalf("code %d\n%s", code, p.err.String())
	}
	job := []string{"apply", "--plan", plan, "--resume", "auto", "--yes", "--skip-node-check", "--poll", "1ms", "--not-after", time.Now().Add(time.Hour).Format("15:04")}

	p.sim.Script("c-prod1", simrancher.Hang{})
	ctx, cancel := context.WithCancel(t.Context())
	p.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters", Skip: 5, Count: 1, Before: cancel})
	if code := p.types(ctx, strings.NewReader(""), job...); code != ExitInterrupted || p.puts() != 1 {
		t.Fatalf("code %d, %d PUTs\n%s", code, p.puts(), p.err.String())
	}
	p.sim.Script("c-prod1", simrancher.Succeed{})
	p.sim.Edit("c-prod1", func(map[string]any) {})

	p.clock.Now = func() time.Time { return time.Now().Add(3 * time.Hour) }
	code := p.types(t.Context(), strings.NewReader(""), job...)
	if p.puts() != 1 || !strings.Contains(p.out.String(), "not-started prod-us") {
		t.Errorf("code %d, %d PUTs: a cluster was started after the window\n%s%s", code, p.puts(), p.out.String(), p.err.String())
	}
}
