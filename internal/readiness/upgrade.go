package readiness

import (
	"fmt"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

func flagsCheck(f *facts) Result {
	if f.ownErr != nil {
		return unknown("", "the cluster's version is not known")
	}
	var found []string
	for _, v := range f.onTheWay() {
		for _, text := range kubelet.Refused(v, f.args) {
			if !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	if len(found) > 0 {
		return notReady("take it out of the kubelet's extra_args before the upgrade: a kubelet that is told of it does not start", "%s", strings.Join(found, "; "))
	}
	return ready("no kubelet up to %s refuses its arguments", f.target)
}

// onTheWay are the versions whose kubelets will be started: today's and each up
// to the target.
func (f *facts) onTheWay() []kubelet.Version {
	var out []kubelet.Version
	for v := f.own; v.Major == f.target.Major && v.Minor <= f.target.Minor; v.Minor++ {
		out = append(out, v)
	}
	return out
}

func cloudCheck(f *facts) Result {
	name := f.doc.Text("cloudProvider", "name")
	if name == "" {
		return ready("no cloud provider is set")
	}
	return ready("the cloud provider is %s", shown(name))
}

func windowsCheck(f *facts) Result {
	windows := f.cluster.WindowsWorkerCount
	for _, n := range f.nodes {
		if n.OS == "windows" {
			windows = max(windows, 1)
		}
	}
	switch {
	case windows == 0:
		return ready("it has no Windows nodes")
	case f.need() == notNeeded:
		return ready("it has Windows nodes, and no workload needs a login of the kubelet's")
	}
	return unknown("see by hand that pods on the Windows nodes need no login of the kubelet's, or give those nodes a provider of their own",
		"Windows nodes are not looked at: whether theirs need a provider, and have one, is not known")
}

func templateCheck(f *facts) Result {
	if r := f.cluster.TemplateRevisionID; r != nil && *r != "" {
		return ready("it comes from template revision %s; the upgrade, too, takes a new revision", shown(*r))
	}
	return ready("it does not come from an RKE template")
}

func kubeletsCheck(f *facts) Result {
	switch {
	case f.nodesErr != nil:
		return unknown("use a token of a cluster owner or an administrator", "the versions of the kubelets are not known: %s", f.nodesErr)
	case f.ownErr != nil:
		return unknown("", "the cluster's version is not known")
	case len(f.nodes) == 0:
		return unknown("wait until its nodes have registered", "Rancher lists no nodes")
	}
	var unread, others []string
	for _, n := range f.nodes {
		switch v, err := kubelet.ParseVersion(n.KubeletVersion); {
		case err != nil:
			unread = append(unread, shown(n.Name))
		case v != f.own:
			others = append(others, fmt.Sprintf("%s (%s)", shown(n.Name), shown(n.KubeletVersion)))
		}
	}
	switch {
	case len(others) > 0:
		return notReady("finish the last upgrade on these nodes, or remove them",
			"not all kubelets are those of %s: %s", f.own, enumerate(others))
	case len(unread) > 0:
		return unknown("wait until these nodes have joined, or remove them", "the kubelet's version is not known of %s", enumerate(unread))
	}
	return ready("all %s run %s", count(len(f.nodes), "kubelet"), f.own)
}

func versionCheck(f *facts) Result {
	if f.ownErr != nil {
		return unknown("set kubernetes_version to a full version of Rancher's, such as v1.26.15-rancher1-1", "%s", f.ownErr)
	}
	if f.own == f.target || f.offered == nil {
		return ready("it runs %s", shown(f.plan.KubernetesVersion))
	}
	for _, o := range f.offered {
		if v, err := kubelet.ParseVersion(o); err == nil && v == f.target {
			return ready("it runs %s; this Rancher offers %s", shown(f.plan.KubernetesVersion), shown(o))
		}
	}
	return notReady("upgrade Rancher, or its Kubernetes metadata, first", "this Rancher offers no %s for RKE1: %s", f.target, enumerate(slices.Clone(f.offered)))
}

func orderCheck(f *facts) Result {
	switch next := f.own.Minor + 1; {
	case f.ownErr != nil:
		return unknown("", "the cluster's version is not known")
	case !f.own.Before(f.target.Major, f.target.Minor):
		return ready("it runs %s already", f.own)
	case f.own.Before(1, 26) && f.toPatch():
		return notReady("go by the steps", "first to 1.26: %s", why126)
	case next < f.target.Minor:
		return notReady("go by the steps, and check for 1."+fmt.Sprint(next)+" first",
			"it runs %s: Kubernetes goes one minor version at a time, so 1.%d comes first", f.own, next)
	}
	return ready("%s is the next version after %s", f.target, f.own)
}
