package fleet

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// NodeCheck looks at the nodes of a cluster: before a change, whether a kubelet
// with it would start, and after it, whether the kubelets run with it. A finding
// that blocks stops the cluster there.
type NodeCheck interface {
	// Check looks for what a kubelet with the arguments and binds of doc needs.
	Check(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document) []Finding
	// Verify looks at the running kubelets, to which doc was rolled out since then.
	// looked is false when there was nothing to look for or not every node could
	// be seen.
	Verify(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document, since time.Time) (found []Finding, looked bool)
}

// NodeLook is NodeCheck over Rancher's proxy to each cluster.
type NodeLook struct {
	Rancher *rancher.Client
	// ForVersion is the later kubelet that must accept what is on the nodes, too.
	// Zero is the first without the provider's built-in login, or the cluster's own
	// if that is later.
	ForVersion kubelet.Version
	Query      nodes.Query // ProbeImage, Namespace, Parallel, Timeout Provider and ProviderAPI, see Want; the rest is filled in
	// Changed says when clusters were last changed, by id, for Visit; see LastSent.
	Changed map[string]time.Time
	// Applied makes Visit compare, too, what Rancher says is applied.
	Applied bool
	Clock   Clock
	Say     func(cl *rancher.Cluster, text string) // of every step; may be nil
}

// Want makes l look for what p's patch is about.
func (l *NodeLook) Want(p *Planner) { l.Query.Provider, l.Query.ProviderAPI = p.Provider, p.API }

// registryOf gives the row of a provider's registries; ECR's if it is not known.
func registryOf(provider kubelet.Kind) kubelet.Registry {
	r, ok := kubelet.RegistryByKind(provider)
	if !ok {
		r, _ = kubelet.RegistryByKind(kubelet.ECR)
	}
	return r
}

// QueryFor says what to look for on the nodes of cl, whose config is or will be
// doc. ok is false when doc sets no provider flags: there is nothing to look for.
func (l *NodeLook) QueryFor(cl *rancher.Cluster, doc rkeconfig.Document) (q nodes.Query, ok bool) {
	args := KubeletArgs(doc)
	q = l.Query
	q.ConfigPath, q.BinDir = args[kubelet.FlagProviderConfig], args[kubelet.FlagProviderBinDir]
	for _, m := range doc.Mounts(cl.DockerRootDir) {
		q.Binds = append(q.Binds, nodes.Bind(m))
	}
	q.Prefixed = doc.PrefixPath() != ""
	q.ForVersion = l.ForVersion
	if q.ForVersion == (kubelet.Version{}) {
		q.ForVersion = registryOf(q.Provider).Gone
	}
	if v, err := kubelet.ParseVersion(doc.KubernetesVersion()); err == nil && q.ForVersion.Before(v.Major, v.Minor) {
		q.ForVersion = v
	}
	return q, q.ConfigPath != "" || q.BinDir != ""
}

// ClusterNodes is what a look at the nodes of one cluster has shown.
type ClusterNodes struct {
	ID                string
	Name              string
	KubernetesVersion string
	ForVersion        string // "1.27": the latest kubelet that was judged for
	Nodes             []nodes.NodeReport
	Findings          []Finding // of the nodes, summed up, or why they were not looked at
}

// Blocked reports whether a finding says that a kubelet would not start, or does
// not run as it should.
func (c *ClusterNodes) Blocked() bool { return blocked(c.Findings) }

// Ask is what a Look is told of a cluster.
type Ask struct {
	Query   nodes.Query
	Version kubelet.Version // that the cluster is meant to run; zero when it cannot be read
	Since   time.Time       // when the cluster was last changed by this program; zero when that is not known
}

// Look does something with the nodes of one cluster: (*nodes.Checker).Check, say.
type Look func(ctx context.Context, c *nodes.Checker, a Ask) ([]nodes.NodeReport, error)

// Visit takes look to the nodes of every selected cluster, one cluster after the
// other in the order of their names. What the kubelets are or will be told is as
// in the planner's plan. It ends with an error of Planner.Plan, or of ctx.
func (l *NodeLook) Visit(ctx context.Context, planner *Planner, sel Selection, look Look) iter.Seq2[*ClusterNodes, error] {
	return func(yield func(*ClusterNodes, error) bool) {
		planner.KeepClusters = true
		l.Want(planner)
		for p, err := range planner.Plan(ctx, sel) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(l.VisitPlan(ctx, planner, p, look), nil) {
				return
			}
		}
	}
}

