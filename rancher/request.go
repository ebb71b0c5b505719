package rancher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// valueLimit bounds one JSON value that is read into memory: a cluster, a node, a schema. Real
	// clusters take 40 KB to a few MB (certificatesExpiration, failedSpec).
	valueLimit = 32 << 20
	errorLimit = 64 << 10 // of an error's body
)

// call is one request, described apart from its attempts.
type call struct {
	op, target string // for error texts
	method     string
	path       string // below the base address, escaped
	query      url.Values
	body       []byte
	listing    bool // what is asked for is a collection
	versioning bool // what is asked for is /rancherversion, which needs no credentials
	attempt    int  // counted from 1; 0 is the only one
}

// Exchange is one request and what became of it, fit for a log: no header and no body is in it.
type Exchange struct {
	Method, Path, Query string        // the query as sent, escaped
	Status              int           // 0 without an answer
	Attempt             int           // counted from 1; a GET may be repeated
	Duration            time.Duration // up to the end of the answer, as far as it was read
	Failure             string        // why there was no answer, or not the whole of it; no credentials are in it
}

func (cl call) fail(kind error, message, hint string) *Error {
	return &Error{Op: cl.op, Target: cl.target, Kind: kind, Message: message, hint: hint}
}

// get reads one JSON object into v, repeating what may pass by itself.
func (c *Client) get(ctx context.Context, cl call, v any) error {
	cl.method = http.MethodGet
	return c.retry(ctx, cl, func(attempt int) error {
		cl.attempt = attempt
		a, err := c.send(ctx, cl)
		if err != nil {
			return err
		}
		defer a.Close()
		return a.decode(v)
	})
}

// retry repeats attempt with full jitter (each pause is random between 0 and a bound that doubles)
// while its error may pass by itself and the budget lasts. Attempts must be idempotent; they are counted
// from 1.
func (c *Client) retry(ctx context.Context, cl call, attempt func(n int) error) error {
	if c.budget < 0 {
		return attempt(1)
	}
	var last error
	n := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		n++
		last = attempt(n)
		var e *Error
		switch {
		case last == nil:
			return struct{}{}, nil
		case !errors.As(last, &e) || e.retry == nil:
			return struct{}{}, backoff.Permanent(last)
		case e.retry.after > 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: e.retry.after}
		}
		return struct{}{}, last
	},
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval:     c.interval / 2,
			RandomizationFactor: 1,
			Multiplier:          2,
			MaxInterval:         32 * c.interval,
		}),
		backoff.WithMaxElapsedTime(c.budget))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cl.interrupted(ctx)
	}
	return last
}

// interrupted reports that the context ended. errors.Is matches its error and its cause.
func (cl call) interrupted(ctx context.Context) *Error {
	e := cl.fail(nil, "interrupted", "")
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Message = "out of time"
	}
	e.cause = errors.Join(ctx.Err(), context.Cause(ctx))
	return e
}

// send makes one attempt. A nil error means an answer of 2xx, which the caller must close.
func (c *Client) send(ctx context.Context, cl call) (*answer, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		e := cl.interrupted(ctx)
		e.unsent = true
		return nil, e
	}
	release := func() { <-c.slots }

	u := c.base.String() + cl.path
	if len(cl.query) > 0 {
		u += "?" + cl.query.Encode()
	}
	attempt, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(attempt, cl.method, u, bytes.NewReader(cl.body))
	if err != nil {
		cancel(nil)
		release()
		e := cl.fail(ErrOption, "the address cannot be used", urlHint)
		e.unsent = true
		return nil, e
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if cl.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !cl.versioning {
		c.authorize(req.Header)
	}

	// net/http itself repeats a request only where the server cannot have taken it (no byte written,
	// or a connection that was closed while idle), also for a PUT.
	began := time.Now()
	watchdog := time.AfterFunc(c.timeout, func() { cancel(errSilence) })
	resp, err := c.http.Do(req) //nolint:bodyclose // answer.Close does
	watchdog.Stop()
	a := &answer{c: c, call: cl, ctx: ctx, attempt: attempt, cancel: cancel, watchdog: watchdog, release: release, began: began}
	if err != nil {
		defer a.Close()
		return nil, a.broken(err)
	}
	c.reached.Store(true)
	a.status, a.header, a.body = resp.StatusCode, resp.Header, resp.Body
	if cl.listing {
		// A caller may ask for other things while it walks through a list. Were the list's slot held
		// until its end, such calls could wait for each other for ever.
		a.free()
	}
	if a.status < 200 || a.status > 299 {
		defer a.Close()
		return nil, a.refusal()
	}
	return a, nil
}

