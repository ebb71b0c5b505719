package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"rkepatch/internal/fleet"
	"rkepatch/internal/newnodes"
)

// TemplatesJSON is `nodes templates -o json`, and the rollback of such a run.
type TemplatesJSON struct {
	Head
	Templates *fleet.NodeTemplates
	Of        string // run that is taken back
	Run       string // "" when nothing was changed
	Edits     []NodeTemplateEditJSON
	Outcomes  []fleet.Outcome
	ExitCode  int
}

// NodeTemplateEditJSON is what would change on a node template.
type NodeTemplateEditJSON struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Field   string `json:"field"`
	Diff    string `json:"diff"` // masked
	Refused string `json:"refused,omitempty"`
}

// NodeTemplateEdits gives edits without what may be secret.
func NodeTemplateEdits(edits []*fleet.NodeTemplateEdit) []NodeTemplateEditJSON {
	out := []NodeTemplateEditJSON{}
	for _, e := range edits {
		j := NodeTemplateEditJSON{ID: e.ID, Name: e.Name, Field: string(e.Field), Diff: e.Diff}
		if e.Refused != nil {
			j.Refused, j.Diff = e.Refused.Error(), ""
		}
		out = append(out, j)
	}
	return out
}

// Write writes the document.
func (d TemplatesJSON) Write(w io.Writer) error {
	doc := map[string]any{
		"apiVersion": APIVersion, "kind": "NodeTemplates", "server": d.Server, "rancherVersion": d.RancherVersion, "exitCode": d.ExitCode,
	}
	if t := d.Templates; t != nil {
		uses, custom := t.Uses, t.Custom
		if uses == nil {
			uses = []*fleet.NodeTemplateUse{}
		}
		if custom == nil {
			custom = []fleet.PoolUse{}
		}
		doc["templates"], doc["withoutPools"] = uses, custom
		if t.Unseen != "" {
			doc["unseen"] = t.Unseen
		}
	}
	if d.Edits != nil {
		doc["edits"], doc["outcomes"] = d.Edits, d.Outcomes
	}
	for key, value := range map[string]string{"run": d.Run, "of": d.Of} {
		if value != "" {
			doc[key] = value
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}

// hintOf gives the advice that an error carries.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// NodeTemplates writes node templates for a person.
func (t Text) NodeTemplates(found *fleet.NodeTemplates) {
	for _, u := range found.Uses {
		t.template(u)
	}
	t.Custom(found)
	fmt.Fprintln(t.W, countTemplates(found))
}

var stateColor = map[newnodes.State]color.Attribute{
	newnodes.Prepared: color.FgGreen, newnodes.Unknown: color.FgYellow, newnodes.Unprepared: color.FgRed,
}

func (t Text) template(u *fleet.NodeTemplateUse) {
	fmt.Fprintf(t.W, "%s  %s  %s\n", t.paint(Clean(u.Name), color.Bold), t.paint(Clean(strings.Trim(u.ID+", "+u.Driver, ", ")), color.Faint),
		t.paint(string(u.Verdict.State), stateColor[u.Verdict.State]))
	fmt.Fprintf(t.W, "  %s\n", Clean(u.Verdict.Reason))
	fmt.Fprintf(t.W, "  pools: %s\n", Clean(pools(u.Pools)))
	if len(u.Others) > 0 {
		fmt.Fprintf(t.W, "  also used by clusters that were not selected: %s\n", Clean(pools(u.Others)))
	}
	if u.URL != "" {
		fmt.Fprintf(t.W, "  Docker install URL: %s\n", Clean(u.URL))
	}
	fmt.Fprintln(t.W)
}

// pools names pools by cluster: "prod-us (prod-us-cp-, prod-us-w-), shop (shop-w-)".
func pools(uses []fleet.PoolUse) string {
	var out []string
	for _, name := range fleet.ClustersOf(uses) {
		var prefixes []string
		for _, u := range uses {
			if u.Name == name {
				prefixes = append(prefixes, u.Prefix)
			}
		}
		out = append(out, name+" ("+strings.Join(prefixes, ", ")+")")
	}
	return strings.Join(out, ", ")
}

// Custom writes which clusters have no node pools.
func (t Text) Custom(found *fleet.NodeTemplates) {
	switch {
	case found.Unseen != "":
		fmt.Fprintf(t.W, "%s: whether new nodes would come up is not known\n\n", found.Unseen)
	case len(found.Custom) > 0:
		fmt.Fprintf(t.W, "without node pools: %s; put the provider into the image of their machines: rkepatch nodes script\n\n",
			Clean(strings.Join(fleet.ClustersOf(found.Custom), ", ")))
	}
}

func countTemplates(found *fleet.NodeTemplates) string {
	n := map[newnodes.State]int{}
	for _, u := range found.Uses {
		n[u.Verdict.State]++
	}
	return fmt.Sprintf("%s: %d prepared, %d unprepared, %d unknown", plural(len(found.Uses), "node template"), n[newnodes.Prepared], n[newnodes.Unprepared], n[newnodes.Unknown])
}

// NodeTemplateEdit writes what would change on a node template.
func (t Text) NodeTemplateEdit(e *fleet.NodeTemplateEdit) {
	fmt.Fprintf(t.W, "%s  %s\n", t.paint(Clean(e.Name), color.Bold), t.paint(Clean(e.ID), color.Faint))
	if e.Use != nil {
		fmt.Fprintf(t.W, "  pools: %s\n", Clean(pools(e.Use.Pools)))
		if len(e.Use.Others) > 0 {
			fmt.Fprintf(t.W, "  also used by clusters that were not selected: %s\n", Clean(pools(e.Use.Others)))
		}
	}
	switch {
	case e.Refused != nil:
		fmt.Fprintf(t.W, "  %s\n", t.paint("left alone: "+Clean(e.Refused.Error()), color.FgRed))
		if hint := hintOf(e.Refused); hint != "" {
			fmt.Fprintf(t.W, "        %s\n", Clean(hint))
		}
	case !e.Todo():
		fmt.Fprintln(t.W, "  nothing to do: already as wanted")
	default:
		t.Diff(e.Diff)
	}
	fmt.Fprintln(t.W)
}
