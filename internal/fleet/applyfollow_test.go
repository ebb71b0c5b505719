package fleet

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// afterStore runs f once the change of a cluster is in the store, before Rancher
// has done anything about it.
func (r *rig) afterStore(f func()) {
	r.clock.onSleep = func(n int) {
		if n == 1 {
			f()
		}
	}
}

func TestApplyFollows(t *testing.T) {
	const list = "/v3/clusters"
	down := func(r *rig, count int) {
		r.sim.Inject(simrancher.Fault{Method: "GET", Path: list, Count: count, Status: http.StatusBadGateway, Body: "<html>"})
	}
	expire := func(r *rig) {
		r.sim.AddToken(simrancher.Token{Key: simrancher.AdminToken, User: "user-npk46", Admin: true, Expired: true})
	}
	for _, tt := range []struct {
		name    string
		script  simrancher.Script
		patch   *rkeconfig.Patch // instead of the ECR provider's
		after   func(*rig)       // once the change is stored
		timeout time.Duration
		poll    time.Duration // 5s; with a sixth of step, every state is seen
		status  Status
		err     error
		says    []string // in the message
		told    string   // in a step on the way
		took    [2]time.Duration
	}{
		{name: "to the end of the last worker", poll: time.Second, status: StatusPatched, told: "1/2 workers rolled, waiting for c-aaaaa-worker-", took: [2]time.Duration{45 * time.Second, 75 * time.Second}},
		{name: "only binds, which no flag shows", poll: time.Second, patch: &rkeconfig.Patch{Binds: []string{"/srv/ca:/srv/ca:ro"}}, status: StatusPatched,
			told: "0/2 workers rolled, 2 in the queue", took: [2]time.Duration{45 * time.Second, 75 * time.Second}},
		{name: "RKE fails early, Updated never moves", script: simrancher.Fail{Message: "[etcd] host is not able to connect"}, status: StatusFailed,
			says: []string{"control plane", "[etcd] host is not able to connect"}, told: "looking again", took: [2]time.Duration{5 * time.Second, time.Minute}},
		{name: "RKE fails in the update", script: simrancher.Fail{Message: "kubelet is not healthy", Condition: "Updated"}, status: StatusFailed,
			says: []string{"kubelet is not healthy"}},
		{name: "RKE hangs", script: simrancher.Hang{}, poll: 30 * time.Second, timeout: 8 * time.Minute, status: StatusFailed, err: ErrTimeout,
			says: []string{"8m0s", "control plane: updating"}, took: [2]time.Duration{8 * time.Minute, 12 * time.Minute}},
		{name: "Rancher never notices", script: simrancher.NeverNotice{}, poll: 30 * time.Second, status: StatusFailed, says: []string{"no reaction"}, took: [2]time.Duration{5 * time.Minute, 9 * time.Minute}},
		{name: "a worker's kubelet does not come up", script: simrancher.WorkerStuck{Node: "c-aaaaa-worker-1"}, poll: 30 * time.Second, timeout: 4 * time.Minute, status: StatusFailed, err: ErrTimeout,
			says: []string{"/2 workers rolled", "waiting for c-aaaaa-worker-1 (", "not Ready"}},
		{name: "Rancher is down for a while", after: func(r *rig) { down(r, 6) }, status: StatusPatched, told: "Rancher does not answer"},
		{name: "Rancher stays down", after: func(r *rig) { down(r, 0) }, timeout: 2 * time.Minute, status: StatusFailed, err: ErrTimeout, says: []string{"Rancher does not answer"}},
		{name: "Rancher is down while the workers roll", after: func(r *rig) {
			r.sim.Inject(simrancher.Fault{Path: "/v3/nodes", Count: 3, Reset: true})
		}, status: StatusPatched, told: "Rancher does not answer"},
		{name: "the list is cut short for a while", after: func(r *rig) {
			r.sim.Inject(simrancher.Fault{Method: "GET", Path: list, Count: 3, CutAt: 500})
		}, status: StatusPatched, told: "Rancher does not answer"},
		{name: "the token expires", after: expire, status: StatusFailed, err: rancher.ErrUnauthorized, says: []string{"following"}},
		{name: "the nodes are hidden from the token", after: func(r *rig) {
			r.sim.Inject(simrancher.Fault{Path: "/v3/nodes", Status: http.StatusForbidden})
		}, status: StatusFailed, err: rancher.ErrForbidden, says: []string{"following"}},
		{name: "the cluster is deleted", after: func(r *rig) { r.sim.Delete("c-aaaaa") }, status: StatusFailed, says: []string{"deleted"}},
		{name: "one list lacks the cluster", after: func(r *rig) { r.sim.Inject(answeringClusters()) }, status: StatusPatched},
		{name: "somebody else takes the change away", after: func(r *rig) {
			r.edit("c-aaaaa", []string{"extraArgs", kubelet.FlagProviderBinDir}, "/opt/gcr/bin")
		}, status: StatusStale, err: ErrStale, says: []string{"changed it again"}, took: [2]time.Duration{0, time.Minute}},
		{name: "somebody else changes another argument", after: func(r *rig) {
			r.edit("c-aaaaa", []string{"extraArgs", "max-pods"}, "250")
		}, status: StatusPatched},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			r.poll = cmp.Or(tt.poll, 5*time.Second)
			if tt.patch != nil {
				r.planner.Patch = *tt.patch
			}
			p := r.planOf("c-aaaaa", ActionPatch)
			if tt.script != nil {
				r.sim.Script("c-aaaaa", tt.script)
			}
			if tt.after != nil {
				r.afterStore(func() { tt.after(r) })
			}
			if tt.timeout > 0 {
				r.timeout = tt.timeout
			}
			o := r.applyOne(p)
			if o.Status != tt.status || o.Stored != (tt.status != StatusStale) || r.puts() != 1 {
				t.Errorf("%s, %d PUTs; want %s, stored unless stale, one PUT", o, r.puts(), tt.status)
			}
			if tt.err != nil && !errors.Is(o.Err, tt.err) {
				t.Errorf("error %v, want %v", o.Err, tt.err)
			}
			for _, word := range tt.says {
				if !strings.Contains(o.Message, word) {
					t.Errorf("the message does not say %q: %s", word, o.Message)
				}
			}
			if !r.hasSaid(tt.told) {
				t.Errorf("no step told %q: %q", tt.told, r.said)
			}
			if tt.status == StatusFailed && o.Next == "" {
				t.Error("does not say how to go on")
			}
			if tt.took[1] > 0 && (o.Duration < tt.took[0] || o.Duration > tt.took[1]) {
				t.Errorf("took %s, want %s to %s", o.Duration, tt.took[0], tt.took[1])
			}
		})
	}
}

