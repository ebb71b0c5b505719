package fleet

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

var (
	oldKubelet = json.RawMessage(`{"extraArgs":{"max-pods":"150"},"failSwapOn":false,"type":"/v3/schemas/kubeletService"}`)
	newKubelet = json.RawMessage(`{"extraArgs":{"max-pods":"150","image-credential-provider-bin-dir":"/opt/aws/bin"},"extraBinds":[]}`)
	binDirOnly = rkeconfig.Patch{Args: map[string]string{"image-credential-provider-bin-dir": "/opt/aws/bin"}}
	epoch      = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
)

// sight is a cluster as one poll sees it.
type sight struct {
	applied, failed json.RawMessage
	conditions      map[string]string // type -> status, "False: message"
	state           string
	nodeVersion     int
}

func (s sight) cluster() *rancher.Cluster {
	cl := &rancher.Cluster{
		ID: "c-aaaaa", Name: "prod-eu", State: s.state, NodeVersion: s.nodeVersion, NodeCount: 3,
		Config:         json.RawMessage(`{"services":{"kubelet":` + string(newKubelet) + `}}`),
		AppliedKubelet: s.applied, HasAppliedConfig: true, FailedKubelet: s.failed, HasFailedSpec: s.failed != nil,
	}
	for _, kind := range []string{"Provisioned", "Updated", "Upgraded", "Ready"} {
		status, message, _ := strings.Cut(s.conditions[kind], ": ")
		if status == "" {
			status = "True"
		}
		cl.Conditions = append(cl.Conditions, rancher.Condition{Type: kind, Status: status, Message: message})
	}
	return cl
}

func begin(t *testing.T) *watch {
	t.Helper()
	before := sight{applied: oldKubelet, state: "active", nodeVersion: 1}.cluster()
	w, err := newWatch(before, sight{applied: oldKubelet, state: "active", nodeVersion: 1}.cluster(), binDirOnly, epoch,
		patience{unnoticed: 5 * time.Minute, total: 30 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWatchControlPlane(t *testing.T) {
	failing := map[string]string{"Provisioned": "False: Cluster must have at least one etcd plane host"}
	for _, tt := range []struct {
		name   string
		sights []sight
		every  time.Duration
		nodes  bool   // the workers come next
		err    string // "" while it goes on
	}{
		{name: "active and as before says nothing yet", every: time.Second,
			sights: []sight{{applied: oldKubelet, state: "active", nodeVersion: 1}}},
		{name: "updating", every: time.Second,
			sights: []sight{{applied: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "Unknown"}}}},
		{name: "appliedSpec moved but Updated is not True yet", every: time.Second,
			sights: []sight{{applied: newKubelet, state: "updating", conditions: map[string]string{"Updated": "Unknown"}}}},
		{name: "control plane done", every: time.Second, nodes: true,
			sights: []sight{{applied: newKubelet, state: "active"}}},
		{name: "as recorded: RKE fails early, Provisioned goes False, Updated never moves, failedSpec is at first the old one", every: 5 * time.Second,
			sights: []sight{
				{applied: oldKubelet, state: "provisioning", conditions: map[string]string{"Provisioned": "Unknown"}},
				{applied: oldKubelet, failed: oldKubelet, state: "provisioning", conditions: failing},
				{applied: oldKubelet, failed: newKubelet, state: "provisioning", conditions: failing},
				{applied: oldKubelet, failed: newKubelet, state: "provisioning", conditions: failing},
			}, err: "at least one etcd plane host"},
		{name: "one sight of a failure is not enough: it retries by itself", every: 5 * time.Second,
			sights: []sight{
				{applied: oldKubelet, failed: newKubelet, state: "provisioning", conditions: failing},
				{applied: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "Unknown"}},
				{applied: oldKubelet, failed: newKubelet, state: "provisioning", conditions: failing},
			}},
		{name: "a failedSpec left over from an older failure is not ours", every: 5 * time.Second,
			sights: []sight{
				{applied: oldKubelet, failed: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "False: old"}},
				{applied: oldKubelet, failed: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "False: old"}},
			}},
		{name: "Rancher never notices", every: 3 * time.Minute,
			sights: []sight{{applied: oldKubelet, state: "active", nodeVersion: 1}, {applied: oldKubelet, state: "active", nodeVersion: 1}}, err: "no reaction"},
		{name: "noticed, then slow: patience", every: 3 * time.Minute,
			sights: []sight{
				{applied: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "Unknown"}},
				{applied: oldKubelet, state: "active", nodeVersion: 1}, {applied: oldKubelet, state: "active", nodeVersion: 1},
			}},
		{name: "out of time", every: 31 * time.Minute,
			sights: []sight{{applied: oldKubelet, state: "updating", conditions: map[string]string{"Updated": "Unknown"}}}, err: "not finished after 30m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := begin(t)
			var p progress
			now := epoch
			for i, s := range tt.sights {
				now = now.Add(tt.every)
				if p = w.observe(s.cluster(), now); i < len(tt.sights)-1 && (p.err != nil || p.done) {
					t.Fatalf("over at sight %d already: %+v", i, p)
				}
			}
			switch {
			case tt.err == "" && p.err != nil, tt.err != "" && (p.err == nil || !strings.Contains(p.err.Error(), tt.err)):
				t.Errorf("err = %v, want %q", p.err, tt.err)
			case p.nodes != tt.nodes || p.done:
				t.Errorf("%+v, want nodes %v and not done", p, tt.nodes)
			}
		})
	}
}

