package report

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"rkepatch/internal/fleet"
)

// spanOf is a cluster of a wave that began after so many minutes and took so
// many.
func spanOf(tl *timeline, wave, after, took int, status fleet.Status) {
	n := len(tl.spans) + 1
	tl.add(htmlCluster{N: n, Wave: wave, Name: fmt.Sprintf("c%d", n), Verdict: string(status)},
		&fleet.Outcome{Status: status, Started: written.Add(time.Duration(after) * time.Minute), Duration: time.Duration(took) * time.Minute})
}

func TestTimeline(t *testing.T) {
	var tl timeline
	spanOf(&tl, 2, 10, 10, fleet.StatusFailed)
	spanOf(&tl, 2, 8, 2, fleet.StatusPatched)
	spanOf(&tl, 1, 0, 5, fleet.StatusPatched)
	v := tl.view(2)

	var names, waves, ticks []string
	for _, b := range v.Bars {
		names = append(names, b.Name)
	}
	for _, w := range v.Waves {
		waves = append(waves, fmt.Sprintf("%d: %d, %s, %s, %s", w.Number, w.Clusters, w.Began, w.Took, w.Outcomes))
	}
	for _, tick := range v.Ticks {
		ticks = append(ticks, tick.Clock)
	}
	if got := strings.Join(names, " "); got != "c3 c2 c1" {
		t.Errorf("rows are %s: not wave by wave in the order in which they began", got)
	}
	if got, want := strings.Join(waves, "\n"), "1: 1, 2026-03-01 22:30:00 UTC, 5m0s, 1 patched\n2: 2, 2026-03-01 22:38:00 UTC, 12m0s, 1 failed, 1 patched"; got != want {
		t.Errorf("waves are\n%s\nwant\n%s", got, want)
	}
	if got, want := strings.Join(ticks, " "), "22:30 22:35 22:40 22:45"; got != want {
		t.Errorf("the axis has %s, want %s", got, want)
	}
	if first, last := v.Bars[0], v.Bars[2]; first.X != timeLabels || math.Abs(last.X+last.Width-timeWidth) > 0.01 || last.Tone != "red" {
		t.Errorf("the bars go from %+v to %+v", first, last)
	}
}

func TestTimelineWithoutWork(t *testing.T) {
	if (&timeline{}).view(0) != nil {
		t.Error("a plan has a time line")
	}
}

// However long and wide a run, its picture keeps to its frame.
func TestTimelineKeepsItsFrame(t *testing.T) {
	for _, tt := range []struct {
		name           string
		clusters, took int
		minutes        int
	}{
		{"one instant", 1, 0, 0},
		{"two thousand in a night", 2000, 5, 1},
		{"a clock that jumps years", 3, 1, 60 * 24 * 365},
		{"a negative duration", 2, -5, 1},
	} {
		var tl timeline
		for i := range tt.clusters {
			spanOf(&tl, 0, i*tt.minutes, tt.took, fleet.StatusPatched)
		}
		v := tl.view(0)
		if len(v.Bars) != tt.clusters || v.Height > timeAxis+timeHeight+5 || v.Named != (tt.clusters <= timeNamed) || len(v.Ticks) > maxTicks+1 {
			t.Errorf("%s: %d bars, height %g, named %t, %d ticks", tt.name, len(v.Bars), v.Height, v.Named, len(v.Ticks))
		}
		for _, b := range v.Bars {
			if !(b.X >= 0 && b.X <= timeWidth && b.Width >= 2 && b.X+b.Width <= timeWidth+2 && b.Y+b.Height <= v.Height) {
				t.Fatalf("%s: a bar leaves the frame: %+v", tt.name, b)
			}
		}
	}
}
