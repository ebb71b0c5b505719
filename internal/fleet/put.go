package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// errUntouched marks a failed PUT after which the cluster was read and found as
// before.
var errUntouched = errors.New("nothing was stored")

// unsure reports whether err leaves open what is stored.
func unsure(err error) bool {
	return errors.Is(err, rancher.ErrUnknownOutcome) && !errors.Is(err, errUntouched) && !errors.Is(err, rancher.ErrNotStored)
}

// looks is how often a cluster is read, one poll interval apart, before a PUT
// without an answer counts as not stored: with the default interval a minute,
// after which gateways and Rancher have given up on a request.
const looks = 12

// put writes the config once. When the answer does not say what was stored, the
// cluster is read until it is known: nothing is retried blind. The PUT itself is
// never cut short; when ctx ends, looking for what came of it is.
func (a *Applier) put(ctx context.Context, cl *rancher.Cluster, p *ClusterPlan) (*rancher.Cluster, error) {
	if p.move != nil {
		return a.carryMove(ctx, cl, p.move)
	}
	whole := context.WithoutCancel(ctx)
	update := a.Planner.Rancher.UpdateConfig
	var others rancher.Others
	if p.emptied {
		update = a.Planner.Rancher.ReplaceConfig
		var err error
		if others, err = a.Planner.Rancher.Others(ctx, cl.ID); err != nil {
			return nil, err
		}
	}
	_, expected, _, err := cl.Rewrites(p.wanted.Map())
	if err != nil {
		return nil, err
	}
	intent, err := json.Marshal(expected)
	if err != nil {
		return nil, err
	}
	stored, err := update(whole, cl, p.wanted.Map(), differing)
	if !errors.Is(err, rancher.ErrUnknownOutcome) {
		return stored, err
	}
	a.say(cl.ID, cl.Name, "no usable answer, reading the cluster again")
	now, err := a.find(ctx, cl, intent, "", err)
	if err != nil || !p.emptied {
		return now, err
	}
	return now, a.othersStayed(ctx, cl.ID, others, func(o rancher.Others) rancher.Others { return o })
}

// othersStayed reads what a cluster has beside its config after an update whose answer was lost, and compares the part
// that is to be as before.
func (a *Applier) othersStayed(ctx context.Context, id string, before rancher.Others, part func(rancher.Others) rancher.Others) error {
	after, err := a.Planner.Rancher.Others(context.WithoutCancel(ctx), id)
	if err != nil {
		return fmt.Errorf("%w: whether anything beside the config has moved: %w", rancher.ErrUnknownOutcome, err)
	}
	moved, err := before.Moved(part(after), differing)
	if err != nil {
		return fmt.Errorf("%w: %w", rancher.ErrUnknownOutcome, err)
	}
	if len(moved) > 0 {
		return &rancher.NotStoredError{Cluster: id, Paths: moved}
	}
	return nil
}

// find looks for what came of a PUT that failed with unknown. revision is where the cluster was to be moved, "" for
// an update of its config.
func (a *Applier) find(ctx context.Context, cl *rancher.Cluster, intent json.RawMessage, revision string, unknown error) (*rancher.Cluster, error) {
	differing, left := differing, 1
	if revision != "" {
		differing = differingMoved
	}
	if unanswered(unknown) {
		left = looks
	}
	for {
		now, err := a.Planner.Rancher.Cluster(context.WithoutCancel(ctx), cl.ID)
		var fromIntent, fromBefore []string
		if err == nil {
			fromIntent, err = differing(intent, now.Config)
		}
		if err == nil {
			fromBefore, err = differing(cl.Config, now.Config)
		}
		if err == nil && revision != "" {
			if !now.On(revision) {
				fromIntent = append(fromIntent, "clusterTemplateRevisionId")
			}
			if !now.On(*cl.TemplateRevisionID) {
				fromBefore = append(fromBefore, "clusterTemplateRevisionId")
			}
		}
		switch {
		case err != nil: // not an answer to go by
		case len(fromIntent) == 0:
			a.say(cl.ID, cl.Name, "the change is stored, although the answer was lost")
			return now, nil
		case len(fromBefore) > 0:
			return nil, fmt.Errorf("%w; read again, it is neither as it was nor as it was sent: %w, it differs at %s", unknown, rancher.ErrNotStored, enumerate(fromIntent))
		}
		left--
		switch {
		case left > 0 && a.Clock.Sleep(ctx, a.Poll) == nil:
		case err != nil:
			return nil, fmt.Errorf("%w; reading the cluster again: %w", unknown, err)
		case left > 0:
			return nil, fmt.Errorf("%w; interrupted while looking whether it was stored", unknown)
		default:
			return nil, fmt.Errorf("%w: %w", errUntouched, unknown)
		}
	}
}

// unanswered reports whether Rancher itself may not have answered yet: the
// connection broke, or a gateway spoke for it.
func unanswered(err error) bool {
	switch rancher.Status(err) {
	case 0, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// differing is the comparison that rancher's updates are given.
func differing(intent, stored json.RawMessage) ([]string, error) {
	a, err := rkeconfig.ParseDocument(intent)
	if err != nil {
		return nil, err
	}
	b, err := rkeconfig.ParseDocument(stored)
	if err != nil {
		return nil, err
	}
	changes := rkeconfig.Compare(a, b)
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = c.Path
	}
	return paths, nil
}
