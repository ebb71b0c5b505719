package cli

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

const (
	flagBinDir         = "bin-dir"
	flagProviderConfig = "provider-config"
	flagProviderAPI    = "provider-api"
	flagPatch          = "patch"
	flagReplaceArg     = "replace-arg"
)

func patchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagBinDir, Value: kubelet.DefaultBinDir, Usage: "`DIR` on the nodes that holds the provider binary"},
		&cli.StringFlag{Name: flagProviderConfig, Value: kubelet.DefaultProviderConfig, Usage: "`FILE` on the nodes with the CredentialProviderConfig"},
		&cli.StringFlag{Name: flagProviderAPI, Value: string(kubelet.APIv1), Usage: "`VERSION` of the provider API that this file names: v1 or v1alpha1"},
		&cli.StringFlag{Name: flagPatch, Usage: "merge the kubelet snippet in `FILE` (YAML) instead of the ECR provider; - is stdin"},
		&cli.StringSliceFlag{Name: flagReplaceArg, Usage: "allow the present value of kubelet argument `NAME` to be replaced (may be repeated)"},
	}
}

// maxPatchBytes is far above any kubelet snippet and far below what would hurt.
const maxPatchBytes = 1 << 20

// planner reads what is wanted from the flags.
func (a *app) planner(c *cli.Context, client *rancher.Client) (*fleet.Planner, error) {
	patch, err := a.readPatch(c)
	if err != nil {
		return nil, err
	}
	api := kubelet.API(c.String(flagProviderAPI))
	if api != kubelet.APIv1 && api != kubelet.APIv1alpha1 {
		return nil, usagef("released providers speak v1 (from v1.27.1 on) or v1alpha1 (before)", "--%s %q is not a provider API version", flagProviderAPI, string(api))
	}
	replace := c.StringSlice(flagReplaceArg)
	for _, name := range replace {
		if _, ok := patch.Args[name]; !ok {
			return nil, usagef("name one of the arguments that the patch sets, without leading dashes", "--%s %q: the patch does not set that argument", flagReplaceArg, name)
		}
	}
	p := &fleet.Planner{Rancher: client, Patch: patch, ReplaceArgs: replace, API: api, Strict: c.Bool(flagStrict)}
	if c.Bool(flagReadURL) {
		p.ReadScript = readScript
	}
	return p, nil
}

func (a *app) readPatch(c *cli.Context) (rkeconfig.Patch, error) {
	file := c.String(flagPatch)
	if file == "" {
		for _, name := range []string{flagBinDir, flagProviderConfig} {
			if p := c.String(name); !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsAny(p, ": ,\t\n") {
				return rkeconfig.Patch{}, usagef("a plain absolute path such as /opt/aws/bin, without trailing slash, colon, comma or space", "--%s %q cannot be a path on a node", name, p)
			}
		}
		return fleet.ProviderPatch(c.String(flagBinDir), c.String(flagProviderConfig)), nil
	}
	if c.IsSet(flagBinDir) || c.IsSet(flagProviderConfig) {
		return rkeconfig.Patch{}, usagef("the snippet holds the paths already; drop the other flag", "--%s cannot be combined with --%s or --%s", flagPatch, flagBinDir, flagProviderConfig)
	}
	src, err := readFile(a.streams, file)
	if err != nil {
		return rkeconfig.Patch{}, usagef("give a file with a kubelet snippet, or - for stdin", "reading the patch: %s", err)
	}
	patch, err := rkeconfig.ReadPatch(src)
	if err != nil {
		return rkeconfig.Patch{}, fmt.Errorf("reading the patch %s: %w", file, err)
	}
	for name, value := range patch.Args {
		masked := rkeconfig.MaskChanges([]rkeconfig.Change{{Path: fmt.Sprintf("services.kubelet.extraArgs[%q]", name), After: value}})
		if masked[0].After == rkeconfig.Redacted {
			return patch, usagef("everybody who may see the cluster can read its kubelet arguments; let the argument name a file instead", "the patch %s sets %s, which looks like a secret", file, name)
		}
	}
	return fleet.WithProviderRules(patch), nil
}

func readFile(s Streams, file string) ([]byte, error) {
	in := s.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	src, err := readAtMost(in, maxPatchBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return slices.Clip(src), nil
}
