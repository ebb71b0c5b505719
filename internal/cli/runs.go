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
		Name:        "runs",
		Usage:       "earlier runs and how they ended; runs show RUN prints one",
		ArgsUsage:   "[show RUN]",
		Description: "Reads the state directory of this user on this machine. Talks to no server.",
		Flags:       []cli.Flag{stateDirFlag(), outputFlag()},
		Action:      a.runs,
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
		return a.showRun(dir, args[1], asJSON)
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
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Head.Kind, r.Begun.Local().Format(time.DateTime), ended(r), report.Clean(r.Head.Server), r.Count())
	}
	return tab.Flush()
}

func ended(r *fleet.Record) string {
	if r.Ended.IsZero() {
		return "cut off"
	}
	return r.Ended.Local().Format(time.DateTime)
}

func (a *app) showRun(dir, id string, asJSON bool) error {
	r, err := fleet.LoadRun(dir, id)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.streams.Out).Encode(map[string]any{"apiVersion": report.APIVersion, "kind": "RunRecord", "record": r})
	}
	fmt.Fprintf(a.streams.Out, "run %s, %s, %s: %s\n", r.ID, r.Head.Kind, report.Clean(r.Head.Server), r.Count())
	for _, e := range r.Entries {
		text := e.Text
		if e.Outcome != nil {
			text = fmt.Sprintf("%s: %s", e.Outcome.Status, e.Outcome.Message)
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
	switch {
	case !r.Ended.IsZero():
	case r.Head.Kind == "apply":
		fmt.Fprintf(a.streams.Err, "rkepatch: the run goes on or was cut off; then rkepatch apply --resume %s --skip-node-check goes on\n", r.ID)
	default:
		fmt.Fprintf(a.streams.Err, "rkepatch: the rollback goes on or was cut off; then rkepatch rollback %s does what is left\n", r.Head.Of)
	}
	return nil
}
