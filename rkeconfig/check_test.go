package rkeconfig

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	rke "github.com/rancher/rke/types"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name, raw string
		path      string // "" is a config without fault
	}{
		{"nothing", `{}`, ""},
		{"unknown fields of any form", `{"tomorrow":[null,{"a":1}],"services":{"kubelet":{"x":7}}}`, ""},
		{"norman's types", `{"type":"/v3/schemas/rancherKubernetesEngineConfig","services":{"type":"/v3/schemas/rkeConfigServices"}}`, ""},
		{"nulls where a field is not set", `{"services":null,"dns":null,"addons":null,"addonJobTimeout":null,"nodes":null}`, ""},
		{"Kubernetes' own types", `{"network":{"tolerations":[{"key":"a","tolerationSeconds":30,"type":"/v3/schemas/toleration"}]},"dns":{"updateStrategy":{"rollingUpdate":{"maxSurge":"10%","maxUnavailable":1}}}}`, ""},
		{"free JSON", `{"services":{"kubeApi":{"auditLog":{"configuration":{"policy":{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"Metadata"}],"metadata":{"creationTimestamp":null}}}},"eventRateLimit":{"configuration":{"limits":[{"type":"Server","qps":1}]}}}}}`, ""},
		{"a fraction", `{"dns":{"linearAutoscalerParams":{"coresPerReplica":0.5}}}`, ""},

		{"services is a list", `{"services":[]}`, "services"},
		{"kubelet is a text", `{"services":{"kubelet":"x"}}`, "services.kubelet"},
		{"args are a list", kubelet(`{"extraArgs":[]}`), "services.kubelet.extraArgs"},
		{"an arg is a boolean", kubelet(`{"extraArgs":{"a b":true}}`), `services.kubelet.extraArgs["a b"]`},
		{"an arg is null", kubelet(`{"extraArgs":{"k":null}}`), `services.kubelet.extraArgs["k"]`},
		{"an array arg is a text", kubelet(`{"extraArgsArray":{"k":"v"}}`), `services.kubelet.extraArgsArray["k"]`},
		{"an array arg holds a number", kubelet(`{"extraArgsArray":{"k":["v",1]}}`), `services.kubelet.extraArgsArray["k"][1]`},
		{"a bind is an object", kubelet(`{"extraBinds":["/a:/a",{"source":"/a"}]}`), `services.kubelet.extraBinds[1]`},
		{"a bind is null", kubelet(`{"extraBinds":[null]}`), `services.kubelet.extraBinds[0]`},
		{"a switch is a text", kubelet(`{"failSwapOn":"true"}`), "services.kubelet.failSwapOn"},
		{"a count is a text", `{"addonJobTimeout":"45"}`, "addonJobTimeout"},
		{"a count is a fraction", `{"network":{"mtu":1.5}}`, "network.mtu"},
		{"a count is too large", `{"monitoring":{"replicas":3000000000}}`, "monitoring.replicas"},
		{"a fraction is a text", `{"dns":{"linearAutoscalerParams":{"coresPerReplica":"1"}}}`, "dns.linearAutoscalerParams.coresPerReplica"},
		{"a registry is a text", `{"privateRegistries":["x"]}`, "privateRegistries[0]"},
		{"a password is a number", `{"privateRegistries":[{},{"password":12345}]}`, "privateRegistries[1].password"},
		{"a rolling update is a list", `{"dns":{"updateStrategy":{"rollingUpdate":{"maxSurge":[]}}}}`, "dns.updateStrategy.rollingUpdate.maxSurge"},
		{"a time is none", `{"nodes":[{"taints":[{"timeAdded":"noon"}]}]}`, "nodes[0].taints[0].timeAdded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := parse(t, tt.raw).Check()
			if tt.path == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrWrongType) || !strings.HasPrefix(err.Error(), tt.path+" is ") {
				t.Fatalf("got %v, want a wrong type at %s", err, tt.path)
			}
			if strings.Contains(err.Error(), "12345") {
				t.Errorf("the value is in the text: %v", err)
			}
		})
	}
}

func TestCheckTakesWhatRancherSends(t *testing.T) {
	for _, name := range []string{"custom.json", "templated.json", "failed-spec.json", "everything.json"} {
		if err := load(t, name).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A config passes exactly when rke itself could decode it, but for nulls in lists
// and maps, which only Rancher minds.
func TestCheckAgreesWithRKE(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := drawObject(t, configShape(), 4, true)
		doc, err := NewDocument(root)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := doc.MarshalJSON()
		decodeErr := json.Unmarshal(raw, new(rke.RancherKubernetesEngineConfig))
		if checkErr := doc.Check(); (checkErr == nil) != (decodeErr == nil) {
			t.Fatalf("Check says %v, rke says %v: %s", checkErr, decodeErr, raw)
		}
	})
}

