package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"rkepatch/internal/fleet"
)

// APIVersion is that of every JSON document; docs/json.md describes them.
const APIVersion = "rkepatch/v1"

// Head begins every JSON document.
type Head struct {
	APIVersion     string `json:"apiVersion"`
	Kind           string `json:"kind"`
	Server         string `json:"server"`
	RancherVersion string `json:"rancherVersion"`
}

// PlanJSON writes one JSON document of kind Plan while the clusters come in,
// so that a fleet is never held in memory.
type PlanJSON struct {
	w     *bufio.Writer
	count int
}

// NewPlanJSON begins the document.
func NewPlanJSON(w io.Writer, h Head) *PlanJSON {
	out := &PlanJSON{w: bufio.NewWriter(w)}
	h.APIVersion = APIVersion
	head, _ := json.Marshal(h) // four strings
	fmt.Fprintf(out.w, "%s,\"clusters\":[", head[:len(head)-1])
	return out
}

// Add writes one cluster.
func (p *PlanJSON) Add(c *fleet.ClusterPlan) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if p.count++; p.count > 1 {
		p.w.WriteByte(',')
	}
	p.w.WriteString("\n")
	_, err = p.w.Write(data)
	return err
}

// Close ends the document with the totals and, when the clusters could not all
// be read, the error. The document is valid either way.
func (p *PlanJSON) Close(t Totals, failure error) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.w, "\n],\"totals\":%s", data)
	if failure != nil {
		text, _ := json.Marshal(failure.Error())
		fmt.Fprintf(p.w, ",\"error\":%s", text)
	}
	p.w.WriteString("}\n")
	return p.w.Flush()
}

// RunJSON is the JSON document of an apply or a rollback.
type RunJSON struct {
	Head
	Run      string               `json:"run,omitempty"`
	RunKind  string               `json:"runKind,omitempty"` // apply or rollback
	Of       string               `json:"of,omitempty"`      // the run that a rollback takes back
	Plans    []*fleet.ClusterPlan `json:"plans"`
	Outcomes []fleet.Outcome      `json:"outcomes"`
	Totals   Totals               `json:"totals"`
	ExitCode int                  `json:"exitCode"`
}

// Write writes the document.
func (r RunJSON) Write(w io.Writer) error {
	r.APIVersion, r.Kind = APIVersion, "Run"
	return json.NewEncoder(w).Encode(r)
}
