package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

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
	Labels            map[string]string  `json:"labels,omitempty"`
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

	// WideDiff is Diff with more unchanged lines around each change, "" unless
	// the Planner was told to make it, or when there is too much of it.
	WideDiff string `json:"-"`

	// Basis is what the changes were computed from.
	Basis rkeconfig.Basis `json:"basis,omitzero"`

	// Template is how a cluster made from an RKE template is changed, nil for any other.
	Template *TemplatePlan `json:"template,omitempty"`
	move     *move

	wanted  rkeconfig.Document
	emptied bool // a map or list becomes empty, which takes ?_replace=true
	byNodes bool // it is what was found on the nodes that blocks

	cluster *rancher.Cluster   // as it was read, for a look at its nodes; nil in a plan from a file
	result  rkeconfig.Document // of the merge, also where it must not be stored
	patch   rkeconfig.Patch    // that was merged
}

// Worst gives the most severe finding, if there is one.
func (p *ClusterPlan) Worst() (Finding, bool) { return worst(p.Findings) }

func worst(findings []Finding) (Finding, bool) {
	if len(findings) == 0 {
		return Finding{}, false
	}
	return slices.MaxFunc(findings, func(a, b Finding) int { return int(a.Severity) - int(b.Severity) }), true
}

// A review page of a whole fleet must still open: wide diffs end at so many
// unchanged lines and bytes.
const (
	wideContext = 60
	maxWideDiff = 64 << 10
)

// Planner computes plans. It changes nothing.
type Planner struct {
	Rancher *rancher.Client
	Patch   rkeconfig.Patch
	// ReplaceArgs names the args whose present, other value may be replaced.
	ReplaceArgs []string
	// API is what the provider's config file on the nodes uses.
	API kubelet.API
	// Provider says whose provider the patch is for; "" is not known.
	Provider kubelet.Kind
	// MergeConfig leaves the provider flags of a cluster that has both as they are:
	// the provider is to join others in the config that they name.
	MergeConfig bool
	// WideDiffs fills ClusterPlan.WideDiff, for the review page.
	WideDiffs bool

	// Strict makes findings about nodes that do not exist yet block.
	Strict bool
	// ReadScript reads the script behind a node template's Docker install URL; nil
	// reads none, and what only they would show is unknown.
	ReadScript func(ctx context.Context, url string) ([]byte, error)

	// KeepClusters makes the plans hold what NodeLook.Visit and Kept need.
	KeepClusters bool

	// Visible is, once Plan has ended, how many RKE1 clusters the token can see.
	Visible int

	unhealthy   map[string][]*rancher.Node // by cluster id
	nodesUnseen bool                       // the token may not list nodes
	deprecated  []string
	enforced    bool // clusters must be made from a template
	templates   *templateCache
	newNodes    *newNodes
}

// Plan yields the plan of every selected cluster, in the order of their names,
// each as soon as it is known; nothing is kept. Requests: the pages of the
// cluster list, the pages of the nodes that are not active, those of the node
// pools and, where there are any, of the node templates, two or three settings,
// three per RKE template; none per cluster. It ends with an error that wraps
// ErrSelection, ErrUnknownCluster or one of rancher's.
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
	if err := p.Prepare(ctx); err != nil {
		return err
	}
	more, err := p.judgeAll(ctx, selector, yield)
	if err != nil || !more {
		return err
	}
	unmatched, err := selector.verdict()
	if err != nil {
		return err
	}
	shown := map[string]bool{}
	for _, name := range unmatched {
		other, err := p.lookup(ctx, name)
		if err != nil {
			return err
		}
		if other == nil {
			return fmt.Errorf("%w %q: no name and no id matches among the %d RKE1 clusters that this token can see (rkepatch clusters lists them)", ErrUnknownCluster, name, p.Visible)
		}
		if shown[other.ID] {
			continue // it was named twice
		}
		shown[other.ID] = true
		if !yield(p.judge(ctx, other), nil) {
			return nil
		}
	}
	return nil
}

