package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"rkepatch/internal/fleet"
	"rkepatch/rkeconfig"
)

var (
	//go:embed html.tmpl
	htmlTemplate string
	//go:embed html.css
	htmlStyle string
	//go:embed html.js
	htmlScript string

	htmlTemplates = template.Must(template.New("").Parse(htmlTemplate))
)

// contentPolicy lets a page use its own style and script, known by their
// hashes, and nothing else: no network, no style attributes, no other scripts.
var contentPolicy = policyFor(htmlStyle, htmlScript)

func policyFor(style, script string) string {
	return fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", sourceHash(style), sourceHash(script))
}

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

const (
	openClusters = 25 // so many clusters with something to see are open from the start
	maxAttention = 30 // so many clusters of one outcome are listed above the others
)

// htmlPage is one self-contained file. Everything from a cluster passes through
// html/template.
type htmlPage struct {
	w        *bufio.Writer
	data     PageData
	clusters *spool
	tally    tally
	waves    map[string]int // by cluster id, from 1
	time     timeline

	count, opened, troubled int
	attention               []attention
}

// attention is a cluster of a run that somebody must look at.
type attention struct {
	N             int
	Name          string
	Status        fleet.Status
	Message, Next string
}

func newHTMLPage(w io.Writer, d PageData) (*htmlPage, error) {
	clusters, err := newSpool()
	if err != nil {
		return nil, err
	}
	p := &htmlPage{w: bufio.NewWriterSize(w, 64<<10), data: d, clusters: clusters, tally: newTally(), waves: map[string]int{}}
	for i, ids := range d.Waves {
		for _, id := range ids {
			p.waves[id] = i + 1
		}
	}
	return p, nil
}

// htmlCluster is one cluster as html.tmpl takes it.
type htmlCluster struct {
	N                                int
	ID, UUID, Name, Version, Verdict string
	State, Patched                   string
	Tone                             string
	Search, Codes                    string // for the script to filter by
	Nodes, Added, Removed, Wave      int
	Labels                           []string
	MoreLabels                       int
	Findings                         []rkeconfig.Finding
	Diff                             []part
	Open                             bool
	Outcome                          *htmlOutcome
}

type htmlOutcome struct{ Message, Next, Started, Took string }

func (p *htmlPage) add(plan *fleet.ClusterPlan, o *fleet.Outcome) error {
	p.count++
	p.tally.add(plan, o)
	c := htmlCluster{
		N: p.count, ID: short(plan.ID), UUID: short(plan.UUID), Name: orDash(short(plan.Name)), Version: versionOf(plan),
		State: short(plan.State), Patched: short(string(plan.Patched)), Nodes: plan.Nodes,
		Verdict: verdict(plan, o), Tone: tone(plan, o), Wave: p.waves[plan.ID],
	}
	c.Labels, c.MoreLabels = labelList(plan.Labels)
	c.Search = strings.ToLower(strings.Join(append([]string{c.Name, c.ID}, c.Labels...), "\n"))
	for _, f := range plan.Findings {
		f = rkeconfig.Finding{Code: short(f.Code), Severity: f.Severity, Message: long(f.Message), Todo: long(f.Todo)}
		c.Findings = append(c.Findings, f)
		c.Codes += f.Code + "\n"
	}
	diff := plan.WideDiff
	if diff == "" {
		diff = plan.Diff
	}
	c.Diff = diffParts(diff)
	c.Added, c.Removed = changedLines(c.Diff)
	if o != nil {
		c.Outcome = &htmlOutcome{Message: messageOf(plan, o), Next: long(o.Next)}
		if !o.Started.IsZero() {
			c.Outcome.Started, c.Outcome.Took = utc(o.Started), o.Duration.Round(time.Second).String()
			p.time.add(c, o)
		}
		p.watchOut(c, o)
	}
	if p.opened < openClusters && (c.Diff != nil || c.Findings != nil) {
		p.opened++
		c.Open = true
	}
	return execTo(p.clusters, func(w io.Writer) error { return htmlTemplates.ExecuteTemplate(w, "cluster", c) })
}

func (p *htmlPage) watchOut(c htmlCluster, o *fleet.Outcome) {
	if tookBack(o) {
		return
	}
	switch o.Status {
	case fleet.StatusPatched, fleet.StatusUnchanged, fleet.StatusBlocked, fleet.StatusNotStarted:
		return
	}
	if p.troubled++; p.tally.statuses[o.Status] <= maxAttention {
		p.attention = append(p.attention, attention{c.N, c.Name, o.Status, c.Outcome.Message, c.Outcome.Next})
	}
}

