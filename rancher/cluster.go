package rancher

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
)

// DriverRKE is the driver of RKE1 clusters that Rancher provisioned (rancher v2.9.1
// pkg/apis/management.cattle.io/v3/cluster_types.go:74-83).
const DriverRKE = "rancherKubernetesEngine"

// Cluster is what a plan, an update and the follow-up need to know of a cluster. It prints as its id and
// name only: Config may hold secrets in clear, such as values of extraEnv.
type Cluster struct {
	ID, UUID, Name       string
	Driver, Provider     string // DriverRKE for RKE1; the provider is detected from the nodes and "" before there are any
	State                string // computed by Rancher from the conditions, e.g. "active", "updating"
	Transitioning        string // yes, no or error
	TransitioningMessage string
	Conditions           Conditions
	Labels, Annotations  map[string]string
	NodeCount            int
	LinuxWorkerCount     int
	WindowsWorkerCount   int
	NodeVersion          int // counts the roll-outs to worker nodes
	Internal             bool
	DockerRootDir        string

	// TemplateRevisionID is nil for a cluster without an RKE template. It may point to "", which makes
	// Rancher refuse every update.
	TemplateRevisionID *string
	TemplateID         string // "" without a template
	// Answers are those to the questions of the template's revision, by variable; nil without any.
	Answers map[string]string

	CanUpdate bool // links.update is there: the user may update the cluster

	// Config is rancherKubernetesEngineConfig as Rancher sent it, nil when there is none.
	Config json.RawMessage
	// AppliedKubelet and FailedKubelet are services.kubelet of the config that was last applied and of
	// the one that failed; nil when absent.
	AppliedKubelet, FailedKubelet json.RawMessage
	HasAppliedConfig              bool // appliedSpec has an RKE config: the cluster was provisioned once
	HasFailedSpec                 bool

	Description string
	Base        map[string]json.RawMessage // the fields beside the config that a template's revision has, too; nil without a template

	// Problem says what in Rancher's answer about this cluster was not understood, "" when all was. The
	// fields around it may be empty then. Only lists give such clusters; Cluster fails instead.
	Problem string

	// ClusterSecrets holds, by field (e.g. "privateRegistryECRSecret"), the names of the secrets that
	// Rancher moved passwords to. Not their values.
	ClusterSecrets map[string]string
}

// String names the cluster.
func (c Cluster) String() string { return "cluster " + clean(c.ID) + " (" + clean(c.Name) + ")" }

// GoString is String, for %#v.
func (c Cluster) GoString() string { return c.String() }

// LogValue keeps the config out of logs.
func (c Cluster) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Condition is one of a cluster's or node's conditions. Times are RFC 3339.
type Condition struct {
	Type           string `json:"type"`
	Status         string `json:"status"` // True, False or Unknown
	Reason         string `json:"reason"`
	Message        string `json:"message"`
	LastUpdateTime string `json:"lastUpdateTime"`
	// LastTransitionTime is when the status last became another one. Kubernetes sets it, not every condition of
	// Rancher has it.
	LastTransitionTime string `json:"lastTransitionTime"`
}

// Conditions are in the order Rancher sent them.
type Conditions []Condition

// Get returns the condition of the given type.
func (cs Conditions) Get(kind string) (Condition, bool) {
	i := slices.IndexFunc(cs, func(c Condition) bool { return c.Type == kind })
	if i < 0 {
		return Condition{}, false
	}
	return cs[i], true
}

// Status returns True, False or Unknown, and "" when there is no condition of that type.
func (cs Conditions) Status(kind string) string {
	c, _ := cs.Get(kind)
	return c.Status
}

// IsTrue reports whether the condition is there and True.
func (cs Conditions) IsTrue(kind string) bool { return cs.Status(kind) == "True" }

// clusterJSON is the part of Rancher's cluster object that is read; the rest is passed over.
type clusterJSON struct {
	ID                   string            `json:"id"`
	UUID                 string            `json:"uuid"`
	Name                 string            `json:"name"`
	Driver               string            `json:"driver"`
	Provider             string            `json:"provider"`
	State                string            `json:"state"`
	Transitioning        string            `json:"transitioning"`
	TransitioningMessage string            `json:"transitioningMessage"`
	Conditions           Conditions        `json:"conditions"`
	Labels               map[string]string `json:"labels"`
	Annotations          map[string]string `json:"annotations"`
	NodeCount            int               `json:"nodeCount"`
	LinuxWorkerCount     int               `json:"linuxWorkerCount"`
	WindowsWorkerCount   int               `json:"windowsWorkerCount"`
	NodeVersion          int               `json:"nodeVersion"`
	Internal             bool              `json:"internal"`
	DockerRootDir        string            `json:"dockerRootDir"`
	TemplateID           string            `json:"clusterTemplateId"`
	TemplateRevisionID   *string           `json:"clusterTemplateRevisionId"`
	Description          string            `json:"description"`
	Answers              struct {
		Values map[string]any `json:"values"`
	} `json:"answers"`
	specBase
	Config         json.RawMessage   `json:"rancherKubernetesEngineConfig"`
	AppliedSpec    *specJSON         `json:"appliedSpec"`
	FailedSpec     *specJSON         `json:"failedSpec"`
	ClusterSecrets map[string]string `json:"clusterSecrets"`
	Links          struct {
		Update string `json:"update"`
	} `json:"links"`

	problem string
}

