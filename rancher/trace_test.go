package rancher_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rkepatch/rancher"
)

// Every attempt is traced: what was asked, what came of it, and nothing of the
// headers or the bodies.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var seen []rancher.Exchange
		c := newClientWith(t, rancher.Options{
			URL:   testURL + "/prefix",
			Trace: func(x rancher.Exchange) { seen = append(seen, x) },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				switch n++; n {
				case 1:
					return nil, context.DeadlineExceeded
				case 2:
					return inMemory{answer(http.StatusBadGateway, "<html>")}.RoundTrip(r)
				}
				return inMemory{answer(http.StatusOK, recorded("cluster-rke1-custom.json"))}.RoundTrip(r)
			}),
		})
		id := object(t, recorded("cluster-rke1-custom.json"))["id"].(string)
		if _, err := c.Cluster(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for i := range seen {
			if seen[i].Duration != time.Second {
				t.Errorf("attempt %d took %s", i+1, seen[i].Duration)
			}
			seen[i].Duration = 0
			if (seen[i].Failure != "") != (i == 0) || strings.Contains(seen[i].Failure, testKey) {
				t.Errorf("attempt %d failed: %q", i+1, seen[i].Failure)
			}
			seen[i].Failure = ""
		}
		want := func(attempt, status int) rancher.Exchange {
			return rancher.Exchange{Method: "GET", Path: "/prefix/v3/clusters/" + id, Attempt: attempt, Status: status}
		}
		if all := []rancher.Exchange{want(1, 0), want(2, 502), want(3, 200)}; !slices.Equal(seen, all) {
			t.Errorf("%+v, want %+v", seen, all)
		}
	})
}

func TestTraceOfAList(t *testing.T) {
	var seen []rancher.Exchange
	c := newClientWith(t, rancher.Options{
		Trace:     func(x rancher.Exchange) { seen = append(seen, x) },
		Transport: inMemory{answer(http.StatusOK, `{"type":"collection","data":[]}`)},
	})
	if _, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{IDs: []string{"c-aaaaa"}})); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Attempt != 1 || !strings.Contains(seen[0].Query, "id_in=c-aaaaa") {
		t.Errorf("%+v", seen)
	}
}
