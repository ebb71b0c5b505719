package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// When Rancher is done with a roll-out and only then a node is seen to be lost, it
// refuses every further update, a rollback too, while as many nodes of a role are
// not Ready as the upgrade strategy allows to be unavailable (rancher v2.9.1
// pkg/api/norman/store/cluster/cluster_store.go:1471-1559). It goes by the
// strategy in the update itself. So a rollback that may do so raises the strategy
// in the same update, and puts it back once the nodes are.

const strategyPath = "upgradeStrategy"

// withUnavailable gives doc with other values of the upgrade strategy; "" takes one
// out. doc stays as it is.
func withUnavailable(doc rkeconfig.Document, settings map[string]string) (rkeconfig.Document, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return doc, err
	}
	copied, err := rkeconfig.ParseDocument(data)
	if err != nil {
		return doc, err
	}
	m := copied.Map()
	strategy, _ := m[strategyPath].(map[string]any)
	if strategy == nil {
		strategy = map[string]any{}
		m[strategyPath] = strategy
	}
	for name, value := range settings {
		if value == "" {
			delete(strategy, name)
		} else {
			strategy[name] = value
		}
	}
	return rkeconfig.NewDocument(m)
}

// putBack is put for a rollback. Where Rancher refuses for nodes that are not
// Ready, the strategy is raised in the same update if that is allowed; raised
// says what it was before, by setting, and is nil when it was left alone.
func (a *Applier) putBack(ctx context.Context, cl *rancher.Cluster, p *ClusterPlan) (stored *rancher.Cluster, raised map[string]string, err error) {
	stored, err = a.put(ctx, cl, p)
	wanted := p.wanted
	for range 2 { // of each role once
		setting, notReady, refused := rancher.NotEnoughNodes(err)
		if !refused {
			return stored, raised, err
		}
		if p.move != nil {
			return nil, nil, fmt.Errorf("%w; bring a node back: the upgrade strategy of a cluster made from a template comes from its revision", err)
		}
		if !a.RaiseUnavailable {
			return nil, nil, fmt.Errorf("%w; Rancher takes no update while so many nodes are not Ready: bring one back, or say --raise-max-unavailable to allow more for the time of the rollback", err)
		}
		if raised == nil {
			raised = map[string]string{}
		}
		was, _ := wanted.Lookup(strategyPath, setting)
		raised[setting], _ = was.(string)
		if wanted, err = withUnavailable(wanted, map[string]string{setting: strconv.Itoa(notReady + 1)}); err != nil {
			return nil, nil, err
		}
		a.say(cl.ID, cl.Name, fmt.Sprintf("Rancher refuses for nodes that are not Ready; trying with %s.%s %d instead of %s", strategyPath, setting, notReady+1, orElse(raised[setting], "none")))
		with := *p
		with.wanted = wanted
		if err = onlyOwnAnd(a.Planner.Patch, cl, &with, raised); err != nil {
			return nil, nil, err
		}
		stored, err = a.put(ctx, cl, &with)
	}
	return stored, raised, err
}

// lower puts the upgrade strategy back as it was. Where it cannot, the rollback has
// not come to a good end: out says what is left to do by hand.
func (a *Applier) lower(ctx context.Context, out Outcome, raised map[string]string) Outcome {
	if len(raised) == 0 {
		return out
	}
	a.say(out.ID, out.Name, "putting the upgrade strategy back")
	err := a.lowered(context.WithoutCancel(ctx), out.ID, raised)
	if err == nil {
		return out
	}
	var parts []string
	for setting, was := range raised {
		parts = append(parts, fmt.Sprintf("%s.%s to %s", strategyPath, setting, orElse(was, "nothing")))
	}
	return out.failed(out.Stored, fmt.Errorf("%s; its upgrade strategy is still raised, set %s in Rancher: %w", out.Message, enumerate(parts), err), a.seeClusters())
}

func (a *Applier) lowered(ctx context.Context, id string, raised map[string]string) error {
	cl, err := a.Planner.Rancher.Cluster(ctx, id)
	if err != nil {
		return err
	}
	now, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return err
	}
	p := &ClusterPlan{ID: cl.ID, Name: cl.Name}
	if p.wanted, err = withUnavailable(now, raised); err != nil {
		return err
	}
	if err := onlyOwnAnd(rkeconfig.Patch{}, cl, p, raised); err != nil {
		return err
	}
	_, err = a.put(ctx, cl, p)
	return err
}

// onlyOwnAnd is onlyOwn that lets the settings of the upgrade strategy pass.
func onlyOwnAnd(patch rkeconfig.Patch, cl *rancher.Cluster, p *ClusterPlan, settings map[string]string) error {
	now, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return err
	}
	for _, c := range rkeconfig.Compare(now, p.wanted) {
		setting, ok := strings.CutPrefix(c.Path, strategyPath+".")
		if _, raised := settings[setting]; ok && raised || patch.Owns(c.Path) {
			continue
		}
		return fmt.Errorf("nothing was sent: the change would reach %s, which is not the patch's; this is a defect of rkepatch", c.Path)
	}
	return nil
}
