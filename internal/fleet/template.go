package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// TemplatePlan is how a cluster that is made from an RKE template is changed: Rancher throws edits of its config away,
// so a revision of the template is made with the change in it, and the cluster is moved there.
type TemplatePlan struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Revision     string   `json:"revision"` // that the cluster is made from
	RevisionName string   `json:"revisionName"`
	Next         string   `json:"next,omitempty"` // that it is moved to; "" while it is still to be made
	NextName     string   `json:"nextName,omitempty"`
	Clusters     []string `json:"clusters"` // names of all clusters of the template that the token may see
}

// move is what a plan intends for a cluster of a template.
type move struct {
	of       *rancher.Revision  // what the next revision is made from; nil on the way back
	config   rkeconfig.Document // of the next revision
	to       *rancher.Revision  // nil while it is still to be made
	name     string             // of the next revision
	expected rkeconfig.Document // what the cluster has afterwards
	replace  bool               // a map or list becomes empty, which takes ?_replace=true
}

// basedOn is the annotation of a revision that this program made: the id of the revision that it was made from. Labels
// are replaced by Rancher (rancher v2.9.1 pkg/api/norman/store/clustertemplate/store.go, setLabelsAndOwnerRef).
const basedOn = "rkepatch/based-on"

// The annotations that tell a person what such a revision is.
const (
	madeBy      = "rkepatch/run"
	description = "rkepatch/description"
)

// templateView is a template as it was read.
type templateView struct {
	once      sync.Once
	template  *rancher.Template
	revisions map[string]*rancher.Revision
	clusters  []string
	err       error
}

// templateCache reads each template once, and again when that failed; a nil one reads it each time.
type templateCache struct {
	mu    sync.Mutex
	views map[string]*templateView
}

// of gives the template of a cluster, nil when it is not made from one.
func (t *templateCache) of(ctx context.Context, c *rancher.Client, cl *rancher.Cluster) *templateView {
	if !cl.Templated() {
		return nil
	}
	view := t.read(ctx, c, cl.TemplateID, nil)
	if view.err == nil && view.revision(cl) == nil {
		// Made since, perhaps by this very run.
		view = t.read(ctx, c, cl.TemplateID, view)
	}
	return view
}

// read gives the view of a template, another one than stale, once it is read.
func (t *templateCache) read(ctx context.Context, c *rancher.Client, id string, stale *templateView) *templateView {
	view := t.view(id, stale)
	view.once.Do(func() { view.err = view.read(ctx, c, id) })
	if view.err != nil && t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.views[id] == view {
			delete(t.views, id)
		}
	}
	return view
}