// The first failure stops new clusters from starting; the one in flight is
// followed to its end.
func TestApplyStopsAfterAFailure(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"}, simrancher.Cluster{ID: "c-bbbbb"}, simrancher.Cluster{ID: "c-ccccc"})
	plans := r.plan(Selection{All: true})
	both := make(chan struct{})
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-bbbbb", Before: func() { close(both) }})
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Status: http.StatusForbidden, Before: func() {
		select {
		case <-both:
		case <-t.Context().Done():
		}
	}})
	outcomes, err := r.apply(t.Context(), 2, plans...)
	if err != nil {
		t.Fatal(err)
	}
	var got []Status
	for _, o := range outcomes {
		got = append(got, o.Status)
	}
	if want := []Status{StatusFailed, StatusPatched, StatusNotStarted}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", outcomes, want)
	}
	if r.holdsPatch("c-ccccc") || r.count("GET", "/v3/clusters/c-ccccc", "") != 0 || outcomes[2].Message == "" {
		t.Errorf("%s", outcomes[2])
	}
}

func TestApplyInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		when   func(*rig, context.CancelFunc)
		status Status
		puts   int
		stored bool
		says   string
	}{
		{"before it began", func(_ *rig, cancel context.CancelFunc) { cancel() }, StatusNotStarted, 0, false, ""},
		{"while the cluster is read", func(r *rig, cancel context.CancelFunc) {
			r.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-aaaaa", Before: cancel, Delay: time.Minute})
		}, StatusNotStarted, 0, false, "interrupted"},
		{"while the pre-image is written", func(r *rig, cancel context.CancelFunc) {
			write := r.run.write
			r.run.write = func(name string, data []byte, mode os.FileMode) error {
				cancel()
				return write(name, data, mode)
			}
		}, StatusNotStarted, 0, false, "interrupted"},
		{"while the PUT is under way", func(r *rig, cancel context.CancelFunc) {
			r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Before: cancel})
		}, StatusInFlight, 1, true, "just stored"},
		{"while the PUT is under way, and its answer is lost", func(r *rig, cancel context.CancelFunc) {
			r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Before: cancel, Lost: true})
		}, StatusInFlight, 1, true, "just stored"},
		{"while the PUT is under way, and it fails", func(r *rig, cancel context.CancelFunc) {
			r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Before: cancel, Status: http.StatusForbidden})
		}, StatusFailed, 1, false, "forbidden"},
		{"while it is followed", func(r *rig, cancel context.CancelFunc) {
			r.clock.onSleep = func(n int) {
				if n == 3 {
					cancel()
				}
			}
		}, StatusInFlight, 1, true, "last seen: "},
		{"while it is looked at", func(r *rig, cancel context.CancelFunc) {
			r.afterStore(func() {
				r.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters", Before: cancel, Delay: time.Minute})
			})
		}, StatusInFlight, 1, true, "last seen: control plane"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"}, simrancher.Cluster{ID: "c-bbbbb"})
			plans := r.plan(Selection{All: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.poll = 5 * time.Second
			tt.when(r, cancel)
			outcomes, err := r.apply(ctx, 1, plans...)
			if tt.name == "before it began" && err != nil {
				if r.puts() != 0 {
					t.Errorf("%d PUTs", r.puts())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o := outcomes[0]
			if o.Status != tt.status || o.Stored != tt.stored || r.puts() != tt.puts || r.holdsPatch("c-aaaaa") != tt.stored {
				t.Errorf("%s, %d PUTs; want %s, stored %v, %d PUTs", o, r.puts(), tt.status, tt.stored, tt.puts)
			}
			if !strings.Contains(o.Message, tt.says) || strings.Contains(o.Message, "does not answer") {
				t.Errorf("%s; want a message that says %q", o, tt.says)
			}
			if tt.status == StatusInFlight && (!errors.Is(o.Err, ErrInterrupted) || o.Next == "") {
				t.Errorf("%s: an operator must hear how to go on (%v)", o, o.Err)
			}
			if next := outcomes[1]; next.Status != StatusNotStarted || r.count("GET", "/v3/clusters/c-bbbbb", "") != 0 {
				t.Errorf("%s: was to be left alone", next)
			}
			said := len(r.said)
			r.settle()
			if len(r.said) != said {
				t.Errorf("said after the end: %q", r.said[said:])
			}
		})
	}
}

// A poll that the interrupt cuts short is no news about Rancher.
func TestFollowerInterruptedPoll(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	cl, err := r.planner.Rancher.Cluster(t.Context(), "c-aaaaa")
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWatch(cl, cl, rkeconfig.Patch{}, epoch, patience{})
	if err != nil {
		t.Fatal(err)
	}
	f := newFollower(r.planner.Rancher, r.clock.clock(), time.Second, func(_, _, text string) { t.Errorf("said %q", text) })
	f.watched["c-aaaaa"] = &followed{watch: w, over: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.look(ctx, []string{"c-aaaaa"})
	if len(f.watched) != 1 {
		t.Error("the cluster is not watched any more")
	}
}

// What an interrupted run leaves behind goes on by itself, and the same command
// again finds it done.
func TestApplyAgain(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.clock.onSleep = func(int) { cancel() }
	if _, err := r.apply(ctx, 1, p); err != nil {
		t.Fatal(err)
	}
	r.settle()
	again := r.planOf("c-aaaaa", ActionNone)
	if o := r.applyOne(again); o.Status != StatusUnchanged || r.puts() != 1 {
		t.Errorf("%s, %d PUTs", o, r.puts())
	}
	if o := r.applyOne(p); o.Status != StatusUnchanged || r.puts() != 1 {
		t.Errorf("with the old plan: %s, %d PUTs", o, r.puts())
	}
}
