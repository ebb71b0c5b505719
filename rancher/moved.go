package rancher

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// computed are the fields that Rancher makes up when it answers.
var computed = []string{"actions", "baseType", "created", "createdTS", "links", "state", "transitioning", "transitioningMessage", "type"}

// movedSince gives the paths at which a stored object differs from what was to be stored. Absent and zero count as
// equal, and so does text around which Rancher trimmed the spaces (norman types/convert, ToString).
func movedSince(intent map[string]any, stored json.RawMessage) []string {
	now, err := decodeObject(stored)
	if err != nil {
		return []string{"everything"}
	}
	intent = maps.Clone(intent)
	for _, name := range computed {
		delete(intent, name)
		delete(now, name)
	}
	return moved(nil, "", intent, now)
}

func moved(out []string, path string, a, b any) []string {
	if isZero(a) && isZero(b) {
		return out
	}
	objectA, okA := a.(map[string]any)
	objectB, okB := b.(map[string]any)
	if okA && (okB || b == nil) || okB && a == nil {
		names := maps.Clone(objectA)
		if names == nil {
			names = map[string]any{}
		}
		maps.Copy(names, objectB)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			out = moved(out, strings.TrimPrefix(path+"."+name, "."), objectA[name], objectB[name])
		}
		return out
	}
	listA, okA := a.([]any)
	listB, okB := b.([]any)
	if okA && okB && len(listA) == len(listB) {
		for i := range listA {
			out = moved(out, path+"[]", listA[i], listB[i])
		}
		return out
	}
	if !okA && !okB && trimmed(a) == trimmed(b) {
		return out
	}
	return append(out, path)
}

// trimmed gives what is compared of a value that is no list.
func trimmed(v any) any {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case map[string]any:
		return "{}" // against something that is none
	}
	return v
}

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case bool:
		return !v
	case json.Number:
		return v == "0"
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
