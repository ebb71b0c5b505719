package clusterfile

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// span is where a node stands in the text, in bytes. The library says where nodes
// begin, but not where they end. content is behind the node's anchor and tag.
type span struct{ start, content, end int }

// measure finds the span of every node.
func measure(src string, root *yaml.Node) (map[*yaml.Node]span, error) {
	m := measurer{src: src, spans: map[*yaml.Node]span{}}
	for i := 0; i <= len(src); {
		m.lines = append(m.lines, i)
		next := strings.IndexByte(src[i:], '\n')
		if next < 0 {
			break
		}
		i += next + 1
	}
	_, err := m.node(root, -1, false)
	return m.spans, err
}

type measurer struct {
	src   string
	lines []int // where each line begins
	spans map[*yaml.Node]span
	// The place that was looked up last: many nodes may stand on one long line.
	line, column, offset int
}

func (m *measurer) lost(n *yaml.Node) error {
	return refuse(n.Line, "write it in a plainer way, or change the file by hand", "a value is written in a way that this program does not follow")
}

// at turns the library's line and column, which counts characters, into an offset.
func (m *measurer) at(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line > len(m.lines) || n.Column < 1 {
		return 0, m.lost(n)
	}
	if n.Line != m.line || n.Column < m.column {
		m.line, m.column, m.offset = n.Line, 1, m.lines[n.Line-1]
	}
	for ; m.column < n.Column; m.column++ {
		if m.offset >= len(m.src) {
			return 0, m.lost(n)
		}
		_, size := utf8.DecodeRuneInString(m.src[m.offset:])
		m.offset += size
	}
	return m.offset, nil
}

// node measures n and everything under it. indent is the column, from 0, of the
// block collection around n; inFlow says that brackets are around it.
func (m *measurer) node(n *yaml.Node, indent int, inFlow bool) (int, error) {
	start, err := m.at(n)
	if err != nil {
		return 0, err
	}
	s := span{start: start, content: start}
	isBlock := n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode
	isBlock = isBlock && n.Style&yaml.FlowStyle == 0
	if n.Kind == yaml.ScalarNode || !isBlock && n.Kind != yaml.AliasNode {
		s.content = m.skipProperties(n, start, inFlow)
	}
	switch {
	case n.Kind == yaml.AliasNode:
		s.end = start + 1 + len(n.Value)
	case isBlock:
		s.end, err = m.block(n, start)
	case n.Kind == yaml.ScalarNode:
		s.end, err = m.scalar(n, s.content, indent)
	default:
		s.end, err = m.flow(n, s.content, indent)
	}
	if err != nil {
		return 0, err
	}
	if s.end > len(m.src) || !m.mayEnd(s.end) {
		return 0, m.lost(n)
	}
	m.spans[n] = s
	return s.end, nil
}

func (m *measurer) mayEnd(at int) bool {
	return at == len(m.src) || strings.IndexByte(" \t\r\n,:]}", m.src[at]) >= 0
}

// skipProperties goes over anchors and tags. An empty value ends right behind them.
func (m *measurer) skipProperties(n *yaml.Node, at int, inFlow bool) int {
	stop := " \t\r\n"
	if inFlow {
		stop += ",]}"
	}
	for at < len(m.src) && (m.src[at] == '&' || m.src[at] == '!') {
		length := strings.IndexAny(m.src[at:], stop)
		if length < 0 {
			return len(m.src)
		}
		at += length
		next := m.skipBlank(at)
		if next < len(m.src) && (m.src[next] == '&' || m.src[next] == '!') || !isEmptyScalar(n) {
			at = next
		}
	}
	return at
}

