package fleet

import (
	"path"

	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// ProviderPatch is the patch that turns the image credential provider on: both
// flags, and the binds that make binDir and the directory of configFile visible
// inside the kubelet's container, read-only.
func ProviderPatch(binDir, configFile string) rkeconfig.Patch {
	configDir := path.Dir(configFile)
	p := rkeconfig.Patch{
		Args: map[string]string{
			kubelet.FlagProviderConfig: configFile,
			kubelet.FlagProviderBinDir: binDir,
		},
		Binds: []string{binDir + ":" + binDir + ":ro"},
	}
	if configDir != binDir {
		p.Binds = append(p.Binds, configDir+":"+configDir+":ro")
	}
	return WithProviderRules(p)
}

// WithProviderRules tells a patch that sets the provider's flags what is
// special about them: they only work together, another value means that another
// provider is in use, and the kubelet opens both paths.
func WithProviderRules(p rkeconfig.Patch) rkeconfig.Patch {
	if !setsProvider(p) {
		return p
	}
	p.Groups = []rkeconfig.Group{{
		Args: []string{kubelet.FlagProviderConfig, kubelet.FlagProviderBinDir},
		Half: Finding{
			Code: "half-configured", Severity: Warn,
			Message: "only one of the two provider flags is set: a kubelet that is started like that exits at once",
			Todo:    "find out who set it; the patch adds the other one",
		},
		Incomplete: Finding{
			Code: "provider-incomplete", Severity: Block,
			Message: "the patch would leave only one of the two provider flags set: a kubelet that is started like that exits at once",
			Todo:    "set both in the patch",
		},
		Taken: Finding{
			Code: "provider-already-configured", Severity: Block,
			Message: "the kubelets already use another credential provider config; the kubelet takes only one file",
			Todo:    "add the ECR provider to the providers list of that file on every node, or name the flag in --replace-arg to give the other one up",
		},
		Paths: []string{kubelet.FlagProviderConfig, kubelet.FlagProviderBinDir},
		Unmounted: Finding{
			Code: "provider-not-mounted", Severity: Block,
			Message: "nothing mounts a path of the provider flags into the kubelet's container: a kubelet that is started like that exits at once",
			Todo:    "add a bind for the directory to the patch, or use one under /var/lib/rancher, which every kubelet sees",
		},
	}}
	return p
}
