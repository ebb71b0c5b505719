package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"

	"rkepatch/internal/newnodes"
	"rkepatch/rancher"
)

// NodeTemplateEdit is a change of one field of a node template.
type NodeTemplateEdit struct {
	Use           *NodeTemplateUse // nil for a way back
	ID, Name      string
	Field         rancher.TemplateField
	Before, After string // whole; never to be shown
	Diff          string // masked; "" when there is nothing to do
	Refused       error  // why it is left alone, nil when it is not

	template *rancher.NodeTemplate
}

// Todo reports whether there is something to change.
func (e *NodeTemplateEdit) Todo() bool { return e.Refused == nil && e.Before != e.After }

// NewValue computes a field's new value from the present one. shown is a masked diff.
type NewValue func(before string) (after, shown string, err error)

// NewInstallURL sets the Docker install URL.
func NewInstallURL(address string) NewValue {
	return func(before string) (string, string, error) {
		return address, urlDiff(before, address), nil
	}
}

// NewUserData merges a file into user data.
func NewUserData(file string) NewValue {
	return func(before string) (string, string, error) {
		after, err := newnodes.Merge(before, file)
		after = strings.TrimSpace(after) // as Rancher stores it
		return after, newnodes.Diff(before, after, file), err
	}
}

func urlDiff(before, after string) string {
	if before == after {
		return ""
	}
	from, to := "", ""
	if before != "" {
		from = newnodes.ShownURL(before) + "\n"
	}
	if after != "" {
		to = newnodes.ShownURL(after) + "\n"
	}
	if from == to { // they differ in what is not shown
		from, to = strings.TrimSuffix(from, "\n")+" (before)\n", strings.TrimSuffix(to, "\n")+" (after)\n"
	}
	return udiff.Unified("Docker install URL (now)", "Docker install URL (planned)", from, to)
}

// PlanNodeTemplates reads the templates in use and plans an edit for each. What stands
// in the way of one is its Refused; the errors are those of reading.
func (p *Planner) PlanNodeTemplates(ctx context.Context, uses []*NodeTemplateUse, field rancher.TemplateField, value NewValue) ([]*NodeTemplateEdit, error) {
	var edits []*NodeTemplateEdit
	for _, u := range uses {
		e := &NodeTemplateEdit{Use: u, ID: u.ID, Name: u.Name, Field: field}
		edits = append(edits, e)
		t, err := p.Rancher.NodeTemplate(ctx, u.ID)
		switch {
		case unseen(err) || errors.Is(err, rancher.ErrBadAnswer):
			e.Refused = err
			continue
		case err != nil:
			return nil, err
		}
		if err := p.planTemplate(ctx, e, t, value); err != nil {
			return nil, err
		}
	}
	return edits, nil
}

func (p *Planner) planTemplate(ctx context.Context, e *NodeTemplateEdit, t *rancher.NodeTemplate, value NewValue) error {
	e.template, e.Name, e.Before, e.After = t, orElse(t.Name, t.ID), t.Get(e.Field), t.Get(e.Field)
	if e.Field == rancher.FieldUserData {
		takes, err := p.Rancher.TakesUserData(ctx, t.Driver)
		if err != nil {
			return err
		}
		if !takes {
			e.Refused = fmt.Errorf("nodes of driver %s take no user data through this Rancher: set the Docker install URL, or put the provider into the image", t.Driver)
			return nil
		}
	}
	after, shown, err := value(e.Before)
	if err != nil {
		e.Refused = err
		return nil
	}
	e.After, e.Diff = after, shown
	if e.Todo() {
		// What must not be sent is said before anybody is asked.
		_, e.Refused = t.Compared(e.Field, after, t)
	}
	return nil
}

// RevertNodeTemplates plans the way back of a run that changed node templates: each
// field that still holds what the run stored gets back what it held before. ids are templates
// of the run.
func (p *Planner) RevertNodeTemplates(ctx context.Context, run *Run, ids []string) ([]*NodeTemplateEdit, error) {
	var edits []*NodeTemplateEdit
	for _, id := range ids {
		e := &NodeTemplateEdit{ID: id, Name: id}
		edits = append(edits, e)
		image, err := run.loadTemplateImage(id)
		if err != nil {
			e.Refused = err
			continue
		}
		e.Name, e.Field = image.Name, image.Field
		t, err := p.Rancher.NodeTemplate(ctx, id)
		switch {
		case unseen(err) || errors.Is(err, rancher.ErrBadAnswer):
			e.Refused = err
			continue
		case err != nil:
			return nil, err
		}
		e.template, e.Before, e.After = t, t.Get(e.Field), image.Before
		switch {
		case t.UUID != image.UUID:
			e.Refused = fmt.Errorf("%s is another template now (uuid %s, changed was %s)", id, t.UUID, image.UUID)
		case e.Before == e.After:
		case e.Before != image.After:
			e.Refused = fmt.Errorf("its %s was changed since the run; settle it by hand, %s holds what it was", e.Field, run.preImage(id))
		case e.Field == rancher.FieldUserData:
			e.Diff = newnodes.Diff(e.Before, e.After, image.File)
		default:
			e.Diff = urlDiff(e.Before, e.After)
		}
	}
	return edits, nil
}

// OtherClusters names the clusters outside the selection whose new nodes the edits
// change, too.
func OtherClusters(edits []*NodeTemplateEdit) []string {
	var names []string
	for _, e := range edits {
		if e.Todo() && e.Use != nil {
			for _, name := range ClustersOf(e.Use.Others) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
