package rkeconfig

import (
	"reflect"
	"strings"
	"unicode"
)

// What stands in the place of a secret. Where two configs are shown together and
// the secret differs, both sides say so.
const (
	Redacted       = "<redacted>"
	RedactedBefore = "<redacted, before>"
	RedactedAfter  = "<redacted, after>"
)

// absent is the value of a member that one of two configs does not have.
type absent struct{}

// MaskChanges returns a copy without secrets, for output to programs. A change
// whose path it can not read is hidden whole.
func MaskChanges(changes []Change) []Change {
	masked := make([]Change, 0, len(changes))
	for _, c := range changes {
		before, after := maskChange(c)
		masked = append(masked, Change{Path: c.Path, Before: before, After: after})
	}
	return masked
}

func maskChange(c Change) (before, after any) {
	p, ok := parsePath(c.Path)
	if !ok {
		return redact(c.Before, c.After)
	}
	s, masking, name := configShape(), maskNothing, ""
	for _, st := range p {
		isItem := st.name == "" && !st.quoted
		switch {
		case isItem && masking == MaskEnv:
			return maskEnv([]any{c.Before}, []any{c.After}).first()
		case masking == MaskEnv:
			return redact(c.Before, c.After)
		case isItem:
			s = s.item()
			if s.masking != maskNothing {
				masking = s.masking
			}
		default:
			name = st.name
			s, masking = s.secretChild(name, masking)
		}
	}
	return maskPair(s, masking, name, c.Before, c.After)
}

// secretByName is the masking of a member with a secret name: hidden unless its
// value is harmless.
const secretByName Masking = -1

// secretChild returns the shape under key and how it is masked, given how the
// object itself is.
func (s *shape) secretChild(key string, masking Masking) (*shape, Masking) {
	child, known := s.child(key)
	switch {
	case masking == MaskValue || masking == secretByName:
		return child, masking
	case child.masking != maskNothing:
		return child, child.masking
	case (!known || s.kind == mapKind) && isSecretName(key):
		return child, secretByName
	}
	return child, maskNothing
}

// maskPair masks the same place of two configs. name is the key it is under.
func maskPair(s *shape, masking Masking, name string, a, b any) (any, any) {
	switch {
	case masking == MaskEnv:
		pair := maskEnv(a, b)
		return pair.a, pair.b
	case masking == MaskValue:
		return redact(a, b)
	case masking == secretByName && !allHarmless(name, a, b):
		return redact(a, b)
	}
	objectA, isObjectA := a.(map[string]any)
	objectB, isObjectB := b.(map[string]any)
	listA, isListA := a.([]any)
	listB, isListB := b.([]any)
	if isObjectA || isObjectB {
		outA, outB := maskObjects(s, objectA, objectB)
		a, b = orElse(isObjectA, outA, a), orElse(isObjectB, outB, b)
	}
	if isListA || isListB {
		outA, outB := maskLists(s, masking, name, listA, listB)
		a, b = orElse(isListA, outA, a), orElse(isListB, outB, b)
	}
	textA, isTextA := a.(string)
	textB, isTextB := b.(string)
	if isTextA || isTextB {
		markA, markB := Redacted, Redacted
		if isTextA && isTextB && textA != textB && maskText(textA, Redacted) == maskText(textB, Redacted) {
			markA, markB = RedactedBefore, RedactedAfter
		}
		a, b = orElse(isTextA, maskText(textA, markA), a), orElse(isTextB, maskText(textB, markB), b)
	}
	return a, b
}

func orElse(cond bool, masked, v any) any {
	if cond {
		return masked
	}
	return v
}

func allHarmless(name string, values ...any) bool {
	for _, v := range values {
		if list, ok := v.([]any); ok {
			if !allHarmless(name, list...) {
				return false
			}
			continue
		}
		if v != (absent{}) && !isZero(v) && !isHarmless(name, v) {
			return false
		}
	}
	return true
}

