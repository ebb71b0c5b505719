package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rkepatch/internal/fleet"
)

// timeline collects when each cluster of a run was worked on.
type timeline struct{ spans []timeSpan }

type timeSpan struct {
	n, wave     int
	name        string
	verdict     string
	began, over time.Time
}

func (t *timeline) add(c htmlCluster, o *fleet.Outcome) {
	t.spans = append(t.spans, timeSpan{c.N, c.Wave, c.Name, c.Verdict, o.Started, o.Started.Add(max(0, o.Duration))})
}

// The drawing's measures, in units of its view box.
const (
	timeWidth    = 1000.0
	timeLabels   = 190.0 // room for names, when there are few enough for names
	timeAxis     = 22.0
	timeWaveHead = 20.0
	timeRow      = 20.0
	timeHeight   = 1200.0 // of all rows together, at most
	timeNamed    = 60     // so many rows have names
)

// timelineView is the time line as html.tmpl draws it, and the waves as a table.
type timelineView struct {
	Height      float64
	From, To    string
	Description string
	Named       bool
	Ticks       []timeTick
	Heads       []timeText
	Bars        []timeBar
	Waves       []timeWave
}

type timeTick struct {
	X, Top, Bottom, Y float64
	Clock             string
}

type timeText struct {
	Y    float64
	Text string
}

type timeBar struct {
	N                         int
	X, Y, Width, Height, Text float64 // Text is the base line of the name
	Tone, Name, Label         string
}

type timeWave struct {
	Number, Clusters int
	Began, Took      string
	Outcomes         string
}

// view lays the time line out, nil when nothing was worked on: one row per
// cluster, wave by wave, in the order in which they began.
func (t *timeline) view(waves int) *timelineView {
	if len(t.spans) == 0 {
		return nil
	}
	spans := t.spans
	slices.SortStableFunc(spans, func(a, b timeSpan) int {
		if a.wave != b.wave {
			return a.wave - b.wave
		}
		return a.began.Compare(b.began)
	})
	from, to := extent(spans)
	v := &timelineView{From: utc(from), To: utc(to), Named: len(spans) <= timeNamed}
	left := 0.0
	if v.Named {
		left = timeLabels
	}
	scale := (timeWidth - left) / max(1, float64(to.Sub(from)))
	at := func(when time.Time) float64 { return left + float64(when.Sub(from))*scale }
	row := min(timeRow, timeHeight/float64(len(spans)))

	y := timeAxis
	wave := -1
	for _, s := range spans {
		if waves > 0 && s.wave != wave {
			wave = s.wave
			v.Heads = append(v.Heads, timeText{y + 14, waveName(wave)})
			y += timeWaveHead
		}
		v.Bars = append(v.Bars, timeBar{
			N: s.n, X: at(s.began), Y: y + row*0.15, Width: max(2, at(s.over)-at(s.began)), Height: row * 0.7, Text: y + row*0.7,
			Tone: tones[s.verdict], Name: cut(s.name, 24),
			Label: fmt.Sprintf("%s: %s, began %s, took %s", s.name, s.verdict, utc(s.began), s.over.Sub(s.began).Round(time.Second)),
		})
		y += row
	}
	v.Height = y + 4
	v.ticks(from, to, at)
	if waves > 0 {
		v.tabulate(spans)
	}
	v.Description = fmt.Sprintf("%s from %s to %s", plural(len(spans), "cluster"), v.From, v.To)
	return v
}

func extent(spans []timeSpan) (from, to time.Time) {
	from, to = spans[0].began, spans[0].over
	for _, s := range spans {
		if s.began.Before(from) {
			from = s.began
		}
		if s.over.After(to) {
			to = s.over
		}
	}
	return from, to
}

func waveName(n int) string {
	if n == 0 {
		return "in no wave"
	}
	return fmt.Sprintf("wave %d", n)
}

// tickSteps are the distances between two marks of the axis; the first that
// needs no more than maxTicks is taken.
var tickSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

const maxTicks = 8

func (v *timelineView) ticks(from, to time.Time, at func(time.Time) float64) {
	step := tickSteps[len(tickSteps)-1]
	for _, s := range tickSteps {
		if to.Sub(from)/s < maxTicks {
			step = s
			break
		}
	}
	layout := "15:04"
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "2006-01-02"
	}
	for when := from.Truncate(step); !when.After(to) && len(v.Ticks) <= maxTicks; when = when.Add(step) {
		if x := at(when); !when.Before(from) && x < timeWidth-40 {
			v.Ticks = append(v.Ticks, timeTick{X: x, Clock: when.UTC().Format(layout), Y: 13, Top: timeAxis - 18, Bottom: v.Height})
		}
	}
}

// tabulate makes the rows of the table of waves; spans are in their order.
func (v *timelineView) tabulate(spans []timeSpan) {
	for len(spans) > 0 {
		end := 1
		for end < len(spans) && spans[end].wave == spans[0].wave {
			end++
		}
		from, to := extent(spans[:end])
		counts := map[string]int{}
		for _, s := range spans[:end] {
			counts[s.verdict]++
		}
		var outcomes []string
		for _, s := range fleet.Statuses {
			if n := counts[string(s)]; n > 0 {
				outcomes = append(outcomes, fmt.Sprintf("%d %s", n, s))
			}
		}
		v.Waves = append(v.Waves, timeWave{spans[0].wave, end, utc(from), to.Sub(from).Round(time.Second).String(), strings.Join(outcomes, ", ")})
		spans = spans[end:]
	}
}
