package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// Every secret that the simulator knows is logged in every way in which a
// careless line of code could do it.
func TestRedactorLeaks(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddDemoFleet()
	_, key, _ := strings.Cut(simrancher.AdminToken, ":")
	type ways = map[string]func(l *slog.Logger, secret string)
	values := ways{
		"type":          func(l *slog.Logger, s string) { l.Info("x", "value", rancher.Secret(s)) },
		"key":           func(l *slog.Logger, s string) { l.Info("x", "s3-secret_Key", s) },
		"key, any type": func(l *slog.Logger, s string) { l.Info("x", "password", []string{s}) },
		"group":         func(l *slog.Logger, s string) { l.Info("x", slog.Group("a", slog.Group("b", "authToken", s))) },
		"secret group":  func(l *slog.Logger, s string) { l.Info("x", slog.Group("credentials", slog.Group("b", "user", s))) },
		"with":          func(l *slog.Logger, s string) { l.With("password", s).Info("x") },
		"with a group":  func(l *slog.Logger, s string) { l.WithGroup("clusterSecrets").With("a", s).Info("x", "b", s) },
		"map":           func(l *slog.Logger, s string) { l.Info("x", "config", map[string]any{"user": "a", s: s}) },
		"list":          func(l *slog.Logger, s string) { l.Info("x", "env", []any{"AWS_SECRET_ACCESS_KEY=" + s, s}) },
		"struct":        func(l *slog.Logger, s string) { l.Info("x", "o", struct{ A, B string }{s, s}) },
		"pointer":       func(l *slog.Logger, s string) { l.Info("x", "o", &s) },
		"bytes":         func(l *slog.Logger, s string) { l.Info("x", "body", []byte(s)) },
		"raw JSON":      func(l *slog.Logger, s string) { l.Info("x", "body", json.RawMessage(`"`+s+`"`)) },
		"cluster": func(l *slog.Logger, s string) {
			l.Info("x", "c", &rancher.Cluster{Config: json.RawMessage(`"` + s + `"`)})
		},
		"lazy object": func(l *slog.Logger, s string) { l.Info("x", "lazy", lazy{slog.AnyValue([]string{s})}) },
	}
	texts := ways{ // for secrets of one word
		"lazy":           func(l *slog.Logger, s string) { l.Info("x", "lazy", lazy{slog.StringValue("password=" + s)}) },
		"error":          func(l *slog.Logger, s string) { l.Error("x", "error", fmt.Errorf("a: %w", errors.New("token="+s))) },
		"environment":    func(l *slog.Logger, s string) { l.Info("env AWS_SECRET_ACCESS_KEY=" + s) },
		"command line":   func(l *slog.Logger, s string) { l.Info("agent --server https://x --token " + s) },
		"header":         func(l *slog.Logger, s string) { l.Info("Authorization: Bearer " + s) },
		"JSON in a text": func(l *slog.Logger, s string) { l.Info("x", "text", `{"user":"a","password":"`+s+`"}`) },
		"YAML in a text": func(l *slog.Logger, s string) { l.Info("x", "text", "user: a\npassword: "+s) },
		"address":        func(l *slog.Logger, s string) { l.Info("x", "text", "https://user:"+s+"@registry.example.com") },
	}
	bare := ways{ // for those that the handler was told of
		"known":           func(l *slog.Logger, s string) { l.Info("x"+s+"x", "text", "x"+s+"x", s, "x") },
		"known, encoded":  func(l *slog.Logger, s string) { l.Info("x", "text", "Basic "+s) },
		"known, an error": func(l *slog.Logger, s string) { l.Error("x", "error", errors.New("x"+s+"x")) },
	}
	known := secretsOf(&rancher.Options{Token: simrancher.AdminToken, AccessKey: "token-admin", SecretKey: rancher.Secret(key)})
	try := func(secret string, all ways) {
		for way, leak := range all {
			var b bytes.Buffer
			l := slog.New(newRedactor(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}), known...))
			leak(l, secret)
			if b.Len() == 0 || strings.Contains(b.String(), secret) {
				t.Errorf("%s: %q leaks: %s", way, secret, b.String())
			}
		}
	}
	for _, secret := range sim.Secrets() {
		try(secret, values)
		if !strings.ContainsAny(secret, " \n\"{") {
			try(secret, texts)
		}
	}
	for _, secret := range slices.DeleteFunc(known, func(s string) bool { return s == "" }) {
		try(secret, values)
		try(secret, texts)
		try(secret, bare)
	}
}

type lazy struct{ v slog.Value }

func (l lazy) LogValue() slog.Value { return l.v }

// A key that is not this run's own is known by its form.
func TestRedactorKnowsKeysByTheirForm(t *testing.T) {
	var b bytes.Buffer
	slog.New(newRedactor(slog.NewTextHandler(&b, nil))).Info("with kubeconfig-u-abc:s3cr3t and token-abcde:s3cr3t")
	if strings.Contains(b.String(), "s3cr3t") || !strings.Contains(b.String(), "token-abcde:***") {
		t.Error(b.String())
	}
}

// What is no secret can be read.
func TestRedactorKeeps(t *testing.T) {
	for _, text := range []string{
		"GET /v3/clusters?driver=rancherKubernetesEngine&id_in=c-prod1",
		"prod-eu: the token is refused, give a valid API key with --token (or RANCHER_TOKEN_KEY)",
		"worker-7 (not Ready for 4 min: NodeStatusUnknown Kubelet stopped posting node status.)",
		"next: rkepatch rollback 20261123T143113Z-030c3a c-prod1",
	} {
		var b bytes.Buffer
		slog.New(newRedactor(slog.NewTextHandler(&b, nil), "s3cr3t")).Info("x", "n", 3, "a", text, "took", 1.5, "ok", true)
		if got := b.String(); !strings.Contains(got, text) || !strings.Contains(got, "n=3") || !strings.Contains(got, "ok=true") {
			t.Errorf("%q became %s", text, got)
		}
	}
}

// No text, however long or broken, takes the handler down or gets a known secret
// through.
func FuzzRedactor(f *testing.F) {
	f.Add("password", "Bearer s3cr3tkey")
	f.Add("a", "token-abcde:s3cr3tkey://x:y@z password=\"\\")
	f.Fuzz(func(t *testing.T, key, text string) {
		var b bytes.Buffer
		slog.New(newRedactor(slog.NewJSONHandler(&b, nil), "s3cr3tkey")).Info(text, key, text, "x"+key, errors.New(text+"s3cr3tkey"))
		if bytes.Contains(b.Bytes(), []byte("s3cr3tkey")) {
			t.Error(b.String())
		}
	})
}
