package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"rkepatch/internal/fleet"
)

// Progress shows a run while it goes on: on a terminal one live line for each
// cluster in flight and one for the total, finished clusters above them;
// elsewhere a line with the time for every step.
type Progress struct {
	w   io.Writer
	now func() time.Time
	of  int

	mu       sync.Mutex    // never held while live is called: live calls back
	live     *mpb.Progress // nil when not on a terminal
	total    *mpb.Bar
	flying   []*flying // clusters in flight, the oldest first
	done     int
	failed   int
	began    time.Time
	rows     func() int // of the terminal
	terminal bool
}

// flying is a cluster in flight.
type flying struct {
	id, name, text string
	since          time.Time
}

const (
	refresh = 200 * time.Millisecond
	// maxStep bounds what is kept of a step's text on a live line, in characters: no terminal is wider.
	maxStep = 500
	// nameWidth is the widest column for names, in cells.
	nameWidth = 24
)

// NewProgress begins to show the handling of so many clusters on w.
func NewProgress(w io.Writer, terminal bool, clusters int, now func() time.Time) *Progress {
	p := &Progress{w: w, now: now, of: clusters, terminal: terminal, rows: func() int { return 24 }}
	if f, ok := w.(*os.File); ok {
		p.rows = func() int {
			_, rows, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 24
			}
			return rows
		}
	}
	p.start()
	return p
}

// start brings up the live lines. They are one bar of mpb's, the total, which
// carries the clusters above it: with a bar for each of 200 clusters, mpb would
// scroll a screen of 24 rows at each refresh.
func (p *Progress) start() {
	if !p.terminal {
		return
	}
	live := mpb.New(mpb.WithOutput(p.w), mpb.WithAutoRefresh(), mpb.WithRefreshRate(refresh))
	total := live.New(1, mpb.NopStyle(),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string { return fit(p.totalLine(), s.AvailableWidth) })),
		mpb.BarExtender(mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
			lines := p.liveLines(p.rows())
			slices.Reverse(lines) // mpb puts them above its bar from the bottom up
			for _, line := range lines {
				if _, err := io.WriteString(w, fit(line, s.AvailableWidth)+"\n"); err != nil {
					return err
				}
			}
			return nil
		}), true),
		mpb.BarRemoveOnComplete())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.total = live, total
	if p.began.IsZero() {
		p.began = p.now()
	}
}

// stop takes the live lines away.
func (p *Progress) stop() {
	p.mu.Lock()
	live, total := p.live, p.total
	p.live, p.total = nil, nil
	p.mu.Unlock()
	if live == nil {
		return
	}
	total.Abort(true)
	live.Wait()
}

// fit cuts a line to a terminal's width; the last column stays free, some
// terminals wrap there.
func fit(line string, width int) string { return runewidth.Truncate(line, max(1, width-1), "…") }

func (p *Progress) totalLine() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	failed := ""
	if p.failed > 0 {
		failed = fmt.Sprintf(" (%d failed)", p.failed)
	}
	return fmt.Sprintf("%d of %s done%s, %d in flight, %s", p.done, plural(p.of, "cluster"), failed, len(p.flying), p.now().Sub(p.began).Round(time.Second))
}

// liveLines gives the lines of the clusters in flight, as many as fit into three
// quarters of a screen of so many rows: the oldest ones, which are what one
// waits for.
func (p *Progress) liveLines(rows int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := max(0, rows*3/4-2) // less the total, and the cursor below it; the rest shows those that are over
	shown := p.flying
	if len(shown) > room {
		shown = shown[:max(0, room-1)]
	}
	widest := 0
	for _, f := range shown {
		widest = max(widest, min(nameWidth, runewidth.StringWidth(f.name)))
	}
	lines := make([]string, 0, len(shown)+1)
	for _, f := range shown {
		name := runewidth.FillRight(runewidth.Truncate(f.name, widest, "…"), widest)
		lines = append(lines, fmt.Sprintf("%s %6s  %s", name, p.now().Sub(f.since).Round(time.Second), f.text))
	}
	if more := len(p.flying) - len(shown); more > 0 && room > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more in flight", more))
	}
	return lines
}

// Say tells where a cluster stands.
func (p *Progress) Say(id, name, text string) {
	name, text = Clean(name), Clean(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintf(p.w, "%s  %s: %s\n", p.now().Format(time.TimeOnly), name, text)
		return
	}
	if len(text) > maxStep {
		text = strings.ToValidUTF8(text[:maxStep], "")
	}
	if i := p.find(id); i >= 0 {
		p.flying[i].text = text
		return
	}
	p.flying = append(p.flying, &flying{id: id, name: name, text: text, since: p.now()})
}

func (p *Progress) find(id string) int {
	return slices.IndexFunc(p.flying, func(f *flying) bool { return f.id == id })
}

// Done tells that a cluster is over.
func (p *Progress) Done(o fleet.Outcome) {
	text := fmt.Sprintf("%s  %s: %s, %s\n", p.now().Format(time.TimeOnly), Clean(o.Name), o.Status, Clean(o.Message))
	p.mu.Lock()
	p.done++
	if o.Status == fleet.StatusFailed {
		p.failed++
	}
	if i := p.find(o.ID); i >= 0 {
		p.flying = slices.Delete(p.flying, i, i+1)
	}
	live := p.live
	if live == nil {
		_, _ = io.WriteString(p.w, text)
	}
	p.mu.Unlock()
	if live != nil {
		_, _ = io.WriteString(live, text)
	}
}

// Aside takes the live lines away while f speaks with the person.
func (p *Progress) Aside(f func()) {
	p.stop()
	defer p.start()
	f()
}

// Close ends the showing; no live line is left behind.
func (p *Progress) Close() { p.stop() }
