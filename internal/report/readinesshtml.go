package report

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"rkepatch/internal/fleet"
	"rkepatch/internal/readiness"
	"rkepatch/rkeconfig"
)

var (
	//go:embed readiness.tmpl
	readinessTemplate string
	//go:embed readiness.css
	readinessStyle string
	//go:embed readiness.js
	readinessScript string

	readinessTemplates = template.Must(template.New("").Parse(readinessTemplate))
)

// readinessHTML is one self-contained file: the fleet as a matrix of clusters and
// checks, and below it what is to be known of each cluster.
type readinessHTML struct {
	w              *bufio.Writer
	head           ReadinessHead
	data           PageData
	rows, clusters *spool
	tallies        checkTallies
	n, opened      int
}

func newReadinessHTML(w io.Writer, h ReadinessHead, d PageData) (*readinessHTML, error) {
	rows, err := newSpool()
	if err != nil {
		return nil, err
	}
	clusters, err := newSpool()
	if err != nil {
		rows.close()
		return nil, err
	}
	return &readinessHTML{w: bufio.NewWriterSize(w, 64<<10), head: h, data: d, rows: rows, clusters: clusters, tallies: newCheckTallies()}, nil
}

// readinessCluster is one cluster as readiness.tmpl takes it.
type readinessCluster struct {
	N                     int
	ID, Name, Version     string
	Status, Verdict, Tone string
	Search, Wanting       string // for the script to filter by
	Nodes                 int
	Cells                 []readinessCell
	Checks                []readinessCheck
	Fine, Skipped         string
	Registries, Steps     []string
	Open                  bool
}

type readinessCell struct{ Word, Tone, Title string }

type readinessCheck struct {
	Check, Word, Tone, Message, Todo string
	Findings                         []rkeconfig.Finding
}

func (p *readinessHTML) add(c *readiness.Cluster) error {
	p.n++
	p.tallies.add(c)
	verdict := cellWords[c.Verdict]
	v := readinessCluster{
		N: p.n, ID: short(c.ID), Name: orDash(short(c.Name)), Version: orDash(short(c.KubernetesVersion)), Nodes: c.Nodes,
		Status: string(c.Verdict), Verdict: statusWords[c.Verdict].word, Tone: verdict.tone, Registries: registryLines(c),
	}
	v.Search = strings.ToLower(v.Name + "\n" + v.ID + "\n" + v.Version)
	var fine, skipped []string
	for _, r := range c.Checks {
		words := cellWords[r.Status]
		cell := readinessCell{Word: words.word, Tone: words.tone}
		switch r.Status {
		case readiness.Ready:
			fine = append(fine, r.Check)
		case readiness.NotApplicable:
			skipped = append(skipped, r.Check)
		default:
			cell.Title = short(r.Check + ": " + r.Message)
			v.Wanting += r.Check + "\n"
			check := readinessCheck{Check: r.Check, Word: statusWords[r.Status].word, Tone: words.tone, Message: long(r.Message), Todo: long(r.Todo)}
			for _, f := range r.Findings[:min(len(r.Findings), 20)] {
				if f.Message == r.Message {
					continue
				}
				check.Findings = append(check.Findings, fleet.Finding{Code: short(f.Code), Severity: f.Severity, Message: long(f.Message)})
			}
			v.Checks = append(v.Checks, check)
		}
		v.Cells = append(v.Cells, cell)
	}
	v.Fine, v.Skipped = strings.Join(fine, ", "), strings.Join(skipped, ", ")
	for _, s := range c.Steps {
		v.Steps = append(v.Steps, long(s))
	}
	if p.opened < openClusters && c.Verdict != readiness.Ready {
		p.opened++
		v.Open = true
	}
	for name, at := range map[string]*spool{"row": p.rows, "cluster": p.clusters} {
		if err := execTo(at, func(w io.Writer) error { return readinessTemplates.ExecuteTemplate(w, name, v) }); err != nil {
			return err
		}
	}
	return nil
}

func (p *readinessHTML) close(t readiness.Totals, failure error) error {
	defer p.rows.close()
	defer p.clusters.close()
	style := htmlStyle + readinessStyle
	h := struct {
		Head                                  ReadinessHead
		Policy, Generated, Selection, Command string
		Style                                 template.CSS
		Script                                template.JS
		Summary, Failure                      string
		Parts                                 []segment
		Checks                                checkTallies
	}{
		Head: p.head, Policy: policyFor(style, readinessScript), Generated: utc(p.data.GeneratedAt),
		Selection: long(p.data.Selection), Command: long(p.data.Command),
		Style: template.CSS(style), Script: template.JS(readinessScript), //nolint:gosec // both are embedded files
		Summary: readinessSummary(t, p.head.ForVersion), Checks: p.tallies,
	}
	h.Head.Server, h.Head.RancherVersion = short(h.Head.Server), short(h.Head.RancherVersion)
	var parts []segment
	for _, s := range []struct {
		status readiness.Status
		n      int
	}{{readiness.NotReady, t.NotReady}, {readiness.Unknown, t.Unknown}, {readiness.Ready, t.Ready}} {
		if s.n > 0 {
			parts = append(parts, segment{count: count{statusWords[s.status].word, s.n}, Tone: cellWords[s.status].tone})
		}
	}
	h.Parts = layOut(parts)
	if failure != nil {
		h.Failure = long(failure.Error())
	}
	for _, part := range []struct {
		name string
		body *spool
	}{{"head", p.rows}, {"middle", p.clusters}, {"foot", nil}} {
		if err := readinessTemplates.ExecuteTemplate(p.w, part.name, h); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		if part.body != nil {
			if err := part.body.copyTo(p.w); err != nil {
				return err
			}
		}
	}
	return p.w.Flush()
}
