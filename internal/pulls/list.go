package pulls

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// listing is one list of the API, over all namespaces.
type listing struct {
	name  string // in words
	path  string
	kind  string // of the answer
	field string // field selector; "" for none
}

// Bounds of what one list may be. A cluster's API server stays far below; what
// does not is no API server.
const (
	pageItems    = 500 // asked for per page
	smallPage    = 50  // asked for when pages of the usual size are too large
	maxPages     = 20_000
	maxItems     = 2_000_000
	maxEmpty     = 3 // pages in a row that say that there is more, and hold nothing
	maxRestarts  = 3 // of a list whose snapshot is gone before it was read
	maxContinue  = 8 << 10
	attempts     = 4 // of one page
	pageTimeout  = 60 * time.Second
	retryPause   = 300 * time.Millisecond
	retryLongest = 5 * time.Second
)

// collect reads a list into a T, page by page, as the API serves it: each page
// with a limit, from one snapshot. A page that fails halfway is asked for again
// and counts once, a list whose snapshot the server has given up begins again
// (410, kubernetes apimachinery pkg/apis/meta/v1/types.go, ListMeta.Continue).
func collect[T, I any](ctx context.Context, c *client, l listing, fresh func() T, add func(T, *I), merge func(into, from T)) (T, error) {
	var err error
	for range maxRestarts + 1 {
		var all T
		if all, err = snapshot(ctx, c, l, fresh, add, merge); err == nil {
			return all, nil
		}
		var f *failure
		if !errors.As(err, &f) || !f.expired {
			return fresh(), err
		}
	}
	return fresh(), fmt.Errorf("it changes faster than it can be read: the server gave its snapshot up %d times", maxRestarts+1)
}

// snapshot reads a list once.
func snapshot[T, I any](ctx context.Context, c *client, l listing, fresh func() T, add func(T, *I), merge func(into, from T)) (T, error) {
	all := fresh()
	seen := map[uint64]bool{} // continue tokens
	limit, from, items, empty := pageItems, "", 0, 0
	for range maxPages {
		part := fresh()
		p, err := retry(ctx, func(ctx context.Context) (page, error) {
			part = fresh()
			return readPage(ctx, c, l, limit, from, func(i *I) { add(part, i) })
		})
		if errors.Is(err, errTooLarge) && limit > smallPage {
			limit = smallPage
			continue
		}
		if err != nil {
			return all, err
		}
		merge(all, part)
		if p.next == "" {
			return all, nil
		}
		if items += p.items; items > maxItems {
			return all, fmt.Errorf("there are more than %d", maxItems)
		}
		if empty++; p.items > 0 {
			empty = 0
		}
		token := maphash.String(seed, p.next)
		if seen[token] || empty == maxEmpty {
			return all, errors.New("its pages go round in a circle")
		}
		seen[token] = true
		from = p.next
	}
	return all, fmt.Errorf("it has more than %d pages", maxPages)
}

var seed = maphash.MakeSeed()

// query gives the parameters of one page. No resource version is named: with a
// limit and none, every API server pages, and what it shows is not older than
// the question. One with resourceVersion=0 would be answered from its cache,
// where some pass over the limit.
func (l listing) query(limit int, from string) string {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if l.field != "" {
		q.Set("fieldSelector", l.field)
	}
	if from != "" {
		q.Set("continue", from)
	}
	return q.Encode()
}

// retry asks a few times, with growing pauses, unless the failure would be the
// same again.
func retry[T any](ctx context.Context, op func(context.Context) (T, error)) (T, error) {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = retryPause, retryLongest
	got, err := backoff.Retry(ctx, func() (T, error) {
		ctx, cancel := context.WithTimeout(ctx, pageTimeout)
		defer cancel()
		got, err := op(ctx)
		var f *failure
		if err != nil && !(errors.As(err, &f) && f.passes) {
			err = backoff.Permanent(err)
		}
		return got, err
	}, backoff.WithBackOff(pace), backoff.WithMaxTries(attempts))
	var p *backoff.PermanentError
	if errors.As(err, &p) {
		err = p.Unwrap()
	}
	return got, err
}

// failure is why a page could not be read.
type failure struct {
	text    string
	passes  bool // by itself, perhaps
	expired bool // the snapshot of the list is gone
	gone    bool // the cluster, not the list
}

func (f *failure) Error() string { return f.text }

// isGone says that the whole cluster does not answer.
func isGone(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.gone
}

var errTooLarge = &failure{text: "an answer is larger than any that an API server gives"}

// statuses say what an answer means that is no list; the first that fits.
var statuses = []struct {
	status int
	reason string // of the Status object, or Rancher's code; "" any
	failure
}{
	{http.StatusGone, "", failure{text: "its snapshot is gone", expired: true}},
	{http.StatusUnauthorized, "", failure{text: "Rancher or the cluster does not accept the token", gone: true}},
	{http.StatusForbidden, "", failure{text: "the token may not list them"}},
	{http.StatusServiceUnavailable, "ClusterUnavailable", failure{text: "Rancher has no connection to the cluster", gone: true}},
	{http.StatusNotFound, "NotFound", failure{text: "the cluster's API does not have them, or Rancher does not show the cluster"}},
	{http.StatusNotFound, "", failure{text: "there is no Kubernetes API behind Rancher's address of the cluster", gone: true}},
	{http.StatusTooManyRequests, "", failure{text: "the cluster's API is overloaded", passes: true}},
}

func failureOf(status int, reason string) *failure {
	for _, s := range statuses {
		if s.status == status && (s.reason == "" || s.reason == reason) {
			f := s.failure
			return &f
		}
	}
	return &failure{text: fmt.Sprintf("Rancher or the cluster answers %d", status), passes: status >= 500, gone: status >= 500}
}
