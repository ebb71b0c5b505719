package report

import (
	"strconv"
	"strings"
	"unicode"
)

// Clean makes text from a cluster safe to print in one line: control, format
// and other unprintable characters are shown as Go escapes, bytes that are not
// UTF-8 as U+FFFD.
func Clean(s string) string { return clean(s, "") }

// CleanLines is Clean for text of several lines.
func CleanLines(s string) string { return clean(s, "\n") }

func clean(s, keep string) string {
	s = strings.ToValidUTF8(s, string(unicode.ReplacementChar))
	bad := func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(keep, r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if bad(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
