package fleet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrPace is wrapped when a wave, a limit or a time is not written as it should
// be.
var ErrPace = errors.New("reading the pace of the run")

// Amount is a number of clusters, or a percentage of all that are to be changed.
type Amount struct {
	N       int
	Percent bool
}

// ParseAmount reads "3" or "10%".
func ParseAmount(s string) (Amount, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || percent && n > 100 {
		return Amount{}, fmt.Errorf("%w: %q is not a number such as 3 or a percentage such as 10%%", ErrPace, s)
	}
	return Amount{n, percent}, nil
}

// Of resolves the amount out of n, rounding a percentage up or down.
func (a Amount) Of(n int, up bool) int {
	if !a.Percent {
		return a.N
	}
	if up {
		return (n*a.N + 99) / 100
	}
	return n * a.N / 100
}

func (a Amount) String() string {
	if a.Percent {
		return fmt.Sprintf("%d%%", a.N)
	}
	return strconv.Itoa(a.N)
}

// ParseWaves reads "1,10%,100%".
func ParseWaves(s string) ([]Amount, error) {
	var waves []Amount
	for part := range strings.SplitSeq(s, ",") {
		w, err := ParseAmount(part)
		if err == nil && w.N == 0 {
			err = fmt.Errorf("%w: a wave of %s changes nothing", ErrPace, w)
		}
		if err != nil {
			return nil, err
		}
		waves = append(waves, w)
	}
	return waves, nil
}

// Pace says how a run spreads over its clusters.
type Pace struct {
	// Waves are the sizes of the waves, each out of all clusters to be changed,
	// percentages rounded up. The last one is repeated until all had their
	// turn. None is one wave of all.
	Waves []Amount
	// MaxFailures is how many clusters may fail before no new one is started,
	// a percentage of all clusters to be changed, rounded down.
	MaxFailures Amount
	// NotAfter is when the last cluster may be started; zero is never.
	NotAfter time.Time
	// Between is called between two waves; an error ends the run there.
	Between func(ctx context.Context, done, of int) error

	look func() error // reads anew what all clusters share, ahead of every wave but the first
}

// Sizes gives the sizes of the waves that n clusters go in.
func (p Pace) Sizes(n int) []int {
	var sizes []int
	for i := 0; n > 0 && len(p.Waves) > 0; i++ {
		size := min(n, max(1, p.Waves[min(i, len(p.Waves)-1)].Of(n+sum(sizes), true)))
		sizes = append(sizes, size)
		n -= size
	}
	if n > 0 {
		sizes = append(sizes, n)
	}
	return sizes
}

func sum(ns []int) int {
	total := 0
	for _, n := range ns {
		total += n
	}
	return total
}

// turn is how one cluster's turn in a wave ended.
type turn struct {
	failed bool
	// changed is false for a cluster that was left alone: a wave of such proves
	// nothing, so another cluster takes its place.
	changed bool
}

// run lets each of n clusters have its turn: do is called with its number, that
// of its wave, counted from 1, and with why it is not started when the run is to stop.
func (p Pace) run(ctx context.Context, clock Clock, parallel, n int, do func(i, wave int, why string) turn) {
	allowed := p.MaxFailures.Of(n, false)
	var mu sync.Mutex
	failures, stopped := 0, ""
	stop := func() string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case stopped != "":
		case ctx.Err() != nil:
			stopped = "interrupted before its turn"
		case failures > allowed:
			stopped = fmt.Sprintf("not started: %d failed, %d allowed", failures, allowed)
		case !p.NotAfter.IsZero() && clock.Now().After(p.NotAfter):
			stopped = "not started: it is after " + p.NotAfter.Format("15:04")
		}
		return stopped
	}
	end := func(why string) {
		mu.Lock()
		defer mu.Unlock()
		stopped = why
	}
	next := 0
	// together takes the next size clusters through their turns and says how many
	// were left alone.
	together := func(wave, size int) (spared int) {
		slots := make(chan struct{}, parallel)
		var group sync.WaitGroup
		for range min(size, n-next) {
			slots <- struct{}{}
			i := next
			next++
			if why := stop(); why != "" {
				do(i, wave, why)
				<-slots
				continue
			}
			group.Go(func() {
				defer func() { <-slots }()
				t := do(i, wave, "")
				mu.Lock()
				defer mu.Unlock()
				if t.failed {
					failures++
				}
				if !t.changed {
					spared++
				}
			})
		}
		group.Wait()
		return spared
	}
	sizes := p.Sizes(n)
	for w, size := range sizes {
		if next == n {
			return
		}
		if w > 0 && stop() == "" && p.Between != nil {
			if err := p.Between(ctx, w, len(sizes)); err != nil {
				end("not started: the run was ended between two waves")
			}
		}
		if w > 0 && stop() == "" && p.look != nil {
			if err := p.look(); err != nil {
				end("not started: " + err.Error())
			}
		}
		for size > 0 && next < n {
			size = together(w+1, size)
		}
	}
}

// Largest limits what one wave may change without being told so: more than this
// share of the clusters that can be seen, once there are this many.
const (
	largestShare = 30 // percent
	largestFrom  = 10 // clusters
)

// TooLarge says why the largest wave of n clusters out of visible ones needs to
// be allowed, "" when it does not.
func (p Pace) TooLarge(n, visible int) string {
	largest := 0
	for _, size := range p.Sizes(n) {
		largest = max(largest, size)
	}
	if visible < largestFrom || largest*100 <= largestShare*visible {
		return ""
	}
	return fmt.Sprintf("one wave would change %d of %d clusters, %.1f%% is over %d%%", largest, visible, 100*float64(largest)/float64(visible), largestShare)
}
