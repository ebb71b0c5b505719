package fleet

import (
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

// TakesProvider reports whether the patch sets the credential provider.
func (p *Planner) TakesProvider() bool { return setsProvider(p.Patch) }
