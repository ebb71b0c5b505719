package fleet

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
)

// moment is when something goes wrong.
type moment int

const (
	beforeGet moment = iota
	afterGet
	duringPut // Rancher does not take it
	stored    // Rancher has taken it and not answered
	secondWrite
	following
	rollbackGet
	rollbackPut
	rollbackStored
	rollbackFollowing
	inJournal
)

var moments = [...]string{"before the GET", "after the GET", "during the PUT", "stored, not answered", "second internal write", "following",
	"rollback, GET", "rollback, PUT", "rollback, stored", "rollback, following", "writing the journal"}

// What becomes of the cluster in the attempt in which it goes wrong. Anything
// else in a cell is the reason why there is none.
const (
	untouched = "untouched" // failed, nothing is stored
	done      = "done"      // patched, or rolled back, all the same
	between   = "between"   // failed, it is stored, the way out is named
	left      = "left"      // stale, left alone
	gone      = "gone"      // failed, the cluster is no more
)

const (
	noRequest  = "no request is under way then; the next one is the PUT"
	noAnswer   = "there is no answer before the store"
	only409    = "Rancher does not answer a GET so"
	before     = "Rancher says so before the store, never after it (rancher-api.md 16)"
	sameAsPut  = "the same as during the PUT: there is no second write without a first"
	sameStored = "the same as stored, not answered"
	onDisk     = "a file is written, no request is made"
	realKill   = "done with real processes: TestKill in internal/cli"
	everyWrite = "TestFaultsJournalFull fills the disk at every single write"
)

// trouble is what goes wrong. Either Rancher or the way to it does something to
// a request (refuse: Rancher has not taken it, spoil: it has, where that
// differs), or something happens to the cluster, the token or the disk.
type trouble struct {
	name    string
	cluster simrancher.Cluster
	refuse  simrancher.Fault
	spoil   simrancher.Fault
	silence bool
	happens func(*drill)
	cells   [len(moments)]string
}

var html = http.Header{"Content-Type": {"text/html"}}

const htmlBody = "<html><body>Bad Gateway</body></html>"

var registry = simrancher.Cluster{Config: object{"privateRegistries": []any{
	object{"url": "registry.example.com", "user": "ci", "password": "registry-password-of-the-drill", "isDefault": true},
}}}

var troubles = []trouble{
	{name: "connection reset", refuse: simrancher.Fault{Reset: true}, spoil: simrancher.Fault{Lost: true}, cluster: registry,
		cells: [...]string{untouched, noRequest, untouched, done, done, done, untouched, untouched, done, done, onDisk}},
	{name: "time-out", silence: true, cluster: registry,
		cells: [...]string{untouched, noRequest, untouched, done, done, done, untouched, untouched, done, done, onDisk}},
	{name: "500", refuse: simrancher.Fault{Status: 500}, spoil: simrancher.Fault{Status: 500, AfterStore: true}, cluster: registry,
		cells: [...]string{untouched, noRequest, untouched, done, done, done, untouched, untouched, done, done, onDisk}},
	{name: "502 with HTML", refuse: simrancher.Fault{Status: 502, Header: html, Body: htmlBody}, spoil: simrancher.Fault{Status: 502, Header: html, Body: htmlBody, AfterStore: true}, cluster: registry,
		cells: [...]string{untouched, noRequest, untouched, done, done, done, untouched, untouched, done, done, onDisk}},
	{name: "503", refuse: simrancher.Fault{Status: 503}, spoil: simrancher.Fault{Status: 503, AfterStore: true},
		cells: [...]string{untouched, noRequest, untouched, done, sameStored, done, untouched, untouched, done, done, onDisk}},
	{name: "429 with Retry-After", refuse: simrancher.Fault{Status: 429, Header: http.Header{"Retry-After": {"120"}}},
		cells: [...]string{untouched, noRequest, untouched, before, before, done, untouched, untouched, before, done, onDisk}},
	{name: "409", refuse: simrancher.Conflict(drilled), spoil: simrancher.ConflictAfterStore(drilled), cluster: registry,
		cells: [...]string{only409, noRequest, untouched, done, done, only409, only409, untouched, done, only409, onDisk}},
	{name: "401, the token expires", happens: func(d *drill) {
		d.sim.AddToken(simrancher.Token{Key: simrancher.AdminToken, User: "user-npk46", Admin: true, Expired: true})
	}, cells: [...]string{untouched, untouched, untouched, between, sameStored, between, untouched, untouched, between, between, onDisk}},
	{name: "403", refuse: simrancher.Fault{Status: 403},
		cells: [...]string{untouched, noRequest, untouched, before, before, between, untouched, untouched, before, between, onDisk}},
	{name: "truncated body", refuse: simrancher.Fault{CutAt: 300}, spoil: simrancher.Fault{CutAt: 300},
		cells: [...]string{untouched, noRequest, noAnswer, done, sameStored, done, untouched, noAnswer, done, done, onDisk}},
	{name: "garbage", refuse: simrancher.Fault{Garble: true}, spoil: simrancher.Fault{Garble: true},
		cells: [...]string{untouched, noRequest, noAnswer, done, sameStored, done, untouched, noAnswer, done, done, onDisk}},
	{name: "wrong content type", refuse: simrancher.Fault{Type: "text/html"}, spoil: simrancher.Fault{Type: "text/html"},
		cells: [...]string{done, noRequest, noAnswer, done, sameStored, done, done, noAnswer, done, done, onDisk}},
	{name: "the cluster is deleted", happens: func(d *drill) { d.sim.Delete(drilled) },
		cells: [...]string{gone, gone, gone, gone, sameStored, gone, gone, gone, gone, gone, onDisk}},
	{name: "somebody edits what the plan is about", happens: func(d *drill) {
		d.edited(func(cluster object) {
			put(cluster, "/opt/aws/bin", rkeField, "services", "kubelet", "extraArgs", "image-credential-provider-bin-dir")
		})
	}, cells: [...]string{left, "TestFaultsLostEdit", "TestFaultsLostEdit", "TestApplyOvertaken", sameStored, "TestApplyFollows", "TestRollbackRefuses", "TestFaultsLostEdit", "TestRollbackRefuses", "TestRollbackRefuses", onDisk}},
	{name: "somebody edits another argument", cluster: withBinds("/data:/data"), happens: func(d *drill) {
		d.edited(func(cluster object) { put(cluster, "250", rkeField, "services", "kubelet", "extraArgs", "max-pods") })
	}, cells: [...]string{done, "TestFaultsLostEdit", "TestFaultsLostEdit", done, sameStored, done, done, "TestFaultsLostEdit", done, done, onDisk}},
	{name: "somebody edits the description", cluster: simrancher.Cluster{Kubelet: object{"extraArgs": object{"v": "2"}, "extraBinds": []any{"/data:/data"}}}, happens: func(d *drill) {
		d.edited(func(cluster object) { cluster["description"] = "edited meanwhile" })
	}, cells: [...]string{done, done, done, done, sameStored, done, done, done, done, done, onDisk}},
	{name: "disk full", happens: func(d *drill) { d.full.Store(true) },
		cells: [...]string{untouched, untouched, done, done, sameStored, done, untouched, done, done, done, everyWrite}},
	{name: "kill -9",
		cells: [...]string{realKill, realKill, realKill, realKill, realKill, realKill, realKill, realKill, realKill, realKill, realKill}},
}

