package fleet

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rkepatch/rancher"
)

// What is said of a worker that the roll-out waits for, minutes after its node
// was first seen so.
func TestWorkersInWords(t *testing.T) {
	const flag = "--image-credential-provider-bin-dir=/opt/aws/bin"
	at := func(d time.Duration) string { return epoch.Add(d).Format(time.RFC3339) }
	lost := func(since string) rancher.Condition {
		return rancher.Condition{Type: "Ready", Status: "Unknown", Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.", LastTransitionTime: since}
	}
	for _, tt := range []struct {
		name    string
		ready   rancher.Condition
		old     bool // still has the old plan
		control bool
		after   time.Duration // from its first sight to the one that counts
		want    string
	}{
		{name: "rolling", ready: rancher.Condition{Status: "True"}, want: "0/1 workers rolled, waiting for worker-7 (rolling)"},
		{name: "not Ready, silent", after: 4 * time.Minute, ready: rancher.Condition{Status: "False"}, want: "0/1 workers rolled, waiting for worker-7 (not Ready for 4 min)"},
		{name: "what its node says", after: 50 * time.Second, ready: lost(""), want: "0/1 workers rolled, waiting for worker-7 (not Ready for 50 s: NodeStatusUnknown Kubelet stopped posting node status.)"},
		{name: "no patience any more", after: 6 * time.Minute, ready: lost(""),
			want: "worker-7 has been NotReady for 6 min since its kubelet was restarted: its kubelet may not come up; on the node: docker logs kubelet (it says: NodeStatusUnknown Kubelet stopped posting node status.); 0/1 workers rolled"},
		{name: "the node knows better since when", ready: lost(at(5 * time.Minute)), after: 2 * time.Minute, want: "worker-7 has been NotReady for 7 min since its kubelet was restarted: "},
		{name: "from before the change, or before the run was resumed", ready: lost(at(-26 * time.Hour)), want: "worker-7 has been NotReady for 26 h: its kubelet may not come up; "},
		{name: "a clock that is ahead", ready: lost(at(time.Hour)), after: time.Minute, want: "worker-7 (not Ready for 1 min: "},
		{name: "no time at all", ready: lost("yesterday"), after: time.Minute, want: "worker-7 (not Ready for 1 min: "},
		{name: "its turn has not come, so it is not the change", old: true, ready: lost(""), after: 15 * time.Minute, want: "waiting for worker-7 (in the queue, not Ready for 15 min: "},
		{name: "a control plane node", control: true, ready: lost(""), after: 6 * time.Minute, want: "worker-7 has been NotReady for 6 min since its kubelet was restarted"},
		{name: "hostile words", after: time.Minute, ready: rancher.Condition{Status: "False", Message: "a\x1b[2J\r\nprod: patched\xff\u202e" + strings.Repeat("long ", 1<<16)}, want: "(not Ready for 1 min: a [2J prod: patched\ufffd long long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := begin(t)
			cl := sight{applied: newKubelet, state: "active", nodeVersion: 2}.cluster()
			n := &rancher.Node{ID: "c-aaaaa:m-7", Name: "worker-7", Worker: true, ControlPlane: tt.control, PlanVersion: 2, AppliedNodeVersion: 1, Ready: tt.ready}
			if !tt.old {
				n.KubeletCommand = []string{"kubelet", flag}
			}
			first := epoch.Add(10 * time.Minute)
			before := w.observeNodes(cl, []*rancher.Node{n}, first)
			p := w.observeNodes(cl, []*rancher.Node{n}, first.Add(tt.after))
			if !strings.Contains(p.text, tt.want) || p.err != nil || p.done {
				t.Errorf("%+v, want %q", p, tt.want)
			}
			if before.state() != p.state() {
				t.Errorf("only time has passed, and the state has changed: %q, %q", before.state(), p.state())
			}
			if strings.ContainsAny(p.text, "\x1b\r\n\u202e") || !utf8.ValidString(p.text) || len(p.text) > 500 {
				t.Errorf("not fit to be shown: %q", p.text)
			}
		})
	}
}

// A worker that was not Ready for a moment is timed anew when it goes again.
func TestWorkersTimedAnew(t *testing.T) {
	w := begin(t)
	cl := sight{applied: newKubelet, state: "active", nodeVersion: 2}.cluster()
	look := func(status string, at time.Duration) string {
		return w.observeNodes(cl, []*rancher.Node{{ID: "c-aaaaa:m-7", Name: "worker-7", ControlPlane: true, Ready: rancher.Condition{Status: status}}}, epoch.Add(at)).text
	}
	look("False", time.Minute)
	look("True", 2*time.Minute)
	look("Unknown", 10*time.Minute)
	if text := look("Unknown", 12*time.Minute); !strings.Contains(text, "worker-7 (not Ready for 2 min)") {
		t.Error(text)
	}
}
