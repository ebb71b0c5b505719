package rancher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"

	"github.com/rancher/norman/types"
)

const (
	// pageSize is the largest that norman serves (norman parse/collection.go:11-14).
	pageSize = "10000"
	// idsPerList keeps the query of a list well below the 8 KB of URL that proxies pass on.
	idsPerList = 200

	maxItems   = 1_000_000 // in one list
	maxIDBytes = 512
	maxMembers = 1000 // of a collection object; real ones have ten
)

// listing is what a list asks for.
type listing struct {
	op         string
	collection string // "clusters", "nodes"
	query      url.Values
	key        string   // the field that ids selects by
	ids        []string // split over several lists when there are many; nil for no restriction
}

// list streams a collection, page by page, each item once. It holds one item at a time, and the ids of
// those it has seen.
func list[T any](ctx context.Context, c *Client, l listing, id func(*T) string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		seen := map[string]bool{}
		chunks := [][]string{nil}
		if l.ids != nil {
			chunks = slices.Collect(slices.Chunk(l.ids, idsPerList))
		}
		for _, ids := range chunks {
			query := url.Values{"limit": {pageSize}, "sort": {"name"}}
			for key, values := range l.query {
				query[key] = values
			}
			if ids != nil {
				query[l.key+"_in"] = ids
			}
			w := walk[T]{c: c, id: id, seen: seen, yield: yield, call: call{
				op: l.op, target: "at " + c.URL(), method: http.MethodGet,
				path: "/v3/" + l.collection, query: query, listing: true,
			}}
			if err := w.pages(ctx); err != nil {
				yield(nil, err)
				return
			}
			if w.stopped {
				return
			}
		}
	}
}

// walk goes through the pages of one list.
type walk[T any] struct {
	c       *Client
	call    call
	id      func(*T) string
	seen    map[string]bool
	yield   func(*T, error) bool
	stopped bool // the caller has had enough
}

// pages follows the markers. A marker whose object has vanished makes Rancher start over, so whole pages
// may bring nothing new; a marker that comes twice, or ever more such pages, would never end.
func (w *walk[T]) pages(ctx context.Context) error {
	followed := map[string]bool{}
	fresh, stale := 0, 0 // pages with and without anything new
	for marker := ""; ; {
		if marker != "" {
			w.call.query.Set("marker", marker)
		}
		var p page
		before := len(w.seen)
		err := w.c.retry(ctx, w.call, func(attempt int) error {
			w.call.attempt = attempt
			a, err := w.c.send(ctx, w.call)
			if err != nil {
				return err
			}
			defer a.Close()
			p, err = readPage(a, w.item)
			return err
		})
		if len(w.seen) > before {
			fresh++
		} else {
			stale++
		}
		switch {
		case err != nil:
			return err
		case w.stopped:
			return nil
		case p.next == "" && p.partial && marker == "":
			return w.call.fail(ErrBadAnswer, "the list is incomplete and says not how to go on", "")
		case p.next == "":
			return nil
		case followed[p.next], stale > 2*fresh+2:
			return w.call.fail(ErrBadAnswer, "the pages of the list go round in a circle", "try again; the list may have changed meanwhile")
		}
		marker = p.next
		followed[marker] = true
	}
}

// item hands one item to the caller, unless it was there before. It reports whether to go on.
func (w *walk[T]) item(v *T) (bool, error) {
	id := w.id(v)
	switch {
	case id == "" || len(id) > maxIDBytes:
		return false, w.call.fail(ErrBadAnswer, "an item of the list has no usable id", "")
	case w.seen[id]:
		return true, nil
	case len(w.seen) >= maxItems:
		return false, w.call.fail(ErrTooLarge, fmt.Sprintf("the list has more than %d items", maxItems), "")
	}
	w.seen[id] = true
	w.stopped = !w.yield(v, nil)
	return !w.stopped, nil
}

// page is what a page says about the list it belongs to.
type page struct {
	next    string // marker of the next page; empty at the end
	partial bool   // the page is not the whole list
}

// readPage decodes a collection as it arrives. Members may come in any order; items are decoded one by
// one into T and dropped after each returned, and members that nobody needs are passed over.
func readPage[T any](a *answer, each func(*T) (bool, error)) (page, error) {
	var (
		p       page
		hasData bool
		kind    string
		dec     = json.NewDecoder(a)
	)
	a.allow(a.c.valueLimit)
	switch tok, err := dec.Token(); {
	case err != nil:
		return p, a.unreadable(err)
	case tok != json.Delim('{'):
		return p, a.fail(ErrNotRancher, "the answer is not a JSON object", notRancherHint)
	}
	for members := 0; dec.More(); members++ {
		a.allow(a.c.valueLimit)
		key, err := dec.Token()
		if err != nil {
			return p, a.unreadable(err)
		}
		if members == maxMembers {
			return p, a.fail(ErrBadAnswer, "the list has too many members", "")
		}
		switch key {
		case "data":
			hasData = true
			if more, err := readItems(a, dec, each); err != nil || !more {
				return p, err
			}
			continue
		case "pagination":
			var said types.Pagination
			err = dec.Decode(&said)
			p = page{next: markerOf(said.Next), partial: said.Partial}
		case "type":
			err = dec.Decode(&kind)
		default:
			err = dec.Decode(&skipped{})
		}
		if err != nil {
			return p, a.unreadable(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return p, a.unreadable(err)
	}
	if kind != "collection" || !hasData {
		return p, a.fail(ErrNotRancher, "the answer is not a list", notRancherHint)
	}
	a.drain()
	return p, nil
}

// readItems decodes the array of items. It reports whether to go on.
func readItems[T any](a *answer, dec *json.Decoder, each func(*T) (bool, error)) (bool, error) {
	switch tok, err := dec.Token(); {
	case err != nil:
		return false, a.unreadable(err)
	case tok == nil: // null stands for an empty list
		return true, nil
	case tok != json.Delim('['):
		return false, a.fail(ErrBadAnswer, "the data of the list is not an array", "")
	}
	for dec.More() {
		a.allow(a.c.valueLimit)
		v := new(T)
		err := dec.Decode(v)
		var wrongType *json.UnmarshalTypeError
		if bearer, ok := any(v).(interface{ bear(problem string) }); ok && errors.As(err, &wrongType) {
			// The decoder has read the whole item; one that is odd must not hide the others.
			bearer.bear(a.unreadable(err).Error())
			err = nil
		}
		if err != nil {
			return false, a.unreadable(err)
		}
		if more, err := each(v); err != nil || !more {
			return false, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return false, a.unreadable(err)
	}
	return true, nil
}

// skipped accepts any JSON value and keeps nothing of it.
type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

// markerOf takes the marker out of a link to the next page. Nothing else of the link is used: it is
// absolute, and may name another host (norman urlbuilder/url.go:38-75).
func markerOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get("marker")
}
