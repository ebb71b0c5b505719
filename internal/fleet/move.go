package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// writing says what is about to be sent.
func writing(p *ClusterPlan) string {
	if p.move == nil {
		return "writing the config"
	}
	return "moving it to revision " + p.move.to.Name
}

// revisionFor finds or makes the revision that a cluster of a template is to be moved to, and gives its id; "" for
// any other cluster. Clusters that come from one revision share the next: whoever is second finds what the first made.
// Nothing has been done to the cluster when it fails.
func (a *Applier) revisionFor(ctx context.Context, cl *rancher.Cluster, p *ClusterPlan) (string, error) {
	m := p.move
	if m == nil {
		return "", nil
	}
	if m.of == nil { // on the way back
		return m.to.ID, nil
	}
	a.Run.making.Lock()
	defer a.Run.making.Unlock()
	all, err := revisionsOf(ctx, a.Planner.Rancher, m.of.TemplateID)
	if err != nil {
		return "", err
	}
	if m.to, err = findRevision(all, m); err == nil && m.to == nil {
		if err = ctx.Err(); err == nil {
			m.name = (&templateView{revisions: all}).freeName(m.of.Name)
			m.to, err = a.makeRevision(ctx, cl, m)
		}
	}
	if err == nil {
		err = a.noteRevision(cl, m.to)
	}
	if err != nil {
		return "", err
	}
	return m.to.ID, a.asForeseen(cl, m)
}

// noteRevision keeps in the journal, once, that the run made a revision; an earlier part of the run may have been killed
// before it could.
func (a *Applier) noteRevision(cl *rancher.Cluster, r *rancher.Revision) error {
	if r.Annotations[madeBy] != a.Run.ID || a.Run.made[r.ID] {
		return nil
	}
	if a.Run.made == nil {
		a.Run.made = map[string]bool{}
	}
	a.Run.made[r.ID] = true
	return a.log(Entry{Event: EventRevision, Cluster: cl.ID, Name: cl.Name, Revision: r.ID, Text: r.Name})
}

// makeRevision makes the next revision. Where the answer is lost, it is looked for; it is never sent twice.
func (a *Applier) makeRevision(ctx context.Context, cl *rancher.Cluster, m *move) (*rancher.Revision, error) {
	a.say(cl.ID, cl.Name, "making revision "+m.name)
	made, err := a.Planner.Rancher.CreateRevision(context.WithoutCancel(ctx), m.of, rancher.NewRevision{
		Name: m.name, Config: m.config.Map(),
		Annotations: carried(m.of.Annotations, map[string]string{
			basedOn:     m.of.ID,
			madeBy:      a.Run.ID,
			description: fmt.Sprintf("as revision %s, with the kubelet's %s; made by rkepatch", m.of.Name, strings.Join(slices.Sorted(maps.Keys(a.Planner.Patch.Args)), " and ")),
		}),
	}, differing)
	if made != nil && err != nil {
		return nil, fmt.Errorf("the cluster was left alone: %w; %s", err, a.discard(ctx, cl, made))
	}
	left := 1
	if unanswered(err) {
		left = looks
	}
	for ; unsure(err) && left > 0; left-- {
		all, listErr := revisionsOf(context.WithoutCancel(ctx), a.Planner.Rancher, m.of.TemplateID)
		if listErr == nil {
			if found, _ := findRevision(all, m); found != nil {
				a.say(cl.ID, cl.Name, "the revision is there, although the answer was lost")
				return found, nil
			}
		}
		if left > 1 && a.Clock.Sleep(ctx, a.Poll) != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the cluster was left alone: %w", err)
	}
	return made, nil
}

// discard disables a revision that Rancher keeps otherwise than it was sent, and says what became of it.
func (a *Applier) discard(ctx context.Context, cl *rancher.Cluster, made *rancher.Revision) string {
	err := errors.Join(a.noteRevision(cl, made), a.Planner.Rancher.DisableRevision(context.WithoutCancel(ctx), made))
	if err != nil {
		return fmt.Sprintf("revision %s (%s) is left over, disable or delete it in Rancher: %s", made.Name, made.ID, err)
	}
	return fmt.Sprintf("revision %s (%s) was disabled again", made.Name, made.ID)
}

// carried gives what people wrote on a revision, with more.
func carried(from, more map[string]string) map[string]string {
	out := maps.Clone(more)
	for key, value := range from {
		if _, ours := more[key]; !ours && !strings.Contains(key, "cattle.io") {
			out[key] = value
		}
	}
	return out
}

// asForeseen holds the revision that is there against what the plan was made with.
func (a *Applier) asForeseen(cl *rancher.Cluster, m *move) error {
	now, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return err
	}
	config, err := rkeconfig.ParseDocument(m.to.Config)
	if err != nil {
		return err
	}
	foreseen, err := m.to.Move(cl, config.Map(), false)
	if err != nil {
		return err
	}
	data, err := rkeconfig.NewDocument(foreseen.Config)
	if err != nil {
		return err
	}
	var paths []string
	for _, c := range rkeconfig.Compare(m.expected, rkeconfig.Overlay(now, data)) {
		paths = append(paths, c.Path)
	}
	if len(paths) > 0 {
		return fmt.Errorf("%w: revision %s would also change %s; the cluster was left alone", rancher.ErrNotStored, m.to.Name, enumerate(paths))
	}
	return nil
}

