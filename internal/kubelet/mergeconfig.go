package kubelet

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v2"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// ErrNotMergeable is wrapped when a provider cannot be added to a config without
// a risk for what is there already.
var ErrNotMergeable = errors.New("the provider cannot be merged into this config")

// ErrEntryDiffers is wrapped, beside ErrNotMergeable, when the config has an entry
// of the provider's name that says something else.
var ErrEntryDiffers = errors.New("its entry is there already and differs")

// Merge is how a config gets one provider more.
type Merge struct {
	Config []byte // the whole result
	Edit   Edit   // how it comes out of the old one; zero when that stays as it is
}

// Edit puts Text into line Line of a file, counted from 1: after all of the line,
// less Tail, with which it must end. Drop lines after it go. Text begins and ends
// so that line ends stay whole. Everything else keeps its bytes, so an edit that
// was made for a copy with masked values holds for the file itself.
type Edit struct {
	Line, Drop int
	Tail, Text string
}

// IsZero says that there is nothing to do.
func (e Edit) IsZero() bool { return e == Edit{} }

// MergeConfig adds the provider of r, which speaks api, to the end of the list of
// providers in config, whose other entries keep their bytes and their order. An
// equal entry makes it give config back; one that differs is replaced at its place
// if replace says so. Values that were masked by the probe of package nodes count as equal.
//
// It fails with ErrNotMergeable for what no kubelet reads, for keys or names that
// come twice, and for configs that are written in a way in which the place of the
// new entry cannot be found for certain. Whether a kubelet of some version starts
// with the result is Start's to say.
func MergeConfig(config []byte, r Registry, api API, replace bool) (Merge, error) {
	doc, err := readMergeable(config)
	if err != nil {
		return Merge{}, err
	}
	ours, err := ourEntry(r, api)
	if err != nil {
		return Merge{}, err
	}
	at := slices.IndexFunc(doc.entries, func(e entry) bool { return e.name == r.Provider })
	if at >= 0 && sameEntry(doc.entries[at], ours) {
		return Merge{Config: config}, nil
	}
	if other := slices.IndexFunc(doc.entries, func(e entry) bool { return isOf(e, r.Kind) }); at < 0 && other >= 0 {
		return Merge{}, fmt.Errorf("%w: %s in it is for the same registries", ErrNotMergeable, shown(doc.entries[other].name))
	}
	if at >= 0 && !replace {
		return Merge{}, fmt.Errorf("%w: %s: %w", ErrNotMergeable, r.Provider, ErrEntryDiffers)
	}
	var edit Edit
	var found bool
	if utilyaml.IsJSONBuffer(bytes.TrimPrefix(config, byteOrderMark)) {
		edit, found = jsonEdit(config, r, api, at)
	} else {
		edit, found = yamlEdit(config, r, api, at)
	}
	if !found {
		return Merge{}, fmt.Errorf("%w: it is not written in the plain way, one key or list item to a line", ErrNotMergeable)
	}
	merged, err := edit.Apply(config)
	if err != nil {
		return Merge{}, err
	}
	if err := proveMerge(config, merged, at, ours); err != nil {
		return Merge{}, err
	}
	return Merge{Config: merged, Edit: edit}, nil
}

// readMergeable decodes a config and refuses what is not safe to touch.
func readMergeable(config []byte) (document, error) {
	if bytes.ContainsRune(config, 0) {
		return document{}, fmt.Errorf("%w: it holds zero bytes", ErrNotMergeable)
	}
	doc, err := lenient.decode(config)
	if err != nil {
		return doc, fmt.Errorf("%w: no kubelet reads it: %s", ErrNotMergeable, reason(err))
	}
	if len(doc.entries) == 0 {
		return doc, fmt.Errorf("%w: it has no providers, and no kubelet starts with it", ErrNotMergeable)
	}
	if _, err := strictest.decode(config); err != nil && comesTwice.MatchString(err.Error()) {
		return doc, fmt.Errorf("%w: keys come twice in it: %s", ErrNotMergeable, reason(err))
	}
	names := map[string]bool{}
	for _, e := range doc.entries {
		if names[e.name] {
			return doc, fmt.Errorf("%w: it names the provider %s twice", ErrNotMergeable, shown(e.name))
		}
		names[e.name] = true
	}
	return doc, nil
}

