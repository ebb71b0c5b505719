package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// fresh reads the cluster anew and plans it again. The error wraps ErrStale
// when it is no longer what was reviewed.
func (a *Applier) fresh(ctx context.Context, planned *ClusterPlan) (*rancher.Cluster, *ClusterPlan, error) {
	cl, err := a.Planner.Rancher.Cluster(ctx, planned.ID)
	if err != nil {
		return nil, nil, err
	}
	if cl.UUID != planned.UUID {
		return nil, nil, fmt.Errorf("%w: %s is another cluster now (uuid %s, planned for %s)", ErrStale, cl.ID, cl.UUID, planned.UUID)
	}
	fresh := a.judge(ctx, cl)
	if fresh.Action != ActionPatch {
		return cl, fresh, nil
	}
	if difference := stale(planned, fresh); difference != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrStale, difference)
	}
	return cl, fresh, nil
}

// stale says how fresh differs from what was planned, and reviewed: in what it
// was computed from, in what it does, in what Rancher would do beside it, or in a
// warning that nobody has seen. "" when it does not.
func stale(planned, fresh *ClusterPlan) string {
	if fresh.Basis.Sum != planned.Basis.Sum || !slices.Equal(rewritePaths(fresh.Rewrites, false), rewritePaths(planned.Rewrites, false)) {
		return basisDifference(planned, fresh)
	}
	if is, was := fresh.Template, planned.Template; (is == nil) != (was == nil) || is != nil && is.Revision != was.Revision {
		return "the cluster was moved to or from a revision of an RKE template"
	}
	does, did := essence(fresh.Changes), essence(planned.Changes)
	for _, change := range does {
		if !slices.Contains(did, change) {
			return "the change would now hold " + change
		}
	}
	for _, change := range did {
		if !slices.Contains(does, change) {
			return "the change would no longer hold " + change
		}
	}
	for _, f := range fresh.Findings {
		if f.Severity == Warn && !slices.ContainsFunc(planned.Findings, func(p Finding) bool { return p.Code == f.Code }) {
			return f.Code + ": " + f.Message
		}
	}
	return ""
}

// essence lists changes in a form that does not depend on where in a list an
// item stands: somebody may have added another bind meanwhile.
func essence(changes []rkeconfig.Change) []string {
	var out []string
	for _, c := range changes {
		path, _, _ := strings.Cut(c.Path, "extraBinds[")
		sides, err := json.Marshal([]any{c.Before, c.After})
		if err != nil {
			sides = []byte("?")
		}
		out = append(out, path+string(sides))
	}
	return out
}

// onlyOwn is the check ahead of the PUT: nothing but the patch's own paths may
// differ between what the cluster is and what is to be stored.
func (a *Applier) onlyOwn(cl *rancher.Cluster, p *ClusterPlan) error {
	return onlyOwnAnd(a.Planner.Patch, cl, p, nil)
}

// basisDifference says what is no longer as it was when the plan was made.
func basisDifference(planned, fresh *ClusterPlan) string {
	var parts []string
	for _, was := range planned.Basis.Facts {
		if !slices.Contains(fresh.Basis.Facts, was) {
			parts = append(parts, "planned with "+was)
		}
	}
	for _, is := range fresh.Basis.Facts {
		if !slices.Contains(planned.Basis.Facts, is) {
			parts = append(parts, "now "+is)
		}
	}
	for _, path := range rewritePaths(fresh.Rewrites, false) {
		if !slices.Contains(rewritePaths(planned.Rewrites, false), path) {
			parts = append(parts, "Rancher would now also rewrite "+path)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "a masked value differs")
	}
	return strings.Join(parts, ", ")
}
