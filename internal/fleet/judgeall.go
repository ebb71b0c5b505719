package fleet

import (
	"context"
	"runtime"
	"sync"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// judged is a cluster whose plan is being computed, or the end of the list.
type judged struct {
	plan chan *ClusterPlan
	err  error
}

// judgeAll yields the plans of the selected clusters in the order of the list.
// The list is decoded and the plans are computed side by side, a few clusters
// ahead of the caller and no more. It reports whether the caller wants more.
func (p *Planner) judgeAll(ctx context.Context, s *selector, yield func(*ClusterPlan, error) bool) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan judged, 2*runtime.GOMAXPROCS(0))
	go p.enqueue(ctx, s, queue)
	defer func() {
		cancel()
		for range queue { // until the list is let go of
		}
	}()
	for j := range queue {
		if j.err != nil {
			return false, j.err
		}
		if !yield(<-j.plan, nil) {
			return false, nil
		}
	}
	return true, ctx.Err() // a list that was cut short is not a whole one
}

func (p *Planner) enqueue(ctx context.Context, s *selector, queue chan<- judged) {
	defer close(queue)
	var judging sync.WaitGroup
	defer judging.Wait() // a later plan reads the nodes anew
	p.Visible = 0
	for cl, err := range p.Rancher.Clusters(ctx, rancher.ClusterQuery{Driver: rancher.DriverRKE}) {
		j := judged{plan: make(chan *ClusterPlan, 1), err: err}
		if err == nil {
			p.Visible++
			if !s.match(cl, s.versionOf(cl)) {
				continue
			}
			judging.Go(func() { j.plan <- p.judge(ctx, cl) })
		}
		select {
		case queue <- j:
		case <-ctx.Done():
			return
		}
	}
}

// versionOf reads a cluster's Kubernetes version when the selection asks for it.
func (c *selector) versionOf(cl *rancher.Cluster) string {
	if len(c.bounds) == 0 {
		return ""
	}
	doc, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return ""
	}
	return doc.KubernetesVersion()
}