// comesTwice finds what strict decoding says of keys that come twice, in YAML and
// in JSON.
var comesTwice = regexp.MustCompile(`already set in map|duplicate field`)

// ourEntry is r's entry as a kubelet reads it.
func ourEntry(r Registry, api API) (entry, error) {
	config, err := BuildConfig(r, newest, api)
	if err != nil {
		return entry{}, err
	}
	doc, err := lenient.decode(config)
	if err != nil {
		return entry{}, err
	}
	return doc.entries[0], nil
}

// masked is what the probe of package nodes makes of an argument that it does not
// know to be harmless.
const masked = "x"

// sameEntry says that a config's entry is as it would be written. The order of
// patterns and environment variables of its own do not matter.
func sameEntry(has, want entry) bool {
	return has.name == want.name && has.apiVersion == want.apiVersion && has.cacheDuration != nil && *has.cacheDuration == *want.cacheDuration &&
		slices.Equal(slices.Sorted(slices.Values(has.matchImages)), slices.Sorted(slices.Values(want.matchImages))) &&
		slices.EqualFunc(has.args, want.args, func(a, b string) bool { return a == b || a == masked })
}

// Apply makes the edit. It fails when config has no such line.
func (e Edit) Apply(config []byte) ([]byte, error) {
	if e.IsZero() {
		return config, nil
	}
	lines := bytes.SplitAfter(config, []byte("\n"))
	if e.Line < 1 || e.Line+e.Drop > len(lines) {
		return nil, fmt.Errorf("the config has no line %d", e.Line+e.Drop)
	}
	line, end := lines[e.Line-1], ""
	if l, ok := bytes.CutSuffix(line, []byte("\n")); ok {
		line, end = l, "\n"
	}
	head, ok := bytes.CutSuffix(line, []byte(e.Tail))
	if !ok {
		return nil, fmt.Errorf("line %d of the config does not end as it should", e.Line)
	}
	return slices.Concat(bytes.Join(lines[:e.Line-1], nil), head, []byte(e.Text+e.Tail+end), bytes.Join(lines[e.Line+e.Drop:], nil)), nil
}

// yamlEdit finds the place for r's entry in block style YAML: behind the last line
// of the providers list, or that of the entry at index at, if that is not negative.
func yamlEdit(config []byte, r Registry, api API, at int) (Edit, bool) {
	lines := strings.Split(string(config), "\n")
	top := slices.IndexFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "providers:") && isBlank(strings.TrimPrefix(l, "providers:"))
	})
	if top < 0 {
		return Edit{}, false
	}
	// starts are the lines of the list's items, last is its last line.
	indent, starts, last := -1, []int{}, top
	for i := top + 1; i < len(lines) && !endsList(lines[i], indent); i++ {
		if isBlank(lines[i]) {
			continue
		}
		depth := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
		if indent < 0 {
			indent = depth
		}
		if depth == indent && strings.HasPrefix(strings.TrimRight(lines[i][depth:], "\r")+" ", "- ") {
			starts = append(starts, i)
		}
		last = i
	}
	if len(starts) == 0 {
		return Edit{}, false
	}
	ret := ""
	if strings.HasSuffix(lines[starts[0]], "\r") {
		ret = "\r"
	}
	text := ""
	for _, line := range r.lines(api) {
		text += "\n" + strings.Repeat(" ", indent) + line + ret
	}
	switch {
	case at < 0:
		return Edit{Line: last + 1, Text: text}, true
	case at >= len(starts):
		return Edit{}, false
	}
	end := last
	if at+1 < len(starts) {
		for end = starts[at+1] - 1; isBlank(lines[end]); end-- {
		}
	}
	return Edit{Line: starts[at], Drop: end - starts[at] + 1, Text: text}, true
}

