package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fatih/color"

	"rkepatch/internal/readiness"
)

// statusWords say a status in a word or two; the colours only repeat them.
var statusWords = map[readiness.Status]struct {
	word  string
	color color.Attribute
}{
	readiness.Ready:         {"ready", color.FgGreen},
	readiness.NotReady:      {"not ready", color.FgRed},
	readiness.Unknown:       {"not known", color.FgYellow},
	readiness.NotApplicable: {"n/a", color.Faint},
}

// worthReading are the checks whose words say something also when all is well.
var worthReading = []string{"registries", "node-files"}

// Readiness writes one cluster: the verdict, why, and what to do in which order.
func (t Text) Readiness(c *readiness.Cluster, forVersion string) {
	v := statusWords[c.Verdict]
	verdict := v.word + " for " + forVersion
	if c.Verdict == readiness.Unknown {
		verdict = "not known to be ready for " + forVersion
	}
	facts := []string{c.ID}
	if c.KubernetesVersion != "" {
		facts = append(facts, c.KubernetesVersion)
	}
	facts = append(facts, plural(c.Nodes, "node"))
	fmt.Fprintf(t.W, "%s  %s  %s\n", t.paint(Clean(c.Name), color.Bold), t.paint(verdict, v.color), t.paint(Clean(strings.Join(facts, ", ")), color.Faint))
	var fine, skipped []string
	for _, r := range c.Checks {
		switch r.Status {
		case readiness.NotApplicable:
			skipped = append(skipped, r.Check)
		case readiness.Ready:
			if !slices.Contains(worthReading, r.Check) {
				fine = append(fine, r.Check)
			}
		default:
			s := statusWords[r.Status]
			fmt.Fprintf(t.W, "  %s %s: %s\n", t.paint(fmt.Sprintf("%-9s", s.word), s.color), r.Check, Clean(r.Message))
			if r.Todo != "" {
				fmt.Fprintf(t.W, "            %s\n", Clean(r.Todo))
			}
		}
	}
	for _, id := range worthReading {
		if r := c.Result(id); r.Status == readiness.Ready {
			fmt.Fprintf(t.W, "  %s %s: %s\n", t.paint(fmt.Sprintf("%-9s", "ready"), color.FgGreen), id, Clean(r.Message))
		}
	}
	for _, list := range []struct {
		word  string
		names []string
	}{{"ready", fine}, {"n/a", skipped}} {
		if len(list.names) > 0 {
			fmt.Fprintf(t.W, "  %-9s %s\n", list.word, strings.Join(list.names, ", "))
		}
	}
	for i, step := range c.Steps {
		fmt.Fprintf(t.W, "  %d. %s\n", i+1, Clean(step))
	}
	fmt.Fprintln(t.W)
}

// ReadinessTotals writes "3 clusters: 1 ready for 1.27, 1 not ready, 1 not known".
func (t Text) ReadinessTotals(n readiness.Totals, forVersion string) {
	fmt.Fprintln(t.W, readinessSummary(n, forVersion))
}

func readinessSummary(n readiness.Totals, forVersion string) string {
	return fmt.Sprintf("%s: %d ready for %s, %d not ready, %d not known", plural(n.Clusters, "cluster"), n.Ready, forVersion, n.NotReady, n.Unknown)
}

// ReadinessHead begins a document of kind Readiness.
type ReadinessHead struct {
	Head
	ForVersion string `json:"forVersion"`
}

// ReadinessJSON writes one JSON document of kind Readiness while the clusters
// come in.
type ReadinessJSON struct {
	w        *bufio.Writer
	clusters list
}

// NewReadinessJSON begins the document.
func NewReadinessJSON(w io.Writer, h ReadinessHead) *ReadinessJSON {
	out := &ReadinessJSON{w: bufio.NewWriter(w)}
	h.APIVersion, h.Kind = APIVersion, "Readiness"
	head, _ := json.Marshal(h) // five strings
	fmt.Fprintf(out.w, "%s,\"clusters\":[", head[:len(head)-1])
	return out
}

// Add writes one cluster.
func (j *ReadinessJSON) Add(c *readiness.Cluster) error { return j.clusters.write(j.w, c) }

// Close ends the document with the totals and, when the clusters could not all
// be checked, the error. The document is valid either way.
func (j *ReadinessJSON) Close(t readiness.Totals, failure error) error {
	totals, _ := json.Marshal(t) // four numbers
	fmt.Fprintf(j.w, "\n],\"totals\":%s", totals)
	if failure != nil {
		text, _ := json.Marshal(failure.Error())
		fmt.Fprintf(j.w, ",\"error\":%s", text)
	}
	j.w.WriteString("}\n")
	return j.w.Flush()
}
