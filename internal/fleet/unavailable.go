package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"rkepatch/rancher"
)

// Rancher refuses an update when as many nodes of a role are not Ready as the
// upgrade strategy allows to be unavailable (rancher v2.9.1
// pkg/api/norman/store/cluster/cluster_store.go:1471-1559). A plan knows the
// nodes that are not Ready but, for a percentage, only an upper bound of all
// nodes: hence two findings, one that is sure and one that is not.

func nodesNotReady(s *subject) string {
	for _, r := range notReadyByRole(s) {
		if len(r.names) > 0 && len(r.names) >= r.atMost {
			return fmt.Sprintf("%s: %s not Ready, %s %s allowed", r.role, enumerate(r.names), r.setting, r.value)
		}
	}
	return ""
}

func nodesPerhapsNotReady(s *subject) string {
	if nodesNotReady(s) != "" {
		return ""
	}
	for _, r := range notReadyByRole(s) {
		if len(r.names) > 0 {
			return fmt.Sprintf("%s: %s not Ready, %s %s allowed", r.role, enumerate(r.names), r.setting, r.value)
		}
	}
	return ""
}

type roleNotReady struct {
	role, setting, value string
	names                []string
	atMost               int // no cluster of this size can allow more
}

func notReadyByRole(s *subject) []roleNotReady {
	out := []roleNotReady{
		{role: "control plane", setting: "maxUnavailableControlplane", value: "1"},
		{role: "workers", setting: "maxUnavailableWorker", value: "10%"},
	}
	for i := range out {
		if v, ok := s.doc.Lookup("upgradeStrategy", out[i].setting); ok {
			if text, ok := v.(string); ok && text != "" {
				out[i].value = text
			}
		}
		out[i].atMost = atMostUnavailable(out[i].value, s.cluster.NodeCount)
	}
	for _, n := range s.nodes {
		if isReady(n) {
			continue
		}
		switch {
		case n.ControlPlane:
			out[0].names = append(out[0].names, n.Name)
		case isWorkerOnly(n):
			out[1].names = append(out[1].names, n.Name)
		}
	}
	return out
}

// atMostUnavailable resolves "1" or "10%" of at most count nodes; Rancher
// rounds a percentage down, and never below one.
func atMostUnavailable(value string, count int) int {
	if p, ok := strings.CutSuffix(value, "%"); ok {
		percent, err := strconv.Atoi(p)
		if err != nil {
			return math.MaxInt
		}
		return max(1, count*percent/100)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return math.MaxInt
	}
	return max(1, n)
}

// isWorkerOnly tells the nodes that the Rancher agent rolls, after the control
// plane, from those that RKE itself rolls.
func isWorkerOnly(n *rancher.Node) bool { return n.Worker && !n.ControlPlane && !n.Etcd }

func isReady(n *rancher.Node) bool { return n.Ready.Status == "True" }
