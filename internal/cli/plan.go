package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

const (
	flagDetailed = "detailed-exitcode"
	flagOut      = "out"
)

func (a *app) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "what would change, as a diff; changes nothing",
		ArgsUsage: "[NAME...]",
		Description: "Shows for each selected cluster what apply would change and what the operator must know about it.\n" +
			"Exit code 3 when a cluster is blocked.\n\n" +
			"Examples:\n" +
			"  rkepatch plan prod-eu\n" +
			"  rkepatch plan --out change.plan --report change.html 'prod-*'       for a change board\n" +
			"  rkepatch plan --patch kubelet.yaml --replace-arg max-pods prod-eu   any other kubelet setting\n" +
			"  rkepatch plan --detailed-exitcode prod-eu                           exit code 2 when anything would change\n" +
			"  rkepatch plan --hcl prod-eu                                         what to add to the cluster's Terraform",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagOut, Usage: "write the plan to `FILE`, for apply --plan, and print its checksum"},
			&cli.BoolFlag{Name: flagHCL, Usage: "print what to add to each cluster's Terraform rancher2_cluster, and everything else on stderr"},
			&cli.BoolFlag{Name: flagDetailed, Usage: "exit with 2 when there are changes and nothing is blocked"},
		}, newNodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{reportFlag(), outputFlag()}),
		Action: a.plan,
	}
}

// planSink takes the plans as they come in.
type planSink struct {
	add   func(*fleet.ClusterPlan) error
	close func(t report.Totals, failure error) error
}

func (a *app) plan(c *cli.Context) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	if name := c.String(flagOut); name != "" {
		if err := checkTarget(flagOut, name); err != nil {
			return err
		}
	}
	if err := checkHCL(c); err != nil {
		return err
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	s.planner.WideDiffs, s.planner.KeepClusters = c.IsSet(flagReport), c.Bool(flagHCL)
	sinks, err := a.planSinks(c, s)
	if err != nil {
		return err
	}
	var totals report.Totals
	failure := a.feed(c, s, sel, &totals, sinks)
	for _, sink := range sinks {
		if err := sink.close(totals, failure); err != nil && failure == nil {
			failure = err
		}
	}
	switch {
	case failure != nil:
		return failure
	case totals.Blocked > 0:
		return exitError(ExitBlocked)
	case totals.Patch > 0 && c.Bool(flagDetailed):
		return exitError(ExitChanges)
	}
	return nil
}

func (a *app) feed(c *cli.Context, s *session, sel fleet.Selection, totals *report.Totals, sinks []planSink) error {
	for p, err := range s.planner.Plan(c.Context, sel) {
		if err != nil {
			return err
		}
		totals.Add(p)
		for _, sink := range sinks {
			if err := sink.add(p); err != nil {
				return err
			}
		}
	}
	if totals.Clusters == 0 && !sel.All {
		return noneSelected()
	}
	return nil
}

// planSinks gives where the plans go: stdout, the plan file, the review page.
func (a *app) planSinks(c *cli.Context, s *session) ([]planSink, error) {
	sinks := []planSink{a.stdoutSink(s)}
	if c.Bool(flagHCL) {
		sinks = []planSink{a.hclSink()}
	}
	page, err := a.newPage(c, report.PageData{Head: s.head, Kind: "Plan", Selection: inWords(selection(c)), Command: commandLine(c)})
	if err != nil {
		return nil, err
	}
	if page != nil {
		sinks = append(sinks, planSink{
			add:   func(p *fleet.ClusterPlan) error { return page.Add(p, nil) },
			close: page.finish,
		})
	}
	if name := c.String(flagOut); name != "" {
		w, err := s.planner.CreatePlan(name, a.build.Version, s.head.RancherVersion, a.clock.Now())
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, planSink{
			add: w.Add,
			close: func(_ report.Totals, failure error) error {
				if failure != nil {
					w.Abort()
					return nil
				}
				sum, err := w.Close(s.planner.Visible)
				if err == nil {
					fmt.Fprintf(a.streams.Err, "rkepatch: plan written to %s, checksum %s\n", name, sum)
				}
				return err
			},
		})
	}
	return sinks, nil
}

func (a *app) stdoutSink(s *session) planSink {
	if s.json {
		s.head.Kind = "Plan"
		doc := report.NewPlanJSON(a.streams.Out, s.head)
		return planSink{doc.Add, doc.Close}
	}
	text := a.text(a.streams.Out)
	return planSink{
		add: func(p *fleet.ClusterPlan) error { text.Plan(p); return a.written() },
		close: func(t report.Totals, failure error) error {
			if failure == nil {
				fmt.Fprintln(a.streams.Out, t)
			}
			return nil
		},
	}
}

func noneSelected() error {
	return fmt.Errorf("%w: no RKE1 cluster fits the selection (rkepatch clusters lists what there is)", fleet.ErrUnknownCluster)
}
