package fleet

import (
	"fmt"
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
			Todo:    "say --merge-provider-config to add the provider to that file, or name the flag in --replace-arg to give the other one up",
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

// joinsFinding is about a cluster whose kubelets keep the config that they have.
var joinsFinding = Finding{
	Code: "provider-joins-others", Severity: Warn,
	Message: "the kubelets keep the provider config and bin dir that they have; the provider is to be added to that file, which they read only when they start",
	Todo: "rkepatch nodes install --merge-provider-config; then restart the kubelets one node at a time, or let the next upgrade of Kubernetes do it: " +
		"their arguments stay, so Rancher restarts none",
}

// patchFor gives the patch for a cluster with this config: with MergeConfig, what
// both provider flags say today is what they are to say.
func (p *Planner) patchFor(doc rkeconfig.Document) rkeconfig.Patch {
	args := doc.ExtraArgs()
	config, binDir := args[kubelet.FlagProviderConfig], args[kubelet.FlagProviderBinDir]
	switch {
	case !p.MergeConfig || config == "" || binDir == "":
		return p.Patch
	case config == p.Patch.Args[kubelet.FlagProviderConfig] && binDir == p.Patch.Args[kubelet.FlagProviderBinDir]:
		return p.Patch
	}
	return WithProviderRules(rkeconfig.Patch{Args: map[string]string{kubelet.FlagProviderConfig: config, kubelet.FlagProviderBinDir: binDir}})
}

// joins says of a cluster for which there is nothing to change that its nodes
// have a config to which the provider is to be added.
func (p *Planner) joins(merged rkeconfig.Result) []Finding {
	if !p.MergeConfig || merged.State != rkeconfig.Patched {
		return nil
	}
	args := merged.Document.ExtraArgs()
	f := joinsFinding
	f.Message = fmt.Sprintf("the kubelets keep %.120q and %.120q; the provider is to be added to that file, which they read only when they start",
		args[kubelet.FlagProviderConfig], args[kubelet.FlagProviderBinDir])
	return []Finding{f}
}