func maskObjects(s *shape, a, b map[string]any) (map[string]any, map[string]any) {
	outA, outB := map[string]any{}, map[string]any{}
	for _, key := range unionKeys(a, b) {
		child, masking := s.secretChild(key, maskNothing)
		x, y := maskPair(child, masking, key, memberOf(a, key), memberOf(b, key))
		if x != (absent{}) {
			outA[key] = x
		}
		if y != (absent{}) {
			outB[key] = y
		}
	}
	return outA, outB
}

func memberOf(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return absent{}
}

func maskLists(s *shape, masking Masking, name string, a, b []any) ([]any, []any) {
	item := s.item()
	if item.masking != maskNothing {
		masking = item.masking
	}
	outA, outB := make([]any, len(a)), make([]any, len(b))
	for i := range max(len(a), len(b)) {
		var x, y any = absent{}, absent{}
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		x, y = maskPair(item, masking, name, x, y)
		if i < len(a) {
			outA[i] = x
		}
		if i < len(b) {
			outB[i] = y
		}
	}
	return outA, outB
}

// redact hides two values. A value that is not set stays visible as such.
func redact(a, b any) (any, any) {
	hiddenA, hiddenB := isHidden(a), isHidden(b)
	markA, markB := Redacted, Redacted
	if hiddenA && hiddenB && !isEqual(a, b) {
		markA, markB = RedactedBefore, RedactedAfter
	}
	return orElse(hiddenA, markA, a), orElse(hiddenB, markB, b)
}

func isHidden(v any) bool { return v != any(absent{}) && !isZero(v) }

func isEqual(a, b any) bool {
	return reflect.DeepEqual(prune(unknownShape, a), prune(unknownShape, b))
}

type maskedPair struct{ a, b any }

// first unwraps lists of one.
func (p maskedPair) first() (any, any) {
	return p.a.([]any)[0], p.b.([]any)[0]
}

// maskEnv hides the values in two lists of NAME=value. The nth NAME of one list
// is compared with the nth of the other, wherever they stand.
func maskEnv(a, b any) maskedPair {
	listA, isListA := a.([]any)
	listB, isListB := b.([]any)
	if !isListA && a != (absent{}) && !isZero(a) || !isListB && b != (absent{}) && !isZero(b) {
		x, y := redact(a, b)
		return maskedPair{x, y}
	}
	return maskedPair{
		orElse(isListA, maskEnvList(listA, listB, RedactedBefore), a),
		orElse(isListB, maskEnvList(listB, listA, RedactedAfter), b),
	}
}

func maskEnvList(list, other []any, changed string) []any {
	theirs := map[string][]any{}
	for _, e := range other {
		name, value := splitEnv(e)
		theirs[name] = append(theirs[name], value)
	}
	out := make([]any, len(list))
	for i, e := range list {
		name, value := splitEnv(e)
		mark := Redacted
		if twins := theirs[name]; len(twins) > 0 {
			theirs[name] = twins[1:]
			if !isEqual(value, twins[0]) {
				mark = changed
			}
		}
		if isZero(value) {
			out[i] = e
			continue
		}
		out[i] = name + mark
	}
	return out
}

// splitEnv returns NAME= and the value, or no name when the item has not that form.
func splitEnv(e any) (name string, value any) {
	s, _ := e.(string)
	name, rest, ok := strings.Cut(s, "=")
	if !ok || !envName.MatchString(name) {
		return "", e
	}
	return name + "=", rest
}

// shown quotes a value for a message: without secrets, control characters or
// endless text. name is the argument it belongs to.
func shown(name, value string) string {
	if isSecretName(name) && !isHarmless(name, value) {
		return Redacted
	}
	const limit = 120
	value = maskText(value, Redacted)
	if len(value) > limit {
		return quote(strings.ToValidUTF8(value[:limit], "")) + " and more"
	}
	return quote(value)
}

func isControl(r rune) bool { return !unicode.IsPrint(r) }
