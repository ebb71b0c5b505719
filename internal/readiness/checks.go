package readiness

import (
	"fmt"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

// The ids of the checks: stable, the columns of the picture.
const (
	checkRancher    = "rancher"
	checkVersion    = "version"
	checkRegistries = "registries"
	checkNodes      = "node-files"
	checkServed     = "served"
	checkPatched    = "patched"
	checkKubelets   = "kubelets"
	checkNewNodes   = "new-nodes"
	checkFlags      = "flags"
	checkCloud      = "cloud-provider"
	checkWindows    = "windows"
	checkTemplate   = "template"
	checkOrder      = "order"
)

// check is one row of the table. judge says what it comes to before findings are
// looked at; the worst of both counts.
type check struct {
	id      string
	meaning string
	// provider: it matters only where the credential provider does.
	provider bool
	judge    func(*facts) Result
}

// checks is the table, in the order in which things are to be mended.
var checks = []check{
	{checkRancher, "Rancher can change the cluster, and it is healthy", false, rancherCheck},
	{checkRegistries, "which registries its workloads pull from, and who needs the kubelet's own login", false, registriesCheck},
	{checkNodes, "every node holds a provider and a config that kubelets up to the version accept", true, nodesCheck},
	{checkServed, "that config serves every registry that is used", true, servedCheck},
	{checkNewNodes, "a node that is made tomorrow comes up with the provider", true, newNodesCheck},
	{checkPatched, "the kubelets are told of the provider, and that is rolled out", true, patchedCheck},
	{checkFlags, "no argument or feature gate of the kubelets is refused by a kubelet up to the version", false, flagsCheck},
	{checkCloud, "the cloud provider is one that RKE takes at the version", false, cloudCheck},
	{checkWindows, "Windows nodes are not handed what is for Linux, and do not lose a login", false, windowsCheck},
	{checkTemplate, "an RKE template does not stand in the way", false, templateCheck},
	{checkKubelets, "the kubelets are those of the cluster's version", false, kubeletsCheck},
	{checkVersion, "the cluster's version is known, and Rancher offers the one that is asked for", false, versionCheck},
	{checkOrder, "the version is the next one: Kubernetes goes one minor version at a time", false, orderCheck},
}

// IDs lists the checks with what each asks, in the order of the table.
func IDs() (ids, meanings []string) {
	for _, c := range checks {
		ids, meanings = append(ids, c.id), append(meanings, c.meaning)
	}
	return ids, meanings
}

// judge goes through the table.
func judge(f *facts) []Result {
	out := make([]Result, 0, len(checks))
	for _, c := range checks {
		out = append(out, f.result(c))
	}
	return out
}

// result is what one check comes to, with the findings that belong to it.
func (f *facts) result(c check) Result {
	var r Result
	switch {
	case f.cluster == nil && c.id != checkRancher:
		r = notApplicable("the cluster is none that this program can judge")
	case c.provider && !f.concerned():
		r = notApplicable("no workload needs a login of the kubelet's, and the kubelets are not told of a provider")
	default:
		r = c.judge(f)
	}
	r.Check = c.id
	if r.Status == NotApplicable {
		return r
	}
	found, worst := f.placed(c.id)
	r.Findings = found
	if rank[worst] > rank[r.Status] {
		r.Status, r.Message, r.Todo = worst, found[0].Message, found[0].Todo
	}
	if c.provider && r.Status == NotReady && f.perhapsToPatch() {
		r.Status = Unknown // it may be that nobody needs it
	}
	return r
}

func ready(format string, args ...any) Result {
	return Result{Status: Ready, Message: fmt.Sprintf(format, args...)}
}

func notApplicable(why string) Result { return Result{Status: NotApplicable, Message: why} }

func unknown(todo, format string, args ...any) Result {
	return Result{Status: Unknown, Message: fmt.Sprintf(format, args...), Todo: todo}
}

func notReady(todo, format string, args ...any) Result {
	return Result{Status: NotReady, Message: fmt.Sprintf(format, args...), Todo: todo}
}

func rancherCheck(f *facts) Result {
	if f.unread != nil {
		return unknown("check again", "it could not be read: %s", f.unread)
	}
	return ready("Rancher can change it, state %s", f.plan.State)
}

func nodesCheck(f *facts) Result {
	if f.look == nil {
		return unknown("check again when the cluster is active", "the nodes were not looked at: %s", f.unlooked)
	}
	linux := 0
	for _, n := range f.look.Nodes {
		if n.OS != "windows" {
			linux++
		}
	}
	if linux == 0 && !f.has("nodes-unreadable", "nodes-missing") {
		return unknown("look at the cluster in Rancher", "no Linux node was seen")
	}
	rehearsed := ""
	if f.rehearsed() {
		rehearsed = ", and credentials came back"
	}
	return ready("%s: a provider is there, and its config is one that kubelets up to %s accept%s", count(linux, "Linux node"), f.look.ForVersion, rehearsed)
}

func newNodesCheck(f *facts) Result {
	switch {
	case f.nodesErr != nil:
		return unknown("use a token of a cluster owner or an administrator", "how its nodes are made is not known: %s", f.nodesErr)
	case !f.pooled:
		return ready("its nodes are not made by Rancher; whoever adds one must put the provider into its image")
	}
	return ready("its node templates bring the provider")
}

func patchedCheck(f *facts) Result {
	todo := "rkepatch apply " + shown(f.plan.Name)
	switch {
	case f.configured():
		return ready("the kubelets are told of the provider: %s", shown(f.args[kubelet.FlagProviderConfig]))
	case f.half():
		return notReady(todo, "only one of the two provider flags is set: no kubelet starts like that")
	case f.need() == perhapsNeeded:
		return unknown(todo+", unless no image there needs a login of the kubelet's", "the kubelets are not told of a provider, and whether one is needed is not known")
	}
	return notReady(todo, "the kubelets are not told of a provider")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// enumerate names up to three things and counts the rest.
func enumerate(names []string) string {
	slices.Sort(names)
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}