// A run that is resumed finds the failure of before, while the cause may be
// mended: only what Rancher says after that counts.
func TestWatchResumedOverAnOldFailure(t *testing.T) {
	failing := sight{applied: oldKubelet, failed: newKubelet, state: "provisioning", conditions: map[string]string{"Provisioned": "False: etcd is not healthy"}}
	w := begin(t)
	w.before, w.resumed = read(failing.cluster()), true
	for i := range 3 {
		if p := w.observe(failing.cluster(), epoch.Add(time.Duration(i)*time.Minute)); p.err != nil || p.done {
			t.Fatalf("look %d at the old failure: %+v", i, p)
		}
	}
	again := failing
	again.conditions = map[string]string{"Provisioned": "Unknown"}
	w.observe(again.cluster(), epoch.Add(4*time.Minute))
	w.observe(failing.cluster(), epoch.Add(5*time.Minute))
	if p := w.observe(failing.cluster(), epoch.Add(6*time.Minute)); p.err == nil {
		t.Errorf("tried again and failed again: %+v", p)
	}
}

func TestWatchWorkers(t *testing.T) {
	done := sight{applied: newKubelet, state: "active", nodeVersion: 2}
	control := &rancher.Node{ID: "c-aaaaa:m-1", Name: "cp-1", ControlPlane: true, Etcd: true, Ready: rancher.Condition{Status: "True"}}
	worker := func(version, applied int, ready string, command ...string) *rancher.Node {
		return &rancher.Node{ID: "c-aaaaa:m-7", Name: "worker-7", Worker: true, PlanVersion: version, AppliedNodeVersion: applied,
			KubeletCommand: append([]string{"kubelet", "--max-pods=150"}, command...), Ready: rancher.Condition{Status: ready}}
	}
	const flag = "--image-credential-provider-bin-dir=/opt/aws/bin"
	for _, tt := range []struct {
		name  string
		sight sight
		nodes []*rancher.Node
		done  bool
		says  string // within minutes, and still when time is out
	}{
		{"the gap before Rancher begins with the workers", sight{applied: newKubelet, state: "active", nodeVersion: 1}, []*rancher.Node{control, worker(1, 1, "True")}, false, "0/1 workers rolled, 1 in the queue"},
		{"planned, not rolled", done, []*rancher.Node{control, worker(2, 1, "True", flag)}, false, "worker-7 (rolling)"},
		{"rolled, its kubelet does not come up: no error in Rancher", done, []*rancher.Node{control, worker(2, 2, "False", flag)}, false, "0/1 workers rolled"},
		{"flag with another value", done, []*rancher.Node{control, worker(2, 2, "True", flag+"/old")}, false, "1 in the queue"},
		{"rolled, Rancher not finished", sight{applied: newKubelet, nodeVersion: 2, conditions: map[string]string{"Upgraded": "Unknown"}}, []*rancher.Node{control, worker(2, 2, "True", flag)}, false, "waiting for Rancher to finish"},
		{"a control plane node is not Ready", done, []*rancher.Node{{ID: "c-aaaaa:m-1", Name: "cp-1", ControlPlane: true}, worker(2, 2, "True", flag)}, false, "cp-1 "},
		{"all rolled, cluster disconnected", sight{applied: newKubelet, nodeVersion: 2, conditions: map[string]string{"Ready": "False"}}, []*rancher.Node{control, worker(2, 2, "True", flag)}, false, "the cluster to be Ready"},
		{"nodes hidden from the token", done, nil, false, "does not show"},
		{"an older plan that never had to change, nothing under way", sight{applied: newKubelet, state: "active", nodeVersion: 3}, []*rancher.Node{control, worker(2, 2, "True", flag)}, true, "1/1 workers rolled"},
		{"an older plan, roll-out under way", sight{applied: newKubelet, nodeVersion: 3, conditions: map[string]string{"Upgraded": "Unknown"}}, []*rancher.Node{control, worker(2, 2, "True", flag)}, false, "worker-7 (rolling)"},
		{"all rolled", done, []*rancher.Node{control, worker(2, 2, "True", flag)}, true, "1/1 workers rolled"},
		{"a Windows worker has flags of its own", done, []*rancher.Node{control, {Name: "win", Worker: true, OS: "windows", PlanVersion: 2, AppliedNodeVersion: 2, Ready: rancher.Condition{Status: "True"}}}, true, "1/1"},
		{"no separate workers", done, []*rancher.Node{{Name: "all", ControlPlane: true, Etcd: true, Worker: true, Ready: rancher.Condition{Status: "True"}}}, true, "no separate workers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := begin(t)
			cl := tt.sight.cluster()
			if p := w.observe(cl, epoch.Add(time.Minute)); !p.nodes {
				t.Fatalf("the control plane is not done: %+v", p)
			}
			p := w.observeNodes(cl, tt.nodes, epoch.Add(time.Minute))
			if p.done != tt.done || p.err != nil || !strings.Contains(p.text, tt.says) {
				t.Errorf("%+v, want done %v and %q", p, tt.done, tt.says)
			}
			late := w.observeNodes(cl, tt.nodes, epoch.Add(31*time.Minute))
			if !tt.done && (!errors.Is(late.err, ErrTimeout) || !strings.Contains(late.err.Error(), tt.says)) {
				t.Errorf("out of time: %v, want ErrTimeout that says %q", late.err, tt.says)
			}
		})
	}
}
