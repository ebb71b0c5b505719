package rancher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
)

// NodeTemplate is what the nodes of a node pool are made from. It prints as its id and name only: user data
// may hold secrets.
type NodeTemplate struct {
	ID, UUID, Name string // cattle-global-nt:nt-abc12
	Driver         string // "amazonec2"
	// DockerInstallURL is the script that Rancher runs on a new node that has no Docker yet (rancher machine
	// libmachine/provision/utils.go:27-40). "" stands for the setting engine-install-url, "none" for no script.
	DockerInstallURL string
	// UserData is what the driver hands to the machine for its first boot, "" when there is none.
	UserData string
	// HasConfig says that the answer showed the driver's config. Lists may leave it out, NodeTemplate does not.
	HasConfig bool
	CanUpdate bool // links.update is there: the user may update it

	// Problem says what in Rancher's answer about this template was not understood, "" when all was.
	Problem string

	raw json.RawMessage // the object as NodeTemplate read it; nil from a list
}

// String names the template.
func (t NodeTemplate) String() string {
	return "node template " + clean(t.ID) + " (" + clean(t.Name) + ")"
}

// GoString is String, for %#v.
func (t NodeTemplate) GoString() string { return t.String() }

// LogValue keeps the user data out of logs.
func (t NodeTemplate) LogValue() slog.Value { return slog.StringValue(t.String()) }

// TemplateField is a field of a node template that decides what a new node comes up with.
type TemplateField string

// The two of them.
const (
	FieldDockerInstallURL TemplateField = "engineInstallURL"
	FieldUserData         TemplateField = "userdata" // in the driver's config
)

// Get gives the field's value.
func (t *NodeTemplate) Get(f TemplateField) string {
	if f == FieldUserData {
		return t.UserData
	}
	return t.DockerInstallURL
}

// Raw is the template as NodeTemplate read it, nil for one from a list. It may hold secrets in the user data, but
// none of the driver's password fields: Rancher never shows those.
func (t *NodeTemplate) Raw() json.RawMessage { return t.raw }

// nodeTemplateJSON is the part of Rancher's node template object that is read.
type nodeTemplateJSON struct {
	ID               string `json:"id"`
	UUID             string `json:"uuid"`
	Name             string `json:"name"`
	Driver           string `json:"driver"`
	EngineInstallURL string `json:"engineInstallURL"`
	Links            struct {
		Update string `json:"update"`
	} `json:"links"`

	userData  string
	hasConfig bool
	problem   string
}

func (j *nodeTemplateJSON) bear(problem string) { j.problem = problem }

// UnmarshalJSON reads the driver's config, too, whose field is named after the driver.
func (j *nodeTemplateJSON) UnmarshalJSON(data []byte) error {
	type plain nodeTemplateJSON
	if err := json.Unmarshal(data, (*plain)(j)); err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	config := notNull(fields[configOf(j.Driver)])
	if j.Driver == "" || config == nil {
		return nil
	}
	j.hasConfig = true
	var driver struct {
		UserData string `json:"userdata"`
	}
	err := json.Unmarshal(config, &driver)
	j.userData = driver.UserData
	return err
}

// configOf names the field that holds a driver's config (rancher v2.9.1 pkg/configfield).
func configOf(driver string) string { return driver + "Config" }

func (j *nodeTemplateJSON) template() *NodeTemplate {
	return &NodeTemplate{
		ID: j.ID, UUID: j.UUID, Name: j.Name, Driver: j.Driver, DockerInstallURL: j.EngineInstallURL,
		UserData: j.userData, HasConfig: j.hasConfig, CanUpdate: j.Links.Update != "", Problem: j.problem,
	}
}

// NodeTemplates streams the node templates the user may see, the way Clusters streams clusters: those that he made,
// or all for an administrator.
func (c *Client) NodeTemplates(ctx context.Context) iter.Seq2[*NodeTemplate, error] {
	l := listing{op: "listing node templates", collection: "nodeTemplates", query: url.Values{}}
	return func(yield func(*NodeTemplate, error) bool) {
		for j, err := range list(ctx, c, l, func(j *nodeTemplateJSON) string { return j.ID }) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(j.template(), nil) {
				return
			}
		}
	}
}

