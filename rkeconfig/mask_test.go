package rkeconfig

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNothingSecretIsShown(t *testing.T) {
	doc := load(t, "everything.json")
	outputs := map[string]string{
		"YAML":           YAML(doc),
		"Diff from none": Diff(Document{}, doc, DiffOptions{}),
		"Diff to none":   Diff(doc, Document{}, DiffOptions{}),
		"MaskChanges":    changesJSON(t, MaskChanges(Compare(Document{}, doc))),
	}
	// The same config with every secret changed.
	other := parse(t, strings.ReplaceAll(toJSON(t, doc), "SECRET-", "SECRET-other-"))
	outputs["Diff"] = Diff(doc, other, DiffOptions{})
	outputs["MaskChanges of changed secrets"] = changesJSON(t, MaskChanges(Compare(doc, other)))
	for name, text := range outputs {
		if at := strings.Index(text, "SECRET-"); at >= 0 {
			t.Errorf("%s shows a secret: …%s", name, firstOf(text[max(0, at-80):], 120))
		}
	}
	golden(t, "everything.yaml", outputs["YAML"])
	golden(t, "every-secret-changed.diff", outputs["Diff"])
}

// Each secret by itself: when it changes, the diff says so and does not show it.
func TestEverySecretShowsThatItChanged(t *testing.T) {
	raw := toJSON(t, load(t, "everything.json"))
	count := 0
	for at := 0; ; {
		next := strings.Index(raw[at:], "SECRET-")
		if next < 0 {
			break
		}
		at += next + len("SECRET-")
		count++
		changed := raw[:at] + "new-" + raw[at:]
		a, b := parse(t, raw), parse(t, changed)
		text := Diff(a, b, DiffOptions{})
		if !strings.Contains(text, RedactedBefore) || !strings.Contains(text, RedactedAfter) || strings.Contains(text, "SECRET-") {
			t.Errorf("diff of …%s… is\n%s", raw[max(0, at-40):at+10], text)
		}
		masked := MaskChanges(Compare(a, b))
		if len(masked) != 1 {
			t.Fatalf("changes are %+v, want one", masked)
		}
		if got := changesJSON(t, masked); !strings.Contains(got, "redacted, before") || !strings.Contains(got, "redacted, after") {
			t.Errorf("masked changes are %s", got)
		}
	}
	if count < 35 {
		t.Errorf("only %d secrets in the fixture", count)
	}
}

func TestSecretNames(t *testing.T) {
	tests := map[string]bool{
		"password": true, "registryPassword": true, "db_passwd": true, "dbpassword": true, "apiToken": true, "x-vault-token": true,
		"clientSecret": true, "sshKey": true, "ssh-private-key": true, "clientKey": true, "secretKey": true, "privatekey": true,
		"registryAuth": true, "dockerCredential": true, "credentials": true, "kubeconfig": true, "APIToken": true, "Passphrase": true,
		"tls-private-key-file": true, "token-auth-file": true, // by name; their values are paths

		"max-pods": false, "image-credential-provider-config": false, "image-credential-provider-bin-dir": false, "key": false,
		"publicKey": false, "authorization-mode": false, "keyboard": false, "monkey": false, "anonymous-auth-mode": false, "": false,
	}
	for name, want := range tests {
		if got := isSecretName(name); got != want {
			t.Errorf("%q is secret: %v, want %v", name, got, want)
		}
	}
}

