package rancher

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const notRancherHint = "--url (or RANCHER_URL) must be the address of the Rancher server itself, without /dashboard or other pages behind it"

// broken explains why there was no answer, or not the whole of it.
func (a *answer) broken(err error) *Error {
	e := a.breakage(err)
	a.broke = e.reason()
	return e
}

func (a *answer) breakage(err error) *Error {
	if a.ctx.Err() != nil {
		return a.call.interrupted(a.ctx)
	}
	if errors.Is(context.Cause(a.attempt), errSilence) {
		err = errSilence
	}
	e := a.fail(ErrUnreachable, "", "")
	e.cause, e.unsent = err, neverSent(err)
	var (
		redirect  *redirectError
		dns       *net.DNSError
		op        *net.OpError
		unknownCA x509.UnknownAuthorityError
		wrongName x509.HostnameError
		expired   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errSilence):
		e.Message = "no answer within " + a.c.timeout.String()
		e.retry = &retryAdvice{}
	case errors.As(err, &redirect):
		e.Kind, e.Message = ErrNotRancher, "the server redirects to "+a.c.quote(redirect.to)+", which is not followed"
		e.hint = "give the address that Rancher itself uses with --url (or RANCHER_URL)"
	case errors.As(err, &unknownCA):
		e.Kind, e.Message = ErrTLS, "the server's certificate is signed by an authority that is not trusted here"
		e.hint = "give the certificate of that authority with --ca-file (or RANCHER_CA_CERTS)"
	case errors.As(err, &wrongName):
		e.Kind, e.Message = ErrTLS, "the server's certificate is not for "+clean(wrongName.Host)
		e.hint = "use a name in --url that the certificate is made for"
	case errors.As(err, &expired):
		e.Kind, e.Message = ErrTLS, "the server's certificate is not valid: "+a.c.quote(expired.Error())
		e.hint = "check the clock of this machine and the certificate's dates; --ca-file (or RANCHER_CA_CERTS) says whom to trust"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		e.Kind, e.Message = ErrTLS, "the server does not speak TLS on this port"
		e.hint = "check the port in --url (or RANCHER_URL)"
	case errors.As(err, &verify), errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // TLS alerts
		e.Kind, e.Message = ErrTLS, a.c.quote(err.Error())
		e.hint = "check --url and --ca-file (or RANCHER_CA_CERTS)"
	case strings.Contains(err.Error(), "invalid proxy address"): // its text may hold the proxy's password
		e.Message, e.cause = "the proxy named in the environment has no valid address", nil
		e.hint = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		e.Message = "no connection to the proxy: " + a.c.quote(op.Err.Error())
		e.hint = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
		e.retry = a.c.onceReached()
	case errors.As(err, &dns):
		e.Message = a.c.quote(dns.Error())
		e.hint = "check the name in --url (or RANCHER_URL)"
		if !dns.IsNotFound {
			e.retry = &retryAdvice{}
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = "the connection was refused"
		e.hint = "check the host and port in --url (or RANCHER_URL)"
		e.retry = a.c.onceReached()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		e.Message = "the connection was closed before the answer was complete"
		e.retry = &retryAdvice{}
	case errors.As(err, &op) && op.Op == "dial":
		e.Message = a.c.quote(op.Error())
		e.hint = "check the host and port in --url (or RANCHER_URL)"
		e.retry = a.c.onceReached()
	case errors.As(err, &op):
		e.Message = a.c.quote(op.Error())
		e.retry = &retryAdvice{}
	default:
		e.Message = a.c.quote(err.Error())
		e.retry = &retryAdvice{}
	}
	return e
}

// onceReached advises to go on trying a server that has answered before. One that never did is more
// likely a mistake in the address, about which the operator should hear at once.
func (c *Client) onceReached() *retryAdvice {
	if c.reached.Load() {
		return &retryAdvice{}
	}
	return nil
}

// quote makes a text of foreign origin fit for an error.
func (c *Client) quote(s string) string { return clean(c.scrub(s)) }

// neverSent reports whether an error of net/http came before the request was written: there was no
// connection, or the handshake failed on this side.
func neverSent(err error) bool {
	var (
		op     *net.OpError
		dns    *net.DNSError
		verify *tls.CertificateVerificationError
	)
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") ||
		errors.As(err, &dns) || errors.As(err, &verify) || errors.Is(err, http.ErrSchemeMismatch)
}

