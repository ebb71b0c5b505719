package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

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

// 200 clusters in flight on a small terminal: every line fits, the oldest ones
// are shown, the others counted, and there is room for those that are over.
func TestProgressOnASmallScreen(t *testing.T) {
	p := &Progress{w: io.Discard, terminal: true, of: 300, now: func() time.Time { return written.Add(90 * time.Second) }, began: written}
	for i := range 200 {
		p.Say(fmt.Sprint("c-", i), fmt.Sprintf("fleet-%04d-%s", i, strings.Repeat("長い", i)), "control plane: "+strings.Repeat("updating ", 1<<10))
	}
	p.Done(fleet.Outcome{ID: "c-3", Status: fleet.StatusFailed})
	for _, rows := range []int{0, 1, 3, 10, 24, 400} {
		lines := p.liveLines(rows)
		if want := min(max(0, rows*3/4-2), 199); len(lines) != want {
			t.Errorf("%d rows: %d lines, want %d", rows, len(lines), want)
		}
		for _, line := range append(lines, p.totalLine()) {
			for _, width := range []int{0, 1, 40, 80} {
				if got := runewidth.StringWidth(fit(line, width)); got > max(1, width-1) {
					t.Errorf("%d cells in %d columns: %q", got, width, fit(line, width))
				}
			}
		}
	}
	lines := p.liveLines(24)
	if !strings.HasPrefix(lines[0], "fleet-0000-") || !strings.Contains(lines[0], "  0s  control plane: updating") {
		t.Errorf("%q", lines[0])
	}
	if last := lines[len(lines)-1]; last != "… and 184 more in flight" {
		t.Errorf("%q", last)
	}
	if total := p.totalLine(); total != "1 of 300 clusters done (1 failed), 199 in flight, 1m30s" {
		t.Errorf("%q", total)
	}
}

// While a person is asked something, nothing is written over the question.
func TestProgressAside(t *testing.T) {
	var out lockedBuffer
	p := NewProgress(&out, true, 2, time.Now)
	p.Say("c-prod1", "prod-eu", "writing the config")
	p.Done(fleet.Outcome{ID: "c-prod1", Name: "prod-eu", Status: fleet.StatusPatched})
	p.Aside(func() {
		before := out.String()
		if p.live != nil || strings.Count(before, "prod-eu: patched") != 1 {
			t.Errorf("still live: %q", before)
		}
		p.Done(fleet.Outcome{ID: "c-prod2", Name: "prod-us", Status: fleet.StatusPatched})
		if after := out.String(); !strings.HasPrefix(after[len(before):], p.now().Format("15")) {
			t.Errorf("%q", after[len(before):])
		}
	})
	if p.live == nil {
		t.Error("not live any more")
	}
	p.Close()
	p.Done(fleet.Outcome{ID: "c-late0", Name: "late", Status: fleet.StatusInFlight})
	if strings.Count(out.String(), "late: in-flight") != 1 {
		t.Errorf("%q", out.String())
	}
}
