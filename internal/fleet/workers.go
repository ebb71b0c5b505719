package fleet

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"rkepatch/rancher"
)

// doubtAfter is how long a node may be not Ready before the text says plainly
// that its kubelet may not come up. One that does come up is Ready within one or
// two minutes of its restart.
const doubtAfter = 5 * time.Minute

// delay is a node that the roll-out waits for.
type delay struct {
	node  string
	why   string    // "rolling", "not Ready"
	since time.Time // zero when it was not timed
	says  string    // what the node itself says
	// restarted says that it was the change that restarted its kubelet, doubtful
	// that it has the change: a kubelet that is told of what is not there does
	// not start.
	restarted, doubtful bool
}

// words are what a person reads while it takes; now tells how long it does.
func (d delay) words(now time.Time) string {
	text := d.why
	if !d.since.IsZero() && !now.IsZero() {
		text += " for " + lasting(now.Sub(d.since))
		if d.says != "" {
			text += ": " + d.says
		}
	}
	return d.node + " (" + text + ")"
}

// doubt says that a node takes so long that its kubelet may not come up, which
// Rancher never says; "" while it does not.
func (d delay) doubt(now time.Time) string {
	if !d.doubtful || now.Sub(d.since) < doubtAfter {
		return ""
	}
	text := d.node + " has been NotReady for " + lasting(now.Sub(d.since))
	if d.restarted {
		text += " since its kubelet was restarted"
	}
	text += ": its kubelet may not come up; on the node: docker logs kubelet"
	if d.says != "" {
		text += " (it says: " + d.says + ")"
	}
	return text
}

// observeNodes judges the nodes of a cluster whose control plane is done.
// Rancher shows no error for a worker whose kubelet does not come up, so each
// worker must be seen with the new plan, at that plan's version, and Ready.
func (w *watch) observeNodes(cl *rancher.Cluster, nodes []*rancher.Node, now time.Time) progress {
	if w.begun {
		w.suspect(nodes)
		if !w.applied(cl) {
			return progress{err: fmt.Errorf("Rancher says %s since %s: %s", describe(cl), lasting(now.Sub(w.since)), w.doubt())}
		}
	}
	var workers, rolled, queued int
	var delays []delay
	for _, n := range nodes {
		w.time(n, now)
		if isWorkerOnly(n) {
			workers++
		}
		switch d := w.unrolled(cl, n); d.why {
		case "":
			if isWorkerOnly(n) {
				rolled++
			}
		case inQueue:
			queued++
		default:
			delays = append(delays, d)
		}
	}
	rest := ""
	switch {
	case len(nodes) == 0 && cl.NodeCount > 0:
		rest = "its nodes, which Rancher does not show to this token"
	case len(delays)+queued > 0:
	case cl.Conditions.Status("Upgraded") == "Unknown":
		rest = "Rancher to finish"
	case !cl.Conditions.IsTrue("Ready"):
		rest = "the cluster to be Ready"
	}
	p := progress{
		text:  rollOut(rolled, workers, queued, delays, rest, now),
		still: rollOut(rolled, workers, queued, delays, rest, time.Time{}),
	}
	if len(delays)+queued == 0 && rest == "" {
		p.done = true
		return p
	}
	if over, late := w.outOfTime(now, p.text); late {
		return over
	}
	p.nodes = true
	return p
}

// rollOut says how far the workers are, and what is waited for. A zero now
// leaves out all that moves by itself.
func rollOut(rolled, workers, queued int, delays []delay, rest string, now time.Time) string {
	text := fmt.Sprintf("%d/%d workers rolled", rolled, workers)
	if workers == 0 {
		text = "no separate workers"
	}
	var waiting, doubts []string
	for _, d := range delays {
		if doubt := d.doubt(now); doubt != "" {
			doubts = append(doubts, doubt)
		} else {
			waiting = append(waiting, d.words(now))
		}
	}
	if rest != "" {
		waiting = append(waiting, rest)
	}
	if len(waiting) > 0 {
		text += ", waiting for " + enumerate(waiting)
	}
	if queued > 0 {
		text += fmt.Sprintf(", %d in the queue", queued)
	}
	if len(doubts) > 0 {
		// First, because a terminal may show no more than the beginning.
		text = enumerate(doubts) + "; " + text
	}
	return text
}

// inQueue: the worker's turn has not come.
const inQueue = "in the queue"

// unrolled says what a node still lacks; its why is empty when nothing.
func (w *watch) unrolled(cl *rancher.Cluster, n *rancher.Node) delay {
	d := delay{node: n.Name}
	worker := isWorkerOnly(n)
	planned := n.OS == "windows" || // gets its own win_extra_args
		w.planned(n.KubeletCommand, n.KubeletBinds)
	switch {
	case !isReady(n):
		d.why, d.since, d.says = "not Ready", w.down[n.ID], saying(n.Ready)
		d.doubtful = !worker || planned
		d.restarted = !d.since.Before(w.since)
		if !d.doubtful {
			d.why = "in the queue, not Ready"
		}
	case !worker:
	case !planned:
		d.why = inQueue
	case n.AppliedNodeVersion != n.PlanVersion:
		d.why = "rolling"
	case n.PlanVersion != cl.NodeVersion && cl.Conditions.Status("Upgraded") == "Unknown":
		// Without a roll-out under way, an older plan is one that never had to change: the way back was
		// faster than the roll-out.
		d.why = "rolling"
	}
	return d
}

// time notes since when a node is not Ready: what its condition says, unless it
// says nothing or something from the future, else when it was first seen so.
func (w *watch) time(n *rancher.Node, now time.Time) {
	if isReady(n) {
		delete(w.down, n.ID)
		return
	}
	if _, timed := w.down[n.ID]; timed {
		return
	}
	since := now
	if at, err := time.Parse(time.RFC3339, n.Ready.LastTransitionTime); err == nil && at.Before(now) {
		since = at
	}
	w.down[n.ID] = since
}

// maxSaying bounds what is repeated of a node's own words, in characters.
const maxSaying = 120

// saying is what a node's condition gives for a reason, in one short line; the
// node may be anybody's.
func saying(c rancher.Condition) string {
	words := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(c.Reason+" "+c.Message, "\uFFFD"))
	short := []rune(strings.Join(strings.Fields(words), " "))
	if len(short) > maxSaying {
		return string(short[:maxSaying]) + "…"
	}
	return string(short)
}

// lasting gives "20 s", "4 min", "3 h" or "2 days".
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
