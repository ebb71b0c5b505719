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
	flagProvider       = "provider"
	flagBinDir         = "bin-dir"
	flagProviderConfig = "provider-config"
	flagProviderAPI    = "provider-api"
	flagPatch          = "patch"
	flagReplaceArg     = "replace-arg"
	flagMerge          = "merge-provider-config"
)

// providerFlags say which provider is wanted, and where it lies on the nodes.
func providerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagProvider, Value: string(kubelet.ECR), Usage: "`WHOSE` registries the provider is for: ecr, acr or gcp"},
		&cli.StringFlag{Name: flagBinDir, Value: kubelet.DefaultBinDir, Usage: "`DIR` on the nodes that holds the provider binary; for acr and gcp by default /var/lib/rancher/credentialprovider/bin"},
		&cli.StringFlag{Name: flagProviderConfig, Value: kubelet.DefaultProviderConfig, Usage: "`FILE` on the nodes with the CredentialProviderConfig; for acr and gcp by default /var/lib/rancher/credentialprovider/config.yaml"},
		&cli.StringFlag{Name: flagProviderAPI, Value: string(kubelet.APIv1), Usage: "`VERSION` of the provider API that this file names: v1 or v1alpha1"},
	}
}

func patchFlags() []cli.Flag {
	return append(providerFlags(),
		&cli.StringFlag{Name: flagPatch, Usage: "merge the kubelet snippet in `FILE` (YAML) instead of the provider's flags; - is stdin"},
		&cli.StringSliceFlag{Name: flagReplaceArg, Usage: "allow the present value of kubelet argument `NAME` to be replaced (may be repeated)"},
		&cli.BoolFlag{Name: flagMerge, Usage: "where the kubelets have a provider config already, keep its path and bin dir and add the provider to that file"},
	)
}

// wantedProvider reads providerFlags.
func wantedProvider(c *cli.Context) (kubelet.Registry, kubelet.API, error) {
	r, ok := kubelet.RegistryByKind(kubelet.Kind(c.String(flagProvider)))
	if !ok {
		return r, "", usagef("ecr, acr or gcp", "--%s %q is none that this program knows", flagProvider, c.String(flagProvider))
	}
	if c.IsSet(flagBinDir) {
		r.BinDir = c.String(flagBinDir)
	}
	if c.IsSet(flagProviderConfig) {
		r.Config = c.String(flagProviderConfig)
	}
	api := kubelet.API(c.String(flagProviderAPI))
	if api != kubelet.APIv1 && api != kubelet.APIv1alpha1 {
		return r, "", usagef("released providers speak v1 (ECR's from v1.27.1 on) or v1alpha1 (before)", "--%s %q is not a provider API version", flagProviderAPI, string(api))
	}
	return r, api, nil
}

// maxPatchBytes is far above any kubelet snippet and far below what would hurt.
const maxPatchBytes = 1 << 20

// planner reads what is wanted from the flags.
func (a *app) planner(c *cli.Context, client *rancher.Client) (*fleet.Planner, error) {
	registry, api, err := wantedProvider(c)
	if err != nil {
		return nil, err
	}
	patch, err := a.readPatch(c, registry)
	if err != nil {
		return nil, err
	}
	kind := registry.Kind
	if c.String(flagPatch) != "" && !c.IsSet(flagProvider) {
		kind = "" // the snippet does not say whose provider it is for
	}
	replace := c.StringSlice(flagReplaceArg)
	switch {
	case c.Bool(flagMerge) && c.String(flagPatch) != "":
		return nil, usagef("use one of them", "--%s is for the provider's own flags, not for those of --%s", flagMerge, flagPatch)
	case c.Bool(flagMerge) && (slices.Contains(replace, kubelet.FlagProviderConfig) || slices.Contains(replace, kubelet.FlagProviderBinDir)):
		return nil, usagef("use one of them", "--%s keeps what --%s gives up", flagMerge, flagReplaceArg)
	}
	for _, name := range replace {
		if _, ok := patch.Args[name]; !ok {
			return nil, usagef("name one of the arguments that the patch sets, without leading dashes", "--%s %q: the patch does not set that argument", flagReplaceArg, name)
		}
	}
	p := &fleet.Planner{
		Rancher: client, Patch: patch, ReplaceArgs: replace, API: api, Provider: kind, MergeConfig: c.Bool(flagMerge), Strict: c.Bool(flagStrict),
	}
	if c.Bool(flagReadURL) {
		p.ReadScript = readScript
	}
	return p, nil
}

func (a *app) readPatch(c *cli.Context, registry kubelet.Registry) (rkeconfig.Patch, error) {
	file := c.String(flagPatch)
	if file == "" {
		for _, f := range []struct{ name, path string }{{flagBinDir, registry.BinDir}, {flagProviderConfig, registry.Config}} {
			if !path.IsAbs(f.path) || path.Clean(f.path) != f.path || strings.ContainsAny(f.path, ": ,\t\n") {
				return rkeconfig.Patch{}, usagef("a plain absolute path such as /opt/aws/bin, without trailing slash, colon, comma or space", "--%s %q cannot be a path on a node", f.name, f.path)
			}
		}
		return fleet.ProviderPatch(registry.BinDir, registry.Config), nil
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
