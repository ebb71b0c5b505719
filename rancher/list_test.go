package rancher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

// item is a cluster of a list, as small as can be.
func item(id string) string {
	return fmt.Sprintf(`{"id":%q,"name":"name-of-%s","driver":"rancherKubernetesEngine"}`, id, id)
}

func items(ids ...string) string {
	var all []string
	for _, id := range ids {
		all = append(all, item(id))
	}
	return strings.Join(all, ",")
}

// onePage is a page of a list; next is the marker of the one after it.
func onePage(next string, ids ...string) string {
	pagination := `{"limit":2}`
	if next != "" {
		pagination = fmt.Sprintf(`{"limit":2,"partial":true,"next":"http://10.0.0.1/other/v3/clusters?limit=2&marker=%s"}`, next)
	}
	return fmt.Sprintf(`{"type":"collection","resourceType":"cluster","pagination":%s,"data":[%s]}`, pagination, items(ids...))
}

// pages answers with the page that belongs to a marker.
func pages(t *testing.T, byMarker map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := byMarker[r.URL.Query().Get("marker")]
		if !ok {
			t.Errorf("asked for %s", r.URL)
		}
		if r.Host != "rancher.example.com" || r.Header.Get("Authorization") == "" {
			t.Errorf("asked %s", r.Host)
		}
		answer(200, body)(w, r)
	}
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pages map[string]string
		want  string
	}{
		{"one", map[string]string{"": onePage("", "c-1", "c-2")}, "c-1 c-2"},
		{"none", map[string]string{"": onePage("")}, ""},
		{"null", map[string]string{"": `{"type":"collection","data":null}`}, ""},
		{"three", map[string]string{"": onePage("c-3", "c-1", "c-2"), "c-3": onePage("c-5", "c-3", "c-4"), "c-5": onePage("", "c-5")}, "c-1 c-2 c-3 c-4 c-5"},
		{"the marker has vanished, the list starts over", map[string]string{"": onePage("c-3", "c-1", "c-2"), "c-3": onePage("c-4", "c-1", "c-2"), "c-4": onePage("", "c-4")}, "c-1 c-2 c-4"},
		{"twice on one page", map[string]string{"": onePage("", "c-1", "c-1", "c-2")}, "c-1 c-2"},
		{"last page says partial", map[string]string{"": onePage("c-2", "c-1"), "c-2": strings.Replace(onePage("", "c-2"), `"limit":2`, `"partial":true`, 1)}, "c-1 c-2"},
		{"hostile marker", map[string]string{"": onePage("..%2F%3Fx=1%26limit=0", "c-1"), "../?x=1&limit=0": onePage("", "c-2")}, "c-1 c-2"},
		{"data before pagination", map[string]string{"": `{"data":[` + items("c-1") + `],"pagination":{"partial":true,"next":"?marker=c-2"},"type":"collection"}`, "c-2": onePage("", "c-2")}, "c-1 c-2"},
		{"unknown members of every type", map[string]string{"": `{"a":1,"b":null,"c":{"data":[]},"d":["}"],"e":"data","type":"collection","data":[` + items("c-1") + `],"f":true}`}, "c-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collect(newClient(t, pages(t, tt.pages)).Clusters(t.Context(), rancher.ClusterQuery{}))
			if err != nil || ids(got) != tt.want {
				t.Errorf("got %q, %v; want %q", ids(got), err, tt.want)
			}
		})
	}
}

