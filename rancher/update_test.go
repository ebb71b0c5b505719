package rancher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

const config126 = `{"kubernetesVersion":"v1.26.15-rancher1-1","enableCriDockerd":true,"addonJobTimeout":45.0,"services":{"kubelet":{"extraArgs":{"v":"2<3"}}},` + usualStrategy + `}`

func updatable() *rancher.Cluster {
	return &rancher.Cluster{ID: "c-abc12", Name: "prod-eu", Driver: rancher.DriverRKE, CanUpdate: true, Config: json.RawMessage(config126), Annotations: map[string]string{"a": "b"}}
}

// stored is the answer of a Rancher that stored a config.
func stored(config string) string {
	return `{"id":"c-abc12","name":"prod-eu","rancherKubernetesEngineConfig":` + config + `}`
}

// The body is the smallest safe one: name and complete config, numbers digit by digit.
func TestBodyOfAnUpdate(t *testing.T) {
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		want        string
	}{
		{"plain", map[string]string{"a": "b"}, `{"name":"prod-eu","rancherKubernetesEngineConfig":{"addonJobTimeout":45.0,"enableCriDockerd":true,"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":{"extraArgs":{"v":"2<3"}}},"upgradeStrategy":{"drain":false,"maxUnavailableControlplane":"1","maxUnavailableWorker":"10%"}}}`},
		{"with the annotation that steers cri-dockerd, and then all of them", map[string]string{"a": "b", "io.cattle.cluster.cridockerd.enable": "false"}, `{"name":"prod-eu","rancherKubernetesEngineConfig":{"addonJobTimeout":45.0,"enableCriDockerd":true,"kubernetesVersion":"v1.26.15-rancher1-1","services":{"kubelet":{"extraArgs":{"v":"2<3"}}},"upgradeStrategy":{"drain":false,"maxUnavailableControlplane":"1","maxUnavailableWorker":"10%"}},"annotations":{"a":"b","io.cattle.cluster.cridockerd.enable":"false"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent, request string
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				sent, request = string(body), r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type")
				answer(200, stored(config126))(w, r)
			})
			cluster := updatable()
			cluster.Annotations = tt.annotations
			got, err := c.UpdateConfig(t.Context(), cluster, object(t, config126), differences)
			if err != nil {
				t.Fatal(err)
			}
			if request != "PUT "+testURL+"/v3/clusters/c-abc12 application/json" {
				t.Errorf("sent %s", request)
			}
			if diff := cmp.Diff(tt.want, sent); diff != "" {
				t.Error(diff)
			}
			if got.ID != "c-abc12" || got.Config == nil {
				t.Errorf("got %+v", *got)
			}
		})
	}
}

// None of these is ever sent.
func TestUpdatesThatAreNotSent(t *testing.T) {
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.Method) })
	big := object(t, config126)
	big["addons"] = strings.Repeat("x", 2<<20)
	for _, tt := range []struct {
		name   string
		edit   func(*rancher.Cluster)
		config map[string]any
		kind   error
		word   string
	}{
		{"no name", func(cl *rancher.Cluster) { cl.Name = "" }, nil, rancher.ErrNotUpdatable, "no name"},
		{"no config", func(cl *rancher.Cluster) { cl.Config = nil }, nil, rancher.ErrNotUpdatable, "no RKE config"},
		{"empty config wanted", nil, map[string]any{}, rancher.ErrNotUpdatable, "no RKE config"},
		{"template", func(cl *rancher.Cluster) { cl.TemplateRevisionID = ptr("cattle-global-data:ctr-1") }, nil, rancher.ErrNotUpdatable, "throw the change away"}, // T3
		{"empty revision", func(cl *rancher.Cluster) { cl.TemplateRevisionID = ptr("") }, nil, rancher.ErrNotUpdatable, "empty instead of null"},                   // T4
		{"no right", func(cl *rancher.Cluster) { cl.CanUpdate = false }, nil, rancher.ErrNotUpdatable, "may not update"},
		{"restore pending", nil, object(t, `{"restore":{"restore":true}}`), rancher.ErrNotUpdatable, "restore.restore is set"}, // T7
		{"rotation pending", nil, object(t, `{"rotateCertificates":{}}`), rancher.ErrNotUpdatable, "rotateCertificates is set"},
		{"key rotation pending", nil, object(t, `{"rotateEncryptionKey":true}`), rancher.ErrNotUpdatable, "rotateEncryptionKey is set"},
		{"short version", nil, object(t, `{"kubernetesVersion":"1.26.x"}`), rancher.ErrNotUpdatable, "1.26.x"},
		{"too large", nil, big, rancher.ErrTooLarge, "bytes"}, // T13
		{"no differ", nil, nil, rancher.ErrOption, "nobody"},
		{"not JSON", nil, map[string]any{"a": func() {}}, rancher.ErrOption, "not JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cluster := updatable()
			if tt.edit != nil {
				tt.edit(cluster)
			}
			if tt.config == nil {
				tt.config = object(t, config126)
			}
			differ := differences
			if tt.name == "no differ" {
				differ = nil
			}
			_, err := c.UpdateConfig(t.Context(), cluster, tt.config, differ)
			wantError(t, err, tt.kind, "c-abc12", tt.word)
			if errors.Is(err, rancher.ErrUnknownOutcome) {
				t.Error("the outcome is known: nothing was sent")
			}
		})
	}
}

// 2 MiB is what Rancher reads; a body of just that size is sent.
func TestLargestBody(t *testing.T) {
	sent := 0
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = len(body)
		answer(200, stored(`{}`))(w, r)
	})
	nothing := func(json.RawMessage, json.RawMessage) ([]string, error) { return nil, nil }
	config := object(t, config126)
	config["addons"] = ""
	if _, err := c.UpdateConfig(t.Context(), updatable(), config, nothing); err != nil {
		t.Fatal(err)
	}
	room := rancher.MaxBodyBytes - sent
	config["addons"] = strings.Repeat("&", room) // which encoding/json would write as six bytes each
	if _, err := c.UpdateConfig(t.Context(), updatable(), config, nothing); err != nil || sent != rancher.MaxBodyBytes {
		t.Errorf("%d bytes were sent, %v", sent, err)
	}
	config["addons"] = strings.Repeat("&", room+1)
	_, err := c.UpdateConfig(t.Context(), updatable(), config, nothing)
	wantError(t, err, rancher.ErrTooLarge, "2097153")
	wantHint(t, err, "smaller")
}

// Success is read, not assumed: Rancher answers 200 to what it dropped.
func TestNotStored(t *testing.T) {
	c := newClient(t, answer(200, stored(strings.Replace(config126, `"2<3"`, `"2"`, 1))))
	got, err := c.UpdateConfig(t.Context(), updatable(), object(t, config126), differences)
	wantError(t, err, rancher.ErrNotStored, "c-abc12", "answered 200", "services.kubelet.extraArgs.v")
	wantHint(t, err, "saved copy")
	var e *rancher.NotStoredError
	if !errors.As(err, &e) || cmp.Diff([]string{"services.kubelet.extraArgs.v"}, e.Paths) != "" || e.Cluster != "c-abc12" {
		t.Errorf("got %+v", e)
	}
	if got == nil || got.ID != "c-abc12" {
		t.Error("the caller cannot see what was stored")
	}
	if errors.Is(err, rancher.ErrUnknownOutcome) {
		t.Error("the outcome is known")
	}
	many := &rancher.NotStoredError{Cluster: "c-1", Paths: strings.Fields("a b c d e f g")}
	if text := many.Error(); !strings.Contains(text, "a, b, c, d, e and 2 more") {
		t.Error(text)
	}
}

// Answers that prove neither success nor failure.
func TestUnknownOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		differ rancher.Differ
		also   error
		word   string
	}{
		{"409", answer(409, `{"type":"error","status":409,"code":"Conflict","message":"the server reported a conflict"}`), nil, rancher.ErrConflict, "reported a conflict"},
		{"500 of the second internal write", answer(500, `{"type":"error","status":500,"code":"ServerError","message":"the server reported a conflict"}`), nil, rancher.ErrServer, "500 ServerError"},
		{"502 of a proxy", answer(502, `<html>`), nil, rancher.ErrServer, "502"},
		{"504 of a proxy", answer(504, ``), nil, rancher.ErrServer, "504"},
		{"408", answer(408, ``), nil, rancher.ErrUnreachable, "408"},
		{"page", answer(200, `<html>`), nil, rancher.ErrNotRancher, "not JSON"},
		{"nothing", answer(200, ``), nil, rancher.ErrUnreachable, "cut short"},
		{"no content", answer(204, ``), nil, rancher.ErrUnreachable, "cut short"},
		{"half", answer(200, stored(config126)[:100]), nil, rancher.ErrUnreachable, "cut short"},
		{"other cluster", answer(200, strings.Replace(stored(config126), "c-abc12", "c-other", 1)), nil, rancher.ErrBadAnswer, "does not show"},
		{"no config", answer(200, `{"id":"c-abc12"}`), nil, rancher.ErrBadAnswer, "does not show"},
		{"wrong type", answer(200, `{"id":7}`), nil, rancher.ErrBadAnswer, "number"},
		{"cannot be compared", answer(200, stored(`[]`)), func(json.RawMessage, json.RawMessage) ([]string, error) { return nil, io.ErrNoProgress }, io.ErrNoProgress, "comparing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			c := newClientWith(t, rancher.Options{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				tt.h(w, r)
			})}}) // with a budget for retries, which must not be used
			if tt.differ == nil {
				tt.differ = differences
			}
			_, err := c.UpdateConfig(t.Context(), updatable(), object(t, config126), tt.differ)
			wantError(t, err, rancher.ErrUnknownOutcome, "updating cluster c-abc12: outcome unknown: ", tt.word)
			wantHint(t, err, "read the cluster again")
			if !errors.Is(err, tt.also) {
				t.Errorf("the cause is lost: %v", err)
			}
			if requests != 1 {
				t.Errorf("it was sent %d times", requests)
			}
		})
	}
}

// Rancher refused, or was never asked.
func TestKnownFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		t    http.RoundTripper
		kind error
	}{
		{"401", inMemory{answer(401, recorded("error-401-bad-token.json"))}, rancher.ErrUnauthorized},
		{"403", inMemory{answer(403, `{"code":"Forbidden"}`)}, rancher.ErrForbidden},
		{"404", inMemory{answer(404, recorded("error-404-cluster.json"))}, rancher.ErrNotFound},
		{"413", inMemory{answer(413, "")}, rancher.ErrTooLarge},
		{"422", inMemory{answer(422, recorded("error-422-put-without-name.json"))}, rancher.ErrValidation},
		{"429", inMemory{answer(429, "")}, rancher.ErrRateLimited},
		{"no connection", roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}), rancher.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClientWith(t, rancher.Options{Transport: tt.t}).UpdateConfig(t.Context(), updatable(), object(t, config126), differences)
			wantError(t, err, tt.kind, "updating cluster c-abc12")
			if errors.Is(err, rancher.ErrUnknownOutcome) {
				t.Errorf("the outcome is known: %v", err)
			}
		})
	}
	// The handshake fails before anything is sent.
	s := quietTLSServer(t, http.NotFoundHandler())
	_, err := newClientWith(t, rancher.Options{URL: s.URL}).UpdateConfig(t.Context(), updatable(), object(t, config126), differences)
	wantError(t, err, rancher.ErrTLS)
	if errors.Is(err, rancher.ErrUnknownOutcome) {
		t.Errorf("the outcome is known: %v", err)
	}
}

func TestConnectionsThatBreakInAnUpdate(t *testing.T) {
	for name, said := range map[string]string{"before the answer": "", "in the answer": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"} {
		var requests atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			_, _ = io.ReadAll(r.Body)
			hijack(t, w, said)
		}))
		_, err := newClientWith(t, rancher.Options{URL: s.URL}).UpdateConfig(t.Context(), updatable(), object(t, config126), differences)
		wantError(t, err, rancher.ErrUnknownOutcome, "unreachable")
		if n := requests.Load(); n != 1 {
			t.Errorf("%s: it was sent %d times", name, n)
		}
		s.Close()
	}
}

func TestAnInterruptedUpdateIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newClientWith(t, rancher.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, fmt.Errorf("sending: %w", r.Context().Err())
	})})
	_, err := c.UpdateConfig(ctx, updatable(), object(t, config126), differences)
	wantError(t, err, rancher.ErrUnknownOutcome, "interrupted")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
