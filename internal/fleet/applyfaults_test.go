package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// Whatever becomes of a PUT's answer: the cluster is read again and followed or
// reported untouched, and there is never a second PUT.
func TestApplyAnswers(t *testing.T) {
	const path = "/v3/clusters/c-aaaaa"
	html := http.Header{"Content-Type": {"text/html"}}
	for _, tt := range []struct {
		name   string
		fault  simrancher.Fault
		stored bool  // the change is in place in the end, and was followed
		gets   int   // of the cluster by id: the one before, and the one after if in doubt
		err    error // how it failed
		says   string
	}{
		{"answer lost after the store", simrancher.Fault{Lost: true}, true, 2, nil, "every kubelet"},
		{"500 after the store, as with private registries", simrancher.ConflictAfterStore("c-aaaaa"), true, 2, nil, "every kubelet"},
		{"502 of a proxy after the store", simrancher.Fault{AfterStore: true, Status: 502, Header: html, Body: "<html>Bad Gateway</html>"}, true, 2, nil, "every kubelet"},
		{"408 after the store", simrancher.Fault{AfterStore: true, Status: 408}, true, 2, nil, "every kubelet"},
		{"answer cut short", simrancher.Fault{CutAt: 300}, true, 2, nil, "every kubelet"},
		{"answer garbled", simrancher.Fault{Garble: true}, true, 2, nil, "every kubelet"},
		{"answer about something else", simrancher.Fault{AfterStore: true, Status: 200, Body: `{"id":"c-bbbbb","type":"cluster"}`}, true, 2, nil, "every kubelet"},
		{"answer without a config", simrancher.Fault{AfterStore: true, Status: 200, Body: `{"id":"c-aaaaa","type":"cluster"}`}, true, 2, nil, "every kubelet"},
		{"right answer called HTML", simrancher.Fault{Type: "text/html"}, true, 1, nil, "every kubelet"},

		{"connection closed before the store", simrancher.Fault{Reset: true}, false, 1 + looks, rancher.ErrUnreachable, "nothing was stored"},
		{"500 without the store", simrancher.Fault{Status: 500}, false, 2, rancher.ErrServer, "nothing was stored"},
		{"409", simrancher.Conflict("c-aaaaa"), false, 2, rancher.ErrConflict, "nothing was stored"},
		{"502 of a proxy without the store", simrancher.Fault{Status: 502, Header: html, Body: "<html>Bad Gateway</html>"}, false, 1 + looks, rancher.ErrServer, "nothing was stored"},
		{"503", simrancher.Fault{Status: 503}, false, 1 + looks, rancher.ErrServer, "nothing was stored"},

		{"401: the token expired", simrancher.Fault{Status: 401}, false, 1, rancher.ErrUnauthorized, "not authorised"},
		{"403: the right was taken away", simrancher.Fault{Status: 403}, false, 1, rancher.ErrForbidden, "forbidden"},
		{"422", simrancher.Fault{Status: 422, Body: `{"type":"error","status":422,"code":"InvalidFormat","fieldName":"name"}`}, false, 1, rancher.ErrValidation, "field name"},
		{"404: deleted", simrancher.Fault{Status: 404}, false, 1, rancher.ErrNotFound, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			p := r.planOf("c-aaaaa", ActionPatch)
			tt.fault.Method, tt.fault.Path = http.MethodPut, path
			r.sim.Inject(tt.fault)
			o := r.applyOne(p)
			if puts, gets := r.puts(), r.count("GET", path, ""); puts != 1 || gets != tt.gets {
				t.Errorf("%d PUTs and %d GETs of the cluster, want 1 and %d", puts, gets, tt.gets)
			}
			if r.holdsPatch("c-aaaaa") != tt.stored || o.Stored != tt.stored {
				t.Errorf("%s; the store holds the patch: %v, want %v", o, r.holdsPatch("c-aaaaa"), tt.stored)
			}
			if !strings.Contains(o.Message, tt.says) {
				t.Errorf("%s; want a message that says %q", o, tt.says)
			}
			switch {
			case tt.err == nil && o.Status != StatusPatched:
				t.Errorf("%s, want patched", o)
			case tt.err != nil && (o.Status != StatusFailed || !errors.Is(o.Err, tt.err) || !strings.Contains(o.Next, "c-aaaaa")):
				t.Errorf("%s (%v), want failed with %v", o, o.Err, tt.err)
			}
		})
	}
}

