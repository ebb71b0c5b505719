package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
)

// logOf reads a log file, each line a JSON object.
func logOf(t *testing.T, name string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, s.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLogFile(t *testing.T) {
	p := newPerson(t)
	name := filepath.Join(t.TempDir(), "rkepatch.log")
	if code := p.types(t.Context(), strings.NewReader(""), "plan", "--log-file", name, "prod-eu"); code != ExitOK {
		t.Fatalf("code %d: %s", code, p.err.String())
	}
	first := len(logOf(t, name))
	p.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-prod1", Count: 1, Status: 503})
	if code := p.types(t.Context(), strings.NewReader(""), "apply", "--log-file", name, "--yes", "--skip-node-check", "--poll", "1ms", "prod-eu"); code != ExitOK {
		t.Fatalf("code %d: %s", code, p.err.String())
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want a file for its owner only", info.Mode(), err)
	}
	lines := logOf(t, name)
	if len(lines) < 2*first || first < 3 {
		t.Errorf("%d lines, then %d: not appended", first, len(lines))
	}
	runs, err := filepath.Glob(filepath.Join(p.state, "rkepatch", "runs", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	run, begun, repeated, seen := filepath.Base(runs[0]), false, false, map[string]bool{}
	for _, line := range lines[first:] {
		msg, _ := line["msg"].(string)
		seen[msg] = true
		begun = begun || line["run"] != nil
		if begun && line["run"] != run {
			t.Errorf("a line of run %s without it: %v", run, line)
		}
		if line["time"] == nil || line["level"] == nil {
			t.Errorf("%v", line)
		}
		if msg == "request" {
			if line["method"] == nil || line["path"] == nil || line["status"] == nil || line["duration"] == nil || line["attempt"] == nil || len(line) > 11 {
				t.Errorf("%v", line)
			}
			repeated = repeated || line["attempt"] == 2.0 && line["path"] == "/v3/clusters/c-prod1" && line["status"] == 200.0
		}
	}
	for _, msg := range []string{"begun", "request", "step", "outcome", "ended"} {
		if !seen[msg] {
			t.Errorf("the log lacks %q", msg)
		}
	}
	if !repeated {
		t.Error("the log does not show that a request was repeated")
	}
	if last := lines[len(lines)-1]; last["msg"] != "ended" || last["exitCode"] != 0.0 {
		t.Errorf("%v", last)
	}
}

func TestVerbose(t *testing.T) {
	p := newPerson(t)
	if code := p.types(t.Context(), strings.NewReader(""), "plan", "--verbose", "prod-eu"); code != ExitOK {
		t.Fatalf("code %d: %s", code, p.err.String())
	}
	for _, want := range []string{"rkepatch: GET /rancherversion: 200 in ", "rkepatch: GET /v3/clusters?driver=rancherKubernetesEngine&limit=", "attempt 1\n"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("no %q in\n%s", want, p.err.String())
		}
	}
	if strings.Contains(p.out.String(), "GET /") {
		t.Error("requests on stdout")
	}
}

func TestLogFileThatCannotBeWritten(t *testing.T) {
	p := newPerson(t)
	if code := p.types(t.Context(), strings.NewReader(""), "plan", "--log-file", t.TempDir(), "prod-eu"); code != ExitUsage || !strings.Contains(p.err.String(), "opening the log") || len(p.sim.Requests()) != 0 {
		t.Errorf("code %d: %s", code, p.err.String())
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	code := p.types(t.Context(), strings.NewReader(""), "plan", "--log-file", "/dev/full", "prod-eu")
	if code != ExitOK || strings.Count(p.err.String(), "the log is no longer complete") != 1 {
		t.Errorf("code %d: %s", code, p.err.String())
	}
}
