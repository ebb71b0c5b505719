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
	judge   func(*facts) Result
}

// checks is the table, in the order in which things are to be mended.
var checks = []check{
	{checkRancher, "Rancher can change the cluster, and it is healthy", rancherCheck},
	{checkRegistries, "which registries its workloads pull from, and who needs the kubelet's own login", registriesCheck},
	{checkNodes, "every node holds a provider and a config that kubelets up to the version accept", nodesCheck},
	{checkServed, "that config serves every registry that is used", servedCheck},
	{checkNewNodes, "a node that is made tomorrow comes up with the provider", newNodesCheck},
	{checkPatched, "the kubelets are told of the provider, and that is rolled out", patchedCheck},
	{checkFlags, "no argument or feature gate of the kubelets is refused by a kubelet up to the version", flagsCheck},
	{checkCloud, "the cloud provider is one that RKE takes at the version", cloudCheck},
	{checkWindows, "Windows nodes are not handed what is for Linux, and do not lose a login", windowsCheck},
	{checkTemplate, "an RKE template does not stand in the way", templateCheck},
	{checkKubelets, "the kubelets are those of the cluster's version", kubeletsCheck},
	{checkVersion, "the cluster's version is known, and Rancher offers the one that is asked for", versionCheck},
	{checkOrder, "the version is the next one: Kubernetes goes one minor version at a time", orderCheck},
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
	r := Result{Status: NotApplicable, Message: "the cluster is none that this program can judge"}
	if f.cluster != nil || c.id == checkRancher {
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

// nobodyNeeds is why the provider does not matter.
const nobodyNeeds = "no workload needs a login of the kubelet's, and the kubelets are not told of a provider"

func rancherCheck(f *facts) Result {
	if f.unread != nil {
		return unknown("check again", "it could not be read: %s", f.unread)
	}
	return ready("Rancher can change it, state %s", f.plan.State)
}

func registriesCheck(f *facts) Result {
	if f.use == nil {
		return unknown("see that the cluster is active in Rancher and that the token is a cluster owner's, then check again",
			"what its workloads pull could not be read: %s", f.useErr)
	}
	text := usage(f)
	gaps := f.use.Gaps
	if f.need() == perhapsNeeded && !f.configured() {
		gaps = append(gaps[:len(gaps):len(gaps)], f.use.SecretGaps...)
	}
	if len(gaps) > 0 {
		return unknown("use a token of a cluster owner, who may list workloads and secrets everywhere, then check again",
			"%s", strings.TrimPrefix(text+"; ", "; ")+strings.Join(gaps, "; "))
	}
	if text == "" {
		text = fmt.Sprintf("nothing is pulled from a registry whose login kubelets lose up to %s", f.target)
	}
	return ready("%s", text)
}

// usage says who pulls from the registries whose login kubelets lose, "" when
// nobody does.
func usage(f *facts) string {
	var parts []string
	for _, r := range f.use.Registries {
		row, away := f.takenAway(r.Kind)
		if !away {
			continue
		}
		text := fmt.Sprintf("%s from %s (%s)", users(r.Pods, r.Idle, r.CronJobs), shown(r.Host), row.Name)
		if r.Covered > 0 {
			text += fmt.Sprintf(", %d of them with a pull secret", r.Covered)
			if r.Kind == kubelet.ECR {
				text += " (ECR's expire after 12 hours: something must renew it)"
			}
		}
		if r.Unsure > 0 {
			text += fmt.Sprintf(", %d of them with pull secrets that could not be read", r.Unsure)
		}
		parts = append(parts, text)
	}
	if len(parts) > 3 {
		parts = append(parts[:3], fmt.Sprintf("%d more such registries", len(parts)-3))
	}
	return strings.Join(parts, "; ")
}

func users(pods, idle, cronJobs int) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{pods, "pod"}, {idle, "idle workload"}, {cronJobs, "CronJob"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func nodesCheck(f *facts) Result {
	switch {
	case !f.concerned():
		return notApplicable(nobodyNeeds)
	case f.look == nil:
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

func servedCheck(f *facts) Result {
	used := f.unserved()
	switch {
	case f.use == nil:
		return unknown("", "which registries are used is not known")
	case !used.any:
		return notApplicable(fmt.Sprintf("nothing needs the kubelet's login to a registry that kubelets lose up to %s", f.target))
	case f.look == nil:
		return unknown("check again when the cluster is active", "no config was seen: %s", f.unlooked)
	case used.unseen > 0 || used.configs == 0:
		return unknown("", "the config of %s was not seen", count(used.unseen, "node"))
	case len(used.ecr) > 0:
		return notReady("add the registry to matchImages: rkepatch nodes install writes all of ECR's patterns; then check again",
			"the config on the nodes has no pattern for %s", enumerate(used.ecr))
	case len(used.others) > 0:
		return unknown("give those pods a pull secret or the nodes a provider for that registry, or see that the images there are public",
			"the config on the nodes has no pattern for %s, whose built-in login kubelets lose up to %s; whether the images there need a login is not known",
			enumerate(used.others), f.target)
	}
	return ready("the config on every node has a pattern for each registry that is used")
}

// unserved is what the configs on the nodes leave out.
type unserved struct {
	any         bool     // something needs a login
	ecr, others []string // hosts
	unseen      int      // nodes whose config is not known
	configs     int      // different ones that were seen
}

func (f *facts) unserved() unserved {
	var out unserved
	if f.use == nil {
		return out
	}
	configs := map[string]bool{}
	if f.look != nil {
		for _, n := range f.look.Nodes {
			switch {
			case n.OS == "windows":
			case n.Provider == nil || n.Provider.ConfigState != kubelet.PathRegular || n.Provider.Config == nil:
				out.unseen++
			default:
				configs[string(n.Provider.Config)] = true
			}
		}
	}
	out.configs = len(configs)
	for _, r := range f.use.Registries {
		if _, away := f.takenAway(r.Kind); !away || r.Users() == r.Covered {
			continue
		}
		out.any = true
		repositories := r.Repositories
		if r.Truncated {
			repositories = append(repositories[:len(repositories):len(repositories)], r.Host+"/one-that-is-not-in-the-list")
		}
		for config := range configs {
			if slices.ContainsFunc(repositories, func(name string) bool { return !kubelet.Serves([]byte(config), name) }) {
				if r.Kind == kubelet.ECR {
					out.ecr = append(out.ecr, r.Host)
				} else {
					out.others = append(out.others, r.Host)
				}
				break
			}
		}
	}
	return out
}

func newNodesCheck(f *facts) Result {
	switch {
	case !f.concerned():
		return notApplicable(nobodyNeeds)
	case f.nodesErr != nil:
		return unknown("use a token of a cluster owner or an administrator", "how its nodes are made is not known: %s", f.nodesErr)
	case !f.pooled:
		return ready("its nodes are not made by Rancher; whoever adds one must put the provider into its image")
	case !f.judgesNewNodes:
		return unknown("look whether the node templates bring the provider: rkepatch nodes script writes what they need",
			"its nodes are made from templates, and whether those bring the provider was not looked at")
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
	case f.need() == notNeeded:
		return notApplicable(nobodyNeeds)
	case f.need() == perhapsNeeded:
		return unknown(todo+", unless no image there needs a login of the kubelet's", "the kubelets are not told of a provider, and whether one is needed is not known")
	}
	return notReady(todo, "the kubelets are not told of a provider")
}

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
