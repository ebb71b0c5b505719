package rancher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Template is an RKE template: a name for revisions of a config that clusters are made from.
type Template struct {
	ID, Name          string
	DefaultRevisionID string // what a new cluster is made from unless somebody chooses; "" for none
	CanUpdate         bool   // links.update is there: the user may make revisions of it
}

// Revision is one revision of an RKE template. It never changes while a cluster uses it, but for being enabled
// (rancher v2.9.1 pkg/api/norman/store/clustertemplate/store.go:332-338).
type Revision struct {
	ID, Name, TemplateID string
	Enabled              bool
	Annotations          map[string]string // Rancher keeps no labels of anybody's
	// Config is its rancherKubernetesEngineConfig as Rancher sent it, nil when there is none. Passwords are not in it.
	Config json.RawMessage
	// Secrets are the fields that say where Rancher would keep a password of the revision, e.g. "privateRegistrySecret",
	// sorted. Some are there without one, see Implied. A copy of the revision lacks those passwords.
	Secrets []string
	// Questions of its author to whoever makes a cluster of it; the answers overwrite the config.
	Questions []Question

	canDisable bool
	spec       map[string]json.RawMessage // clusterConfig, member by member
	questions  json.RawMessage            // as they were sent
}

// String names the revision: its config may hold secrets in clear.
func (r *Revision) String() string { return "revision " + clean(r.ID) + " (" + clean(r.Name) + ")" }

// GoString is String, for %#v.
func (r *Revision) GoString() string { return r.String() }

// Question is one of a revision's, as far as it bears on the config.
type Question struct {
	Variable string `json:"variable"` // a path in the cluster, e.g. rancherKubernetesEngineConfig.kubernetesVersion
	Type     string `json:"type"`     // string, int, boolean, password, ...
	Default  string `json:"default"`
	Required bool   `json:"required"`
}

type templateJSON struct {
	ID                string `json:"id"`
	Name              string `json:"name"`
	DefaultRevisionID string `json:"defaultRevisionId"`
	Links             struct {
		Update string `json:"update"`
	} `json:"links"`
}

// templateID matches what can be the id of a template or a revision.
var templateID = regexp.MustCompile(`^[a-z0-9-]{1,63}:[a-z0-9][a-z0-9.-]{0,252}$`)

func templatePath(cl call, collection, id string) (call, error) {
	if cl.target = clean(id); !templateID.MatchString(id) {
		return cl, cl.fail(ErrNotFound, "this is not the id of a template or a revision", "ids look like cattle-global-data:ctr-abc12")
	}
	cl.path = "/v3/" + collection + "/" + url.PathEscape(id)
	return cl, nil
}

// Template reads one by id. errors.Is: ErrNotFound when there is none that the user may see (Rancher hides those that
// were not shared with him), ErrForbidden, and the kinds of any GET.
func (c *Client) Template(ctx context.Context, id string) (*Template, error) {
	cl, err := templatePath(call{op: "reading template"}, "clusterTemplates", id)
	if err != nil {
		return nil, err
	}
	var j templateJSON
	if err := c.get(ctx, cl, &j); err != nil {
		return nil, err
	}
	if j.ID != id {
		return nil, cl.fail(ErrBadAnswer, "the answer is about something else", notRancherHint)
	}
	return &Template{ID: j.ID, Name: j.Name, DefaultRevisionID: j.DefaultRevisionID, CanUpdate: j.Links.Update != ""}, nil
}

// revisionJSON is the part of Rancher's revision object that is read.
type revisionJSON struct {
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	TemplateID  string                     `json:"clusterTemplateId"`
	Enabled     *bool                      `json:"enabled"` // absent counts as true, as in Rancher
	Annotations map[string]string          `json:"annotations"`
	Spec        map[string]json.RawMessage `json:"clusterConfig"`
	Questions   json.RawMessage            `json:"questions"`
	Actions     struct {
		Disable string `json:"disable"`
	} `json:"actions"`
	revisionSecrets

	problem string
}

func (j *revisionJSON) bear(problem string) { j.problem = problem }

// revisionSecrets are the fields of a revision that name a secret (schema clusterTemplateRevision of rancher v2.9.1).
type revisionSecrets struct {
	AADClientCert       string `json:"aadClientCertSecret"`
	AADClient           string `json:"aadClientSecret"`
	ACIAPICUserKey      string `json:"aciAPICUserKeySecret"`
	ACIKafkaClientKey   string `json:"aciKafkaClientKeySecret"`
	ACIToken            string `json:"aciTokenSecret"`
	BastionHostSSHKey   string `json:"bastionHostSSHKeySecret"`
	KubeletExtraEnv     string `json:"kubeletExtraEnvSecret"`
	OpenStack           string `json:"openStackSecret"`
	PrivateRegistryECR  string `json:"privateRegistryECRSecret"`
	PrivateRegistry     string `json:"privateRegistrySecret"`
	S3Credential        string `json:"s3CredentialSecret"`
	EncryptionProviders string `json:"secretsEncryptionProvidersSecret"`
	VirtualCenter       string `json:"virtualCenterSecret"`
	Vsphere             string `json:"vsphereSecret"`
	WeavePassword       string `json:"weavePasswordSecret"`
}

