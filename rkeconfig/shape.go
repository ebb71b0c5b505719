package rkeconfig

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	rke "github.com/rancher/rke/types"
)

type kind int

const (
	anyKind    kind = iota // rke's types say nothing about it
	objectKind             // named fields
	mapKind                // keys chosen by the user
	listKind
	stringKind
	boolKind
	intKind
	floatKind
	customKind // a type that decodes itself, such as a quantity
)

// shape is what rke's Go types say about one place in the config.
type shape struct {
	kind   kind
	goType reflect.Type
	fields map[string]field // objectKind, by JSON name
	elem   *shape           // mapKind, listKind
	// verbatim objects are free JSON to Rancher ("type=map[json]"): the names in
	// them are Kubernetes' own, and are not translated.
	verbatim bool
	masking  Masking
}

type field struct {
	yamlName  string
	shape     *shape
	omitEmpty bool // an empty value is left out when rke's struct is encoded
}

var (
	unknownShape  = &shape{}
	verbatimShape = &shape{verbatim: true}
)

// configShape is built once, on first use: it walks some thousand fields.
var configShape = sync.OnceValue(func() *shape {
	root := shapeOf(reflect.TypeFor[rke.RancherKubernetesEngineConfig](), false, nil)
	for _, rule := range SecretRules {
		for _, s := range root.match(strings.Split(rule.Path, ".")) {
			s.masking = rule.Masking
		}
	}
	return root
})

// shapeOf builds the tree of one Go type. within holds the types around it, so
// that a type that contains itself ends the walk.
func shapeOf(t reflect.Type, verbatim bool, within []reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &shape{goType: t, verbatim: verbatim}
	if slices.Contains(within, t) {
		return s
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		s.kind = customKind
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		s.kind = objectKind
		s.fields = map[string]field{}
		s.addFields(t, append(within, t))
	case reflect.Map:
		s.kind = mapKind
		s.elem = shapeOf(t.Elem(), verbatim, append(within, t))
	case reflect.Slice:
		s.kind = listKind
		s.elem = shapeOf(t.Elem(), verbatim, append(within, t))
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind = customKind
		}
	case reflect.String:
		s.kind = stringKind
	case reflect.Bool:
		s.kind = boolKind
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind = intKind
	case reflect.Float32, reflect.Float64:
		s.kind = floatKind
	}
	return s
}

func (s *shape) addFields(t reflect.Type, within []reflect.Type) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			s.addFields(f.Type, within)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		norman := f.Tag.Get("norman")
		verbatim := s.verbatim || strings.Contains(norman, "type=map[json]") || strings.Contains(norman, "type=array[json]")
		yamlName, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case s.verbatim:
			yamlName = name
		case yamlName == "":
			yamlName = uiName(name)
		}
		s.fields[name] = field{yamlName, shapeOf(f.Type, verbatim, within), strings.Contains(options, "omitempty")}
	}
}

// child returns the shape under a key, and whether rke knows that key.
func (s *shape) child(key string) (*shape, bool) {
	switch s.kind {
	case mapKind:
		return s.elem, true
	case objectKind:
		if f, ok := s.fields[key]; ok {
			return f.shape, true
		}
		if s.verbatim {
			// Kubernetes' internal types have no JSON names; decoding them
			// ignores case.
			for name, f := range s.fields {
				if strings.EqualFold(name, key) {
					return f.shape, true
				}
			}
		}
	}
	if s.verbatim {
		return verbatimShape, false
	}
	return unknownShape, false
}

func (s *shape) item() *shape {
	if s.kind == listKind {
		return s.elem
	}
	if s.verbatim {
		return verbatimShape
	}
	return unknownShape
}

// match returns the shapes at a path of a SecretRule.
func (s *shape) match(path []string) []*shape {
	if len(path) == 0 {
		return []*shape{s}
	}
	name, isItem := strings.CutSuffix(path[0], "[]")
	name, isValue := strings.CutSuffix(name, "{}")
	var found []*shape
	for n, f := range s.fields {
		next := f.shape
		if name != "*" && name != n || (isItem || isValue) && next.elem == nil {
			continue
		}
		if isItem || isValue {
			next = next.elem
		}
		found = append(found, next.match(path[1:])...)
	}
	return found
}

// isSchemaType reports whether a member is norman's own "type": "/v3/schemas/…",
// which is no part of the config (norman parse/builder/builder.go:65).
func (s *shape) isSchemaType(key string, value any) bool {
	text, ok := value.(string)
	if key != "type" || !ok || s.kind == mapKind {
		return false
	}
	if _, known := s.fields[key]; known {
		return false
	}
	return strings.HasPrefix(text, "/v3/schemas/")
}

// yamlName is what the UI calls a member of an object of this shape.
func (s *shape) yamlName(key string) string {
	if f, ok := s.fields[key]; ok {
		return f.yamlName
	}
	if s.kind == mapKind || s.verbatim {
		return key
	}
	return uiName(key)
}

// uiName is the UI's way from a JSON name to a YAML name
// (ui v2.9.9 driver-rke/component.js:29).
func uiName(name string) string {
	if strings.Contains(name, "-") || strings.HasSuffix(name, "CloudProvider") {
		return name
	}
	var b strings.Builder
	var last rune
	for _, r := range name {
		if unicode.IsUpper(r) && (unicode.IsLower(last) || unicode.IsDigit(last)) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
		last = r
	}
	return b.String()
}
