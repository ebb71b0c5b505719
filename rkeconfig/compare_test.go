package rkeconfig

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCompare(t *testing.T) {
	n := func(s string) json.Number { return json.Number(s) }
	tests := []struct {
		name, before, after string
		want                []Change
	}{
		{"nothing", `{}`, `{}`, nil},
		{"absent and empty are equal", `{"a":"","b":0,"c":false,"d":null,"e":{},"f":[],"g":{"h":{"i":[]}},"n":0.0,"m":-0e5}`, `{}`, nil},
		{"one kind of empty and another", `{"a":""}`, `{"a":null}`, nil},
		{"what a round trip through Rancher changes", `{"network":{"mtu":0},"bastionHost":{"type":"/v3/schemas/bastionHost","sshAgentAuth":false},"ignoreDockerVersion":null}`, `{"bastionHost":{},"restore":{"restore":false},"rotateEncryptionKey":false}`, nil},
		{"schema types are no part of it", `{"type":"/v3/schemas/a","services":{"type":"/v3/schemas/b"}}`, `{"services":{"type":"/v3/schemas/c"}}`, nil},
		{"but a kubelet argument called type is", kubelet(`{"extraArgs":{"type":"/v3/schemas/a"}}`), kubelet(`{"extraArgs":{"type":"/v3/schemas/b"}}`),
			[]Change{{`services.kubelet.extraArgs["type"]`, "/v3/schemas/a", "/v3/schemas/b"}}},
		{"and so is an unknown field called type", `{"future":{"type":"big"}}`, `{}`, []Change{{"future.type", "big", nil}}},
		{"numbers written differently", `{"addonJobTimeout":45,"future":[1.0,1e2]}`, `{"addonJobTimeout":45.0,"future":[1,100]}`, nil},
		{"numbers beyond what a float holds", `{"future":9007199254740993}`, `{"future":9007199254740992}`, []Change{{"future", n("9007199254740993"), n("9007199254740992")}}},
		{"numbers beyond all bounds", `{"future":1e999999999}`, `{"future":1e999999998}`, []Change{{"future", n("1e999999999"), n("1e999999998")}}},
		{"another type", `{"future":"1"}`, `{"future":1}`, []Change{{"future", "1", n("1")}}},
		{"a list for a text", `{"future":"x"}`, `{"future":["x"]}`, []Change{{"future", "x", []any{"x"}}}},
		{"a field set and another unset", `{"addons":"x"}`, `{"prefixPath":"/y"}`, []Change{{"addons", "x", nil}, {"prefixPath", nil, "/y"}}},
		{"each member of a new object", `{}`, `{"services":{"kubelet":{"extraArgs":{"b":"2","a":"1"},"extraBinds":["/a:/a"]}}}`,
			[]Change{{`services.kubelet.extraArgs["a"]`, nil, "1"}, {`services.kubelet.extraArgs["b"]`, nil, "2"}, {"services.kubelet.extraBinds[0]", nil, "/a:/a"}}},
		{"an argument with an empty value is there", kubelet(`{"extraArgs":{"a":"","b":"1"}}`), kubelet(`{"extraArgs":{"b":"1"}}`), []Change{{`services.kubelet.extraArgs["a"]`, "", nil}}},
		{"null is not the same as an empty argument", kubelet(`{"extraArgs":{"a":null}}`), kubelet(`{"extraArgs":{"a":""}}`), []Change{{`services.kubelet.extraArgs["a"]`, nil, ""}}},
		{"a blank bind is there", kubelet(`{"extraBinds":[""]}`), kubelet(`{"extraBinds":[]}`), []Change{{"services.kubelet.extraBinds[0]", "", nil}}},
		{"an item in the middle", kubelet(`{"extraBinds":["a","c"]}`), kubelet(`{"extraBinds":["a","b","c"]}`), []Change{{"services.kubelet.extraBinds[1]", nil, "b"}}},
		{"an item taken out", kubelet(`{"extraBinds":["a","b","c"]}`), kubelet(`{"extraBinds":["a","c"]}`), []Change{{"services.kubelet.extraBinds[1]", "b", nil}}},
		{"one of two equal items", kubelet(`{"extraBinds":["a","a"]}`), kubelet(`{"extraBinds":["a"]}`), []Change{{"services.kubelet.extraBinds[1]", "a", nil}}},
		{"order counts", kubelet(`{"extraBinds":["a","b"]}`), kubelet(`{"extraBinds":["b","a"]}`), []Change{{"services.kubelet.extraBinds[0]", "a", "b"}, {"services.kubelet.extraBinds[1]", "b", "a"}}},
		{"within an item", `{"privateRegistries":[{"url":"a","isDefault":false},{"url":"b","user":"x"}]}`, `{"privateRegistries":[{"url":"a"},{"url":"b","user":"y"}]}`,
			[]Change{{"privateRegistries[1].user", "x", "y"}}},
		{"a whole item", `{}`, `{"privateRegistries":[{"url":"a","isDefault":false}]}`, []Change{{"privateRegistries[0]", nil, map[string]any{"url": "a"}}}},
		{"an empty item", `{"privateRegistries":[{}]}`, `{"privateRegistries":[{"isDefault":false},{}]}`, []Change{{"privateRegistries[1]", nil, map[string]any{}}}},
		{"lists in lists", `{"future":[["a"],[]]}`, `{"future":[["b"],[]]}`, []Change{{"future[0][0]", "a", "b"}}},
		{"a key with an empty object", `{"cloudProvider":{"vsphereCloudProvider":{"virtualCenter":{"a":{"user":""}}}}}`, `{}`, []Change{{`cloudProvider.vsphereCloudProvider.virtualCenter["a"]`, map[string]any{}, nil}}},
		{"sorted by place, not by text", kubelet(`{"extraBinds":[]}`), kubelet(`{"extraBinds":["0","1","2","3","4","5","6","7","8","9","10"],"extraArgs":{"z":"1"}}`),
			[]Change{{`services.kubelet.extraArgs["z"]`, nil, "1"}, {"services.kubelet.extraBinds[0]", nil, "0"}, {"services.kubelet.extraBinds[1]", nil, "1"}, {"services.kubelet.extraBinds[2]", nil, "2"}, {"services.kubelet.extraBinds[3]", nil, "3"}, {"services.kubelet.extraBinds[4]", nil, "4"}, {"services.kubelet.extraBinds[5]", nil, "5"}, {"services.kubelet.extraBinds[6]", nil, "6"}, {"services.kubelet.extraBinds[7]", nil, "7"}, {"services.kubelet.extraBinds[8]", nil, "8"}, {"services.kubelet.extraBinds[9]", nil, "9"}, {"services.kubelet.extraBinds[10]", nil, "10"}}},
		{"hostile keys are quoted", `{"a.b":1,"x":{"":1,"\u001b[2J":1}}`, `{}`, []Change{{`["a.b"]`, n("1"), nil}, {`x[""]`, n("1"), nil}, {`x["\x1b[2J"]`, n("1"), nil}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := parse(t, tt.before), parse(t, tt.after)
			got := Compare(before, after)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if text := Diff(before, after, DiffOptions{}); (text == "") != (len(got) == 0) {
				t.Errorf("%d changes, but the diff is %q", len(got), text)
			}
			for _, c := range got {
				if p, ok := parsePath(c.Path); !ok || p.String() != c.Path {
					t.Errorf("path %s is read back as %s, %v", c.Path, p, ok)
				}
			}
			if back := Compare(after, before); len(back) != len(got) {
				t.Errorf("%d changes one way, %d the other", len(got), len(back))
			}
		})
	}
}

func TestCompareProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewDocument(drawObject(t, configShape(), 4, true))
		if err != nil {
			t.Fatal(err)
		}
		b := a
		if rapid.Bool().Draw(t, "another") {
			if b, err = NewDocument(drawObject(t, configShape(), 4, true)); err != nil {
				t.Fatal(err)
			}
		}
		if got := prune(configShape(), a.root) == nil; got != isEmpty(configShape(), a.root) {
			t.Fatalf("prune leaves nothing: %v, isEmpty says otherwise", got)
		}
		if again, _ := NewDocument(a.Map()); len(Compare(a, again)) > 0 {
			t.Fatalf("a config differs from its copy: %v", Compare(a, again))
		}
		changes := Compare(a, b)
		if diff := cmp.Diff(changes, Compare(a, b)); diff != "" {
			t.Fatalf("two runs differ: %s", diff)
		}
		text := Diff(a, b, DiffOptions{})
		if (text == "") != (len(changes) == 0) {
			t.Fatalf("changes %v, diff %q", changes, text)
		}
		if text != Diff(a, b, DiffOptions{}) {
			t.Fatal("two diffs differ")
		}
		if len(Compare(b, a)) != len(changes) {
			t.Fatalf("%v one way, %v the other", changes, Compare(b, a))
		}
		for _, c := range changes {
			if _, ok := parsePath(c.Path); !ok {
				t.Fatalf("path %q can not be read", c.Path)
			}
		}
	})
}

func TestParsePathRefuses(t *testing.T) {
	for _, text := range []string{"", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", `a["x`, `a["x"`, `a["\q"]`, "a[1]b", "a b", "é", `a["x"]b`, "a]"} {
		if p, ok := parsePath(text); ok {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}
