package rkeconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDocumentRefuses(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := []struct {
		name, raw string
		want      error
	}{
		{"nothing", "", ErrNotObject},
		{"null", "null", ErrNotObject},
		{"a list", "[]", ErrNotObject},
		{"a text", `"hunter2"`, ErrNotObject},
		{"a number", "1", ErrNotObject},
		{"a boolean", "true", ErrNotObject},
		{"HTML", "<html>hunter2</html>", ErrNotObject},
		{"cut off", `{"a":"hunter2`, ErrNotObject},
		{"two objects", `{} {}`, ErrNotObject},
		{"a hundred levels too many", nested(maxDepth + 2), ErrTooLarge},
		{"so deep that JSON itself gives up", nested(20000), ErrNotObject},
		{"deep lists", strings.Repeat(`{"a":[`, 60) + strings.Repeat("]}", 60), ErrTooLarge},
		{"too long", `{"a":"` + strings.Repeat("x", maxDocument) + `"}`, ErrTooLarge},
		{"an endless key", `{"` + strings.Repeat("k", maxKey) + `":1}`, ErrTooLarge},
		{"a key that grows when it is escaped", `{"` + strings.Repeat(`\u0001`, 300) + `":1}`, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseDocument([]byte(tt.raw))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 200 {
				t.Errorf("the error quotes its input: %v", err)
			}
		})
	}
	if _, err := ParseDocument([]byte(nested(maxDepth))); err != nil {
		t.Errorf("%d levels are refused: %v", maxDepth, err)
	}
}

func TestDocumentKeepsWhatItWasGiven(t *testing.T) {
	const raw = `{"a":1.50,"big":123456789012345678901234567890,"e":1E+3,"html":"<&>","n":null,"u":"é"}`
	doc := parse(t, raw)
	out, err := json.Marshal(doc.Map())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{toJSON(t, doc), string(out)} {
		if want := strings.NewReplacer("<", `\u003c`, "&", `\u0026`, ">", `\u003e`).Replace(raw); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := toJSON(t, Document{}); got != "{}" {
		t.Errorf("the empty document is written as %s", got)
	}
}

func TestDocumentCanNotBeChanged(t *testing.T) {
	given := map[string]any{"services": map[string]any{"kubelet": map[string]any{"extraBinds": []any{"/a:/a"}}}}
	doc, err := NewDocument(given)
	if err != nil {
		t.Fatal(err)
	}
	before := toJSON(t, doc)
	given["services"].(map[string]any)["kubelet"] = nil
	delete(doc.Map(), "services")
	doc.Map()["services"].(map[string]any)["kubelet"].(map[string]any)["extraBinds"].([]any)[0] = "x"
	v, _ := doc.Lookup("services", "kubelet")
	v.(map[string]any)["extraBinds"].([]any)[0] = "x"
	doc.ExtraBinds()[0] = "x"
	if got := toJSON(t, doc); got != before {
		t.Errorf("now %s, was %s", got, before)
	}
}

func TestNewDocument(t *testing.T) {
	doc, err := NewDocument(map[string]any{
		"n": nil, "b": true, "s": "x\xff", "num": json.Number("1.50"), "i": 7, "i64": int64(8), "f": 0.25,
		"l": []any{1}, "ls": []string{"a"}, "m": map[string]any{"k\xff": 1}, "ms": map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "{\"b\":true,\"f\":0.25,\"i\":7,\"i64\":8,\"l\":[1],\"ls\":[\"a\"],\"m\":{\"k\uFFFD\":1},\"ms\":{\"k\":\"v\"},\"n\":null,\"num\":1.50,\"s\":\"x\uFFFD\"}"
	if got := toJSON(t, doc); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := NewDocument(nil); !errors.Is(err, ErrNotObject) {
		t.Errorf("nil gives %v", err)
	}
	deep := map[string]any{}
	for range 200 {
		deep = map[string]any{"a": []any{deep}}
	}
	if _, err := NewDocument(deep); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a deep value gives %v", err)
	}
	if _, err := NewDocument(map[string]any{strings.Repeat("k", 2000): 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an endless key gives %v", err)
	}
	for name, v := range map[string]any{
		"a struct": struct{}{}, "a channel": make(chan int), "NaN": math.NaN(), "infinity": math.Inf(1),
		"no number": json.Number("1;2"), "an empty number": json.Number(""), "a boolean as number": json.Number("true"), "a text as number": json.Number(`"1"`),
		"a bad item": []any{math.NaN()}, "a bad member": map[string]any{"x": math.NaN()},
	} {
		if _, err := NewDocument(map[string]any{"v": v}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPrintedDocumentsShowNothing(t *testing.T) {
	doc := load(t, "everything.json")
	for _, text := range []string{fmt.Sprint(doc), fmt.Sprintf("%+v %#v %s %q", doc, doc, doc, []Document{doc}), fmt.Sprintf("%+v", Result{Document: doc})} {
		if strings.Contains(text, "SECRET-") || !strings.Contains(text, "not shown") {
			t.Errorf("printed as %s", text)
		}
	}
}

func TestReaders(t *testing.T) {
	doc := load(t, "custom.json")
	if got := doc.KubernetesVersion(); got != "v1.26.15-rancher1-1" {
		t.Errorf("KubernetesVersion is %q", got)
	}
	wantArgs := map[string]string{"feature-gates": "RotateKubeletServerCertificate=true,GracefulNodeShutdown=true", "max-pods": "150"}
	if diff := cmp.Diff(wantArgs, doc.ExtraArgs()); diff != "" {
		t.Errorf("ExtraArgs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/data:/data:rw", "/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"}, doc.ExtraBinds()); diff != "" {
		t.Errorf("ExtraBinds (-want +got):\n%s", diff)
	}
	if got := doc.Text("cloudProvider", "name"); got != "aws" {
		t.Errorf("the cloud provider is %q", got)
	}
	if v, ok := doc.Lookup("ignoreDockerVersion"); !ok || v != nil {
		t.Errorf("a null field is %v, %v", v, ok)
	}
	for _, at := range [][]string{{"nothing"}, {"kubernetesVersion", "x"}, {"privateRegistries", "0"}} {
		if v, ok := doc.Lookup(at...); ok || v != nil || doc.Text(at...) != "" {
			t.Errorf("%v is %v", at, v)
		}
	}
	for raw, want := range map[string]string{`{}`: "", `{"prefixPath":"/"}`: "", `{"prefixPath":"/opt/rke"}`: "/opt/rke", `{"prefixPath":7}`: ""} {
		if got := parse(t, raw).PrefixPath(); got != want {
			t.Errorf("the prefix path of %s is %q, want %q", raw, got, want)
		}
	}
	odd := parse(t, kubelet(`{"extraArgs":{"a":1,"b":"x"},"extraBinds":[1,"/a:/a"]}`))
	if got := odd.ExtraArgs(); len(got) != 1 || got["b"] != "x" {
		t.Errorf("ExtraArgs of wrong types are %v", got)
	}
	if got := odd.ExtraBinds(); len(got) != 1 || got[0] != "/a:/a" {
		t.Errorf("ExtraBinds of wrong types are %v", got)
	}
}
