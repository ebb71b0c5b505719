package rancher_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"rkepatch/rancher"
)

// proxyRequests counts what arrives at the proxy that TestMain puts into the environment. net/http reads
// the environment once per process, and never uses a proxy for loopback addresses.
var proxyRequests = make(chan *http.Request, 100)

func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxyRequests <- r
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		_, _ = io.WriteString(w, `{"Version":"v2.9.1"}`)
	}))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		_ = os.Setenv(name, strings.Replace(proxy.URL, "http://", "http://bob:"+testKey+"@", 1))
		_ = os.Unsetenv(strings.ToLower(name))
	}
	_ = os.Unsetenv("NO_PROXY")
	_ = os.Unsetenv("no_proxy")
	code := m.Run()
	proxy.Close()
	os.Exit(code)
}

func TestProxyOfTheEnvironmentIsUsed(t *testing.T) {
	c := newClientWith(t, rancher.Options{URL: "http://rancher.invalid", RetryBudget: -1})
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := <-proxyRequests; r.URL.Host != "rancher.invalid" {
		t.Errorf("the proxy was asked for %s", r.URL)
	}
	c = newClientWith(t, rancher.Options{URL: "https://rancher.invalid", RetryBudget: -1})
	_, err := c.Version(t.Context())
	wantError(t, err, rancher.ErrUnreachable, "Proxy Authentication Required")
	<-proxyRequests
}

func TestProxyTroubleNamesTheProxySettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		word string
	}{
		{"no proxy there", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("connection refused")}, "proxy: connection refused"},
		{"broken address", fmt.Errorf("invalid proxy address %q", "http://bob:"+testKey+"@"), "no valid address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := failing(t, tt.err).Version(t.Context())
			wantError(t, err, rancher.ErrUnreachable, tt.word)
			wantHint(t, err, "HTTPS_PROXY")
			for e := err; e != nil; e = errors.Unwrap(e) {
				wantNoLeak(t, e.Error())
			}
		})
	}
}

// failing returns a client whose transport fails.
func failing(t *testing.T, err error) *rancher.Client {
	return newClientWith(t, rancher.Options{RetryBudget: -1, Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })})
}

func quietTLSServer(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestSelfSignedCertificate(t *testing.T) {
	s := quietTLSServer(t, answer(200, `{"Version":"v2.9.1"}`))
	ca := pemOf("CERTIFICATE", s.Certificate().Raw)
	byName := strings.Replace(s.URL, "127.0.0.1", "localhost", 1) // httptest's certificate is not for it

	_, err := newClientWith(t, rancher.Options{URL: s.URL}).Version(t.Context()) // with retries: it must not use them
	wantError(t, err, rancher.ErrTLS, s.URL, "authority that is not trusted")
	wantHint(t, err, "--ca-file", "RANCHER_CA_CERTS")

	_, err = newClientWith(t, rancher.Options{URL: byName, CACerts: ca}).Version(t.Context())
	wantError(t, err, rancher.ErrTLS, "not for localhost")
	wantHint(t, err, "--url")

	for _, o := range []rancher.Options{{CACerts: ca}, {CACerts: "Rancher's own\n" + ca + ca}, {Insecure: true}} {
		o.URL = s.URL
		if v, err := newClientWith(t, o).Version(t.Context()); err != nil || v.Version != "v2.9.1" {
			t.Errorf("with %v: %v %v", o, v, err)
		}
	}
}

func TestExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1e9, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	defer s.Close()
	_, err = newClientWith(t, rancher.Options{URL: s.URL, CACerts: pemOf("CERTIFICATE", der)}).Version(t.Context())
	wantError(t, err, rancher.ErrTLS, "expired")
	wantHint(t, err, "clock")
}

func TestOldTLSIsRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // what is refused
	s.StartTLS()
	defer s.Close()
	_, err := newClientWith(t, rancher.Options{URL: s.URL, Insecure: true}).Version(t.Context())
	wantError(t, err, rancher.ErrTLS, "protocol version")
}