// Prepare reads what all clusters share. Plan does so by itself.
func (p *Planner) Prepare(ctx context.Context) error {
	if err := p.seeNodes(ctx); err != nil {
		return err
	}
	if err := p.seeNewNodes(ctx); err != nil {
		return err
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
	p.templates = &templateCache{}
	enforced, err := p.Rancher.Setting(ctx, "cluster-template-enforcement")
	p.enforced = enforced == "true"
	if err != nil && !errors.Is(err, rancher.ErrNotFound) && !errors.Is(err, rancher.ErrForbidden) {
		return err
	}
	return nil
}

// seeNodes reads the nodes that are not simply active.
func (p *Planner) seeNodes(ctx context.Context) error {
	p.unhealthy, p.nodesUnseen = map[string][]*rancher.Node{}, false
	for n, err := range p.Rancher.Nodes(ctx, rancher.NodeQuery{NotActive: true}) {
		if errors.Is(err, rancher.ErrForbidden) {
			p.nodesUnseen = true
			return nil
		}
		if err != nil {
			return err
		}
		p.unhealthy[n.ClusterID] = append(p.unhealthy[n.ClusterID], n)
	}
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

func newClusterPlan(cl *rancher.Cluster, doc rkeconfig.Document) *ClusterPlan {
	return &ClusterPlan{
		ID: cl.ID, UUID: cl.UUID, Name: cl.Name, Labels: cl.Labels, Driver: cl.Driver, State: cl.State, Nodes: cl.NodeCount,
		KubernetesVersion: doc.KubernetesVersion(), Patched: rkeconfig.NotPatched, Action: ActionBlocked,
		Changes: []rkeconfig.Change{}, Rewrites: []rancher.Rewrite{}, Findings: []Finding{},
	}
}

// judge computes the plan of one cluster. It may be called by several goroutines.
func (p *Planner) judge(ctx context.Context, cl *rancher.Cluster) *ClusterPlan {
	doc, docErr := rkeconfig.ParseDocument(cl.Config)
	out := newClusterPlan(cl, doc)
	s := &subject{
		provider: p.Provider, cluster: cl, doc: doc, docErr: docErr,
		nodes: p.unhealthy[cl.ID], nodesUnseen: p.nodesUnseen, deprecated: p.deprecated, enforced: p.enforced,
	}
	if out.Findings = apply(identityRules, s, true); len(out.Findings) > 0 {
		return out
	}
	s.version, s.versionErr = kubelet.ParseVersion(doc.KubernetesVersion())
	if s.template = p.templates.of(ctx, p.Rancher, cl); s.template != nil {
		out.Template = s.template.plan(cl)
	}

	patch := p.patchFor(doc)
	merged := rkeconfig.Merge(doc, patch, p.mergeOptions(cl))
	out.Patched = merged.State
	if p.KeepClusters {
		out.cluster, out.result, out.patch = cl, merged.Document, patch
	}
	out.Findings = slices.Concat(apply(clusterRules, s, false), apply(templateRules, s, false), merged.Findings, p.joins(merged))
	if s.versionErr == nil && setsProvider(p.Patch) {
		today := doc.ExtraArgs()
		out.Findings = append(out.Findings, fromKubelet(kubelet.Judge(s.version, kubelet.Flags{
			Args: KubeletArgs(merged.Document), API: p.API, Registry: p.Provider,
			Providers: today[kubelet.FlagProviderConfig] != "" && today[kubelet.FlagProviderBinDir] != "",
		}))...)
	}
	out.Findings = append(out.Findings, p.newNodeFindings(s)...)

	switch {
	case merged.State == rkeconfig.Patched:
		p.behind(out, cl, s.template, patch)
		if out.Action = ActionNone; unsettled(out.Findings) {
			out.Action = ActionBlocked
		}
	case !blocked(out.Findings):
		if out.Basis = patch.Basis(doc); s.template != nil {
			p.planMove(out, cl, s.template, patch, doc, merged)
			break
		}
		out.fill(cl, doc, merged.Document, merged.Changes, p.WideDiffs)
	}
	return out
}

// KubeletArgs are the arguments that the kubelets get, by the flags' real names:
// the kubelet itself takes _ for - in them, and an argument may stand in
// extra_args_array.
func KubeletArgs(doc rkeconfig.Document) map[string]string {
	args := map[string]string{}
	add := func(name, value string) {
		name = strings.ReplaceAll(strings.ToLower(strings.Trim(name, "- ")), "_", "-")
		if had := args[name]; had != "" {
			value = had + "," + value
		}
		args[name] = value
	}
	extra := doc.ExtraArgs()
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		add(name, extra[name])
	}
	array, _ := doc.Lookup("services", "kubelet", "extraArgsArray")
	lists, _ := array.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		values, _ := lists[name].([]any)
		for _, v := range values {
			add(name, fmt.Sprint(v))
		}
	}
	return args
}

// unsettled reports whether a cluster whose stored config is as wanted is not
// well all the same: its roll-out goes on, failed, or cannot have worked. What
// only hinders a change does not count, there is none to make.
func unsettled(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Block && !hindersOnly[f.Code] })
}

func (p *Planner) mergeOptions(cl *rancher.Cluster) rkeconfig.MergeOptions {
	return rkeconfig.MergeOptions{
		ReplaceArgs: p.ReplaceArgs, WindowsNodes: cl.WindowsWorkerCount > 0, DockerRootDir: cl.DockerRootDir,
	}
}

func blocked(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Block })
}

// fill makes out the plan to store wanted in place of doc: it adds what Rancher
// would make of it.
func (out *ClusterPlan) fill(cl *rancher.Cluster, doc, wanted rkeconfig.Document, changes []rkeconfig.Change, wide bool) {
	_, stored, rewrites, err := cl.Rewrites(wanted.Map())
	var after rkeconfig.Document
	if err == nil {
		after, err = rkeconfig.NewDocument(stored)
	}
	if err != nil {
		out.Findings = append(out.Findings, Finding{Code: "config-not-understood", Severity: Block, Message: err.Error(), Todo: "look at the cluster in the Rancher UI"})
		return
	}
	out.show(cl, doc, after, wide)
	out.rewritten(cl, rewrites)
	if blocked(out.Findings) {
		return
	}
	out.Action = ActionPatch
	out.Changes = rkeconfig.MaskChanges(changes)
	out.Rewrites = rewrites
	out.wanted = wanted
}

// show fills in the diffs.
func (out *ClusterPlan) show(cl *rancher.Cluster, doc, after rkeconfig.Document, wide bool) {
	o := rkeconfig.DiffOptions{FromLabel: cl.Name + " (now)", ToLabel: cl.Name + " (planned)"}
	out.Diff = rkeconfig.Diff(doc, after, o)
	if wide {
		o.Context = wideContext
		if diff := rkeconfig.Diff(doc, after, o); len(diff) <= maxWideDiff {
			out.WideDiff = diff
		}
	}
}

// rewritten adds what is to be said of Rancher's own changes.
func (out *ClusterPlan) rewritten(cl *rancher.Cluster, rewrites []rancher.Rewrite) {
	for _, k := range []struct {
		finding Finding
		pinned  bool
	}{{rewritesFinding, false}, {pinsFinding, true}} {
		if paths := rewritePaths(rewrites, k.pinned); len(paths) > 0 {
			k.finding.Message += ": " + enumerate(paths)
			out.Findings = append(out.Findings, k.finding)
		}
	}
	out.Findings = append(out.Findings, dangerousRewrites(cl, rewrites)...)
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
