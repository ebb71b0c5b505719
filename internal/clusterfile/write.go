package clusterfile

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rkepatch/rkeconfig"
)

// edit replaces a part of the text.
type edit struct {
	from, to int
	text     string
}

// apply makes the edits, which do not overlap, and reads the result. Those at one
// place keep their order.
func (f *File) apply(edits []edit) (*File, error) {
	sortEdits(edits)
	var b strings.Builder
	b.WriteString(f.bom)
	at := 0
	for _, e := range edits {
		if e.from < at {
			return nil, refuse(0, "change it by hand", "its kubelet section is written in a way that this program does not edit")
		}
		b.WriteString(f.src[at:e.from] + e.text)
		at = e.to
	}
	b.WriteString(f.src[at:])
	patched, err := Read([]byte(b.String()))
	if err != nil {
		return nil, refuse(0, "change it by hand", "its kubelet section is written in a way that this program does not edit")
	}
	return patched, nil
}

// piece is something to put into the text: a name with a value, with more names
// below it, or with a list.
type piece struct {
	key   string
	value string
	below []piece
	items []string
}

// write puts what want has more than before into the text.
func (f *File) write(before, want rkeconfig.Document) (*File, error) {
	if err := f.checkOwned(); err != nil {
		return nil, err
	}
	w := f.newWriter()
	argsKey, bindsKey := f.spell("extra_args"), f.spell("extra_binds")
	args := piece{key: argsKey}
	have, wanted := before.ExtraArgs(), want.ExtraArgs()
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if old, set := have[name]; !set || old != wanted[name] {
			args.below = append(args.below, piece{key: name, value: wanted[name]})
		}
	}
	binds := piece{key: bindsKey, items: want.ExtraBinds()[len(before.ExtraBinds()):]}
	var sections []piece
	for _, p := range []piece{args, binds} {
		if len(p.below)+len(p.items) > 0 {
			sections = append(sections, p)
		}
	}
	if err := w.set(nil, f.config, []piece{{key: "services", below: []piece{{key: "kubelet", below: sections}}}}); err != nil {
		return nil, err
	}
	return f.apply(w.edits)
}

// checkOwned refuses to edit what an anchor or a merge key shares with another
// part of the file.
func (f *File) checkOwned() error {
	const advice = "write the kubelet section out where it belongs, or change it by hand"
	n := f.root
	var m *yaml.Node
	for _, name := range slices.Concat(f.path, []string{"services", "kubelet", ""}) {
		if n.Kind == yaml.AliasNode {
			return refuse(n.Line, advice, "the kubelet section is, or lies in, what the alias *%s stands for: a change would change every place that uses it", clean(n.Value))
		}
		if line, shared := f.aliased[n]; shared {
			return refuse(n.Line, advice, "the kubelet section is, or lies in, what has an anchor and is used again on line %d: a change would change both", line)
		}
		if name == "" {
			break
		}
		m, n = n, member(n, name)
		if n == nil {
			return f.checkMerge(m, advice)
		}
	}
	kubelet := n
	for _, name := range []string{"extra_args", "extra_binds"} {
		v := member(kubelet, f.spell(name))
		if v == nil {
			if err := f.checkMerge(kubelet, advice); err != nil {
				return err
			}
			continue
		}
		if v.Kind == yaml.AliasNode {
			return refuse(v.Line, advice, "%s is what the alias *%s stands for: a change would change every place that uses it", f.spell(name), clean(v.Value))
		}
		if line, shared := f.aliased[v]; shared {
			return refuse(v.Line, advice, "%s has an anchor and is used again on line %d: a change would change both", f.spell(name), line)
		}
	}
	return nil
}

// checkMerge refuses a mapping that gets its members from somewhere else.
func (f *File) checkMerge(m *yaml.Node, advice string) error {
	if k, _ := entry(m, "<<"); k != nil {
		return refuse(k.Line, advice, "a part of the kubelet section may come from what << merges in here")
	}
	return nil
}