func TestWrongPorts(t *testing.T) {
	plain := httptest.NewServer(answer(200, "{}"))
	defer plain.Close()
	_, err := newClientWith(t, rancher.Options{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Version(t.Context())
	wantError(t, err, rancher.ErrTLS, "does not speak TLS")
	wantHint(t, err, "port")

	secure := quietTLSServer(t, answer(200, "{}"))
	_, err = newClientWith(t, rancher.Options{URL: strings.Replace(secure.URL, "https:", "http:", 1)}).Version(t.Context())
	wantError(t, err, rancher.ErrNotRancher, "400")
	wantHint(t, err, "https://")

	// Nobody listens. The first request fails at once: the address is more likely wrong than the server down.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + l.Addr().String()
	_ = l.Close()
	_, err = newClientWith(t, rancher.Options{URL: url}).Version(t.Context())
	wantError(t, err, rancher.ErrUnreachable, url, "refused")
	wantHint(t, err, "port")
}

func TestUnknownHost(t *testing.T) {
	err := error(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "rancher.example.com", IsNotFound: true}})
	c := newClientWith(t, rancher.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })})
	_, err = c.Version(t.Context())
	wantError(t, err, rancher.ErrUnreachable, "no such host")
	wantHint(t, err, "--url")
}

// Every status has its kind, whatever the body, and the body is never shown.
func TestStatuses(t *testing.T) {
	norman := func(status int, code, field, message string) string {
		return fmt.Sprintf(`{"baseType":"error","type":"error","status":%d,"code":%q,"fieldName":%q,"message":%q}`, status, code, field, message)
	}
	const page = "<html><title>" + testToken + "</title><script>var a = 1</script></html>"
	for _, tt := range []struct {
		name   string
		status int
		body   string
		kind   error
		words  []string
		hint   string
	}{
		{"recorded 401, whose status is text", 401, recorded("error-401-bad-token.json"), rancher.ErrUnauthorized, []string{"401", "must authenticate"}, "--token"},
		{"recorded 404", 404, recorded("error-404-cluster.json"), rancher.ErrNotFound, []string{"NotFound", `"c-zzzzz" not found`}, ""},
		{"recorded 404 of the k8s proxy", 404, recorded("error-404-k8s-proxy.json"), rancher.ErrNotFound, []string{"NotFound", `"c-zzzzz" not found`}, ""},
		{"recorded 503 of the k8s proxy", 503, recorded("error-503-k8s-proxy-not-provisioned.json"), rancher.ErrServer, []string{"503 ClusterUnavailable", "cluster not provisioned"}, ""},
		{"recorded 422 without name", 422, recorded("error-422-put-without-name.json"), rancher.ErrValidation, []string{"422 MissingRequired", "field Cluster name"}, ""},
		{"recorded 422 template", 422, recorded("error-422-put-template-cluster-without-revision.json"), rancher.ErrValidation, []string{"MissingRequired", "field ClusterTemplateRevision", "please pass"}, ""},
		{"recorded 422 bad JSON", 422, recorded("error-422-put-bad-json.json"), rancher.ErrValidation, []string{"InvalidBodyContent"}, ""},
		{"kubernetes status", 403, `{"kind":"Status","code":403,"reason":"Forbidden","message":"clusters is forbidden"}`, rancher.ErrForbidden, []string{"403 Forbidden", "clusters is forbidden"}, "owns"},
		{"conflict", 409, norman(409, "Conflict", "", "the server reported a conflict"), rancher.ErrConflict, []string{"409 Conflict"}, ""},
		{"webhook", 400, norman(400, "", "", "once set, field FleetWorkspaceName cannot be made empty"), rancher.ErrValidation, []string{"FleetWorkspaceName"}, ""},
		{"server", 500, norman(500, "ServerError", "", "not enough control plane nodes ready to upgrade"), rancher.ErrServer, []string{"not enough"}, ""},
		{"method", 405, norman(405, "MethodNotAllow", "", ""), rancher.ErrValidation, []string{"405"}, ""},
		{"teapot", 418, norman(418, "", "", "teapot"), rancher.ErrValidation, []string{"418", "teapot"}, ""},
		{"unknown server error", 507, "", rancher.ErrServer, []string{"507"}, ""},
		{"not modified", 304, "", rancher.ErrNotRancher, []string{"304"}, "--url"},
		{"rate limit", 429, "slow down", rancher.ErrRateLimited, []string{"429"}, "wait"},
		{"body too large, from a proxy", 413, page, rancher.ErrTooLarge, []string{"413"}, ""},
		{"gateway page", 502, page, rancher.ErrServer, []string{"502"}, ""},
		{"page of a proxy's login", 401, page, rancher.ErrUnauthorized, []string{"401"}, "--token"},
		{"page instead of an API", 404, page, rancher.ErrNotRancher, []string{"404", "not JSON"}, "/dashboard"},
		{"validation as a page", 422, page, rancher.ErrNotRancher, []string{"422"}, "/dashboard"},
		{"list as error", 404, `["` + testToken + `"]`, rancher.ErrNotRancher, []string{"not JSON"}, "--url"},
		{"null as error", 404, `null`, rancher.ErrNotRancher, []string{"not JSON"}, "--url"},
		{"credentials in the message", 500, norman(500, testKey, testToken, "bad "+testToken+", I mean "+testKey), rancher.ErrServer, []string{"bad ***"}, ""},
		{"control characters", 500, `{"message":"a\u001b[2Jb\r\nc\u202ed\u0000","code":"x\n"}`, rancher.ErrServer, []string{"b  c"}, ""},
		{"endless message", 500, `{"message":"` + strings.Repeat("x", 50_000) + `"}`, rancher.ErrServer, []string{"xxx..."}, ""},
		{"endless body", 500, strings.Repeat(testKey, 1<<20), rancher.ErrServer, []string{"500"}, ""},
		{"quoted config", 422, norman(422, "InvalidFormat", "rancherKubernetesEngineConfig", "Value can not be converted to type rkeConfigServices: map[extraEnv:[AWS_SECRET_ACCESS_KEY="+testKey+"]]"), rancher.ErrValidation, []string{"InvalidFormat", "converted to type rkeConfigServices"}, ""},
		{"wrong types", 500, `{"message":{"a":1},"code":[],"fieldName":7}`, rancher.ErrServer, []string{"500"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, answer(tt.status, tt.body)).Cluster(t.Context(), "c-abc12")
			wantError(t, err, tt.kind, append(tt.words, "reading cluster c-abc12: ")...)
			wantHint(t, err, tt.hint)
			if strings.Contains(err.Error(), "<") {
				t.Errorf("the body is shown: %v", err)
			}
			var e *rancher.Error
			if !errors.As(err, &e) || e.Status != tt.status || e.Kind != tt.kind {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestClusterScopedTokenOnAList(t *testing.T) {
	c := newClient(t, answer(401, recorded("error-401-bad-token.json")))
	_, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
	wantError(t, err, rancher.ErrUnauthorized, "listing clusters at "+testURL)
	wantHint(t, err, "one cluster only", "--token")
}

// What answers 2xx is not always Rancher, and not always the whole of it.
func TestStrangeAnswers(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for _, tt := range []struct {
		name string
		body string
		kind error
		word string
	}{
		{"page", "<!doctype html><p>" + testToken, rancher.ErrNotRancher, "not JSON"},
		{"nothing", "", rancher.ErrUnreachable, "cut short"},
		{"half", `{"id":"c-abc12","name":"pr`, rancher.ErrUnreachable, "cut short"},
		{"garbage", `{"id":"c-abc12",,}`, rancher.ErrNotRancher, "not JSON"},
		{"binary", "\x1f\x8b\x00\xff\xfe" + testKey, rancher.ErrNotRancher, "not JSON"},
		{"list", `[]`, rancher.ErrBadAnswer, "array"},
		{"text", `"` + testKey + `"`, rancher.ErrBadAnswer, "string"},
		{"null", `null`, rancher.ErrBadAnswer, "something else"},
		{"other cluster", `{"id":"c-other"}`, rancher.ErrBadAnswer, "something else"},
		{"wrong type", `{"id":"c-abc12","labels":["` + testKey + `"]}`, rancher.ErrBadAnswer, "labels"},
		{"wrong type inside", `{"id":"c-abc12","conditions":[{"type":{"a":1}}]}`, rancher.ErrBadAnswer, "conditions"},
		{"deep", `{"id":"c-abc12","x":` + deep, rancher.ErrNotRancher, "not JSON"},
		{"huge", `{"id":"c-abc12","x":"` + strings.Repeat("x", 2<<20) + `"}`, rancher.ErrTooLarge, "1 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, answer(200, tt.body))
			c.LimitValues(1 << 20)
			_, err := c.Cluster(t.Context(), "c-abc12")
			wantError(t, err, tt.kind, "reading cluster c-abc12", tt.word)
		})
	}
}

// The server promises more than it sends, then goes away.
func TestConnectionsThatBreak(t *testing.T) {
	for name, said := range map[string]string{
		"at once":       "",
		"in the header": "HTTP/1.1 200 OK\r\nContent-Le",
		"in the body":   "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":",
		"in a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"id\":",
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, said) }))
			defer s.Close()
			c := newClientWith(t, rancher.Options{URL: s.URL, RetryBudget: -1})
			_, err := c.Cluster(t.Context(), "c-abc12")
			wantError(t, err, rancher.ErrUnreachable, "reading cluster c-abc12")
		})
	}
}

