package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"rkepatch/rancher"
)

// follower watches all clusters in flight with one poll of the list, and one of
// the nodes while any of them has workers still rolling.
type follower struct {
	rancher *rancher.Client
	clock   Clock
	poll    time.Duration
	say     func(id, name, text string)

	mu      sync.Mutex
	watched map[string]*followed
	wake    chan struct{}
}

type followed struct {
	*watch
	missing int
	last    string
	over    chan error
}

func newFollower(c *rancher.Client, clock Clock, poll time.Duration, say func(id, name, text string)) *follower {
	return &follower{rancher: c, clock: clock, poll: poll, say: say, watched: map[string]*followed{}, wake: make(chan struct{}, 1)}
}

// follow waits until w's roll-out is over. nil: every kubelet runs with the
// flags. ErrInterrupted when ctx ends first.
func (f *follower) follow(ctx context.Context, w *watch) error {
	fw := &followed{watch: w, over: make(chan error, 1)}
	f.mu.Lock()
	f.watched[w.id] = fw
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-fw.over:
		return err
	case <-ctx.Done():
		f.mu.Lock()
		delete(f.watched, w.id)
		f.mu.Unlock()
		return fmt.Errorf("%w; last seen: %s", ErrInterrupted, orElse(fw.lastSeen(f), "just stored"))
	}
}

func (fw *followed) lastSeen(f *follower) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fw.last
}

// run polls until ctx ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if ids := f.inFlight(); len(ids) > 0 {
			f.look(ctx, ids)
			if f.clock.Sleep(ctx, f.poll) != nil {
				return
			}
			continue
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
		}
	}
}

func (f *follower) inFlight() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.watched))
}

// maxIDs keeps the request line short; above it, the whole list is asked for.
const maxIDs = 100

// look polls once: the clusters, then the nodes of those whose control plane is
// done.
func (f *follower) look(ctx context.Context, ids []string) {
	now := f.clock.Now()
	seen := make(map[string]*rancher.Cluster, len(ids))
	q := rancher.ClusterQuery{Driver: rancher.DriverRKE, IDs: ids}
	if len(ids) > maxIDs {
		q.IDs = nil
	}
	for cl, err := range f.rancher.Clusters(ctx, q) {
		if err != nil {
			f.pollFailed(ctx, ids, err, now)
			return
		}
		if slices.Contains(ids, cl.ID) {
			seen[cl.ID] = cl
		}
	}
	var rolling []string
	for _, id := range ids {
		cl := seen[id]
		if cl == nil {
			f.gone(id)
			continue
		}
		if p := f.update(id, func(fw *followed) progress { fw.missing = 0; return fw.observe(cl, now) }); p.nodes {
			rolling = append(rolling, id)
		}
	}
	if len(rolling) == 0 {
		return
	}
	nodes := map[string][]*rancher.Node{}
	nq := rancher.NodeQuery{ClusterIDs: rolling}
	if len(rolling) > maxIDs {
		nq.ClusterIDs = nil
	}
	for n, err := range f.rancher.Nodes(ctx, nq) {
		if err != nil {
			f.pollFailed(ctx, rolling, err, now)
			return
		}
		nodes[n.ClusterID] = append(nodes[n.ClusterID], n)
	}
	for _, id := range rolling {
		f.update(id, func(fw *followed) progress { return fw.observeNodes(seen[id], nodes[id], now) })
	}
}

// update lets judge look at one cluster and passes on what it says.
func (f *follower) update(id string, judge func(*followed) progress) progress {
	f.mu.Lock()
	fw := f.watched[id]
	if fw == nil {
		f.mu.Unlock()
		return progress{}
	}
	p := judge(fw)
	changed := p.text != "" && p.text != fw.last && !p.nodes
	if p.text != "" && p.text != fw.last {
		fw.last, changed = p.text, true
	}
	if p.done || p.err != nil {
		delete(f.watched, id)
		fw.over <- p.err
	}
	f.mu.Unlock()
	if changed {
		f.say(fw.id, fw.name, p.text)
	}
	return p
}

// gone ends the following of a cluster that the list has lacked twice: it was
// deleted, or the token may not see it any more.
func (f *follower) gone(id string) {
	f.update(id, func(fw *followed) progress {
		if fw.missing++; fw.missing < 2 {
			return progress{}
		}
		return progress{err: fmt.Errorf("the cluster is no longer in Rancher's list: it was deleted, or the token may not see it any more")}
	})
}

// pollFailed keeps the faith through outages, up to each cluster's timeout; a
// token that is refused will not come back. A poll that an interrupt cut short
// says nothing about Rancher.
func (f *follower) pollFailed(ctx context.Context, ids []string, err error, now time.Time) {
	if ctx.Err() != nil {
		return
	}
	for _, id := range ids {
		f.update(id, func(fw *followed) progress {
			if errors.Is(err, rancher.ErrUnauthorized) || errors.Is(err, rancher.ErrForbidden) {
				return progress{err: fmt.Errorf("following: %w", err)}
			}
			text := "Rancher does not answer: " + err.Error()
			if p, late := fw.outOfTime(now, text); late {
				return p
			}
			return progress{text: text}
		})
	}
}