// htmlHead is what html.tmpl takes for everything above the clusters.
type htmlHead struct {
	PageData
	Title, Policy, Generated string
	Style                    template.CSS
	Script                   template.JS
	IsRun, HasOutcomes       bool
	Summary, Failure         string
	Parts                    []segment
	Versions                 []count
	Findings                 []*findingCount
	Attention                []attention
	MoreAttention            int
	Rollback                 string
	Verdicts                 []string
	Time                     *timelineView
	Context                  int
}

func (p *htmlPage) close(t Totals, failure error) error {
	defer p.clusters.close()
	slices.SortStableFunc(p.attention, func(a, b attention) int {
		return slices.Index(fleet.Statuses, a.Status) - slices.Index(fleet.Statuses, b.Status)
	})
	d := p.data
	d.Head.Server, d.Head.RancherVersion = short(d.Head.Server), short(d.Head.RancherVersion)
	d.Run, d.Selection, d.Command = short(d.Run), long(d.Selection), long(d.Command)
	h := htmlHead{
		PageData: d, Title: short(d.title()), Policy: contentPolicy, Generated: utc(d.GeneratedAt),
		Style: template.CSS(htmlStyle), Script: template.JS(htmlScript), //nolint:gosec // both are embedded files
		IsRun: d.Kind == "Run", HasOutcomes: len(p.tally.statuses) > 0,
		Summary: p.tally.summary(t), Parts: segments(t, p.tally.byStatus()), Versions: p.tally.byVersion(), Findings: p.tally.byFinding(),
		Attention: p.attention, MoreAttention: p.troubled - len(p.attention),
		Time: p.time.view(len(d.Waves)),
	}
	for _, s := range h.Parts {
		h.Verdicts = append(h.Verdicts, s.Name)
	}
	if failure != nil {
		h.Failure = long(failure.Error())
	}
	if p.tally.stored > 0 {
		h.Rollback = long(d.Undo)
	}
	if err := htmlTemplates.ExecuteTemplate(p.w, "head", h); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := p.clusters.copyTo(p.w); err != nil {
		return err
	}
	if err := htmlTemplates.ExecuteTemplate(p.w, "foot", h); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return p.w.Flush()
}

// segment is one piece of the totals' bar, in hundredths of its width.
type segment struct {
	count
	Tone     string
	X, Width float64
}

// segments lays the bar out. A piece that is there can be seen, however small.
func segments(t Totals, outcomes []count) []segment {
	var parts []segment
	for _, c := range outcomes {
		parts = append(parts, segment{count: c, Tone: tones[c.Name]})
	}
	if len(parts) == 0 {
		for _, c := range []count{{"to patch", t.Patch}, {"nothing to do", t.None}, {"blocked", t.Blocked}} {
			if c.Count > 0 {
				parts = append(parts, segment{count: c, Tone: tones[c.Name]})
			}
		}
	}
	return layOut(parts)
}

// layOut gives each piece its place in the bar.
func layOut(parts []segment) []segment {
	const least = 0.6
	all := 0
	for _, s := range parts {
		all += s.Count
	}
	x := 0.0
	for i := range parts {
		s := &parts[i]
		s.X = x
		s.Width = least + float64(s.Count)/float64(all)*(100-least*float64(len(parts)))
		x += s.Width
	}
	return parts
}

// tones gives the colour for a verdict; html.css knows them.
var tones = map[string]string{
	"to patch":                     "blue",
	"nothing to do":                "green",
	"blocked":                      "amber",
	string(fleet.StatusFailed):     "red",
	string(fleet.StatusInFlight):   "violet",
	string(fleet.StatusStale):      "pink",
	string(fleet.StatusNotStarted): "grey",
	string(fleet.StatusPatched):    "blue",
	string(fleet.StatusRolledBack): "blue",
	string(fleet.StatusUnchanged):  "green",
}

func tone(p *fleet.ClusterPlan, o *fleet.Outcome) string {
	if t, ok := tones[verdict(p, o)]; ok {
		return t
	}
	return "grey"
}

func labelList(labels map[string]string) (shown []string, more int) {
	keys := slices.Sorted(maps.Keys(labels))
	if len(keys) > maxLabels {
		more = len(keys) - maxLabels
		keys = keys[:maxLabels]
	}
	for _, k := range keys {
		shown = append(shown, short(k)+"="+short(labels[k]))
	}
	return shown, more
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
