package rancher

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// Rewrite is one thing that Rancher changes by itself whenever a cluster is updated, whatever the patch.
type Rewrite struct {
	Path   string `json:"path"`   // within the config, e.g. cloudProvider.useInstanceMetadataHostname; annotations.KEY for an annotation
	Before any    `json:"before"` // nil when absent
	After  any    `json:"after"`  // nil when removed; both are nil for text, which may be a secret
	Why    string `json:"why"`
	Pinned bool   `json:"pinned"` // the body prevents it: After is what stays in force
}

// criDockerd is the annotation that keeps Rancher from switching cri-dockerd on. Only the annotations of
// the body count, not the stored ones (rancher v2.9.1 pkg/api/norman/store/cluster/cluster_store.go:1385-1390).
const criDockerd = "io.cattle.cluster.cridockerd.enable"

// Rewrites foresees an update of the cluster to the wanted config, which is left as it is. It returns
//   - body: the config to send, that is the wanted one with the pins that keep Rancher from changing
//     what nobody asked for,
//   - stored: what Rancher is then expected to store (absent and zero value count as equal there),
//   - list: the rewrites that really change something, and the pins.
//
// Errors are *Error of the kinds ErrBadAnswer (config with a value of the wrong type) and
// ErrNotUpdatable (a Kubernetes version that Rancher would replace).
//
// Source: rancher v2.9.1 cluster_store.go, functions as named at each rule, and norman v0.5.2
// parse/builder/builder.go for the trimming.
func (c *Cluster) Rewrites(config map[string]any) (body, stored map[string]any, list []Rewrite, err error) {
	f := foresight{cluster: c}
	f.body = copyJSON(config).(map[string]any)
	f.pinHostname()
	f.stored = copyJSON(f.body).(map[string]any)
	for _, rule := range f.rules() {
		rule()
	}
	if f.err != nil {
		return nil, nil, nil, f.err
	}
	return f.body, f.stored, f.list, nil
}

// rules are those for a body, in Rancher's order.
func (f *foresight) rules() []func() {
	return append(f.storeRules(), f.trim, f.annotations)
}

// storeRules are those that a config passes that does not come from the body: what a template gives is put in its place
// after norman has trimmed that.
func (f *foresight) storeRules() []func() {
	return []func(){f.version, f.criDockerd, f.hostname, f.upgradeStrategy, f.registries}
}

// foresight applies what Rancher does to a config, rule by rule.
type foresight struct {
	cluster      *Cluster
	body, stored map[string]any
	list         []Rewrite
	err          *Error
}

func (f *foresight) fail(kind error, message, hint string) {
	if f.err == nil {
		f.err = &Error{Op: "reading the config of cluster", Target: clean(f.cluster.ID), Kind: kind, Message: message, hint: hint}
	}
}

// object returns a member that is an object; nil when it is absent or null.
func (f *foresight) object(in map[string]any, path, key string) map[string]any {
	switch v := in[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return v
	default:
		f.fail(ErrBadAnswer, path+" is "+jsonKind(v)+" where an object belongs", "")
		return nil
	}
}

func (f *foresight) text(in map[string]any, path, key string) string {
	switch v := in[key].(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(v)
	default:
		f.fail(ErrBadAnswer, path+" is "+jsonKind(v)+" where text belongs", "")
		return ""
	}
}

// version covers setKubernetesVersion (1177-1213): a version that is not a full one of Rancher's, like
// 1.26.x, is replaced by the newest that fits, which would upgrade the cluster.
func (f *foresight) version() {
	v := f.text(f.stored, "kubernetesVersion", "kubernetesVersion")
	if v == "" {
		return
	}
	if _, err := version.ParseGeneric(v); err != nil || !strings.Contains(v, "-rancher") {
		f.fail(ErrNotUpdatable, fmt.Sprintf("kubernetesVersion is %q: Rancher would replace it by one that it thinks fits", clean(v)),
			"set the full version, like v1.26.15-rancher1-1, in Rancher first")
	}
}

var firstWithCRIDockerd = version.MustParseGeneric("1.24.0")

// criDockerd covers enableCRIDockerd (1380-1396). A config without a version counts as a new one.
func (f *foresight) criDockerd() {
	if f.cluster.Annotations[criDockerd] == "false" {
		return
	}
	v, err := version.ParseGeneric(f.text(f.stored, "kubernetesVersion", "kubernetesVersion"))
	if err == nil && v.LessThan(firstWithCRIDockerd) {
		return
	}
	before := f.stored["enableCriDockerd"]
	f.stored["enableCriDockerd"] = true
	if before != true {
		f.list = append(f.list, Rewrite{
			Path: "enableCriDockerd", Before: before, After: true,
			Why: "Rancher switches cri-dockerd on for Kubernetes 1.24 and later unless the annotation " + criDockerd + " is false",
		})
	}
}

const (
	awsInTree   = "aws"
	awsExternal = "external-aws"
	hostnameKey = "useInstanceMetadataHostname"
)

// pinHostname writes down what is in force while the key is absent: false. Rancher would make it true
// for external-aws, and RKE would then rename the nodes.
func (f *foresight) pinHostname() {
	provider := f.object(f.body, "cloudProvider", "cloudProvider")
	if f.text(provider, "cloudProvider.name", "name") != awsExternal || provider[hostnameKey] != nil {
		return
	}
	provider[hostnameKey] = false
	f.list = append(f.list, Rewrite{
		Path: "cloudProvider." + hostnameKey, After: false, Pinned: true,
		Why: "Rancher would set it to true for external-aws, which renames the nodes; it is written down as false, which is what is in force",
	})
}

