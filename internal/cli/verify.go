package cli

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
)

func (a *app) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "is every kubelet really running with the flags, does the provider answer",
		ArgsUsage: "[NAME...]",
		Description: "Looks at the running kubelet of each Linux node: its command line, since when it runs, the errors of the\n" +
			"provider that it counts; from 1.27 on, and with --rehearse, also whether credentials come back. Exit code 4\n" +
			"when a kubelet does not run as Rancher was told.",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagRehearse, Usage: "run the provider as each kubelet would; the credentials do not leave the node"},
			&cli.StringFlag{Name: flagRehearsalImage, Usage: "rehearse for `IMAGE`"},
		}, nodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.verify,
	}
}

func (a *app) verify(c *cli.Context) error {
	return a.visit(c, func(q *nodes.Query) {
		q.Rehearse, q.RehearseImage = c.Bool(flagRehearse), c.String(flagRehearsalImage)
	}, func(ctx context.Context, checker *nodes.Checker, q nodes.Query, version kubelet.Version) ([]nodes.NodeReport, error) {
		return fleet.VerifyNodes(ctx, checker, q, version, time.Time{})
	}, ExitFailed)
}
