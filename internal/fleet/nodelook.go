package fleet

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
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
	// Verify looks at the running kubelets, which doc was rolled out to since then.
	Verify(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document, since time.Time) []Finding
}

// NodeLook is NodeCheck over Rancher's proxy to each cluster.
type NodeLook struct {
	Rancher *rancher.Client
	// ForVersion is the later kubelet that must accept what is on the nodes, too.
	// Zero is 1.27, where the built-in login is gone, or the cluster's own if that
	// is later.
	ForVersion kubelet.Version
	Query      nodes.Query // ProbeImage, Namespace, Parallel and Timeout; the rest is filled in
	Clock      Clock
	Say        func(cl *rancher.Cluster, text string) // of every step; may be nil
}

// providerGone is the first version without the built-in ECR login.
var providerGone = kubelet.Version{Major: 1, Minor: 27}

// QueryFor says what to look for on the nodes of cl, whose config is or will be
// doc. ok is false when doc sets no provider flags: there is nothing to look for.
func (l *NodeLook) QueryFor(cl *rancher.Cluster, doc rkeconfig.Document) (q nodes.Query, ok bool) {
	args := kubeletArgs(doc)
	q = l.Query
	q.ConfigPath, q.BinDir = args[kubelet.FlagProviderConfig], args[kubelet.FlagProviderBinDir]
	for _, m := range doc.Mounts(cl.DockerRootDir) {
		q.Binds = append(q.Binds, nodes.Bind{Host: m.Host, Container: m.Container})
	}
	q.ForVersion = l.ForVersion
	if q.ForVersion == (kubelet.Version{}) {
		q.ForVersion = providerGone
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

// Look does something with the nodes of one cluster: (*nodes.Checker).Check, say.
type Look func(ctx context.Context, c *nodes.Checker, q nodes.Query) ([]nodes.NodeReport, error)

// Visit takes look to the nodes of every selected cluster, one cluster after the
// other in the order of their names. What the kubelets are or will be told is as
// in the planner's plan. It ends with an error of Planner.Plan, or of ctx.
func (l *NodeLook) Visit(ctx context.Context, planner *Planner, sel Selection, look Look) iter.Seq2[*ClusterNodes, error] {
	return func(yield func(*ClusterNodes, error) bool) {
		planner.KeepClusters = true
		for p, err := range planner.Plan(ctx, sel) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(l.visit(ctx, p, look), nil) {
				return
			}
		}
	}
}

func (l *NodeLook) visit(ctx context.Context, p *ClusterPlan, look Look) *ClusterNodes {
	out := &ClusterNodes{ID: p.ID, Name: p.Name, KubernetesVersion: p.KubernetesVersion}
	if p.cluster == nil {
		out.Findings = p.Findings // it is none of ours
		return out
	}
	q, ok := l.QueryFor(p.cluster, p.result)
	if !ok {
		out.Findings = []Finding{noFlagsFinding}
		return out
	}
	out.ForVersion = q.ForVersion.String()
	checker, err := l.Checker(p.cluster)
	if err == nil {
		out.Nodes, err = look(ctx, checker, q)
	}
	if err != nil {
		out.Findings = append(out.Findings, nodesUnreadable(err))
	}
	out.Findings = append(out.Findings, NodeFindings(out.Nodes)...)
	return out
}

// CheckPlans looks at the nodes of every cluster that is to be changed, several
// clusters at a time, and adds what it finds to the plans: one whose kubelets
// would not start is blocked. done is told of each, one at a time.
func (l *NodeLook) CheckPlans(ctx context.Context, planner *Planner, plans []*ClusterPlan, parallel int, done func(p *ClusterPlan, found []Finding)) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, parallel))
	for _, p := range plans {
		if p.Action != ActionPatch {
			continue
		}
		group.Go(func() error {
			found, err := l.checkPlan(ctx, planner, p)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			p.Findings = append(p.Findings, found...)
			if blocked(found) {
				p.Action = ActionBlocked
			}
			done(p, found)
			return nil
		})
	}
	return group.Wait()
}

// checkPlan reads the cluster anew: a plan may come from a file.
func (l *NodeLook) checkPlan(ctx context.Context, planner *Planner, p *ClusterPlan) ([]Finding, error) {
	cl, err := planner.Rancher.Cluster(ctx, p.ID)
	if err != nil {
		return []Finding{nodesUnreadable(err)}, ctx.Err()
	}
	fresh := planner.judge(cl)
	if fresh.Action != ActionPatch {
		return nil, nil // apply says so
	}
	found := l.Check(ctx, cl, fresh.wanted)
	return found, ctx.Err()
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
		return []Finding{nodesUnreadable(err)}
	}
	reports, err := checker.Check(ctx, q)
	if err != nil {
		return append(NodeFindings(reports), nodesUnreadable(err))
	}
	return NodeFindings(reports)
}

// brokenKubelet are the codes which say of a node after a roll-out that its
// kubelet does not run as it should. What else is the matter with a node, or
// keeps it from being looked at, is worth knowing and no failure of the roll-out.
var brokenKubelet = []string{"kubelet-not-found", "kubelet-flags-differ", "kubelet-not-restarted", "kubelet-restarting", "node-not-ready"}

// Verify implements NodeCheck. From 1.27 on, where no built-in login hides a
// provider that does not work, it rehearses, too.
func (l *NodeLook) Verify(ctx context.Context, cl *rancher.Cluster, doc rkeconfig.Document, since time.Time) []Finding {
	q, ok := l.QueryFor(cl, doc)
	if !ok {
		return nil
	}
	v, err := kubelet.ParseVersion(doc.KubernetesVersion())
	q.Rehearse = err == nil && !v.Before(providerGone.Major, providerGone.Minor)
	var reports []nodes.NodeReport
	checker, err := l.Checker(cl)
	if err == nil {
		reports, err = checker.Verify(ctx, nodes.VerifyQuery{Query: q, ChangedAfter: since, Flags: map[string]string{
			kubelet.FlagProviderConfig: q.ConfigPath, kubelet.FlagProviderBinDir: q.BinDir,
		}})
	}
	found := NodeFindings(reports)
	if err != nil {
		found = append(found, nodesUnreadable(err))
	}
	for i := range found {
		if !slices.Contains(brokenKubelet, found[i].Code) {
			found[i].Severity = min(found[i].Severity, Warn)
		}
	}
	return found
}

func nodesUnreadable(err error) Finding { return about(unreadableFinding, err) }

var (
	unreadableFinding = Finding{
		Code: "nodes-unreadable", Severity: Block, Message: "the nodes of the cluster cannot be looked at",
		Todo: "use a token of a cluster owner, who may list nodes and create pods in kube-system",
	}
	noFlagsFinding = Finding{
		Code: "no-provider-flags", Severity: Info, Message: "the patch sets no credential provider: there is nothing to look for on the nodes",
		Todo: "nothing",
	}
)

// NodeCatalogue lists what can be found on nodes, in the order in which it is
// looked for.
func NodeCatalogue() []Finding {
	out := []Finding{unreadableFinding, noFlagsFinding}
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