// clean keeps a name of the file printable.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 60)])
}

// writer collects edits.
type writer struct {
	*File
	edits      []edit
	step, dash int // indent of a map, and of a list's dashes, below its key
	eol        string
}

func (f *File) newWriter() *writer {
	w := &writer{File: f, step: 2, dash: -1, eol: "\n"}
	if i := strings.IndexByte(f.src, '\n'); i > 0 && f.src[i-1] == '\r' {
		w.eol = "\r\n"
	}
	// What lies nearest to the kubelet section decides.
	all := member(f.config, "services")
	stepFound := false
	for _, n := range []*yaml.Node{member(all, "kubelet"), all, f.config, f.root} {
		if n != nil {
			w.learn(n, 0, &stepFound)
		}
	}
	if w.dash < 0 {
		w.dash = w.step
	}
	return w
}

func isBlock(n *yaml.Node) bool {
	return (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0
}

// learn finds how the file indents.
func (w *writer) learn(n *yaml.Node, depth int, stepFound *bool) {
	if !isBlock(n) || *stepFound && w.dash >= 0 {
		return
	}
	for i, v := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && isBlock(v) {
			by := v.Content[0].Column - n.Content[i-1].Column
			switch {
			case v.Kind == yaml.MappingNode && by > 0 && !*stepFound:
				w.step, *stepFound = by, true
			case v.Kind == yaml.SequenceNode && w.dash < 0 && v.Anchor == "" && v.Column >= n.Content[i-1].Column:
				w.dash = v.Column - n.Content[i-1].Column
			}
		}
		w.learn(v, depth+1, stepFound)
	}
}

