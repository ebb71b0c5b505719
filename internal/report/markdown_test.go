package report

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Outside of code no text from a cluster remains: there a renderer would look
// for links, mentions and HTML.
func TestMarkdownKeepsTextsInCode(t *testing.T) {
	attacks := []string{
		"<b>EVIL</b>", "@EVIL", "[EVIL](https://attacker.example.com)", "`EVIL", "``EVIL```", "|EVIL|", "```\n# EVIL", "~~~EVIL", "</details>EVIL",
		"    EVIL", "EVIL\\", "\\`EVIL", "#EVIL", "EVIL\r\n", "````````EVIL", "\n\nEVIL\n\n", "</code>EVIL",
	}
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(attacks), rapid.StringMatching("[`~ |<>\\\\\n]{0,6}EVIL")), 1, 4).Draw(t, "attacks"), "")
	})
	rapid.Check(t, func(rt *rapid.T) {
		p := plain(func() string { return text.Draw(rt, "text") })
		got := writePage(t, "md", planPageData(), errors.New(text.Draw(rt, "failure")), p)
		if outside := withoutCode(got); strings.Contains(outside, "EVIL") {
			rt.Fatalf("outside of code:\n%s\nin\n%s", outside, got)
		}
	})
}

var inlineCode = regexp.MustCompile("<code>[^<]*</code>")

// withoutCode takes out fenced blocks and code spans, by the rules of CommonMark
// 4.5 and 6.1.
func withoutCode(text string) string {
	var out strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		ticks := len(bare) - len(strings.TrimLeft(bare, "`"))
		switch {
		case fence == "" && indent < 4 && ticks >= 3 && !strings.Contains(bare[ticks:], "`"):
			fence = bare[:ticks]
		case fence != "" && indent < 4 && ticks >= len(fence) && bare[ticks:] == "":
			fence = ""
		case fence == "":
			out.WriteString(withoutSpans(inlineCode.ReplaceAllString(line, "")))
		}
	}
	return out.String()
}

func withoutSpans(line string) string {
	var out strings.Builder
	for len(line) > 0 {
		at := strings.IndexByte(line, '`')
		if at < 0 {
			break
		}
		out.WriteString(line[:at])
		line = line[at:]
		n := len(line) - len(strings.TrimLeft(line, "`"))
		end := closing(line[n:], n)
		if end < 0 {
			out.WriteString(line[:n])
			line = line[n:]
			continue
		}
		line = line[n+end+n:]
	}
	return out.String() + line
}

// closing finds the next run of exactly n backticks.
func closing(s string, n int) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '`' {
			continue
		}
		m := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if m == n {
			return i
		}
		i += m
	}
	return -1
}

func TestCodeSpan(t *testing.T) {
	for in, want := range map[string]string{
		"prod-eu": "`prod-eu`", "": "-", "  ": "-", "a`b": "`` a`b ``", "``": "``` `` ```", "a|b": "`a\\x7cb`", " a": "`  a `",
	} {
		if got := codeSpan(in); got != want {
			t.Errorf("codeSpan(%q) = %q, want %q", in, got, want)
		}
	}
}

// A table has as many cells in every row, whatever a cluster is called.
func TestMarkdownTable(t *testing.T) {
	p := plain(func() string { return `a|b\|c` })
	p.Name = `\|` + "`|" + `\\|`
	for line := range strings.Lines(writePage(t, "md", planPageData(), nil, p)) {
		if strings.HasPrefix(line, "|") && strings.Count(line, "|") != 7 {
			t.Errorf("a row has %d bars: %s", strings.Count(line, "|"), line)
		}
	}
}
