package rancher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/rancher/norman/parse/builder"
	"github.com/rancher/norman/types/values"
)

// ErrAnswer is wrapped when a cluster's answers to the questions of its template do not fit: one is missing, hidden,
// or of another type.
var ErrAnswer = errors.New("the answers to the template's questions do not fit")

// Move is what Rancher makes of a cluster that is moved to a revision.
type Move struct {
	// Config is what the revision gives after the answers and Rancher's own rewrites. A plain PUT merges it over what
	// is stored; with ?_replace it is what is stored.
	Config map[string]any
	// Before and After are the fields beside the config that clusters get from a revision. Those that the revision does
	// not set are the same in both after a plain PUT, and gone with ?_replace.
	Before, After map[string]json.RawMessage
}

// specBase are the fields beside the config that a revision has, too (schema clusterSpecBase of rancher v2.9.1).
type specBase struct {
	AgentEnvVars                json.RawMessage `json:"agentEnvVars"`
	AgentImageOverride          json.RawMessage `json:"agentImageOverride"`
	ClusterAgentCustomization   json.RawMessage `json:"clusterAgentDeploymentCustomization"`
	DefaultRoleForMembers       json.RawMessage `json:"defaultClusterRoleForProjectMembers"`
	DefaultPodSecurityAdmission json.RawMessage `json:"defaultPodSecurityAdmissionConfigurationTemplateName"`
	DesiredAgentImage           json.RawMessage `json:"desiredAgentImage"`
	DesiredAuthImage            json.RawMessage `json:"desiredAuthImage"`
	EnableNetworkPolicy         json.RawMessage `json:"enableNetworkPolicy"`
	FleetAgentCustomization     json.RawMessage `json:"fleetAgentDeploymentCustomization"`
	LocalClusterAuthEndpoint    json.RawMessage `json:"localClusterAuthEndpoint"`
}

func (b specBase) fields(dockerRootDir string) map[string]json.RawMessage {
	root, err := encode(dockerRootDir)
	if err != nil {
		panic(err) // a string
	}
	return map[string]json.RawMessage{
		"agentEnvVars": b.AgentEnvVars, "agentImageOverride": b.AgentImageOverride,
		"clusterAgentDeploymentCustomization":                  b.ClusterAgentCustomization,
		"defaultClusterRoleForProjectMembers":                  b.DefaultRoleForMembers,
		"defaultPodSecurityAdmissionConfigurationTemplateName": b.DefaultPodSecurityAdmission,
		"desiredAgentImage":                                    b.DesiredAgentImage, "desiredAuthImage": b.DesiredAuthImage,
		"dockerRootDir": root, "enableNetworkPolicy": b.EnableNetworkPolicy,
		"fleetAgentDeploymentCustomization": b.FleetAgentCustomization, "localClusterAuthEndpoint": b.LocalClusterAuthEndpoint,
	}
}

// Move foresees what becomes of cl when it is moved to a revision that is r with config in place of its own, replace as
// for MoveToRevision (rancher v2.9.1 cluster_store.go:393-551, 743-749). Rancher trims nothing of it, as the body has no
// config. Errors wrap ErrAnswer, or are those of Cluster.Rewrites.
func (r *Revision) Move(cl *Cluster, config map[string]any, replace bool) (Move, error) {
	spec, err := r.answered(cl, config)
	if err != nil {
		return Move{}, err
	}
	given, _ := spec[configField].(map[string]any)
	if strategy := cl.upgradeStrategy(); given["upgradeStrategy"] == nil && strategy != nil {
		given["upgradeStrategy"] = strategy // cluster_store.go:1269-1322
	}
	f := foresight{cluster: cl, body: given, stored: given}
	for _, rule := range f.storeRules() {
		rule()
	}
	if f.err != nil {
		return Move{}, f.err
	}
	m := Move{Config: f.stored, Before: cl.Base, After: map[string]json.RawMessage{}}
	for name, raw := range cl.Base {
		value := spec[name]
		switch {
		case value == nil && replace:
			continue
		case value == nil:
			m.After[name] = raw
			continue
		case !replace:
			value = over(raw, value)
		}
		if m.After[name], err = encode(value); err != nil {
			return Move{}, err
		}
	}
	return m, nil
}

// upgradeStrategy is that of the cluster's config, nil when there is none.
func (c *Cluster) upgradeStrategy() map[string]any {
	var config struct {
		Strategy map[string]any `json:"upgradeStrategy"`
	}
	_ = json.Unmarshal(c.Config, &config) // one of another type is found out by Rewrites
	delete(config.Strategy, "type")
	return config.Strategy
}

// over merges an object over a stored one as a PUT does; any other value takes its place.
func over(stored json.RawMessage, value any) any {
	object, isObject := value.(map[string]any)
	was := map[string]any{}
	if !isObject || json.Unmarshal(stored, &was) != nil || was == nil {
		return value
	}
	maps.Copy(was, object)
	return was
}

