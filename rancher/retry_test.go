package rancher_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"rkepatch/rancher"
)

// Time in these tests is that of a bubble of testing/synctest: it costs nothing.

const oneCluster = `{"id":"c-abc12","name":"prod","driver":"rancherKubernetesEngine","rancherKubernetesEngineConfig":{"a":1},"links":{"update":"x"}}`

// script answers one request after the other; the last answer is repeated.
func script(times *[]time.Duration, answers ...http.HandlerFunc) http.HandlerFunc {
	start := time.Now()
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		*times = append(*times, time.Since(start))
		answers[min(n, len(answers)-1)](w, r)
		n++
	}
}

func TestReadsAreRepeatedWhileTheTroubleMayPass(t *testing.T) {
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Duration
				h := script(&at, answer(status, ""), answer(status, "<html>"), answer(200, oneCluster))
				c := newClientWith(t, rancher.Options{Transport: inMemory{h}})
				if _, err := c.Cluster(t.Context(), "c-abc12"); err != nil {
					t.Fatal(err)
				}
				if len(at) != 3 || at[1] > 500*time.Millisecond || at[2]-at[1] > time.Second {
					t.Errorf("asked at %v", at)
				}
			})
		})
	}
}

// Pauses are random between nothing and a bound that doubles, so that many clients do not come back
// together.
func TestPausesHaveFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first []time.Duration
		for range 50 {
			var at []time.Duration
			c := newClientWith(t, rancher.Options{Transport: inMemory{script(&at, answer(503, ""), answer(200, oneCluster))}, RetryInterval: 8 * time.Second})
			if _, err := c.Cluster(t.Context(), "c-abc12"); err != nil {
				t.Fatal(err)
			}
			first = append(first, at[1])
		}
		low, high := 0, 0
		for _, d := range first {
			if d > 8*time.Second {
				t.Errorf("paused %v", d)
			}
			if d < 2*time.Second {
				low++
			}
			if d > 6*time.Second {
				high++
			}
		}
		if low == 0 || high == 0 {
			t.Errorf("the pauses are not spread: %v", first)
		}
	})
}

func TestReadsEndWithTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		c := newClientWith(t, rancher.Options{Transport: inMemory{script(&at, answer(503, `{"message":"no nodes"}`))}, RetryBudget: 20 * time.Second})
		start := time.Now()
		_, err := c.Cluster(t.Context(), "c-abc12")
		wantError(t, err, rancher.ErrServer, "503", "no nodes")
		if took := time.Since(start); len(at) < 4 || took > 20*time.Second {
			t.Errorf("gave up after %v and %d requests", took, len(at))
		}
	})
}

func TestNothingElseIsRepeated(t *testing.T) {
	for _, status := range []int{304, 400, 401, 403, 404, 405, 409, 413, 422, 501} {
		var at []time.Duration
		c := newClientWith(t, rancher.Options{Transport: inMemory{script(&at, answer(status, "{}"))}})
		if _, err := c.Cluster(t.Context(), "c-abc12"); err == nil || len(at) != 1 {
			t.Errorf("%d: %d requests, %v", status, len(at), err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		header string
		want   time.Duration // 0: a pause of one's own choice
		gives  bool          // gives up at once
	}{
		{header: "7", want: 7 * time.Second},
		{header: "Sat, 01 Jan 2000 00:00:30 GMT", want: 30 * time.Second}, // the bubble's clock starts at that midnight
		{header: "Sat, 01 Jan 1999 00:00:00 GMT"},
		{header: "0"},
		{header: "-5"},
		{header: "soon"},
		{header: "99999999999999999999"},
		{header: "61", gives: true},
		{header: "2000000000", gives: true},
	} {
		t.Run(tt.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Duration
				h := script(&at, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Retry-After", tt.header)
					answer(429, "")(w, r)
				}, answer(200, oneCluster))
				_, err := newClientWith(t, rancher.Options{Transport: inMemory{h}}).Cluster(t.Context(), "c-abc12")
				switch {
				case tt.gives:
					wantError(t, err, rancher.ErrRateLimited, "429")
					if len(at) != 1 || time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) != 0 {
						t.Errorf("it waited: %v", at)
					}
				case err != nil:
					t.Error(err)
				case tt.want > 0 && at[1] != tt.want, at[1] > time.Minute:
					t.Errorf("asked again after %v", at[1])
				}
			})
		})
	}
}