// TestEveryPasswordIsARule holds SecretRules against rke's own tags.
func TestEveryPasswordIsARule(t *testing.T) {
	for _, rule := range SecretRules {
		if len(configShape().match(strings.Split(rule.Path, "."))) == 0 {
			t.Errorf("rule %s matches no field of rke's types", rule.Path)
		}
		if rule.Masking == maskNothing || rule.Why == "" {
			t.Errorf("rule %s is incomplete", rule.Path)
		}
	}
	passwords := 0
	eachField(reflect.TypeFor[rke.RancherKubernetesEngineConfig](), configShape(), func(f reflect.StructField, s *shape, name string) {
		if strings.Contains(f.Tag.Get("norman"), "type=password") {
			passwords++
			if s.masking == maskNothing {
				t.Errorf("%s is a password without a rule", name)
			}
		}
		if isSecretName(name) && s.masking == maskNothing && !notSecret[name] {
			t.Errorf("%s sounds secret: give it a rule, or list it as not secret", name)
		}
	})
	if passwords < 9 {
		t.Errorf("only %d passwords found in rke's types: the walk is broken", passwords)
	}
}

// notSecret lists fields of rke's types that only sound secret.
var notSecret = map[string]bool{
	"secretsEncryptionConfig": true, // only its customConfig holds keys
	"imagePullSecret":         true, // the name of a Kubernetes secret
	"rotateEncryptionKey":     true, // a switch
	"sshAgentAuth":            true, // a switch
	"sshKeyPath":              true, // a path
}

func eachField(t reflect.Type, s *shape, visit func(reflect.StructField, *shape, string)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() != reflect.Pointer {
			s = s.elem
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s == nil || s.kind != objectKind || !strings.Contains(t.PkgPath(), "rancher/rke") {
		return
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			eachField(f.Type, s, visit)
			continue
		}
		child := s.fields[name].shape
		visit(f, child, name)
		if child != nil && child.masking == maskNothing {
			eachField(f.Type, child, visit)
		}
	}
}

// drawObject makes a random config of rke's own form, with unknown fields in it
// and, if asked, values of a wrong type.
func drawObject(t *rapid.T, s *shape, depth int, wrong bool) map[string]any {
	names := slices.Sorted(maps.Keys(s.fields))
	m := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		if len(names) == 0 || rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
			m["unknownField"] = drawAny(t, 2)
			continue
		}
		name := rapid.SampledFrom(names).Draw(t, "field")
		child, _ := s.child(name)
		m[name] = drawValue(t, child, depth-1, wrong)
	}
	return m
}

func drawValue(t *rapid.T, s *shape, depth int, wrong bool) any {
	if wrong && rapid.IntRange(0, 19).Draw(t, "wrong") == 0 {
		return drawAny(t, 1)
	}
	text := rapid.SampledFrom([]string{"", "x", "a b", "/opt/x:/opt/x", "true", "10%", "é", "\x1b[2J", "two\nlines", "two\nlines\n"})
	switch s.kind {
	case objectKind:
		if depth <= 0 {
			return map[string]any{}
		}
		return drawObject(t, s, depth, wrong)
	case mapKind:
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "keys") {
			m[rapid.SampledFrom([]string{"max-pods", "type", "a.b", "my-token", "x y", ""}).Draw(t, "key")] = drawValue(t, s.elem, depth-1, wrong)
		}
		return m
	case listKind:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list = append(list, drawValue(t, s.elem, depth-1, wrong))
		}
		return list
	case stringKind:
		return text.Draw(t, "text")
	case boolKind:
		return rapid.Bool().Draw(t, "bool")
	case intKind:
		return rapid.SampledFrom([]json.Number{"0", "-0", "1", "45", "-3"}).Draw(t, "int")
	case floatKind:
		return rapid.SampledFrom([]json.Number{"0", "0.0", "1", "1.0", "2.5"}).Draw(t, "float")
	case customKind:
		return nil
	}
	return drawAny(t, 1)
}

func drawAny(t *rapid.T, depth int) any {
	options := []any{"", "x", true, false, json.Number("0"), json.Number("7"), []any{}, map[string]any{}}
	if depth > 0 {
		options = append(options,
			[]any{drawAny(t, depth-1)},
			map[string]any{rapid.SampledFrom([]string{"a", "type", "password", "someKey"}).Draw(t, "any key"): drawAny(t, depth-1)})
	}
	return rapid.SampledFrom(options).Draw(t, "any")
}