// answered gives clusterConfig with config and the cluster's answers in it.
func (r *Revision) answered(cl *Cluster, config map[string]any) (map[string]any, error) {
	spec := map[string]any{}
	for name, raw := range r.spec {
		var value any
		if name == configField || name == "clusterSecrets" {
			continue
		}
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, err
		}
		spec[name] = value
	}
	spec[configField] = copyJSON(config)
	for _, q := range r.Questions {
		answer, given := cl.Answers[q.Variable]
		switch {
		case q.Variable == "":
			continue
		case strings.HasPrefix(strings.ToLower(q.Variable), strings.ToLower(configField+".privateRegistries")):
			return nil, fmt.Errorf("%w: %s is about the private registries, where Rancher takes the cluster's own entry for one of the revision's: what comes of it is not foreseen", ErrAnswer, clean(q.Variable))
		case q.Type == "password" && answer == "":
			return nil, fmt.Errorf("%w: the answer to %s is a password that Rancher does not show: it would be lost", ErrAnswer, clean(q.Variable))
		case !given && q.Required && q.Default == "":
			return nil, fmt.Errorf("%w: %s has no answer and no default", ErrAnswer, clean(q.Variable))
		case !given:
			answer = q.Default
		}
		value, err := builder.ConvertSimple(q.Type, answer, builder.Create)
		if err != nil {
			return nil, fmt.Errorf("%w: the answer to %s is no %s", ErrAnswer, clean(q.Variable), clean(q.Type))
		}
		if strings.EqualFold(q.Variable, configField+".kubernetesVersion") && given {
			value = versionOf(cl) // an unchanged answer keeps the version that the cluster has
		}
		values.PutValue(spec, value, strings.Split(q.Variable, ".")...)
		if _, ok := spec[configField].(map[string]any); !ok {
			return nil, fmt.Errorf("%w: the answer to %s takes the place of the whole config", ErrAnswer, clean(q.Variable))
		}
	}
	return spec, nil
}

func versionOf(cl *Cluster) string {
	var config struct {
		Version string `json:"kubernetesVersion"`
	}
	_ = json.Unmarshal(cl.Config, &config) // a config without a version is refused elsewhere
	return config.Version
}

// moveBody is the body of a move. Rancher takes all else from the revision; description and answers it takes from the
// body, also when they are absent.
type moveBody struct {
	Name        string            `json:"name"`
	Revision    string            `json:"clusterTemplateRevisionId"`
	Description string            `json:"description"`
	Answers     any               `json:"answers,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// MoveToRevision moves cl, which must come from a fresh Cluster call, to a revision of its template; expected is the
// config that it then has, see Move. With replace, what the revision lacks is taken out (?_replace=true), which is the
// only way back to an empty map or list; all fields of the cluster are in the body then, as ReplaceConfig has them.
// The request is sent once and never repeated. Everything beside the config is read before and afterwards.
//
// The errors are those of UpdateConfig.
func (c *Client) MoveToRevision(ctx context.Context, cl *Cluster, revision string, expected map[string]any, differ Differ, replace bool) (*Cluster, error) {
	put := cl.putCall()
	put.op = "moving cluster"
	if !templateID.MatchString(revision) {
		return nil, put.fail(ErrOption, "the revision has no usable id", "")
	}
	if why, hint := cl.notMovable(expected); why != "" {
		return nil, put.fail(ErrNotUpdatable, why, hint)
	}
	intent, err := encode(expected)
	if err != nil {
		return nil, put.cannotEncode(err)
	}
	before, err := c.writable(ctx, cl.ID)
	if err != nil {
		return nil, err
	}
	now, err := encode(before[configField])
	if err != nil {
		return nil, put.cannotEncode(err)
	}
	if paths, err := differ(cl.Config, now); err != nil || len(paths) > 0 || before["clusterTemplateRevisionId"] != *cl.TemplateRevisionID {
		return nil, put.fail(ErrNotUpdatable, "it was changed or moved in this very moment", "plan again")
	}
	body := moveBody{Name: cl.Name, Revision: revision, Description: cl.Description, Annotations: cl.echoedAnnotations()}
	if len(cl.Answers) > 0 {
		body.Answers = before["answers"]
	}
	put.body, err = encode(body)
	if replace {
		if workspace, _ := before["fleetWorkspaceName"].(string); workspace == "" {
			return nil, put.fail(ErrNotUpdatable, "it has no Fleet workspace", "move it back in the Rancher UI")
		}
		whole := maps.Clone(before)
		delete(whole, configField)
		whole["clusterTemplateRevisionId"] = revision
		put.query = url.Values{"_replace": {"true"}}
		put.body, err = encode(whole)
	}
	if err != nil {
		return nil, put.cannotEncode(err)
	}
	stored, paths, err := c.putAndCompare(ctx, put, cl.ID, intent, differ)
	if err != nil {
		return stored, err
	}
	if !stored.On(revision) {
		paths = append(paths, "clusterTemplateRevisionId")
	}
	after, err := c.writable(ctx, cl.ID)
	if err != nil {
		return stored, put.unknown(err)
	}
	moved, err := Others{before}.BesideRevision().Moved(Others{after}.BesideRevision(), differ)
	if err != nil {
		return stored, put.unknown(err)
	}
	if paths = append(paths, moved...); len(paths) > 0 {
		return stored, &NotStoredError{Op: put.op, Cluster: cl.ID, Paths: paths}
	}
	return stored, nil
}

// BesideRevision leaves out what a move is about: the revision, and the answers, which gain the defaults.
func (o Others) BesideRevision() Others {
	fields := maps.Clone(o.fields)
	delete(fields, "clusterTemplateRevisionId")
	delete(fields, "answers")
	return Others{fields}
}

// On reports whether the cluster is made from that revision.
func (c *Cluster) On(revision string) bool {
	return c.TemplateRevisionID != nil && *c.TemplateRevisionID == revision
}

// Templated reports whether the cluster is made from an RKE template.
func (c *Cluster) Templated() bool { return c.TemplateRevisionID != nil && *c.TemplateRevisionID != "" }

// notMovable says why a move of this cluster would be refused, lost or dangerous; "" when it is not.
func (c *Cluster) notMovable(expected map[string]any) (why, hint string) {
	if !c.Templated() {
		return "the cluster is not made from an RKE template", "update its config"
	}
	without := *c
	without.TemplateRevisionID = nil
	return without.notUpdatable(expected)
}