// hijack sends raw bytes and closes the connection.
func hijack(t *testing.T, w http.ResponseWriter, said string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	b := bufio.NewWriter(conn)
	_, _ = b.WriteString(said)
	_ = b.Flush()
	_ = conn.Close()
}

// Credentials go to the configured server and to no other, whatever an answer says.
func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked: %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	for _, tt := range []struct {
		name, to string
		follows  bool
	}{
		{"other host", other.URL + "/v3/clusters/c-abc12", false},
		{"other host without scheme", strings.TrimPrefix(other.URL, "http:"), false},
		{"same host, TLS", "", false}, // filled in below
		{"same server", "/elsewhere", true},
		{"round and round", "/v3/clusters/c-abc12", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					answer(200, `{"id":"c-abc12","name":"prod"}`)(w, r)
					return
				}
				to := tt.to
				if to == "" {
					to = "https://" + r.Host
				}
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			}))
			defer s.Close()
			c := newClientWith(t, rancher.Options{URL: s.URL, RetryBudget: -1})
			cluster, err := c.Cluster(t.Context(), "c-abc12")
			if tt.follows {
				if err != nil || cluster.Name != "prod" {
					t.Errorf("got %v, %v", cluster, err)
				}
				return
			}
			wantError(t, err, rancher.ErrNotRancher, "redirects to")
			wantHint(t, err, "--url")

			// An update is not sent on at all.
			cluster = &rancher.Cluster{ID: "c-abc12", Name: "prod", CanUpdate: true, Config: []byte(`{}`)}
			_, err = c.UpdateConfig(t.Context(), cluster, map[string]any{"a": 1}, differences)
			wantError(t, err, rancher.ErrUnknownOutcome, "redirects to")
		})
	}
}

func TestTheCallersEndIsNotTheServersFault(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the operator pressed Ctrl-C")
	c := newClient(t, func(http.ResponseWriter, *http.Request) { cancel(why) })
	_, err := c.Cluster(ctx, "c-abc12")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, rancher.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if _, err = c.Version(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	past, done := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer done()
	if _, err = c.Version(past); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "out of time") {
		t.Errorf("got %v", err)
	}
}
