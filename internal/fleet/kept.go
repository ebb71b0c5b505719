package fleet

import (
	"context"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// Kept gives what the plan was made from: the cluster as it was read, and its
// config with the patch, or as it is where the patch cannot be merged. ok is
// false when the planner did not have KeepClusters set, and for a cluster that
// is none of ours.
func (p *ClusterPlan) Kept() (cl *rancher.Cluster, doc rkeconfig.Document, ok bool) {
	return p.cluster, p.result, p.cluster != nil
}

// PlanOne plans one cluster anew. Plan or Prepare must have been called before;
// several may be planned at a time. Errors are those of rancher.Client.Cluster.
func (p *Planner) PlanOne(ctx context.Context, id string) (*ClusterPlan, error) {
	cl, err := p.Rancher.Cluster(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.judge(ctx, cl), nil
}
