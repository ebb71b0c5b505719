package rancher

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
)

const configField = "rancherKubernetesEngineConfig"

// ReplaceConfig is UpdateConfig for a config in which a map or list has become empty or a field is gone,
// which a plain update cannot express: Rancher keeps the old value. It sends ?_replace=true, which deletes
// every updatable field that the body lacks (norman types/convert/merge/merge.go, copyMapReplace). So the
// body holds all of them, as the server's schema names them and a GET of the whole object shows them; and
// the object is read again afterwards to see that nothing but the config has moved.
//
// The errors are those of UpdateConfig. ErrNotUpdatable is also what it fails with, nothing sent, when the
// cluster's passwords were not moved to secrets yet (they would be deleted), when it has no Fleet workspace
// (Rancher would delete the cluster: webhook v0.5.1 validator.go:119-133), or when it is no longer as cl
// has it.
func (c *Client) ReplaceConfig(ctx context.Context, cl *Cluster, config map[string]any, differ Differ) (*Cluster, error) {
	put := cl.putCall()
	put.query = url.Values{"_replace": {"true"}}
	for _, kind := range []string{"SecretsMigrated", "RKESecretsMigrated", "ACISecretsMigrated"} {
		if !cl.Conditions.IsTrue(kind) {
			return nil, put.fail(ErrNotUpdatable, "its passwords were not moved to secrets yet and would be deleted", "take the change back in the Rancher UI")
		}
	}
	before, err := c.writable(ctx, cl.ID)
	if err != nil {
		return nil, err
	}
	if workspace, _ := before["fleetWorkspaceName"].(string); workspace == "" {
		return nil, put.fail(ErrNotUpdatable, "it has no Fleet workspace", "take the change back in the Rancher UI")
	}
	now, err := encode(before[configField])
	if err != nil {
		return nil, put.cannotEncode(err)
	}
	if paths, err := differ(cl.Config, now); err != nil || len(paths) > 0 {
		return nil, put.fail(ErrNotUpdatable, "it was changed in this very moment", "plan again")
	}
	stored, err := c.update(ctx, put, cl, config, differ, func(body map[string]any) any {
		whole := maps.Clone(before)
		whole[configField] = body
		return whole
	})
	if err != nil {
		return stored, err
	}
	after, err := c.writable(ctx, cl.ID)
	if err != nil {
		return stored, put.unknown(err)
	}
	paths, err := Others{before}.Moved(Others{after}, differ)
	if err != nil {
		return stored, put.unknown(err)
	}
	if len(paths) > 0 {
		return stored, &NotStoredError{Cluster: cl.ID, Paths: paths}
	}
	return stored, nil
}

// Others are the fields of a cluster that an update may change, beside its config.
type Others struct{ fields map[string]any }

// Others reads them, to see after a ReplaceConfig without an answer that nothing else has moved. The errors
// are those of Cluster.
func (c *Client) Others(ctx context.Context, id string) (Others, error) {
	fields, err := c.writable(ctx, id)
	return Others{fields}, err
}

// Moved gives the paths at which now differs from o, as differ names them.
func (o Others) Moved(now Others, differ Differ) ([]string, error) {
	var sides [2]json.RawMessage
	for i, fields := range []map[string]any{o.fields, now.fields} {
		fields = maps.Clone(fields)
		delete(fields, configField)
		var err error
		if sides[i], err = encode(fields); err != nil {
			return nil, call{op: "comparing a cluster with its state before"}.cannotEncode(err)
		}
	}
	return differ(sides[0], sides[1])
}

// writable reads the fields of a cluster that the server lets a client update. A reference that is null
// stays out: "" instead of null would brick a cluster without a template.
func (c *Client) writable(ctx context.Context, id string) (map[string]any, error) {
	schema, err := c.schema(ctx, "cluster")
	if err != nil {
		return nil, err
	}
	var raw json.RawMessage
	if err := c.get(ctx, call{op: "reading cluster", target: clean(id), path: "/v3/clusters/" + url.PathEscape(id)}, &raw); err != nil {
		return nil, err
	}
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		return nil, call{op: "reading cluster", target: clean(id)}.fail(ErrBadAnswer, "the answer is not an object", "")
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(schema.ResourceFields)) {
		if v := object[name]; v != nil && schema.ResourceFields[name].Update {
			out[name] = v
		}
	}
	return out, nil
}
