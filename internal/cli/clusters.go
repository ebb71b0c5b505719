package cli

import (
	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

func (a *app) clustersCommand() *cli.Command {
	return &cli.Command{
		Name:      "clusters",
		Usage:     "the fleet at a glance: version, state, patched or not, what stands in the way",
		ArgsUsage: "[NAME...]",
		Description: "Lists RKE1 clusters, all that the token can see unless some are selected. Changes nothing.\n" +
			"PATCHED is yes, no or half; FINDING is the most severe one (rkepatch plan shows all).\n\n" +
			"Examples:\n" +
			"  rkepatch clusters\n" +
			"  rkepatch clusters --label env=prod --exclude 'shop*'\n" +
			"  rkepatch clusters --kubernetes-version '<1.27' -o json",
		Flags:  concat(connectFlags(), selectFlags(), patchFlags(), []cli.Flag{outputFlag()}),
		Action: a.clusters,
	}
}

func (a *app) clusters(c *cli.Context) error {
	sel := selection(c)
	sel.All = sel.All || sel.Empty()
	session, err := a.open(c)
	if err != nil {
		return err
	}
	if session.json {
		return a.clustersJSON(c, session, sel)
	}
	table := a.text(a.streams.Out).NewClusters()
	for p, err := range session.planner.Plan(c.Context, sel) {
		if err != nil {
			table.Close()
			return err
		}
		table.Add(p)
	}
	return table.Close()
}

// session is one command's connection to one Rancher.
type session struct {
	planner *fleet.Planner
	head    report.Head
	json    bool
}

func (a *app) open(c *cli.Context) (*session, error) {
	json, err := wantsJSON(c)
	if err != nil {
		return nil, err
	}
	client, err := a.connect(c)
	if err != nil {
		return nil, err
	}
	planner := &fleet.Planner{Rancher: client}
	if c.Command.Name != "rollback" { // which has its patch from the run
		if planner, err = a.planner(c, client); err != nil {
			return nil, err
		}
	}
	version, err := a.checkServer(c.Context, client)
	if err != nil {
		return nil, err
	}
	return &session{planner, report.Head{Server: client.URL(), RancherVersion: version.Version}, json}, nil
}

func (a *app) clustersJSON(c *cli.Context, s *session, sel fleet.Selection) error {
	s.head.Kind = "Clusters"
	doc := report.NewPlanJSON(a.streams.Out, s.head)
	var totals report.Totals
	failure := a.feed(c, s, sel, &totals, []planSink{{add: doc.Add}})
	if err := doc.Close(totals, failure); err != nil {
		return err
	}
	return failure
}

func concat(groups ...[]cli.Flag) []cli.Flag {
	var out []cli.Flag
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}
