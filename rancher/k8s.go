package rancher

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Kubernetes gives the address of a cluster's own Kubernetes API behind Rancher's proxy, without a trailing
// slash, and a transport that sends the credentials of c there and nowhere else: a request to another host
// or outside that address fails unsent, so that a redirect cannot carry them away. Requests are traced like
// those of c but share none of its limits, because a watch takes as long as it takes; an answer that is no
// watch ends with an error after 64 MiB. An error that is no JSON, such as the page of a proxy, comes
// without its body: client-go would repeat it.
//
// The proxy answers as the cluster's API server does; before that, 401 for a token that Rancher does not
// know, 404 for a cluster that it does not show, 503 for one that is not connected (rancher v2.9.1
// pkg/clusterrouter/proxy/proxy_server.go:238-315).
func (c *Client) Kubernetes(clusterID string) (base string, transport http.RoundTripper) {
	at := *c.base
	at.Path += "/k8s/clusters/" + clusterID // JoinPath leaves out the first slash when there was none
	return at.String(), &proxied{c, &at}
}

const proxiedLimit = 64 << 20

// proxied is the transport behind Kubernetes.
type proxied struct {
	client *Client
	base   *url.URL
}

func (p *proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != p.base.Scheme || r.URL.Host != p.base.Host || !within(r.URL.Path, p.base.Path) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &redirectError{to: r.URL.Scheme + "://" + r.URL.Host + r.URL.Path}
	}
	r = r.Clone(r.Context())
	p.client.authorize(r.Header)
	r.Header.Set("User-Agent", p.client.userAgent)
	seen := Exchange{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Attempt: 1}
	began := time.Now()
	resp, err := p.client.http.Transport.RoundTrip(r)
	seen.Duration = time.Since(began)
	if err != nil {
		seen.Failure = p.client.scrub(clean(err.Error()))
		p.client.trace(seen)
		return nil, err
	}
	seen.Status = resp.StatusCode
	p.client.trace(seen)
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode >= 400 && kind != "application/json" {
		resp.Body.Close()
		resp.Body, resp.ContentLength = http.NoBody, 0
		return resp, nil
	}
	if r.URL.Query().Get("watch") == "" {
		resp.Body = &bounded{resp.Body, proxiedLimit}
	}
	return resp, nil
}

// within reports whether p is base or lies below it; a path that goes up does not.
func within(p, base string) bool {
	return p == base || strings.HasPrefix(p, base+"/") && strings.HasPrefix(path.Clean(p), base)
}

// bounded ends a body that goes on for too long.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBudget
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
