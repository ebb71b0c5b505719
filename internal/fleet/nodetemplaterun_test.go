package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// templateRig is a rig whose clusters make nodes from the ready and the plain
// template, the plain one with a password in its user data.
type templateRig struct {
	*rig
	said []Outcome
}

func newNodeTemplateRig(t *testing.T) *templateRig {
	t.Helper()
	r := &templateRig{rig: newRig(t, simrancher.Cluster{ID: "c-aaaaa", Name: "alpha"}, simrancher.Cluster{ID: "c-bbbbb", Name: "beta"})}
	withPool("c-aaaaa", plainTemplate)(r.sim)
	withPool("c-bbbbb", readyTemplate)(r.sim)
	if err := r.run.BeginNodeTemplates(Head{Kind: KindNodeTemplates, Server: r.planner.Rancher.URL()}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *templateRig) uses(names ...string) []*NodeTemplateUse {
	r.t.Helper()
	found, err := r.planner.NodeTemplates(r.t.Context(), Selection{Names: names})
	if err != nil {
		r.t.Fatal(err)
	}
	return found.Uses
}

func (r *templateRig) edits(field rancher.TemplateField, value NewValue, names ...string) []*NodeTemplateEdit {
	r.t.Helper()
	edits, err := r.planner.PlanNodeTemplates(r.t.Context(), r.uses(names...), field, value)
	if err != nil {
		r.t.Fatal(err)
	}
	return edits
}

func (r *templateRig) carryOut(edits []*NodeTemplateEdit) []Outcome {
	return r.applier(r.run, nil).Apply(r.t.Context(), edits)
}

func (r *templateRig) applier(run, earlier *Run) *NodeTemplateApplier {
	return &NodeTemplateApplier{Rancher: r.planner.Rancher, Run: run, Clock: r.clock.clock(), Poll: 5 * time.Second, File: readyUserData(), Earlier: earlier,
		Again: "again", Done: func(o Outcome) { r.said = append(r.said, o) }}
}

// back takes the run back and gives the outcomes.
func (r *templateRig) back() ([]*NodeTemplateEdit, []Outcome) {
	r.t.Helper()
	record, err := LoadRun(filepath.Dir(filepath.Dir(r.run.Dir)), r.run.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	ids, err := record.Changed(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	edits, err := r.planner.RevertNodeTemplates(r.t.Context(), record.Place(), ids)
	if err != nil {
		r.t.Fatal(err)
	}
	run, err := NewRun(filepath.Dir(filepath.Dir(r.run.Dir)), r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := run.BeginNodeTemplates(Head{Kind: "rollback", Of: r.run.ID, Server: r.planner.Rancher.URL()}); err != nil {
		r.t.Fatal(err)
	}
	return edits, r.applier(run, r.run).Apply(r.t.Context(), edits)
}

// There and back: all that is stored is as before, the hidden keys, too.
func TestNodeTemplateRunAndRollback(t *testing.T) {
	for _, tt := range []struct {
		field rancher.TemplateField
		value NewValue
	}{
		{rancher.FieldUserData, NewUserData(readyUserData())},
		{rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL)},
	} {
		r := newNodeTemplateRig(t)
		before := r.sim.StoredNodeTemplate(plainTemplate)
		before["amazonec2Config"].(object)["userdata"] = strings.TrimSpace(before["amazonec2Config"].(object)["userdata"].(string)) // by any PUT
		edits := r.edits(tt.field, tt.value, "alpha")
		if len(edits) != 1 || !edits[0].Todo() || strings.Contains(edits[0].Diff, "hunter2") {
			t.Fatalf("%+v", edits[0])
		}
		o := r.carryOut(edits)[0]
		if o.Status != StatusPatched || !o.Stored {
			t.Fatalf("%s", o)
		}
		if again := r.edits(tt.field, tt.value, "alpha"); again[0].Todo() || again[0].Diff != "" {
			t.Errorf("once more there is something to do: %s", again[0].Diff)
		}
		if tt.field == rancher.FieldUserData && r.uses("alpha")[0].Verdict.State != "prepared" {
			t.Errorf("it is %+v now", r.uses("alpha")[0].Verdict)
		}
		if puts := r.puts(); puts != 1 {
			t.Errorf("%d PUTs", puts)
		}
		_, outcomes := r.back()
		if len(outcomes) != 1 || outcomes[0].Status != StatusPatched {
			t.Fatalf("%v", outcomes)
		}
		if d := cmp.Diff(before, r.sim.StoredNodeTemplate(plainTemplate)); d != "" {
			t.Errorf("it is not as before:\n%s", d)
		}
		if edits, _ := r.back(); len(edits) != 0 {
			t.Errorf("it can be taken back twice: %+v", edits)
		}
	}
}

// What the template was is on the disk, for its owner only, when the PUT arrives.
func TestNodeTemplatePreImageFirst(t *testing.T) {
	r := newNodeTemplateRig(t)
	seen := false
	r.sim.Inject(simrancher.Fault{Method: http.MethodPut, Before: func() {
		seen = true
		name := filepath.Join(r.run.Dir, "pre", "cattle-global-nt_nt-plain.json")
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
			return
		}
		image, err := r.run.loadTemplateImage(plainTemplate)
		var whole object
		if err != nil || json.Unmarshal(image.Template, &whole) != nil || whole["name"] != "plain" || !strings.Contains(image.Before, "hunter2") || image.UUID == "" || image.Field != rancher.FieldUserData {
			t.Errorf("%+v, %v", image, err)
		}
	}})
	if o := r.carryOut(r.edits(rancher.FieldUserData, NewUserData(readyUserData()), "alpha"))[0]; o.Status != StatusPatched || !seen {
		t.Errorf("%s, PUT seen %v", o, seen)
	}

	r = newNodeTemplateRig(t)
	edits := r.edits(rancher.FieldUserData, NewUserData(readyUserData()), "alpha")
	r.run.write = func(string, []byte, os.FileMode) error {
		return &fs.PathError{Op: "write", Err: errors.New("no space left")}
	}
	if o := r.carryOut(edits)[0]; o.Status != StatusFailed || o.Stored || !errors.Is(o.Err, ErrState) || r.puts() != 0 {
		t.Errorf("%s, %d PUTs without a pre-image", o, r.puts())
	}
}

// Whatever happens to the PUT, the outcome says what is stored, nothing is sent
// twice, and the run can be taken back.
func TestNodeTemplateFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  simrancher.Fault
		status Status
		stored bool
		says   string
	}{
		{"the answer is lost", simrancher.Fault{Lost: true}, StatusPatched, true, ""},
		{"it was stored, and then 500", simrancher.Fault{Status: 500, AfterStore: true}, StatusPatched, true, ""},
		{"the answer is cut", simrancher.Fault{CutAt: 30}, StatusPatched, true, ""},
		{"the connection breaks", simrancher.Fault{Reset: true}, StatusFailed, false, "nothing was stored"},
		{"conflict", simrancher.Fault{Status: 409}, StatusFailed, false, "nothing was stored"},
		{"a gateway's 504", simrancher.Fault{Status: 504, Body: "<html>hunter2</html>"}, StatusFailed, false, "nothing was stored"},
		{"refused", simrancher.Fault{Status: 403}, StatusFailed, false, "forbidden"},
		{"another answer than a template", simrancher.Fault{Status: 200, Body: "{}", AfterStore: true}, StatusPatched, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newNodeTemplateRig(t)
			edits := r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha", "beta")
			tt.fault.Method, tt.fault.Path, tt.fault.Count = http.MethodPut, "/v3/nodeTemplates/", 1
			r.sim.Inject(tt.fault)
			outcomes := r.carryOut(edits)
			o := outcomes[0]
			if o.Status != tt.status || o.Stored != tt.stored || !strings.Contains(o.Message, tt.says) || strings.Contains(o.Message, "hunter2") {
				t.Errorf("%s; want %s, stored %v, %q", o, tt.status, tt.stored, tt.says)
			}
			if holds := r.sim.StoredNodeTemplate(plainTemplate)["engineInstallURL"] == mirrorURL; holds != tt.stored {
				t.Errorf("stored %v", holds)
			}
			wantNext, wantPuts := StatusPatched, 2
			if tt.status == StatusFailed {
				wantNext, wantPuts = StatusNotStarted, 1
			}
			if outcomes[1].Status != wantNext || r.puts() != wantPuts {
				t.Errorf("the next one: %s; %d PUTs", outcomes[1], r.puts())
			}
			if len(r.said) != 2 {
				t.Errorf("told %v", r.said)
			}
			if _, back := r.back(); len(back) != map[bool]int{true: 2, false: 0}[tt.stored] {
				t.Errorf("taken back: %v", back)
			}
			if now := r.sim.StoredNodeTemplate(plainTemplate)["engineInstallURL"]; now != stockURL {
				t.Errorf("it has %v in the end", now)
			}
		})
	}
}

