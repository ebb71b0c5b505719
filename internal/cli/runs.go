package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

func (a *app) runsCommand() *cli.Command {
	return &cli.Command{
		Name:      "runs",
		Usage:     "earlier runs and how they ended; runs show RUN prints one",
		ArgsUsage: "[show RUN]",
		Description: "Reads the state directory of this user on this machine. Talks to no server.\n\n" +
			"Examples:\n" +
			"  rkepatch runs\n" +
			"  rkepatch runs show 20261123T130501.042Z-4f2a91   step by step, and what to do next",
		Flags:  []cli.Flag{stateDirFlag(), outputFlag()},
		Action: a.runs,
	}
}

func (a *app) runs(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	dir, err := a.stateDir(c)
	if err != nil {
		return err
	}
	switch args := c.Args().Slice(); {
	case len(args) == 0:
		return a.listRuns(dir, asJSON)
	case len(args) == 2 && args[0] == "show":
		return a.showRun(c, dir, args[1], asJSON)
	default:
		return usagef("rkepatch runs, or rkepatch runs show RUN", "runs takes nothing, or show and the id of a run")
	}
}

func (a *app) listRuns(dir string, asJSON bool) error {
	records, err := fleet.Runs(dir, a.warn)
	if err != nil {
		return err
	}
	if asJSON {
		for _, r := range records {
			r.Entries = nil
		}
		return json.NewEncoder(a.streams.Out).Encode(map[string]any{"apiVersion": report.APIVersion, "kind": "Runs", "runs": records})
	}
	if len(records) == 0 {
		fmt.Fprintln(a.streams.Err, "rkepatch: no runs in "+dir)
		return nil
	}
	tab := tabwriter.NewWriter(a.streams.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tab, "RUN\tKIND\tBEGUN\tENDED\tSERVER\tCLUSTERS")
	for _, r := range records {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Head.Kind, r.Begun.Local().Format(time.DateTime), ended(r), report.Clean(r.Head.Server), report.Clean(r.Count()))
	}
	return tab.Flush()
}

func ended(r *fleet.Record) string {
	switch {
	case r.Running:
		return "running"
	case r.Ended.IsZero():
		return "cut off"
	}
	return r.Ended.Local().Format(time.DateTime)
}

func (a *app) showRun(c *cli.Context, dir, id string, asJSON bool) error {
	r, err := fleet.LoadRun(dir, id)
	if err != nil {
		return err
	}
	if r.Ended.IsZero() {
		all, err := fleet.Runs(dir, func(string) {})
		r.Running = err == nil && slices.ContainsFunc(all, func(o *fleet.Record) bool { return o.ID == id && o.Running })
	}
	if asJSON {
		return json.NewEncoder(a.streams.Out).Encode(map[string]any{"apiVersion": report.APIVersion, "kind": "RunRecord", "record": r})
	}
	fmt.Fprintf(a.streams.Out, "run %s, %s, %s: %s\n", r.ID, r.Head.Kind, report.Clean(r.Head.Server), report.Clean(r.Count()))
	for _, e := range r.Entries {
		text := e.Text
		if e.Outcome != nil {
			o := *e.Outcome
			if r.Head.Kind == kindRollback {
				o = report.OfRollback(o)
			}
			text = fmt.Sprintf("%s: %s", o.Status, o.Message)
		}
		if e.By != "" {
			text = "by run " + e.By
		}
		fmt.Fprintf(a.streams.Out, "%s  %-11s %s  %s\n", e.Time.Local().Format(time.DateTime), e.Event, report.Clean(e.Name), report.Clean(text))
	}
	for _, id := range slices.Sorted(maps.Keys(r.Clusters)) {
		if o := r.Clusters[id].Outcome; o != nil && o.Next != "" {
			fmt.Fprintf(a.streams.Out, "%s next: %s\n", report.Clean(r.Clusters[id].Name), report.Clean(o.Next))
		}
	}
	if next := goOn(c, r); next != "" {
		fmt.Fprintf(a.streams.Err, "rkepatch: %s\n", report.Clean(next))
	}
	return nil
}

// goOn says how a run that is not over goes on, "" for one that is.
func goOn(c *cli.Context, r *fleet.Record) string {
	flags := words(r.Head.Flags, rancherFlags...) + words(given(c, flagStateDir), flagStateDir)
	next := fmt.Sprintf("rkepatch apply%s --resume %s goes on", flags, r.ID)
	if r.Head.SkipNodeCheck {
		next = fmt.Sprintf("rkepatch apply%s --resume %s --%s goes on", flags, r.ID, flagSkipNodeCheck)
	}
	switch r.Head.Kind {
	case fleet.KindNodeTemplates:
		next = fmt.Sprintf("the same command again does the rest, rkepatch rollback%s %s takes it back", flags, r.ID)
	case kindRollback:
		next = fmt.Sprintf("rkepatch rollback%s %s does what is left", flags, r.Head.Of)
	}
	switch {
	case r.Running:
		return "the run is going on"
	case r.Ended.IsZero():
		return "the run was cut off; " + next
	case len(r.Clusters) == 0:
		return "the run ended before the first cluster had its turn; " + next
	}
	return ""
}
