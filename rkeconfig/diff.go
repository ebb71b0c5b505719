package rkeconfig

import (
	"reflect"

	udiff "github.com/aymanbagabas/go-udiff"
)

// DiffOptions says how a diff looks.
type DiffOptions struct {
	Context   int    // unchanged lines around each change; 0 is 3
	FromLabel string // what the --- line says; "" is before
	ToLabel   string // what the +++ line says; "" is after
}

// Diff shows what differs between two configs as a unified diff of the UI's YAML
// (see YAML), "" when Compare finds nothing. The same input gives the same bytes.
// A masked value that differs is marked on both sides.
func Diff(before, after Document, o DiffOptions) string {
	from, to := sides(before, after)
	if o.Context <= 0 {
		o.Context = udiff.DefaultContextLines
	}
	u, err := udiff.ToUnifiedDiff(label(o.FromLabel, "before"), label(o.ToLabel, "after"), from, udiff.Lines(from, to), o.Context)
	if err != nil {
		// Lines made the edits from this very text.
		panic("rkeconfig: unified diff of its own edits: " + err.Error())
	}
	// udiff v0.4.1 forgets the unchanged lines inside a hunk when it numbers the
	// next one.
	grown := 0
	for _, hunk := range u.Hunks {
		hunk.ToLine = hunk.FromLine + grown
		for _, line := range hunk.Lines {
			switch line.Kind {
			case udiff.Insert:
				grown++
			case udiff.Delete:
				grown--
			}
		}
	}
	return u.String()
}

// sides returns the masked YAML of both configs, without what Compare ignores.
func sides(before, after Document) (from, to string) {
	a, b := before.Map(), after.Map()
	dropNoise(configShape(), a, b)
	maskedA, maskedB := maskPair(configShape(), maskNothing, "", a, b)
	return render(maskedA.(map[string]any)), render(maskedB.(map[string]any))
}

func label(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return printable(s)
}

// dropNoise takes out, in place, what Compare ignores: fields that are empty on
// both sides, and values that are equal but written differently.
func dropNoise(s *shape, a, b map[string]any) {
	for _, key := range unionKeys(a, b) {
		x, inA := a[key]
		y, inB := b[key]
		child, _ := s.child(key)
		switch {
		case s.kind == mapKind && inA != inB:
		case s.kind != mapKind && isEmpty(child, x) && isEmpty(child, y):
			if !reflect.DeepEqual(x, y) || inA != inB {
				delete(a, key)
				delete(b, key)
			}
		case inA && inB:
			a[key] = withoutNoise(child, x, y)
		}
	}
}

// withoutNoise returns x as it is to be shown beside y.
func withoutNoise(s *shape, x, y any) any {
	switch x := x.(type) {
	case map[string]any:
		if y, ok := y.(map[string]any); ok {
			dropNoise(s, x, y)
			return x
		}
	case []any:
		if y, ok := y.([]any); ok {
			for i := range min(len(x), len(y)) {
				x[i] = withoutNoise(s.item(), x[i], y[i])
			}
			return x
		}
	}
	if reflect.DeepEqual(pruneItem(s, x), pruneItem(s, y)) {
		return y
	}
	return x
}
