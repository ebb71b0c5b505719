package rancher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
)

// MaxBodyBytes is the largest request body Rancher reads; of a longer one it sees a part and says
// "unexpected EOF" (norman parse/read_input.go:25, parse/parse.go:18).
const MaxBodyBytes = 2 << 20

// Differ returns the paths at which the stored config differs from the intended one. It must treat an
// absent value and its zero value as equal and not look at norman's "type" keys: Rancher re-encodes the
// config through Go structs.
type Differ func(intent, stored json.RawMessage) ([]string, error)

// updateBody is the smallest safe body of an update: the complete config, because Rancher merges zero
// values of a partial one over what is stored; the name, without which it refuses; and the annotations
// only where they steer what is stored. Without ?_replace, so that nothing else can be lost.
type updateBody struct {
	Name        string            `json:"name"`
	Config      map[string]any    `json:"rancherKubernetesEngineConfig"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// UpdateConfig stores config as the complete rancherKubernetesEngineConfig of cl, which must come from
// a fresh Cluster call, and returns the cluster as Rancher stored it. The request is sent once and
// never repeated. differ compares what was stored with what was to be expected (see Rewrites).
//
// Without anything sent, errors.Is: ErrNotUpdatable (no name, no config, made from a template, no right
// to update, or a pending restore or rotation that an update would start again), ErrTooLarge (over
// 2 MiB), ErrUnreachable and ErrTLS (no connection). Refused by Rancher: the kinds of Error.
// Stored, but not as intended: ErrNotStored, as *NotStoredError, with the cluster. Perhaps stored:
// ErrUnknownOutcome, also for 409 and 5xx, wrapping the cause; read the cluster again before anything else.
func (c *Client) UpdateConfig(ctx context.Context, cl *Cluster, config map[string]any, differ Differ) (*Cluster, error) {
	put := cl.putCall()
	return c.update(ctx, put, cl, config, differ, func(body map[string]any) any {
		return updateBody{cl.Name, body, cl.echoedAnnotations()}
	})
}

func (c *Cluster) putCall() call {
	return call{op: "updating cluster", target: clean(c.ID), method: http.MethodPut, path: "/v3/clusters/" + url.PathEscape(c.ID)}
}

// update sends what compose makes of the config to send, and compares.
func (c *Client) update(ctx context.Context, put call, cl *Cluster, config map[string]any, differ Differ, compose func(map[string]any) any) (*Cluster, error) {
	if differ == nil {
		return nil, put.fail(ErrOption, "nobody would compare what was stored", "")
	}
	if why, hint := cl.notUpdatable(config); why != "" {
		return nil, put.fail(ErrNotUpdatable, why, hint)
	}
	body, expected, _, err := cl.Rewrites(config)
	if err != nil {
		return nil, err
	}
	if put.body, err = encode(compose(body)); err != nil {
		return nil, put.cannotEncode(err)
	}
	if len(put.body) > MaxBodyBytes {
		return nil, put.fail(ErrTooLarge, fmt.Sprintf("the update would take %d bytes, Rancher reads %d", len(put.body), MaxBodyBytes),
			"make the config smaller in Rancher first, e.g. by moving long addons to addons_include")
	}
	intent, err := encode(expected)
	if err != nil {
		return nil, put.cannotEncode(err)
	}

	stored, paths, err := c.putAndCompare(ctx, put, cl.ID, intent, differ)
	if err == nil && len(paths) > 0 {
		err = &NotStoredError{Cluster: cl.ID, Paths: paths}
	}
	return stored, err
}

// putAndCompare sends an update of a cluster and gives the paths at which the stored config is not the intended one.
func (c *Client) putAndCompare(ctx context.Context, put call, id string, intent json.RawMessage, differ Differ) (stored *Cluster, paths []string, err error) {
	if stored, err = c.put(ctx, put); err != nil {
		return nil, nil, err
	}
	if stored.ID != id || stored.Config == nil {
		return nil, nil, put.unknown(put.fail(ErrBadAnswer, "the answer does not show the cluster's config", ""))
	}
	if paths, err = differ(intent, stored.Config); err != nil {
		return stored, nil, put.unknown(fmt.Errorf("comparing the stored config: %w", err))
	}
	return stored, paths, nil
}

// put sends an update and reads the stored cluster.
func (c *Client) put(ctx context.Context, cl call) (*Cluster, error) {
	a, err := c.send(ctx, cl)
	if err != nil {
		if outcomeKnown(err) {
			return nil, err
		}
		return nil, cl.unknown(err)
	}
	defer a.Close()
	var j clusterJSON
	if err := a.decode(&j); err != nil {
		return nil, cl.unknown(err)
	}
	return j.cluster(), nil
}

// outcomeKnown reports whether a failed update certainly changed nothing: it was not sent, or Rancher
// refused it. A 409 or 5xx proves nothing: clusters with private registries get a second internal write
// after the change was stored (rancher v2.9.1 cluster_store.go:876-904).
func outcomeKnown(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.unsent || e.Status >= 400 && e.Status < 500 &&
		e.Status != http.StatusConflict && e.Status != http.StatusRequestTimeout
}

// unknown wraps what left the outcome open.
func (cl call) unknown(cause error) *Error {
	e := cl.fail(ErrUnknownOutcome, cause.Error(), "read the cluster again: the change may have been stored")
	var inner *Error
	if errors.As(cause, &inner) {
		e.Message, e.Status, e.Code, e.Field = inner.reason(), 0, "", ""
	}
	e.cause = cause
	return e
}

func (cl call) cannotEncode(err error) *Error {
	e := cl.fail(ErrOption, "the config holds something that is not JSON", "")
	e.cause = err
	return e
}

// notUpdatable says why an update of this cluster would be refused, lost or dangerous; "" when it is not.
func (c *Cluster) notUpdatable(config map[string]any) (why, hint string) {
	switch {
	case c.Name == "":
		return "the cluster has no name", "give it one in Rancher first"
	case c.Config == nil || len(config) == 0:
		return "the cluster has no RKE config", "only RKE1 clusters can be patched"
	case c.TemplateRevisionID != nil && *c.TemplateRevisionID != "":
		return "the cluster is made from an RKE template: Rancher would answer 200 and throw the change away", "make a new revision of the template"
	case c.TemplateRevisionID != nil:
		return "clusterTemplateRevisionId is empty instead of null, so Rancher refuses every update", "an administrator must remove the field from the cluster object"
	case !c.CanUpdate:
		return "the user may not update it", "use an API key of a cluster owner or an administrator"
	}
	for _, flag := range transientFlags {
		if flag.set(config) {
			return flag.name + " is set: an update would start it again", "wait until Rancher has cleared it, or clear it in Rancher"
		}
	}
	return "", ""
}

// transientFlags are orders to Rancher that live in the config. Rancher clears them when done, but an
// update that echoes an older config gives the order again.
var transientFlags = []struct {
	name string
	set  func(config map[string]any) bool
}{
	{"restore.restore", func(config map[string]any) bool {
		restore, _ := config["restore"].(map[string]any)
		return restore["restore"] == true
	}},
	{"rotateCertificates", func(config map[string]any) bool { return config["rotateCertificates"] != nil }},
	{"rotateEncryptionKey", func(config map[string]any) bool { return config["rotateEncryptionKey"] == true }},
}

// encode is json.Marshal without the escapes for HTML, which would make a body longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// NotEnoughNodes reads out of a failed update that Rancher refused it because as many nodes are not Ready
// as the upgrade strategy in that update allows to be unavailable: the setting under upgradeStrategy that
// would have to be higher, and how many nodes are not Ready. ok is false for any other failure. The
// refusal is a plain 500 (rancher v2.9.1 pkg/api/norman/store/cluster/cluster_store.go:1471-1559).
func NotEnoughNodes(err error) (setting string, notReady int, ok bool) {
	if err == nil {
		return "", 0, false
	}
	m := notEnough.FindStringSubmatch(err.Error())
	if m == nil {
		return "", 0, false
	}
	setting = "maxUnavailableWorker"
	if m[1] == "control plane" {
		setting = "maxUnavailableControlplane"
	}
	n, convErr := strconv.Atoi(m[2])
	return setting, n, convErr == nil && n > 0 && n < math.MaxInt32
}

var notEnough = regexp.MustCompile(`not enough (control plane|worker) nodes ready to upgrade, maxUnavailable: \d+, notReady: (\d+)`)
