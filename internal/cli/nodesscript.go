package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
	"rkepatch/internal/wholefile"
)

const (
	flagRelease       = "release"
	flagMirror        = "mirror"
	flagSHA256        = "sha256"
	flagDockerInstall = "docker-install"
	flagFile          = "file"
	flagCloudConfig   = "cloud-config"
	flagExisting      = "existing-config"
	flagUserData      = "user-data"
)

// scriptFlags say what is installed on a node.
func scriptFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRelease, Value: nodescript.DefaultRelease, Usage: "`TAG` of the provider; the checksums of ECR's " + releases() + " are known, none of acr and gcp"},
		&cli.StringFlag{Name: flagMirror, Usage: "download the binary from `URL`, in which {tag} and {arch} are filled in; its checksum is verified all the same"},
		&cli.StringSliceFlag{Name: flagSHA256, Usage: "checksum of the binary, as `ARCH=SUM` (amd64, arm64), for a release that is not known"},
		&cli.StringFlag{Name: flagCloudConfig, Value: kubelet.DefaultCloudConfig, Usage: "`FILE` with the Azure cloud config, as the kubelet's container sees it, for --provider acr"},
	}
}

func releases() string {
	var tags []string
	for _, r := range nodescript.Releases {
		tags = append(tags, r.Tag)
	}
	return strings.Join(tags, ", ")
}

func (a *app) nodesScriptCommand() *cli.Command {
	return &cli.Command{
		Name:  "script",
		Usage: "a shell script that puts the provider and its config on a node",
		Description: "Writes one POSIX shell script for cloud-init, an image, SSH or, with --docker-install, the Docker install URL\n" +
			"of a node template. It can be run again and again, checks the binary's SHA-256, keeps what is right and never\n" +
			"replaces what is different without being told. It talks to no Rancher.\n\n" +
			"Examples:\n" +
			"  rkepatch nodes script | ssh root@worker-1 sh\n" +
			"  rkepatch nodes script --docker-install 20.10 --file install.sh",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagFile, Aliases: []string{"f"}, Usage: "write to `FILE` instead of stdout"},
			&cli.StringFlag{Name: flagDockerInstall, Usage: "make it install Docker `VERSION` (such as 20.10) afterwards, as Rancher's node templates need it"},
			&cli.StringFlag{Name: flagUserData, Usage: "pack it for the 16 KB of a machine's user data, as `FORM`: cloud-config or script"},
			&cli.StringFlag{Name: flagForVersion, Usage: "write the config for kubelets from the present one up to `VERSION` (default: 1.27)"},
			&cli.StringFlag{Name: flagExisting, Usage: "make it add the provider to the config that the nodes have, of which `FILE` is a copy; others' entries are not in the script"},
			&cli.BoolFlag{Name: flagReplace, Usage: "with --" + flagExisting + ": replace the provider's own entry in it"},
		}, scriptFlags(), providerFlags()),
		Action: a.nodesScript,
	}
}

func (a *app) nodesScript(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("the script is the same for every cluster", "nodes script takes no names, got %q", c.Args().First())
	}
	o, registry, err := a.scriptOptions(c)
	if err != nil {
		return err
	}
	if c.IsSet(flagExisting) {
		if err := a.mergeExisting(c, &o, registry); err != nil {
			return err
		}
	}
	o.DockerInstall = c.String(flagDockerInstall)
	var script bytes.Buffer
	if err := nodescript.Write(&script, o); err != nil {
		return err
	}
	text, mode := script.Bytes(), os.FileMode(0o755)
	switch form := c.String(flagUserData); form {
	case "":
	case "cloud-config":
		text, mode = nodescript.CloudConfig(text), 0o644
	case "script":
		text = nodescript.Packed(text)
	default:
		return usagef("use cloud-config, or script", "--%s %q is no form of user data", flagUserData, form)
	}
	name := c.String(flagFile)
	if name == "" {
		_, err := a.streams.Out.Write(text)
		return err
	}
	f, err := wholefile.Create(name, mode)
	if err != nil {
		return usagef("give a path in a directory that exists", "writing the script: %s", err)
	}
	defer f.Abort()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("writing the script: %w", err)
	}
	if err := f.Replace(); err != nil {
		return fmt.Errorf("writing the script: %w", err)
	}
	return nil
}

