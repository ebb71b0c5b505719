package rancher_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rkepatch/rancher"
)

func TestURLIsNormalised(t *testing.T) {
	for given, want := range map[string]string{
		"https://rancher.example.com":          "https://rancher.example.com",
		" https://rancher.example.com/ ":       "https://rancher.example.com",
		"https://rancher.example.com/v3":       "https://rancher.example.com",
		"https://rancher.example.com/v3/":      "https://rancher.example.com",
		"https://rancher.example.com:8443//":   "https://rancher.example.com:8443",
		"https://example.com/tools/rancher/v3": "https://example.com/tools/rancher",
		"https://example.com/a%20b/":           "https://example.com/a%20b",
		"https://[2001:db8::1]:8443/":          "https://[2001:db8::1]:8443",
		"http://rancher.example.com":           "http://rancher.example.com",
		"https://example.com/v3/tools":         "https://example.com/v3/tools",
	} {
		c, err := rancher.New(rancher.Options{URL: given, Token: testToken})
		if err != nil {
			t.Errorf("%q: %v", given, err)
		} else if c.URL() != want {
			t.Errorf("%q: got %q, want %q", given, c.URL(), want)
		}
	}
}

func TestUnusableOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    rancher.Options
		kind error
		word string // in the text
		hint string
	}{
		{"no URL", rancher.Options{Token: testToken}, rancher.ErrNoURL, "no Rancher URL", "RANCHER_URL"},
		{"no scheme", rancher.Options{URL: "rancher.example.com", Token: testToken}, rancher.ErrOption, "no scheme", "https://"},
		{"no scheme but a port", rancher.Options{URL: "rancher.example.com:443", Token: testToken}, rancher.ErrOption, "no scheme", "https://"},
		{"password in the URL", rancher.Options{URL: "https://bob:" + testKey + "@rancher.example.com", Token: testToken}, rancher.ErrOption, "password", "--token"},
		{"password in a broken URL", rancher.Options{URL: "https://bob:" + testKey + "@rancher\x7f.example.com", Token: testToken}, rancher.ErrOption, "not a valid", "https://"},
		{"other scheme", rancher.Options{URL: "ftp://rancher.example.com", Token: testToken}, rancher.ErrOption, "ftp", "https://"},
		{"no host", rancher.Options{URL: "https:///v3", Token: testToken}, rancher.ErrOption, "no host", "https://"},
		{"query", rancher.Options{URL: testURL + "?a=b", Token: testToken}, rancher.ErrOption, "?", "https://"},
		{"fragment", rancher.Options{URL: testURL + "/#/clusters", Token: testToken}, rancher.ErrOption, "#", "https://"},
		{"no credentials", rancher.Options{URL: testURL}, rancher.ErrNoCredentials, "no credentials", "RANCHER_TOKEN_KEY"},
		{"secret part only", rancher.Options{URL: testURL, Token: testKey}, rancher.ErrOption, "token-xxxxx:secret", "whole"},
		{"token of two lines", rancher.Options{URL: testURL, Token: "token-abcde:" + testKey + "\nX-Evil: 1"}, rancher.ErrOption, "token-xxxxx:secret", "whole"},
		{"access key only", rancher.Options{URL: testURL, AccessKey: "token-abcde"}, rancher.ErrOption, "secret key", "RANCHER_SECRET_KEY"},
		{"secret key only", rancher.Options{URL: testURL, SecretKey: testKey}, rancher.ErrOption, "secret key", "RANCHER_ACCESS_KEY"},
		{"broken secret key", rancher.Options{URL: testURL, AccessKey: "token-abcde", SecretKey: testKey + "\x00"}, rancher.ErrOption, "control", "again"},
		{"browser", rancher.Options{URL: testURL, Token: testToken, UserAgent: "Mozilla/5.0"}, rancher.ErrOption, "mozilla", ""},
		{"two lines of agent", rancher.Options{URL: testURL, Token: testToken, UserAgent: "a\r\nb"}, rancher.ErrOption, "user agent", ""},
		{"CA is a path", rancher.Options{URL: testURL, Token: testToken, CACerts: "/etc/ssl/ca.pem"}, rancher.ErrTLS, "not PEM", "--ca-file"},
		{"CA is a key", rancher.Options{URL: testURL, Token: testToken, CACerts: privateKey(t)}, rancher.ErrTLS, "PRIVATE KEY", "--ca-file"},
		{"CA is garbled", rancher.Options{URL: testURL, Token: testToken, CACerts: pemOf("CERTIFICATE", []byte("x"))}, rancher.ErrTLS, "certificate 1", "--ca-file"},
		{"CA is cut", rancher.Options{URL: testURL, Token: testToken, CACerts: serverCA(t) + "-----BEGIN CERTIFICATE-----\nMII"}, rancher.ErrTLS, "not PEM", "--ca-file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := rancher.New(tt.o)
			if c != nil {
				t.Fatal("got a client")
			}
			wantError(t, err, tt.kind, "reading the connection settings", tt.word)
			wantHint(t, err, tt.hint)
		})
	}
}

