package report

import "rkepatch/internal/fleet"

// OfRollback gives an outcome of a rollback in the words of one: "patched", with
// what was there before, is rolled-back there.
func OfRollback(o fleet.Outcome) fleet.Outcome {
	if o.Status == fleet.StatusPatched {
		o.Status = fleet.StatusRolledBack
	}
	return o
}

// tookBack reports whether o is what a rollback is meant to come to. An apply
// that finds its change taken back stores nothing.
func tookBack(o *fleet.Outcome) bool { return o.Status == fleet.StatusRolledBack && o.Stored }
