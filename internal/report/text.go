package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fatih/color"
	"github.com/mattn/go-runewidth"

	"rkepatch/internal/fleet"
	"rkepatch/rkeconfig"
)

// Text writes results for a person.
type Text struct {
	W     io.Writer
	Color bool
}

func (t Text) paint(s string, attributes ...color.Attribute) string {
	if !t.Color {
		return s
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(s)
}

// Plan writes one cluster's plan: a head line, its findings, its diff.
func (t Text) Plan(p *fleet.ClusterPlan) {
	fmt.Fprintf(t.W, "%s  %s\n", t.paint(Clean(p.Name), color.Bold), t.paint(Clean(facts(p)), color.Faint))
	switch p.Action {
	case fleet.ActionNone:
		fmt.Fprintln(t.W, "  nothing to do: already as wanted")
	case fleet.ActionBlocked:
		fmt.Fprintln(t.W, t.paint("  blocked: this cluster is left alone", color.FgRed))
	}
	if p.Template != nil {
		fmt.Fprintf(t.W, "  %s\n", Clean(TemplateLine(p.Template)))
	}
	for _, f := range p.Findings {
		t.Finding(f)
	}
	t.Diff(p.Diff)
	fmt.Fprintln(t.W)
}

// maxNamed is how many clusters of a template are named in a line of text.
const maxNamed = 20

// TemplateLine says in one line how a cluster of an RKE template is changed, and which clusters come from the template.
func TemplateLine(p *fleet.TemplatePlan) string {
	line := fmt.Sprintf("template %s: revision %s", cmp.Or(p.Name, p.ID), cmp.Or(p.RevisionName, p.Revision))
	switch {
	case p.Next != "":
		line += fmt.Sprintf(" -> %s (%s)", p.NextName, p.Next)
	case p.NextName != "":
		line += fmt.Sprintf(" -> %s, to be made", p.NextName)
	}
	names := p.Clusters
	if len(names) > maxNamed {
		names = append(slices.Clone(names[:maxNamed]), fmt.Sprintf("%d more (-o json names all)", len(names)-maxNamed))
	}
	if len(names) > 0 {
		line += "; made from the template: " + strings.Join(names, ", ")
	}
	return line
}

func facts(p *fleet.ClusterPlan) string {
	parts := []string{p.ID}
	for _, s := range []string{p.KubernetesVersion, p.State} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(append(parts, plural(p.Nodes, "node")), ", ")
}

// Finding writes one finding and what to do about it.
func (t Text) Finding(f fleet.Finding) {
	severity := map[rkeconfig.Severity]color.Attribute{fleet.Block: color.FgRed, fleet.Warn: color.FgYellow, fleet.Info: color.FgCyan}
	fmt.Fprintf(t.W, "  %s %s: %s\n", t.paint(fmt.Sprintf("%-5s", f.Severity), severity[f.Severity]), f.Code, Clean(f.Message))
	if f.Todo != "" {
		fmt.Fprintf(t.W, "        %s\n", Clean(f.Todo))
	}
}

// Diff writes a unified diff.
func (t Text) Diff(diff string) {
	for line := range strings.Lines(diff) {
		line = CleanLines(line)
		switch {
		case strings.HasPrefix(line, "+"):
			line = t.paint(line, color.FgGreen)
		case strings.HasPrefix(line, "-"):
			line = t.paint(line, color.FgRed)
		case strings.HasPrefix(line, "@@"):
			line = t.paint(line, color.FgCyan)
		}
		fmt.Fprint(t.W, line)
	}
}

// Totals counts clusters by what is planned for them.
type Totals struct {
	Clusters int `json:"clusters"`
	Patch    int `json:"patch"`
	None     int `json:"none"`
	Blocked  int `json:"blocked"`
}

// Add counts p.
func (c *Totals) Add(p *fleet.ClusterPlan) {
	c.Clusters++
	switch p.Action {
	case fleet.ActionPatch:
		c.Patch++
	case fleet.ActionNone:
		c.None++
	case fleet.ActionBlocked:
		c.Blocked++
	}
}

// String gives "3 clusters: 1 to patch, 1 with nothing to do, 1 blocked".
func (c Totals) String() string {
	return fmt.Sprintf("%s: %d to patch, %d with nothing to do, %d blocked", plural(c.Clusters, "cluster"), c.Patch, c.None, c.Blocked)
}

// Clusters writes the fleet as a table; rows are aligned when it is closed.
type Clusters struct {
	text Text
	tab  *tabwriter.Writer
}

// NewClusters begins a table.
func (t Text) NewClusters() *Clusters {
	tab := tabwriter.NewWriter(t.W, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tab, "NAME\tID\tKUBERNETES\tSTATE\tNODES\tPATCHED\tFINDING")
	return &Clusters{t, tab}
}

// Add writes a row.
func (c *Clusters) Add(p *fleet.ClusterPlan) {
	finding := "-"
	if worst, ok := p.Worst(); ok {
		finding = worst.Severity.String() + " " + worst.Code
	}
	fmt.Fprintf(c.tab, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", dash(p.Name), dash(p.ID), dash(p.KubernetesVersion), dash(p.State), p.Nodes, p.Patched, finding)
}

// Close writes what is left.
func (c *Clusters) Close() error { return c.tab.Flush() }

// maxCell keeps one cluster's endless name from widening every row. What Rancher
// accepts as a name is shorter.
const maxCell = 64

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return runewidth.Truncate(Clean(s), maxCell, "…")
}

// Outcomes writes what a run did as a table, grouped by outcome, worst first:
// failures with their cause, and how to go on.
func (t Text) Outcomes(outcomes []fleet.Outcome) {
	name, took := 0, 0
	for _, o := range outcomes {
		name = max(name, runewidth.StringWidth(dash(o.Name)))
		took = max(took, len(duration(o)))
	}
	name = min(name, nameWidth)
	first := true
	for _, status := range fleet.Statuses {
		began := false
		for _, o := range outcomes {
			if o.Status != status {
				continue
			}
			if !began && !first {
				fmt.Fprintln(t.W)
			}
			began, first = true, false
			label := t.paint(fmt.Sprintf("%-11s", status), outcomeColor(&o))
			fmt.Fprintf(t.W, "%s %s  %*s  %s\n", label, runewidth.FillRight(dash(o.Name), name), took, duration(o), indented(o.Message))
			if o.Next != "" {
				fmt.Fprintf(t.W, "            next: %s\n", t.paint(Clean(o.Next), color.Bold))
			}
		}
	}
	if !first {
		fmt.Fprintln(t.W)
	}
}

func outcomeColor(o *fleet.Outcome) color.Attribute {
	if tookBack(o) {
		return color.FgGreen
	}
	switch o.Status {
	case fleet.StatusFailed, fleet.StatusInFlight:
		return color.FgRed
	case fleet.StatusStale, fleet.StatusBlocked, fleet.StatusNotStarted, fleet.StatusRolledBack:
		return color.FgYellow
	}
	return color.FgGreen
}

func duration(o fleet.Outcome) string {
	if o.Duration <= 0 {
		return "-"
	}
	return o.Duration.Round(time.Second).String()
}

// indented keeps the lines of a message apart from those of the report: what
// comes from a cluster must not look like another cluster's outcome.
func indented(message string) string {
	return strings.ReplaceAll(CleanLines(message), "\n", "\n            ")
}

// CountOutcomes gives "2 patched, 1 failed", worst first.
func CountOutcomes(outcomes []fleet.Outcome) string {
	var parts []string
	for _, status := range fleet.Statuses {
		n := 0
		for _, o := range outcomes {
			if o.Status == status {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
		}
	}
	if len(parts) == 0 {
		return "no clusters"
	}
	return strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
