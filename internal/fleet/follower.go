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
// the nodes of those that have workers still rolling.
type follower struct {
	rancher *rancher.Client
	clock   Clock
	cadence cadence
	say     func(id, name, text string)

	mu      sync.Mutex
	watched map[string]*followed
	news    bool // something moved, or a cluster came in, since the last poll began
	wake    chan struct{}
}

type followed struct {
	*watch
	missing int
	last    progress  // as it was said
	saidAt  time.Time // when
	over    chan error
}

func newFollower(c *rancher.Client, clock Clock, poll time.Duration, say func(id, name, text string)) *follower {
	return &follower{rancher: c, clock: clock, cadence: newCadence(poll), say: say, watched: map[string]*followed{}, wake: make(chan struct{}, 1)}
}

// follow waits until w's roll-out is over. nil: every kubelet runs with the
// flags. ErrInterrupted when ctx ends first.
func (f *follower) follow(ctx context.Context, w *watch) error {
	fw := &followed{watch: w, over: make(chan error, 1)}
	f.mu.Lock()
	f.watched[w.id], f.news = fw, true
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
	return fw.last.text
}

// run polls until ctx ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if ids := f.inFlight(); len(ids) > 0 {
			f.look(ctx, ids)
			f.pause(ctx)
			continue
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
		}
	}
}

// pause lets the time to the next poll pass, in pieces of the fastest interval:
// a cluster that comes in meanwhile is looked at soon, and still no poll follows
// another one faster than that.
func (f *follower) pause(ctx context.Context) {
	for left := f.cadence.next(f.takeNews()); left > 0 && ctx.Err() == nil; {
		piece := min(left, f.cadence.fastest)
		if f.clock.Sleep(ctx, piece) != nil || f.hasNews() {
			return
		}
		left -= piece
	}
}

func (f *follower) hasNews() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

func (f *follower) takeNews() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := f.news
	f.news = false
	return news
}

func (f *follower) inFlight() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.watched))
}

// maxIDs is how many ids one list request of package rancher names. Of more, the
// whole list is asked for: one request serves all in flight.
const maxIDs = 200

func named(ids []string) []string {
	if len(ids) > maxIDs {
		return nil
	}
	return ids
}

// repeatAfter is how long a text is not said again when only the times in it
// have moved.
const repeatAfter = time.Minute

// look polls once: the clusters, then the nodes of those whose control plane is
// done.
func (f *follower) look(ctx context.Context, ids []string) {
	now := f.clock.Now()
	seen := make(map[string]*rancher.Cluster, len(ids))
	for cl, err := range f.rancher.Clusters(ctx, rancher.ClusterQuery{Driver: rancher.DriverRKE, IDs: named(ids)}) {
		if err != nil {
			f.pollFailed(ctx, ids, err, now)
			return
		}
		if _, wanted := slices.BinarySearch(ids, cl.ID); wanted {
			seen[cl.ID] = cl
		}
	}
	var rolling []string
	for _, id := range ids {
		cl := seen[id]
		if cl == nil {
			f.gone(id, now)
			continue
		}
		if p := f.update(id, now, func(fw *followed) progress { fw.missing = 0; return fw.observe(cl, now) }); p.nodes {
			rolling = append(rolling, id)
		}
	}
	if len(rolling) == 0 {
		return
	}
	nodes := map[string][]*rancher.Node{}
	for n, err := range f.rancher.Nodes(ctx, rancher.NodeQuery{ClusterIDs: named(rolling)}) {
		if err != nil {
			f.pollFailed(ctx, rolling, err, now)
			return
		}
		if _, wanted := slices.BinarySearch(rolling, n.ClusterID); wanted {
			nodes[n.ClusterID] = append(nodes[n.ClusterID], n)
		}
	}
	for _, id := range rolling {
		f.update(id, now, func(fw *followed) progress { return fw.observeNodes(seen[id], nodes[id], now) })
	}
}

// update lets judge look at one cluster and passes on what it says.
func (f *follower) update(id string, now time.Time, judge func(*followed) progress) progress {
	f.mu.Lock()
	fw := f.watched[id]
	if fw == nil {
		f.mu.Unlock()
		return progress{}
	}
	p := judge(fw)
	moved := p.text != "" && p.state() != fw.last.state()
	say := moved || p.text != "" && p.text != fw.last.text && now.Sub(fw.saidAt) >= repeatAfter
	if say {
		fw.last, fw.saidAt = p, now
	}
	over := p.done || p.err != nil
	if over {
		delete(f.watched, id)
	}
	f.news = f.news || moved || over
	f.mu.Unlock()
	if say {
		f.say(fw.id, fw.name, p.text)
	}
	if over {
		fw.over <- p.err // the last word, also for whoever listens to the texts
	}
	return p
}

// gone ends the following of a cluster that the list has lacked twice: it was
// deleted, or the token may not see it any more.
func (f *follower) gone(id string, now time.Time) {
	f.update(id, now, func(fw *followed) progress {
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
		f.update(id, now, func(fw *followed) progress {
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
