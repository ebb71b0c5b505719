package report

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rkepatch/internal/fleet"
)

// PageData is what a review page says besides its clusters. None of it may hold
// a secret.
type PageData struct {
	Head        Head
	Title       string // "" for one made of Kind and Run
	Kind        string // Plan or Run
	Run         string // the run's id, "" for a plan
	RunKind     string // apply or rollback, "" for a plan
	Of          string // id of the run that a rollback takes back
	Undo        string // the command that takes the run back, "" when there is none
	GeneratedAt time.Time
	Selection   string     // which clusters were asked for, in words
	Command     string     // the command line, without tokens
	Waves       [][]string // cluster ids by wave, nil without waves
}

// Page is one review page that is being written while the plans come in. It is
// not safe for use by several goroutines.
type Page struct{ format pageFormat }

type pageFormat interface {
	add(*fleet.ClusterPlan, *fleet.Outcome) error
	close(t Totals, failure error) error
}

// NewPage begins a page in the format html, md or json (see FormatOf). Clusters
// go to an unlinked temporary file first, because the totals stand above them;
// memory holds some hundred bytes for each. Close must be called.
func NewPage(w io.Writer, format string, d PageData) (*Page, error) {
	var p pageFormat
	var err error
	switch format {
	case "html":
		p, err = newHTMLPage(w, d)
	case "md":
		p, err = newMarkdownPage(w, d)
	case "json":
		p, err = newJSONPage(w, d)
	default:
		return nil, fmt.Errorf("writing a report: %q is not a format (html, md or json)", format)
	}
	if err != nil {
		return nil, err
	}
	return &Page{p}, nil
}

// Add writes one cluster. outcome is nil on the page of a plan.
func (p *Page) Add(plan *fleet.ClusterPlan, outcome *fleet.Outcome) error {
	return p.format.add(plan, outcome)
}

// Close writes the totals and ends the page. With a failure the page says that
// it is not complete, and why. The writer is left open.
func (p *Page) Close(t Totals, failure error) error { return p.format.close(t, failure) }

// FormatOf gives the format for a file's name: html for .html and .htm, md, json.
func FormatOf(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".htm":
		return "html", nil
	case ".md":
		return "md", nil
	case ".json":
		return "json", nil
	}
	return "", fmt.Errorf("%q has no known kind of report: the file's name must end in .html, .htm, .md or .json", path)
}

func (d PageData) title() string {
	switch {
	case d.Title != "":
		return d.Title
	case d.Of != "":
		return strings.TrimSpace("Rollback "+d.Run) + " of run " + d.Of
	case d.Run != "":
		return d.Kind + " " + d.Run
	}
	return d.Kind
}

// Texts from clusters may be of any length; a page must still open.
const (
	maxName    = 120  // characters of names, versions, codes
	maxMessage = 4000 // characters of findings and messages
	maxLabels  = 40   // labels of one cluster
	maxKinds   = 300  // different versions or finding codes that are counted one by one
)

// short is Clean for a name: at most maxName characters.
func short(s string) string { return Clean(cut(s, maxName)) }

// long is CleanLines for a message: at most maxMessage characters.
func long(s string) string { return CleanLines(cut(s, maxMessage)) }

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

// utc is how a page shows a time: the readers may live anywhere.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// count is how many clusters have something in common.
type count struct {
	Name  string
	Count int
}

// tally counts what is only known once all clusters were seen.
type tally struct {
	statuses map[fleet.Status]int
	versions map[string]int
	findings map[string]*findingCount
	stored   int // clusters that the run has changed
}

type findingCount struct {
	fleet.Finding
	Clusters int
}

func newTally() tally {
	return tally{map[fleet.Status]int{}, map[string]int{}, map[string]*findingCount{}, 0}
}

func (t *tally) add(p *fleet.ClusterPlan, o *fleet.Outcome) {
	if o != nil {
		t.statuses[o.Status]++
		if o.Stored {
			t.stored++
		}
	}
	v := versionOf(p)
	if _, known := t.versions[v]; known || len(t.versions) < maxKinds {
		t.versions[v]++
	}
	seen := map[string]bool{}
	for _, f := range p.Findings {
		code := short(f.Code)
		if seen[code] {
			continue
		}
		seen[code] = true
		c := t.findings[code]
		if c == nil && len(t.findings) < maxKinds {
			c = &findingCount{Finding: fleet.Finding{Code: code, Severity: f.Severity, Todo: long(f.Todo)}}
			t.findings[code] = c
		}
		if c != nil {
			c.Clusters++
		}
	}
}

func versionOf(p *fleet.ClusterPlan) string {
	if p.KubernetesVersion == "" {
		return "unknown"
	}
	return short(p.KubernetesVersion)
}

// byStatus gives the outcomes that occurred, worst first.
func (t *tally) byStatus() []count {
	var out []count
	for _, s := range fleet.Statuses {
		if n := t.statuses[s]; n > 0 {
			out = append(out, count{string(s), n})
		}
	}
	return out
}

// byVersion gives the Kubernetes versions, the most frequent first.
func (t *tally) byVersion() []count {
	var out []count
	for v, n := range t.versions {
		out = append(out, count{v, n})
	}
	slices.SortFunc(out, func(a, b count) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// byFinding gives the findings, the most severe first, then the most frequent.
func (t *tally) byFinding() []*findingCount {
	var out []*findingCount
	for _, f := range t.findings {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *findingCount) int {
		switch {
		case a.Severity != b.Severity:
			return int(b.Severity) - int(a.Severity)
		case a.Clusters != b.Clusters:
			return b.Clusters - a.Clusters
		}
		return strings.Compare(a.Code, b.Code)
	})
	return out
}

// summary gives "3 clusters: 1 to patch, ..." or "3 clusters: 2 patched, 1 failed".
func (t *tally) summary(totals Totals) string {
	if len(t.statuses) == 0 {
		return totals.String()
	}
	var parts []string
	n := 0
	for _, c := range t.byStatus() {
		parts = append(parts, fmt.Sprintf("%d %s", c.Count, c.Name))
		n += c.Count
	}
	return plural(n, "cluster") + ": " + strings.Join(parts, ", ")
}

var actionWords = map[fleet.Action]string{
	fleet.ActionPatch:   "to patch",
	fleet.ActionNone:    "nothing to do",
	fleet.ActionBlocked: "blocked",
}

// verdict is the one word for a cluster: its outcome, or what is planned.
func verdict(p *fleet.ClusterPlan, o *fleet.Outcome) string {
	if o != nil {
		return short(string(o.Status))
	}
	if words, ok := actionWords[p.Action]; ok {
		return words
	}
	return short(string(p.Action))
}

// messageOf is what the outcome says beyond the findings of the plan.
func messageOf(p *fleet.ClusterPlan, o *fleet.Outcome) string {
	if worst, ok := p.Worst(); ok && o.Message == worst.Code+": "+worst.Message {
		return ""
	}
	return long(o.Message)
}

// execTo runs a template into a buffer first, so that an error leaves no half a
// cluster behind.
func execTo(w io.Writer, run func(io.Writer) error) error {
	var b bytes.Buffer
	if err := run(&b); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
