package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"rkepatch/internal/fleet"
)

func newJSONPage(w io.Writer, d PageData) (pageFormat, error) {
	h := d.Head
	h.APIVersion, h.Kind = APIVersion, d.Kind
	if d.Kind != "Run" {
		return planPage{NewPlanJSON(w, h)}, nil
	}
	outcomes, err := newSpool()
	if err != nil {
		return nil, err
	}
	p := &runPage{w: bufio.NewWriter(w), outcomes: outcomes}
	head, _ := json.Marshal(h) // four strings
	fmt.Fprintf(p.w, "%s", head[:len(head)-1])
	for _, f := range []struct{ name, value string }{{"run", d.Run}, {"runKind", d.RunKind}, {"of", d.Of}} {
		if f.value != "" {
			value, _ := json.Marshal(f.value)
			fmt.Fprintf(p.w, ",%q:%s", f.name, value)
		}
	}
	fmt.Fprint(p.w, ",\"plans\":[")
	return p, nil
}

// planPage is the document that plan -o json writes.
type planPage struct{ doc *PlanJSON }

func (p planPage) add(c *fleet.ClusterPlan, _ *fleet.Outcome) error { return p.doc.Add(c) }
func (p planPage) close(t Totals, failure error) error              { return p.doc.Close(t, failure) }

// runPage is RunJSON without the exit code, written while the clusters come in.
type runPage struct {
	w               *bufio.Writer
	outcomes        *spool
	plans, finished list
}

// list separates the items of a JSON array.
type list struct{ count int }

func (l *list) write(w io.Writer, item any) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	separator := ",\n"
	if l.count++; l.count == 1 {
		separator = "\n"
	}
	_, err = fmt.Fprintf(w, "%s%s", separator, data)
	return err
}

func (p *runPage) add(c *fleet.ClusterPlan, o *fleet.Outcome) error {
	if o != nil {
		if err := p.finished.write(p.outcomes, o); err != nil {
			return err
		}
	}
	return p.plans.write(p.w, c)
}

func (p *runPage) close(t Totals, failure error) error {
	defer p.outcomes.close()
	fmt.Fprint(p.w, "\n],\"outcomes\":[")
	if err := p.outcomes.copyTo(p.w); err != nil {
		return err
	}
	totals, _ := json.Marshal(t) // four numbers
	fmt.Fprintf(p.w, "\n],\"totals\":%s", totals)
	if failure != nil {
		text, _ := json.Marshal(failure.Error())
		fmt.Fprintf(p.w, ",\"error\":%s", text)
	}
	fmt.Fprint(p.w, "}\n")
	return p.w.Flush()
}
