package rancher

import (
	"context"
	"iter"
	"net/url"
)

// Node is a cluster's node as Rancher manages it.
type Node struct {
	ID, ClusterID              string // c-abc12:m-xyz34, c-abc12
	Name                       string // the Kubernetes node's, or the requested host name before it has joined
	State                      string
	ControlPlane, Etcd         bool
	Worker, Unschedulable      bool
	AppliedNodeVersion         int // the roll-out this worker has taken
	PlanVersion                int // the roll-out its plan belongs to
	KubeletCommand             []string
	KubeletBinds               []string // both as planned, not as running; nil unless the node is a worker only
	OS                         string   // e.g. "linux"
	KubeletVersion             string   // e.g. "v1.26.15"
	Ready                      Condition
	Transitioning              string // yes, no or error
	TransitioningMessage       string
	NodePoolID, NodeTemplateID string
}

// nodeJSON is the part of Rancher's node object that is read. The kubelet's env, the plan's files and
// the registry credentials beside it are secrets and must never be added here.
type nodeJSON struct {
	ID                   string     `json:"id"`
	ClusterID            string     `json:"clusterId"`
	NodeName             string     `json:"nodeName"`
	RequestedHostname    string     `json:"requestedHostname"`
	State                string     `json:"state"`
	Transitioning        string     `json:"transitioning"`
	TransitioningMessage string     `json:"transitioningMessage"`
	ControlPlane         bool       `json:"controlPlane"`
	Etcd                 bool       `json:"etcd"`
	Worker               bool       `json:"worker"`
	Unschedulable        bool       `json:"unschedulable"`
	AppliedNodeVersion   int        `json:"appliedNodeVersion"`
	Conditions           Conditions `json:"conditions"`
	NodePoolID           string     `json:"nodePoolId"`
	NodeTemplateID       string     `json:"nodeTemplateId"`
	Labels               struct {
		OS string `json:"kubernetes.io/os"` // dockerInfo and info.os come back empty
	} `json:"labels"`
	Info struct {
		Kubernetes struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"kubernetes"`
	} `json:"info"`
	Plan struct {
		Version int `json:"version"`
		Plan    struct {
			Processes struct {
				Kubelet struct {
					Command []string `json:"command"`
					Binds   []string `json:"binds"`
				} `json:"kubelet"`
			} `json:"processes"`
		} `json:"plan"`
	} `json:"nodePlan"`
}

func (j *nodeJSON) node() *Node {
	name := j.NodeName
	if name == "" {
		name = j.RequestedHostname
	}
	kubelet := j.Plan.Plan.Processes.Kubelet
	ready, _ := j.Conditions.Get("Ready")
	return &Node{
		ID: j.ID, ClusterID: j.ClusterID, Name: name, State: j.State,
		ControlPlane: j.ControlPlane, Etcd: j.Etcd, Worker: j.Worker, Unschedulable: j.Unschedulable,
		AppliedNodeVersion: j.AppliedNodeVersion, PlanVersion: j.Plan.Version,
		KubeletCommand: kubelet.Command, KubeletBinds: kubelet.Binds,
		OS: j.Labels.OS, KubeletVersion: j.Info.Kubernetes.KubeletVersion, Ready: ready,
		Transitioning: j.Transitioning, TransitioningMessage: j.TransitioningMessage,
		NodePoolID: j.NodePoolID, NodeTemplateID: j.NodeTemplateID,
	}
}

// NodeQuery selects nodes. Empty fields do not restrict.
type NodeQuery struct {
	ClusterIDs []string // nil does not restrict; an empty list selects nothing
	NotActive  bool     // only nodes whose state is not "active"
}

// Nodes streams nodes, by name, the way Clusters streams clusters.
func (c *Client) Nodes(ctx context.Context, q NodeQuery) iter.Seq2[*Node, error] {
	l := listing{op: "listing nodes", collection: "nodes", query: url.Values{}, key: "clusterId", ids: q.ClusterIDs}
	if q.NotActive {
		l.query.Set("state_ne", "active")
	}
	wanted := setOf(q.ClusterIDs)
	return func(yield func(*Node, error) bool) {
		for j, err := range list(ctx, c, l, func(j *nodeJSON) string { return j.ID }) {
			if err != nil {
				yield(nil, err)
				return
			}
			if wanted != nil && !wanted[j.ClusterID] || q.NotActive && j.State == "active" {
				continue
			}
			if !yield(j.node(), nil) {
				return
			}
		}
	}
}
