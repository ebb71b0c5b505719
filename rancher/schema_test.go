package rancher_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rancher/norman/parse/builder"
	"github.com/rancher/norman/types"
	"pgregory.net/rapid"

	"rkepatch/rancher"
)

// recordedSchemas are those of a real Rancher 2.9.1, by id.
var recordedSchemas = sync.OnceValue(func() map[string]json.RawMessage {
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal([]byte(recorded("schemas.json")), &list); err != nil {
		panic(err)
	}
	byID := map[string]json.RawMessage{}
	for _, raw := range list.Data {
		var s struct{ ID string }
		if err := json.Unmarshal(raw, &s); err != nil {
			panic(err)
		}
		byID[s.ID] = raw
	}
	return byID
})

// schemaServer answers with the recorded schemas and counts the requests.
func schemaServer(requests *int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*requests++
		if s, ok := recordedSchemas()[strings.TrimPrefix(r.URL.Path, "/v3/schemas/")]; ok {
			answer(200, string(s))(w, r)
			return
		}
		answer(404, `{"type":"error","status":404,"code":"NotFound","message":"no such schema"}`)(w, r)
	}
}

func TestWhatThisRancherStores(t *testing.T) {
	requests := 0
	c := newClient(t, schemaServer(&requests))
	for name, value := range map[string]string{
		"the usual patch":      `{"extraArgs":{"image-credential-provider-bin-dir":"/opt/aws/bin","image-credential-provider-config":"/opt/aws/c.yaml"},"extraBinds":["/opt/aws:/opt/aws:ro"]}`,
		"nothing":              `{}`,
		"empty":                `{"extraArgs":{},"extraBinds":[],"image":""}`,
		"map of lists":         `{"extraArgsArray":{"register-with-taints":["a=b:NoSchedule","c=d:NoSchedule"]}}`,
		"booleans":             `{"failSwapOn":true,"generateServingCertificate":false}`,
		"as Rancher echoes it": `{"type":"/v3/schemas/kubeletService","extraArgs":{"v":"2"}}`,
	} {
		if err := c.CheckSchema(t.Context(), "kubeletService", object(t, value)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if requests != 1 {
		t.Errorf("the schema was read %d times", requests)
	}
}

// Each of these gets a 200 from Rancher, and is gone or something else afterwards.
func TestWhatThisRancherWouldDrop(t *testing.T) {
	requests := 0
	c := newClient(t, schemaServer(&requests))
	for _, tt := range []struct {
		schema, value string
		words         []string
	}{
		{"kubeletService", `{"extraArgs":[{"a":"b"}]}`, []string{"extraArgs is a list", "wants a map"}}, // the article's form, T5
		{"kubeletService", `{"extraBinds":"/a:/a"}`, []string{"extraBinds is text", "wants a list"}},
		{"kubeletService", `{"extraBinds":{"a":"b"}}`, []string{"extraBinds is a map"}},
		{"kubeletService", `{"extra_args":{"a":"b"}}`, []string{"extra_args is not a field of kubeletService"}},
		{"kubeletService", `{"extraArgs":{"a":null}}`, []string{`extraArgs["a"] is null`}}, // T6
		{"kubeletService", `{"extraArgs":null}`, []string{"extraArgs is null"}},
		{"kubeletService", `{"extraBinds":[{"source":"/a"}]}`, []string{"extraBinds[0] is a map", "text"}}, // T6
		{"kubeletService", `{"extraBinds":[null]}`, []string{"extraBinds[0] is null"}},
		{"kubeletService", `{"extraArgs":{"a":5,"b":true,"c":" pad "}}`, []string{`extraArgs["a"] is a number`, `extraArgs["b"] is true or false`, `extraArgs["c"] is text`, "without spaces"}},
		{"kubeletService", `{"failSwapOn":"yes"}`, []string{"failSwapOn is text", "true or false"}},
		{"kubeletService", `{"extraArgsArray":{"a":"b"}}`, []string{`extraArgsArray["a"] is text`, "a list"}},
		{"kubeletService", `{"type":"/v3/schemas/other","nope":1,"neither":2}`, []string{"neither is not", "nope is not"}},
		{"kubeletService", `{"a\u001b[2Jb\n":1}`, []string{"is not a field"}},
		{"rancherKubernetesEngineConfig", `{"sshKeyPath":"/a"}`, []string{"sshKeyPath cannot be updated"}},
		{"rancherKubernetesEngineConfig", `{"services":[]}`, []string{"services is a list", "rkeConfigServices"}},
		{"rancherKubernetesEngineConfig", `{"services":{"kubelet":{"extraArgs":7}}}`, []string{"services.kubelet.extraArgs is a number"}},
		{"rancherKubernetesEngineConfig", `{"addonJobTimeout":"45"}`, []string{"addonJobTimeout is text", "whole number"}},
		{"rancherKubernetesEngineConfig", `{"addonJobTimeout":4.5}`, []string{"addonJobTimeout is a number", "whole"}},
		{"rancherKubernetesEngineConfig", `{"privateRegistries":[{"url":"a","password":1}]}`, []string{"privateRegistries[0].password"}},
		{"rancherKubernetesEngineConfig", `{"nodes":[{"nodeId":1}]}`, []string{"nodes[0].nodeId is a number"}},
		{"rancherKubernetesEngineConfig", `{"dns":{"linearAutoscalerParams":{"coresPerReplica":"1"}}}`, []string{"coresPerReplica is text", "a number"}},
		{"rancherKubernetesEngineConfig", `{"dns":{"updateStrategy":{"rollingUpdate":{"maxSurge":"1"}}}}`, []string{"maxSurge is text"}},
		{"rotateCertificates", `{"services":"kubelet2"}`, []string{"services is not one of etcd, kubelet"}},
	} {
		t.Run(tt.value, func(t *testing.T) {
			err := c.CheckSchema(t.Context(), tt.schema, object(t, tt.value))
			wantError(t, err, rancher.ErrSchema, append(tt.words, tt.schema)...)
			wantHint(t, err, "drop or change")
		})
	}
}

func TestSchemasThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		kind error
		hint string
	}{
		"unknown":     {answer(404, `{"code":"NotFound","message":"x"}`), rancher.ErrNotFound, "2.8 to 2.11"},
		"page":        {answer(200, `<html>`), rancher.ErrNotRancher, "--url"},
		"another one": {answer(200, `{"id":"x","resourceFields":{"a":{"type":"string"}}}`), rancher.ErrBadAnswer, "--url"},
		"empty":       {answer(200, `{"id":"kubeletService"}`), rancher.ErrBadAnswer, "--url"},
		"wrong type":  {answer(200, `{"id":"kubeletService","resourceFields":7}`), rancher.ErrBadAnswer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newClient(t, tt.h).CheckSchema(t.Context(), "kubeletService", object(t, `{"extraArgs":{}}`))
			wantError(t, err, tt.kind, "reading the schema kubeletService")
			wantHint(t, err, tt.hint)
		})
	}
	// A nested schema, inside a list inside a map, is missing.
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/kubeletService") {
			answer(200, `{"id":"kubeletService","resourceFields":{"a":{"type":"map[array[thing]]","update":true}}}`)(w, r)
			return
		}
		answer(404, `{"code":"NotFound"}`)(w, r)
	})
	err := c.CheckSchema(t.Context(), "kubeletService", object(t, `{"a":{"k":[{}]}}`))
	wantError(t, err, rancher.ErrNotFound, "reading the schema thing")
}