// edited lets somebody edit the cluster straight in the store.
func (d *drill) edited(f func(object)) {
	if d.edit == nil { // a retry does not edit again
		d.edit = f
		d.sim.Edit(drilled, f)
	}
}

// strike makes the trouble happen at a moment of the attempt that run does next.
func (tr trouble) strike(d *drill, when moment, run *Run) {
	const path = "/v3/clusters/" + drilled
	polls := func(f simrancher.Fault) {
		f.Method, f.Path, f.Count = http.MethodGet, "/v3/clusters", 3
		if f.Status == http.StatusForbidden {
			f.Count = 0
		}
		d.sim.Inject(f)
	}
	inPlace := func(f func()) {
		d.clock.mu.Lock()
		defer d.clock.mu.Unlock()
		d.clock.onSleep = func(n int) {
			if n == 1 {
				f()
			}
		}
	}
	late := func() error { return outOfTime{} }
	switch when {
	case beforeGet, rollbackGet:
		switch {
		case tr.happens != nil:
			d.wire.on(http.MethodGet, path, 1, false, func() error { tr.happens(d); return nil })
		case tr.silence:
			d.wire.on(http.MethodGet, path, 1, false, late)
		default:
			f := tr.refuse
			f.Method, f.Path, f.Count = http.MethodGet, path, 0 // net/http itself repeats a GET once
			d.sim.Inject(f)
		}
	case afterGet:
		write := run.write
		run.write = func(name string, data []byte, mode os.FileMode) error {
			tr.happens(d)
			return write(name, data, mode)
		}
	case duringPut, rollbackPut:
		switch {
		case tr.happens != nil:
			d.wire.on(http.MethodPut, path, 1, false, func() error { tr.happens(d); return nil })
		case tr.silence:
			d.wire.on(http.MethodPut, path, 1, false, late)
		default:
			f := tr.refuse
			f.Method, f.Path, f.Count = http.MethodPut, path, 1
			d.sim.Inject(f)
		}
	case stored, secondWrite, rollbackStored:
		switch {
		case tr.happens != nil:
			d.wire.on(http.MethodPut, path, 1, true, func() error { tr.happens(d); return nil })
		case tr.silence:
			d.wire.on(http.MethodPut, path, 1, true, late)
		default:
			f := tr.spoil
			f.Method, f.Path, f.Count = http.MethodPut, path, 1
			d.sim.Inject(f)
		}
	case following, rollbackFollowing:
		inPlace(func() {
			switch {
			case tr.happens != nil:
				tr.happens(d)
			case tr.silence:
				d.wire.on(http.MethodGet, "/v3/clusters", 3, false, late)
			default:
				polls(tr.refuse)
			}
		})
	}
}

