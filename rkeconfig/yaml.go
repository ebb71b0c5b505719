package rkeconfig

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v2"
)

const topKey = "rancher_kubernetes_engine_config"

// YAML shows a config as the Rancher UI's "Edit as YAML" does: snake_case, under
// rancher_kubernetes_engine_config, keys sorted. Secrets are masked. The text is
// valid YAML that ends with a newline and holds no control characters.
func YAML(d Document) string {
	masked, _ := maskPair(configShape(), maskNothing, "", d.Map(), d.Map())
	return render(masked.(map[string]any))
}

func render(root map[string]any) string {
	w := yamlWriter{}
	w.WriteString(topKey + ":")
	w.value(configShape(), root, 0)
	return w.String()
}

// yamlWriter writes block YAML. yaml.v2 itself folds lines at 80 columns and
// prints characters that turn a terminal's text around, so only its rules for
// reading scalars are used.
type yamlWriter struct{ strings.Builder }

// value writes what follows "key:" or "-", and the line's end. Lines after the
// first are indented more than depth.
func (w *yamlWriter) value(s *shape, v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		members := membersOf(s, v)
		if len(members) == 0 {
			w.WriteString(" {}\n")
			return
		}
		w.WriteByte('\n')
		w.object(members, depth+1, false)
	case []any:
		if len(v) == 0 {
			w.WriteString(" []\n")
			return
		}
		w.WriteByte('\n')
		w.list(s, v, depth+1, false)
	default:
		w.WriteString(" " + scalar(v, depth+1) + "\n")
	}
}

// object writes members at a depth. With inline set the first line's indent is
// there already.
func (w *yamlWriter) object(members []member, depth int, inline bool) {
	for i, m := range members {
		if i > 0 || !inline {
			w.indent(depth)
		}
		w.WriteString(quoteUnlessPlain(m.name) + ":")
		w.value(m.shape, m.value, depth)
	}
}

func (w *yamlWriter) list(s *shape, list []any, depth int, inline bool) {
	for i, e := range list {
		if i > 0 || !inline {
			w.indent(depth)
		}
		w.WriteByte('-')
		members := []member(nil)
		if m, ok := e.(map[string]any); ok {
			members = membersOf(s.item(), m)
		}
		inner, isList := e.([]any)
		switch {
		case len(members) > 0:
			w.WriteByte(' ')
			w.object(members, depth+1, true)
		case isList && len(inner) > 0:
			w.WriteByte(' ')
			w.list(s.item(), inner, depth+1, true)
		default:
			w.value(s.item(), e, depth)
		}
	}
}

func (w *yamlWriter) indent(depth int) {
	for range depth {
		w.WriteString("  ")
	}
}

type member struct {
	name  string
	shape *shape
	value any
}

// membersOf returns an object's members under their YAML names, sorted, each name
// once: a field that Rancher does not know can have the YAML name of one it does.
func membersOf(s *shape, m map[string]any) []member {
	var members []member
	taken := map[string]bool{}
	add := func(key, name string, v any) {
		child, _ := s.child(key)
		taken[name] = true
		members = append(members, member{name, child, v})
	}
	var unknown []string
	for _, key := range unionKeys(m, nil) {
		if s.isSchemaType(key, m[key]) {
			continue
		}
		if _, known := s.fields[key]; known || s.kind == mapKind {
			add(key, s.yamlName(key), m[key])
		} else {
			unknown = append(unknown, key)
		}
	}
	for _, key := range unknown {
		name := s.yamlName(key)
		if taken[name] {
			name = key
		}
		for taken[name] {
			name += " (as sent)"
		}
		add(key, name, m[key])
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return members
}

// scalar writes a single value; a text of several lines becomes a block whose
// lines stand at depth.
func scalar(v any, depth int) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return string(canonical(v))
	case string:
		if block, ok := literal(v, depth); ok {
			return block
		}
		return quoteUnlessPlain(v)
	}
	return quote(fmt.Sprint(v))
}

// literal writes a text of several lines as a | block, where that is exact.
func literal(s string, depth int) (string, bool) {
	body := strings.TrimRight(s, "\n")
	if !strings.Contains(body, "\n") || body[0] == ' ' || body[0] == '\n' {
		return "", false
	}
	chomp := "-"
	if newlines := len(s) - len(body); newlines == 1 {
		chomp = ""
	} else if newlines > 1 {
		return "", false
	}
	var b strings.Builder
	b.WriteString("|" + chomp)
	for line := range strings.SplitSeq(body, "\n") {
		if strings.ContainsFunc(line, isControl) {
			return "", false
		}
		b.WriteByte('\n')
		if line != "" {
			b.WriteString(strings.Repeat("  ", depth) + line)
		}
	}
	return b.String(), true
}

func quoteUnlessPlain(s string) string {
	if isPlain(s) {
		return s
	}
	return quote(s)
}

// yamlWords are texts that YAML 1.1 reads as something else.
var yamlWords = map[string]bool{"true": true, "false": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "null": true}

// isPlain reports whether a text may stand without quotes and be read back as the
// same text.
func isPlain(s string) bool {
	if s == "" || len(s) > maxKey {
		return false
	}
	for i, r := range s {
		letter := r <= unicode.MaxASCII && unicode.IsLetter(r) || r == '_' || r == '/'
		digit := r >= '0' && r <= '9'
		if !letter && !digit && (i == 0 && r != '<' || !strings.ContainsRune(" -.:,=@%+<>()*~;$&?^|", r)) {
			return false
		}
	}
	if yamlWords[strings.ToLower(s)] || strings.HasPrefix(s, "<<") || strings.Contains(s, ": ") || strings.HasSuffix(s, ":") || strings.HasSuffix(s, " ") {
		return false
	}
	if s[0] < '0' || s[0] > '9' {
		return true
	}
	// Numbers, dates and times of day are too many to list.
	var v any
	err := yaml.Unmarshal([]byte(s), &v)
	return err == nil && v == s
}

// printable quotes a text only where a terminal might do more than print it.
func printable(s string) string {
	if strings.ContainsFunc(s, isControl) {
		return quote(s)
	}
	return s
}

// quote writes a text in double quotes; what a terminal might not just print is
// escaped. The result is YAML as well as Go.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
