package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
	"rkepatch/rkeconfig"
)

type object = map[string]any

const rkeField = "rancherKubernetesEngineConfig"

// victims are the clusters of the runs that are killed: nothing set (a rollback
// needs ?_replace=true), something set, and registries (two internal writes).
var victims = []simrancher.Cluster{
	{ID: "c-plain"},
	{ID: "c-owned", Kubelet: object{"extraArgs": object{"max-pods": "150"}, "extraBinds": []any{"/data:/data"}}},
	{ID: "c-regis", Config: object{"privateRegistries": []any{object{"url": "registry.example.com", "user": "ci", "password": "registry-password-of-a-victim", "isDefault": true}}}},
	{ID: "c-templ", Revision: victimsRevision.ID},
}

// victimsRevision has the authentication that its clusters keep, so that moving back and forth changes nothing else.
var victimsRevision = simrancher.Revision{
	ID: "cattle-global-data:ctr-victi", Template: "cattle-global-data:ct-victi", Name: "victims",
	Config: object{"authentication": object{"strategy": "x509"}}, Spec: object{"localClusterAuthEndpoint": object{"enabled": false}},
}

// accident is a Rancher, a state directory, and processes that are killed
// between them.
type accident struct {
	t             *testing.T
	sim           *simrancher.Server
	url, state    string
	before, after map[string]object // stored ahead of everything, and when patched

	gate  sync.RWMutex // held for reading while a request is handled
	token string       // of the process that lives
	seen  int          // requests of it
	blow  blow
	kill  func()
}

// blow says when a process is killed: when it has made so many requests, before
// or after Rancher has handled the last one, or when its journal has so many
// bytes.
type blow struct {
	request int
	handled bool
	journal int64
}

func newAccident(t *testing.T) *accident {
	a := &accident{t: t, sim: simrancher.New(simrancher.Options{Step: time.Millisecond}), state: t.TempDir(), before: map[string]object{}, after: map[string]object{}}
	a.sim.AddRevision(victimsRevision)
	for _, c := range victims {
		a.sim.AddCluster(c)
		a.before[c.ID] = a.sim.Stored(c.ID)
	}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *accident) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.gate.RLock()
	defer a.gate.RUnlock()
	hit := false
	if sent := r.Header.Get("Authorization"); sent != "" {
		if sent != "Bearer "+a.token {
			panic(http.ErrAbortHandler) // of a process that was killed since
		}
		hit = a.count()
	}
	if !hit {
		a.sim.ServeHTTP(w, r)
		return
	}
	if a.blow.handled {
		a.sim.ServeHTTP(httptest.NewRecorder(), r)
	}
	a.kill()
	panic(http.ErrAbortHandler)
}

var counting sync.Mutex

func (a *accident) count() (hit bool) {
	counting.Lock()
	defer counting.Unlock()
	a.seen++
	return a.kill != nil && a.seen == a.blow.request
}

// begin makes a process the one that Rancher listens to.
func (a *accident) begin(b blow, kill func()) (token string) {
	a.gate.Lock()
	defer a.gate.Unlock()
	a.sim.ResetRequests()
	a.seen, a.blow, a.kill = 0, b, kill
	a.token = fmt.Sprintf("token-kills:%032d", rand.Uint64())
	a.sim.AddToken(simrancher.Token{Key: a.token, User: "user-npk46", Admin: true})
	return a.token
}

