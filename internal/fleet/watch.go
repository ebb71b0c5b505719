package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// watch follows one cluster from its PUT to the end of the roll-out. It is a
// pure state machine: observe is fed what the polls saw and says where the
// cluster stands. docs/follow.md explains the signals; the source is rancher
// v2.9.1 pkg/controllers/management/clusterprovisioner/provisioner.go:537-697
// and pkg/rkeworker.
type watch struct {
	id, name string
	kubelet  rkeconfig.Document // services.kubelet as stored by the PUT, at its place in a config
	flags    []string           // --k=v, what a worker's kubelet must be started with
	without  []string           // --k=, how none of its arguments may begin
	binds    []string           // what its container must mount
	unbound  []string           // and what it must not any more
	since    time.Time
	patience patience

	before      signals
	resumed     bool                 // the PUT was an earlier call's: a failure may be older than what was mended since
	noticed     bool                 // Rancher was seen to react
	failedTwice bool                 // a failure counts once it was seen in two polls
	down        map[string]time.Time // since when nodes are not Ready, by id

	retreat
}

// patience are the times after which silence becomes an answer.
type patience struct {
	unnoticed time.Duration // Rancher shows no reaction to the PUT
	total     time.Duration // the whole roll-out
}

// signals are the parts of a cluster that move when Rancher reacts.
type signals struct {
	applied     string
	failed      bool
	updated     rancher.Condition
	provisioned rancher.Condition
	nodeVersion int
}

// progress is where a cluster stands, in words, and whether it is over.
type progress struct {
	text  string
	still string // the text without what changes by itself: times, and what nodes say; the text when empty
	nodes bool   // the nodes must be looked at to know more
	done  bool
	err   error // over, badly
}

// state is equal for two progresses between which nothing has moved.
func (p progress) state() string { return orElse(p.still, p.text) }

// newWatch begins to follow cl, which is Rancher's answer to the PUT; before is
// the cluster as it was read just ahead of it.
func newWatch(before, cl *rancher.Cluster, patch rkeconfig.Patch, now time.Time, p patience) (*watch, error) {
	doc, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return nil, err
	}
	w := &watch{id: cl.ID, name: cl.Name, since: now, patience: p, before: read(before), down: map[string]time.Time{}}
	kubelet, _ := doc.Lookup("services", "kubelet")
	if w.kubelet, err = atKubelet(kubelet); err != nil {
		return nil, err
	}
	args := doc.ExtraArgs()
	for k := range patch.Args {
		if v, ok := args[k]; ok {
			w.flags = append(w.flags, "--"+k+"="+v)
		} else {
			w.without = append(w.without, "--"+k+"=")
		}
	}
	slices.Sort(w.flags)
	binds := doc.ExtraBinds()
	for _, b := range patch.Binds {
		if slices.Contains(binds, b) {
			w.binds = append(w.binds, b)
		}
	}
	if was, err := rkeconfig.ParseDocument(before.Config); err == nil {
		w.unbound = slices.DeleteFunc(was.ExtraBinds(), func(b string) bool { return slices.Contains(binds, b) })
	}
	return w, nil
}

// atKubelet makes a config of a kubelet section alone, nil for an empty one.
func atKubelet(kubelet any) (rkeconfig.Document, error) {
	return rkeconfig.NewDocument(map[string]any{"services": map[string]any{"kubelet": kubelet}})
}

func read(cl *rancher.Cluster) signals {
	updated, _ := cl.Conditions.Get("Updated")
	provisioned, _ := cl.Conditions.Get("Provisioned")
	return signals{
		applied: string(cl.AppliedKubelet), failed: cl.HasFailedSpec, updated: updated,
		provisioned: provisioned, nodeVersion: cl.NodeVersion,
	}
}