// hostname covers setInstanceMetadataHostname (1363-1378). With the pin, external-aws never lacks the key; the config
// of a template's revision has no pin.
func (f *foresight) hostname() {
	provider := f.object(f.stored, "cloudProvider", "cloudProvider")
	if provider[hostnameKey] != nil {
		return
	}
	switch f.text(provider, "cloudProvider.name", "name") {
	case awsInTree:
		provider[hostnameKey] = false
	case awsExternal:
		provider[hostnameKey] = true
	}
}

// upgradeDefaults are what setNodeUpgradeStrategy (1269-1322) writes where a key is absent.
var upgradeDefaults = []struct {
	key   string
	value any
}{
	{"drain", false},
	{"maxUnavailableControlplane", "1"},
	{"maxUnavailableWorker", "10%"},
}

func (f *foresight) upgradeStrategy() {
	strategy := f.object(f.stored, "upgradeStrategy", "upgradeStrategy")
	if strategy == nil {
		strategy = map[string]any{}
		f.stored["upgradeStrategy"] = strategy
	}
	for _, d := range upgradeDefaults {
		if before := strategy[d.key]; before != nil && before != "" {
			continue
		}
		strategy[d.key] = d.value
		if d.value != false {
			f.list = append(f.list, Rewrite{
				Path: "upgradeStrategy." + d.key, After: d.value,
				Why: "Rancher writes its default down; it is what is in force already",
			})
		}
	}
}

// registries covers cleanPrivateRegistry (1451-1469).
func (f *foresight) registries() {
	registries, ok := f.stored["privateRegistries"].([]any)
	if !ok && f.stored["privateRegistries"] != nil {
		f.fail(ErrBadAnswer, "privateRegistries is "+jsonKind(f.stored["privateRegistries"])+" where a list belongs", "")
	}
	for i, r := range registries {
		path := fmt.Sprintf("privateRegistries[%d]", i)
		registry, ok := r.(map[string]any)
		if !ok {
			f.fail(ErrBadAnswer, path+" is "+jsonKind(r)+" where an object belongs", "")
			return
		}
		plugin := f.object(registry, path+".ecrCredentialPlugin", "ecrCredentialPlugin")
		if plugin == nil || plugin["awsAccessKeyId"] != nil || plugin["awsSecretAccessKey"] != nil || plugin["awsAccessToken"] != nil {
			continue
		}
		delete(registry, "ecrCredentialPlugin")
		f.list = append(f.list, Rewrite{
			Path: path + ".ecrCredentialPlugin", Before: map[string]any{}, After: nil,
			Why: "Rancher removes a plugin without keys; its nodes then pull system images of that registry without it",
		})
	}
}

// untrimmed are the places whose type is json in the schemas of rancher v2.9.1, which norman leaves
// as they are.
var untrimmed = map[string]bool{
	"ingress.extraEnvs":                              true,
	"ingress.extraVolumeMounts":                      true,
	"ingress.extraVolumes":                           true,
	"services.kubeApi.admissionConfiguration":        true,
	"services.kubeApi.auditLog.configuration.policy": true,
	"services.kubeApi.eventRateLimit.configuration":  true,
}

// trim covers norman's ConvertSimple, which takes the white space off every string.
func (f *foresight) trim() { f.trimIn("", f.stored) }

// Trimmed gives a config as norman passes it on that comes in a body: without the white space around its texts.
func Trimmed(config map[string]any) map[string]any {
	f := foresight{stored: copyJSON(config).(map[string]any)}
	f.trim()
	return f.stored
}

func trimmedJSON(object json.RawMessage) (json.RawMessage, error) {
	m, err := decodeObject(object)
	if err != nil {
		return nil, err
	}
	return encode(Trimmed(m))
}

func (f *foresight) trimIn(path string, v any) any {
	if untrimmed[path] {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			v[key] = f.trimIn(strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		for i := range v {
			v[i] = f.trimIn(fmt.Sprintf("%s[%d]", path, i), v[i])
		}
	case string:
		if trimmed := strings.TrimSpace(v); trimmed != v {
			f.trimmed(path)
			return trimmed
		}
	}
	return v
}

func (f *foresight) trimmed(path string) {
	f.list = append(f.list, Rewrite{Path: path, Why: "Rancher removes the white space around the text"})
}

// annotations covers the trimming of those that must be sent along.
func (f *foresight) annotations() {
	for _, key := range slices.Sorted(maps.Keys(f.cluster.echoedAnnotations())) {
		if value := f.cluster.Annotations[key]; value != strings.TrimSpace(value) {
			f.trimmed("annotations." + key)
		}
	}
}

// echoedAnnotations returns what an update sends of the annotations: nothing, or all of them when they
// hold the one that Rancher looks for in the body. A part of them would delete the others (norman
// types/convert/merge/merge.go:26-78).
func (c *Cluster) echoedAnnotations() map[string]string {
	if _, ok := c.Annotations[criDockerd]; !ok {
		return nil
	}
	return c.Annotations
}

// copyJSON copies a value made of what encoding/json decodes to.
func copyJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[key] = copyJSON(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = copyJSON(value)
		}
		return list
	case json.RawMessage:
		return slices.Clone(v)
	}
	return v
}
