package fleet

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
)

const (
	std   = "cattle-global-data:ct-std01"
	stdR1 = "cattle-global-data:ctr-std01"
	stdR2 = "cattle-global-data:ctr-std02"
)

// templated is a cluster made from a revision, with one node.
func templated(id, revision string) simrancher.Cluster {
	return simrancher.Cluster{ID: id, Revision: revision, Nodes: []simrancher.Node{{Name: id + "-1", ControlPlane: true, Etcd: true, Worker: true}}}
}

// newTemplateRig has a template with two revisions, two clusters made from the first and one from the second.
func newTemplateRig(t *testing.T, more ...simrancher.Cluster) *rig {
	r := newRig(t)
	r.sim.AddRevision(simrancher.Revision{ID: stdR1, Template: std, Name: "r1", Kubelet: map[string]any{"extraArgs": map[string]any{"max-pods": "200"}, "extraBinds": []any{"/data:/data"}}})
	r.sim.AddRevision(simrancher.Revision{ID: stdR2, Template: std, Name: "r2"})
	for _, c := range append([]simrancher.Cluster{templated("c-one", stdR1), templated("c-two", stdR1), templated("c-other", stdR2)}, more...) {
		r.sim.AddCluster(c)
	}
	return r
}

func (r *rig) revisionOf(id string) string {
	text, _ := r.sim.Stored(id)["clusterTemplateRevisionId"].(string)
	return text
}

// posted counts the revisions that were asked for.
func (r *rig) posted() int { return r.count(http.MethodPost, "/v3/clusterTemplateRevisions", "") }

func TestPlanOfATemplateCluster(t *testing.T) {
	r := newTemplateRig(t)
	p := r.planOf("c-one", ActionPatch)
	want := &TemplatePlan{ID: std, Name: "template-ct-std01", Revision: stdR1, RevisionName: "r1", NextName: "r1-rkepatch", Clusters: []string{"c-one", "c-other", "c-two"}}
	if d := cmp.Diff(want, p.Template); d != "" {
		t.Error(d)
	}
	if !slices.Contains(codes(p), "template-cluster") || !strings.Contains(p.Findings[0].Message, "r1") || !strings.Contains(p.Findings[0].Message, "3 cluster(s)") {
		t.Errorf("findings %+v", p.Findings)
	}
	if !strings.Contains(p.Diff, "+        image-credential-provider-bin-dir: /opt/aws/bin") || strings.Contains(p.Diff, "strategy") {
		t.Errorf("diff\n%s", p.Diff)
	}
	if r.puts() != 0 {
		t.Error("a plan changed something")
	}
}

// Clusters that come from one revision share the next one; each is followed to its end; nothing else moves.
func TestApplyMovesTheClustersOfATemplate(t *testing.T) {
	r := newTemplateRig(t)
	before := map[string]object{}
	for _, id := range []string{"c-one", "c-two", "c-other"} {
		before[id] = r.sim.Stored(id)
	}
	plans := r.plan(Selection{All: true})
	outcomes, err := r.apply(t.Context(), 3, plans...)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Status != StatusPatched || !r.holdsPatch(o.ID) {
			t.Errorf("%s", o)
		}
		changed := changedPaths(before[o.ID], r.sim.Stored(o.ID))
		if d := cmp.Diff([]string{"answers", "appliedSpec", "clusterTemplateRevisionId", "conditions", "rancherKubernetesEngineConfig"}, changed); d != "" {
			t.Errorf("%s: %s", o.ID, d)
		}
	}
	if one, two, other := r.revisionOf("c-one"), r.revisionOf("c-two"), r.revisionOf("c-other"); one != two || one == other || one == stdR1 || other == stdR2 {
		t.Errorf("on %s, %s, %s", one, two, other)
	}
	if r.posted() != 2 {
		t.Errorf("%d revisions were made, want one for each that was in use", r.posted())
	}
	made, err := r.planner.Rancher.Revision(t.Context(), r.revisionOf("c-one"))
	if err != nil {
		t.Fatal(err)
	}
	if made.Name != "r1-rkepatch" || !made.Enabled || made.Annotations[basedOn] != stdR1 || made.Annotations[madeBy] != r.run.ID ||
		made.Annotations[description] != "as revision r1, with the kubelet's image-credential-provider-bin-dir and image-credential-provider-config; made by rkepatch" {
		t.Errorf("made %+v, %v", made.Name, made.Annotations)
	}
	if p := r.planOf("c-one", ActionNone); p.Template.RevisionName != "r1-rkepatch" {
		t.Errorf("planned again: %+v", p.Template)
	}
}

