package report

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		"prod-eu":                          "prod-eu",
		"Zürich 東京 – “ok” 🚀":               "Zürich 東京 – “ok” 🚀",
		`back\slash "quoted" it's`:         `back\slash "quoted" it's`,
		"\x1b[2J\x1b]0;title\a":            `\x1b[2J\x1b]0;title\a`,
		"a\tb\r\nc\x00\x7f":                `a\tb\r\nc\x00\x7f`,
		"csi \u009b31m":                    `csi \u009b31m`,
		"right \u202eto left\u2066 \u200f": `right \u202eto left\u2066 \u200f`,
		"zero\u200bwidth\ufeff":            `zero\u200bwidth\ufeff`,
		"line\u2028 paragraph\u2029":       `line\u2028 paragraph\u2029`,
		"no-break\u00a0space":              `no-break\u00a0space`,
		"tag \U000e0041":                   `tag \U000e0041`,
		"raw \x9b31m \xff":                 "raw \ufffd31m \ufffd",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanLines("one\ntwo\r\n\x1b[31m"); got != "one\ntwo\\r\n\\x1b[31m" {
		t.Errorf("CleanLines: %q", got)
	}
}

// Whatever is cleaned is printable, and what was printable is as before.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"prod-eu", "\x1b[2J", "a\nb\r", "\u202e\u2066\u200f", "\x9b31m\xff\xc3", "'\\'", "\u00a0\u2028\ufffd", "🚀\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		printable := func(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 }
		line := Clean(s)
		if !utf8.ValidString(line) || !printable(line) {
			t.Errorf("Clean(%q) = %q, which is not printable", s, line)
		}
		if utf8.ValidString(s) && printable(s) && line != s {
			t.Errorf("Clean(%q) = %q, which was printable before", s, line)
		}
		if again := Clean(line); again != line {
			t.Errorf("Clean(%q) = %q, cleaned once more", line, again)
		}
		lines := CleanLines(s)
		if strings.Count(lines, "\n") != strings.Count(s, "\n") || !printable(strings.ReplaceAll(lines, "\n", "")) {
			t.Errorf("CleanLines(%q) = %q", s, lines)
		}
	})
}
