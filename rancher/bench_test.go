package rancher_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// fleetList is the list of n clusters as provisioned ones are, of 40 KB or more each.
func fleetList(b *testing.B, n int) []byte {
	sim := simrancher.New(simrancher.Options{})
	sim.AddFleet(n)
	r := httptest.NewRequest(http.MethodGet, "/v3/clusters?limit=10000&driver=rancherKubernetesEngine", nil)
	r.Header.Set("Authorization", "Bearer "+simrancher.AdminToken)
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	text := w.Body.Bytes()
	if w.Code != 200 || len(text) < n*40_000 {
		b.Fatalf("status %d, %d bytes", w.Code, len(text))
	}
	return text
}

// BenchmarkListDecode reads a list of 500 clusters. Its yardstick, in the same run, is to copy the same
// bytes and check that they are JSON: the metric x-yardstick says how many times that it takes.
func BenchmarkListDecode(b *testing.B) {
	const n = 500
	text := fleetList(b, n)
	c := newClientWith(b, rancher.Options{RetryBudget: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
	})})
	b.SetBytes(int64(len(text)))
	var before, after runtime.MemStats
	var decoding, yardstick time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := io.Copy(io.Discard, io.LimitReader(bytes.NewReader(text), int64(len(text)))); err != nil {
			b.Fatal(err)
		}
		if !json.Valid(text) {
			b.Fatal("no JSON")
		}
		yardstick += time.Since(start)

		runtime.ReadMemStats(&before)
		start = time.Now()
		clusters := 0
		for _, err := range c.Clusters(b.Context(), rancher.ClusterQuery{}) {
			if err != nil {
				b.Fatal(err)
			}
			clusters++
		}
		decoding += time.Since(start)
		runtime.ReadMemStats(&after)
		if clusters != n {
			b.Fatalf("got %d clusters", clusters)
		}
	}
	b.ReportMetric(float64(decoding)/float64(yardstick), "x-yardstick")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/cluster")
	b.ReportMetric(float64(len(text))/n, "json-B/cluster")
	b.ReportMetric(float64(len(text))/1e6*float64(b.N)/decoding.Seconds(), "decoded-MB/s")
}
