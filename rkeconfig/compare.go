package rkeconfig

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// Change is one path that differs. Before or After is absent when the path is not
// set on that side. Path looks like services.kubelet.extraArgs["max-pods"] or
// services.kubelet.extraBinds[2]; an index counts in the list after the change,
// for a removed item in the list before it.
type Change struct {
	Path   string `json:"path"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

// Compare returns every path that differs, sorted, nil when none does. A field
// that is absent equals one that is empty ("", 0, false, null, {}, []), since
// Rancher turns one into the other on any update (facts: rancher-api.md 5.5);
// so are norman's "type" keys ignored. Keys chosen by the user, as in extraArgs,
// count even when their value is empty: the kubelet gets them.
func Compare(before, after Document) []Change {
	a, b := withoutSame(before.root, after.root)
	root := configShape()
	x, y := align(root, pruneObject(root, a), pruneObject(root, b))
	c := collector{root: root}
	cmp.Equal(x, y, cmp.Reporter(&c))
	slices.SortFunc(c.found, func(x, y located) int { return comparePaths(x.path, y.path) })
	var changes []Change
	for _, f := range c.found {
		changes = append(changes, Change{Path: f.path.String(), Before: f.before, After: f.after})
	}
	return changes
}

// located is a change with its path still in parts, for sorting.
type located struct {
	path          jsonPath
	before, after any
}

// collector is the cmp.Reporter that turns what cmp finds into paths.
type collector struct {
	root  *shape
	steps cmp.Path
	found []located
}

func (c *collector) PushStep(s cmp.PathStep) { c.steps = append(c.steps, s) }
func (c *collector) PopStep()                { c.steps = c.steps[:len(c.steps)-1] }

func (c *collector) Report(r cmp.Result) {
	if r.Equal() {
		return
	}
	s := c.root
	var at jsonPath
	for _, st := range c.steps {
		index, ok := st.(cmp.MapIndex)
		if !ok {
			continue
		}
		if slot, isItem := index.Key().Interface().(slot); isItem {
			at, s = at.index(slot.shownIndex()), s.item()
			continue
		}
		key := index.Key().String()
		at = at.member(s, key)
		s, _ = s.child(key)
	}
	before, after := c.steps.Last().Values()
	c.found = append(c.found, located{at, valueOf(before), valueOf(after)})
}

func valueOf(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	return v.Interface()
}

// slot is an item's place in both lists, -1 where it is not.
type slot struct{ before, after int }

func (s slot) shownIndex() int {
	if s.after >= 0 {
		return s.after
	}
	return s.before
}

// aligned is a list whose items have been paired with those of another. cmp's own
// pairing of lists differs from run to run, so it never sees one.
type aligned map[slot]any

// withoutSame leaves out the members that both objects share, of which Merge
// leaves many; cmp is slow.
func withoutSame(before, after map[string]any) (a, b map[string]any) {
	a, b = maps.Clone(before), maps.Clone(after)
	for key, x := range before {
		if y, ok := after[key]; ok && isSame(x, y) {
			delete(a, key)
			delete(b, key)
		}
	}
	return a, b
}

func pruneObject(s *shape, m map[string]any) map[string]any {
	if out, ok := prune(s, m).(map[string]any); ok {
		return out
	}
	return map[string]any{}
}

// prune returns a copy of v without schema types and empty fields, numbers in one
// spelling; nil when nothing is left.
func prune(s *shape, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, e := range v {
			if s.isSchemaType(key, e) {
				continue
			}
			child, _ := s.child(key)
			if s.kind == mapKind {
				out[key] = pruneItem(child, e)
			} else if p := prune(child, e); p != nil {
				out[key] = p
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = pruneItem(s.item(), e)
		}
		return out
	case json.Number:
		if n := canonical(v); n != "0" {
			return n
		}
	case string:
		if v != "" {
			return v
		}
	case bool:
		if v {
			return v
		}
	}
	return nil
}

// pruneItem is prune for a place whose mere presence counts: an item of a list, a
// key chosen by the user.
func pruneItem(s *shape, v any) any {
	if p := prune(s, v); p != nil {
		return p
	}
	switch v := v.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	case json.Number:
		return canonical(v)
	}
	return v
}

// isEmpty reports whether prune would leave nothing of v: a field with this value
// is the same as none.
func isEmpty(s *shape, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if s.isSchemaType(key, e) {
				continue
			}
			child, _ := s.child(key)
			if s.kind == mapKind || !isEmpty(child, e) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case json.Number:
		return canonical(v) == "0"
	}
	return v == nil || v == "" || v == false
}

func isZero(v any) bool { return isEmpty(unknownShape, v) }

// canonical spells equal numbers equally: 1.0 and 1e0 as 1. Numbers that a float
// can not hold exactly stay as they are.
func canonical(n json.Number) json.Number {
	text := string(n)
	if mantissa, _, _ := strings.Cut(strings.ToLower(text), "e"); !strings.ContainsAny(mantissa, "123456789") {
		return "0"
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	const exact = 1 << 53
	if f, err := strconv.ParseFloat(text, 64); err == nil && -exact < f && f < exact && f == float64(int64(f)) {
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return n
}

// align pairs the items of all lists in two pruned values, and puts an empty
// object or list where only one side has one, so that every member is a change of
// its own.
func align(s *shape, before, after any) (any, any) {
	if before == nil {
		before = emptyLike(after)
	}
	if after == nil {
		after = emptyLike(before)
	}
	switch x := before.(type) {
	case map[string]any:
		y, ok := after.(map[string]any)
		if !ok {
			return before, after
		}
		for _, key := range unionKeys(x, y) {
			_, inX := x[key]
			_, inY := y[key]
			if inX != inY && s.kind == mapKind {
				continue // a key without a value is not the same as no key
			}
			child, _ := s.child(key)
			p, q := align(child, x[key], y[key])
			if p != nil {
				x[key] = p
			}
			if q != nil {
				y[key] = q
			}
		}
	case []any:
		y, ok := after.([]any)
		if !ok {
			return before, after
		}
		return alignLists(s.item(), x, y)
	}
	return before, after
}

func emptyLike(v any) any {
	switch v.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	}
	return nil
}

// alignLists pairs equal items at both ends, and what is left between them by
// position.
func alignLists(item *shape, before, after []any) (any, any) {
	head := 0
	for head < min(len(before), len(after)) && reflect.DeepEqual(before[head], after[head]) {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head && reflect.DeepEqual(before[len(before)-1-tail], after[len(after)-1-tail]) {
		tail++
	}
	before, after = before[:len(before)-tail], after[:len(after)-tail]
	a, b := aligned{}, aligned{}
	for i := head; i < max(len(before), len(after)); i++ {
		switch {
		case i >= len(after):
			a[slot{i, -1}] = before[i]
		case i >= len(before):
			b[slot{-1, i}] = after[i]
		default:
			a[slot{i, i}], b[slot{i, i}] = align(item, before[i], after[i])
		}
	}
	return a, b
}

func unionKeys(a, b map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// isSame is a cheap test for values that are shared between two documents.
func isSame(x, y any) bool {
	switch x := x.(type) {
	case map[string]any:
		y, ok := y.(map[string]any)
		return ok && reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
	case []any:
		y, ok := y.([]any)
		return ok && len(x) == len(y) && len(x) > 0 && &x[0] == &y[0]
	}
	return x == y
}