// plainPath are the paths that a config can name without quotes.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

// scriptOptions reads scriptFlags and the paths, and builds the config.
func (a *app) scriptOptions(c *cli.Context) (o nodescript.Options, registry kubelet.Registry, err error) {
	registry, api, err := wantedProvider(c)
	if err != nil {
		return o, registry, err
	}
	o = nodescript.Options{
		Provider: registry.Kind, BinDir: registry.BinDir, ConfigFile: registry.Config, URL: c.String(flagMirror), SHA256: map[string]string{},
	}
	if registry.Kind == kubelet.ECR || c.IsSet(flagRelease) {
		o.Release = c.String(flagRelease)
	}
	if c.IsSet(flagCloudConfig) {
		if registry.Kind != kubelet.ACR {
			return o, registry, usagef("drop it", "--%s is for --%s acr only", flagCloudConfig, flagProvider)
		}
		if !plainPath.MatchString(c.String(flagCloudConfig)) {
			return o, registry, usagef("an absolute path of letters, digits and . _ / -, such as "+kubelet.DefaultCloudConfig, "--%s %q cannot be a path on a node", flagCloudConfig, c.String(flagCloudConfig))
		}
		registry.Args = []string{c.String(flagCloudConfig)}
	}
	for _, pair := range c.StringSlice(flagSHA256) {
		arch, sum, ok := strings.Cut(pair, "=")
		if !ok {
			return o, registry, usagef("such as --sha256 amd64=7644623e…", "--%s %q is not ARCH=SUM", flagSHA256, pair)
		}
		o.SHA256[arch] = sum
	}
	version := kubelet.Version{Major: 1, Minor: 27}
	if text := c.String(flagForVersion); text != "" {
		v, err := kubelet.ParseVersion(text)
		if err != nil {
			return o, registry, usagef("such as 1.27", "--%s %q is no Kubernetes version", flagForVersion, text)
		}
		version = v
	}
	config, err := kubelet.BuildConfig(registry, version, api)
	if err != nil {
		return o, registry, usagef("kubelets before 1.26 take v1alpha1 only", "%s", err)
	}
	o.Config = config
	return o, registry, nil
}

// mergeExisting makes o add its provider to the config in --existing-config, and
// says with which kubelets the result works.
func (a *app) mergeExisting(c *cli.Context, o *nodescript.Options, registry kubelet.Registry) error {
	existing, err := readFile(a.streams, c.String(flagExisting))
	if err != nil {
		return usagef("give a copy of the nodes' config, or - for stdin", "reading the existing config: %s", err)
	}
	m, err := kubelet.MergeConfig(existing, registry, kubelet.API(c.String(flagProviderAPI)), c.Bool(flagReplace))
	if err != nil {
		hint := "add the entry by hand; docs/registries.md shows it"
		if errors.Is(err, kubelet.ErrEntryDiffers) {
			hint = "--" + flagReplace + " puts the new entry in its place"
		}
		return usagef(hint, "merging into %s: %s", c.String(flagExisting), err)
	}
	node := kubelet.Provider{ConfigPath: o.ConfigFile, ConfigState: kubelet.PathRegular, Config: m.Config, BinDir: o.BinDir, BinDirState: kubelet.PathDirectory}
	target := registry.Gone
	if text := c.String(flagForVersion); text != "" {
		if target, err = kubelet.ParseVersion(text); err != nil {
			return err // scriptOptions has read it
		}
	}
	if refusal := kubelet.Start(target, node); refusal != nil {
		return usagef("mend the existing config first", "a %s kubelet would not start with the merged config: %s", target, refusal.Reason)
	}
	first := target
	for first.Minor > 20 && kubelet.Start(kubelet.Version{Major: 1, Minor: first.Minor - 1}, node) == nil {
		first.Minor--
	}
	fmt.Fprintf(a.streams.Err, "rkepatch: kubelets from %s to %s start with the merged config; they read it when they start, so restart them one node at a time, or let the next upgrade do it\n", first, target)
	o.Merge = &nodescript.Merge{Edit: m.Edit, Old: existing, New: m.Config}
	return nil
}
