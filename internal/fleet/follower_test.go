package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rkepatch/rancher"
)

func TestCadence(t *testing.T) {
	c := cadence{fastest: 5 * time.Second, random: func() float64 { return 0 }}
	var got []time.Duration
	for _, news := range []bool{true, false, false, false, false, false, false, true, false} {
		got = append(got, c.next(news))
	}
	s := time.Second
	if want := []time.Duration{5 * s, 7500 * time.Millisecond, 11250 * time.Millisecond, 16875 * time.Millisecond, 25312500 * time.Microsecond, 30 * s, 30 * s, 5 * s, 7500 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// However the dice fall: never faster than asked for, never slower than said.
func TestCadenceBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fastest := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "fastest"))
		c := cadence{fastest: fastest, random: func() float64 { return rapid.Float64Range(0, 1).Draw(t, "dice") }}
		for _, news := range rapid.SliceOfN(rapid.Bool(), 1, 30).Draw(t, "news") {
			d := c.next(news)
			if d < fastest || d > 6*fastest || d > max(fastest, time.Minute) || news && d != fastest {
				t.Fatalf("%s, the fastest is %s", d, fastest)
			}
		}
	})
}

// busyRancher shows clusters whose roll-outs never end, and counts what it is
// asked for. It knows no filters but one, as Rancher does not know all.
type busyRancher struct {
	clusters     []*rancher.Cluster
	workersRoll  map[string]bool // of these clusters; the control plane of the others is not done
	lists, nodes int
	asked        []string // whose nodes
}

func (b *busyRancher) RoundTrip(r *http.Request) (*http.Response, error) {
	var data []map[string]any
	switch r.URL.Path {
	case "/v3/clusters":
		b.lists++
		for _, cl := range b.clusters {
			applied := oldKubelet
			if b.workersRoll[cl.ID] {
				applied = newKubelet
			}
			data = append(data, map[string]any{
				"id": cl.ID, "name": cl.Name, "driver": rancher.DriverRKE, "state": "updating", "nodeVersion": 2, "nodeCount": 1,
				"rancherKubernetesEngineConfig": cl.Config,
				"appliedSpec":                   map[string]any{"rancherKubernetesEngineConfig": map[string]any{"services": map[string]any{"kubelet": applied}}},
				"conditions":                    cl.Conditions,
			})
		}
	case "/v3/nodes":
		b.nodes++
		b.asked = r.URL.Query()["clusterId_in"]
		for _, id := range b.asked {
			data = append(data, map[string]any{
				"id": id + ":m-1", "clusterId": id, "nodeName": "worker-1", "worker": true, "appliedNodeVersion": 1,
				"nodePlan": map[string]any{"version": 2, "plan": map[string]any{"processes": map[string]any{"kubelet": map[string]any{
					"command": []string{"--image-credential-provider-bin-dir=/opt/aws/bin"}}}}},
				"conditions": []map[string]any{{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}},
			})
		}
	}
	body, err := json.Marshal(map[string]any{"type": "collection", "data": data})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}, Request: r}, err
}

// 200 and more clusters in flight cost one list of clusters a poll, and one of
// nodes, of those clusters alone whose workers roll.
func TestFollowingManyCostsOneListAPoll(t *testing.T) {
	for _, n := range []int{200, 201} {
		t.Run(fmt.Sprint(n, " in flight"), func(t *testing.T) {
			b := &busyRancher{workersRoll: map[string]bool{}}
			client, err := rancher.New(rancher.Options{URL: "https://rancher.example.com", Token: "token-aaaaa:b", Transport: b, RetryBudget: -1})
			if err != nil {
				t.Fatal(err)
			}
			clock := &testClock{now: epoch}
			said := map[string]string{}
			f := newFollower(client, clock.clock(), 5*time.Second, func(id, _, text string) { said[id] = text })
			rolling := 0
			for i := range n {
				cl := sight{applied: oldKubelet, conditions: map[string]string{"Updated": "True"}}.cluster()
				cl.ID, cl.Name = fmt.Sprintf("c-%05d", i), fmt.Sprintf("fleet-%05d", i)
				w, err := newWatch(sight{applied: oldKubelet, nodeVersion: 1}.cluster(), cl, binDirOnly, epoch, patience{unnoticed: time.Hour, total: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				f.watched[cl.ID] = &followed{watch: w, over: make(chan error, 1)}
				b.clusters = append(b.clusters, cl)
				if i%3 == 0 {
					b.workersRoll[cl.ID] = true
					rolling++
				}
			}
			polls := 0
			for ; clock.Now().Before(epoch.Add(10 * time.Minute)); polls++ {
				b.lists, b.nodes = 0, 0
				f.look(t.Context(), f.inFlight())
				if b.lists != 1 || b.nodes != 1 || len(b.asked) != rolling {
					t.Fatalf("poll %d: %d lists of clusters, %d of the nodes of %d clusters; want one of each, and %d", polls, b.lists, b.nodes, len(b.asked), rolling)
				}
				f.pause(t.Context())
			}
			t.Logf("%d in flight, 10 minutes: %d polls", n, polls)
			if polls < 20 || polls > 40 {
				t.Errorf("%d polls in 10 minutes; fast at first, half a minute later makes 20 to 40", polls)
			}
			if len(said) != n || len(f.inFlight()) != n {
				t.Errorf("something is known of %d clusters and %d are in flight, want %d", len(said), len(f.inFlight()), n)
			}
			if want := "worker-1 has been NotReady for "; !strings.HasPrefix(said["c-00000"], want) {
				t.Errorf("%q, want %q first", said["c-00000"], want)
			}
		})
	}
}

// A cluster that comes in while the polls are slow is looked at soon.
func TestFollowingANewcomer(t *testing.T) {
	r := newRig(t)
	r.poll = 5 * time.Second
	f := newFollower(r.planner.Rancher, r.clock.clock(), r.poll, func(string, string, string) {})
	for range 10 {
		f.pause(t.Context())
	}
	began := r.clock.Now()
	f.pause(t.Context())
	if slow := r.clock.Now().Sub(began); slow < 20*time.Second {
		t.Fatalf("nothing moves, and still there is a poll after %s", slow)
	}
	began = r.clock.Now()
	r.clock.onSleep = func(int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.news = true
	}
	if f.pause(t.Context()); r.clock.Now().Sub(began) != r.poll {
		t.Errorf("looked at after %s, want %s", r.clock.Now().Sub(began), r.poll)
	}
}

// What only grows older is said once a minute, what moves at once.
func TestFollowingRepeatsItself(t *testing.T) {
	var said []string
	f := newFollower(nil, Clock{}, time.Second, func(_, _, text string) { said = append(said, text) })
	f.watched["c-aaaaa"] = &followed{watch: &watch{}, over: make(chan error, 1)}
	for _, s := range []struct {
		at   time.Duration
		text string
	}{{0, "a for 0 s"}, {20, "a for 20 s"}, {40, "b for 0 s"}, {60, "b for 20 s"}, {110, "b for 1 min"}} {
		f.update("c-aaaaa", epoch.Add(s.at*time.Second), func(*followed) progress { return progress{text: s.text, still: s.text[:1]} })
	}
	if want := []string{"a for 0 s", "b for 0 s", "b for 1 min"}; !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}
