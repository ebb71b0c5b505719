package rancher_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"rkepatch/rancher"
)

// Whatever a cluster answers, the credentials go to Rancher's proxy of that cluster only.
func TestKubernetesKeepsTheCredentials(t *testing.T) {
	var sent []*http.Request
	var traced []rancher.Exchange
	c := newClientWith(t, rancher.Options{
		URL: "https://rancher.example.com/behind/a/path", Trace: func(x rancher.Exchange) { traced = append(traced, x) },
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
		}),
	})
	base, transport := c.Kubernetes("c-done1")
	if base != "https://rancher.example.com/behind/a/path/k8s/clusters/c-done1" {
		t.Fatal(base)
	}
	for url, allowed := range map[string]bool{
		base + "/api/v1/nodes?limit=200": true,
		base:                             true,
		"https://elsewhere.example.com/behind/a/path/k8s/clusters/c-done1/api":    false,
		"http://rancher.example.com/behind/a/path/k8s/clusters/c-done1/api":       false,
		"https://rancher.example.com:8443/behind/a/path/k8s/clusters/c-done1/api": false,
		"https://rancher.example.com/behind/a/path/k8s/clusters/c-done12/api":     false,
		"https://rancher.example.com/behind/a/path/k8s/clusters/c-other/api":      false,
		"https://rancher.example.com/behind/a/path/v3/clusters/c-done1":           false,
		base + "/../c-other/api/v1/nodes":                                         false,
		base + "/%2e%2e/c-other/api/v1/nodes":                                     false,
	} {
		sent, traced = nil, nil
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != allowed || (len(sent) == 1) != allowed {
			t.Errorf("%s: %v, %d sent; allowed: %v", url, err, len(sent), allowed)
		}
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s: the caller's request holds the credentials now", url)
		}
		if allowed && (sent[0].Header.Get("Authorization") == "" || len(traced) != 1 || traced[0].Status != 200) {
			t.Errorf("%s: sent %v, traced %v", url, sent[0].Header, traced)
		}
	}
}

// An answer that never ends is cut; a watch is not.
func TestKubernetesAnswersEnd(t *testing.T) {
	endless := io.LimitReader(zeros{}, 65<<20)
	c := newClientWith(t, rancher.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(endless), Request: r}, nil
	})})
	base, transport := c.Kubernetes("c-done1")
	for query, want := range map[string]int64{"": 64 << 20, "?watch=true": 65 << 20} {
		endless = io.LimitReader(zeros{}, 65<<20)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/pods"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != want || (err == nil) != (query != "") {
			t.Errorf("%q: %d bytes, %v", query, n, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// What stands between Rancher and a cluster may answer with a page of its own,
// and that page with anything. It reaches no error; a Kubernetes status does.
func TestKubernetesShowsNoForeignBody(t *testing.T) {
	for _, tt := range []struct {
		status int
		kind   string
		body   string
		kept   bool
	}{
		{502, "text/html", "<html>hunter2</html>", false}, {500, "text/plain; charset=utf-8", "panic: hunter2", false}, {403, "", "hunter2", false},
		{403, "application/json", `{"kind":"Status","message":"no"}`, true}, {404, "application/json; charset=utf-8", `{"kind":"Status"}`, true}, {200, "text/plain", "metric 1", true},
	} {
		c := newClientWith(t, rancher.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.kind}}, Body: io.NopCloser(strings.NewReader(tt.body)), Request: r}, nil
		})})
		base, transport := c.Kubernetes("c-done1")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/nodes", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || (string(got) == tt.body) != tt.kept || !tt.kept && len(got) > 0 {
			t.Errorf("%d %s: %q, %v; kept: %v", tt.status, tt.kind, got, err, tt.kept)
		}
	}
}