// The answer is lost and nobody can look: that is said, and whoever can look later
// takes it back.
func TestNodeTemplateUnsure(t *testing.T) {
	r := newNodeTemplateRig(t)
	edits := r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha")
	r.sim.Inject(simrancher.Fault{Method: http.MethodPut, Count: 1, Lost: true, Before: func() {
		r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/nodeTemplates/", Status: 503})
	}})
	o := r.carryOut(edits)[0]
	if o.Status != StatusFailed || !o.Stored || !o.Unsure || o.Next != "again" {
		t.Errorf("%s, unsure %v", o, o.Unsure)
	}
	r.sim.ClearFaults()
	if _, back := r.back(); len(back) != 1 || back[0].Status != StatusPatched {
		t.Errorf("%v", back)
	}
}

// Somebody else was there between the question and the answer, or the run and the
// rollback: nothing is overwritten.
func TestNodeTemplateChangedMeanwhile(t *testing.T) {
	other := func(r *templateRig, uuid string) {
		r.sim.EditNodeTemplate(plainTemplate, func(nt map[string]any) {
			if uuid != "" { // it was made anew, with the same name and content
				nt["uuid"] = uuid
				return
			}
			nt["engineInstallURL"] = "https://somebody.example/else.sh"
		})
	}
	for _, uuid := range []string{"", "another"} {
		r := newNodeTemplateRig(t)
		edits := r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha")
		other(r, uuid)
		if o := r.carryOut(edits)[0]; o.Status != StatusStale || r.puts() != 0 {
			t.Errorf("%s, %d PUTs", o, r.puts())
		}
		r = newNodeTemplateRig(t)
		r.carryOut(r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha"))
		other(r, uuid)
		ways, back := r.back()
		if len(back) != 1 || back[0].Status != StatusBlocked || ways[0].Refused == nil || r.puts() != 1 {
			t.Errorf("%v, %d PUTs", back, r.puts())
		}
	}
	// What somebody took back by hand needs nothing.
	r := newNodeTemplateRig(t)
	r.carryOut(r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha"))
	r.sim.EditNodeTemplate(plainTemplate, func(nt map[string]any) { nt["engineInstallURL"] = stockURL })
	if _, back := r.back(); len(back) != 1 || back[0].Status != StatusUnchanged {
		t.Errorf("%v", back)
	}
	if edits, _ := r.back(); len(edits) != 0 {
		t.Errorf("%v", edits)
	}
	// One that is gone, or whose pre-image is damaged, is left alone, and said.
	r = newNodeTemplateRig(t)
	r.carryOut(r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha", "beta"))
	r.sim.DeleteNodeTemplate(plainTemplate)
	if err := os.WriteFile(r.run.preImage(readyTemplate), []byte(`{"kind":"PreImage"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, back := r.back()
	if len(back) != 2 || back[0].Status != StatusBlocked || back[1].Status != StatusBlocked {
		t.Errorf("%v", back)
	}
}

// What cannot be edited is refused before anything is asked or sent.
func TestNodeTemplatesRefused(t *testing.T) {
	r := newNodeTemplateRig(t)
	r.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-vsph1", Name: "vsphere", Driver: "vmwarevsphere"})
	r.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-gzip1", Name: "zipped", UserData: "## template: jinja\nhunter2"})
	for i, id := range []string{"cattle-global-nt:nt-vsph1", "cattle-global-nt:nt-gzip1", "cattle-global-nt:nt-gone1"} {
		r.sim.AddNodePool(simrancher.NodePool{ID: "c-aaaaa:np-x" + string(rune('a'+i)), Cluster: "c-aaaaa", Template: id})
	}
	says := map[string]string{"vsphere": "take no user data", "zipped": "jinja", "cattle-global-nt:nt-gone1": "not found", "plain": ""}
	edits := r.edits(rancher.FieldUserData, NewUserData(readyUserData()), "alpha")
	if len(edits) != len(says) {
		t.Fatalf("%d edits", len(edits))
	}
	for _, e := range edits {
		text := ""
		if e.Refused != nil {
			text = e.Refused.Error()
		}
		if want := says[e.Name]; (want == "") != (text == "") || !strings.Contains(text, want) || strings.Contains(text+e.Diff, "hunter2") {
			t.Errorf("%s: %q, want %q", e.Name, text, want)
		}
	}
	for _, o := range r.carryOut(edits) {
		if want := map[bool]Status{true: StatusPatched, false: StatusBlocked}[o.Name == "plain"]; o.Status != want {
			t.Errorf("%s", o)
		}
	}
	if r.puts() != 1 {
		t.Errorf("%d PUTs", r.puts())
	}
	r.sim.Inject(simrancher.Fault{Path: "/v3/nodeTemplates/", Status: 500})
	if _, err := r.planner.PlanNodeTemplates(t.Context(), edits[0].useOf(), rancher.FieldUserData, NewUserData("#!/bin/sh\n")); !errors.Is(err, rancher.ErrServer) {
		t.Errorf("%v", err)
	}
}

func (e *NodeTemplateEdit) useOf() []*NodeTemplateUse { return []*NodeTemplateUse{e.Use} }

// Ctrl-C: the request under way is finished, no other is begun.
func TestNodeTemplatesInterrupted(t *testing.T) {
	r := newNodeTemplateRig(t)
	edits := r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha", "beta")
	ctx, cancel := context.WithCancel(t.Context())
	r.sim.Inject(simrancher.Fault{Method: http.MethodPut, Count: 1, Before: cancel})
	outcomes := r.applier(r.run, nil).Apply(ctx, edits)
	if outcomes[0].Status != StatusPatched || outcomes[1].Status != StatusNotStarted || r.puts() != 1 {
		t.Errorf("%v, %d PUTs", outcomes, r.puts())
	}
}

// The question names who else is concerned.
func TestOtherClusters(t *testing.T) {
	r := newNodeTemplateRig(t)
	r.sim.AddNodePool(simrancher.NodePool{ID: "c-bbbbb:np-2", Cluster: "c-bbbbb", Template: plainTemplate})
	if got := OtherClusters(r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha")); len(got) != 1 || got[0] != "beta" {
		t.Errorf("%v", got)
	}
	if got := OtherClusters(r.edits(rancher.FieldDockerInstallURL, NewInstallURL(mirrorURL), "alpha", "beta")); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A URL's password or signature is in no diff, and it shows all the same that it
// changed.
func TestURLDiff(t *testing.T) {
	d := urlDiff("https://ops:hunter2@m.example/x?sig=hunter2", "https://ops:hunter3@m.example/x?sig=hunter3")
	if strings.Contains(d, "hunter") || !strings.Contains(d, "(before)") || !strings.Contains(d, "(after)") {
		t.Error(d)
	}
	if urlDiff("a", "a") != "" || !strings.Contains(urlDiff("", "https://m.example/x"), "+https://m.example/x") {
		t.Error("a URL that is new, or the same")
	}
}
