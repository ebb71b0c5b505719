package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
)

const (
	flagParallel    = "parallel"
	flagWaves       = "waves"
	flagPause       = "pause-between-waves"
	flagMaxFailures = "max-failures"
	flagOrder       = "order"
	flagNotAfter    = "not-after"
	flagLargeWave   = "allow-large-wave"
)

func paceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: flagParallel, Value: 1, Usage: "clusters in flight at once, `N`"},
		&cli.StringFlag{Name: flagWaves, Usage: "sizes of the waves, such as `1,10%,100%`: of all clusters to be changed, rounded up; the last one is repeated"},
		&cli.StringFlag{Name: flagPause, Usage: "between two waves wait for this `DURATION`, or for an answer (ask)"},
		&cli.StringFlag{Name: flagMaxFailures, Value: "0", Usage: "`N or N%` of the clusters to be changed may fail before no new one is started"},
		&cli.StringFlag{Name: flagOrder, Value: "given", Usage: "`ORDER` of the clusters: given, name, or label:KEY"},
		&cli.StringFlag{Name: flagNotAfter, Usage: "start no new cluster after `HH:MM` (local time, tomorrow when it is past)"},
		&cli.BoolFlag{Name: flagLargeWave, Usage: "allow a wave of more than 30% of the clusters that can be seen"},
	}
}

// keptFlags are those that a resumed run takes over unless they are given anew.
// --not-after is not: it names a time of the day.
var keptFlags = append([]string{flagParallel, flagWaves, flagPause, flagMaxFailures, flagOrder, flagLargeWave, flagRollback, flagRaise, flagTimeout}, nodeFlagNames...)

// keepPace sets what the run to be resumed was begun with and what was not
// given anew.
func keepPace(c *cli.Context, flags map[string]string) error {
	for _, name := range keptFlags {
		if value, ok := flags[name]; ok && !c.IsSet(name) {
			if err := c.Set(name, value); err != nil {
				return fmt.Errorf("taking over --%s of the run: %w", name, err)
			}
		}
	}
	return nil
}

func anySet(c *cli.Context, names ...string) bool {
	return slices.ContainsFunc(names, c.IsSet)
}

// readPace reads how a run spreads over its clusters. The question between two
// waves is added by the caller, who has the terminal.
func readPace(c *cli.Context, now time.Time) (fleet.Pace, error) {
	var p fleet.Pace
	var err error
	if c.Int(flagParallel) < 1 {
		return p, usagef("1 is one cluster after the other", "--%s must be positive", flagParallel)
	}
	if s := c.String(flagWaves); s != "" {
		if p.Waves, err = fleet.ParseWaves(s); err != nil {
			return p, fmt.Errorf("--%s: %w", flagWaves, err)
		}
	}
	if p.MaxFailures, err = fleet.ParseAmount(c.String(flagMaxFailures)); err != nil {
		return p, fmt.Errorf("--%s: %w", flagMaxFailures, err)
	}
	if s := c.String(flagNotAfter); s != "" {
		at, err := time.ParseInLocation("15:04", s, now.Location())
		if err != nil {
			return p, usagef("write it as 04:30", "--%s %q is not a time of day", flagNotAfter, s)
		}
		p.NotAfter = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
		if p.NotAfter.Before(now) {
			p.NotAfter = p.NotAfter.AddDate(0, 0, 1)
		}
	}
	order := c.String(flagOrder)
	if key, ok := strings.CutPrefix(order, "label:"); order != "given" && order != "name" && (!ok || key == "") {
		return p, usagef("use given, name or label:KEY", "--%s %q is no order", flagOrder, order)
	}
	return p, nil
}

// between gives what happens between two waves.
func (a *app) between(c *cli.Context) (func(ctx context.Context, done, of int) error, error) {
	pause := c.String(flagPause)
	if pause == "" {
		return nil, nil
	}
	if pause == "ask" {
		if !a.streams.Terminal {
			return nil, usagef("give a duration instead", "there is no terminal to ask on between two waves")
		}
		return func(ctx context.Context, done, of int) error {
			var answer string
			var err error
			a.aside(func() {
				fmt.Fprintf(a.streams.Err, "\nWave %d of %d is done. Go on? Only \"yes\" is taken for an answer: ", done, of)
				answer, err = a.readLine(ctx)
			})
			if err == nil && answer != "yes" {
				err = errors.New("the answer was not yes")
			}
			return err
		}, nil
	}
	d, err := time.ParseDuration(pause)
	if err != nil || d < 0 {
		return nil, usagef("write 10m, or ask", "--%s %q is no duration", flagPause, pause)
	}
	return func(ctx context.Context, done, of int) error {
		a.aside(func() {
			fmt.Fprintf(a.streams.Err, "rkepatch: wave %d of %d is done, going on in %s\n", done, of, d)
		})
		return a.clock.Sleep(ctx, d)
	}, nil
}

// sortPlans puts the plans into the order that was asked for; they come sorted
// by name.
func sortPlans(c *cli.Context, plans []*fleet.ClusterPlan) {
	order := c.String(flagOrder)
	names := c.Args().Slice()
	rank := func(p *fleet.ClusterPlan) int {
		return slices.IndexFunc(names, func(n string) bool { return n == p.Name || n == p.ID })
	}
	slices.SortStableFunc(plans, func(x, y *fleet.ClusterPlan) int {
		if key, ok := strings.CutPrefix(order, "label:"); ok {
			return cmp.Or(strings.Compare(x.Labels[key], y.Labels[key]), strings.Compare(x.Name, y.Name))
		}
		if order == "name" {
			return strings.Compare(x.Name, y.Name)
		}
		return cmp.Compare(rank(x), rank(y))
	})
}