// A later run finds the revision that an earlier one made; a person's revision that looks like it is not taken.
func TestLaterRunFindsTheRevision(t *testing.T) {
	r := newTemplateRig(t)
	if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
		t.Fatal(o)
	}
	p := r.planOf("c-two", ActionPatch)
	if p.Template.Next != r.revisionOf("c-one") || p.Template.NextName != "r1-rkepatch" {
		t.Errorf("planned %+v", p.Template)
	}
	if o := r.applyOne(p); o.Status != StatusPatched || r.revisionOf("c-two") != r.revisionOf("c-one") || r.posted() != 1 {
		t.Errorf("%s on %s, %d revisions made", o, r.revisionOf("c-two"), r.posted())
	}
	for _, tt := range []struct {
		name string
		edit func(revision map[string]any)
	}{
		{"disabled", func(m map[string]any) { m["enabled"] = false }},
		{"with a password of its own", func(m map[string]any) { m["privateRegistrySecret"] = "cattle-global-data:s" }},
		{"edited", func(m map[string]any) {
			put(m, "9", "clusterConfig", "rancherKubernetesEngineConfig", "services", "kubelet", "extraArgs", "v")
		}},
		{"with other questions", func(m map[string]any) {
			m["questions"] = []any{map[string]any{"variable": "dockerRootDir", "default": "/var/lib/docker", "type": "string"}}
		}},
		{"without the annotation", func(m map[string]any) { m["annotations"] = map[string]any{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
				t.Fatal(o)
			}
			first := r.revisionOf("c-one")
			r.sim.EditObject("clusterTemplateRevision", first, tt.edit)
			p := r.planOf("c-two", ActionPatch)
			if p.Template.Next != "" || p.Template.NextName != "r1-rkepatch-2" {
				t.Errorf("planned %+v", p.Template)
			}
			if o := r.applyOne(p); o.Status != StatusPatched || r.revisionOf("c-two") == first || r.posted() != 2 {
				t.Errorf("%s on %s, %d made", o, r.revisionOf("c-two"), r.posted())
			}
		})
	}
}

const (
	rkeConfig      = "rancherKubernetesEngineConfig"
	providerConfig = rkeConfig + ".services.kubelet.extraArgs.image-credential-provider-config"
)

