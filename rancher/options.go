package rancher

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Options says which Rancher to talk to, as whom, and how patiently.
type Options struct {
	// URL is the address of the Rancher server: https://host[:port][/prefix]. A trailing slash or /v3
	// is removed. http:// is accepted with a warning unless it is loopback.
	URL string

	// Token is an API key of the form token-xxxxx:secret, sent as a bearer token. It wins over
	// AccessKey and SecretKey, which are sent as Basic credentials.
	Token     Secret
	AccessKey string
	SecretKey Secret

	// CACerts is PEM text with the certificates to trust instead of the system's.
	CACerts string
	// Insecure turns the verification of the server's certificate off, with a warning.
	Insecure bool

	// UserAgent names the program and its version; "rkepatch" when empty. Rancher takes any agent
	// with "mozilla" in its name for a browser, demands a CSRF token of it and may answer with HTML
	// (norman api/validate.go:48-89), so such a name is an error.
	UserAgent string

	MaxInFlight int           // requests at a time; default 8
	Timeout     time.Duration // longest silence of the server, before and within an answer; default 1m

	// RetryBudget bounds the time spent on repeating one GET; default 1m, negative for no repetition.
	RetryBudget time.Duration
	// RetryInterval is the upper bound of the first pause; the bound doubles with each pause, up to
	// 64 times. Default 500ms.
	RetryInterval time.Duration

	// Warn is told what the operator should know: unverified TLS, plain http, a Rancher outside
	// 2.8 to 2.11. May be nil.
	Warn func(string)

	// Trace is told of every request once its answer is read or given up, from several goroutines. May be
	// nil.
	Trace func(Exchange)

	// Transport replaces the HTTP transport; CACerts and Insecure have no effect on it.
	Transport http.RoundTripper
}

const (
	defaultUserAgent     = "rkepatch"
	defaultMaxInFlight   = 8
	defaultTimeout       = time.Minute
	defaultRetryBudget   = time.Minute
	defaultRetryInterval = 500 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.UserAgent == "" {
		o.UserAgent = defaultUserAgent
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.RetryBudget == 0 {
		o.RetryBudget = defaultRetryBudget
	}
	if o.RetryInterval <= 0 {
		o.RetryInterval = defaultRetryInterval
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Trace == nil {
		o.Trace = func(Exchange) {}
	}
	return o
}

// optionError reports a connection setting that cannot be used.
func optionError(kind error, message, hint string) *Error {
	return &Error{Op: "reading the connection settings", Kind: kind, Message: message, hint: hint}
}

// isLoopback: nobody is on the way to this machine itself.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const urlHint = "write --url (or RANCHER_URL) as https://rancher.example.com"

// parseURL returns the normalised base address: no trailing slash, no /v3.
func parseURL(raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, optionError(ErrNoURL, "", "give the address of Rancher with --url or RANCHER_URL, e.g. https://rancher.example.com")
	}
	if !strings.Contains(raw, "://") {
		return nil, optionError(ErrOption, fmt.Sprintf("the URL %q has no scheme", clean(raw)), "write https:// in front of it")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse quotes the URL, which may hold a password.
		return nil, optionError(ErrOption, "the URL is not a valid one", urlHint)
	}
	switch {
	case u.User != nil:
		return nil, optionError(ErrOption, "the URL holds a user name or password", "give the API key with --token (or RANCHER_TOKEN_KEY) instead")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, optionError(ErrOption, fmt.Sprintf("the URL has the scheme %q", clean(u.Scheme)), urlHint)
	case u.Hostname() == "":
		return nil, optionError(ErrOption, "the URL names no host", urlHint)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, optionError(ErrOption, "the URL has a ? or # part", urlHint)
	}
	prefix := strings.TrimRight(u.EscapedPath(), "/")
	prefix = strings.TrimRight(strings.TrimSuffix(prefix, "/v3"), "/")
	return url.Parse(u.Scheme + "://" + u.Host + prefix)
}

// credentials returns the value of the Authorization header, and every text that must never be printed.
func (o Options) credentials() (header string, secrets []string, err error) {
	token := strings.TrimSpace(o.Token.Reveal())
	access, secret := strings.TrimSpace(o.AccessKey), strings.TrimSpace(o.SecretKey.Reveal())
	switch {
	case token != "":
		name, key, ok := strings.Cut(token, ":")
		if !ok || name == "" || key == "" || !printable(token) {
			return "", nil, optionError(ErrOption, "the token is not of the form token-xxxxx:secret",
				"copy the whole Bearer Token that Rancher shows when an API key is made")
		}
		return "Bearer " + token, []string{token, key}, nil
	case access != "" && secret != "":
		if !printable(access) || !printable(secret) {
			return "", nil, optionError(ErrOption, "the access key or the secret key holds a space or control character", "copy them again")
		}
		// Rancher decodes with the URL alphabet (rancher v2.9.1 pkg/auth/tokens/token_util.go:33-91).
		basic := base64.URLEncoding.EncodeToString([]byte(access + ":" + secret))
		return "Basic " + basic, []string{basic, secret}, nil
	case access != "" || secret != "":
		return "", nil, optionError(ErrOption, "an access key needs its secret key, and the other way round",
			"set both RANCHER_ACCESS_KEY and RANCHER_SECRET_KEY, or a token")
	}
	return "", nil, optionError(ErrNoCredentials, "", "give an API key with --token or RANCHER_TOKEN_KEY; Rancher makes one under Account & API Keys")
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

// transport returns the HTTP transport: TLS 1.2 or later, certificates verified, proxy from the environment.
func (o Options) transport() (http.RoundTripper, error) {
	if o.Transport != nil {
		return o.Transport, nil
	}
	roots, err := certPool(o.CACerts)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // asked for with --insecure, and warned about
	}
	t.MaxIdleConnsPerHost = o.MaxInFlight
	t.MaxResponseHeaderBytes = 1 << 20
	return t, nil
}

// certPool reads PEM text. Empty text gives nil, which stands for the system's certificates. What is no
// certificate is an error: x509's AppendCertsFromPEM would pass over it, and norman's client would then
// go on without any client at all.
func certPool(text string) (*x509.CertPool, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	const hint = "give a file with one or more -----BEGIN CERTIFICATE----- blocks to --ca-file"
	pool, rest, found := x509.NewCertPool(), []byte(text), 0
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, optionError(ErrTLS, fmt.Sprintf("the CA certificates contain a %q block", clean(block.Type)), hint)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			e := optionError(ErrTLS, fmt.Sprintf("certificate %d of the CA certificates cannot be read", found+1), hint)
			e.cause = err
			return nil, e
		}
		pool.AddCert(cert)
		found++
	}
	if found == 0 || strings.Contains(string(rest), "-----BEGIN") {
		return nil, optionError(ErrTLS, "the CA certificates are not PEM text", hint)
	}
	return pool, nil
}