// set brings pieces into v, the value of key; key is nil at the root.
func (w *writer) set(key, v *yaml.Node, pieces []piece) error {
	if isNull(v) || len(v.Content) == 0 && v.Kind != yaml.ScalarNode {
		return w.fill(key, v, piece{below: pieces})
	}
	if v.Kind != yaml.MappingNode {
		return refuse(v.Line, "make it a map of names and values", "a map belongs here")
	}
	var missing []piece
	for _, p := range pieces {
		k, old := entry(v, p.key)
		var err error
		switch {
		case k == nil:
			missing = append(missing, p)
		case p.below != nil:
			err = w.set(k, old, p.below)
		case p.items != nil && (isNull(old) || len(old.Content) == 0):
			err = w.fill(k, old, p)
		case p.items != nil:
			err = w.add(old, p)
		default:
			err = w.replace(v, old, p.value)
		}
		if err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return w.add(v, piece{below: missing})
}

// replace writes another value in the place of a single one.
func (w *writer) replace(m, v *yaml.Node, value string) error {
	if line, shared := w.aliased[v]; shared {
		return refuse(v.Line, "change it by hand", "the value to be replaced has an anchor and is used again on line %d", line)
	}
	s := w.spans[v]
	text := w.scalar(value, styleOf(v), m.Style&yaml.FlowStyle != 0)
	if s.content == s.end {
		text = " " + text
	}
	w.edits = append(w.edits, edit{s.content, s.end, text})
	return nil
}

// fill gives content to a key that has none: nothing, null, {} or [].
func (w *writer) fill(key, v *yaml.Node, p piece) error {
	s := w.spans[v]
	if key == nil || s.start != s.content || v.Tag == "!!null" && v.Style&yaml.TaggedStyle != 0 {
		return refuse(v.Line, "give it a first entry by hand", "what has an anchor or a tag is empty")
	}
	colon := w.spans[key].end
	for colon < len(w.src) && (w.src[colon] == ' ' || w.src[colon] == '\t') {
		colon++
	}
	if colon >= len(w.src) || w.src[colon] != ':' {
		return refuse(key.Line, "write it as name: value", "a key is written in an unusual way")
	}
	onKeyLine := !strings.Contains(w.src[colon:s.end], "\n")
	if w.inFlow(key) || !onKeyLine {
		text := w.flow(p, quoteOf(key))
		if s.start == colon+1 {
			text = " " + text
		}
		w.edits = append(w.edits, edit{s.start, s.end, text})
		return nil
	}
	w.edits = append(w.edits, edit{colon + 1, s.end, ""})
	w.insertLines(s.end, w.lines(p, key.Column-1))
	return nil
}

// inFlow reports whether key stands in a map with brackets.
func (w *writer) inFlow(key *yaml.Node) bool {
	for m := range w.spans {
		if m.Kind == yaml.MappingNode && m.Style&yaml.FlowStyle != 0 {
			for i := 0; i < len(m.Content); i += 2 {
				if m.Content[i] == key {
					return true
				}
			}
		}
	}
	return false
}

// add puts p behind the last member of a map or list.
func (w *writer) add(v *yaml.Node, p piece) error {
	if v.Style&yaml.FlowStyle != 0 {
		return w.addFlow(v, p)
	}
	first := w.spans[v.Content[0]].start
	if v.Kind == yaml.SequenceNode {
		first = strings.LastIndexByte(w.src[:first], '-')
	}
	begin := strings.LastIndexByte(w.src[:max(first, 0)], '\n') + 1
	if first < 0 || strings.Trim(w.src[begin:first], " ") != "" {
		return refuse(v.Line, "write each name on a line of its own", "a map or list begins behind something else on its line")
	}
	last := w.spans[v].end
	indent := first - begin
	var lines []string
	if v.Kind == yaml.SequenceNode {
		lines = w.itemLines(p.items, indent, styleOf(v.Content...))
	} else {
		lines = w.pieceLines(p.below, indent, quoteOf(keysOf(v)...), styleOf(valuesOf(v)...))
	}
	w.insertLines(last, lines)
	return nil
}

// insertLines puts lines behind the line in which at lies. A missing end of the
// last line stays missing.
func (w *writer) insertLines(at int, lines []string) {
	eol := w.eol
	end := strings.IndexByte(w.src[at:], '\n')
	switch {
	case end < 0:
		at = len(w.src)
	default:
		at += end
		eol = "\n"
		if at > 0 && w.src[at-1] == '\r' {
			at--
			eol = "\r\n"
		}
	}
	w.edits = append(w.edits, edit{at, at, eol + strings.Join(lines, eol)})
}

// addFlow puts p behind the last member between brackets: on lines of their own
// where the members stand so, else behind it.
func (w *writer) addFlow(v *yaml.Node, p piece) error {
	lastKey := v.Content[len(v.Content)-1]
	end := w.spans[lastKey].end
	var texts []string
	if v.Kind == yaml.SequenceNode {
		for _, item := range p.items {
			texts = append(texts, w.scalar(item, styleOf(v.Content...), true))
		}
	} else {
		lastKey = v.Content[len(v.Content)-2]
		keys, values := quoteOf(keysOf(v)...), styleOf(valuesOf(v)...)
		for _, below := range p.below {
			texts = append(texts, w.flowPiece(below, keys, values))
		}
	}
	start := w.spans[lastKey].start
	begin := strings.LastIndexByte(w.src[:start], '\n') + 1
	indent := w.src[begin:start]
	rest, _, more := strings.Cut(w.src[end:], "\n")
	afterComma, hasComma := strings.CutPrefix(strings.TrimLeft(rest, " \t"), ",")
	afterComma = strings.TrimSpace(afterComma)
	if strings.Trim(indent, " ") != "" || !more || begin == 0 || afterComma != "" && afterComma[0] != '#' {
		w.edits = append(w.edits, edit{end, end, ", " + strings.Join(texts, ", ")})
		return nil
	}
	for i, text := range texts {
		if texts[i] = indent + text; hasComma || i < len(texts)-1 {
			texts[i] += ","
		}
	}
	if !hasComma {
		w.edits = append(w.edits, edit{end, end, ","})
	}
	w.insertLines(end, texts)
	return nil
}
