package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// ErrUnknownCluster is wrapped when a name means no cluster that the token can
// see.
var ErrUnknownCluster = errors.New("unknown cluster")

// Action is what a plan intends for one cluster.
type Action string

// The three things that can come out of planning a cluster.
const (
	ActionPatch   Action = "patch"   // it would be changed
	ActionNone    Action = "none"    // it is already as wanted
	ActionBlocked Action = "blocked" // it is left alone; the findings say why
)

// ClusterPlan is what would happen to one cluster and what the operator must
// know about it. It holds no secret: changes and diff are masked.
type ClusterPlan struct {
	ID                string             `json:"id"`
	UUID              string             `json:"uuid"`
	Name              string             `json:"name"`
	Driver            string             `json:"driver"`
	KubernetesVersion string             `json:"kubernetesVersion"`
	State             string             `json:"state"`
	Nodes             int                `json:"nodes"`
	Patched           rkeconfig.State    `json:"patched"`
	Action            Action             `json:"action"`
	Changes           []rkeconfig.Change `json:"changes"`
	Rewrites          []rancher.Rewrite  `json:"rewrites"`
	Findings          []Finding          `json:"findings"`
	Diff              string             `json:"diff"`

	wanted rkeconfig.Document
}

// Worst gives the most severe finding, if there is one.
func (p *ClusterPlan) Worst() (Finding, bool) {
	if len(p.Findings) == 0 {
		return Finding{}, false
	}
	return slices.MaxFunc(p.Findings, func(a, b Finding) int { return int(a.Severity) - int(b.Severity) }), true
}

// Planner computes plans. It changes nothing.
type Planner struct {
	Rancher *rancher.Client
	Patch   rkeconfig.Patch
	// ReplaceArgs names the args whose present, other value may be replaced.
	ReplaceArgs []string
	// API is what the provider's config file on the nodes uses.
	API kubelet.API

	unhealthy  map[string][]*rancher.Node // by cluster id
	deprecated []string
}