func (j *clusterJSON) bear(problem string) { j.problem = problem }

type specJSON struct {
	Config *struct {
		Services struct {
			Kubelet json.RawMessage `json:"kubelet"`
		} `json:"services"`
	} `json:"rancherKubernetesEngineConfig"`
}

func (s *specJSON) kubelet() json.RawMessage {
	if s == nil || s.Config == nil {
		return nil
	}
	return notNull(s.Config.Services.Kubelet)
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func (j *clusterJSON) cluster() *Cluster {
	delete(j.ClusterSecrets, "type") // norman's, of the object itself
	cl := &Cluster{
		ID: j.ID, UUID: j.UUID, Name: j.Name,
		Driver: j.Driver, Provider: j.Provider,
		State: j.State, Transitioning: j.Transitioning, TransitioningMessage: j.TransitioningMessage,
		Conditions: j.Conditions, Labels: j.Labels, Annotations: j.Annotations,
		NodeCount: j.NodeCount, LinuxWorkerCount: j.LinuxWorkerCount, WindowsWorkerCount: j.WindowsWorkerCount,
		NodeVersion: j.NodeVersion, Internal: j.Internal, DockerRootDir: j.DockerRootDir,
		TemplateRevisionID: j.TemplateRevisionID, TemplateID: j.TemplateID,
		Description:      j.Description,
		CanUpdate:        j.Links.Update != "",
		Config:           notNull(j.Config),
		AppliedKubelet:   j.AppliedSpec.kubelet(),
		FailedKubelet:    j.FailedSpec.kubelet(),
		HasAppliedConfig: j.AppliedSpec != nil && j.AppliedSpec.Config != nil,
		HasFailedSpec:    j.FailedSpec != nil,
		ClusterSecrets:   j.ClusterSecrets,
		Problem:          j.problem,
	}
	if cl.TemplateRevisionID != nil {
		cl.Answers, cl.Base = texts(j.Answers.Values), j.specBase.fields(j.DockerRootDir)
	}
	return cl
}

// ClusterQuery selects clusters. Empty fields do not restrict, but for Driver.
type ClusterQuery struct {
	Driver             string   // DriverRKE when empty
	AnyDriver          bool     // every driver; Driver is not looked at
	IDs                []string // nil does not restrict; an empty list selects nothing
	Name               string
	TemplateID         string
	TemplateRevisionID string
}

// passes reports whether j is what was asked for: Rancher passes over a filter it does not know and answers with
// the whole list.
func (q ClusterQuery) passes(j *clusterJSON) bool {
	revision := ""
	if j.TemplateRevisionID != nil {
		revision = *j.TemplateRevisionID
	}
	return (q.AnyDriver || j.Driver == q.Driver) && (q.Name == "" || j.Name == q.Name) &&
		(q.TemplateID == "" || j.TemplateID == q.TemplateID) && (q.TemplateRevisionID == "" || revision == q.TemplateRevisionID)
}

// Clusters streams the clusters the user may see, by name; a caller may stop at any time. The first
// error ends it. A cluster from here is good for a plan; read it with Cluster before an update, because
// lists go through typed objects in Rancher and may lack fields (rancher v2.9.1 proxy_store.go:585-617).
func (c *Client) Clusters(ctx context.Context, q ClusterQuery) iter.Seq2[*Cluster, error] {
	if q.Driver == "" {
		q.Driver = DriverRKE
	}
	l := listing{op: "listing clusters", collection: "clusters", query: url.Values{}, key: "id", ids: q.IDs}
	if !q.AnyDriver {
		l.query.Set("driver", q.Driver)
	}
	for field, value := range map[string]string{"name": q.Name, "clusterTemplateId": q.TemplateID, "clusterTemplateRevisionId": q.TemplateRevisionID} {
		if value != "" {
			l.query.Set(field, value)
		}
	}
	wanted := setOf(q.IDs)
	return func(yield func(*Cluster, error) bool) {
		for j, err := range list(ctx, c, l, func(j *clusterJSON) string { return j.ID }) {
			if err != nil {
				yield(nil, err)
				return
			}
			if j.problem == "" && !q.passes(j) || wanted != nil && !wanted[j.ID] {
				continue
			}
			if !yield(j.cluster(), nil) {
				return
			}
		}
	}
}

// setOf returns nil for nil, which stands for no restriction.
func setOf(ids []string) map[string]bool {
	if ids == nil {
		return nil
	}
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// clusterID matches what can be a cluster's id: c-xxxxx, c-m-xxxxxxxx, local.
var clusterID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

// Cluster reads one cluster by id. The answer is fit for UpdateConfig. errors.Is: ErrNotFound when there
// is none that the user may see, or when id cannot be one.
func (c *Client) Cluster(ctx context.Context, id string) (*Cluster, error) {
	cl := call{op: "reading cluster", target: clean(id)}
	if !clusterID.MatchString(id) {
		return nil, cl.fail(ErrNotFound, "this is not a cluster id", "cluster ids look like c-abc12")
	}
	cl.path = "/v3/clusters/" + url.PathEscape(id)
	var j clusterJSON
	if err := c.get(ctx, cl, &j); err != nil {
		return nil, err
	}
	if j.ID != id {
		return nil, cl.fail(ErrBadAnswer, "the answer is about something else", notRancherHint)
	}
	return j.cluster(), nil
}
