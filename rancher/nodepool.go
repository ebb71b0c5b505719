package rancher

import (
	"context"
	"iter"
	"net/url"
)

// NodePool makes nodes of a cluster from a node template.
type NodePool struct {
	ID, ClusterID        string // c-abc12:np-xyz34, c-abc12
	HostnamePrefix       string
	NodeTemplateID       string
	Quantity             int // how many nodes it is to have; 0 for a pool that an autoscaler or a person fills later
	ControlPlane, Worker bool
	Etcd                 bool

	// Problem says what in Rancher's answer about this pool was not understood, "" when all was.
	Problem string
}

type nodePoolJSON struct {
	ID             string `json:"id"`
	ClusterID      string `json:"clusterId"`
	HostnamePrefix string `json:"hostnamePrefix"`
	NodeTemplateID string `json:"nodeTemplateId"`
	Quantity       int    `json:"quantity"`
	ControlPlane   bool   `json:"controlPlane"`
	Etcd           bool   `json:"etcd"`
	Worker         bool   `json:"worker"`

	problem string
}

func (j *nodePoolJSON) bear(problem string) { j.problem = problem }

func (j *nodePoolJSON) pool() *NodePool {
	return &NodePool{
		ID: j.ID, ClusterID: j.ClusterID, HostnamePrefix: j.HostnamePrefix, NodeTemplateID: j.NodeTemplateID,
		Quantity: j.Quantity, ControlPlane: j.ControlPlane, Etcd: j.Etcd, Worker: j.Worker, Problem: j.problem,
	}
}

// NodePools streams the node pools of all clusters the user may see, the way Clusters streams clusters.
func (c *Client) NodePools(ctx context.Context) iter.Seq2[*NodePool, error] {
	l := listing{op: "listing node pools", collection: "nodePools", query: url.Values{}}
	return func(yield func(*NodePool, error) bool) {
		for j, err := range list(ctx, c, l, func(j *nodePoolJSON) string { return j.ID }) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(j.pool(), nil) {
				return
			}
		}
	}
}
