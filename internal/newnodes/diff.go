package newnodes

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"

	"rkepatch/rkeconfig"
)

// Diff is a unified diff of two texts of user data without context: what is there
// already is never shown, it may hold a secret anywhere. What is not among the lines
// of file is shown as hidden, and in file's own lines what looks like a secret is.
// Lines of base64 are counted.
func Diff(before, after, file string) string {
	from, to := settled(before), settled(after)
	u, err := udiff.ToUnifiedDiff("user data (now)", "user data (planned)", from, udiff.Lines(from, to), 0)
	if err != nil {
		panic("newnodes: unified diff of its own edits: " + err.Error()) // Lines made the edits from this very text
	}
	v := view{own: map[string]bool{}}
	for line := range strings.Lines(settled(file)) {
		v.own[strings.TrimSpace(line)] = true
	}
	var b strings.Builder
	for i, hunk := range u.Hunks {
		if i == 0 {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n", u.From, u.To)
		}
		b.WriteString(v.hunk(hunk))
	}
	return b.String()
}

// settled ends in one newline and has no other line ends: Rancher cuts the last
// newline off.
func settled(text string) string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if text == "" {
		return ""
	}
	return text + "\n"
}

// view decides what is shown of a line.
type view struct {
	own map[string]bool // lines of the file, without spaces around them
	key bool            // inside a private key
}

func (v *view) hunk(h *udiff.Hunk) string {
	minus, plus := 0, 0
	var lines []string
	coded, kind := 0, ""
	flush := func() {
		if coded > 0 {
			lines = append(lines, fmt.Sprintf("%s  (%d lines of base64)", kind, coded))
		}
		coded = 0
	}
	for _, l := range h.Lines {
		mark := "+"
		if l.Kind == udiff.Delete {
			mark = "-"
			minus++
		} else {
			plus++
		}
		isCoded := codedLine.MatchString(l.Content) || coded > 0 && codedEnd.MatchString(l.Content)
		if mark != kind || !isCoded {
			flush()
		}
		kind = mark
		if isCoded {
			coded++
			continue
		}
		lines = append(lines, mark+v.shown(strings.TrimRight(l.Content, "\n")))
	}
	flush()
	return fmt.Sprintf("@@ -%d,%d +%d,%d @@\n", h.FromLine, minus, h.ToLine, plus) + strings.Join(lines, "\n") + "\n"
}

var (
	codedLine = regexp.MustCompile(`^\s*[A-Za-z0-9+/]{60,}={0,2}\s*$`)
	codedEnd  = regexp.MustCompile(`^\s*[A-Za-z0-9+/]+={0,2}\s*$`)
	longWord  = regexp.MustCompile(`[A-Za-z0-9+/=_-]{40,}|\b(?:AKIA|ASIA)[A-Z0-9]{8,}`)
	named     = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)(\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s"']+)`)
	plainPath = regexp.MustCompile(`^(/[a-z0-9_=-]{1,40})+$`)
	bearer    = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[^\s"']+`)
)

const hidden = "<a line of the present user data>"

// own are lines of this program: they hold no secret.
var (
	header   = regexp.MustCompile(`^(Content-Type: (multipart/mixed; boundary="=+rkepatch=+"|text/[a-z-]+; charset="[a-z0-9-]+")|MIME-Version: 1\.0|Content-Transfer-Encoding: [a-z0-9]+|Content-Disposition: attachment; filename="[a-z.-]+")$`)
	boundary = regexp.MustCompile(`^--=+rkepatch=+(--)?$`)
)

func (v *view) shown(line string) string {
	text := strings.TrimSpace(line)
	switch {
	case text == "", header.MatchString(text), boundary.MatchString(text):
		return line
	case !v.own[text]:
		return hidden
	case strings.Contains(text, "PRIVATE KEY-----"):
		v.key = strings.Contains(text, "BEGIN")
		return rkeconfig.Redacted
	case v.key:
		return rkeconfig.Redacted
	}
	line = named.ReplaceAllStringFunc(line, func(found string) string {
		m := named.FindStringSubmatch(found)
		masked := rkeconfig.MaskChanges([]rkeconfig.Change{{Path: "[" + strconv.Quote(m[1]) + "]", Before: "", After: strings.Trim(m[3], `"'`)}})
		if text, ok := masked[0].After.(string); ok && text != strings.Trim(m[3], `"'`) {
			return m[1] + m[2] + text
		}
		return found
	})
	line = bearer.ReplaceAllString(line, "$1 "+rkeconfig.Redacted)
	return longWord.ReplaceAllStringFunc(line, func(word string) string {
		if plainPath.MatchString(word) {
			return word
		}
		return rkeconfig.Redacted
	})
}