func (s revisionSecrets) set() []string {
	raw, err := json.Marshal(s)
	var fields map[string]string
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		panic(err) // strings only
	}
	var out []string
	for name, value := range fields {
		if value != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (j *revisionJSON) revision(cl call) (*Revision, error) {
	r := &Revision{
		ID: j.ID, Name: j.Name, TemplateID: j.TemplateID, Enabled: j.Enabled == nil || *j.Enabled, Annotations: j.Annotations,
		Config: notNull(j.Spec[configField]), Secrets: j.set(), canDisable: j.Actions.Disable != "",
		spec: j.Spec, questions: notNull(j.Questions),
	}
	problem := j.problem
	if len(r.questions) > 0 && problem == "" && json.Unmarshal(r.questions, &r.Questions) != nil {
		problem = "its questions are not a list of questions"
	}
	if problem != "" {
		return nil, cl.fail(ErrBadAnswer, problem, "")
	}
	return r, nil
}

// Revision reads one by id. The errors are those of Template.
func (c *Client) Revision(ctx context.Context, id string) (*Revision, error) {
	cl, err := templatePath(call{op: "reading template revision"}, "clusterTemplateRevisions", id)
	if err != nil {
		return nil, err
	}
	var j revisionJSON
	if err := c.get(ctx, cl, &j); err != nil {
		return nil, err
	}
	if j.ID != id {
		return nil, cl.fail(ErrBadAnswer, "the answer is about something else", notRancherHint)
	}
	return j.revision(cl)
}

// Revisions streams the revisions of a template, by name. One that is not understood is left out: it is none that
// this program made.
func (c *Client) Revisions(ctx context.Context, template string) iter.Seq2[*Revision, error] {
	l := listing{op: "listing template revisions", collection: "clusterTemplateRevisions", query: url.Values{"clusterTemplateId": {template}}, key: "id"}
	return func(yield func(*Revision, error) bool) {
		for j, err := range list(ctx, c, l, func(j *revisionJSON) string { return j.ID }) {
			if err != nil {
				yield(nil, err)
				return
			}
			r, err := j.revision(call{})
			if err != nil || r.TemplateID != template {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Implied are the fields of Secrets that Rancher fills in for any revision with such a config, also when there is no
// password (rancher v2.9.1 pkg/controllers/management/secretmigrator/migrator.go). Sorted.
func Implied(config json.RawMessage) []string {
	var c struct {
		Registries []struct {
			Plugin map[string]any `json:"ecrCredentialPlugin"`
		} `json:"privateRegistries"`
		Services struct {
			Kubelet struct {
				Env []string `json:"extraEnv"`
			} `json:"kubelet"`
		} `json:"services"`
	}
	_ = json.Unmarshal(config, &c) // what is of another type implies nothing
	var out []string
	if slices.ContainsFunc(c.Services.Kubelet.Env, func(e string) bool { return strings.Contains(e, "AWS_SECRET_ACCESS_KEY") }) {
		out = append(out, "kubeletExtraEnvSecret")
	}
	for _, r := range c.Registries {
		if len(r.Plugin) > 0 {
			out = append(out, "privateRegistryECRSecret")
			break
		}
	}
	if len(c.Registries) > 0 {
		out = append(out, "privateRegistrySecret")
	}
	return out
}

// Copied reports whether r is of with config in place of its own, whatever the two are called: same template, same
// questions, and all else that clusters get from it, but for the white space that Rancher takes off. config is as it
// stands in a revision, see Trimmed. differ compares.
func (r *Revision) Copied(of *Revision, config json.RawMessage, differ Differ) (bool, error) {
	if r.TemplateID != of.TemplateID || r.Config == nil {
		return false, nil
	}
	var sides [2]json.RawMessage
	for i, side := range []*Revision{of, r} {
		rest := side.withConfig(nil)
		rest["questions"] = side.questions
		delete(rest, "clusterSecrets")
		raw, err := encode(rest)
		if err == nil {
			sides[i], err = trimmedJSON(raw)
		}
		if err != nil {
			return false, err
		}
	}
	for _, pair := range [][2]json.RawMessage{sides, {config, r.Config}} {
		paths, err := differ(pair[0], pair[1])
		if err != nil || len(paths) > 0 {
			return false, err
		}
	}
	return true, nil
}

// withConfig gives clusterConfig with another config.
func (r *Revision) withConfig(config json.RawMessage) map[string]json.RawMessage {
	out := maps.Clone(r.spec)
	out[configField] = config
	return out
}

// NewRevision is what a revision that is to be made has of its own.
type NewRevision struct {
	Name        string
	Annotations map[string]string // labels would be lost: Rancher replaces them
	Config      map[string]any    // the complete rancherKubernetesEngineConfig
}

// CreateRevision makes an enabled revision of the template that of belongs to: n's name and config, all else as of has
// it. Rancher takes the white space off all texts, see Trimmed. It is sent once and never repeated. Passwords of of are not shown by Rancher and cannot be carried over
// (of.Secrets).
//
// errors.Is: ErrForbidden and ErrNotFound when the user may not change the template, ErrNotStored, as
// *NotStoredError, with the revision, when Rancher keeps another config; ErrUnknownOutcome when it may have been made:
// look for it with Revisions.
func (c *Client) CreateRevision(ctx context.Context, of *Revision, n NewRevision, differ Differ) (*Revision, error) {
	post := call{op: "creating a revision of template", target: clean(of.TemplateID), method: http.MethodPost, path: "/v3/clusterTemplateRevisions"}
	config, err := encode(Trimmed(n.Config))
	if err != nil {
		return nil, post.cannotEncode(err)
	}
	spec := of.withConfig(config)
	delete(spec, "clusterSecrets")
	post.body, err = encode(struct {
		Name        string                     `json:"name"`
		Template    string                     `json:"clusterTemplateId"`
		Enabled     bool                       `json:"enabled"`
		Annotations map[string]string          `json:"annotations,omitempty"`
		Questions   json.RawMessage            `json:"questions,omitempty"`
		Spec        map[string]json.RawMessage `json:"clusterConfig"`
	}{n.Name, of.TemplateID, true, n.Annotations, of.questions, spec})
	if err != nil {
		return nil, post.cannotEncode(err)
	}
	if len(post.body) > MaxBodyBytes {
		return nil, post.fail(ErrTooLarge, fmt.Sprintf("the revision would take %d bytes, Rancher reads %d", len(post.body), MaxBodyBytes), "")
	}
	var j revisionJSON
	if err := c.writeInto(ctx, post, &j); err != nil {
		return nil, err
	}
	made, err := j.revision(post)
	if err != nil {
		return nil, post.unknown(err)
	}
	if !templateID.MatchString(made.ID) || made.Config == nil {
		return nil, post.unknown(post.fail(ErrBadAnswer, "the answer does not show the revision", ""))
	}
	same, err := made.Copied(of, config, differ)
	switch {
	case err != nil:
		return made, post.unknown(fmt.Errorf("comparing the stored revision: %w", err))
	case !same || !made.Enabled:
		paths, _ := differ(config, made.Config)
		return made, &NotStoredError{Op: "creating template revision", Cluster: made.ID, Paths: paths}
	}
	return made, nil
}

// writeInto sends a request that changes something, once, and reads the object that Rancher answers with.
func (c *Client) writeInto(ctx context.Context, cl call, into any) error {
	a, err := c.send(ctx, cl)
	if err != nil {
		if outcomeKnown(err) {
			return err
		}
		return cl.unknown(err)
	}
	defer a.Close()
	if err := a.decode(into); err != nil {
		return cl.unknown(err)
	}
	return nil
}

// RevisionInUse reports whether a cluster is made from r, also one that the user may not see: Rancher refuses any change
// of such a revision. What is sent changes nothing of one that is not in use. The errors are those of any write.
func (c *Client) RevisionInUse(ctx context.Context, r *Revision) (bool, error) {
	cl, err := templatePath(call{op: "asking whether a cluster uses template revision", method: http.MethodPut, body: []byte(`{"clusterConfig":{}}`)}, "clusterTemplateRevisions", r.ID)
	if err != nil {
		return false, err
	}
	err = c.write(ctx, cl)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity && refused.Code == "InvalidAction" {
		return true, nil
	}
	return false, err
}

// DisableRevision makes Rancher refuse new clusters of a revision, and moves to it. errors.Is: ErrNotUpdatable when
// Rancher does not offer it to this user, ErrNotStored when the revision is still enabled.
func (c *Client) DisableRevision(ctx context.Context, r *Revision) error {
	cl, err := templatePath(call{op: "disabling template revision", method: http.MethodPost, query: url.Values{"action": {"disable"}}, body: []byte("{}")}, "clusterTemplateRevisions", r.ID)
	switch {
	case err != nil:
		return err
	case !r.canDisable:
		return cl.fail(ErrNotUpdatable, "Rancher offers no such action on it", "use the token of an owner of the template")
	}
	if err := c.write(ctx, cl); err != nil {
		return err
	}
	now, err := c.Revision(ctx, r.ID)
	if err == nil && now.Enabled {
		err = cl.fail(ErrNotStored, "it is still enabled", "")
	}
	return err
}

// write sends a request that changes something, once. What Rancher answers beside the status is not looked at: an action
// may answer 204 with nothing.
func (c *Client) write(ctx context.Context, cl call) error {
	a, err := c.send(ctx, cl)
	switch {
	case err == nil:
		a.drain()
		a.Close()
		return nil
	case outcomeKnown(err):
		return err
	}
	return cl.unknown(err)
}

// texts gives values as Rancher's map[string]string holds them.
func texts(values map[string]any) map[string]string {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]string, len(values))
	for name, value := range values {
		out[name] = strings.TrimSpace(fmt.Sprint(value))
	}
	return out
}
