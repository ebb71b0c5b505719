// Package readiness says of a cluster whether it can be upgraded to a version
// of Kubernetes whose kubelets do not log in to ECR by themselves any more: one
// verdict out of a table of checks. What is not known is never ready.
package readiness

import (
	"rkepatch/internal/fleet"
	"rkepatch/internal/pulls"
)

// Status is what a check came to, and a cluster's verdict.
type Status string

// The statuses, the worst last. NotApplicable is for checks only.
const (
	NotApplicable Status = "not-applicable"
	Ready         Status = "ready"
	Unknown       Status = "unknown"
	NotReady      Status = "not-ready"
)

var rank = map[Status]int{NotApplicable: 0, Ready: 1, Unknown: 2, NotReady: 3}

// Result is what one check came to.
type Result struct {
	Check   string `json:"check"` // one of IDs
	Status  Status `json:"status"`
	Message string `json:"message"` // one sentence about this cluster
	Todo    string `json:"todo,omitempty"`
	// Findings are behind the status or beside it, the worst first.
	Findings []fleet.Finding `json:"findings,omitempty"`
}

// Cluster is what is known of one cluster.
type Cluster struct {
	ID                string `json:"id"`
	Name              string `json:"name"`
	KubernetesVersion string `json:"kubernetesVersion"`
	Nodes             int    `json:"nodes"`
	Verdict           Status `json:"verdict"`
	// Checks has every check of the table, in its order.
	Checks []Result `json:"checks"`
	// Use is nil when the cluster could not be asked what it pulls.
	Use *pulls.Use `json:"use,omitempty"`
	// Steps say in which order to do what is to be done, up to and with the
	// upgrade; none when the cluster runs the version already and is ready.
	Steps []string `json:"steps"`
}

// Result gives what a check came to.
func (c *Cluster) Result(check string) Result {
	for _, r := range c.Checks {
		if r.Check == check {
			return r
		}
	}
	return Result{Check: check, Status: Unknown}
}

// verdict is the worst status of all checks; a cluster of which nothing applies
// is not known to be ready.
func verdict(results []Result) Status {
	worst := NotApplicable
	for _, r := range results {
		if rank[r.Status] > rank[worst] {
			worst = r.Status
		}
	}
	if worst == NotApplicable {
		return Unknown
	}
	return worst
}

// Totals counts clusters by verdict.
type Totals struct {
	Clusters int `json:"clusters"`
	Ready    int `json:"ready"`
	NotReady int `json:"notReady"`
	Unknown  int `json:"unknown"`
}

// Add counts c.
func (t *Totals) Add(c *Cluster) {
	t.Clusters++
	switch c.Verdict {
	case Ready:
		t.Ready++
	case NotReady:
		t.NotReady++
	default:
		t.Unknown++
	}
}