// nodeTemplateID matches what can be a node template's id: cattle-global-nt:nt-xxxxx, or the namespace of its maker
// in old ones.
var nodeTemplateID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,252}:[a-z0-9][a-z0-9.-]{0,252}$`)

// NodeTemplate reads one node template by id. The answer is fit for SetTemplateField. errors.Is: ErrNotFound when
// there is none that the user may see, or when id cannot be one.
func (c *Client) NodeTemplate(ctx context.Context, id string) (*NodeTemplate, error) {
	cl := call{op: "reading node template", target: clean(id)}
	if !nodeTemplateID.MatchString(id) {
		return nil, cl.fail(ErrNotFound, "this is not the id of a node template", "ids look like cattle-global-nt:nt-abc12")
	}
	cl.path = nodeTemplatePath(id)
	var raw json.RawMessage
	if err := c.get(ctx, cl, &raw); err != nil {
		return nil, err
	}
	return cl.template(id, raw)
}

func nodeTemplatePath(id string) string { return "/v3/nodeTemplates/" + url.PathEscape(id) }

// template reads a template out of an answer.
func (cl call) template(id string, raw json.RawMessage) (*NodeTemplate, error) {
	var j nodeTemplateJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return nil, cl.fail(ErrBadAnswer, "the answer holds a "+clean(wrongType.Value)+" in the field "+clean(wrongType.Field), "")
		}
		return nil, cl.fail(ErrBadAnswer, "the answer is not an object", notRancherHint)
	}
	if j.ID != id {
		return nil, cl.fail(ErrBadAnswer, "the answer is about something else", notRancherHint)
	}
	t := j.template()
	t.raw = raw
	return t, nil
}

// TakesUserData reports whether nodes of a driver can be given user data through this Rancher: the driver's config has
// an updatable text field userdata in the server's own schema (rancher v2.9.1 drivers/nodedriver/machine_driver.go:32-34).
// The errors are the kinds of any GET; a driver that the server does not know takes none.
func (c *Client) TakesUserData(ctx context.Context, driver string) (bool, error) {
	templates, err := c.schema(ctx, "nodeTemplate")
	if err != nil {
		return false, err
	}
	kind := templates.ResourceFields[configOf(driver)].Type
	if kind == "" {
		return false, nil
	}
	config, err := c.schema(ctx, kind)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	field := config.ResourceFields[string(FieldUserData)]
	return field.Type == "string" && field.Update, nil
}

// SetTemplateField stores value in one field of a node template, which must come from a fresh NodeTemplate call, and
// returns the template as it was read back afterwards. Only nodes made later get it. The body is the driver's config
// as it was read, without which Rancher refuses (rancher v2.9.1 pkg/api/norman/customization/nodetemplate/validation.go),
// and the edit: Rancher merges it over what is stored, so that the password fields, which it never shows, stay. The
// request is sent once and never repeated.
//
// Without anything sent, errors.Is: ErrNotUpdatable (no right, or the driver takes no user data), ErrTooLarge (over
// 2 MiB), ErrUnreachable and ErrTLS. Refused by Rancher: the kinds of Error. Stored, but not as intended, or with
// something else changed: ErrNotStored. Perhaps stored: ErrUnknownOutcome, also for 409 and 5xx; read the template
// again before anything else.
func (c *Client) SetTemplateField(ctx context.Context, t *NodeTemplate, f TemplateField, value string) (*NodeTemplate, error) {
	put := call{op: "updating node template", target: clean(t.ID), method: http.MethodPut, path: nodeTemplatePath(t.ID)}
	intent, config, err := t.edited(put, f, value)
	if err != nil {
		return nil, err
	}
	if f == FieldUserData {
		takes, err := c.TakesUserData(ctx, t.Driver)
		if err != nil {
			return nil, err
		}
		if !takes {
			return nil, put.fail(ErrNotUpdatable, "nodes of driver "+clean(t.Driver)+" take no user data through Rancher", "set the Docker install URL instead, or put the provider into the image")
		}
	}
	body := map[string]any{configOf(t.Driver): config}
	if f == FieldDockerInstallURL {
		body[string(f)] = value
	}
	if put.body, err = encode(body); err != nil {
		return nil, put.cannotEncode(err)
	}
	if len(put.body) > MaxBodyBytes {
		return nil, put.fail(ErrTooLarge, fmt.Sprintf("the update would take %d bytes, Rancher reads %d", len(put.body), MaxBodyBytes), "make it smaller")
	}
	stored, err := c.putTemplate(ctx, put, t.ID)
	if err != nil {
		return nil, err
	}
	now, err := c.NodeTemplate(ctx, t.ID)
	if err != nil {
		return stored, put.unknown(err)
	}
	for _, seen := range []*NodeTemplate{stored, now} {
		if paths := movedSince(intent, seen.raw); len(paths) > 0 {
			return now, &NotStoredError{Op: put.op, Cluster: t.ID, Paths: paths}
		}
	}
	return now, nil
}

// Compared gives the paths at which now differs from t with one field edited: nothing when an update without an answer
// was stored as it was meant.
func (t *NodeTemplate) Compared(f TemplateField, value string, now *NodeTemplate) ([]string, error) {
	intent, _, err := t.edited(call{op: "comparing node template", target: clean(t.ID)}, f, value)
	if err != nil {
		return nil, err
	}
	return movedSince(intent, now.raw), nil
}

// edited gives the object with the field set, and the driver's config in it.
func (t *NodeTemplate) edited(cl call, f TemplateField, value string) (object, config map[string]any, err error) {
	object, err = decodeObject(t.raw)
	if err != nil {
		return nil, nil, cl.fail(ErrOption, "the template was not read on its own", "")
	}
	config, _ = object[configOf(t.Driver)].(map[string]any)
	switch {
	case !t.CanUpdate:
		return nil, nil, cl.fail(ErrNotUpdatable, "the user may not update it", "use an API key of the user who made the template, or of an administrator")
	case t.Driver == "" || config == nil:
		return nil, nil, cl.fail(ErrNotUpdatable, "Rancher does not show the config of its driver, without which it refuses every update", "look at the template in the Rancher UI")
	case f == FieldUserData:
		config[string(f)] = value
	default:
		object[string(f)] = value
	}
	return object, config, nil
}

func decodeObject(raw json.RawMessage) (map[string]any, error) {
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		return nil, err
	}
	return object, nil
}

// putTemplate sends an update and reads the stored template.
func (c *Client) putTemplate(ctx context.Context, put call, id string) (*NodeTemplate, error) {
	a, err := c.send(ctx, put)
	if err != nil {
		if outcomeKnown(err) {
			return nil, err
		}
		return nil, put.unknown(err)
	}
	defer a.Close()
	var raw json.RawMessage
	if err := a.decode(&raw); err != nil {
		return nil, put.unknown(err)
	}
	t, err := put.template(id, raw)
	if err != nil {
		return nil, put.unknown(err)
	}
	return t, nil
}