var errSilence = errors.New("no answer in time")

// answer is the server's reply to one attempt. The watchdog runs while it is waited for or read from.
type answer struct {
	c        *Client
	call     call
	ctx      context.Context //nolint:containedctx // the caller's, to tell its end from a timeout
	attempt  context.Context //nolint:containedctx // ends with the answer
	cancel   context.CancelCauseFunc
	watchdog *time.Timer
	release  func()

	began  time.Time
	status int
	header http.Header
	body   io.ReadCloser
	lost   error  // what ended the transfer early
	broke  string // the same in words
	left   int64  // bytes that may still be read; see allow
}

// free gives the slot back, once.
func (a *answer) free() {
	if a.release != nil {
		a.release()
		a.release = nil
	}
}

// drain reads the little that may be left of a body after its JSON, so that the connection can be used again.
func (a *answer) drain() {
	a.allow(4 << 10)
	_, _ = io.Copy(io.Discard, a)
}

// Close ends the attempt. It must be called once.
func (a *answer) Close() {
	if a.body != nil {
		_ = a.body.Close()
	}
	a.cancel(nil)
	a.free()
	a.c.trace(Exchange{
		Method: a.call.method, Path: a.c.base.Path + a.call.path, Query: a.call.query.Encode(),
		Status: a.status, Attempt: max(1, a.call.attempt), Duration: time.Since(a.began), Failure: a.broke,
	})
}

var errBudget = errors.New("more bytes than allowed")

// allow lets n more bytes be read. A JSON decoder reads ahead, so the bound is not exact.
func (a *answer) allow(n int64) { a.left = n }

// Read reads the body and remembers why it ended early.
func (a *answer) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errBudget
	}
	if int64(len(p)) > a.left {
		p = p[:a.left]
	}
	// Only the time spent waiting for the server counts: whoever walks through a list may be slow.
	a.watchdog.Reset(a.c.timeout)
	n, err := a.body.Read(p)
	a.watchdog.Stop()
	a.left -= int64(n)
	if err != nil && err != io.EOF {
		a.lost = err
	}
	return n, err
}

// decode reads the body as one JSON value.
func (a *answer) decode(v any) error {
	a.allow(a.c.valueLimit)
	if err := json.NewDecoder(a).Decode(v); err != nil {
		return a.unreadable(err)
	}
	a.drain()
	return nil
}

// unreadable explains an error met while decoding a 2xx answer.
func (a *answer) unreadable(err error) *Error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case a.ctx.Err() != nil:
		return a.call.interrupted(a.ctx)
	case a.lost != nil:
		return a.broken(a.lost)
	case errors.Is(err, errBudget):
		return a.fail(ErrTooLarge, fmt.Sprintf("the answer holds a value of more than %d MiB", a.c.valueLimit>>20), "")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e := a.fail(ErrUnreachable, "the answer was cut short", "")
		e.retry = &retryAdvice{}
		return e
	case errors.As(err, &wrongType):
		return a.fail(ErrBadAnswer, "the answer holds a "+clean(wrongType.Value)+" in the field "+clean(wrongType.Field), "")
	}
	// encoding/json quotes at most one character of what it does not understand.
	e := a.fail(ErrNotRancher, "the answer is not JSON", notRancherHint)
	e.cause = err
	return e
}

func (a *answer) fail(kind error, message, hint string) *Error {
	return a.call.fail(kind, message, hint)
}

// checkRedirect follows a GET to the same server only: the credentials must go nowhere else, and a PUT
// must arrive where it was sent.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Host != c.base.Host || req.URL.Scheme != c.base.Scheme:
		return &redirectError{to: req.URL.Scheme + "://" + req.URL.Host}
	case via[0].Method != http.MethodGet || len(via) > 3:
		return &redirectError{to: req.URL.Path}
	}
	return nil
}

// redirectError is a redirect that is not followed.
type redirectError struct{ to string }

func (e *redirectError) Error() string { return "redirected to " + clean(e.to) }
