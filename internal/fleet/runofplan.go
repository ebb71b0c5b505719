package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RunOfPlan gives the newest run that began to carry out the plan with this
// checksum, nil when none did. A run that cannot be read might be it, so that is
// an error: those of LoadRun, except that a run without a first line changed
// nothing.
func RunOfPlan(stateDir, checksum string) (*Record, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, runsDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	for _, e := range slices.Backward(entries) {
		r, err := LoadRun(stateDir, e.Name())
		switch {
		case errors.Is(err, ErrUnknownRun):
		case err != nil:
			return nil, fmt.Errorf("looking for the run of the plan: %w", err)
		case r.Head.Kind == "apply" && r.Head.PlanChecksum == checksum:
			return r, nil
		}
	}
	return nil, nil
}

// Over reports whether every cluster of the run had its turn, whatever came of
// it. A run that ended before the first one had is not over.
func (r *Record) Over() bool { return !r.Ended.IsZero() && len(r.Clusters) > 0 }

// Outcomes gives how the run left its clusters, in the order of their names.
// Those that were rolled back since are left out.
func (r *Record) Outcomes() (out []Outcome, rolledBack int) {
	for _, c := range r.Clusters {
		switch {
		case c.RolledBack != "":
			rolledBack++
		case c.Outcome != nil:
			out = append(out, *c.Outcome)
		}
	}
	slices.SortFunc(out, func(a, b Outcome) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return out, rolledBack
}
