package report

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"rkepatch/internal/fleet"
)

// Progress shows a run while it goes on: on a terminal one live line for each
// cluster in flight and one for the total, finished clusters above them;
// elsewhere a line with the time for every step.
type Progress struct {
	w    io.Writer
	now  func() time.Time
	live *mpb.Progress // nil when not on a terminal

	mu    sync.Mutex
	total *mpb.Bar
	lines map[string]*liveLine
	done  int
	of    int
}

type liveLine struct {
	bar  *mpb.Bar
	mu   sync.Mutex
	text string
}

// NewProgress begins to show the handling of so many clusters on w.
func NewProgress(w io.Writer, terminal bool, clusters int, now func() time.Time) *Progress {
	p := &Progress{w: w, now: now, lines: map[string]*liveLine{}, of: clusters}
	if !terminal {
		return p
	}
	p.live = mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh(), mpb.WithRefreshRate(200*time.Millisecond))
	began := now()
	p.total = p.line(func() string {
		return fmt.Sprintf("%d of %d clusters done, %s", p.finished(), clusters, now().Sub(began).Round(time.Second))
	}, mpb.BarPriority(1<<30))
	return p
}

// line adds a live line whose text is asked for at each refresh, cut to the
// terminal's width.
func (p *Progress) line(text func() string, options ...mpb.BarOption) *mpb.Bar {
	fit := decor.Any(func(s decor.Statistics) string {
		return runewidth.Truncate(text(), max(20, s.AvailableWidth-1), "…")
	})
	return p.live.New(1, mpb.NopStyle(), append(options, mpb.PrependDecorators(fit), mpb.BarRemoveOnComplete())...)
}

func (p *Progress) finished() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Say tells where a cluster stands.
func (p *Progress) Say(id, name, text string) {
	text = Clean(name) + ": " + Clean(text)
	if p.live == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(p.w, "%s  %s\n", p.now().Format(time.TimeOnly), text)
		return
	}
	p.mu.Lock()
	l := p.lines[id]
	if l == nil {
		l = &liveLine{text: text}
		p.lines[id] = l
		p.mu.Unlock()
		l.bar = p.line(func() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text })
		return
	}
	p.mu.Unlock()
	l.mu.Lock()
	l.text = text
	l.mu.Unlock()
}

// Done tells that a cluster is over.
func (p *Progress) Done(o fleet.Outcome) {
	p.mu.Lock()
	p.done++
	l := p.lines[o.ID]
	delete(p.lines, o.ID)
	p.mu.Unlock()
	text := fmt.Sprintf("%s  %s: %s, %s\n", p.now().Format(time.TimeOnly), Clean(o.Name), o.Status, Clean(o.Message))
	if p.live == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		io.WriteString(p.w, text)
		return
	}
	if l != nil && l.bar != nil {
		l.bar.Abort(true)
	}
	io.WriteString(p.live, text)
}

// Close takes the live lines away.
func (p *Progress) Close() {
	if p.live == nil {
		return
	}
	p.mu.Lock()
	for _, l := range p.lines {
		if l.bar != nil {
			l.bar.Abort(true)
		}
	}
	p.mu.Unlock()
	p.total.Abort(true)
	p.live.Wait()
}