func TestHarmlessValues(t *testing.T) {
	tests := []struct {
		name  string
		value any
		want  bool
	}{
		{"tls-private-key-file", "/etc/ssl/key.pem", true},
		{"tls-private-key-file", "hunter2", false},
		{"password", "/hunter2", false},
		{"password-path", "/run/pw", true},
		{"authentication-token-webhook", "true", true},
		{"authentication-token-webhook", true, true},
		{"token-ttl", "2m30s", true},
		{"token", "0", false},
		{"token", json.Number("1"), false},
		{"token", []any{"x"}, false},
	}
	for _, tt := range tests {
		if got := isHarmless(tt.name, tt.value); got != tt.want {
			t.Errorf("%s: %v is harmless: %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestMaskText(t *testing.T) {
	for in, want := range map[string]string{
		"http://proxy:3128":                                   "http://proxy:3128",
		"http://u:p@proxy:3128":                               "http://M@proxy:3128",
		"http://token@proxy":                                  "http://M@proxy",
		"http://u:p@ss@proxy/a@b":                             "http://M@proxy/a@b",
		"https://x/?a=1&access_token=p&b=2":                   "https://x/?a=1&access_token=M&b=2",
		"https://x/?X-Amz-Signature=abc#f":                    "https://x/?X-Amz-Signature=M#f",
		"a=b,password=x,c=d":                                  "a=b,password=M,c=d",
		"RotateKubeletServerCertificate=true":                 "RotateKubeletServerCertificate=true",
		"KubeletCredentialProviders=true":                     "KubeletCredentialProviders=true",
		"A=true,KubeletCredentialProviders=False,B=x":         "A=true,KubeletCredentialProviders=False,B=x",
		"credential-cache=600,token=600s":                     "credential-cache=600,token=M",
		"password=true1,token=true-ish,secret=1234":           "password=M,token=M,secret=M",
		"token=true=hunter2":                                  "token=M",
		"-----BEGIN RSA PRIVATE KEY-----\nx":                  "M",
		"-----BEGIN CERTIFICATE-----\nx":                      "-----BEGIN CERTIFICATE-----\nx",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:1": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/x:1",
	} {
		if got := maskText(in, "M"); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestMaskEnv(t *testing.T) {
	env := func(items ...any) map[string]any {
		return map[string]any{"services": map[string]any{"kubelet": map[string]any{"extraEnv": items}}}
	}
	tests := []struct {
		name          string
		before, after []any
		wantA, wantB  []any
	}{
		{"unchanged", []any{"A=1"}, []any{"A=1"}, []any{"A=<redacted>"}, []any{"A=<redacted>"}},
		{"changed", []any{"A=1"}, []any{"A=2"}, []any{"A=<redacted, before>"}, []any{"A=<redacted, after>"}},
		{"moved", []any{"A=1", "B=2"}, []any{"B=2", "A=1"}, []any{"A=<redacted>", "B=<redacted>"}, []any{"B=<redacted>", "A=<redacted>"}},
		{"one more before it", []any{"A=1"}, []any{"B=2", "A=1"}, []any{"A=<redacted>"}, []any{"B=<redacted>", "A=<redacted>"}},
		{"the second of two", []any{"A=1", "A=2"}, []any{"A=1", "A=3"}, []any{"A=<redacted>", "A=<redacted, before>"}, []any{"A=<redacted>", "A=<redacted, after>"}},
		{"two of one name, unchanged", []any{"A=1", "A=2"}, []any{"A=1", "A=2"}, []any{"A=<redacted>", "A=<redacted>"}, []any{"A=<redacted>", "A=<redacted>"}},
		{"no value", []any{"A="}, []any{"A=", ""}, []any{"A="}, []any{"A=", ""}},
		{"no name", []any{"hunter2"}, []any{"hunter3"}, []any{"<redacted, before>"}, []any{"<redacted, after>"}},
		{"a name that is none", []any{"hunter 2=x"}, []any{"hunter 2=x"}, []any{"<redacted>"}, []any{"<redacted>"}},
		{"no text", []any{map[string]any{"name": "A", "value": "hunter2"}, json.Number("7")}, []any{}, []any{"<redacted>", "<redacted>"}, []any{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := maskPair(configShape(), maskNothing, "", env(tt.before...), env(tt.after...))
			if diff := cmp.Diff(env(tt.wantA...), a); diff != "" {
				t.Errorf("before (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(env(tt.wantB...), b); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever form a secret place has, what is in it is hidden.
func TestSecretsOfTheWrongType(t *testing.T) {
	for _, raw := range []string{
		kubelet(`{"extraEnv":"A=hunter2"}`), kubelet(`{"extraEnv":{"A":"hunter2"}}`), kubelet(`{"extraEnv":[["A=hunter2"]]}`),
		`{"privateRegistries":[{"password":["hunter2"]}]}`, `{"privateRegistries":[{"password":{"a":"hunter2"}}]}`,
		`{"privateRegistries":{"password":"hunter2"}}`, `{"nodes":{"x":{"password":"hunter2"}}}`, `{"addons":["hunter2"]}`,
		`{"future":{"token":{"a":[{"b":"hunter2"}]}}}`, `{"ingress":{"extraEnvs":[{"name":"A","value":["hunter2"]}]}}`,
	} {
		doc := parse(t, raw)
		for name, text := range map[string]string{
			"YAML": YAML(doc), "Diff": Diff(Document{}, doc, DiffOptions{}), "Diff to none": Diff(doc, Document{}, DiffOptions{}),
			"MaskChanges": changesJSON(t, MaskChanges(Compare(Document{}, doc))),
		} {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s of %s shows the secret:\n%s", name, raw, text)
			}
		}
	}
}

func TestMaskChanges(t *testing.T) {
	tests := []struct {
		in, want Change
	}{
		{Change{`services.kubelet.extraArgs["max-pods"]`, "1", "2"}, Change{`services.kubelet.extraArgs["max-pods"]`, "1", "2"}},
		{Change{`services.kubelet.extraArgs["my-token"]`, "1", "2"}, Change{`services.kubelet.extraArgs["my-token"]`, RedactedBefore, RedactedAfter}},
		{Change{`services.kubelet.extraArgsArray["my-token"][0]`, "1", nil}, Change{`services.kubelet.extraArgsArray["my-token"][0]`, Redacted, nil}},
		{Change{"services.kubelet.extraEnv[3]", nil, "A=1"}, Change{"services.kubelet.extraEnv[3]", nil, "A=<redacted>"}},
		{Change{"services.kubelet.extraEnv[3]", "A=1", "A=2"}, Change{"services.kubelet.extraEnv[3]", "A=<redacted, before>", "A=<redacted, after>"}},
		{Change{"services.kubelet.extraEnv.x", "1", "2"}, Change{"services.kubelet.extraEnv.x", RedactedBefore, RedactedAfter}},
		{Change{"privateRegistries[0]", nil, map[string]any{"url": "u", "password": "p"}}, Change{"privateRegistries[0]", nil, map[string]any{"url": "u", "password": Redacted}}},
		{Change{"services.kubeApi.secretsEncryptionConfig.customConfig.resources[0]", "a", nil}, Change{"services.kubeApi.secretsEncryptionConfig.customConfig.resources[0]", Redacted, nil}},
		{Change{"a path nobody can read", "1", map[string]any{"a": "b"}}, Change{"a path nobody can read", RedactedBefore, RedactedAfter}},
		{Change{"network.mtu", nil, json.Number("1400")}, Change{"network.mtu", nil, json.Number("1400")}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff([]Change{tt.want}, MaskChanges([]Change{tt.in})); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.in, diff)
		}
	}
	if got := changesJSON(t, MaskChanges(nil)); got != "[]" {
		t.Errorf("no changes are written as %s", got)
	}
}

func changesJSON(t testing.TB, changes []Change) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(changes); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(b.String()))
}
