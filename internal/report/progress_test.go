package report

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"rkepatch/internal/fleet"
)

// lockedBuffer is what a terminal is: several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Away from a terminal every step is a line with the time.
func TestProgressPlain(t *testing.T) {
	var b bytes.Buffer
	now := written
	p := NewProgress(&b, false, 2, func() time.Time { now = now.Add(5 * time.Second); return now })
	p.Say("c-prod1", "prod-eu", "writing the config")
	p.Say("c-prod1", "prod-eu", "control plane: updating")
	p.Say("c-evil0", hostile, "control plane: "+hostile)
	p.Done(fleet.Outcome{ID: "c-prod1", Name: "prod-eu", Status: fleet.StatusPatched, Message: "every kubelet has the change"})
	p.Done(fleet.Outcome{ID: "c-evil0", Name: hostile, Status: fleet.StatusFailed, Message: "RKE could not:\n" + hostile})
	p.Close()
	golden(t, "progress.txt", b.String())
	wantPrintable(t, b.String())
	if lines := strings.Count(b.String(), "\n"); lines != 5 {
		t.Errorf("%d lines for 5 calls", lines)
	}
}

// On a terminal several clusters report at once; finished ones stay on screen,
// and in the end nothing is left running.
func TestProgressLive(t *testing.T) {
	var out lockedBuffer
	p := NewProgress(&out, true, 3, time.Now)
	var clusters sync.WaitGroup
	for _, name := range []string{"prod-eu", "prod-us", hostile} {
		clusters.Go(func() {
			for _, step := range []string{"writing the config", "control plane: updating", "1/2 workers rolled"} {
				p.Say("id of "+name, name, step)
			}
			p.Done(fleet.Outcome{ID: "id of " + name, Name: name, Status: fleet.StatusPatched, Message: "every kubelet has the change"})
		})
	}
	clusters.Wait()
	p.Say("c-late0", "late", "interrupted clusters may still speak")
	p.Close()
	text := out.String()
	for _, want := range []string{"prod-eu: patched", "prod-us: patched", Clean(hostile) + ": patched"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times in %q", want, strings.Count(text, want), text)
		}
	}
	if strings.Contains(text, "\x1b[2J") || strings.Contains(text, "\u202e") {
		t.Errorf("a cluster's own control characters got through: %q", text)
	}
}