// 200, and the config is the old one: Rancher has dropped the edit.
func TestApplySilentDrop(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	var old json.RawMessage
	getJSON(t, r, "/v3/clusters/c-aaaaa", &old)
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Status: http.StatusOK, Body: string(old)})
	o := r.applyOne(p)
	if o.Status != StatusFailed || !errors.Is(o.Err, rancher.ErrNotStored) || !strings.Contains(o.Message, "services.kubelet.extraArgs") {
		t.Errorf("%s", o)
	}
	if r.puts() != 1 || r.clock.sleeps > 0 {
		t.Errorf("%d PUTs, %d polls", r.puts(), r.clock.sleeps)
	}
}

// Neither the PUT nor the GET after it is answered: nobody knows, and it is said.
func TestApplyNobodyKnows(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Lost: true})
	r.sim.Inject(simrancher.Fault{Method: "GET", Path: "/v3/clusters/c-aaaaa", Skip: 1, Status: http.StatusServiceUnavailable})
	o := r.applyOne(p)
	if o.Status != StatusFailed || !errors.Is(o.Err, rancher.ErrUnknownOutcome) || !errors.Is(o.Err, rancher.ErrServer) || r.puts() != 1 || o.Next == "" {
		t.Errorf("%s (%v), %d PUTs", o, o.Err, r.puts())
	}
}

// The answer is lost, and meanwhile somebody else has changed the cluster: it is
// neither as it was nor as it was sent.
func TestApplyOvertaken(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Reset: true, Before: func() {
		r.edit("c-aaaaa", []string{"extraArgs", "max-pods"}, "250")
	}})
	o := r.applyOne(p)
	if o.Status != StatusFailed || !errors.Is(o.Err, rancher.ErrNotStored) || !strings.Contains(o.Message, "c-aaaaa") || r.puts() != 1 {
		t.Errorf("%s (%v), %d PUTs", o, o.Err, r.puts())
	}
}

// A gateway gives up on a PUT that Rancher is still at: the change is stored
// half a minute later, is found, and is followed.
func TestApplyStoredLate(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	r.poll = 5 * time.Second
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Status: http.StatusGatewayTimeout})
	r.clock.onSleep = func(n int) {
		if n == 6 {
			r.edit("c-aaaaa", []string{"extraArgs"}, p.wanted.ExtraArgs())
			r.edit("c-aaaaa", []string{"extraBinds"}, p.wanted.ExtraBinds())
		}
	}
	o := r.applyOne(p)
	if o.Status != StatusPatched || r.puts() != 1 || !r.hasSaid("the change is stored, although the answer was lost") {
		t.Errorf("%s, %d PUTs, said %q", o, r.puts(), r.said)
	}
}

// Ctrl-C while a lost PUT is looked for: what is stored stays open, and is said.
func TestApplyInterruptedInDoubt(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Reset: true})
	ctx, cancel := context.WithCancel(t.Context())
	r.clock.onSleep = func(int) { cancel() }
	outcomes, err := r.apply(ctx, 1, p)
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.Status != StatusFailed || !o.Unsure || !errors.Is(o.Err, rancher.ErrUnknownOutcome) || !strings.Contains(o.Message, "interrupted") || o.Next == "" {
		t.Errorf("%s, unsure %v", o, o.Unsure)
	}
}

// The answer is lost, and the first read of the cluster shows no config: that is
// no answer to go by, and no reason to say that the PUT was refused.
func TestApplyFoundWithoutConfig(t *testing.T) {
	for _, body := range []string{`{"id":"c-aaaaa","type":"cluster","name":"x"}`, rawCluster("c-aaaaa", `"x"`)} {
		d := newDrill(t, simrancher.Cluster{})
		d.sim.Inject(simrancher.Fault{Method: http.MethodPut, Count: 1, Lost: true})
		d.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters/" + drilled, Skip: 1, Count: 1, Status: 200, Body: body})
		if o := d.attempt(); o.Status != StatusPatched || !d.holdsPatch(drilled) {
			t.Errorf("%s", o)
		}
	}
}