// VisitPlan takes look to the nodes of one cluster, whose plan planner made with
// KeepClusters. Several may be visited at a time.
func (l *NodeLook) VisitPlan(ctx context.Context, planner *Planner, p *ClusterPlan, look Look) *ClusterNodes {
	out := &ClusterNodes{ID: p.ID, Name: p.Name, KubernetesVersion: p.KubernetesVersion}
	if p.cluster == nil {
		out.Findings = p.Findings // it is none of ours
		return out
	}
	q, ok := l.QueryFor(p.cluster, p.result)
	if !ok && setsProvider(planner.Patch) {
		// Something stands in the way of the merge. What the patch wants is looked
		// for all the same, and the cluster is not called ready.
		q, ok = l.wantedQuery(p.cluster, p.result, p.patch), true
		out.Findings = slices.DeleteFunc(slices.Clone(p.Findings), func(f Finding) bool { return f.Severity != Block })
	}
	if !ok {
		out.Findings = []Finding{noFlagsFinding}
		return out
	}
	out.ForVersion = q.ForVersion.String()
	checker, err := l.Checker(p.cluster)
	if err == nil {
		version, _ := kubelet.ParseVersion(p.KubernetesVersion)
		out.Nodes, err = look(ctx, checker, Ask{q, version, l.Changed[p.ID]})
	}
	out.Findings = append(out.Findings, l.findings(p.cluster, out.Nodes, err)...)
	if l.Applied {
		out.Findings = append(out.Findings, l.appliedFindings(ctx, p.patch, p.cluster)...)
	}
	return out
}

// wantedQuery is QueryFor with the flags and binds of a patch that could not be
// merged.
func (l *NodeLook) wantedQuery(cl *rancher.Cluster, doc rkeconfig.Document, patch rkeconfig.Patch) nodes.Query {
	q, _ := l.QueryFor(cl, doc)
	q.ConfigPath, q.BinDir = patch.Args[kubelet.FlagProviderConfig], patch.Args[kubelet.FlagProviderBinDir]
	for _, m := range rkeconfig.BindMounts(patch.Binds) {
		q.Binds = append(q.Binds, nodes.Bind(m))
	}
	return q
}

// findings sums up what a look at the nodes of cl has shown. Nodes that Rancher
// has and the cluster does not list are unknown, and unknown is not good.
func (l *NodeLook) findings(cl *rancher.Cluster, reports []nodes.NodeReport, err error) []Finding {
	found := NodeFindings(reports)
	switch {
	case err != nil:
		found = append(found, about(unreadableFinding, err))
	case len(reports) == 0 || len(reports) < cl.NodeCount:
		f := missingFinding
		f.Message = fmt.Sprintf("the cluster lists %s, Rancher has %d", count(len(reports), "node"), cl.NodeCount)
		found = append(found, f)
	}
	return found
}

// Checked is what the look at the nodes of one cluster, ahead of its change, has
// come to.
type Checked struct {
	Plan *ClusterPlan // with the findings, blocked when one of them blocks
	// Found is what was found on the nodes. Looked is false where they were not
	// looked at: the cluster could not be read, or is no longer to be changed. Its
	// turn will tell.
	Found  []Finding
	Looked bool
}

// CheckPlans looks at the nodes of clusters that are to be changed, several
// clusters at a time. done is told of each, one at a time; the plans themselves
// stay as they are. The error is ctx's.
func (l *NodeLook) CheckPlans(ctx context.Context, planner *Planner, plans []*ClusterPlan, parallel int, done func(Checked)) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, parallel))
	for _, p := range plans {
		group.Go(func() error {
			checked := l.checkPlan(ctx, planner, p)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			done(checked)
			return nil
		})
	}
	return group.Wait()
}