// view gives the view of a template, another one than stale.
func (t *templateCache) view(id string, stale *templateView) *templateView {
	if t == nil {
		return &templateView{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.views[id] == nil || t.views[id] == stale {
		if t.views == nil {
			t.views = map[string]*templateView{}
		}
		t.views[id] = &templateView{}
	}
	return t.views[id]
}

// read takes three requests.
func (v *templateView) read(ctx context.Context, c *rancher.Client, id string) (err error) {
	if v.template, err = c.Template(ctx, id); err != nil {
		return err
	}
	if v.revisions, err = revisionsOf(ctx, c, id); err != nil {
		return err
	}
	for cl, err := range c.Clusters(ctx, rancher.ClusterQuery{TemplateID: id}) {
		if err != nil {
			return err
		}
		v.clusters = append(v.clusters, cl.Name)
	}
	slices.Sort(v.clusters)
	return nil
}

func revisionsOf(ctx context.Context, c *rancher.Client, template string) (map[string]*rancher.Revision, error) {
	out := map[string]*rancher.Revision{}
	for r, err := range c.Revisions(ctx, template) {
		if err != nil {
			return nil, err
		}
		out[r.ID] = r
	}
	return out, nil
}

// revision is the one that the cluster is made from, nil when it cannot be seen.
func (v *templateView) revision(cl *rancher.Cluster) *rancher.Revision {
	return v.revisions[*cl.TemplateRevisionID]
}

// plan is what the cluster's plan says of its template.
func (v *templateView) plan(cl *rancher.Cluster) *TemplatePlan {
	out := &TemplatePlan{ID: cl.TemplateID, Revision: *cl.TemplateRevisionID, Clusters: []string{}}
	if v.template != nil {
		out.Name = v.template.Name
	}
	if r := v.revision(cl); r != nil {
		out.RevisionName = r.Name
	}
	out.Clusters = append(out.Clusters, v.clusters...)
	return out
}

// planMove fills in the plan of a cluster of a template: what its revision becomes, and what that makes of the cluster.
func (p *Planner) planMove(out *ClusterPlan, cl *rancher.Cluster, view *templateView, patch rkeconfig.Patch, doc rkeconfig.Document, merged rkeconfig.Result) {
	revision := view.revision(cl)
	m := &move{of: revision, name: view.freeName(revision.Name)}
	now, err := rkeconfig.ParseDocument(revision.Config)
	if err == nil {
		revised := rkeconfig.Merge(now, patch, p.mergeOptions(cl))
		if revised.Blocked() {
			out.block(templateDiffers, "the revision does not take the patch as the cluster does: "+firstBlock(revised.Findings).Message)
			return
		}
		m.config, err = withStrategyOf(cl, revised.Document)
	}
	if err == nil {
		m.config, err = rkeconfig.NewDocument(rancher.Trimmed(m.config.Map()))
	}
	if err == nil {
		m.to, err = findRevision(view.revisions, m)
	}
	if err != nil {
		out.block(templateDiffers, err.Error())
		return
	}
	if out.Template.NextName = m.name; m.to != nil {
		out.Template.Next, out.Template.NextName = m.to.ID, m.to.Name
	}
	rewrites, err := foresee(out, cl, revision, m, patch, doc, merged.Document)
	if err != nil {
		return
	}
	out.show(cl, doc, m.expected, p.WideDiffs)
	out.rewritten(cl, rewrites)
	if blocked(out.Findings) {
		return
	}
	if why := p.noReturn(cl, revision, m.expected, doc); why != "" {
		out.find(templateOneWay, fmt.Sprintf("a rollback could not move the cluster back to revision %s: %s", revision.Name, why))
	}
	out.Action, out.Changes, out.Rewrites, out.wanted, out.move = ActionPatch, rkeconfig.MaskChanges(merged.Changes), rewrites, merged.Document, m
}

// noReturn says why a cluster that was moved away from old could not be moved back; "" when it could. After the move its
// config is expected; what is beside it is as before, or the move would be blocked.
func (p *Planner) noReturn(cl *rancher.Cluster, old *rancher.Revision, expected, before rkeconfig.Document) string {
	moved := *cl
	var err error
	if moved.Config, err = json.Marshal(expected); err != nil {
		return err.Error()
	}
	reverted := rkeconfig.Revert(expected, before, p.Patch, p.mergeOptions(cl))
	back := &ClusterPlan{Findings: reverted.Findings}
	m, err := moveBack(old, reverted)
	if err != nil {
		return err.Error()
	}
	if rewrites, err := foresee(back, &moved, old, m, p.Patch, expected, reverted.Document); err == nil {
		back.rewritten(&moved, rewrites)
	}
	return firstBlock(back.Findings).Message
}

var errBlocked = errors.New("blocked")

// foresee fills in what the cluster has after the move, and gives what of that Rancher rewrites by itself whenever the
// cluster is updated. Where anything else than wanted would come of it, there is a finding, and the error is errBlocked.
func foresee(out *ClusterPlan, cl *rancher.Cluster, to *rancher.Revision, m *move, patch rkeconfig.Patch, doc, wanted rkeconfig.Document) ([]rancher.Rewrite, error) {
	foreseen, err := to.Move(cl, m.config.Map(), m.replace)
	if errors.Is(err, rancher.ErrAnswer) {
		out.block(templateAnswers, err.Error())
		return nil, errBlocked
	}
	var data, updated rkeconfig.Document
	var rewrites []rancher.Rewrite
	var beside []string
	if err == nil {
		data, err = rkeconfig.NewDocument(foreseen.Config)
	}
	if err == nil {
		updated, rewrites, err = afterUpdate(cl, wanted)
	}
	if err == nil {
		beside, err = differingBeside(foreseen)
	}
	if err != nil {
		out.block(templateDiffers, err.Error())
		return nil, errBlocked
	}
	if m.expected = data; !m.replace {
		m.expected = rkeconfig.Overlay(doc, data)
	}
	// What is as an update of the cluster itself would leave it is Rancher's own doing.
	off := rkeconfig.Compare(updated, m.expected)
	var own, other []string
	for _, c := range rkeconfig.Compare(wanted, m.expected) {
		switch {
		case patch.Owns(c.Path):
			own = append(own, c.Path)
		case c.Path == strategy:
			out.Findings = append(out.Findings, templateStrategy)
		case touches(off, c.Path):
			other = append(other, c.Path)
		}
	}
	if len(own) > 0 {
		out.block(templateAnswers, "the cluster's answers to the template's questions would overwrite "+enumerate(own))
	}
	if other = append(other, beside...); len(other) > 0 {
		out.block(templateDiffers, "the cluster is not as its revision has it: the move would also change "+enumerate(other))
	}
	if len(own)+len(other) > 0 {
		return nil, errBlocked
	}
	return slices.DeleteFunc(rewrites, func(r rancher.Rewrite) bool { return touches(off, r.Path) }), nil
}

// afterUpdate gives what Rancher would make of wanted in an update of the cluster itself, and its rewrites in that. The
// pins are none of them: no body of a move has a config to pin anything in.
func afterUpdate(cl *rancher.Cluster, wanted rkeconfig.Document) (rkeconfig.Document, []rancher.Rewrite, error) {
	_, stored, rewrites, err := cl.Rewrites(wanted.Map())
	if err != nil {
		return rkeconfig.Document{}, nil, err
	}
	doc, err := rkeconfig.NewDocument(stored)
	return doc, slices.DeleteFunc(rewrites, func(r rancher.Rewrite) bool { return r.Pinned }), err
}

// differingBeside names what a move would change beside the config.
func differingBeside(m rancher.Move) ([]string, error) {
	var sides [2]json.RawMessage
	for i, fields := range []map[string]json.RawMessage{m.Before, m.After} {
		var err error
		if sides[i], err = json.Marshal(fields); err != nil {
			return nil, err
		}
	}
	return differing(sides[0], sides[1])
}

// touches reports whether one of the changes is at path, above it or below it.
func touches(changes []rkeconfig.Change, path string) bool {
	below := func(path, above string) bool {
		rest, ok := strings.CutPrefix(path, above)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	return slices.ContainsFunc(changes, func(c rkeconfig.Change) bool { return below(c.Path, path) || below(path, c.Path) })
}

// strategy is the one path of a cluster's config that Rancher's own controller keeps, by whether the cluster has an
// authorized endpoint (pkg/controllers/management/clusterdeploy): the revision's value does not last. So that no API
// server restarts for it in between, the next revision has it as the cluster does.
const strategy = "authentication.strategy"

func withStrategyOf(cl *rancher.Cluster, revised rkeconfig.Document) (rkeconfig.Document, error) {
	now, err := rkeconfig.ParseDocument(cl.Config)
	value := now.Text("authentication", "strategy")
	if err != nil || value == "" {
		return revised, err
	}
	config := revised.Map()
	authentication, _ := config["authentication"].(map[string]any)
	if authentication == nil {
		authentication = map[string]any{}
	}
	authentication["strategy"] = value
	config["authentication"] = authentication
	return rkeconfig.NewDocument(config)
}

// freeName is the name of a revision that is made from the one called name.
func (v *templateView) freeName(name string) string {
	taken := map[string]bool{}
	for _, r := range v.revisions {
		taken[r.Name] = true
	}
	next := name + "-rkepatch"
	for i := 2; taken[next]; i++ {
		next = fmt.Sprintf("%s-rkepatch-%d", name, i)
	}
	return next
}

// findRevision looks for the revision that m is to be moved to: one that this program made from m.of with that config,
// that is enabled and that nobody has given passwords which m.of has no place for. Nil when there is none.
func findRevision(all map[string]*rancher.Revision, m *move) (*rancher.Revision, error) {
	config, err := json.Marshal(m.config)
	if err != nil {
		return nil, err
	}
	usual := slices.Concat(m.of.Secrets, rancher.Implied(config))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		r := all[id]
		foreign := slices.ContainsFunc(r.Secrets, func(field string) bool { return !slices.Contains(usual, field) })
		if !r.Enabled || r.Annotations[basedOn] != m.of.ID || foreign {
			continue
		}
		if same, err := r.Copied(m.of, config, differing); err == nil && same {
			return r, nil
		}
	}
	return nil, nil
}
