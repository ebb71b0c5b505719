package readiness

import (
	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/pulls"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// facts is everything that the checks look at.
type facts struct {
	target kubelet.Version
	plan   *fleet.ClusterPlan

	unread error // the cluster could not be read again

	// cluster is nil for one that could not be read or is none of ours; then
	// nothing below is known.
	cluster *rancher.Cluster
	doc     rkeconfig.Document // as it is today
	args    map[string]string  // that the kubelets get today
	own     kubelet.Version
	ownErr  error

	offered []string // versions that this Rancher offers; nil when that is not known

	use      *pulls.Use // nil when it could not be read
	useErr   error
	nodes    []*rancher.Node
	nodesErr error
	look     *fleet.ClusterNodes // nil when the nodes were not looked at
	unlooked string              // why not
	pooled   bool                // nodes are made from templates

}

// need says whether the cluster's images take a login that the target version
// does not bring.
type need int

const (
	needed need = iota
	perhapsNeeded
	notNeeded
)

// need: images of ECR need a login. For those of the other clouds nobody can
// tell: many are public there, and the built-in login worked in that cloud only.
func (f *facts) need() need {
	if f.use == nil {
		return perhapsNeeded
	}
	out := notNeeded
	for _, r := range f.use.Registries {
		switch _, away := f.takenAway(r.Kind); {
		case !away:
		case r.Kind == kubelet.ECR && r.Needs() > 0:
			return needed
		case r.Users() > r.Covered:
			out = perhapsNeeded
		}
	}
	if len(f.use.Gaps) > 0 {
		return perhapsNeeded
	}
	return out
}

// configured says that the kubelets are told of a provider today: a wrong one
// keeps them from starting, whether anybody needs it or not.
func (f *facts) configured() bool {
	return f.args[kubelet.FlagProviderConfig] != "" && f.args[kubelet.FlagProviderBinDir] != ""
}

// half says that only one of the two flags is set.
func (f *facts) half() bool {
	return !f.configured() && (f.args[kubelet.FlagProviderConfig] != "" || f.args[kubelet.FlagProviderBinDir] != "")
}

// concerned says that the credential provider matters for the cluster.
func (f *facts) concerned() bool { return f.need() != notNeeded || f.configured() || f.half() }

// toPatch says that the cluster still has to be patched, as far as is known.
func (f *facts) toPatch() bool { return !f.configured() && (f.half() || f.need() != notNeeded) }

// perhapsToPatch says that it is not known whether the cluster has to be patched.
func (f *facts) perhapsToPatch() bool {
	return !f.configured() && !f.half() && f.need() == perhapsNeeded
}

// has reports whether there is a finding with one of the codes.
func (f *facts) has(codes ...string) bool {
	for _, found := range f.findings() {
		for _, code := range codes {
			if found.Code == code {
				return true
			}
		}
	}
	return false
}

// findings are all that are known, each once.
func (f *facts) findings() []fleet.Finding {
	all := f.plan.Findings
	if f.look != nil {
		all = append(all[:len(all):len(all)], f.look.Findings...)
	}
	type key struct{ code, message string }
	seen := map[key]bool{}
	var out []fleet.Finding
	for _, found := range all {
		if k := (key{found.Code, found.Message}); !seen[k] {
			seen[k] = true
			out = append(out, found)
		}
	}
	return out
}

// takenAway says that kubelets of the target version do not log in to a registry
// by themselves any more.
func (f *facts) takenAway(kind kubelet.Kind) (kubelet.Registry, bool) {
	r, ok := kubelet.RegistryByKind(kind)
	if !ok || f.target.Before(r.Off.Major, r.Off.Minor) {
		return r, false
	}
	if f.target.Before(r.Gone.Major, r.Gone.Minor) {
		value, _ := kubelet.FeatureGate(f.args, "DisableKubeletCloudCredentialProviders")
		return r, value != "false"
	}
	return r, true
}

// rehearsed says that credentials came back on every node that was asked for
// them, and that there was one.
func (f *facts) rehearsed() bool {
	any := false
	if f.look != nil {
		for _, n := range f.look.Nodes {
			if n.Rehearsal != nil && !n.Rehearsal.OK {
				return false
			}
			any = any || n.Rehearsal != nil
		}
	}
	return any
}
