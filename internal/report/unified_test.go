package report

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// outline shows parts in short: lines as " 3", folds as "[ 9]", gaps as text.
func outline(parts []part) string {
	var out []string
	for _, p := range parts {
		var lines []string
		for _, s := range p.Lines {
			lines = append(lines, fmt.Sprintf("%c%d", s.Kind, strings.Count(s.Text, "\n")))
		}
		text := strings.Join(lines, ",")
		if p.Fold > 0 {
			text = "[" + text + "]"
		}
		out = append(out, text+p.Gap)
	}
	return strings.Join(out, " | ")
}

func lines(mark string, n int) string { return strings.Repeat(mark+"x\n", n) }

func TestDiffParts(t *testing.T) {
	const head = "--- a\n+++ b\n"
	for _, tt := range []struct{ name, diff, want string }{
		{"nothing", "", ""},
		{"a change without context", head + "@@ -1 +1 @@\n" + lines("-", 1) + lines("+", 1), "-1,+1"},
		{"context as short as usual stays", head + "@@ -1,6 +1,7 @@\n" + lines(" ", 3) + lines("+", 1) + lines(" ", 3), " 3,+1, 3"},
		{"long context is folded", head + "@@ -1,70 +1,71 @@\n" + lines(" ", 60) + lines("+", 1) + lines(" ", 10), "[ 57] |  3,+1, 3 | [ 7]"},
		{"no fold for a few lines", head + "@@ -1,6 +1,7 @@\n" + lines(" ", 6) + lines("+", 1), " 6,+1"},
		{"between two changes", head + "@@ -1,20 +1,22 @@\n" + lines("+", 1) + lines(" ", 20) + lines("+", 1), "+1, 3 | [ 14] |  3,+1"},
		{"what two hunks leave out", head + "@@ -3 +3 @@\n" + lines("-", 1) + lines("+", 1) + "@@ -9 +9 @@\n" + lines("-", 1) + lines("+", 1),
			"2 unchanged lines not shown | -1,+1 | 5 unchanged lines not shown | -1,+1"},
		{"lines that look like headers", head + "@@ -1,2 +1,2 @@\n--- a\n+++ b\n @@ -1 +1 @@\n", "-1,+1, 1"},
		{"numbers that do not fit", head + "@@ -1,5 +1,5 @@\n" + lines("-", 1), " 4"},
		{"huge numbers", head + "@@ -99999999999999999999 +1 @@\n" + lines("-", 1), " 4"},
		{"negative numbers", head + "@@ -1,-5 +1 @@\n" + lines("-", 1), " 4"},
		{"no diff at all", "config is gone\n", " 1"},
		{"only a head", head, " 2"},
	} {
		got := outline(diffParts(tt.diff))
		if tt.want != "" && strings.HasPrefix(tt.want, " ") && !strings.Contains(tt.want, ",") && !strings.Contains(got, "|") {
			// Text that is no diff has a newline in front, which browsers drop after <pre>.
			got = fmt.Sprintf(" %d", strings.Count(diffParts(tt.diff)[0].Lines[0].Text, "\n")-1)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestChangedLines(t *testing.T) {
	if added, removed := changedLines(diffParts(kubeletDiff)); added != 2 || removed != 1 {
		t.Errorf("+%d -%d, want +2 -1", added, removed)
	}
}

// Every line of a diff is on the page once, in its order.
func TestDiffPartsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOfN(rapid.SampledFrom([]string{" ", " ", " ", " ", "+", "-"}), 1, 80).Draw(t, "marks")
		var body strings.Builder
		before, after := 0, 0
		for _, m := range marks {
			body.WriteString(m + rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "line") + "\n")
			if m != "+" {
				before++
			}
			if m != "-" {
				after++
			}
		}
		var got strings.Builder
		for _, p := range diffParts(fmt.Sprintf("--- a\n+++ b\n@@ -1,%d +1,%d @@\n%s", before, after, body.String())) {
			n := 0
			for _, s := range p.Lines {
				got.WriteString(s.Text)
				n += strings.Count(s.Text, "\n")
			}
			if p.Fold != 0 && p.Fold != n {
				t.Fatalf("a fold says %d and holds %d lines", p.Fold, n)
			}
		}
		if got.String() != body.String() {
			t.Fatalf("got\n%s\nwant\n%s", got.String(), body.String())
		}
	})
}

func FuzzDiffParts(f *testing.F) {
	f.Add(kubeletDiff)
	f.Add("--- a\n+++ b\n@@ -0,0 +1 @@\n+x")
	f.Add("--- a\n+++ b\n@@ -9223372036854775807,9 +1 @@\n")
	f.Fuzz(func(t *testing.T, diff string) {
		for _, p := range diffParts(diff) {
			if p.Gap == "" && len(p.Lines) == 0 {
				t.Fatalf("an empty part of %q", diff)
			}
			for _, s := range p.Lines {
				if CleanLines(s.Text) != s.Text {
					t.Fatalf("%q is not clean", s.Text)
				}
			}
		}
	})
}
