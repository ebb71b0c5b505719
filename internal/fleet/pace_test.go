package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseAmount(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Amount
		ok   bool
	}{
		{"0", Amount{}, true}, {"3", Amount{N: 3}, true}, {" 10% ", Amount{10, true}, true}, {"0%", Amount{0, true}, true}, {"100%", Amount{100, true}, true},
		{"101%", Amount{}, false}, {"-1", Amount{}, false}, {"", Amount{}, false}, {"%", Amount{}, false}, {"1.5", Amount{}, false}, {"10 %", Amount{}, false},
		{"99999999999999999999", Amount{}, false}, {"ten", Amount{}, false}, {"1,2", Amount{}, false},
	} {
		got, err := ParseAmount(tt.text)
		if (err == nil) != tt.ok || got != tt.want || err != nil && !errors.Is(err, ErrPace) {
			t.Errorf("%q: %v, %v", tt.text, got, err)
		}
	}
}

// The rounding: of a wave up, of the failures that are allowed down.
func TestRounding(t *testing.T) {
	for _, tt := range []struct {
		amount   Amount
		of       int
		up, down int
	}{
		{Amount{10, true}, 0, 0, 0}, {Amount{10, true}, 1, 1, 0}, {Amount{10, true}, 9, 1, 0}, {Amount{10, true}, 10, 1, 1}, {Amount{10, true}, 11, 2, 1},
		{Amount{33, true}, 100, 33, 33}, {Amount{100, true}, 7, 7, 7}, {Amount{0, true}, 7, 0, 0}, {Amount{N: 3}, 1, 3, 3}, {Amount{N: 3}, 100, 3, 3},
	} {
		if up, down := tt.amount.Of(tt.of, true), tt.amount.Of(tt.of, false); up != tt.up || down != tt.down {
			t.Errorf("%s of %d: %d up, %d down; want %d, %d", tt.amount, tt.of, up, down, tt.up, tt.down)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		waves string
		n     int
		want  []int
	}{
		{"", 5, []int{5}}, {"", 0, nil}, {"1", 0, nil}, {"1,10%,100%", 1, []int{1}}, {"1,10%,100%", 2, []int{1, 1}}, {"1,10%,100%", 25, []int{1, 3, 21}},
		{"1,10%,100%", 300, []int{1, 30, 269}}, {"2", 5, []int{2, 2, 1}}, {"40%", 5, []int{2, 2, 1}}, {"1,50%", 10, []int{1, 5, 4}}, {"1,1,1", 5, []int{1, 1, 1, 1, 1}}, {"100", 5, []int{5}},
	} {
		var p Pace
		if tt.waves != "" {
			var err error
			if p.Waves, err = ParseWaves(tt.waves); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.Sizes(tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("%d clusters in waves of %q: %v, want %v", tt.n, tt.waves, got, tt.want)
		}
	}
	for _, bad := range []string{"", "0", "1,0%", "1,,2", "a", "1;2", "-1", "200%"} {
		if waves, err := ParseWaves(bad); !errors.Is(err, ErrPace) {
			t.Errorf("%q: %v, %v; want ErrPace", bad, waves, err)
		}
	}
}

func TestSizesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Pace
		for range rapid.IntRange(0, 4).Draw(t, "waves") {
			if rapid.Bool().Draw(t, "percent") {
				p.Waves = append(p.Waves, Amount{rapid.IntRange(1, 100).Draw(t, "%"), true})
			} else {
				p.Waves = append(p.Waves, Amount{N: rapid.IntRange(1, 50).Draw(t, "n")})
			}
		}
		n := rapid.IntRange(0, 500).Draw(t, "clusters")
		sizes := p.Sizes(n)
		if sum(sizes) != n || slices.ContainsFunc(sizes, func(s int) bool { return s <= 0 }) {
			t.Fatalf("%v of %d in %v", sizes, n, p.Waves)
		}
		for i := range min(len(p.Waves), max(0, len(sizes)-1)) {
			if want := p.Waves[i].Of(n, true); sizes[i] != want {
				t.Fatalf("wave %d of %v has %d clusters of %d, want %d", i, p.Waves, sizes[i], n, want)
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	for _, tt := range []struct {
		waves      string
		n, visible int
		want       string
	}{
		{"100%", 9, 9, ""}, {"100%", 3, 10, ""}, {"100%", 4, 10, "one wave would change 4 of 10 clusters, 40.0% is over 30%"},
		{"1,100%", 5, 10, "one wave would change 4 of 10 clusters, 40.0% is over 30%"}, {"1,3", 10, 10, ""}, {"100%", 31, 100, "one wave would change 31 of 100 clusters, 31.0% is over 30%"},
		{"100%", 30, 100, ""}, {"1,10%,100%", 0, 100, ""},
	} {
		waves, err := ParseWaves(tt.waves)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Pace{Waves: waves}).TooLarge(tt.n, tt.visible); got != tt.want {
			t.Errorf("%s of %d of %d: %q, want %q", tt.waves, tt.n, tt.visible, got, tt.want)
		}
	}
}

// walk lets n clusters go through, of which bad ones fail, and gives what was
// said to each: "" when it was started.
func walk(p Pace, clock Clock, parallel, n int, bad ...int) []string {
	why := make([]string, n)
	var mu sync.Mutex
	p.run(context.Background(), clock, parallel, n, func(i, _ int, reason string) turn {
		mu.Lock()
		defer mu.Unlock()
		why[i] = reason
		return turn{failed: slices.Contains(bad, i), changed: true}
	})
	return why
}

func started(why []string) (n int) {
	for _, s := range why {
		if s == "" {
			n++
		}
	}
	return n
}

func TestMaxFailures(t *testing.T) {
	for _, tt := range []struct {
		allowed string
		bad     []int
		started int
		says    string
	}{
		{"0", nil, 10, ""}, {"0", []int{0}, 1, "not started: 1 failed, 0 allowed"}, {"0", []int{4}, 5, "not started: 1 failed, 0 allowed"},
		{"1", []int{0}, 10, ""}, {"1", []int{0, 3}, 4, "not started: 2 failed, 1 allowed"}, {"20%", []int{0, 1}, 10, ""}, {"20%", []int{0, 1, 2}, 3, "not started: 3 failed, 2 allowed"},
		{"19%", []int{0, 1}, 2, "not started: 2 failed, 1 allowed"}, {"100%", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10, ""},
	} {
		allowed, err := ParseAmount(tt.allowed)
		if err != nil {
			t.Fatal(err)
		}
		for _, waves := range [][]Amount{nil, {{N: 1}}, {{N: 3}}} {
			why := walk(Pace{MaxFailures: allowed, Waves: waves}, SystemClock(), 1, 10, tt.bad...)
			if started(why) != tt.started || why[9] != tt.says {
				t.Errorf("--max-failures %s, %v fail, waves %v: %d started, the last one %q; want %d and %q", tt.allowed, tt.bad, waves, started(why), why[9], tt.started, tt.says)
			}
		}
	}
}

func TestNotAfter(t *testing.T) {
	clock := &testClock{now: epoch}
	p := Pace{NotAfter: epoch.Add(25 * time.Minute)}
	why := make([]string, 5)
	p.run(t.Context(), clock.clock(), 1, 5, func(i, _ int, reason string) turn {
		why[i] = reason
		if reason == "" {
			clock.pass(10 * time.Minute)
		}
		return turn{changed: true}
	})
	if want := []string{"", "", "", "not started: it is after 03:25", "not started: it is after 03:25"}; !slices.Equal(why, want) {
		t.Errorf("%q, want %q", why, want)
	}
}

func TestBetweenWaves(t *testing.T) {
	waves := []Amount{{N: 1}, {N: 2}}
	var asked [][2]int
	p := Pace{Waves: waves, Between: func(_ context.Context, done, of int) error {
		asked = append(asked, [2]int{done, of})
		return nil
	}}
	if why := walk(p, SystemClock(), 3, 5); started(why) != 5 || !slices.Equal(asked, [][2]int{{1, 3}, {2, 3}}) {
		t.Errorf("%q, asked %v", why, asked)
	}
	p.Between = func(_ context.Context, done, _ int) error {
		if done == 2 {
			return errors.New("no")
		}
		return nil
	}
	if why := walk(p, SystemClock(), 1, 5); started(why) != 3 || why[4] != "not started: the run was ended between two waves" {
		t.Errorf("%q", why)
	}
	p.Between = func(context.Context, int, int) error { t.Error("asked although a cluster failed"); return nil }
	if why := walk(p, SystemClock(), 1, 5, 0); started(why) != 1 {
		t.Errorf("%q", why)
	}
}

// A wave begins when the one before it is over, and within it there are never
// more at once than allowed.
func TestWavesAndParallel(t *testing.T) {
	var mu sync.Mutex
	running, most, over := 0, 0, 0
	gate := make(chan struct{})
	p := Pace{Waves: []Amount{{N: 2}, {N: 4}}}
	go func() {
		for range 10 {
			gate <- struct{}{}
		}
	}()
	p.run(t.Context(), SystemClock(), 3, 10, func(i, _ int, _ string) turn {
		mu.Lock()
		running++
		most = max(most, running)
		if i >= 2 && over < 2 || i >= 6 && over < 6 {
			t.Errorf("cluster %d was started when %d were over", i, over)
		}
		mu.Unlock()
		<-gate
		mu.Lock()
		running--
		over++
		mu.Unlock()
		return turn{changed: true}
	})
	if most > 3 || over != 10 {
		t.Errorf("%d at once, %d in all", most, over)
	}
}

// A canary that turned out to need nothing proves nothing: the next cluster takes
// its place, and the second wave waits for that one.
func TestCanaryThatWasLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		name     string
		spared   []int
		parallel int
		before   [][2]int // Between is called when so many were changed, after so many turns
		started  int
		fails    []int
	}{
		{"the first is changed", nil, 1, [][2]int{{1, 1}, {3, 3}, {5, 5}}, 6, nil},
		{"the first two are left alone", []int{0, 1}, 1, [][2]int{{1, 3}, {3, 5}}, 6, nil},
		{"side by side", []int{1}, 4, [][2]int{{1, 1}, {3, 4}}, 6, nil},
		{"the one in its place fails", []int{0}, 1, nil, 2, []int{1}},
		{"all are left alone", []int{0, 1, 2, 3, 4, 5}, 2, nil, 6, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var before [][2]int
			changed, turns := 0, 0
			p := Pace{Waves: []Amount{{N: 1}, {N: 2}}, Between: func(context.Context, int, int) error {
				before = append(before, [2]int{changed, turns})
				return nil
			}}
			p.run(t.Context(), SystemClock(), tt.parallel, 6, func(i, _ int, why string) turn {
				mu.Lock()
				defer mu.Unlock()
				if why != "" {
					return turn{}
				}
				turns++
				done := turn{failed: slices.Contains(tt.fails, i), changed: !slices.Contains(tt.spared, i)}
				if done.changed {
					changed++
				}
				return done
			})
			if !slices.Equal(before, tt.before) || turns != tt.started {
				t.Errorf("waves ended after %v (changed, turns), want %v; %d had their turn, want %d", before, tt.before, turns, tt.started)
			}
		})
	}
}
