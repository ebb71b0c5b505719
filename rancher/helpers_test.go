package rancher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rkepatch/fixtures/recordings"
	"rkepatch/rancher"
)

const (
	testURL   = "https://rancher.example.com"
	testKey   = "s3cr3tkeys3cr3tkey"
	testToken = "token-abcde:" + testKey
)

// inMemory answers requests without a network, so that it works in a bubble of testing/synctest.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newClient returns a client for a handler, without retries.
func newClient(t testing.TB, h http.HandlerFunc) *rancher.Client {
	t.Helper()
	return newClientWith(t, rancher.Options{Transport: inMemory{h}, RetryBudget: -1})
}

func newClientWith(t testing.TB, o rancher.Options) *rancher.Client {
	t.Helper()
	if o.URL == "" {
		o.URL = testURL
	}
	if o.Token == "" && o.AccessKey == "" {
		o.Token = testToken
	}
	c, err := rancher.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer returns a handler that always says the same.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// recorded returns an answer of a real Rancher 2.9.1.
func recorded(name string) string {
	text, err := recordings.FS.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// object decodes JSON the way callers decode a config.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// collect reads a stream up to its end or first error.
func collect[T any](seq iter.Seq2[*T, error]) ([]*T, error) {
	var all []*T
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func ids(clusters []*rancher.Cluster) string {
	var all []string
	for _, c := range clusters {
		all = append(all, c.ID)
	}
	return strings.Join(all, " ")
}

// wantError checks the kind of an error, that its text has each of the words, and that it is one line
// without secrets.
func wantError(t testing.TB, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want kind %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	wantNoLeak(t, err.Error(), fmt.Sprintf("%+v", err), hintOf(err))
	if strings.ContainsAny(err.Error()+hintOf(err), "\n\r\x1b") {
		t.Errorf("the error is not one clean line: %q", err)
	}
	if len(err.Error()) > 1200 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func wantHint(t testing.TB, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(hintOf(err), word) {
			t.Errorf("the hint does not say %q: %q", word, hintOf(err))
		}
	}
}

func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

func wantNoLeak(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, testKey) {
			t.Errorf("a secret leaks: %s", text)
		}
	}
}

// contextAfter returns a context of the test's that ends after d.
func contextAfter(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func sortedCopy(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