// endsList says that a line cannot be part of the providers list, whose items
// begin at column indent, -1 if none has been seen.
func endsList(line string, indent int) bool {
	switch {
	case isBlank(line):
		return false
	case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "..."):
		return true
	}
	return line[0] != ' ' && (line[0] != '-' || indent > 0)
}

// isBlank says that there is nothing but a comment on a line.
func isBlank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}

// jsonEdit finds the end of the last provider in JSON; an entry that is there is
// not replaced.
func jsonEdit(config []byte, r Registry, api API, at int) (Edit, bool) {
	end := endOfProviders(config)
	if at >= 0 || end < 0 {
		return Edit{}, false
	}
	entry, err := sigsyaml.YAMLToJSON([]byte(strings.Join(r.lines(api), "\n")))
	if err != nil {
		return Edit{}, false
	}
	entry = bytes.TrimSuffix(bytes.TrimPrefix(entry, []byte("[")), []byte("]"))
	tail, _, _ := bytes.Cut(config[end:], []byte("\n"))
	if !plainTail.Match(tail) {
		return Edit{}, false
	}
	return Edit{Line: bytes.Count(config[:end], []byte("\n")) + 1, Tail: string(tail), Text: "," + string(entry)}, true
}

// plainTail is what may stand behind the last provider on its line: an edit is
// shown to people and kept in scripts, so that it must hold nothing of theirs.
var plainTail = regexp.MustCompile(`^[\s\]},]*("(kind|apiVersion)"\s*:\s*"[A-Za-z0-9./]{0,60}"[\s\]},]*)*$`)

// endOfProviders gives where the last item of the list under the top key providers
// ends, -1 when there is none.
func endOfProviders(config []byte) int {
	depth, last, key, inside := 0, -1, "", false
	for i := 0; i < len(config); i++ {
		switch c := config[i]; c {
		case '"':
			start := i + 1
			for i++; i < len(config) && config[i] != '"'; i++ {
				if config[i] == '\\' {
					i++
				}
			}
			if depth == 1 && i < len(config) {
				key = string(config[start:i])
			}
		case '{', '[':
			if depth++; depth == 2 && c == '[' {
				inside = key == "providers"
			}
		case '}', ']':
			depth--
			switch {
			case inside && depth == 2:
				last = i + 1
			case depth == 1:
				inside = false
			}
		}
	}
	return last
}

// proveMerge reads both configs as a kubelet does and makes sure that they differ
// by nothing but the new entry: at index at, or at the end when that is negative.
func proveMerge(before, after []byte, at int, ours entry) error {
	was, err := tree(before)
	if err != nil {
		return err
	}
	is, err := tree(after)
	if err != nil {
		return fmt.Errorf("%w: the result could not be read", ErrNotMergeable)
	}
	had, _ := was["providers"].([]any)
	has, _ := is["providers"].([]any)
	delete(was, "providers")
	delete(is, "providers")
	if at < 0 {
		at = len(had)
		had = append(slices.Clone(had), nil)
	}
	doc, err := lenient.decode(after)
	if err != nil || len(has) != len(had) || len(doc.entries) != len(had) || !sameEntry(doc.entries[at], ours) ||
		!reflect.DeepEqual(was, is) || !reflect.DeepEqual(had[:at], has[:at]) || !reflect.DeepEqual(had[at+1:], has[at+1:]) {
		return fmt.Errorf("%w: it is written in a way in which the place for the new entry cannot be found for certain", ErrNotMergeable)
	}
	return nil
}

// tree is the first document of a config.
func tree(config []byte) (map[string]any, error) {
	out := map[string]any{}
	if json := bytes.TrimPrefix(config, byteOrderMark); utilyaml.IsJSONBuffer(json) {
		if err := utiljson.Unmarshal(json, &out); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrNotMergeable, reason(err))
		}
		return out, nil
	}
	var raw yaml.MapSlice
	if err := yaml.NewDecoder(bytes.NewReader(config)).Decode(&raw); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotMergeable, reason(err))
	}
	for _, item := range raw {
		out[fmt.Sprint(item.Key)] = item.Value
	}
	return out, nil
}