// templateCases stand in the way of a move, or must be known before it.
var templateCases = []struct {
	name   string
	set    func(r *rig)
	code   string
	action Action
	says   string
}{
	{"a person who may not change templates", func(r *rig) {
		r.sim.AddToken(simrancher.Token{Key: "token-noone:" + strings.Repeat("k", 20), User: "user-noone", Owner: []string{"*"}})
		r.as("token-noone:" + strings.Repeat("k", 20))
	}, "template-not-permitted", ActionBlocked, "no update link"},
	{"a template that was not shared", func(r *rig) {
		r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusterTemplates/", Status: 404, Body: `{"type":"error","status":404,"code":"NotFound","message":"not found"}`})
	}, "template-unseen", ActionBlocked, "not found"},
	{"revisions that may not be listed", func(r *rig) {
		r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusterTemplateRevisions", Status: 403, Body: `{"type":"error","status":403,"code":"Forbidden","message":"no"}`})
	}, "template-unseen", ActionBlocked, "forbidden"},
	{"a revision that is gone", func(r *rig) { r.sim.RemoveObject("clusterTemplateRevision", stdR1) }, "template-unseen", ActionBlocked, "no more"},
	{"a revision without a config", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { m["clusterConfig"] = map[string]any{} })
	}, "template-unseen", ActionBlocked, "shows no config"},
	{"a disabled revision", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { m["enabled"] = false })
	}, "template-revision-disabled", ActionPatch, "cannot be moved back"},
	{"passwords", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) {
			m["privateRegistrySecret"], m["s3CredentialSecret"] = "cattle-global-data:x", "cattle-global-data:y"
		})
	}, "template-passwords", ActionPatch, "privateRegistrySecret, s3CredentialSecret"},
	{"an answer for the argument", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) {
			m["questions"] = []any{map[string]any{"variable": providerConfig, "type": "string", "default": "/etc/other.yaml"}}
		})
	}, "template-answers", ActionBlocked, "image-credential-provider-config"},
	{"a required answer is missing", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) {
			m["questions"] = []any{map[string]any{"variable": rkeConfig + ".dns.provider", "type": "string", "required": true}}
		})
	}, "template-answers", ActionBlocked, "no answer and no default"},
	{"a cluster that is not as its revision", func(r *rig) {
		r.edit("c-one", []string{"clusterDomain"}, "branch.local")
		r.sim.Edit("c-one", func(m map[string]any) { put(m, "weave", rkeConfig, "network", "plugin") })
	}, "template-differs", ActionBlocked, "network.plugin"},
	{"an argument that only the cluster has", func(r *rig) { r.edit("c-one", []string{"extraArgs", "v"}, "4") }, "template-differs", ActionBlocked, `extraArgs["v"]`},
	{"another Docker directory", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { put(m, "/data/docker", "clusterConfig", "dockerRootDir") })
	}, "template-differs", ActionBlocked, "dockerRootDir"},
	{"a version that floats", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { put(m, "v1.26.x", "clusterConfig", rkeConfig, "kubernetesVersion") })
	}, "template-differs", ActionBlocked, "v1.26.x"},
	{"a revision with a conflict of its own", func(r *rig) {
		r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) {
			put(m, "/etc/other.yaml", "clusterConfig", rkeConfig, "services", "kubelet", "extraArgs", "image-credential-provider-config")
		})
	}, "template-differs", ActionBlocked, "does not take the patch"},
}

func TestTemplateFindings(t *testing.T) {
	for _, tt := range templateCases {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			tt.set(r)
			r.settle()
			p := r.planOf("c-one", tt.action)
			i := slices.IndexFunc(p.Findings, func(f Finding) bool { return f.Code == tt.code })
			if i < 0 || !strings.Contains(p.Findings[i].Message, tt.says) || p.Findings[i].Todo == "" {
				t.Errorf("findings %+v", p.Findings)
			}
			if tt.action == ActionPatch {
				if o := r.applyOne(p); o.Status != StatusPatched {
					t.Error(o)
				}
			}
		})
	}
}

// The setting that forbids clusters without a template is said for those, and stops nobody else.
func TestTemplateEnforcement(t *testing.T) {
	r := newTemplateRig(t, simrancher.Cluster{ID: "c-plain"})
	r.sim.Setting("cluster-template-enforcement", "true")
	if p := r.planOf("c-plain", ActionPatch); !slices.Contains(codes(p), "template-enforced") {
		t.Errorf("plain: %v", codes(p))
	}
	if p := r.planOf("c-one", ActionPatch); slices.Contains(codes(p), "template-enforced") {
		t.Errorf("of a template: %v", codes(p))
	}
	key := "token-share:" + strings.Repeat("k", 20)
	r.sim.AddToken(simrancher.Token{Key: key, User: "user-share", Owner: []string{"*"}, Templates: []string{std}})
	r.as(key)
	if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
		t.Errorf("an owner of the template: %s", o)
	}
	if o := r.applyOne(r.planOf("c-plain", ActionPatch)); o.Status != StatusFailed || o.Stored || !strings.Contains(o.Message, "clusterTemplateRevision") {
		t.Errorf("no administrator: %s", o)
	}
}