func pemOf(kind string, bytes []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
}

func privateKey(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func serverCA(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	defer s.Close()
	return pemOf("CERTIFICATE", s.Certificate().Raw)
}

// What the operator turns off or gets wrong is said aloud, once, when the client is made.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    rancher.Options
		want string // "" for silence
	}{
		{"all well", rancher.Options{URL: testURL}, ""},
		{"plain http", rancher.Options{URL: "http://rancher.example.com"}, "not encrypted"},
		{"plain http to this machine itself", rancher.Options{URL: "http://127.0.0.1:8080"}, ""},
		{"plain http to a host that is called like it", rancher.Options{URL: "http://127.0.0.1.example.com"}, "not encrypted"},
		{"insecure", rancher.Options{URL: testURL, Insecure: true}, "not verified"},
		{"insecure with CA", rancher.Options{URL: testURL, Insecure: true, CACerts: serverCA(t)}, "CA certificates are not used"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said []string
			tt.o.Token, tt.o.Warn = testToken, func(s string) { said = append(said, s) }
			if _, err := rancher.New(tt.o); err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(said, "\n"); (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) || len(said) > 1 {
				t.Errorf("got %q, want %q", said, tt.want)
			}
		})
	}
	// Without anybody to warn, nothing breaks.
	if _, err := rancher.New(rancher.Options{URL: "http://rancher.example.com", Token: testToken}); err != nil {
		t.Error(err)
	}
}

func TestCredentialsAndAgentAreSent(t *testing.T) {
	var got http.Header
	record := func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		answer(200, `{"type":"collection","data":[]}`)(w, r)
	}
	for _, tt := range []struct {
		name          string
		o             rancher.Options
		authorization string
		agent         string
	}{
		{"token", rancher.Options{Token: " " + testToken + "\n"}, "Bearer " + testToken, "rkepatch"},
		{"keys", rancher.Options{AccessKey: "token-abcde", SecretKey: "k>?k>?", UserAgent: "rkepatch/1.2"}, "Basic dG9rZW4tYWJjZGU6az4_az4_", "rkepatch/1.2"},
		{"token wins", rancher.Options{Token: testToken, AccessKey: "token-abcde", SecretKey: testKey}, "Bearer " + testToken, "rkepatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.URL, tt.o.Transport = testURL, inMemory{http.HandlerFunc(record)}
			c, err := rancher.New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{})); err != nil {
				t.Fatal(err)
			}
			if got.Get("Authorization") != tt.authorization || got.Get("User-Agent") != tt.agent || got.Get("Accept") != "application/json" {
				t.Errorf("sent %v", got)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	secret := rancher.Secret(testKey)
	if secret.Reveal() != testKey {
		t.Fatal("the secret is lost")
	}
	o := rancher.Options{URL: testURL, Token: testToken, AccessKey: "token-abcde", SecretKey: testKey}
	c, err := rancher.New(o)
	if err != nil {
		t.Fatal(err)
	}
	cluster := rancher.Cluster{ID: "c-abc12", Name: "prod", Config: json.RawMessage(`"` + testKey + `"`)}
	config := rancher.CLIConfig{Servers: map[string]rancher.CLIServer{"a": {TokenKey: testToken, SecretKey: testKey, ProxyURL: testKey}}}
	for _, v := range []any{secret, &secret, o, &o, c, config, &config, cluster, &cluster, []rancher.Secret{secret}, map[string]any{"k": secret}, struct{ C *rancher.Client }{c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			wantNoLeak(t, fmt.Sprintf(verb, v))
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		wantNoLeak(t, log.String())
	}
	for _, v := range []any{secret, o.Token, config} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		wantNoLeak(t, string(text))
	}
	if text := fmt.Sprint(cluster); text != "cluster c-abc12 (prod)" {
		t.Errorf("a cluster prints as %q", text)
	}
	if text := fmt.Sprintf("%v", c); text != "rancher client for "+testURL {
		t.Errorf("a client prints as %q", text)
	}
}

func TestErrorsAreErrorsOfTheirKindOnly(t *testing.T) {
	_, err := rancher.New(rancher.Options{})
	if !errors.Is(err, rancher.ErrNoURL) || errors.Is(err, rancher.ErrOption) {
		t.Errorf("got %v", err)
	}
	var e *rancher.Error
	if !errors.As(err, &e) || e.Op == "" || e.Kind != rancher.ErrNoURL {
		t.Errorf("got %#v", e)
	}
}