func TestListsThatCannotBeTrusted(t *testing.T) {
	huge := `{"id":"c-1","x":"` + strings.Repeat("x", 2<<20) + `"}`
	for _, tt := range []struct {
		name  string
		pages map[string]string
		kind  error
		word  string
		got   string
	}{
		{"round in a circle", map[string]string{"": onePage("c-3", "c-1"), "c-3": onePage("c-5", "c-3"), "c-5": onePage("c-3", "c-5")}, rancher.ErrBadAnswer, "circle", "c-1 c-3 c-5"},
		{"round on the spot", map[string]string{"": onePage("c-1", "c-1"), "c-1": onePage("c-1", "c-1")}, rancher.ErrBadAnswer, "circle", "c-1"},
		{"cut off without a next page", map[string]string{"": `{"type":"collection","pagination":{"limit":0,"partial":true},"data":[]}`}, rancher.ErrBadAnswer, "incomplete", ""},
		{"next is no link", map[string]string{"": `{"type":"collection","pagination":{"partial":true,"next":"http://%zz"},"data":[]}`}, rancher.ErrBadAnswer, "incomplete", ""},
		{"no id", map[string]string{"": `{"type":"collection","data":[{"name":"x"}]}`}, rancher.ErrBadAnswer, "no usable id", ""},
		{"long id", map[string]string{"": onePage("", strings.Repeat("c", 600))}, rancher.ErrBadAnswer, "no usable id", ""},
		{"null item", map[string]string{"": `{"type":"collection","data":[null]}`}, rancher.ErrBadAnswer, "no usable id", ""},
		{"item of a wrong type", map[string]string{"": `{"type":"collection","data":[` + items("c-1") + `,7]}`}, rancher.ErrBadAnswer, "no usable id", "c-1"},
		{"data of a wrong type", map[string]string{"": `{"type":"collection","data":{"a":1}}`}, rancher.ErrBadAnswer, "not an array", ""},
		{"pagination of a wrong type", map[string]string{"": `{"type":"collection","pagination":[],"data":[]}`}, rancher.ErrBadAnswer, "array", ""},
		{"type of a wrong type", map[string]string{"": `{"type":7}`}, rancher.ErrBadAnswer, "number", ""},
		{"one object", map[string]string{"": item("c-1")}, rancher.ErrNotRancher, "not a list", ""},
		{"no data", map[string]string{"": `{"type":"collection"}`}, rancher.ErrNotRancher, "not a list", ""},
		{"array", map[string]string{"": `[]`}, rancher.ErrNotRancher, "not a JSON object", ""},
		{"nothing", map[string]string{"": ``}, rancher.ErrUnreachable, "cut short", ""},
		{"page", map[string]string{"": `<html>`}, rancher.ErrNotRancher, "not JSON", ""},
		{"cut in an item", map[string]string{"": `{"type":"collection","data":[` + items("c-1") + `,{"id":`}, rancher.ErrUnreachable, "cut short", "c-1"},
		{"cut between items", map[string]string{"": `{"type":"collection","data":[` + items("c-1")}, rancher.ErrUnreachable, "cut short", "c-1"},
		{"cut after the items", map[string]string{"": `{"type":"collection","data":[` + items("c-1") + `]`}, rancher.ErrUnreachable, "cut short", "c-1"},
		{"cut before the items", map[string]string{"": `{"type":"collection","data":`}, rancher.ErrUnreachable, "cut short", ""},
		{"garbage between items", map[string]string{"": `{"type":"collection","data":[` + items("c-1") + ` x`}, rancher.ErrNotRancher, "not JSON", "c-1"},
		{"garbage key", map[string]string{"": `{"type":"collection",7:8}`}, rancher.ErrNotRancher, "not JSON", ""},
		{"nested too deep", map[string]string{"": `{"type":"collection","data":[{"id":"c-1","x":` + strings.Repeat(`[`, 20_000)}, rancher.ErrNotRancher, "not JSON", ""},
		{"huge item", map[string]string{"": `{"type":"collection","data":[` + huge + `]}`}, rancher.ErrTooLarge, "1 MiB", ""},
		{"huge member", map[string]string{"": `{"filters":` + huge + `}`}, rancher.ErrTooLarge, "1 MiB", ""},
		{"very many members", map[string]string{"": `{` + strings.Repeat(`"a":1,`, 2000) + `"data":[]}`}, rancher.ErrBadAnswer, "too many members", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, pages(t, tt.pages))
			c.LimitValues(1 << 20)
			got, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
			wantError(t, err, tt.kind, "listing clusters at "+testURL+": ", tt.word)
			if ids(got) != tt.got {
				t.Errorf("got %q before the error, want %q", ids(got), tt.got)
			}
		})
	}
}

// A server that goes on for ever does not make the program grow for ever.
func TestEndlessPages(t *testing.T) {
	n := 0
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		answer(200, onePage(fmt.Sprintf("m-%d", n), "c-1"))(w, r)
	})
	_, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
	wantError(t, err, rancher.ErrBadAnswer, "listing clusters")
	if n > 20 {
		t.Errorf("%d pages were read", n)
	}
}

// A page that breaks off is read again; no cluster comes twice.
func TestABrokenPageIsReadAgain(t *testing.T) {
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := requests.Add(1); n < 3 {
			body := `{"type":"collection","data":[` + items("c-1", "c-2")[:50+20*n]
			hijack(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+body)
			return
		}
		answer(200, onePage("", "c-1", "c-2"))(w, r)
	}))
	defer s.Close()
	c := newClientWith(t, rancher.Options{URL: s.URL, RetryInterval: 2})
	got, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
	if n := requests.Load(); err != nil || ids(got) != "c-1 c-2" || n != 3 {
		t.Errorf("got %q after %d requests, %v", ids(got), n, err)
	}
}

