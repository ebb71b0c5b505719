package newnodes

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rkepatch/internal/nodescript"
)

// cloud is a cloud-config: its text in lines, and what they mean.
type cloud struct {
	lines []string // without line ends
	root  *yaml.Node
	value map[string]any
}

var lineNumber = regexp.MustCompile(`line [0-9]+`)

// readCloud reads a cloud-config. What cloud-init would read in another way than
// this program, or not at all, is refused.
func readCloud(text string) (*cloud, error) {
	malformed := func(err error) error {
		where := "it"
		if at := lineNumber.FindString(err.Error()); at != "" {
			where = at + " of it"
		}
		return refuse(elseImage, "it is a malformed cloud-config: %s is no YAML, or a key comes twice", where)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(text))
	err := dec.Decode(&doc)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, malformed(err)
	}
	if err == nil && !errors.Is(dec.Decode(new(yaml.Node)), io.EOF) {
		return nil, refuse(elseImage, "it is a cloud-config of several documents")
	}
	c := &cloud{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), root: &yaml.Node{Kind: yaml.MappingNode}, value: map[string]any{}}
	if n := len(c.lines); c.lines[n-1] == "" {
		c.lines = c.lines[:n-1]
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return c, nil
	}
	c.root = doc.Content[0]
	if c.root.Kind != yaml.MappingNode || c.root.Style&yaml.FlowStyle != 0 {
		return nil, refuse("write it with one key in a line", "it is a cloud-config that is not made of lines with a key each")
	}
	if err := doc.Decode(&c.value); err != nil { // also refuses keys that come twice
		return nil, malformed(err)
	}
	return c, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// member gives where a key of the top level stands, -1 when it does not.
