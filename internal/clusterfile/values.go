package clusterfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gopkg.in/yaml.v2"

	"rkepatch/rkeconfig"
)

// raw is a place in the text, decoded when it is known what it should be.
type raw struct{ decode func(any) error }

// UnmarshalYAML keeps the place for later.
func (r *raw) UnmarshalYAML(decode func(any) error) error {
	r.decode = decode
	return nil
}

// fields are what Merge and the findings look at, with the types that rke reads them into
// (rke v1.8.1 types/rke_types.go): a number where it wants a text is one to it.
var fields = []struct {
	path   []string // snake_case
	decode func(raw) (any, error)
}{
	{[]string{"kubernetes_version"}, as[string]},
	{[]string{"prefix_path"}, as[string]},
	{[]string{"services", "kubelet", "extra_args"}, as[map[string]string]},
	{[]string{"services", "kubelet", "extra_args_array"}, as[map[string][]string]},
	{[]string{"services", "kubelet", "extra_binds"}, as[[]string]},
	{[]string{"services", "kubelet", "win_extra_args"}, as[map[string]string]},
	{[]string{"services", "kubelet", "win_extra_args_array"}, as[map[string][]string]},
	{[]string{"services", "kubelet", "win_extra_binds"}, as[[]string]},
	{[]string{"cloud_provider", "name"}, as[string]},
	{[]string{"cloud_provider", "awsCloudProvider"}, isThere},
	{[]string{"private_registries"}, ecrKeys},
}

// as decodes into T; what does not fit is taken as it is, for Merge to judge.
func as[T any](r raw) (any, error) {
	if r.decode == nil {
		return nil, nil
	}
	var v T
	if r.decode(&v) == nil {
		return v, nil
	}
	var other any
	if err := r.decode(&other); err != nil {
		return nil, err
	}
	return jsonValue(other), nil
}

// isThere says of a map that it is there: what it holds may be secret.
func isThere(r raw) (any, error) {
	var members map[string]any
	if r.decode == nil || r.decode(&members) != nil || members == nil {
		return nil, nil
	}
	return map[string]any{}, nil
}

// ecrKeys says of each registry whether it holds static ECR keys, and not which.
func ecrKeys(r raw) (any, error) {
	var registries []map[string]any
	if r.decode == nil || r.decode(&registries) != nil {
		return nil, nil
	}
	out := []any{}
	for _, registry := range registries {
		shown := map[string]any{}
		for _, spelling := range [][2]string{{"ecr_credential_plugin", "aws_access_key_id"}, {"ecrCredentialPlugin", "awsAccessKeyId"}} {
			if plugin, ok := jsonValue(registry[spelling[0]]).(map[string]any); ok && plugin[spelling[1]] != nil {
				shown["ecrCredentialPlugin"] = map[string]any{"awsAccessKeyId": rkeconfig.Redacted}
			}
		}
		out = append(out, shown)
	}
	return out, nil
}

// document reads with rke's own YAML library what fields are looked at.
func (f *File) document() (rkeconfig.Document, error) {
	config := map[string]any{}
	for _, field := range fields {
		r, found, err := f.lookup(field.path)
		if err != nil {
			return rkeconfig.Document{}, err
		}
		if !found {
			continue
		}
		v, err := field.decode(r)
		if err != nil {
			return rkeconfig.Document{}, f.unreadable()
		}
		if v != nil {
			put(config, field.path, normal(v))
		}
	}
	doc, err := rkeconfig.NewDocument(config)
	if err != nil {
		return rkeconfig.Document{}, f.unreadable()
	}
	return doc, nil
}

func (f *File) unreadable() error {
	return refuse(0, "check what stands in its kubelet section", "rke's YAML library does not read it")
}

// lookup goes down to a path of the config.
func (f *File) lookup(path []string) (r raw, found bool, err error) {
	if f.values.decode == nil {
		if err := yaml.Unmarshal([]byte(f.src), &f.values); err != nil {
			return raw{}, false, f.unreadable()
		}
	}
	r = f.values
	steps := slices.Clone(f.path)
	for _, name := range path {
		steps = append(steps, f.spell(name))
	}
	for _, name := range steps {
		if r.decode == nil {
			return raw{}, false, nil
		}
		var members map[string]raw
		// yaml.v2 can not hand a quoted "~" or "null" to a raw; the other members
		// are there all the same.
		var wrongType *yaml.TypeError
		if err := r.decode(&members); err != nil && (members == nil || !errors.As(err, &wrongType)) {
			return raw{}, false, refuse(0, "make it a map of names and values", "what %s stands in is no map", name)
		}
		if r, found = members[name]; !found {
			return raw{}, false, nil
		}
	}
	return r, true, nil
}

func put(m map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		next, ok := m[camel(name)].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[camel(name)] = next
		}
		m = next
	}
	m[camel(path[len(path)-1])] = v
}

// normal turns typed maps and lists into JSON values.
func normal(v any) any {
	switch v := v.(type) {
	case map[string][]string:
		m := map[string]any{}
		for k, list := range v {
			m[k] = list
		}
		return m
	case map[string]string, []string:
		if reflect.ValueOf(v).IsNil() {
			return nil
		}
	}
	return v
}

// jsonValue turns what yaml.v2 decodes into JSON values.
func jsonValue(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = jsonValue(e)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = jsonValue(e)
		}
		return list
	case nil, bool, string, int, int64, float64:
		return v
	}
	return fmt.Sprint(v)
}

// verify reads the patched text again: its kubelet section must say what Merge
// said, and everything else what it said before.
func (f *File) verify(patched *File, want rkeconfig.Document) error {
	got, err := patched.document()
	if err != nil {
		return err
	}
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	before, errBefore := f.rest()
	after, errAfter := patched.rest()
	if errA != nil || errB != nil || errBefore != nil || errAfter != nil || !bytes.Equal(a, b) || !reflect.DeepEqual(before, after) {
		return refuse(0, "write the kubelet section in a plainer way, or change it by hand", "its kubelet section is written in a way that can not be changed without changing something else")
	}
	return nil
}

// rest is the whole file without the fields that a patch changes.
func (f *File) rest() (any, error) {
	var all any
	if err := yaml.Unmarshal([]byte(f.src), &all); err != nil {
		return nil, err
	}
	return without(all, slices.Concat(f.path, []string{"services", "kubelet"}), []string{f.spell("extra_args"), f.spell("extra_binds")}), nil
}

// without drops names from the map at path, and maps on the way that are empty
// then: they count as not there.
func without(v any, path, drop []string) any {
	m, ok := v.(map[any]any)
	if !ok {
		return v
	}
	if len(path) == 0 {
		for _, name := range drop {
			delete(m, name)
		}
	} else {
		for key, child := range m {
			if fmt.Sprint(key) != path[0] { // a cluster may be called 123
				continue
			}
			if child = without(child, path[1:], drop); child == nil {
				delete(m, key)
			} else {
				m[key] = child
			}
		}
	}
	if len(m) == 0 {
		return nil
	}
	return m
}