// A rollback moves clusters back, also where their kubelet had no settings before, which takes ?_replace=true.
func TestRollbackOfATemplateCluster(t *testing.T) {
	r := newTemplateRig(t)
	before := map[string]object{}
	ids := []string{"c-one", "c-two", "c-other"}
	for _, id := range ids {
		before[id] = r.sim.Stored(id)
	}
	if _, err := r.apply(t.Context(), 3, r.plan(Selection{All: true})...); err != nil {
		t.Fatal(err)
	}
	plans, outcomes := r.revertAll(ids...)
	r.settle()
	for i, o := range outcomes {
		// The controller keeps x509|webhook, which the revisions do not have.
		if !slices.Contains(codes(plans[i]), "template-strategy") || !strings.Contains(plans[i].Diff, "strategy") {
			t.Errorf("%s: %v", o.ID, codes(plans[i]))
		}
		if o.Status != StatusPatched || r.holdsPatch(o.ID) {
			t.Errorf("%s %v", o, codes(plans[i]))
		}
		changed := changedPaths(before[o.ID], r.sim.Stored(o.ID))
		changed = slices.DeleteFunc(changed, func(p string) bool {
			return p == "answers" || p == "conditions" || p == "nodeVersion" || p == "appliedSpec"
		})
		if len(changed) > 0 {
			t.Errorf("%s: %v are not as before", o.ID, changed)
		}
	}
	if r.count(http.MethodPut, "/v3/clusters/c-other", "_replace=true") != 1 || r.count(http.MethodPut, "/v3/clusters/c-one", "_replace") != 0 {
		t.Errorf("requests %v", r.sim.Requests())
	}
	plans, _ = r.revertAll(ids...)
	for _, p := range plans {
		if p.Action != ActionNone {
			t.Errorf("a second time: %s %v", p.Action, codes(p))
		}
	}
}

func TestNoWayBackToARevision(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(r *rig)
		says string
	}{
		{"disabled", func(r *rig) {
			r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { m["enabled"] = false })
		}, "is disabled"},
		{"gone", func(r *rig) { r.sim.RemoveObject("clusterTemplateRevision", stdR1) }, "is no more"},
		{"moved by somebody", func(r *rig) {
			r.sim.Edit("c-one", func(m map[string]any) { m["clusterTemplateRevisionId"] = stdR2 })
		}, "moved or changed again since"},
		{"taken out of the template", func(r *rig) {
			r.sim.Edit("c-one", func(m map[string]any) { m["clusterTemplateRevisionId"], m["clusterTemplateId"] = nil, nil })
		}, "taken out of one"},
		{"the template is hidden now", func(r *rig) {
			r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusterTemplates/", Status: 403, Body: `{"type":"error","status":403,"code":"Forbidden","message":"no"}`})
		}, "forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
				t.Fatal(o)
			}
			tt.set(r)
			r.settle()
			r.planner.templates = nil
			r.sim.ResetRequests()
			plans, outcomes := r.revertAll("c-one")
			if !slices.Contains(codes(plans[0]), "template-no-way-back") || !strings.Contains(plans[0].Findings[len(plans[0].Findings)-1].Message, tt.says) || outcomes[0].Status != StatusBlocked {
				t.Errorf("%+v, %s", plans[0].Findings, outcomes[0])
			}
			if r.puts() != 0 {
				t.Error("something was sent")
			}
		})
	}
}

// Answers get lost on the way to a new revision and to a moved cluster. Nothing is sent twice.
func TestTemplateFaults(t *testing.T) {
	lost := func(method, path string, after bool, status int) simrancher.Fault {
		return simrancher.Fault{Method: method, Path: path, Count: 1, AfterStore: after, Status: status, Body: `{"type":"error","status":500,"code":"ServerError","message":"x"}`}
	}
	revisions, cluster := "/v3/clusterTemplateRevisions", "/v3/clusters/c-one"
	for _, tt := range []struct {
		name   string
		fault  simrancher.Fault
		status Status
		moved  bool
		posts  int
	}{
		{"the revision is made, the answer lost", lost(http.MethodPost, revisions, true, 502), StatusPatched, true, 1},
		{"the revision is not made, the answer lost", lost(http.MethodPost, revisions, false, 504), StatusFailed, false, 1},
		{"the revision is refused", lost(http.MethodPost, revisions, false, 403), StatusFailed, false, 1},
		{"the cluster is moved, the answer lost", lost(http.MethodPut, cluster, true, 502), StatusPatched, true, 1},
		{"the cluster is not moved, the answer lost", lost(http.MethodPut, cluster, false, 500), StatusFailed, false, 1},
		{"a conflict", simrancher.Conflict("c-one"), StatusFailed, false, 1},
		{"an answer after all", simrancher.ConflictAfterStore("c-one"), StatusPatched, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			p := r.planOf("c-one", ActionPatch)
			r.sim.Inject(tt.fault)
			o := r.applyOne(p)
			if o.Status != tt.status || (r.revisionOf("c-one") != stdR1) != tt.moved || r.posted() != tt.posts {
				t.Errorf("%s on %s after %d POSTs", o, r.revisionOf("c-one"), r.posted())
			}
			if puts := r.count(http.MethodPut, cluster, ""); puts > 1 {
				t.Errorf("%d PUTs", puts)
			}
			if tt.status == StatusFailed {
				r.sim.ClearFaults()
				if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
					t.Errorf("a second run: %s", o)
				}
			}
		})
	}
}