func isEmptyScalar(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// skipBlank goes over white space, line ends and comments.
func (m *measurer) skipBlank(at int) int {
	for at < len(m.src) {
		switch c := m.src[at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			at++
		case c == '#':
			at += len(m.src[at:]) - len(strings.TrimLeftFunc(m.src[at:], func(r rune) bool { return r != '\n' }))
		default:
			return at
		}
	}
	return at
}

func (m *measurer) block(n *yaml.Node, start int) (int, error) {
	if len(n.Content) == 0 {
		return 0, m.lost(n)
	}
	var indent int
	if n.Kind == yaml.MappingNode {
		indent = n.Content[0].Column - 1
	} else {
		dash := start
		for dash < len(m.src) && m.src[dash] != '-' { // an anchor or a tag comes first
			next := m.skipProperties(n, dash, false)
			if next == dash {
				return 0, m.lost(n)
			}
			dash = next
		}
		indent = dash - m.lineStart(dash)
	}
	return m.children(n, indent, false)
}

func (m *measurer) lineStart(at int) int { return strings.LastIndexByte(m.src[:at], '\n') + 1 }

// children measures the nodes in n and returns the end of the last.
func (m *measurer) children(n *yaml.Node, indent int, inFlow bool) (end int, err error) {
	for _, child := range n.Content {
		childEnd, err := m.node(child, indent, inFlow)
		if err != nil {
			return 0, err
		}
		if childEnd < end {
			return 0, m.lost(child)
		}
		end = childEnd
	}
	return end, nil
}

func (m *measurer) flow(n *yaml.Node, content, indent int) (int, error) {
	closing := byte('}')
	if n.Kind == yaml.SequenceNode {
		closing = ']'
	}
	isPair := content >= len(m.src) || m.src[content] != '{' && m.src[content] != '['
	end, err := m.children(n, indent, true)
	if err != nil {
		return 0, err
	}
	if isPair { // key: value in a list, without brackets of its own
		if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
			return 0, m.lost(n)
		}
		return end, nil
	}
	at := max(end, content+1)
	for {
		at = m.skipBlank(at)
		switch {
		case at >= len(m.src):
			return 0, m.lost(n)
		case m.src[at] == closing:
			return at + 1, nil
		case strings.IndexByte(",:?", m.src[at]) < 0:
			return 0, m.lost(n)
		}
		at++
	}
}

func (m *measurer) scalar(n *yaml.Node, at, indent int) (int, error) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := at + 1; i < len(m.src); i++ {
			switch m.src[i] {
			case '\\':
				i++
			case '"':
				return i + 1, nil
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := at + 1; i < len(m.src); i++ {
			if m.src[i] != '\'' {
				continue
			}
			if i+1 == len(m.src) || m.src[i+1] != '\'' {
				return i + 1, nil
			}
			i++
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return m.textBlock(at, indent), nil
	default:
		if end, ok := m.plain(n.Value, at); ok {
			return end, nil
		}
	}
	return 0, m.lost(n)
}

// textBlock finds the end of a | or > block: behind its last line that is
// indented more than what is around it, or, where blank lines at the end count,
// behind those.
func (m *measurer) textBlock(at, indent int) int {
	end := m.lineEnd(at)
	keep := strings.Contains(strings.SplitN(m.src[at:end], "#", 2)[0], "+")
	last := end
	for end < len(m.src) {
		begin := end + 1
		end = m.lineEnd(begin)
		line := strings.TrimRight(m.src[begin:end], "\r")
		text := strings.TrimLeft(line, " ")
		switch {
		case text == "" && keep && begin < len(m.src):
			last = end
		case text == "":
		case len(line)-len(text) <= indent:
			return m.beforeCR(last)
		default:
			last = end
		}
	}
	return m.beforeCR(last)
}

func (m *measurer) beforeCR(at int) int {
	if at > 0 && at < len(m.src) && m.src[at-1] == '\r' {
		return at - 1
	}
	return at
}

// lineEnd is where the line's \n is, or the end of the text.
func (m *measurer) lineEnd(at int) int {
	if at >= len(m.src) {
		return len(m.src)
	}
	if i := strings.IndexByte(m.src[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(m.src)
}

// plain follows a text without quotes, in which any white space may stand for a
// space or a line's end.
func (m *measurer) plain(value string, at int) (int, bool) {
	const white = " \t\r\n"
	for value != "" {
		word := value
		if i := strings.IndexAny(value, white); i >= 0 {
			word = value[:i]
		}
		if !strings.HasPrefix(m.src[at:], word) {
			return 0, false
		}
		at += len(word)
		rest := strings.TrimLeft(value[len(word):], white)
		if rest != "" {
			trimmed := strings.TrimLeft(m.src[at:], white)
			if len(trimmed) == len(m.src[at:]) {
				return 0, false
			}
			at = len(m.src) - len(trimmed)
		}
		value = rest
	}
	return at, true
}