// observe judges one sight of the cluster. It asks for the nodes once the
// control plane is done; observeNodes judges those.
func (w *watch) observe(cl *rancher.Cluster, now time.Time) progress {
	if !w.stillStored(cl) {
		return progress{err: fmt.Errorf("%w: somebody else changed it again after it was stored, Rancher rolls that out instead", ErrStale)}
	}
	w.noticed = w.noticed || read(cl) != w.before
	w.lookBack(cl)
	if w.failed(cl) && (w.noticed || !w.resumed) {
		if !w.failedTwice {
			w.failedTwice = true
			return progress{text: "control plane: RKE reports an error, looking again"}
		}
		return progress{err: fmt.Errorf("RKE could not roll out the control plane: %s", orElse(failure(cl), "Rancher gives no reason"))}
	}
	w.failedTwice = false

	if !w.applied(cl) {
		if w.begun && now.Sub(w.since) > w.patience.unnoticed {
			return progress{nodes: true}
		}
		if !w.noticed && now.Sub(w.since) > w.patience.unnoticed {
			return progress{err: fmt.Errorf("Rancher stored the change but showed no reaction to it for %s", now.Sub(w.since).Round(time.Second))}
		}
		text := "control plane: " + describe(cl)
		if p, late := w.outOfTime(now, text); late {
			return p
		}
		return progress{text: text}
	}
	return progress{nodes: true}
}

func (w *watch) outOfTime(now time.Time, waiting string) (progress, bool) {
	if now.Sub(w.since) <= w.patience.total {
		return progress{}, false
	}
	if w.begun {
		waiting += "; " + w.doubt()
	}
	return progress{err: fmt.Errorf("%w after %s: %s", ErrTimeout, w.patience.total, waiting)}, true
}

// stillStored reports whether the stored config holds what is followed. There
// are no version tokens, so anybody may have written over it. What was changed
// beside it is rolled out with it.
func (w *watch) stillStored(cl *rancher.Cluster) bool {
	doc, err := rkeconfig.ParseDocument(cl.Config)
	if err != nil {
		return false
	}
	var command []string
	for k, v := range doc.ExtraArgs() {
		command = append(command, "--"+k+"="+v)
	}
	if !w.planned(command, doc.ExtraBinds()) {
		return false
	}
	kubelet, _ := doc.Lookup("services", "kubelet")
	if now, err := atKubelet(kubelet); err == nil {
		w.kubelet = now
	}
	return true
}

// applied: the control plane runs with what was stored. state "active" says
// nothing: it is active before Rancher notices the change, too.
func (w *watch) applied(cl *rancher.Cluster) bool {
	return w.sameKubelet(cl.AppliedKubelet) && cl.Conditions.IsTrue("Updated") && cl.Conditions.IsTrue("Provisioned")
}

// failed: Rancher tried our config and could not. When RKE fails early,
// Provisioned goes False and Updated never moves.
func (w *watch) failed(cl *rancher.Cluster) bool {
	return cl.HasFailedSpec && w.sameKubelet(cl.FailedKubelet) && failure(cl) != ""
}

func failure(cl *rancher.Cluster) string {
	for _, t := range []string{"Updated", "Provisioned"} {
		if c, ok := cl.Conditions.Get(t); ok && c.Status == "False" {
			return orElse(c.Message, t+" is False")
		}
	}
	return ""
}

func (w *watch) sameKubelet(raw json.RawMessage) bool {
	var kubelet any
	if len(raw) > 0 {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if dec.Decode(&kubelet) != nil {
			return false
		}
	}
	doc, err := atKubelet(kubelet)
	return err == nil && len(rkeconfig.Compare(w.kubelet, doc)) == 0
}

func describe(cl *rancher.Cluster) string {
	if cl.TransitioningMessage == "" {
		return cl.State
	}
	return cl.State + ", " + cl.TransitioningMessage
}

// planned reports whether a kubelet's command and binds have what they must have
// and nothing of what they must not.
func (w *watch) planned(command, binds []string) bool {
	return containsAll(command, w.flags) && containsAll(binds, w.binds) &&
		!slices.ContainsFunc(binds, func(b string) bool { return slices.Contains(w.unbound, b) }) &&
		!slices.ContainsFunc(command, func(arg string) bool {
			return slices.ContainsFunc(w.without, func(prefix string) bool { return strings.HasPrefix(arg, prefix) })
		})
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}
