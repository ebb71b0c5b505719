package rkeconfig

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// step is one part of a path: a field's name, a key chosen by the user, or an
// index in a list.
type step struct {
	name   string
	quoted bool
	pos    int // index when name is "" and not quoted
}

type jsonPath []step

func (p jsonPath) member(s *shape, key string) jsonPath {
	return append(slices.Clip(p), step{name: key, quoted: s.kind == mapKind || !isPlainName(key)})
}

func (p jsonPath) index(i int) jsonPath {
	return append(slices.Clip(p), step{pos: i})
}

// String writes services.kubelet.extraArgs["max-pods"] or …extraBinds[2]. It
// holds no control characters.
func (p jsonPath) String() string {
	var b strings.Builder
	for i, st := range p {
		switch {
		case st.quoted:
			b.WriteString("[" + strconv.Quote(st.name) + "]")
		case st.name == "":
			b.WriteString("[" + strconv.Itoa(st.pos) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(st.name)
		}
	}
	return b.String()
}

// parsePath reads what String wrote.
func parsePath(text string) (jsonPath, bool) {
	var p jsonPath
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, `["`):
			quoted, err := strconv.QuotedPrefix(text[1:])
			if err != nil {
				return nil, false
			}
			name, err := strconv.Unquote(quoted)
			rest, closed := strings.CutPrefix(text[1+len(quoted):], "]")
			if err != nil || !closed {
				return nil, false
			}
			p, text = append(p, step{name: name, quoted: true}), rest
		case text[0] == '[':
			digits, rest, closed := strings.Cut(text[1:], "]")
			i, err := strconv.Atoi(digits)
			if err != nil || !closed || i < 0 {
				return nil, false
			}
			p, text = append(p, step{pos: i}), rest
		default:
			if len(p) > 0 {
				if text[0] != '.' {
					return nil, false
				}
				text = text[1:]
			}
			end := strings.IndexAny(text, ".[")
			if end < 0 {
				end = len(text)
			}
			if !isPlainName(text[:end]) {
				return nil, false
			}
			p, text = append(p, step{name: text[:end]}), text[end:]
		}
	}
	return p, len(p) > 0
}

func comparePaths(a, b jsonPath) int {
	return slices.CompareFunc(a, b, func(x, y step) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.pos, y.pos))
	})
}

func isPlainName(s string) bool {
	for _, r := range s {
		if r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}