// What the check lets pass comes out of norman's own parser as it went in.
func TestWhatPassesIsStoredAsItIs(t *testing.T) {
	requests := 0
	c := newClient(t, schemaServer(&requests))
	schemas := types.NewSchemas()
	version := types.APIVersion{Group: "management.cattle.io", Version: "v3", Path: "/v3"}
	byID := map[string]*types.Schema{}
	for id, raw := range recordedSchemas() {
		s := &types.Schema{}
		if err := json.Unmarshal(raw, s); err != nil {
			t.Fatal(err)
		}
		s.Version = version
		byID[id] = s
		schemas.AddSchema(*s)
	}
	passed, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom([]string{"kubeletService", "rancherKubernetesEngineConfig", "nodeUpgradeStrategy", "linearAutoscalerParams", "rotateCertificates"}).Draw(t, "schema")
		value := drawObject(t, byID, id, 0)
		if err := c.CheckSchema(t.Context(), id, value); err != nil {
			refused++
			return
		}
		passed++
		request := &types.APIContext{Version: &version, Schemas: schemas, Query: map[string][]string{}}
		got, err := builder.NewBuilder(request).Construct(byID[id], value, builder.Update)
		if err != nil {
			t.Fatalf("%v: norman refuses it: %v", value, err)
		}
		if diff := cmp.Diff(plain(value), plain(got)); diff != "" {
			t.Fatalf("norman changes it: %s", diff)
		}
	})
	if passed < 10 || refused < 10 {
		t.Errorf("%d passed, %d refused: the test shows little", passed, refused)
	}
}

// plain makes values comparable whatever Go type their numbers have.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var p any
	if err := json.Unmarshal(text, &p); err != nil {
		panic(err)
	}
	return p
}

// drawObject makes an object that mostly fits a schema.
func drawObject(t *rapid.T, schemas map[string]*types.Schema, id string, depth int) map[string]any {
	m := map[string]any{}
	s := schemas[id]
	var names []string
	for name := range s.ResourceFields {
		names = append(names, name)
	}
	names = sortedCopy(names)
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		if rapid.IntRange(0, 30).Draw(t, "unknown") == 0 {
			m[rapid.SampledFrom([]string{"extra_args", "type", "x", ""}).Draw(t, "name")] = "x"
			continue
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		m[name] = drawValue(t, schemas, s.ResourceFields[name].Type, depth)
	}
	return m
}

func drawValue(t *rapid.T, schemas map[string]*types.Schema, kind string, depth int) any {
	if rapid.IntRange(0, 20).Draw(t, "junk") == 0 {
		return rapid.SampledFrom([]any{nil, "", " x", "5", "true", true, json.Number("5"), json.Number("1.5"), json.Number("1e3"), []any{}, map[string]any{}}).Draw(t, "value")
	}
	sub := func() string { _, rest, _ := strings.Cut(kind, "["); return rest[:len(rest)-1] }
	switch {
	case strings.HasPrefix(kind, "map["):
		return map[string]any{"k": drawValue(t, schemas, sub(), depth+1)}
	case strings.HasPrefix(kind, "array["):
		return []any{drawValue(t, schemas, sub(), depth+1)}
	case schemas[kind] != nil:
		if depth > 5 {
			return map[string]any{}
		}
		return drawObject(t, schemas, kind, depth+1)
	}
	switch kind {
	case "boolean":
		return rapid.Bool().Draw(t, "bool")
	case "int", "float", "intOrString":
		return json.Number(fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "int")))
	}
	return rapid.SampledFrom([]string{"a", "kubelet", "a b", "a,b", "worker"}).Draw(t, "text")
}
