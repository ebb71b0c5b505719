package rkeconfig

import (
	"fmt"
	"maps"
	"slices"
)

// Reverted is what Revert found. Document is the config to store; it equals the
// input and there are no Changes when any finding blocks.
type Reverted struct {
	Document Document
	Changes  []Change
	Findings []Finding
	// Emptied says that a map or list becomes empty, which a plain PUT cannot
	// express (facts: rancher-api.md 8).
	Emptied bool
}

// Revert takes a merge of p back: now is the config of today, before the one
// ahead of the merge. Only what the merge changed is put back; where that is no
// longer as the merge left it, a finding blocks. What is back already is left
// alone, so reverting twice gives the same as reverting once.
func Revert(now, before Document, p Patch, o MergeOptions) Reverted {
	r := Reverted{Document: now}
	// What a merge makes of the kubelets is no reason to keep it.
	o.WindowsNodes, p.Groups = false, nil
	result := Merge(before, p, o)
	if result.Blocked() {
		r.since("the patch could not have been merged into what was there before: " + result.Findings[0].Message)
		return r
	}
	merged := result.Document
	args := r.revertArgs(now.ExtraArgs(), before.ExtraArgs(), merged.ExtraArgs())
	binds := r.revertBinds(now.ExtraBinds(), before.ExtraBinds(), merged.ExtraBinds())
	if len(r.Findings) > 0 {
		return r
	}
	if args != nil {
		values := map[string]any{}
		for k, v := range args {
			values[k] = v
		}
		r.Document = r.Document.with(values, "services", "kubelet", "extraArgs")
		r.Emptied = r.Emptied || len(values) == 0
	}
	if binds != nil {
		items := []any{}
		for _, b := range binds {
			items = append(items, b)
		}
		r.Document = r.Document.with(items, "services", "kubelet", "extraBinds")
		r.Emptied = r.Emptied || len(items) == 0
	}
	r.Changes = Compare(now, r.Document)
	return r
}

// revertArgs gives the arguments of today with the merge's taken back, nil when
// there is nothing to do.
func (r *Reverted) revertArgs(now, before, merged map[string]string) map[string]string {
	out := maps.Clone(now)
	changed := false
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		was, had := before[name]
		if had && was == merged[name] {
			continue // not the merge's
		}
		is, has := now[name]
		switch {
		case has == had && is == was: // back already
		case !has || is != merged[name]:
			r.since(fmt.Sprintf("extra_args %s is %s, the run had set it to %s", name, shownOr(name, is, has), shown(name, merged[name])))
		case had:
			out[name], changed = was, true
		default:
			delete(out, name)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return out
}

// revertBinds gives the binds of today without those that the merge added, nil
// when there is nothing to do. A bind that somebody else put on the same
// container path since is in the way.
func (r *Reverted) revertBinds(now, before, merged []string) []string {
	out := slices.Clone(now)
	changed := false
	for _, text := range merged {
		if slices.Contains(before, text) {
			continue
		}
		if slices.Contains(out, text) {
			out = slices.DeleteFunc(out, func(b string) bool { return b == text })
			changed = true
			continue
		}
		added, _ := parseBind(text)
		for _, other := range now {
			if b, err := parseBind(other); err == nil && b.target == added.target {
				r.since(fmt.Sprintf("the bind of %s is %s, the run had added %s", added.target, shown("", other), shown("", text)))
			}
		}
	}
	if !changed {
		return nil
	}
	return out
}

func (r *Reverted) since(message string) {
	r.Findings = append(r.Findings, newFinding(changedSince, message, "settle it by hand in the Rancher UI: the run's own value is no longer there to be taken back"))
}

func shownOr(name, value string, has bool) string {
	if !has {
		return "gone"
	}
	return shown(name, value)
}
