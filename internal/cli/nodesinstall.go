package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/nodes"
	"rkepatch/internal/nodescript"
)

const (
	flagFromImage     = "from-image"
	flagFromImagePath = "from-image-path"
	flagReplace       = "replace"
	flagProxy         = "proxy"
	flagNoProxy       = "no-proxy"
)

func (a *app) nodesInstallCommand() *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "put the provider and its config on every node that needs them",
		ArgsUsage: "[NAME...]",
		Description: "Does what the script of `rkepatch nodes script` does, through a pod on each node that the check finds wanting,\n" +
			"one node at a time, and checks it again; a node that is right is not touched. The first failure stops.\n" +
			"Nodes that join later need the script in their image or node template.\n\n" +
			"Examples:\n" +
			"  rkepatch nodes install prod-eu\n" +
			"  rkepatch nodes install --mirror 'https://mirror.example.com/{tag}/{arch}' prod-us              without the internet\n" +
			"  rkepatch nodes install --proxy http://proxy.example.com:3128 --no-proxy .example.com prod-eu",
		Flags: concat([]cli.Flag{
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			&cli.StringFlag{Name: flagFromImage, Usage: "take the binary out of `IMAGE` instead of downloading it; its checksum is verified all the same"},
			&cli.StringFlag{Name: flagFromImagePath, Usage: "where `FILE` lies in that image (default: the provider's name, in the root directory)"},
			&cli.StringFlag{Name: flagProxy, Usage: "download through the HTTP proxy at `URL`, without credentials in it"},
			&cli.StringFlag{Name: flagNoProxy, Usage: "`HOSTS` to reach without the proxy, such as .example.com,10.0.0.0/8"},
			&cli.BoolFlag{Name: flagReplace, Usage: "replace a different binary or config that is there; a backup is kept"},
		}, scriptFlags(), nodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.nodesInstall,
	}
}

func (a *app) nodesInstall(c *cli.Context) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	o, registry, err := a.scriptOptions(c)
	if err != nil {
		return err
	}
	o.Local = c.String(flagFromImage) != ""
	fromPath := "/" + registry.Provider
	if c.IsSet(flagFromImagePath) {
		fromPath = c.String(flagFromImagePath)
	}
	var script bytes.Buffer
	if err := nodescript.Write(&script, o); err != nil {
		return err
	}
	if !c.Bool(flagYes) {
		if !a.streams.Terminal {
			return usagef("look first with rkepatch nodes check, then say --yes", "there is no terminal to ask on")
		}
		to := o.BinDir + " and " + o.ConfigFile
		if c.Bool(flagMerge) {
			to += ", or where the kubelets have a provider config already,"
		}
		fmt.Fprintf(a.streams.Err, "Install %s to %s on every node of %s that lacks it? Only \"yes\" is taken for an answer: ",
			strings.TrimSpace(registry.Provider+" "+o.Release), to, inWords(sel))
		answer, err := a.readLine(c.Context)
		if err != nil {
			return err
		}
		if answer != "yes" {
			fmt.Fprintln(a.streams.Err, "rkepatch: nothing was changed")
			return exitError(ExitError)
		}
	}
	proxy := map[string]string{}
	for name, value := range map[string]string{"HTTPS_PROXY": c.String(flagProxy), "HTTP_PROXY": c.String(flagProxy), "NO_PROXY": c.String(flagNoProxy)} {
		if value != "" {
			proxy[name] = value
		}
	}
	atOnce := 0 // Install has a default of its own
	if c.IsSet(flagNodesAtOnce) {
		atOnce = c.Int(flagNodesAtOnce)
	}
	err = a.visit(c, func(l *fleet.NodeLook) error {
		l.Query.Parallel = atOnce
		return nil
	}, func(ctx context.Context, checker *nodes.Checker, ask fleet.Ask) ([]nodes.NodeReport, error) {
		return checker.Install(ctx, nodes.InstallQuery{
			Query: ask.Query, Script: script.Bytes(), Registry: registry, Merge: c.Bool(flagMerge), URL: c.String(flagMirror),
			FromImage: c.String(flagFromImage), FromImagePath: fromPath, Replace: c.Bool(flagReplace), Proxy: proxy,
		})
	}, ExitFailed)
	if err == nil {
		fmt.Fprintln(a.streams.Err, "rkepatch: nodes that join later need the script in their image or node template: rkepatch nodes script --help")
	}
	return err
}
