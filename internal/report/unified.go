package report

import (
	"fmt"
	"strconv"
	"strings"
)

// part is a piece of a diff as the page shows it: lines, a fold of unchanged
// lines, or a remark about lines that are not there.
type part struct {
	Gap   string // "12 unchanged lines are not shown"
	Fold  int    // so many unchanged lines are folded away; 0 for none
	Lines []stretch
}

// stretch is neighbouring lines of one kind.
type stretch struct {
	Kind byte   // ' ', '+' or '-'
	Text string // each line with its mark in front and its newline
}

// Around a change so many unchanged lines stay unfolded; a fold that would hide
// fewer than minFold lines is not made.
const (
	shownContext = 3
	minFold      = 4
)

// changedLines counts what a diff adds and takes away.
func changedLines(parts []part) (added, removed int) {
	for _, p := range parts {
		for _, s := range p.Lines {
			switch s.Kind {
			case '+':
				added += strings.Count(s.Text, "\n")
			case '-':
				removed += strings.Count(s.Text, "\n")
			}
		}
	}
	return added, removed
}

// diffParts lays a unified diff out for the page. Text that is no unified diff
// is shown as it is.
func diffParts(diff string) []part {
	if diff == "" {
		return nil
	}
	hunks, ok := parseUnified(diff)
	if !ok {
		return []part{{Lines: []stretch{{' ', "\n" + CleanLines(diff)}}}}
	}
	var out []part
	next := 1 // the first line that no hunk has shown
	for _, h := range hunks {
		if gap := h.start - next; gap > 0 {
			out = append(out, part{Gap: plural(gap, "unchanged line") + " not shown"})
		}
		out = append(out, foldHunk(h.lines)...)
		next = h.start + h.length
	}
	return out
}

// foldHunk folds what is unchanged.
func foldHunk(lines []string) []part {
	var out []part
	var shown []stretch
	flush := func() {
		if len(shown) > 0 {
			out = append(out, part{Lines: shown})
			shown = nil
		}
	}
	for i := 0; i < len(lines); {
		kind := lines[i][0]
		end := i + 1
		for end < len(lines) && lines[end][0] == kind {
			end++
		}
		if kind != ' ' {
			shown = append(shown, stretch{kind, joinClean(lines[i:end])})
			i = end
			continue
		}
		before, after := shownContext, shownContext
		if i == 0 {
			before = 0
		}
		if end == len(lines) {
			after = 0
		}
		if hidden := end - i - before - after; hidden >= minFold {
			if before > 0 {
				shown = append(shown, stretch{' ', joinClean(lines[i : i+before])})
			}
			flush()
			out = append(out, part{Fold: hidden, Lines: []stretch{{' ', joinClean(lines[i+before : end-after])}}})
			if after > 0 {
				shown = append(shown, stretch{' ', joinClean(lines[end-after : end])})
			}
		} else {
			shown = append(shown, stretch{' ', joinClean(lines[i:end])})
		}
		i = end
	}
	flush()
	return out
}

func joinClean(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(CleanLines(line))
	}
	return b.String()
}

// hunk is one @@ section of a unified diff.
type hunk struct {
	start, length int // of the lines before the change
	lines         []string
}

// parseUnified takes a unified diff of one file apart; ok is false when the
// numbers in its headers and its lines do not agree. A line may look like a
// header itself: only the numbers say where a hunk ends.
func parseUnified(diff string) (hunks []hunk, ok bool) {
	var lines []string
	for line := range strings.Lines(diff) {
		lines = append(lines, line)
	}
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "--- ") || !strings.HasPrefix(lines[1], "+++ ") {
		return nil, false
	}
	for lines = lines[2:]; len(lines) > 0; {
		start, before, after, err := hunkHeader(lines[0])
		if err != nil {
			return nil, false
		}
		h := hunk{start: start, length: before}
		lines = lines[1:]
		for before > 0 || after > 0 {
			if len(lines) == 0 || !strings.HasSuffix(lines[0], "\n") {
				return nil, false
			}
			switch lines[0][0] {
			case ' ':
				before, after = before-1, after-1
			case '-':
				before--
			case '+':
				after--
			default:
				return nil, false
			}
			if before < 0 || after < 0 {
				return nil, false
			}
			h.lines = append(h.lines, lines[0])
			lines = lines[1:]
		}
		hunks = append(hunks, h)
	}
	return hunks, true
}

// hunkHeader reads "@@ -12,7 +12,9 @@"; a missing length is 1.
func hunkHeader(line string) (start, before, after int, err error) {
	fields := strings.Fields(line)
	if len(fields) != 4 || fields[0] != "@@" || fields[3] != "@@" {
		return 0, 0, 0, fmt.Errorf("no hunk header")
	}
	start, before, err = span(fields[1], "-")
	if err == nil {
		_, after, err = span(fields[2], "+")
	}
	return start, before, after, err
}

func span(s, mark string) (start, length int, err error) {
	s, ok := strings.CutPrefix(s, mark)
	if !ok {
		return 0, 0, fmt.Errorf("no %s", mark)
	}
	from, n, more := strings.Cut(s, ",")
	if start, err = strconv.Atoi(from); err != nil || !more {
		return start, 1, err
	}
	length, err = strconv.Atoi(n)
	if err == nil && length < 0 {
		err = fmt.Errorf("a negative length")
	}
	return start, length, err
}