// killed runs rkepatch as a process of its own and kills it; false when it was
// done before.
func (a *accident) killed(b blow, args ...string) bool {
	a.t.Helper()
	var cmd *exec.Cmd
	var out bytes.Buffer
	started := make(chan struct{})
	kill := func() {
		<-started
		_ = cmd.Process.Kill()
	}
	token := a.begin(b, kill)
	cmd = exec.Command(os.Args[0], args...)
	cmd.Args[0] = "rkepatch" // by which the test binary knows what it is to be
	cmd.Env = []string{quickEnd, "RANCHER_URL=" + a.url, "RANCHER_TOKEN_KEY=" + token, "HOME=" + a.state, "XDG_STATE_HOME=" + a.state, "GOMAXPROCS=2"}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	close(started)
	over := make(chan struct{})
	var watching sync.WaitGroup
	if b.journal > 0 {
		old := a.journalSize()
		watching.Go(func() {
			for a.journalSize() < old+b.journal {
				select {
				case <-over:
					return
				case <-time.After(200 * time.Microsecond):
				}
			}
			kill()
		})
	}
	err := cmd.Wait()
	close(over)
	watching.Wait()
	a.begin(blow{}, nil) // waits for requests that are still being handled
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		a.t.Fatalf("rkepatch %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return true
}

func (a *accident) journalSize() (n int64) {
	files, _ := filepath.Glob(filepath.Join(a.state, "rkepatch", "runs", "*", "journal.jsonl"))
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// inProcess: urfave/cli v2 keeps its --help flag in a global variable and writes to it while it parses.
var inProcess sync.Mutex

// does runs rkepatch undisturbed and wants it to succeed.
func (a *accident) does(args ...string) string {
	a.t.Helper()
	token := a.begin(blow{}, nil)
	var out, errs bytes.Buffer
	env := map[string]string{"RANCHER_URL": a.url, "RANCHER_TOKEN_KEY": token, "XDG_STATE_HOME": a.state}
	s := Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }}
	inProcess.Lock()
	code := run(context.Background(), s, append([]string{"rkepatch"}, args...), Build{Version: "v0.0.0-test"}, fleet.SystemClock())
	inProcess.Unlock()
	if code != ExitOK {
		a.t.Fatalf("rkepatch %s: code %d\n%s%s", strings.Join(args, " "), code, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

// look compares what is stored and what is on the disk with what may be, after
// each kill; every cluster is as before or exactly patched.
func (a *accident) look(when string) {
	a.t.Helper()
	puts := map[string]int{}
	for _, r := range a.sim.Requests() {
		if r.Method == http.MethodPut {
			puts[r.Path]++
		}
	}
	if made := a.sim.Count("clusterTemplateRevision") - 1; made > 1 {
		a.t.Errorf("%s: %d revisions were made of one", when, made)
	}
	for path, n := range puts {
		if n > 1 {
			a.t.Errorf("%s: %d PUTs of %s", when, n, path)
		}
	}
	sent := map[string]bool{}
	for _, record := range a.runs(when) {
		for id, c := range record.Clusters {
			sent[id] = sent[id] || c.Sent
		}
	}
	for id := range a.before {
		isBefore, isAfter := a.same(id, a.before[id]), a.same(id, a.after[id])
		switch {
		case isBefore == "":
		case isAfter != "":
			a.t.Errorf("%s: %s is neither as before nor patched\n%s\n%s", when, id, isBefore, isAfter)
		case !sent[id]:
			a.t.Errorf("%s: %s is patched and no journal knows of it", when, id)
		}
	}
	a.does("runs")
}

// runs reads all journals; newest last.
func (a *accident) runs(when string) (records []*fleet.Record) {
	a.t.Helper()
	dir := filepath.Join(a.state, "rkepatch")
	entries, _ := os.ReadDir(filepath.Join(dir, "runs"))
	for _, e := range entries {
		record, err := fleet.LoadRun(dir, e.Name())
		switch {
		case errors.Is(err, fleet.ErrUnknownRun): // killed before its first line
		case err != nil:
			a.t.Errorf("%s: %v", when, err)
		default:
			records = append(records, record)
		}
	}
	return records
}

// same says how a cluster as it is stored differs from want, "" when in nothing
// but its status.
func (a *accident) same(id string, want object) string {
	a.t.Helper()
	now := a.sim.Stored(id)
	x, errX := rkeconfig.NewDocument(want[rkeField].(object))
	y, errY := rkeconfig.NewDocument(now[rkeField].(object))
	if err := errors.Join(errX, errY); err != nil {
		a.t.Fatal(err)
	}
	if changes := rkeconfig.Compare(x, y); len(changes) > 0 {
		return fmt.Sprint(changes)
	}
	return cmp.Diff(settable(want), settable(now))
}

// settable is what a user can set, but for the config.
func settable(cluster object) object {
	cluster = maps.Clone(cluster)
	for _, field := range []string{rkeField, "appliedSpec", "failedSpec", "conditions", "nodeVersion", "clusterTemplateRevisionId", "answers"} {
		delete(cluster, field)
	}
	maps.DeleteFunc(cluster, func(_ string, v any) bool { return v == nil })
	return cluster
}

var applyVictims = []string{"apply", "--yes", "--skip-node-check", "--poll", "1ms", "--parallel", "2", "c-plain", "c-owned", "c-regis", "c-templ"}

// extent is how many requests and bytes of journal an undisturbed run takes.
type extent struct {
	requests int
	journal  int64
}

func (e extent) draw(rng *rand.Rand) blow {
	if rng.IntN(3) == 0 {
		return blow{journal: 1 + rng.Int64N(e.journal)}
	}
	return blow{request: 1 + rng.IntN(e.requests), handled: rng.IntN(2) == 0}
}

// TestKill kills rkepatch with SIGKILL at points of a schedule that RKEPATCH_SEED
// (1 by default) decides: 50 times, or as often as RKEPATCH_SOAK says. From
// wherever that leaves things, the run is resumed to its end and rolled back,
// and these are killed, too.
func TestKill(t *testing.T) {
	kills, seed := int64(50), uint64(1)
	if s := os.Getenv("RKEPATCH_SOAK"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	if s := os.Getenv("RKEPATCH_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}

	calm := newAccident(t)
	calm.does(applyVictims...)
	size := extent{requests: len(calm.sim.Requests()), journal: calm.journalSize()}
	patched := map[string]any{}
	for id := range calm.before {
		patched[id] = calm.sim.Stored(id)[rkeField]
	}

	var done atomic.Int64
	for i := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d.%d", seed, i), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, i))
			for done.Load() < kills && !t.Failed() {
				a := newAccident(t)
				for id, config := range patched {
					a.after[id] = maps.Clone(a.before[id])
					a.after[id][rkeField] = config
				}
				a.story(rng, size, &done)
			}
		})
	}
	t.Cleanup(func() {
		t.Logf("%d kills within %d requests and %d bytes of journal", done.Load(), size.requests, size.journal)
	})
}

// story is one run with its accidents, and its good end.
func (a *accident) story(rng *rand.Rand, size extent, done *atomic.Int64) {
	a.t.Helper()
	struck := func(always bool, args ...string) {
		b := size.draw(rng)
		if (always || rng.IntN(2) == 0) && a.killed(b, args...) {
			done.Add(1)
			a.look(fmt.Sprintf("%s killed at %+v", args[0], b))
		}
	}
	struck(true, applyVictims...)
	if len(a.runs("apply")) == 0 {
		a.does(applyVictims...)
	}
	id := a.runs("apply")[0].ID
	resume := []string{"apply", "--resume", id, "--yes", "--skip-node-check", "--poll", "1ms", "--parallel", "2"}
	struck(false, resume...)
	a.does(resume...)
	a.look("resumed")
	for id := range a.before {
		if diff := a.same(id, a.after[id]); diff != "" {
			a.t.Errorf("resumed: %s is not patched: %s", id, diff)
		}
	}
	rollback := []string{"rollback", "--yes", "--poll", "1ms", "--parallel", "2", id}
	struck(false, rollback...)
	a.does(rollback...)
	for id := range a.before {
		if diff := a.same(id, a.before[id]); diff != "" {
			a.t.Errorf("rolled back: %s is not as before: %s", id, diff)
		}
	}
	if out := a.does(rollback...); !strings.Contains(out, "nothing to roll back") || slices.ContainsFunc(a.sim.Requests(), func(r simrancher.Request) bool { return r.Method == http.MethodPut }) {
		a.t.Errorf("rolled back twice:\n%s", out)
	}
}
