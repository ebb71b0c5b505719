package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rkepatch/rancher"
)

// KindNodeTemplates is the kind of a run that changes node templates, in its journal.
const KindNodeTemplates = "templates"

// templateImage is what a node template was before a run changed it.
type templateImage struct {
	APIVersion string                `json:"apiVersion"` // rkepatch/v1
	Kind       string                `json:"kind"`       // TemplatePreImage
	Run        string                `json:"run"`
	Server     string                `json:"server"`
	TakenAt    time.Time             `json:"takenAt"`
	ID         string                `json:"id"`
	UUID       string                `json:"uuid"`
	Name       string                `json:"name"`
	Field      rancher.TemplateField `json:"field"`
	Before     string                `json:"before"`
	After      string                `json:"after"`
	File       string                `json:"file,omitempty"` // that was merged into user data
	Template   json.RawMessage       `json:"template"`       // as Rancher showed it
}

const templateImageKind = "TemplatePreImage"

// saveTemplateImage writes what t is to the disk and returns once it is there.
func (r *Run) saveTemplateImage(image templateImage) error {
	image.APIVersion, image.Kind, image.Run = "rkepatch/v1", templateImageKind, r.ID
	data, err := json.Marshal(image)
	if err != nil {
		return err
	}
	if err := r.write(r.preImage(image.ID), data, 0o600); err != nil {
		return stateError(err)
	}
	return syncDir(filepath.Join(r.Dir, preDir))
}

func (r *Run) loadTemplateImage(id string) (templateImage, error) {
	var image templateImage
	data, err := os.ReadFile(r.preImage(id))
	if err != nil {
		return image, fmt.Errorf("reading what the template was before: %w", err)
	}
	if err := json.Unmarshal(data, &image); err != nil || image.ID != id || image.Kind != templateImageKind ||
		image.Field != rancher.FieldDockerInstallURL && image.Field != rancher.FieldUserData {
		return image, fmt.Errorf("reading what the template was before: %s is damaged", r.preImage(id))
	}
	return image, nil
}

// NodeTemplateApplier carries edits of node templates out.
type NodeTemplateApplier struct {
	Rancher *rancher.Client
	Run     *Run
	Clock   Clock
	Poll    time.Duration // between two looks for what came of an update without an answer
	File    string        // that is merged into user data, for the pre-images
	Again   string        // the command that does what is left
	// Earlier is the run that is taken back, nil for one that changes.
	Earlier *Run
	Done    func(Outcome)
}

// Apply changes the templates one after the other and gives an outcome for each
// edit. The first failure stops; no request is cut short when ctx ends.
func (a *NodeTemplateApplier) Apply(ctx context.Context, edits []*NodeTemplateEdit) []Outcome {
	a.Run.journal.setClock(a.Clock.Now)
	outcomes := make([]Outcome, len(edits))
	failed := false
	for i, e := range edits {
		o := Outcome{ID: e.ID, Name: e.Name, Started: a.Clock.Now()}
		switch {
		case e.Refused != nil:
			o.Status, o.Message = StatusBlocked, e.Refused.Error()
		case failed || ctx.Err() != nil:
			o.Status, o.Message, o.Next = StatusNotStarted, "the run ended before its turn", a.Again
		default:
			o = a.change(ctx, e, o)
			if err := a.Run.Note(Entry{Event: EventOutcome, Cluster: e.ID, Name: e.Name, Outcome: &o}); err != nil && o.Err == nil {
				o = o.failed(o.Stored, err, a.Again)
			}
			failed = o.Status == StatusFailed || o.Status == StatusStale
		}
		o.Duration = a.Clock.Now().Sub(o.Started)
		outcomes[i] = o
		a.Done(o)
	}
	return outcomes
}

