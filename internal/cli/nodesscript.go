package cli

import (
	"fmt"
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
)

// scriptFlags say what is installed on a node.
func scriptFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRelease, Value: nodescript.DefaultRelease, Usage: "`TAG` of the provider; the checksums of " + releases() + " are known"},
		&cli.StringFlag{Name: flagMirror, Usage: "download the binary from `URL`, in which {tag} and {arch} are filled in; its checksum is verified all the same"},
		&cli.StringSliceFlag{Name: flagSHA256, Usage: "checksum of the binary, as `ARCH=SUM` (amd64, arm64), for a release that is not known"},
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
			&cli.StringFlag{Name: flagForVersion, Usage: "write the config for kubelets from the present one up to `VERSION` (default: 1.27)"},
		}, scriptFlags(), patchFlags()[:3]),
		Action: a.nodesScript,
	}
}

func (a *app) nodesScript(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("the script is the same for every cluster", "nodes script takes no names, got %q", c.Args().First())
	}
	o, err := a.scriptOptions(c)
	if err != nil {
		return err
	}
	o.DockerInstall = c.String(flagDockerInstall)
	name := c.String(flagFile)
	if name == "" {
		return nodescript.Write(a.streams.Out, o)
	}
	f, err := wholefile.Create(name, 0o755)
	if err != nil {
		return usagef("give a path in a directory that exists", "writing the script: %s", err)
	}
	defer f.Abort()
	if err := nodescript.Write(f, o); err != nil {
		return err
	}
	if err := f.Replace(); err != nil {
		return fmt.Errorf("writing the script: %w", err)
	}
	return nil
}

// scriptOptions reads scriptFlags and the paths, and builds the config.
func (a *app) scriptOptions(c *cli.Context) (nodescript.Options, error) {
	o := nodescript.Options{
		BinDir: c.String(flagBinDir), ConfigFile: c.String(flagProviderConfig),
		Release: c.String(flagRelease), URL: c.String(flagMirror), SHA256: map[string]string{},
	}
	for _, pair := range c.StringSlice(flagSHA256) {
		arch, sum, ok := strings.Cut(pair, "=")
		if !ok {
			return o, usagef("such as --sha256 amd64=7644623e…", "--%s %q is not ARCH=SUM", flagSHA256, pair)
		}
		o.SHA256[arch] = sum
	}
	api := kubelet.API(c.String(flagProviderAPI))
	version := kubelet.Version{Major: 1, Minor: 27}
	if text := c.String(flagForVersion); text != "" {
		v, err := kubelet.ParseVersion(text)
		if err != nil {
			return o, usagef("such as 1.27", "--%s %q is no Kubernetes version", flagForVersion, text)
		}
		version = v
	}
	config, err := kubelet.BuildConfig(version, api)
	if err != nil {
		return o, usagef("released providers speak v1 (from v1.27.1 on) or v1alpha1 (before)", "%s", err)
	}
	o.Config = config
	return o, nil
}
