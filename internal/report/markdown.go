package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"time"

	"rkepatch/internal/fleet"
)

// markdownPage is for a merge request. Text from a cluster is only ever inside
// code: there no dialect of Markdown looks for links, mentions or HTML.
type markdownPage struct {
	w             *bufio.Writer
	data          PageData
	rows, details *spool
	tally         tally
}

func newMarkdownPage(w io.Writer, d PageData) (*markdownPage, error) {
	rows, err := newSpool()
	if err != nil {
		return nil, err
	}
	details, err := newSpool()
	if err != nil {
		rows.close()
		return nil, err
	}
	return &markdownPage{bufio.NewWriter(w), d, rows, details, newTally()}, nil
}

func (p *markdownPage) add(plan *fleet.ClusterPlan, o *fleet.Outcome) error {
	p.tally.add(plan, o)
	var codes []string
	for _, f := range plan.Findings {
		if code := codeSpan(f.Severity.String() + " " + short(f.Code)); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	took := "-"
	if o != nil && !o.Started.IsZero() {
		took = o.Duration.Round(time.Second).String()
	}
	_, err := fmt.Fprintf(p.rows, "| %s | %s | %d | %s | %s | %s |\n", codeSpan(short(plan.Name)), codeSpan(versionOf(plan)), plan.Nodes,
		codeSpan(verdict(plan, o)), took, orDash(strings.Join(codes, "<br>")))
	if err != nil {
		return err
	}
	return p.detail(plan, o)
}

// detail writes what can be folded open for a cluster, if there is anything.
func (p *markdownPage) detail(plan *fleet.ClusterPlan, o *fleet.Outcome) error {
	var text strings.Builder
	if o != nil {
		if message := messageOf(plan, o); message != "" {
			fmt.Fprintf(&text, "%s: %s\n", short(string(o.Status)), message)
		}
		if o.Next != "" {
			fmt.Fprintf(&text, "  next: %s\n", long(o.Next))
		}
	}
	for _, f := range plan.Findings {
		fmt.Fprintf(&text, "%s %s: %s\n", f.Severity, short(f.Code), long(f.Message))
		if f.Todo != "" {
			fmt.Fprintf(&text, "  what to do: %s\n", long(f.Todo))
		}
	}
	if text.Len() == 0 && plan.Diff == "" {
		return nil
	}
	_, err := fmt.Fprintf(p.details, "<details>\n<summary><code>%s</code> %s</summary>\n\n%s%s</details>\n\n",
		html.EscapeString(orDash(short(plan.Name))), html.EscapeString(verdict(plan, o)), fence("text", text.String()), fence("diff", plan.Diff))
	return err
}

func (p *markdownPage) close(t Totals, failure error) error {
	defer p.rows.close()
	defer p.details.close()
	d := p.data
	fmt.Fprintf(p.w, "# %s\n\n", codeless(d.title()))
	if failure != nil {
		fmt.Fprintf(p.w, "**This report is not complete:**\n\n%s", fence("text", long(failure.Error())))
	}
	fmt.Fprintf(p.w, "%s.\n\n", p.tally.summary(t))
	for _, line := range []struct{ name, value string }{
		{"Rancher", short(d.Head.Server)}, {"Rancher version", short(d.Head.RancherVersion)}, {"run", short(d.Run)},
		{"selection", long(d.Selection)}, {"command", long(d.Command)}, {"written", utc(d.GeneratedAt)},
	} {
		if line.value != "" {
			fmt.Fprintf(p.w, "- %s: %s\n", line.name, codeSpan(strings.ReplaceAll(line.value, "\n", " ")))
		}
	}
	if d.Undo != "" && p.tally.stored > 0 {
		fmt.Fprintf(p.w, "- to undo: %s\n", codeSpan(strings.ReplaceAll(long(d.Undo), "\n", " ")))
	}
	last := "planned"
	if len(p.tally.statuses) > 0 {
		last = "outcome"
	}
	fmt.Fprintf(p.w, "\n| cluster | Kubernetes | nodes | %s | took | findings |\n|---|---|--:|---|---|---|\n", last)
	if err := p.rows.copyTo(p.w); err != nil {
		return err
	}
	fmt.Fprint(p.w, "\n")
	if err := p.details.copyTo(p.w); err != nil {
		return err
	}
	return p.w.Flush()
}

// codeSpan puts one line into a code span that it cannot leave, also inside a
// table, where a pipe would end the cell: it is shown as an escape.
func codeSpan(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	s = strings.ReplaceAll(s, "|", `\x7c`)
	ticks := strings.Repeat("`", longestRun(s)+1)
	if len(ticks) > 1 || s[0] == ' ' || s[len(s)-1] == ' ' {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// fence puts lines into a fenced block that they cannot end, "" when there are
// none.
func fence(language, s string) string {
	if s == "" {
		return ""
	}
	s = CleanLines(s)
	ticks := strings.Repeat("`", max(3, longestRun(s)+1))
	return fmt.Sprintf("%s%s\n%s\n%s\n\n", ticks, language, strings.TrimSuffix(s, "\n"), ticks)
}

// longestRun gives the length of the longest run of backticks.
func longestRun(s string) int {
	longest, n := 0, 0
	for _, r := range s {
		if r != '`' {
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	return longest
}

// codeless keeps of a title what no Markdown reads as anything but text.
func codeless(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>[]()`*_|@#!&~\\$%^", r) {
			return ' '
		}
		return r
	}, short(s))
}