// checkPlan reads the cluster anew: a plan may come from a file.
func (l *NodeLook) checkPlan(ctx context.Context, planner *Planner, p *ClusterPlan) Checked {
	out := Checked{Plan: p}
	cl, err := planner.Rancher.Cluster(ctx, p.ID)
	if err != nil {
		return out
	}
	fresh := planner.judge(ctx, cl)
	if fresh.Action != ActionPatch {
		return out
	}
	if _, ok := l.QueryFor(cl, fresh.wanted); !ok {
		return out
	}
	out.Found, out.Looked = l.Check(ctx, cl, fresh.wanted), true
	if setsProvider(planner.Patch) && !hasCode(out.Found, unreadableFinding.Code) {
		out.Found = append(out.Found, l.autoscaler(ctx, planner, cl)...)
	}
	with := *p
	with.Findings = slices.Concat(p.Findings, out.Found)
	if blocked(out.Found) {
		with.Action, with.byNodes = ActionBlocked, true
	}
	out.Plan = &with
	return out
}

// Checker connects to the nodes of cl.
func (l *NodeLook) Checker(cl *rancher.Cluster) (*nodes.Checker, error) {
	core, err := nodes.Connect(l.Rancher.Kubernetes(cl.ID))
	if err != nil {
		return nil, err
	}
	return &nodes.Checker{Core: core, Clock: l.Clock.Now, Say: func(node, text string) {
		if l.Say != nil {
			l.Say(cl, node+": "+text)
		}
	}}, nil
}

// Check implements NodeCheck.
func (l *NodeLook) Check(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document) []Finding {
	q, ok := l.QueryFor(cl, doc)
	if !ok {
		return nil
	}
	checker, err := l.Checker(cl)
	if err != nil {
		return []Finding{about(unreadableFinding, err)}
	}
	reports, err := checker.Check(ctx, q)
	return l.findings(cl, reports, err)
}

// harmless are the codes that say nothing bad of a kubelet after a roll-out: what
// keeps the token, the policy or the image from a look at a node, and what is
// the matter with credentials. They are worth knowing. Everything else that
// blocks makes the roll-out a failure, a node without an answer foremost: one
// whose kubelet has died stays Ready for a while, and starts no pod.
var harmless = []string{
	"nodes-unreadable", "pod-forbidden", "pod-refused", "probe-image-unknown", "probe-image-missing", "node-version-unknown", "check-interrupted",
	"config-not-shown", "path-shifts", "nodes-missing",
}

func isHarmless(code string) bool {
	return slices.Contains(harmless, code) || strings.HasPrefix(code, "rehearsal-")
}

// VerifyNodes is the Look at running kubelets. From the version on where no built-in login hides a provider that does
// not work, 1.27 for ECR, it rehearses, too.
func VerifyNodes(ctx context.Context, c *nodes.Checker, a Ask) ([]nodes.NodeReport, error) {
	off := registryOf(a.Query.Provider).Off
	a.Query.Rehearse = a.Query.Rehearse || !a.Version.Before(off.Major, off.Minor)
	return c.Verify(ctx, nodes.VerifyQuery{Query: a.Query, ChangedAfter: a.Since, Version: a.Version, Flags: map[string]string{
		kubelet.FlagProviderConfig: a.Query.ConfigPath, kubelet.FlagProviderBinDir: a.Query.BinDir,
	}})
}

// appliedFindings compares the stored config with what Rancher says is applied:
// the control plane's kubelet section, and the plan of every worker.
func (l *NodeLook) appliedFindings(ctx context.Context, patch rkeconfig.Patch, cl *rancher.Cluster) []Finding {
	w, err := newWatch(cl, cl, patch, l.Clock.Now(), patience{})
	if err != nil {
		return []Finding{about(unappliedFinding, err)}
	}
	var out []Finding
	if !w.sameKubelet(cl.AppliedKubelet) {
		out = append(out, unappliedFinding)
	}
	var behind []string
	for n, err := range l.Rancher.Nodes(ctx, rancher.NodeQuery{ClusterIDs: []string{cl.ID}}) {
		if err != nil {
			return append(out, about(plansUnreadFinding, err))
		}
		if isWorkerOnly(n) && n.OS != "windows" && (!w.planned(n.KubeletCommand, n.KubeletBinds) || n.AppliedNodeVersion != n.PlanVersion) {
			behind = append(behind, n.Name)
		}
	}
	if len(behind) > 0 {
		f := plansBehindFinding
		f.Message = fmt.Sprintf("the plan that Rancher has for %s (%s) is another one, or is not applied", count(len(behind), "worker"), enumerate(behind))
		out = append(out, f)
	}
	return out
}