func (c *cloud) member(key string) int {
	for i := 0; i < len(c.root.Content); i += 2 {
		if c.root.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// block is a range of lines: from is its first, to the one behind it.
type block struct{ from, to int }

// entry gives the lines of the top-level entry at i, without blank lines and
// comments at its end that stand as far left as indent.
func (c *cloud) entry(i, indent int) block {
	b := block{c.root.Content[i].Line - 1, len(c.lines)}
	if i+2 < len(c.root.Content) {
		b.to = c.root.Content[i+2].Line - 1
	}
	return c.trim(b, indent)
}

func (c *cloud) trim(b block, indent int) block {
	for b.to > b.from+1 {
		line := c.lines[b.to-1]
		text := strings.TrimLeft(line, " ")
		if text != "" && (text[0] != '#' || len(line)-len(text) > indent) {
			break
		}
		b.to--
	}
	return b
}

// items gives the lines of each item of the list under the entry at i, and how
// far its dashes are indented. ok is false for a list in brackets.
func (c *cloud) items(i int) (items []block, indent int, ok bool) {
	list := c.root.Content[i+1]
	if list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 {
		return nil, 0, false
	}
	first := c.lines[list.Content[0].Line-1]
	indent = len(first) - len(strings.TrimLeft(first, " "))
	end := c.entry(i, indent).to
	for n, item := range list.Content {
		b := block{item.Line - 1, end}
		if n+1 < len(list.Content) {
			b.to = list.Content[n+1].Line - 1
		}
		if !strings.HasPrefix(strings.TrimLeft(c.lines[b.from], " "), "-") {
			return nil, 0, false // the item has a comment or a tag of its own in a line ahead
		}
		items = append(items, c.trim(b, indent))
	}
	return items, indent, true
}

// splice is lines to be put in the place of others.
type splice struct {
	block
	lines []string
}

// mergeCloud merges the cloud-config file into another. Rancher has cut the last
// newline off a text that it stored, which is part of a value where one ends there.
func mergeCloud(text, file string) (string, error) {
	have, err := readCloud(strings.TrimRight(text, "\r\n") + "\n")
	if err != nil {
		return "", err
	}
	add, err := readCloud(file)
	if err != nil {
		return "", inFile(err)
	}
	want := map[string]any{}
	for key, value := range have.value {
		want[key] = value
	}
	var edits, entries []splice
	end := block{len(have.lines), len(have.lines)}
	for i := 0; i < len(add.root.Content); i += 2 {
		key := add.root.Content[i].Value
		at := have.member(key)
		switch {
		case at < 0:
			b := add.entry(i, 0)
			entries = append(entries, splice{end, add.lines[b.from:b.to]})
			want[key] = add.value[key]
		case reflect.DeepEqual(have.value[key], add.value[key]):
		default:
			more, list, err := have.extend(at, add, i)
			if err != nil {
				return "", err
			}
			edits, want[key] = append(edits, more...), list
		}
	}
	// New keys go behind new items of the last list.
	if edits = append(edits, entries...); len(edits) == 0 {
		return text, nil
	}
	out := have.apply(edits, strings.Contains(text, "\r\n"))
	// Whatever the lines look like: it must mean what both mean.
	after, err := readCloud(out)
	if err != nil || !reflect.DeepEqual(after.value, want) {
		return "", refuse("merge it by hand, or give the script as one: rkepatch nodes script --user-data script", "it is written in a way in which it cannot be merged safely")
	}
	return out, nil
}

// extend adds the items of a list in add to the same list of c. It gives the
// edits, and the list that is to come out.
func (c *cloud) extend(at int, add *cloud, i int) ([]splice, []any, error) {
	key := c.root.Content[at].Value
	list, isList := c.value[key].([]any)
	more, areLists := add.value[key].([]any)
	if !isList || !areLists {
		return nil, nil, refuse("leave it out of the file, or give it the same value", "both it and the file set %q", clean(key))
	}
	mine, indent, ok := c.items(at)
	theirs, indented, okToo := add.items(i)
	if !ok || !okToo {
		return nil, nil, refuse("write it as a list with one item in a line, each behind a dash", "its list %q is not one with an item in a line each", clean(key))
	}
	list = slices.Clone(list)
	var edits []splice
	end := mine[len(mine)-1].to
	for n, item := range more {
		text := shift(add.lines[theirs[n].from:theirs[n].to], indent-indented)
		if slices.ContainsFunc(list, func(have any) bool { return reflect.DeepEqual(have, item) }) {
			continue
		}
		same := slices.IndexFunc(list, func(have any) bool { return key == "write_files" && pathOf(have) != "" && pathOf(have) == pathOf(item) })
		switch {
		case same < 0:
			edits = append(edits, splice{block{end, end}, text})
			list = append(list, item)
		case same < len(mine) && holdsScript(list[same]) && holdsScript(item):
			edits = append(edits, splice{mine[same], text})
			list[same] = item
		default:
			return nil, nil, refuse("give one of them another path", "both it and the file write %s", clean(pathOf(item)))
		}
	}
	return edits, list, nil
}

// shift indents lines by so many spaces more, or less.
func shift(lines []string, by int) []string {
	out := slices.Clone(lines)
	for i, line := range out {
		switch {
		case line == "":
		case by >= 0:
			out[i] = strings.Repeat(" ", by) + line
		default:
			out[i] = line[min(-by, len(line)-len(strings.TrimLeft(line, " "))):]
		}
	}
	return out
}

// apply makes the edits, which do not overlap, from the last to the first. Those at
// one place keep their order.
func (c *cloud) apply(edits []splice, crlf bool) string {
	slices.SortStableFunc(edits, func(a, b splice) int { return a.from - b.from })
	lines, at := []string{}, 0
	for _, e := range edits {
		lines = append(append(lines, c.lines[at:e.from]...), e.lines...)
		at = e.to
	}
	lines = append(lines, c.lines[at:]...)
	sep := "\n"
	if crlf {
		sep = "\r\n"
	}
	return strings.Join(lines, sep) + sep
}

func pathOf(item any) string {
	m, _ := item.(map[string]any)
	path, _ := m["path"].(string)
	return path
}

// holdsScript reports whether an item of write_files is our script.
func holdsScript(item any) bool {
	_, ok := scriptIn(item)
	return ok
}

// scriptIn reads our script out of an item of write_files.
func scriptIn(item any) (nodescript.Facts, bool) {
	m, _ := item.(map[string]any)
	content, _ := m["content"].(string)
	encoding, _ := m["encoding"].(string)
	data := []byte(content)
	switch encoding {
	case "gz+b64", "gz+base64", "gzip+b64", "gzip+base64":
		var ok bool
		if data, ok = nodescript.Decode(content); !ok {
			return nodescript.Facts{}, false
		}
	case "", "text/plain":
	default:
		return nodescript.Facts{}, false
	}
	return nodescript.Read(bytes.TrimSpace(nodescript.Unpack(data)))
}