// statuses says what an HTTP status means when Rancher itself answered with it.
var statuses = map[int]struct {
	kind  error
	retry bool
	hint  string
}{
	400: {kind: ErrValidation},
	401: {kind: ErrUnauthorized, hint: "give a valid API key with --token (or RANCHER_TOKEN_KEY): this one may be expired, disabled or deleted"},
	403: {kind: ErrForbidden, hint: "use an API key of a user who owns the cluster or administers Rancher"},
	404: {kind: ErrNotFound},
	405: {kind: ErrValidation},
	408: {kind: ErrUnreachable, retry: true},
	409: {kind: ErrConflict},
	413: {kind: ErrTooLarge},
	415: {kind: ErrValidation},
	422: {kind: ErrValidation},
	429: {kind: ErrRateLimited, retry: true, hint: "wait, then try again"},
	500: {kind: ErrServer, retry: true},
	502: {kind: ErrServer, retry: true},
	503: {kind: ErrServer, retry: true},
	504: {kind: ErrServer, retry: true},
}

// withoutJSON lists the statuses that keep their meaning when a proxy before Rancher sent them, as HTML
// or plain text. With any other, what answered is not Rancher.
var withoutJSON = map[int]bool{401: true, 403: true, 408: true, 413: true, 429: true, 500: true, 502: true, 503: true, 504: true}

// refusal explains an answer that is not 2xx.
func (a *answer) refusal() *Error {
	a.allow(errorLimit)
	text, _ := io.ReadAll(a) // an incomplete text is treated as no JSON

	known, ok := statuses[a.status]
	switch {
	case ok:
	case a.status >= 500:
		known.kind = ErrServer
	case a.status >= 400:
		known.kind = ErrValidation
	default:
		known.kind = ErrNotRancher
	}
	e := a.fail(known.kind, "", known.hint)
	e.Status = a.status
	said, isJSON := parseRefusal(text)
	e.Code, e.Field, e.Message = a.c.quote(said.code), a.c.quote(said.field), a.c.quote(said.message)
	switch {
	case !isJSON && a.status == 400 && a.c.base.Scheme == "http":
		e.Kind, e.hint = ErrNotRancher, "write https:// in --url (or RANCHER_URL)"
	case !isJSON && !withoutJSON[a.status] && a.status < 500:
		e.Kind, e.Message, e.hint = ErrNotRancher, "the answer is not JSON", notRancherHint
	case errors.Is(e.Kind, ErrUnauthorized) && a.call.listing:
		e.hint += "; a key made for one cluster only is refused here too: lists take one without that scope"
	}
	if known.retry {
		e.retry = &retryAdvice{after: retryAfter(a.header.Get("Retry-After"), time.Now())}
	}
	return e
}

// refusalText is what an error answer says.
type refusalText struct{ code, field, message string }

// parseRefusal reads the error shapes Rancher answers with (recordings error-*.json): norman's object,
// the auth filter's, whose status is a string, the one of the k8s proxy with capitals and a nested
// code, and Kubernetes' Status. ok is false when text is no JSON object.
func parseRefusal(text []byte) (said refusalText, ok bool) {
	// A map, because encoding/json would match the keys of a struct in any letter case.
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return refusalText{}, false
	}
	str := func(raw json.RawMessage) string {
		var s string
		_ = json.Unmarshal(raw, &s)
		return s
	}
	first := func(keys ...string) string {
		for _, key := range keys {
			if s := str(object[key]); s != "" {
				return s
			}
		}
		return ""
	}
	said = refusalText{
		code:    first("code", "reason"),
		field:   first("fieldName", "FieldName"),
		message: valueQuote.ReplaceAllString(first("message", "Message"), "$1"),
	}
	var nested map[string]json.RawMessage
	if json.Unmarshal(object["Code"], &nested) == nil && said.code == "" {
		said.code = str(nested["Code"])
	}
	return said, true
}

// valueQuote finds the places where norman's messages go on to quote the refused value, which may be a
// whole config (norman parse/builder/builder.go, convertType).
var valueQuote = regexp.MustCompile(`(?s)(can not be converted to type [^\s:]*).*`)

// retryAfterLimit keeps a hostile Retry-After from overflowing.
const retryAfterLimit = 24 * time.Hour

// retryAfter reads the header of that name: seconds, or an HTTP date. It returns 0 for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), retryAfterLimit)
}
