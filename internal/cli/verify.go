package cli

import (
	"context"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/nodes"
)

func (a *app) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "is every kubelet really running with the flags, does the provider answer",
		ArgsUsage: "[NAME...]",
		Description: "Compares what Rancher says is applied with the stored config, then looks at the running kubelet of each Linux\n" +
			"node: its command line, whether it was started after this program's last change, the errors of the\n" +
			"provider that it counts; from 1.27 on, and with --rehearse, also whether credentials come back. Exit code 4\n" +
			"when a kubelet does not run as Rancher was told.\n\n" +
			"Examples:\n" +
			"  rkepatch verify prod-eu\n" +
			"  rkepatch verify --rehearse 'prod-*'   also fetch credentials on each node",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagRehearse, Usage: "run the provider as each kubelet would; the credentials do not leave the node"},
			&cli.StringFlag{Name: flagRehearsalImage, Usage: "rehearse for `IMAGE`"},
		}, nodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{stateDirFlag(), outputFlag()}),
		Action: a.verify,
	}
}

func (a *app) verify(c *cli.Context) error {
	dir, err := a.stateDir(c)
	if err != nil {
		return err
	}
	return a.visit(c, func(l *fleet.NodeLook) (err error) {
		l.Query.Rehearse, l.Query.RehearseImage = c.Bool(flagRehearse), c.String(flagRehearsalImage)
		l.Applied = true
		l.Changed, err = fleet.LastSent(dir, l.Rancher.URL(), a.warn)
		return err
	}, func(ctx context.Context, checker *nodes.Checker, ask fleet.Ask) ([]nodes.NodeReport, error) {
		return fleet.VerifyNodes(ctx, checker, ask)
	}, ExitFailed)
}
