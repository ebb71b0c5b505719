package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// Reverter plans the way back: what a run changed on a cluster, and nothing
// else, is put back as the pre-image has it.
type Reverter struct {
	Planner *Planner // with the patch of the run
	Run     *Run     // whose changes are taken back
}

// Plan gives the plans to take the run back on the clusters named by id. One
// that is no more, or that the token may not see, is blocked. The errors are
// rancher's.
func (r *Reverter) Plan(ctx context.Context, ids []string) ([]*ClusterPlan, error) {
	var plans []*ClusterPlan
	for _, id := range ids {
		cl, err := r.Planner.Rancher.Cluster(ctx, id)
		switch {
		case errors.Is(err, rancher.ErrNotFound), errors.Is(err, rancher.ErrForbidden), errors.Is(err, rancher.ErrServer):
			plans = append(plans, r.unseen(id, err))
		case err != nil:
			return nil, err
		default:
			plans = append(plans, r.judge(ctx, cl))
		}
	}
	return plans, nil
}

// unseen is the plan for a cluster that cannot be read.
func (r *Reverter) unseen(id string, err error) *ClusterPlan {
	p := &ClusterPlan{ID: id, Name: id, Patched: rkeconfig.Unknown, Action: ActionBlocked, Findings: []Finding{about(unseenFinding, err)}}
	if image, err := r.Run.LoadPreImage(id); err == nil {
		p.Name, p.UUID = image.Name, image.UUID
	}
	return p
}

// revertRules are the rules that hold for a way back, too. It must work while
// the cluster is in a failed or half-finished update, so the others do not.
func revertRules() []rule {
	var out []rule
	for _, r := range clusterRules {
		switch r.code {
		case "no-update-permission", "name-refused", "template-revision-empty", "secrets-not-migrated", "transient-flags", "body-too-large":
			out = append(out, r)
		}
	}
	return out
}

func (r *Reverter) judge(ctx context.Context, cl *rancher.Cluster) *ClusterPlan {
	doc, docErr := rkeconfig.ParseDocument(cl.Config)
	out := newClusterPlan(cl, doc)
	s := &subject{cluster: cl, doc: doc, docErr: docErr}
	if out.Findings = apply(identityRules, s, true); len(out.Findings) > 0 {
		return out
	}
	out.Findings = apply(revertRules(), s, false)
	image, before, err := r.before(cl)
	if err != nil {
		out.Findings = append(out.Findings, about(preImageFinding, err))
		return out
	}
	reverted := rkeconfig.Revert(doc, before, r.Planner.Patch, r.Planner.mergeOptions(cl))
	out.Findings = append(out.Findings, reverted.Findings...)
	switch {
	case blocked(out.Findings):
	case cl.Templated() || image.TemplateRevision != "":
		r.planWayBack(ctx, out, cl, image, doc, reverted)
	case len(reverted.Changes) == 0:
		out.Action = ActionNone
	default:
		out.Basis = r.Planner.Patch.Basis(doc)
		out.emptied = reverted.Emptied
		out.fill(cl, doc, reverted.Document, reverted.Changes, r.Planner.WideDiffs)
	}
	return out
}

func (r *Reverter) before(cl *rancher.Cluster) (PreImage, rkeconfig.Document, error) {
	image, err := r.Run.LoadPreImage(cl.ID)
	if err == nil && image.UUID != cl.UUID {
		err = fmt.Errorf("%s is another cluster now (uuid %s, changed was %s)", cl.ID, cl.UUID, image.UUID)
	}
	if err != nil {
		return image, rkeconfig.Document{}, err
	}
	doc, err := rkeconfig.ParseDocument(image.Config)
	return image, doc, err
}

// revert takes the change of one cluster back within the run that made it. When it
// is open whether the change was stored, finding the cluster without it does
// not say that it will stay so.
func (a *Applier) revert(ctx context.Context, f *follower, before *rancher.Cluster, open bool) Outcome {
	out := Outcome{ID: before.ID, Name: before.Name}
	cl, err := a.Planner.Rancher.Cluster(ctx, before.ID)
	if err != nil {
		return out.failed(false, err, "")
	}
	p := a.judge(ctx, cl)
	switch {
	case p.Action == ActionNone && open:
		return out.failed(false, errors.New("the config is as before, and may still be changed by the request that was not answered"), "")
	case p.Action == ActionNone:
		return a.follow(ctx, f, a.noteUndone(out), cl, cl, time.Time{})
	case p.Action == ActionBlocked:
		return out.failed(false, errors.New(worstOf(p)), "")
	}
	if err := a.onlyOwn(cl, p); err != nil {
		return out.failed(true, err, a.again(out.ID))
	}
	stored, raised, err := a.putBack(ctx, cl, p)
	if err != nil {
		out.Unsure = unsure(err)
		return out.failed(out.Unsure, err, "")
	}
	return a.lower(ctx, a.follow(ctx, f, a.noteUndone(out), cl, stored, time.Time{}), raised)
}

// noteUndone says in the journal of the run that made the change that it was
// taken back, at once: a rollback may be killed, too.
func (a *Applier) noteUndone(out Outcome) Outcome {
	err := a.Revert.Run.Note(Entry{Event: EventRolledBack, Cluster: out.ID, Name: out.Name, By: a.Run.ID})
	if err != nil {
		a.Say(out.ID, out.Name, "run "+a.Revert.Run.ID+" does not know of it: "+err.Error())
	}
	return out
}