// A run that ends between the new revision and the move is resumed with that revision.
func TestRunCutOffAfterTheRevision(t *testing.T) {
	r := newTemplateRig(t)
	p := r.planOf("c-one", ActionPatch)
	ctx, cancel := context.WithCancel(t.Context())
	r.sim.Inject(simrancher.Fault{Method: http.MethodPost, Path: "/v3/clusterTemplateRevisions", Count: 1, Before: cancel})
	outcomes, err := r.apply(ctx, 1, p)
	if err != nil || outcomes[0].Status != StatusNotStarted || r.revisionOf("c-one") != stdR1 {
		t.Fatalf("%v, %v", outcomes, err)
	}
	if o := r.applyOne(p); o.Status != StatusPatched || r.posted() != 1 {
		t.Errorf("%s after %d POSTs", o, r.posted())
	}
	data, err := os.ReadFile(filepath.Join(r.run.Dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := readJournal(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, e := range all {
		if e.Event == EventRevision && e.Revision == r.revisionOf("c-one") {
			entries++
		}
	}
	if entries != 1 {
		t.Errorf("the journal says %d times that the revision was made", entries)
	}
}

// A cluster that somebody moves after the review is left alone.
func TestMovedAfterTheReview(t *testing.T) {
	r := newTemplateRig(t)
	p := r.planOf("c-one", ActionPatch)
	r.sim.AddRevision(simrancher.Revision{ID: "cattle-global-data:ctr-std03", Template: std, Name: "r3", Kubelet: map[string]any{"extraArgs": map[string]any{"max-pods": "200"}, "extraBinds": []any{"/data:/data"}}})
	r.sim.Edit("c-one", func(m map[string]any) { m["clusterTemplateRevisionId"] = "cattle-global-data:ctr-std03" })
	r.settle()
	r.planner.templates = nil
	if o := r.applyOne(p); o.Status != StatusStale || !strings.Contains(o.Message, "moved") || r.posted() != 0 {
		t.Errorf("%s, %d revisions made", o, r.posted())
	}
}

// The move is refused while nodes are not Ready, a way back too; raising the strategy is no way out.
func TestMoveWhileNodesAreNotReady(t *testing.T) {
	r := newTemplateRig(t)
	if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
		t.Fatal(o)
	}
	r.sim.LoseNode("c-one", "c-one-1")
	_, outcomes := r.revertAll("c-one")
	if outcomes[0].Status != StatusFailed || !strings.Contains(outcomes[0].Message, "comes from its revision") {
		t.Errorf("%s", outcomes[0])
	}
}

// changedPaths names the fields of a cluster that differ.
func changedPaths(before, after object) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if !cmp.Equal(before[name], after[name]) {
			out = append(out, name)
		}
	}
	return out
}

// What somebody edits beside the config while the answer gets lost is no part of the move, and is said.
func TestLostMoveBesideTheConfig(t *testing.T) {
	r := newTemplateRig(t)
	p := r.planOf("c-one", ActionPatch)
	r.sim.Inject(simrancher.Fault{Method: http.MethodPut, Path: "/v3/clusters/c-one", Count: 1, AfterStore: true, Status: 502, Before: func() {
		r.sim.Edit("c-one", func(m map[string]any) { m["labels"] = map[string]any{"env": "moved"} })
	}})
	if o := r.applyOne(p); o.Status != StatusFailed || !o.Stored || !strings.Contains(o.Message, "labels") {
		t.Error(o)
	}
}
