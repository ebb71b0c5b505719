package rkeconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// ErrWrongType is returned by Check.
var ErrWrongType = errors.New("wrong type")

// Check compares the config with rke's own Go types. A value of another type is
// an error that matches ErrWrongType and names the path, because Rancher answers
// 200 and drops it, or stores something else (facts: rancher-api.md T5, T6).
// Unknown fields are no error. The value itself is never in the text.
func (d Document) Check() error {
	return check(configShape(), d.root, nil)
}

func check(s *shape, v any, at jsonPath) error {
	if v == nil {
		return nil
	}
	switch s.kind {
	case objectKind, mapKind:
		m, ok := v.(map[string]any)
		if !ok {
			return wrongType(s, v, at)
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			child, known := s.child(k)
			if !known || s.isSchemaType(k, m[k]) {
				continue
			}
			next := at.member(s, k)
			if s.kind == mapKind && m[k] == nil && child.kind != anyKind {
				return wrongType(child, nil, next)
			}
			if err := check(child, m[k], next); err != nil {
				return err
			}
		}
	case listKind:
		list, ok := v.([]any)
		if !ok {
			return wrongType(s, v, at)
		}
		for i, e := range list {
			if e == nil && s.elem.kind != anyKind {
				return wrongType(s.elem, nil, at.index(i))
			}
			if err := check(s.elem, e, at.index(i)); err != nil {
				return err
			}
		}
	default:
		if !s.accepts(v) {
			return wrongType(s, v, at)
		}
	}
	return nil
}

// accepts says whether encoding/json would decode a single value into the Go type.
func (s *shape) accepts(v any) bool {
	n, isNumber := v.(json.Number)
	switch s.kind {
	case stringKind:
		_, ok := v.(string)
		return ok
	case boolKind:
		_, ok := v.(bool)
		return ok
	case intKind:
		_, err := strconv.ParseInt(string(n), 10, s.goType.Bits())
		return isNumber && err == nil
	case floatKind:
		_, err := strconv.ParseFloat(string(n), s.goType.Bits())
		return isNumber && err == nil
	case customKind:
		raw, err := json.Marshal(v)
		return err == nil && json.Unmarshal(raw, reflect.New(s.goType).Interface()) == nil
	}
	return true
}

var kindNames = map[kind]string{
	objectKind: "an object",
	mapKind:    "an object",
	listKind:   "a list",
	stringKind: "a string",
	boolKind:   "a boolean",
	intKind:    "a whole number",
	floatKind:  "a number",
	customKind: "a value of another form",
}

func wrongType(s *shape, v any, at jsonPath) error {
	return fmt.Errorf("%s is %s where RKE knows only %s: %w", at, jsonType(v), kindNames[s.kind], ErrWrongType)
}
