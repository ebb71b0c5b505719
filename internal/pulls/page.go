package pulls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	maxItem   = 8 << 20  // bytes of one item; etcd takes 1.5 MB
	maxPage   = 64 << 20 // bytes of one page, as rancher's transport has it
	maxStatus = 64 << 10 // bytes of an answer that is no list
	maxFields = 100      // of a list object; real ones have four
)

// client asks one API server.
type client struct {
	base    string
	http    *http.Client
	maxPage int64
}

func newClient(base string, transport http.RoundTripper) *client {
	return &client{strings.TrimSuffix(base, "/"), &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, maxPage}
}

// page is what a page says of the list that it belongs to.
type page struct {
	next  string // token of the next page, "" at the end
	items int
}

// readPage reads one page and hands its items to each, one at a time. An item is
// decoded into I, so that what I does not have is passed over.
func readPage[I any](ctx context.Context, c *client, l listing, limit int, from string, each func(*I)) (page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+l.path+"?"+l.query(limit, from), nil)
	if err != nil {
		return page{}, &failure{text: "the cluster's address cannot be used", gone: true}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return page{}, unanswered(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return page{}, failureOf(resp.StatusCode, reasonOf(resp.Body))
	}
	body := &budget{r: resp.Body, all: c.maxPage}
	p, err := decodePage(body, l.kind, each)
	if err == nil {
		_, _ = io.CopyN(io.Discard, body, 4<<10) // so that the connection can be used again
		return p, nil
	}
	var f *failure
	switch {
	case errors.As(err, &f):
		return page{}, f
	case body.spent:
		return page{}, errTooLarge
	case body.lost != nil:
		return page{}, unanswered(ctx, body.lost)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return page{}, &failure{text: "the answer was cut short", passes: true}
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return page{}, &failure{text: "an item of it has a type that this program does not know"}
	}
	// What is not JSON may be the page of a proxy: nothing of it is repeated.
	return page{}, &failure{text: "the answer is not JSON", gone: true}
}

// unanswered says why there is no answer, or not the whole of it.
func unanswered(ctx context.Context, err error) *failure {
	if ctx.Err() != nil {
		return &failure{text: "there was no answer in time", passes: true, gone: true}
	}
	if strings.Contains(err.Error(), "more bytes than allowed") { // rancher's own bound
		return errTooLarge
	}
	return &failure{text: "the connection to Rancher failed", passes: true, gone: true}
}

// decodePage reads a list object as it arrives.
func decodePage[I any](body *budget, kind string, each func(*I)) (page, error) {
	var p page
	dec := json.NewDecoder(body)
	body.allow(maxItem)
	if tok, err := dec.Token(); err != nil {
		return p, err
	} else if tok != json.Delim('{') {
		return p, &failure{text: "the answer is not a list"}
	}
	var said string
	itemsSeen := false
	for fields := 0; dec.More(); fields++ {
		body.allow(maxItem)
		key, err := dec.Token()
		if err != nil {
			return p, err
		}
		if fields == maxFields {
			return p, &failure{text: "the answer is not a list"}
		}
		switch key {
		case "kind":
			err = dec.Decode(&said)
		case "metadata":
			var meta struct {
				Continue string `json:"continue"`
			}
			err = dec.Decode(&meta)
			p.next = meta.Continue
		case "items":
			if itemsSeen {
				return p, &failure{text: "the answer holds two lists"}
			}
			itemsSeen = true
			p.items, err = decodeItems(body, dec, each)
		default:
			var passedOver skipped
			err = dec.Decode(&passedOver)
		}
		if err != nil {
			return p, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return p, err
	}
	switch {
	case said != kind || !itemsSeen:
		return p, &failure{text: fmt.Sprintf("the answer is not a %s", kind)}
	case len(p.next) > maxContinue:
		return p, &failure{text: "its pages cannot be followed"}
	}
	return p, nil
}

func decodeItems[I any](body *budget, dec *json.Decoder, each func(*I)) (int, error) {
	switch tok, err := dec.Token(); {
	case err != nil:
		return 0, err
	case tok == nil: // null stands for an empty list
		return 0, nil
	case tok != json.Delim('['):
		return 0, &failure{text: "the answer is not a list"}
	}
	n := 0
	for dec.More() {
		body.allow(maxItem)
		item := new(I)
		if err := dec.Decode(item); err != nil {
			return n, err
		}
		each(item)
		n++
	}
	_, err := dec.Token()
	return n, err
}

// skipped takes any JSON value and keeps nothing of it.
type skipped struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*skipped) UnmarshalJSON([]byte) error { return nil }

// reasonOf reads why from an answer that is no list: the reason of a Status, or
// the code of Rancher's proxy. Other words of it are not repeated.
func reasonOf(body io.Reader) string {
	var said struct {
		Reason string `json:"reason"`
		Code   any    `json:"code"` // a number in a Status, an object in Rancher's
	}
	if json.NewDecoder(io.LimitReader(body, maxStatus)).Decode(&said) != nil {
		return ""
	}
	if code, ok := said.Code.(map[string]any); ok && said.Reason == "" {
		name, _ := code["Code"].(string)
		return name
	}
	return said.Reason
}

// budget is a body that may not go on for ever. A decoder reads ahead, so that
// the bounds are not exact.
type budget struct {
	r         io.Reader
	left, all int64
	spent     bool  // a bound was reached
	lost      error // what ended the transfer early
}

// allow lets n more bytes be read for what comes next.
func (b *budget) allow(n int64) { b.left = n }

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 || b.all <= 0 {
		b.spent = true
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left, b.all)])
	b.left, b.all = b.left-int64(n), b.all-int64(n)
	if err != nil && err != io.EOF {
		b.lost = err
	}
	return n, err
}
