package cli

import (
	"context"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/internal/report"
	"rkepatch/rancher"
)

const (
	flagForVersion     = "for-version"
	flagProbeImage     = "probe-image"
	flagNamespace      = "namespace"
	flagNodesAtOnce    = "nodes-at-once"
	flagNodeTimeout    = "node-timeout"
	flagRehearse       = "rehearse"
	flagRehearsalImage = "image"
)

func (a *app) nodesCommand() *cli.Command {
	return &cli.Command{
		Name:  "nodes",
		Usage: "the node side: is the provider there, and would a kubelet start with it",
		Description: "The files must be on every node before a kubelet is told of them: one that is told of a provider that is\n" +
			"missing, not executable or misconfigured does not start. docs/nodes.md explains what is looked at and how.",
		Subcommands: []*cli.Command{a.nodesCheckCommand(), a.nodesInstallCommand(), a.nodesScriptCommand(), a.nodesTemplatesCommand()},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("rkepatch nodes --help lists the commands", "unknown command %q", "nodes "+c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// nodeFlags are those of every command that looks at nodes.
func nodeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagForVersion, Usage: "judge for kubelets up to `VERSION`, too (default: the first without the built-in login, 1.27 for ecr, 1.30 for acr, 1.31 for gcp, or the cluster's own if that is later)"},
		&cli.StringFlag{Name: flagProbeImage, Usage: "run the pods of the check from `IMAGE` instead of the hyperkube image that each node holds; it needs sh, awk and coreutils"},
		&cli.StringFlag{Name: flagNamespace, Value: nodes.DefaultNamespace, Usage: "`NAMESPACE` of the check's pods"},
		&cli.IntFlag{Name: flagNodesAtOnce, Value: nodes.DefaultParallel, Usage: "look at up to `N` nodes of a cluster at a time"},
		&cli.DurationFlag{Name: flagNodeTimeout, Value: nodes.DefaultTimeout, Usage: "how long the look at one node may take"},
	}
}

// nodeWords are those of nodeFlags that were given, as they are typed.
func nodeWords(c *cli.Context) string { return words(given(c, nodeFlagNames...), nodeFlagNames...) }

var nodeFlagNames = []string{flagForVersion, flagProbeImage, flagNamespace, flagNodesAtOnce, flagNodeTimeout}

// nodeLook reads nodeFlags.
func (a *app) nodeLook(c *cli.Context, client *rancher.Client) (*fleet.NodeLook, error) {
	look := &fleet.NodeLook{Rancher: client, Clock: a.clock, Query: nodes.Query{
		ProbeImage: c.String(flagProbeImage), Namespace: c.String(flagNamespace),
		Parallel: c.Int(flagNodesAtOnce), Timeout: c.Duration(flagNodeTimeout),
	}}
	if c.Int(flagNodesAtOnce) < 1 || c.Duration(flagNodeTimeout) <= 0 {
		return nil, usagef("rkepatch "+c.Command.FullName()+" --help shows the defaults", "--%s and --%s must be positive", flagNodesAtOnce, flagNodeTimeout)
	}
	if text := c.String(flagForVersion); text != "" {
		v, err := kubelet.ParseVersion(text)
		if err != nil || v.Major != 1 || v.Before(1, 20) {
			return nil, usagef("such as 1.27", "--%s %q is no Kubernetes version that this program knows the rules of", flagForVersion, text)
		}
		look.ForVersion = v
	}
	return look, nil
}

// visit takes look to the nodes of the selected clusters and shows what it
// reports. bad is the exit code for findings that block.
func (a *app) visit(c *cli.Context, prepare func(*fleet.NodeLook) error, look fleet.Look, bad int) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	if err := a.checkNodeFlags(c); err != nil {
		return err
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	l, err := a.nodeLook(c, s.planner.Rancher)
	if err != nil {
		return err
	}
	if err := prepare(l); err != nil {
		return err
	}
	l.Say = func(cl *rancher.Cluster, text string) { a.logs.step(cl.ID, cl.Name, text) }
	code, seen := ExitOK, 0
	doc := report.NodesJSON{Head: s.head}
	text := a.text(a.streams.Out)
	var failure error
	for found, err := range l.Visit(c.Context, s.planner, sel, look) {
		if err != nil {
			failure = err
			break
		}
		seen++
		if found.Blocked() {
			code = bad
		}
		if s.json {
			doc.Add(found)
		} else {
			text.Nodes(found)
		}
	}
	if failure == nil && seen == 0 {
		failure = noneSelected()
	}
	if s.json {
		doc.ExitCode = code
		if failure != nil {
			doc.ExitCode = exitCode(c.Context, io.Discard, failure)
		}
		if err := doc.Write(a.streams.Out); err != nil {
			return err
		}
	}
	switch {
	case failure != nil:
		return failure
	case code != ExitOK:
		return exitError(code)
	}
	return nil
}

// checkNodeFlags refuses what would be sent to a cluster and cannot be meant.
func (a *app) checkNodeFlags(c *cli.Context) error {
	for _, name := range []string{flagProbeImage, flagRehearsalImage, flagFromImage} {
		if ref := c.String(name); strings.ContainsAny(ref, " \t\r\n'\"") || strings.Contains(ref, "://") {
			return usagef("such as registry.example.com/team/image:tag", "--%s %q is no image reference", name, ref)
		}
	}
	if c.IsSet(flagRehearsalImage) && !c.Bool(flagRehearse) {
		return usagef("add --"+flagRehearse, "--%s belongs to --%s", flagRehearsalImage, flagRehearse)
	}
	return nil
}

func (a *app) nodesCheckCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "would every kubelet start with the flags, now and after the upgrade",
		ArgsUsage: "[NAME...]",
		Description: "Runs a short-lived pod on each Linux node, reads the provider's config and binaries there, asks each binary\n" +
			"which API it speaks, and judges them by the rules of the node's kubelet and of later ones. Nothing on the\n" +
			"nodes is changed, no credentials are fetched unless with --rehearse. Exit code 3 when a kubelet would not start.\n\n" +
			"It needs a token that may, in each cluster: " + strings.Join(nodes.Permissions(), "; ") + ".\n\n" +
			"Examples:\n" +
			"  rkepatch nodes check prod-eu\n" +
			"  rkepatch nodes check --for-version 1.28 'prod-*'\n" +
			"  rkepatch nodes check --rehearse prod-eu            also fetch credentials on each node",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagRehearse, Usage: "run the provider as each kubelet would, for an image that the cluster uses, and see whether credentials come back; they do not leave the node"},
			&cli.StringFlag{Name: flagRehearsalImage, Usage: "rehearse for `IMAGE`"},
		}, nodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.nodesCheck,
	}
}

func (a *app) nodesCheck(c *cli.Context) error {
	return a.visit(c, func(l *fleet.NodeLook) error {
		l.Query.Rehearse, l.Query.RehearseImage = c.Bool(flagRehearse), c.String(flagRehearsalImage)
		return nil
	}, func(ctx context.Context, checker *nodes.Checker, ask fleet.Ask) ([]nodes.NodeReport, error) {
		return checker.Check(ctx, ask.Query)
	}, ExitBlocked)
}
