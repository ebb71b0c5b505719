package readiness

import (
	"slices"
	"testing"

	"rkepatch/internal/fleet"
)

// awaited are codes that are placed ahead of the findings that have them.
var awaited = []string{
	"new-nodes-unprepared", "new-nodes-unknown", "new-nodes-custom",
	"gate-in-tree-refused", "azure-flag-refused", "provider-not-in-config", "merge-impossible", "args-missing",
}

// judged are blocks that count as ready, because a check of its own judges them.
var judged = []string{"no-provider-flags", "provider-not-in-config"}

// Whoever adds a finding that blocks says here what it means for an upgrade.
func TestEveryBlockHasAPlace(t *testing.T) {
	ids, _ := IDs()
	known := map[string]bool{}
	for _, f := range slices.Concat(fleet.Catalogue(), fleet.NodeCatalogue()) {
		known[f.Code] = true
		if p, ok := places[f.Code]; f.Severity == fleet.Block && !ok {
			t.Errorf("%s blocks (%s) and has no place in places", f.Code, f.Message)
		} else if ok && f.Severity == fleet.Block && p.status == Ready && !slices.Contains(judged, f.Code) {
			t.Errorf("%s blocks a change and counts as ready", f.Code)
		}
	}
	for code, p := range places {
		if !known[code] && !slices.Contains(awaited, code) {
			t.Errorf("%s is in no catalogue", code)
		}
		if !slices.Contains(ids, p.check) || rank[p.status] < rank[Ready] {
			t.Errorf("%s has the place %+v", code, p)
		}
	}
}

// A block that nobody has thought of counts against the cluster all the same.
func TestUnknownBlockIsNotReady(t *testing.T) {
	f := &facts{plan: &fleet.ClusterPlan{Findings: []fleet.Finding{
		{Code: "brand-new", Severity: fleet.Block, Message: "something new"}, {Code: "brand-new-too", Severity: fleet.Warn},
	}}}
	found, worst := f.placed(checkRancher)
	if worst != NotReady || len(found) != 1 {
		t.Errorf("%s, %+v", worst, found)
	}
}