// Whatever goes wrong, whenever it does: the cluster is untouched, or patched
// exactly, or reported as in between with the way out; nothing else has changed;
// there was one PUT at most; and from there, both ways lead out.
func TestFaults(t *testing.T) {
	ran := 0
	for _, tr := range troubles {
		for when, ends := range tr.cells {
			if !slices.Contains([]string{untouched, done, between, left, gone}, ends) {
				if ends == "" {
					t.Errorf("%s, %s: no cell and no reason", tr.name, moments[when])
				}
				continue
			}
			ran++
			for _, out := range []string{"resume", "rollback"} {
				t.Run(tr.name+"/"+moments[when]+"/"+out, func(t *testing.T) {
					t.Parallel()
					d := newDrill(t, tr.cluster)
					if when := moment(when); when >= rollbackGet {
						d.failedRollback(tr, when, ends, out == "resume")
					} else {
						d.failedApply(tr, when, ends, out == "resume")
					}
				})
			}
		}
	}
	if ran < 100 {
		t.Errorf("only %d cells ran", ran)
	}
}

func (d *drill) failedApply(tr trouble, when moment, ends string, resume bool) {
	t := d.t
	tr.strike(d, when, d.run)
	o := d.attempt()
	d.judge(o, ends, ends != untouched && ends != left, "rkepatch rollback "+d.run.ID+" "+drilled)
	if tr.name == "disk full" && ends == done && !strings.Contains(o.Message, "could not be noted") {
		t.Errorf("%s: not said that the journal is not whole", o)
	}
	d.heal()
	d.settle()
	sent := d.record().Clusters[drilled].Sent
	if d.puts() > 0 && !slices.ContainsFunc(d.record().Entries, func(e Entry) bool { return e.Event == EventPut }) {
		t.Errorf("there was a PUT that the journal does not know of")
	}
	if resume {
		switch o := d.resume(); {
		case ends == gone:
			if o.Status != StatusFailed && o.Status != StatusStale {
				t.Errorf("resumed without a cluster: %s", o)
			}
		case ends == left:
			if o.Status != StatusStale || d.puts() > 0 {
				t.Errorf("resumed although stale: %s", o)
			}
		case o.Status != StatusPatched:
			t.Errorf("resumed: %s", o)
		default:
			d.is(true, "resumed")
		}
		return
	}
	back, any := d.rollback(calm)
	switch {
	case any != sent:
		t.Errorf("rollback: sent %v, something to take back %v", sent, any)
	case ends == gone:
		if any && back.Status != StatusBlocked {
			t.Errorf("rolled back without a cluster: %s", back)
		}
		return
	case any && back.Status != StatusPatched && back.Status != StatusUnchanged:
		t.Errorf("rolled back: %s", back)
	}
	d.is(false, "rolled back")
	if _, again := d.rollback(calm); again {
		t.Error("could be rolled back twice")
	}
}

func (d *drill) failedRollback(tr trouble, when moment, ends string, resume bool) {
	t := d.t
	if o := d.attempt(); o.Status != StatusPatched {
		t.Fatalf("%s", o)
	}
	o, _ := d.rollback(func(run *Run) { tr.strike(d, when, run) })
	d.judge(o, ends, ends == untouched, "")
	d.heal()
	d.settle()
	if ends == gone {
		if o, any := d.rollback(calm); any && o.Status != StatusBlocked {
			t.Errorf("rolled back without a cluster: %s", o)
		}
		return
	}
	if resume {
		o := d.resume()
		if o.Status != StatusPatched && o.Status != StatusUnchanged && o.Status != StatusRolledBack {
			t.Errorf("resumed: %s", o)
		}
		d.is(d.holdsPatch(drilled), "resumed")
		return
	}
	if o, any := d.rollback(calm); any && o.Status != StatusPatched && o.Status != StatusUnchanged {
		t.Errorf("rolled back again: %s", o)
	}
	d.is(false, "rolled back again")
	if _, again := d.rollback(calm); again {
		t.Error("could be rolled back twice")
	}
}

// judge compares an outcome, and the store, with how it was to end.
func (d *drill) judge(o Outcome, ends string, patched bool, next string) {
	d.t.Helper()
	ok := false
	switch ends {
	case untouched:
		ok = o.Status == StatusFailed && !o.Stored && o.Err != nil && o.Next != ""
	case done:
		ok = o.Status == StatusPatched && o.Stored
	case between:
		ok = o.Status == StatusFailed && o.Stored && o.Err != nil && o.Next != "" && (next == "" || o.Next == next)
	case left:
		ok = o.Status == StatusStale && !o.Stored && errors.Is(o.Err, ErrStale) && o.Next != "" && d.puts() == 0
	case gone:
		if o.Status != StatusFailed || o.Next == "" || d.sim.Stored(drilled) != nil {
			d.t.Errorf("%s", o)
		}
		return
	}
	if !ok {
		d.t.Errorf("%s; want it %s", o, ends)
	}
	d.is(patched, "after the attempt")
}