// Plan yields the plan of every selected cluster, in the order of their names,
// each as soon as it is known; nothing is kept. Requests: the pages of the
// cluster list, the pages of the nodes that are not active, one setting; none
// per cluster. It ends with an error that wraps ErrSelection, ErrUnknownCluster
// or one of rancher's.
func (p *Planner) Plan(ctx context.Context, sel Selection) iter.Seq2[*ClusterPlan, error] {
	return func(yield func(*ClusterPlan, error) bool) {
		if err := p.plan(ctx, sel, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (p *Planner) plan(ctx context.Context, sel Selection, yield func(*ClusterPlan, error) bool) error {
	selector, err := sel.compile()
	if err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	visible := 0
	for cl, err := range p.Rancher.Clusters(ctx, rancher.ClusterQuery{Driver: rancher.DriverRKE}) {
		if err != nil {
			return err
		}
		visible++
		doc, docErr := rkeconfig.ParseDocument(cl.Config)
		if selector.match(cl, doc.KubernetesVersion()) && !yield(p.judge(cl, doc, docErr), nil) {
			return nil
		}
	}
	unmatched, err := selector.verdict()
	if err != nil {
		return err
	}
	for _, name := range unmatched {
		other, err := p.lookup(ctx, name)
		if err != nil {
			return err
		}
		if other == nil {
			return fmt.Errorf("%w %q: no name and no id matches among the %d RKE1 clusters that this token can see (rkepatch clusters lists them)", ErrUnknownCluster, name, visible)
		}
		doc, docErr := rkeconfig.ParseDocument(other.Config)
		if !yield(p.judge(other, doc, docErr), nil) {
			return nil
		}
	}
	return nil
}

// prepare reads what all clusters share.
func (p *Planner) prepare(ctx context.Context) error {
	p.unhealthy = map[string][]*rancher.Node{}
	for n, err := range p.Rancher.Nodes(ctx, rancher.NodeQuery{NotActive: true}) {
		if errors.Is(err, rancher.ErrForbidden) {
			break // the token may not see nodes; following will say so
		}
		if err != nil {
			return err
		}
		p.unhealthy[n.ClusterID] = append(p.unhealthy[n.ClusterID], n)
	}
	deprecated, err := p.Rancher.Setting(ctx, "k8s-versions-deprecated")
	if err != nil && !errors.Is(err, rancher.ErrNotFound) && !errors.Is(err, rancher.ErrForbidden) {
		return err
	}
	versions := map[string]bool{}
	if deprecated != "" {
		if err := json.Unmarshal([]byte(deprecated), &versions); err != nil {
			return fmt.Errorf("reading Rancher's setting k8s-versions-deprecated: it is not a JSON object")
		}
	}
	maps.DeleteFunc(versions, func(_ string, on bool) bool { return !on })
	p.deprecated = slices.Sorted(maps.Keys(versions))
	return nil
}

// lookup finds a cluster of any kind by plain name or id, nil when there is
// none.
func (p *Planner) lookup(ctx context.Context, name string) (*rancher.Cluster, error) {
	if isGlob(name) {
		return nil, nil
	}
	for _, q := range []rancher.ClusterQuery{{AnyDriver: true, Name: name}, {AnyDriver: true, IDs: []string{name}}} {
		for cl, err := range p.Rancher.Clusters(ctx, q) {
			return cl, err
		}
	}
	return nil, nil
}

// judge computes the plan of one cluster.
func (p *Planner) judge(cl *rancher.Cluster, doc rkeconfig.Document, docErr error) *ClusterPlan {
	out := &ClusterPlan{
		ID: cl.ID, UUID: cl.UUID, Name: cl.Name, Driver: cl.Driver, State: cl.State, Nodes: cl.NodeCount,
		KubernetesVersion: doc.KubernetesVersion(), Patched: rkeconfig.NotPatched, Action: ActionBlocked,
	}
	s := &subject{cluster: cl, doc: doc, docErr: docErr, nodes: p.unhealthy[cl.ID], deprecated: p.deprecated}
	if out.Findings = apply(identityRules, s, true); len(out.Findings) > 0 {
		return out
	}
	s.version, s.versionErr = kubelet.ParseVersion(doc.KubernetesVersion())

	merged := rkeconfig.Merge(doc, p.Patch, rkeconfig.MergeOptions{
		ReplaceArgs: p.ReplaceArgs, WindowsNodes: cl.WindowsWorkerCount > 0, DockerRootDir: cl.DockerRootDir,
	})
	out.Patched = merged.State
	out.Findings = append(apply(clusterRules, s, false), merged.Findings...)
	if s.versionErr == nil && setsProvider(p.Patch) {
		args := doc.ExtraArgs()
		out.Findings = append(out.Findings, fromKubelet(kubelet.Judge(s.version, kubelet.Flags{
			Args: args, API: p.API, Providers: args[kubelet.FlagProviderConfig] != "" && args[kubelet.FlagProviderBinDir] != "",
		}))...)
	}

	blocked := slices.ContainsFunc(out.Findings, func(f Finding) bool { return f.Severity == Block })
	switch {
	case merged.State == rkeconfig.Patched:
		out.Action = ActionNone
	case !blocked:
		out.Action = ActionPatch
		p.fill(out, cl, doc, merged)
	}
	return out
}

// fill adds what would be sent and what Rancher would make of it.
func (p *Planner) fill(out *ClusterPlan, cl *rancher.Cluster, doc rkeconfig.Document, merged rkeconfig.Result) {
	_, stored, rewrites, err := cl.Rewrites(merged.Document.Map())
	if err == nil {
		var after rkeconfig.Document
		if after, err = rkeconfig.NewDocument(stored); err == nil {
			out.Diff = rkeconfig.Diff(doc, after, rkeconfig.DiffOptions{
				FromLabel: cl.Name + " (now)", ToLabel: cl.Name + " (planned)",
			})
		}
	}
	if err != nil {
		out.Action = ActionBlocked
		out.Findings = append(out.Findings, Finding{Code: "config-not-understood", Severity: Block, Message: err.Error(), Todo: "look at the cluster in the Rancher UI"})
		return
	}
	for _, k := range []struct {
		finding Finding
		pinned  bool
	}{{rewritesFinding, false}, {pinsFinding, true}} {
		if paths := rewritePaths(rewrites, k.pinned); len(paths) > 0 {
			k.finding.Message += ": " + enumerate(paths)
			out.Findings = append(out.Findings, k.finding)
		}
	}
	out.Changes = rkeconfig.MaskChanges(merged.Changes)
	out.Rewrites = rewrites
	out.wanted = merged.Document
}

func rewritePaths(rewrites []rancher.Rewrite, pinned bool) []string {
	var paths []string
	for _, r := range rewrites {
		if r.Pinned == pinned {
			paths = append(paths, r.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

func setsProvider(p rkeconfig.Patch) bool {
	_, config := p.Args[kubelet.FlagProviderConfig]
	_, binDir := p.Args[kubelet.FlagProviderBinDir]
	return config || binDir
}
