package fleet

import (
	"context"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/newnodes"
	"rkepatch/rancher"
)

// PoolUse is a node pool and its cluster.
type PoolUse struct {
	Cluster  string `json:"cluster"` // id
	Name     string `json:"clusterName"`
	Pool     string `json:"pool"` // id
	Prefix   string `json:"hostnamePrefix"`
	Quantity int    `json:"quantity"`
}

// NodeTemplateUse is a node template and the pools that make nodes from it.
type NodeTemplateUse struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"` // the id where the template cannot be read
	Driver   string           `json:"driver"`
	URL      string           `json:"dockerInstallURL"` // in force: the setting's where the template has none; without what may be secret
	Verdict  newnodes.Verdict `json:"verdict"`          // the worst of those for the selected clusters' versions
	Pools    []PoolUse        `json:"pools"`            // of the selected clusters
	Others   []PoolUse        `json:"otherPools"`       // of clusters that were not selected
	readable bool
}

// Readable reports whether the token may read the template.
func (u *NodeTemplateUse) Readable() bool { return u.readable }

// NodeTemplates are the node templates that the selected clusters' pools use.
type NodeTemplates struct {
	Uses   []*NodeTemplateUse // sorted by name
	Custom []PoolUse          // selected clusters without pools, Pool empty
	Unseen string             // why the pools are not known, "" when they are
}

// NodeTemplates finds the node templates of the selected clusters and judges them. The
// errors are those of Plan.
func (p *Planner) NodeTemplates(ctx context.Context, sel Selection) (*NodeTemplates, error) {
	selected := map[string]*ClusterPlan{}
	var order []*ClusterPlan
	for plan, err := range p.Plan(ctx, sel) {
		if err != nil {
			return nil, err
		}
		if plan.Driver == rancher.DriverRKE {
			selected[plan.ID] = plan
			order = append(order, plan)
		}
	}
	n := p.newNodes
	if n == nil {
		return &NodeTemplates{Unseen: "the patch sets no credential provider"}, nil
	}
	out := &NodeTemplates{Unseen: n.poolsUnseen}
	uses := map[string]*NodeTemplateUse{}
	for _, plan := range order {
		pools := n.pools[plan.ID]
		if len(pools) == 0 && n.poolsUnseen == "" {
			out.Custom = append(out.Custom, PoolUse{Cluster: plan.ID, Name: plan.Name})
		}
		version, _ := kubelet.ParseVersion(plan.KubernetesVersion)
		for _, pool := range pools {
			u := uses[pool.NodeTemplateID]
			if u == nil {
				u = n.use(pool.NodeTemplateID)
				uses[u.ID] = u
				out.Uses = append(out.Uses, u)
			}
			u.Pools = append(u.Pools, poolUse(pool, plan.Name))
			u.Verdict = worse(u.Verdict, p.judgeTemplate(u.ID, version))
			if pool.Problem != "" {
				u.Verdict = worse(u.Verdict, newnodes.Verdict{State: newnodes.Unknown, Reason: pool.Problem})
			}
		}
	}
	slices.SortFunc(out.Uses, func(a, b *NodeTemplateUse) int { return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID) })
	return out, p.addOthers(ctx, uses, selected)
}

// addOthers finds the pools of clusters that were not selected.
func (p *Planner) addOthers(ctx context.Context, uses map[string]*NodeTemplateUse, selected map[string]*ClusterPlan) error {
	var ids []string
	for id, pools := range p.newNodes.pools {
		if selected[id] == nil && slices.ContainsFunc(pools, func(pool *rancher.NodePool) bool { return uses[pool.NodeTemplateID] != nil }) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	names := map[string]string{}
	for cl, err := range p.Rancher.Clusters(ctx, rancher.ClusterQuery{AnyDriver: true, IDs: ids}) {
		if err != nil {
			return err
		}
		names[cl.ID] = cl.Name
	}
	for _, id := range ids {
		for _, pool := range p.newNodes.pools[id] {
			if u := uses[pool.NodeTemplateID]; u != nil {
				u.Others = append(u.Others, poolUse(pool, orElse(names[id], id)))
			}
		}
	}
	return nil
}

func poolUse(pool *rancher.NodePool, cluster string) PoolUse {
	return PoolUse{pool.ClusterID, cluster, pool.ID, orElse(pool.HostnamePrefix, pool.ID), pool.Quantity}
}

func (n *newNodes) use(id string) *NodeTemplateUse {
	u := &NodeTemplateUse{ID: id, Name: n.nameOf(id), Pools: []PoolUse{}, Others: []PoolUse{}}
	if t := n.templates[id]; t != nil {
		u.Driver, u.URL, u.readable = t.Driver, newnodes.ShownURL(n.urlOf(t)), true
	}
	return u
}

// badness orders states.
var badness = map[newnodes.State]int{newnodes.Prepared: 1, newnodes.Unknown: 2, newnodes.Unprepared: 3}

func worse(a, b newnodes.Verdict) newnodes.Verdict {
	if badness[b.State] > badness[a.State] {
		return b
	}
	return a
}

// ClustersOf names the clusters of pools, each once.
func ClustersOf(pools []PoolUse) []string {
	var names []string
	for _, p := range pools {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}