// A server that has answered before is restarting when it refuses connections.
func TestRefusedConnections(t *testing.T) {
	refused := &http.Response{}
	synctest.Test(t, func(t *testing.T) {
		var plan []*http.Response
		n := 0
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			n++
			next := plan[0]
			plan = plan[1:]
			if next == refused {
				return nil, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
			}
			return next, nil
		})
		ok := func() *http.Response {
			w := httptest.NewRecorder()
			_, _ = io.WriteString(w, oneCluster)
			return w.Result()
		}
		c := newClientWith(t, rancher.Options{Transport: transport})

		plan = []*http.Response{refused, ok()}
		_, err := c.Cluster(t.Context(), "c-abc12")
		wantError(t, err, rancher.ErrUnreachable, "refused")

		plan = []*http.Response{ok(), refused, refused, ok()}
		for range 2 {
			if _, err := c.Cluster(t.Context(), "c-abc12"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAPauseEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "50")
			answer(503, "")(w, r)
		}
		c := newClientWith(t, rancher.Options{Transport: inMemory{http.HandlerFunc(h)}})
		ctx, cancel := contextAfter(t, 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Cluster(ctx, "c-abc12")
		if !errors.Is(err, ctx.Err()) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// pausing is a body that arrives in pieces, with a pause before each.
type pausing struct {
	pieces []string
	pause  time.Duration
	done   <-chan struct{} // of the request
}

func (p *pausing) Read(b []byte) (int, error) {
	if len(p.pieces) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(p.pause):
	case <-p.done:
		return 0, errors.New("request ended")
	}
	n := copy(b, p.pieces[0])
	p.pieces[0] = p.pieces[0][n:]
	if p.pieces[0] == "" {
		p.pieces = p.pieces[1:]
	}
	return n, nil
}

func (*pausing) Close() error { return nil }

// A long list may take its time as long as it keeps coming; a server that falls silent may not.
func TestSilenceEndsARequest(t *testing.T) {
	client := func(t *testing.T, headers, pause time.Duration) *rancher.Client {
		return newClientWith(t, rancher.Options{Timeout: 10 * time.Second, RetryBudget: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(headers):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			body := &pausing{strings.SplitAfter(oneCluster, ","), pause, r.Context().Done()}
			return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
		})})
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := client(t, 9*time.Second, 9*time.Second).Cluster(t.Context(), "c-abc12"); err != nil {
			t.Error(err)
		}
		if time.Since(start) < 30*time.Second {
			t.Error("the answer was not slow")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := client(t, 11*time.Second, 0).Cluster(t.Context(), "c-abc12")
		wantError(t, err, rancher.ErrUnreachable, "no answer within 10s")
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := client(t, 0, 11*time.Second).Cluster(t.Context(), "c-abc12")
		wantError(t, err, rancher.ErrUnreachable, "no answer within 10s")
	})
}

func TestRequestsInFlightAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			lock      sync.Mutex
			now, most int
		)
		h := func(w http.ResponseWriter, r *http.Request) {
			lock.Lock()
			now++
			most = max(most, now)
			lock.Unlock()
			time.Sleep(time.Second)
			lock.Lock()
			now--
			lock.Unlock()
			answer(200, oneCluster)(w, r)
		}
		c := newClientWith(t, rancher.Options{Transport: inMemory{http.HandlerFunc(h)}, MaxInFlight: 3})
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				if _, err := c.Cluster(t.Context(), "c-abc12"); err != nil {
					t.Error(err)
				}
			})
		}
		start := time.Now()
		wg.Wait()
		if most != 3 || time.Since(start) != 3*time.Second {
			t.Errorf("%d at a time, %v", most, time.Since(start))
		}

		// Who waits for a turn can be called off.
		wg.Go(func() { _, _ = c.Cluster(t.Context(), "c-abc12") })
		wg.Go(func() { _, _ = c.Cluster(t.Context(), "c-abc12") })
		wg.Go(func() { _, _ = c.Cluster(t.Context(), "c-abc12") })
		synctest.Wait()
		ctx, cancel := contextAfter(t, time.Millisecond)
		defer cancel()
		if _, err := c.Cluster(ctx, "c-abc12"); !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
		_, err := c.UpdateConfig(ctx, &rancher.Cluster{ID: "c-abc12", Name: "prod", CanUpdate: true, Config: []byte(`{}`)}, map[string]any{"a": 1}, differences)
		if !errors.Is(err, ctx.Err()) || errors.Is(err, rancher.ErrUnknownOutcome) {
			t.Errorf("an update that was never sent: %v", err)
		}
		wg.Wait()
	})
}

// A caller may ask for details while it walks through a list, even when only one request may be in flight.
func TestRequestsWithinAList(t *testing.T) {
	c := newClientWith(t, rancher.Options{MaxInFlight: 1, RetryBudget: -1, Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/c-abc12") {
			answer(200, oneCluster)(w, r)
			return
		}
		answer(200, `{"type":"collection","data":[`+oneCluster+`]}`)(w, r)
	})}})
	for cluster, err := range c.Clusters(t.Context(), rancher.ClusterQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Cluster(t.Context(), cluster.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// The silence that counts is the server's, not the caller's.
func TestSlowCallersAreNotTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClientWith(t, rancher.Options{Timeout: 10 * time.Second, RetryBudget: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body := &pausing{[]string{`{"type":"collection","data":[` + oneCluster, `,{"id":"c-2","driver":"rancherKubernetesEngine"}`, `]}`}, time.Second, r.Context().Done()}
			return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
		})})
		n := 0
		for _, err := range c.Clusters(t.Context(), rancher.ClusterQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			n++
		}
		if n != 2 {
			t.Errorf("got %d clusters", n)
		}
	})
}

func TestTimesOfHangingConnectionsAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newClientWith(t, rancher.Options{Timeout: time.Second, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if n++; n < 3 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			w := httptest.NewRecorder()
			_, _ = io.WriteString(w, oneCluster)
			return w.Result(), nil
		})})
		if _, err := c.Cluster(t.Context(), "c-abc12"); err != nil || n != 3 {
			t.Errorf("%d requests, %v", n, err)
		}
	})
}
