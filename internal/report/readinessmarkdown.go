package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"strings"

	"rkepatch/internal/readiness"
)

// readinessMarkdown is for a merge request; text from a cluster is only ever
// inside code, as in markdownPage.
type readinessMarkdown struct {
	w             *bufio.Writer
	head          ReadinessHead
	data          PageData
	rows, details *spool
}

func newReadinessMarkdown(w io.Writer, h ReadinessHead, d PageData) (*readinessMarkdown, error) {
	rows, err := newSpool()
	if err != nil {
		return nil, err
	}
	details, err := newSpool()
	if err != nil {
		rows.close()
		return nil, err
	}
	return &readinessMarkdown{bufio.NewWriter(w), h, d, rows, details}, nil
}

func (p *readinessMarkdown) add(c *readiness.Cluster) error {
	cells := []string{codeSpan(short(c.Name)), codeSpan(short(c.KubernetesVersion)), statusWords[c.Verdict].word}
	var text strings.Builder
	for _, r := range c.Checks {
		cells = append(cells, cellWords[r.Status].word)
		if r.Status == readiness.NotReady || r.Status == readiness.Unknown {
			fmt.Fprintf(&text, "%s %s: %s\n", statusWords[r.Status].word, r.Check, long(r.Message))
			if r.Todo != "" {
				fmt.Fprintf(&text, "  what to do: %s\n", long(r.Todo))
			}
		}
	}
	for _, line := range registryLines(c) {
		fmt.Fprintf(&text, "pulls from %s\n", line)
	}
	for i, step := range c.Steps {
		fmt.Fprintf(&text, "%d. %s\n", i+1, long(step))
	}
	if _, err := fmt.Fprintf(p.rows, "| %s |\n", strings.Join(cells, " | ")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.details, "<details>\n<summary><code>%s</code> %s</summary>\n\n%s</details>\n\n",
		html.EscapeString(orDash(short(c.Name))), statusWords[c.Verdict].word, fence("text", text.String()))
	return err
}

func (p *readinessMarkdown) close(t readiness.Totals, failure error) error {
	defer p.rows.close()
	defer p.details.close()
	fmt.Fprintf(p.w, "# Ready for Kubernetes %s?\n\n", codeless(p.head.ForVersion))
	if failure != nil {
		fmt.Fprintf(p.w, "**This report is not complete:**\n\n%s", fence("text", long(failure.Error())))
	}
	fmt.Fprintf(p.w, "%s.\n\n", readinessSummary(t, p.head.ForVersion))
	for _, line := range []struct{ name, value string }{
		{"Rancher", short(p.head.Server)}, {"Rancher version", short(p.head.RancherVersion)},
		{"selection", long(p.data.Selection)}, {"command", long(p.data.Command)}, {"written", utc(p.data.GeneratedAt)},
	} {
		if line.value != "" {
			fmt.Fprintf(p.w, "- %s: %s\n", line.name, codeSpan(strings.ReplaceAll(line.value, "\n", " ")))
		}
	}
	ids, _ := readiness.IDs()
	fmt.Fprintf(p.w, "\n| cluster | Kubernetes | verdict | %s |\n|---|---|---%s|\n", strings.Join(ids, " | "), strings.Repeat("|:-:", len(ids)))
	if err := p.rows.copyTo(p.w); err != nil {
		return err
	}
	fmt.Fprint(p.w, "\n")
	if err := p.details.copyTo(p.w); err != nil {
		return err
	}
	return p.w.Flush()
}