// change does one edit.
func (a *NodeTemplateApplier) change(ctx context.Context, e *NodeTemplateEdit, o Outcome) Outcome {
	t, err := a.Rancher.NodeTemplate(ctx, e.ID)
	switch {
	case err != nil:
		return o.failed(false, err, a.Again)
	case t.UUID != e.template.UUID || t.Get(e.Field) != e.Before:
		o.Status, o.Message, o.Next = StatusStale, "it was changed since it was shown; nothing was sent", a.Again
		o.Err = ErrStale
		return o
	case !e.Todo():
		o.Status, o.Message = StatusUnchanged, "already as wanted"
		return a.noted(o)
	}
	image := templateImage{
		Server: a.Rancher.URL(), TakenAt: a.Clock.Now().UTC(), ID: e.ID, UUID: t.UUID, Name: e.Name,
		Field: e.Field, Before: e.Before, After: e.After, Template: t.Raw(),
	}
	if e.Field == rancher.FieldUserData {
		image.File = a.File
	}
	err = a.Run.saveTemplateImage(image)
	for _, event := range []Event{EventPreImage, EventPut} {
		if err == nil {
			err = a.Run.Note(Entry{Event: event, Cluster: e.ID, Name: e.Name, Text: string(e.Field)})
		}
	}
	if err != nil {
		return o.failed(false, err, "")
	}
	if err := a.put(ctx, t, e); err != nil {
		stored := unsure(err) || errors.Is(err, rancher.ErrNotStored)
		if !stored {
			err = errors.Join(err, a.Run.Note(Entry{Event: EventRefused, Cluster: e.ID, Name: e.Name}))
		}
		o.Unsure = unsure(err)
		return o.failed(stored, err, a.Again)
	}
	o.Status, o.Stored, o.Message = StatusPatched, true, "set; nodes made from now on get it, those that are there do not"
	if err := a.Run.Note(Entry{Event: EventStored, Cluster: e.ID, Name: e.Name}); err != nil {
		return o.failed(true, err, "")
	}
	return a.noted(o)
}

// noted says in the journal of the run that is taken back that it was.
func (a *NodeTemplateApplier) noted(o Outcome) Outcome {
	if a.Earlier == nil {
		return o
	}
	if o.Status == StatusPatched {
		o.Message = "as it was before; nodes made meanwhile keep what they have"
	}
	if err := a.Earlier.Note(Entry{Event: EventRolledBack, Cluster: o.ID, Name: o.Name, By: a.Run.ID}); err != nil {
		return o.failed(o.Stored, err, "")
	}
	return o
}

// put sends the edit once. Without an answer, the template is read until it is
// known what was stored: nothing is repeated blind.
func (a *NodeTemplateApplier) put(ctx context.Context, t *rancher.NodeTemplate, e *NodeTemplateEdit) error {
	whole := context.WithoutCancel(ctx)
	_, unknown := a.Rancher.SetTemplateField(whole, t, e.Field, e.After)
	if !errors.Is(unknown, rancher.ErrUnknownOutcome) {
		return unknown
	}
	left := 1
	if unanswered(unknown) {
		left = looks
	}
	for {
		now, err := a.Rancher.NodeTemplate(whole, t.ID)
		if err == nil {
			var fromIntent, fromBefore []string
			fromIntent, err = t.Compared(e.Field, e.After, now)
			if err == nil {
				fromBefore, err = t.Compared(e.Field, e.Before, now)
			}
			switch {
			case err != nil:
			case len(fromIntent) == 0:
				return nil
			case len(fromBefore) > 0:
				return fmt.Errorf("%w; read again, it is neither as it was nor as it was sent: %w, it differs at %s", unknown, rancher.ErrNotStored, enumerate(fromIntent))
			}
		}
		left--
		switch {
		case left > 0 && a.Clock.Sleep(ctx, a.Poll) == nil:
		case err != nil:
			return fmt.Errorf("%w; reading the template again: %w", unknown, err)
		case left > 0:
			return fmt.Errorf("%w; interrupted while looking whether it was stored", unknown)
		default:
			return fmt.Errorf("%w: %w", errUntouched, unknown)
		}
	}
}

// BeginNodeTemplates writes the head of a run that changes node templates.
func (r *Run) BeginNodeTemplates(h Head) error {
	h.Format = journalFormat
	return r.journal.Append(Entry{Event: EventBegun, Head: &h})
}
