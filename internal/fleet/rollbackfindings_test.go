package fleet

import (
	"encoding/json"
	"os"
	"testing"

	"rkepatch/fixtures/simrancher"
)

// rollbackCases are the findings that only a rollback of something that is gone
// comes to: what happened after the run.
var rollbackCases = map[string]func(*rig){
	"cluster-unseen": func(r *rig) { r.sim.Delete("c-aaaaa") },
	"pre-image-unusable": func(r *rig) {
		image, err := r.run.LoadPreImage("c-aaaaa")
		if err != nil {
			r.t.Fatal(err)
		}
		image.UUID = "that of the cluster which had the id before"
		data, err := json.Marshal(image)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(r.run.preImage("c-aaaaa"), data, 0o600); err != nil {
			r.t.Fatal(err)
		}
	},
}

func TestRollbackOfWhatIsGone(t *testing.T) {
	for code, happens := range rollbackCases {
		t.Run(code, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			if o := r.applyOne(r.planOf("c-aaaaa", ActionPatch)); o.Status != StatusPatched {
				t.Fatalf("%s", o)
			}
			happens(r)
			r.sim.ResetRequests()
			plans, outcomes := r.revertAll("c-aaaaa")
			f, ok := find(plans[0].Findings, code)
			if !ok || f.Severity != Block || f.Message == "" || f.Todo == "" || outcomes[0].Status != StatusBlocked || r.puts() != 0 {
				t.Errorf("%+v, %s, %d PUTs", plans[0].Findings, outcomes[0], r.puts())
			}
		})
	}
}
