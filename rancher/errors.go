package rancher

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Kinds of failure, matched with errors.Is.
var (
	ErrNoURL          = errors.New("no Rancher URL")
	ErrNoCredentials  = errors.New("no credentials")
	ErrOption         = errors.New("unusable setting")
	ErrUnauthorized   = errors.New("not authorised")
	ErrForbidden      = errors.New("forbidden")
	ErrNotFound       = errors.New("not found")
	ErrConflict       = errors.New("conflict")
	ErrValidation     = errors.New("refused as invalid")
	ErrServer         = errors.New("server error")
	ErrUnreachable    = errors.New("unreachable")
	ErrTLS            = errors.New("TLS failed")
	ErrNotRancher     = errors.New("not a Rancher API")
	ErrBadAnswer      = errors.New("answer not understood")
	ErrTooLarge       = errors.New("too large")
	ErrRateLimited    = errors.New("too many requests")
	ErrSchema         = errors.New("not what this Rancher stores")
	ErrNotUpdatable   = errors.New("cluster must not be updated")
	ErrUnknownOutcome = errors.New("outcome unknown")
	ErrNotStored      = errors.New("not stored as sent")
)

// Error is what every method of Client and every function of this package fails with, but for
// *NotStoredError. Its text is one line and never holds credentials or a response body.
type Error struct {
	Op      string // what was being done, e.g. "listing clusters"
	Target  string // on what, e.g. a cluster id or the server's address; may be empty
	Kind    error  // one of the sentinels of this package, or nil when the context ended
	Status  int    // HTTP status; 0 when there was no answer
	Code    string // Rancher's error code, e.g. "MissingRequired"
	Field   string // the field Rancher complains about
	Message string // why, cleaned of control characters and credentials

	hint   string
	cause  error
	retry  *retryAdvice // nil when repeating is pointless
	unsent bool         // the request certainly did not reach the server
}

// retryAdvice marks a failure that may pass by itself.
type retryAdvice struct {
	after time.Duration // as asked for by the server's Retry-After; 0 when it did not say
}

// Error returns one line: what failed, on what, why.
func (e *Error) Error() string {
	s := e.Op
	if e.Target != "" {
		s += " " + e.Target
	}
	if why := e.reason(); why != "" {
		s += ": " + why
	}
	return s
}

func (e *Error) reason() string {
	var s string
	if e.Kind != nil {
		s = e.Kind.Error()
	}
	var facts []string
	if e.Status != 0 {
		facts = append(facts, strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Code)))
	}
	if e.Field != "" {
		facts = append(facts, "field "+e.Field)
	}
	if len(facts) > 0 {
		s += " (" + strings.Join(facts, ", ") + ")"
	}
	switch {
	case e.Message == "":
		return s
	case s == "":
		return e.Message
	}
	return s + ": " + e.Message
}

// Hint says what the operator can do about it; empty when there is nothing to say.
func (e *Error) Hint() string {
	var inner *Error
	if e.hint == "" && errors.As(e.cause, &inner) {
		return inner.Hint()
	}
	return e.hint
}

// Unwrap makes errors.Is match the kind and errors.As reach the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Status gives the HTTP status that err goes back to, 0 when there was no answer.
func Status(err error) int {
	var e *Error
	for errors.As(err, &e) {
		if e.Status != 0 {
			return e.Status
		}
		err = e.cause
	}
	return 0
}

// NotStoredError says that Rancher answered 200 to an update and stored something else than it was
// expected to. errors.Is(err, ErrNotStored) holds.
type NotStoredError struct {
	Op      string   // "updating cluster" when empty
	Cluster string   // id of what was updated
	Paths   []string // what differs, as the caller's Differ names it
}

func (e *NotStoredError) Error() string {
	const show = 5
	paths, more := e.Paths, ""
	if len(paths) > show {
		paths, more = paths[:show], fmt.Sprintf(" and %d more", len(paths)-show)
	}
	op := e.Op
	if op == "" {
		op = "updating cluster"
	}
	return fmt.Sprintf("%s %s: %v: Rancher answered 200 but dropped or changed %s%s",
		op, clean(e.Cluster), ErrNotStored, clean(strings.Join(paths, ", ")), more)
}

// Hint says what the operator can do about it.
func (e *NotStoredError) Hint() string {
	return "compare it with its saved copy: it now holds what Rancher made of the change"
}

// Is reports whether target is ErrNotStored.
func (e *NotStoredError) Is(target error) bool { return target == ErrNotStored }

// quoteLimit is the longest text of foreign origin that goes into an error, in runes.
const quoteLimit = 300

// clean makes a text of foreign origin fit for one line on a terminal.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == quoteLimit {
			b.WriteString("...")
			break
		}
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r): // also the bidirectional controls, which can turn a line around
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}