// Verify implements NodeCheck. What looks bad is looked at once more: a pod may
// have been caught by the restart of its kubelet.
func (l *NodeLook) Verify(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document, since time.Time) (found []Finding, looked bool) {
	q, ok := l.QueryFor(cl, doc)
	if !ok {
		return nil, false
	}
	version, _ := kubelet.ParseVersion(doc.KubernetesVersion())
	checker, err := l.Checker(cl)
	if err != nil {
		return []Finding{about(unreadableFinding, err)}, false
	}
	for attempt := 0; attempt < 2 && ctx.Err() == nil; attempt++ {
		reports, err := VerifyNodes(ctx, checker, Ask{q, version, since})
		found = l.findings(cl, reports, err)
		looked = !blocked(found)
		for i := range found {
			if isHarmless(found[i].Code) {
				found[i].Severity = min(found[i].Severity, Warn)
			}
		}
		if !blocked(found) {
			break
		}
	}
	return found, looked
}

var (
	unreadableFinding = Finding{
		Code: "nodes-unreadable", Severity: Block, Message: "the nodes of the cluster cannot be looked at",
		Todo: "see in Rancher that the cluster is active and connected; the token must be a cluster owner's, who may list nodes and create pods in kube-system",
	}
	missingFinding = Finding{
		Code: "nodes-missing", Severity: Block, Message: "the cluster lists fewer nodes than Rancher has: those were not looked at",
		Todo: "wait until every node has joined, or remove those that are gone from the cluster",
	}
	unappliedFinding = Finding{
		Code: "rancher-not-applied", Severity: Block, Message: "what Rancher says is applied has another kubelet section than the stored config",
		Todo: "wait until Rancher has finished with the cluster, or look why it does not: rkepatch clusters",
	}
	plansBehindFinding = Finding{
		Code: "node-plan-behind", Severity: Block, Message: "Rancher's plan for a worker is not what the stored config asks for, or is not applied",
		Todo: "look at the worker in Rancher; its agent may be away",
	}
	plansUnreadFinding = Finding{
		Code: "node-plans-unread", Severity: Warn, Message: "Rancher's plans for the workers cannot be read",
		Todo: "use a token that may list the cluster's nodes in Rancher",
	}
	noFlagsFinding = Finding{
		Code: "no-provider-flags", Severity: Info, Message: "the patch sets no credential provider: there is nothing to look for on the nodes",
		Todo: "nothing",
	}
)

// NodeCatalogue lists what can be found on nodes, in the order in which it is
// looked for.
func NodeCatalogue() []Finding {
	out := []Finding{unreadableFinding, missingFinding, unappliedFinding, plansBehindFinding, plansUnreadFinding, noFlagsFinding}
	for _, f := range nodes.Catalogue() {
		out = append(out, Finding{Code: f.Code, Severity: severityOf[f.Level], Message: f.Message, Todo: f.Todo})
	}
	return append(out, fromKubelet(kubelet.ForeseeCatalogue())...)
}

// NodeFindings sums up what is the matter with the nodes of one cluster: one
// finding per code, which names the nodes, the worst first. A node is in it
// once per code.
func NodeFindings(reports []nodes.NodeReport) []Finding {
	type sum struct {
		finding nodes.Finding
		names   []string
	}
	var sums []*sum
	for _, r := range reports {
		for _, f := range r.Findings {
			i := slices.IndexFunc(sums, func(s *sum) bool { return s.finding.Code == f.Code })
			if i < 0 {
				sums = append(sums, &sum{finding: f})
				i = len(sums) - 1
			}
			s := sums[i]
			if f.Level > s.finding.Level {
				s.finding = f
			}
			if !slices.Contains(s.names, r.Name) {
				s.names = append(s.names, r.Name)
			}
		}
	}
	slices.SortStableFunc(sums, func(a, b *sum) int { return cmp.Compare(b.finding.Level, a.finding.Level) })
	var out []Finding
	for _, s := range sums {
		out = append(out, Finding{
			Code: s.finding.Code, Severity: severityOf[s.finding.Level], Todo: s.finding.Todo,
			Message: fmt.Sprintf("%s (%s): %s", share(len(s.names), len(reports)), enumerate(s.names), s.finding.Message),
		})
	}
	return out
}

func share(n, of int) string {
	if n == of {
		return "all " + count(of, "node")
	}
	return fmt.Sprintf("%d of %s", n, count(of, "node"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
