package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
)

const (
	flagAll     = "all"
	flagLabel   = "label"
	flagKube    = "kubernetes-version"
	flagExclude = "exclude"
)

func selectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: flagAll, Usage: "every RKE1 cluster that the token can see"},
		&cli.StringSliceFlag{Name: flagLabel, Aliases: []string{"l"}, Usage: "clusters with `KEY=VALUE` (a label selector; may be repeated, all must hold)"},
		&cli.StringFlag{Name: flagKube, Usage: "clusters on these versions, such as `'<1.27'` or '>=1.24,<1.27'"},
		&cli.StringSliceFlag{Name: flagExclude, Usage: "leave out clusters of this `NAME`, id or glob (may be repeated)"},
	}
}

// selection reads the flags and names; it may be empty.
func selection(c *cli.Context) fleet.Selection {
	return fleet.Selection{
		Names: c.Args().Slice(), All: c.Bool(flagAll), Label: strings.Join(c.StringSlice(flagLabel), ","),
		KubernetesVersion: c.String(flagKube), Exclude: c.StringSlice(flagExclude),
	}
}

// mustSelect is for commands that look closely or change something: saying
// nothing never means all clusters.
func mustSelect(c *cli.Context) (fleet.Selection, error) {
	s := selection(c)
	if s.Empty() {
		return s, usagef("give names, ids or globs, --label k=v, --kubernetes-version '<1.27', or --all; rkepatch clusters lists what there is", "no cluster selected")
	}
	return s, nil
}

// inWords gives a selection as it is typed.
func inWords(s fleet.Selection) string {
	var parts []string
	if s.All {
		parts = append(parts, "--"+flagAll)
	}
	for _, f := range []struct{ name, value string }{{flagLabel, s.Label}, {flagKube, s.KubernetesVersion}} {
		if f.value != "" {
			parts = append(parts, "--"+f.name, shellWord(f.value))
		}
	}
	for _, name := range s.Exclude {
		parts = append(parts, "--"+flagExclude, shellWord(name))
	}
	for _, name := range s.Names {
		parts = append(parts, shellWord(name))
	}
	return strings.Join(parts, " ")
}
