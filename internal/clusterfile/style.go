package clusterfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// plainText is what reads as the same text in every YAML, between brackets or not.
var plainText = regexp.MustCompile(`^[A-Za-z/_][A-Za-z0-9/_.=+@-]*(:[A-Za-z0-9/_.=+@-]+)*$`)

// yamlWords are read as something else than text by YAML 1.1.
var yamlWords = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

// scalar writes a text in a style, as far as that can hold it.
func (w *writer) scalar(s string, style yaml.Style, inFlow bool) string {
	printable := !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	switch {
	case style&yaml.SingleQuotedStyle != 0 && printable:
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case style&yaml.DoubleQuotedStyle != 0:
	case plainText.MatchString(s) && !slices.Contains(yamlWords, strings.ToLower(s)) && !(inFlow && strings.Contains(s, ":")):
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return `"` + b.String() + `"`
}

// lines writes p, the content of a key at indent.
func (w *writer) lines(p piece, indent int) []string {
	if p.items != nil {
		return w.itemLines(p.items, indent+w.dash, 0)
	}
	return w.pieceLines(p.below, indent+w.step, 0, 0)
}

func (w *writer) itemLines(items []string, indent int, style yaml.Style) []string {
	var lines []string
	for _, item := range items {
		lines = append(lines, strings.Repeat(" ", indent)+"- "+w.scalar(item, style, false))
	}
	return lines
}

func (w *writer) pieceLines(pieces []piece, indent int, keys, values yaml.Style) []string {
	var lines []string
	for _, p := range pieces {
		line := strings.Repeat(" ", indent) + w.scalar(p.key, keys, false) + ":"
		if p.below == nil && p.items == nil {
			lines = append(lines, line+" "+w.scalar(p.value, values, false))
			continue
		}
		lines = append(append(lines, line), w.lines(p, indent)...)
	}
	return lines
}

// flow writes the content of p between brackets. JSON stays JSON.
func (w *writer) flow(p piece, quote yaml.Style) string {
	var texts []string
	if p.items != nil {
		for _, item := range p.items {
			texts = append(texts, w.scalar(item, quote, true))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	for _, below := range p.below {
		texts = append(texts, w.flowPiece(below, quote, quote))
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

func (w *writer) flowPiece(p piece, keys, values yaml.Style) string {
	text := w.scalar(p.key, keys, true) + ": "
	if p.below == nil && p.items == nil {
		return text + w.scalar(p.value, values, true)
	}
	return text + w.flow(p, keys)
}

const quotes = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle

// styleOf gives the quotes that all of the single values have; 0 when they differ
// or have none.
func styleOf(nodes ...*yaml.Node) yaml.Style {
	var style yaml.Style
	first := true
	for _, n := range nodes {
		if n.Kind != yaml.ScalarNode {
			continue
		}
		if !first && style != n.Style&quotes {
			return 0
		}
		style, first = n.Style&quotes, false
	}
	return style
}

// quoteOf gives the quotes that all keys have: in JSON, double ones.
func quoteOf(keys ...*yaml.Node) yaml.Style { return styleOf(keys...) }

func keysOf(m *yaml.Node) []*yaml.Node   { return everyOther(m, 0) }
func valuesOf(m *yaml.Node) []*yaml.Node { return everyOther(m, 1) }

func everyOther(m *yaml.Node, from int) []*yaml.Node {
	var nodes []*yaml.Node
	for i := from; i < len(m.Content); i += 2 {
		nodes = append(nodes, m.Content[i])
	}
	return nodes
}
