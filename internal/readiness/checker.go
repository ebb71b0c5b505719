package readiness

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/internal/pulls"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// Oldest and Newest are the versions that clusters can be checked for: below
// there is a built-in login, above there is no RKE1.
var (
	Oldest = kubelet.Version{Major: 1, Minor: 27}
	Newest = kubelet.Version{Major: 1, Minor: 32}
)

// providerKnown is the first version whose kubelets are told of the provider: an
// older cluster is upgraded before it is patched.
var providerKnown = kubelet.Version{Major: 1, Minor: 26}

// Checker checks clusters. It changes nothing but for the short-lived pods that
// look at nodes.
type Checker struct {
	Planner  *fleet.Planner
	Look     *fleet.NodeLook
	Target   kubelet.Version
	Parallel int           // clusters at a time
	Timeout  time.Duration // for reading what one cluster's workloads pull

	offered []string
}

// Check yields every selected cluster in the order of their names, each as soon
// as it and those before it are known. The list of clusters is read to its end
// first, and each cluster again when it has its turn: a list would not wait for
// as long as the look at nodes takes. A cluster that cannot be read is in it and
// unknown; the errors are those of Planner.Plan and of ctx.
func (c *Checker) Check(ctx context.Context, sel fleet.Selection) iter.Seq2[*Cluster, error] {
	return func(yield func(*Cluster, error) bool) {
		selected, err := c.prepare(ctx, sel)
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		queue := make(chan chan *Cluster, 2*max(1, c.Parallel)) // those that are done wait for the slow one ahead of them
		go c.enqueue(ctx, selected, queue)
		defer func() {
			cancel()
			for range queue { // until all checks have ended
			}
		}()
		for next := range queue {
			found := <-next
			if found == nil || ctx.Err() != nil {
				break
			}
			if !yield(found, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
		}
	}
}

// enqueue has the clusters checked side by side, c.Parallel at a time. A check
// gives nil when ctx ends.
func (c *Checker) enqueue(ctx context.Context, selected []*fleet.ClusterPlan, queue chan<- chan *Cluster) {
	defer close(queue)
	turns := make(chan struct{}, max(1, c.Parallel))
	var checking sync.WaitGroup
	defer checking.Wait()
	for _, p := range selected {
		next := make(chan *Cluster, 1)
		select {
		case queue <- next:
		case <-ctx.Done():
			return
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			next <- nil
			return
		}
		checking.Go(func() {
			next <- c.check(ctx, p)
			<-turns
		})
	}
}

// prepare reads what all clusters share, and which are selected.
func (c *Checker) prepare(ctx context.Context, sel fleet.Selection) ([]*fleet.ClusterPlan, error) {
	c.Look.ForVersion, c.Look.Applied = c.Target, true
	c.Look.Want(c.Planner)
	current, err := c.Planner.Rancher.Setting(ctx, "k8s-versions-current")
	switch {
	case errors.Is(err, rancher.ErrNotFound), errors.Is(err, rancher.ErrForbidden):
	case err != nil:
		return nil, err
	case current != "":
		c.offered = strings.Split(current, ",")
	}
	var selected []*fleet.ClusterPlan
	for p, err := range c.Planner.Plan(ctx, sel) {
		if err != nil {
			return nil, err
		}
		p.Diff = "" // of a fleet that is much
		selected = append(selected, p)
	}
	c.Planner.KeepClusters = true
	return selected, nil
}

// check gathers the facts of one cluster and goes through the table; nil when
// ctx ends.
func (c *Checker) check(ctx context.Context, p *fleet.ClusterPlan) *Cluster {
	f := &facts{target: c.Target, plan: p, offered: c.offered}
	c.gather(ctx, f)
	if ctx.Err() != nil {
		return nil
	}
	p = f.plan
	results := judge(f)
	return &Cluster{
		ID: p.ID, Name: p.Name, KubernetesVersion: p.KubernetesVersion, Nodes: p.Nodes,
		Verdict: verdict(results), Checks: results, Use: f.use, Steps: steps(f, results),
	}
}

func (c *Checker) gather(ctx context.Context, f *facts) {
	if f.plan.Driver != rancher.DriverRKE {
		return
	}
	fresh, err := c.Planner.PlanOne(ctx, f.plan.ID)
	if err != nil {
		f.unread = err
		return
	}
	f.plan = fresh
	cl, _, ok := fresh.Kept()
	if !ok {
		return
	}
	f.cluster = cl
	f.doc, _ = rkeconfig.ParseDocument(cl.Config) // the plan would say so
	f.args = fleet.KubeletArgs(f.doc)
	f.own, f.ownErr = kubelet.ParseVersion(f.doc.KubernetesVersion())
	f.nodes, f.nodesErr = c.nodes(ctx, cl.ID)
	for _, n := range f.nodes {
		f.pooled = f.pooled || n.NodePoolID != ""
	}
	if f.has("cluster-unreachable", "not-provisioned") {
		f.unlooked = "Rancher has no connection to the cluster"
		f.useErr = errors.New(f.unlooked)
		return
	}
	f.use, f.useErr = c.use(ctx, cl.ID)
	if ctx.Err() == nil && f.concerned() {
		f.look = c.Look.VisitPlan(ctx, c.Planner, f.plan, func(ctx context.Context, checker *nodes.Checker, ask fleet.Ask) ([]nodes.NodeReport, error) {
			if !f.configured() && !f.half() {
				ask.Query.FromVersion = providerKnown
			}
			return checker.Check(ctx, ask.Query)
		})
	}
}

func (c *Checker) nodes(ctx context.Context, id string) ([]*rancher.Node, error) {
	var out []*rancher.Node
	for n, err := range c.Planner.Rancher.Nodes(ctx, rancher.NodeQuery{ClusterIDs: []string{id}}) {
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// use reads what the workloads of a cluster pull.
func (c *Checker) use(ctx context.Context, id string) (*pulls.Use, error) {
	within, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("it took longer than %s", c.Timeout))
	defer cancel()
	base, transport := c.Planner.Rancher.Kubernetes(id)
	reader := &pulls.Reader{Base: base, Transport: transport}
	return reader.Read(within)
}