// carryMove is put for a cluster of a template.
func (a *Applier) carryMove(ctx context.Context, cl *rancher.Cluster, m *move) (*rancher.Cluster, error) {
	intent, err := json.Marshal(m.expected)
	if err != nil {
		return nil, err
	}
	others, err := a.Planner.Rancher.Others(ctx, cl.ID)
	if err != nil {
		return nil, err
	}
	stored, err := a.Planner.Rancher.MoveToRevision(context.WithoutCancel(ctx), cl, m.to.ID, m.expected.Map(), differingMoved, m.replace)
	if !errors.Is(err, rancher.ErrUnknownOutcome) {
		return stored, err
	}
	a.say(cl.ID, cl.Name, "no usable answer, reading the cluster again")
	now, err := a.find(ctx, cl, intent, m.to.ID, err)
	if err != nil {
		return nil, err
	}
	return now, a.othersStayed(ctx, cl.ID, others.BesideRevision(), rancher.Others.BesideRevision)
}

// differingMoved is differing for moves: the strategy does not stay as a revision has it.
func differingMoved(intent, stored json.RawMessage) ([]string, error) {
	paths, err := differing(intent, stored)
	return slices.DeleteFunc(paths, func(path string) bool { return path == strategy }), err
}

// planWayBack fills in the plan to move a cluster back to the revision that it came from.
func (r *Reverter) planWayBack(ctx context.Context, out *ClusterPlan, cl *rancher.Cluster, image PreImage, doc rkeconfig.Document, reverted rkeconfig.Reverted) {
	was := image.TemplateRevision
	if was == "" || !cl.Templated() {
		out.block(templateNoWayBack, "the cluster was made one of an RKE template, or taken out of one, since")
		return
	}
	view := r.Planner.templates.of(ctx, r.Planner.Rancher, cl)
	if out.Template = view.plan(cl); view.err != nil {
		out.block(templateNoWayBack, view.err.Error())
		return
	}
	now, old := view.revision(cl), view.revisions[was]
	moved := image.MovedTo != "" && cl.On(image.MovedTo) || now != nil && now.Annotations[basedOn] == was
	switch {
	case cl.On(was) && len(reverted.Changes) == 0:
		out.Action = ActionNone
	case cl.On(was), !moved, len(reverted.Changes) == 0:
		out.block(templateNoWayBack, fmt.Sprintf("the run moved the cluster from revision %s to one made from that; it was moved or changed again since", orElse(nameOf(old), was)))
	case old == nil || old.Config == nil:
		out.block(templateNoWayBack, fmt.Sprintf("revision %s, which the cluster came from, is no more or cannot be read", was))
	case !old.Enabled:
		out.block(templateNoWayBack, fmt.Sprintf("revision %s, which the cluster came from, is disabled", old.Name))
	default:
		r.planMoveBack(out, cl, old, doc, reverted)
	}
}

func nameOf(r *rancher.Revision) string {
	if r == nil {
		return ""
	}
	return r.Name
}

// moveBack is the move to the revision that a cluster came from.
func moveBack(old *rancher.Revision, reverted rkeconfig.Reverted) (*move, error) {
	config, err := rkeconfig.ParseDocument(old.Config)
	return &move{to: old, name: old.Name, config: config, replace: reverted.Emptied}, err
}

func (r *Reverter) planMoveBack(out *ClusterPlan, cl *rancher.Cluster, old *rancher.Revision, doc rkeconfig.Document, reverted rkeconfig.Reverted) {
	m, err := moveBack(old, reverted)
	if err != nil {
		out.block(templateDiffers, err.Error())
		return
	}
	rewrites, err := foresee(out, cl, old, m, r.Planner.Patch, doc, reverted.Document)
	if err != nil {
		return
	}
	out.Template.Next, out.Template.NextName = old.ID, old.Name
	out.show(cl, doc, m.expected, r.Planner.WideDiffs)
	out.rewritten(cl, rewrites)
	if blocked(out.Findings) {
		return
	}
	out.Basis, out.emptied = r.Planner.Patch.Basis(doc), m.replace
	out.Action, out.Changes, out.Rewrites, out.wanted, out.move = ActionPatch, rkeconfig.MaskChanges(reverted.Changes), rewrites, reverted.Document, m
}

// DisableRevisions disables the revisions of RKE templates that a run made, by id. One that a cluster is made from, seen
// by the token or not, is left alone and is an error that wraps ErrInUse: Rancher would take no further change of that
// cluster. The others are gone through all the same.
func DisableRevisions(ctx context.Context, c *rancher.Client, ids []string, say func(string)) error {
	var errs []error
	for _, id := range ids {
		r, err := c.Revision(ctx, id)
		if err == nil && r.Enabled {
			err = unused(ctx, c, r)
		}
		switch {
		case errors.Is(err, rancher.ErrNotFound):
			say("revision " + id + " is no more")
			continue
		case err == nil && !r.Enabled:
			say(fmt.Sprintf("revision %s (%s) is disabled already", r.Name, id))
			continue
		case err == nil:
			err = c.DisableRevision(ctx, r)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		say(fmt.Sprintf("revision %s (%s) is disabled", r.Name, id))
	}
	return errors.Join(errs...)
}

// ErrInUse is wrapped when a revision is not disabled because a cluster is made from it.
var ErrInUse = errors.New("in use")

// unused lists the clusters to be able to name one, and asks Rancher, which sees all of them.
func unused(ctx context.Context, c *rancher.Client, r *rancher.Revision) error {
	for cl, err := range c.Clusters(ctx, rancher.ClusterQuery{AnyDriver: true, TemplateRevisionID: r.ID}) {
		if err != nil {
			return err
		}
		return fmt.Errorf("revision %s (%s) is %w by %s and was not disabled", r.Name, r.ID, ErrInUse, cl.Name)
	}
	used, err := c.RevisionInUse(ctx, r)
	if err == nil && used {
		err = fmt.Errorf("revision %s (%s) is %w by a cluster that the token cannot see and was not disabled", r.Name, r.ID, ErrInUse)
	}
	return err
}