// The server's filters are asked for, and not trusted: Rancher ignores the ones it does not know.
func TestQueries(t *testing.T) {
	all := `{"type":"collection","data":[
		{"id":"c-1","name":"one","driver":"rancherKubernetesEngine"},
		{"id":"c-2","name":"two","driver":"rancherKubernetesEngine"},
		{"id":"c-3","name":"three","driver":"imported"},
		{"id":"local","name":"local","driver":"local"}]}`
	const base = "limit=10000&sort=name"
	for _, tt := range []struct {
		q     rancher.ClusterQuery
		query string
		want  string
	}{
		{rancher.ClusterQuery{}, "driver=rancherKubernetesEngine&" + base, "c-1 c-2"},
		{rancher.ClusterQuery{Driver: "imported"}, "driver=imported&" + base, "c-3"},
		{rancher.ClusterQuery{AnyDriver: true}, base, "c-1 c-2 c-3 local"},
		{rancher.ClusterQuery{Name: "two"}, "driver=rancherKubernetesEngine&limit=10000&name=two&sort=name", "c-2"},
		{rancher.ClusterQuery{IDs: []string{"c-2", "c-1"}}, "driver=rancherKubernetesEngine&id_in=c-2&id_in=c-1&" + base, "c-1 c-2"},
		{rancher.ClusterQuery{IDs: []string{"c-1&limit=0"}}, "driver=rancherKubernetesEngine&id_in=c-1%26limit%3D0&" + base, ""},
		{rancher.ClusterQuery{IDs: []string{}}, "", ""},
	} {
		var asked []string
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			answer(200, all)(w, r)
		})
		got, err := collect(c.Clusters(t.Context(), tt.q))
		if err != nil || ids(got) != tt.want || strings.Join(asked, " ") != tt.query {
			t.Errorf("%+v: asked %q, got %q, %v", tt.q, asked, ids(got), err)
		}
	}
}

// A long list of ids is split, so that no URL is longer than proxies take.
func TestManyIDs(t *testing.T) {
	var wanted []string
	for i := range 1001 {
		wanted = append(wanted, fmt.Sprintf("c-m-%08d", i))
	}
	requests := 0
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		if n := len(r.URL.String()); n > 6000 {
			t.Errorf("a URL of %d bytes", n)
		}
		answer(200, onePage("", r.URL.Query()["id_in"]...))(w, r)
	})
	got, err := collect(c.Clusters(t.Context(), rancher.ClusterQuery{IDs: wanted}))
	if err != nil || len(got) != 1001 || requests != 6 {
		t.Errorf("got %d clusters in %d requests, %v", len(got), requests, err)
	}
}

func TestACallerMayStop(t *testing.T) {
	requests := 0
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		answer(200, onePage("c-3", "c-1", "c-2"))(w, r)
	})
	for range c.Clusters(t.Context(), rancher.ClusterQuery{IDs: slices.Repeat([]string{"c-1"}, 500)}) {
		break
	}
	for range c.Nodes(t.Context(), rancher.NodeQuery{}) {
		break
	}
	if requests != 2 {
		t.Errorf("%d requests", requests)
	}
}

func TestAListEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"type":"collection","data":[`+items("c-1")+`,`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	var got []string
	for cluster, err := range newClientWith(t, rancher.Options{URL: s.URL}).Clusters(ctx, rancher.ClusterQuery{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			got = append(got, "end")
			break
		}
		got = append(got, cluster.ID)
		cancel()
	}
	if diff := cmp.Diff([]string{"c-1", "end"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrefixOfTheURLIsKept(t *testing.T) {
	var asked []string
	c := newClientWith(t, rancher.Options{URL: "https://example.com/tools/rancher/v3/", RetryBudget: -1, Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, (&url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path}).String())
		answer(200, `{"Version":"v2.9.1","type":"collection","data":[]}`)(w, r)
	})}})
	_, _ = c.Version(t.Context())
	_, _ = collect(c.Clusters(t.Context(), rancher.ClusterQuery{}))
	_, _ = c.Cluster(t.Context(), "c-1")
	want := []string{"https://example.com/tools/rancher/rancherversion", "https://example.com/tools/rancher/v3/clusters", "https://example.com/tools/rancher/v3/clusters/c-1"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

// TestAnOddClusterDoesNotHideTheOthers: a field of a wrong type is a problem of its cluster alone.
func TestAnOddClusterDoesNotHideTheOthers(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"type":"collection","data":[`+items("c-1")+`,{"id":"c-2","name":"odd","driver":5,"nodeCount":"three"},`+items("c-3")+`]}`)
	})
	var got []string
	for cl, err := range c.Clusters(t.Context(), rancher.ClusterQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, cl.ID)
		if odd := cl.ID == "c-2"; odd != (cl.Problem != "") {
			t.Errorf("%s: problem %q", cl.ID, cl.Problem)
		}
	}
	if !slices.Equal(got, []string{"c-1", "c-2", "c-3"}) {
		t.Errorf("got %q", got)
	}
}
