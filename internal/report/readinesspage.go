package report

import (
	"fmt"
	"io"
	"strings"

	"rkepatch/internal/readiness"
)

// ReadinessPage is a report of what check found, being written while the
// clusters come in. It is not safe for use by several goroutines.
type ReadinessPage struct{ format readinessFormat }

type readinessFormat interface {
	add(*readiness.Cluster) error
	close(t readiness.Totals, failure error) error
}

// NewReadinessPage begins a page in the format html, md or json (see FormatOf).
// Of d the time, the selection and the command are shown. Clusters go to unlinked
// temporary files first, as with NewPage. Close must be called.
func NewReadinessPage(w io.Writer, format string, h ReadinessHead, d PageData) (*ReadinessPage, error) {
	var p readinessFormat
	var err error
	switch format {
	case "html":
		p, err = newReadinessHTML(w, h, d)
	case "md":
		p, err = newReadinessMarkdown(w, h, d)
	case "json":
		p = readinessDocument{NewReadinessJSON(w, h)}
	default:
		return nil, fmt.Errorf("writing a report: %q is not a format (html, md or json)", format)
	}
	if err != nil {
		return nil, err
	}
	return &ReadinessPage{p}, nil
}

// Add writes one cluster.
func (p *ReadinessPage) Add(c *readiness.Cluster) error { return p.format.add(c) }

// Close writes the totals and ends the page. With a failure the page says that
// it is not complete, and why. The writer is left open.
func (p *ReadinessPage) Close(t readiness.Totals, failure error) error {
	return p.format.close(t, failure)
}

// readinessDocument is the document that check -o json writes.
type readinessDocument struct{ doc *ReadinessJSON }

func (d readinessDocument) add(c *readiness.Cluster) error            { return d.doc.Add(c) }
func (d readinessDocument) close(t readiness.Totals, err error) error { return d.doc.Close(t, err) }

// cellWords are what stands in a cell of the matrix: each is read without its
// colour.
var cellWords = map[readiness.Status]struct{ word, tone string }{
	readiness.Ready:         {"ok", "green"},
	readiness.NotReady:      {"NO", "red"},
	readiness.Unknown:       {"?", "amber"},
	readiness.NotApplicable: {"–", "grey"},
}

// checkTally counts, for one check, the clusters that it keeps from being ready.
type checkTally struct {
	Check, Meaning    string
	NotReady, Unknown int
}

type checkTallies []*checkTally

func newCheckTallies() checkTallies {
	var out checkTallies
	ids, meanings := readiness.IDs()
	for i, id := range ids {
		out = append(out, &checkTally{Check: id, Meaning: meanings[i]})
	}
	return out
}

func (t checkTallies) add(c *readiness.Cluster) {
	for _, row := range t {
		switch c.Result(row.Check).Status {
		case readiness.NotReady:
			row.NotReady++
		case readiness.Unknown:
			row.Unknown++
		}
	}
}

// registryLines say in words who pulls from where, at most so many.
func registryLines(c *readiness.Cluster) []string {
	const most = 30
	var out []string
	if c.Use == nil {
		return nil
	}
	for i, r := range c.Use.Registries {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more registries", len(c.Use.Registries)-most+c.Use.OtherHosts))
			break
		}
		text := fmt.Sprintf("%s: %s, %s, %s", short(r.Host), plural(r.Pods, "pod"), plural(r.Idle, "idle workload"), plural(r.CronJobs, "CronJob"))
		if r.Kind != "" {
			text += fmt.Sprintf(" (%s; %d with a pull secret, %d not known)", strings.ToUpper(string(r.Kind)), r.Covered, r.Unsure)
		}
		out = append(out, text)
	}
	return out
}
