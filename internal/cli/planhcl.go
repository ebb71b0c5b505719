package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/clusterfile"
	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

// checkHCL refuses what contradicts --hcl: stdout is for Terraform.
func checkHCL(c *cli.Context) error {
	if c.Bool(flagHCL) && c.String(flagOutput) == "json" {
		return usagef("give one of them", "--%s and -o json both take stdout", flagHCL)
	}
	return nil
}

// hclSink writes to stdout what the Terraform of each cluster needs, and to
// stderr what plan shows otherwise.
func (a *app) hclSink() planSink {
	text := a.text(a.streams.Err)
	head := clusterfile.HCLHead
	return planSink{
		add: func(p *fleet.ClusterPlan) error {
			text.Plan(p)
			fmt.Fprint(a.streams.Out, head)
			head = ""
			what := fmt.Sprintf("cluster %s, %s", report.Clean(p.Name), report.Clean(p.ID))
			_, doc, ok := p.Kept()
			if !ok || p.Action == fleet.ActionBlocked {
				fmt.Fprintf(a.streams.Out, "\n# %s: blocked, so there is nothing to add; rkepatch plan says why\n", what)
				return a.written()
			}
			fmt.Fprintf(a.streams.Out, "\n# %s\n%s", what, clusterfile.HCL(p.Name, doc))
			return a.written()
		},
		close: func(t report.Totals, failure error) error {
			if failure == nil {
				fmt.Fprintln(a.streams.Err, t)
			}
			return nil
		},
	}
}
