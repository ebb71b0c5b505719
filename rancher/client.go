package rancher

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rancher/norman/types"
)

// Client talks to one Rancher server as one user. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	http      *http.Client
	userAgent string
	warn      func(string)
	trace     func(Exchange)
	slots     chan struct{} // one element per request in flight
	timeout   time.Duration
	budget    time.Duration
	interval  time.Duration

	valueLimit int64 // see the constant

	authorize func(http.Header)        // a closure, so that printing a Client prints no credentials
	scrub     func(text string) string // replaces credentials in texts of foreign origin

	reached atomic.Bool // the server has answered at least once

	schemaLock sync.Mutex
	schemas    map[string]*types.Schema
}

// New checks the options and returns a client; it sends nothing yet. Errors are *Error of the kinds
// ErrNoURL, ErrNoCredentials, ErrOption and ErrTLS.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if strings.Contains(strings.ToLower(o.UserAgent), "mozilla") || !printable(strings.ReplaceAll(o.UserAgent, " ", "")) {
		return nil, optionError(ErrOption, "the user agent must be printable and must not contain mozilla", "")
	}
	header, secrets, err := o.credentials()
	if err != nil {
		return nil, err
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	switch {
	case base.Scheme == "http" && !isLoopback(base.Hostname()):
		o.Warn("the connection to " + base.Host + " is not encrypted: anybody on the way can read the API key; use https://")
	case o.Insecure && o.CACerts != "":
		o.Warn("the certificate of " + base.Host + " is not verified; the CA certificates are not used")
	case o.Insecure:
		o.Warn("the certificate of " + base.Host + " is not verified: anybody on the way can read the API key")
	}
	c := &Client{
		base:      base,
		userAgent: o.UserAgent,
		warn:      o.Warn,
		trace:     o.Trace,
		slots:     make(chan struct{}, o.MaxInFlight),
		timeout:   o.Timeout,
		budget:    o.RetryBudget,
		interval:  o.RetryInterval,

		valueLimit: valueLimit,

		authorize: func(h http.Header) { h.Set("Authorization", header) },
		scrub:     scrubber(secrets),
		schemas:   map[string]*types.Schema{},
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c, nil
}

// URL returns the server's address as it is used: without a trailing slash and without /v3.
func (c *Client) URL() string { return c.base.String() }

// String names the server; it never shows credentials.
func (c *Client) String() string { return "rancher client for " + c.URL() }

// GoString is String, for %#v.
func (c *Client) GoString() string { return c.String() }

// scrubber returns a function that replaces the secrets in a text. The longest go first: the token
// contains its own secret part.
func scrubber(secrets []string) func(string) string {
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, redacted)
	}
	return strings.NewReplacer(pairs...).Replace
}
