package rkeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxDocument is in bytes. Rancher takes no larger body
	// (norman parse/read_input.go:18), so no config is.
	maxDocument = 2 << 20
	// maxDepth is far beyond the dozen levels of rke's types.
	maxDepth = 40
	// maxKey bounds a quoted object key: YAML readers give up on a key of more
	// than 1024 characters.
	maxKey = 1000
)

var (
	// ErrNotObject is returned for JSON that is not one object.
	ErrNotObject = errors.New("not a JSON object")
	// ErrTooLarge is returned for a document too big or too deep to be a config.
	ErrTooLarge = errors.New("too large to be a cluster's config")
)

// Document is one cluster's rancherKubernetesEngineConfig as Rancher sent it:
// numbers as written, unknown fields kept. It can not be changed; Merge makes a
// new one. The zero Document is an empty config.
type Document struct {
	root map[string]any
}

// ParseDocument reads one JSON object. Errors match ErrNotObject or ErrTooLarge;
// they never quote the input.
func ParseDocument(raw []byte) (Document, error) {
	if len(raw) > maxDocument {
		return Document{}, fmt.Errorf("config has %d bytes, more than %d: %w", len(raw), maxDocument, ErrTooLarge)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return Document{}, fmt.Errorf("config is not JSON, near byte %d: %w", dec.InputOffset(), ErrNotObject)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Document{}, fmt.Errorf("config has more after its JSON value, near byte %d: %w", dec.InputOffset(), ErrNotObject)
	}
	root, ok := v.(map[string]any)
	if !ok {
		return Document{}, fmt.Errorf("config is %s: %w", jsonType(v), ErrNotObject)
	}
	if err := checkBounds(root, 0); err != nil {
		return Document{}, err
	}
	return Document{root}, nil
}

// NewDocument copies v, which holds JSON values: nil, bool, string, json.Number
// or another Go number, []any, []string, map[string]any, map[string]string.
// Anything else is an error; so is what ParseDocument would call too large.
func NewDocument(v map[string]any) (Document, error) {
	if v == nil {
		return Document{}, fmt.Errorf("config is null: %w", ErrNotObject)
	}
	root, err := copyJSON(v, 0)
	if err != nil {
		return Document{}, err
	}
	return Document{root.(map[string]any)}, nil
}

// Map returns a copy of the whole config that the caller may change.
func (d Document) Map() map[string]any {
	return clone(d.root).(map[string]any)
}

// Format prints no content, whatever the verb: a config that ends up in a log
// line by accident must not bring its secrets along.
func (d Document) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, topKey+" (content not shown)")
}

// MarshalJSON writes the config with sorted keys.
func (d Document) MarshalJSON() ([]byte, error) {
	if d.root == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(d.root)
}

// Lookup returns a copy of the value at a path of JSON names, and whether it is there.
func (d Document) Lookup(path ...string) (any, bool) {
	v, ok := d.at(path...)
	return clone(v), ok
}

// Text returns the string at a path of JSON names, "" when there is none.
func (d Document) Text(path ...string) string {
	v, _ := d.at(path...)
	s, _ := v.(string)
	return s
}

// KubernetesVersion is for example v1.26.15-rancher1-1; "" when not set.
func (d Document) KubernetesVersion() string { return d.Text("kubernetesVersion") }

// PrefixPath is the path RKE puts before some host paths; "" when not set.
// "/" counts as not set (rke v1.6.1 hosts/hosts.go:366).
func (d Document) PrefixPath() string {
	if p := d.Text("prefixPath"); strings.Trim(p, "/ ") != "" {
		return p
	}
	return ""
}

// ExtraArgs returns a copy of services.kubelet.extraArgs; values that are not
// strings are left out (Check reports them).
func (d Document) ExtraArgs() map[string]string {
	args := map[string]string{}
	for k, v := range d.object("services", "kubelet", "extraArgs") {
		if s, ok := v.(string); ok {
			args[k] = s
		}
	}
	return args
}

// ExtraBinds returns a copy of services.kubelet.extraBinds; values that are not
// strings are left out (Check reports them).
func (d Document) ExtraBinds() []string {
	var binds []string
	v, _ := d.at("services", "kubelet", "extraBinds")
	list, _ := v.([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			binds = append(binds, s)
		}
	}
	return binds
}

func (d Document) at(path ...string) (any, bool) {
	var v any = d.root
	for _, name := range path {
		m, _ := v.(map[string]any)
		var ok bool
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

func (d Document) object(path ...string) map[string]any {
	v, _ := d.at(path...)
	m, _ := v.(map[string]any)
	return m
}

// with returns a document with the value at path replaced. Missing objects on
// the way are made; everything beside the path is shared with d.
func (d Document) with(value any, path ...string) Document {
	return Document{replaceAt(d.root, value, path)}
}

func replaceAt(m map[string]any, value any, path []string) map[string]any {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	if len(path) == 1 {
		out[path[0]] = value
		return out
	}
	child, _ := out[path[0]].(map[string]any)
	out[path[0]] = replaceAt(child, value, path[1:])
	return out
}

// clone copies a JSON value that a Document holds.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, e := range out {
			out[i] = clone(e)
		}
		return out
	}
	return v
}

func checkBounds(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("config is nested more than %d levels deep: %w", maxDepth, ErrTooLarge)
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if err := checkKey(k); err != nil {
				return err
			}
			if err := checkBounds(e, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := checkBounds(e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkKey(k string) error {
	// Every character is at most ten when it is escaped.
	if len(k) > maxKey/10 && len(strconv.QuoteToASCII(k)) > maxKey {
		return fmt.Errorf("config has a key of %d bytes: %w", len(k), ErrTooLarge)
	}
	return nil
}

func copyJSON(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("config is nested more than %d levels deep: %w", maxDepth, ErrTooLarge)
	}
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		return strings.ToValidUTF8(v, "\uFFFD"), nil
	case json.Number:
		return copyNumber(v)
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("config has a number that JSON does not know: %v", v)
		}
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case []any:
		return copyList(v, depth)
	case []string:
		return copyList(v, depth)
	case map[string]any:
		return copyObject(v, depth)
	case map[string]string:
		return copyObject(v, depth)
	}
	return nil, fmt.Errorf("config has a Go value of type %T, which is not a JSON value", v)
}

func copyNumber(n json.Number) (any, error) {
	if first := strings.TrimPrefix(string(n), "-"); first == "" || first[0] < '0' || first[0] > '9' || !json.Valid([]byte(n)) {
		return nil, fmt.Errorf("config has a json.Number that is not a number: %.20q", string(n))
	}
	return n, nil
}

func copyList[E any](list []E, depth int) (any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		c, err := copyJSON(e, depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func copyObject[E any](m map[string]E, depth int) (any, error) {
	out := make(map[string]any, len(m))
	for k, e := range m {
		if err := checkKey(k); err != nil {
			return nil, err
		}
		c, err := copyJSON(e, depth+1)
		if err != nil {
			return nil, err
		}
		out[strings.ToValidUTF8(k, "\uFFFD")] = c
	}
	return out, nil
}

// jsonType names a value's type the way a person would.
func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("%T", v)
}
