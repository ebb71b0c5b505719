package fleet

import (
	"strings"
	"testing"
	"time"

	"rkepatch/rancher"
)

// A change is taken back while RKE was at it: what is stored is what was applied
// last. The fixtures' newKubelet is what is stored again.
func TestWatchRetreat(t *testing.T) {
	down := map[string]string{"Updated": "False: [controlPlane] kubelet is not healthy"}
	running := map[string]string{"Updated": "Unknown"}
	failed := sight{applied: newKubelet, failed: oldKubelet, state: "updating", conditions: down}
	nodes := []*rancher.Node{
		{Name: "cp-1", ControlPlane: true, Etcd: true, Ready: rancher.Condition{Status: "True"}},
		{Name: "cp-2", ControlPlane: true, Ready: rancher.Condition{Status: "True"}},
		{Name: "worker-7", Worker: true, KubeletCommand: []string{"--image-credential-provider-bin-dir=/opt/aws/bin"}, Ready: rancher.Condition{Status: "True"}},
	}
	const suspects = "cp-1, cp-2 may still run with it"
	for _, tt := range []struct {
		name   string
		before sight
		sights []sight // two minutes apart, the last one for ever
		begun  bool
		after  time.Duration // when it is over
		fails  string        // "" is well
	}{
		{"Rancher forgets the failure", failed, []sight{failed, {applied: newKubelet, failed: oldKubelet, state: "active"}}, true, 4 * time.Minute, ""},
		{"Rancher does nothing any more", failed, []sight{failed}, true, 6 * time.Minute, "Rancher says updating since 6 min: "},
		{"the failed update is tried once more, and Rancher does nothing any more", failed,
			[]sight{{applied: newKubelet, state: "updating", conditions: running}, failed}, true, 6 * time.Minute, "Rancher says updating"},
		{"the update that was under way comes to its end, and is rolled back like any other",
			sight{applied: newKubelet, state: "updating", conditions: running},
			[]sight{
				{applied: newKubelet, state: "updating", conditions: running},
				{applied: oldKubelet, state: "active"},
				{applied: oldKubelet, state: "updating", conditions: running},
				{applied: newKubelet, state: "active"},
			}, false, 8 * time.Minute, ""},
		{"Rancher had not begun", sight{applied: newKubelet, state: "active"}, []sight{{applied: newKubelet, state: "active"}}, false, 2 * time.Minute, ""},
		{"it begins after all, with what is no longer stored", sight{applied: newKubelet, state: "active"},
			[]sight{{applied: newKubelet, state: "updating", conditions: running}, failed}, true, 6 * time.Minute, "Rancher says updating"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.before.cluster()
			w, err := newWatch(before, before, binDirOnly, epoch, patience{unnoticed: 5 * time.Minute, total: 30 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w.goBack(before)
			now := epoch
			var p progress
			for i := 0; !p.done && p.err == nil; i++ {
				if now = now.Add(2 * time.Minute); now.Sub(epoch) > time.Hour {
					t.Fatal("waits for ever")
				}
				cl := tt.sights[min(i, len(tt.sights)-1)].cluster()
				if p = w.observe(cl, now); p.nodes {
					p = w.observeNodes(cl, nodes, now)
				}
			}
			if took := now.Sub(epoch); took != tt.after || w.begun != tt.begun {
				t.Errorf("over after %s, begun %v; want %s, %v", took, w.begun, tt.after, tt.begun)
			}
			switch {
			case tt.fails == "" && p.err != nil:
				t.Error(p.err)
			case tt.fails != "" && (p.err == nil || !strings.Contains(p.err.Error(), tt.fails) || !strings.Contains(p.err.Error(), suspects)):
				t.Errorf("%v, want %q and %q", p.err, tt.fails, suspects)
			}
			if tt.begun && !strings.Contains(w.doubt(), suspects) {
				t.Errorf("doubt: %s", w.doubt())
			}
		})
	}
}
