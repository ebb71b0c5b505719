package pulls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rkepatch/fixtures/simkube"
)

// kinds of the lists, by the last word of their path.
var kinds = map[string]string{
	"pods": "PodList", "secrets": "SecretList", "serviceaccounts": "ServiceAccountList", "replicationcontrollers": "ReplicationControllerList",
	"deployments": "DeploymentList", "statefulsets": "StatefulSetList", "daemonsets": "DaemonSetList", "replicasets": "ReplicaSetList",
	"jobs": "JobList", "cronjobs": "CronJobList",
}

// fakeAPI is an API server that pages as it is told to.
type fakeAPI struct {
	lists  map[string][]any // by path
	refuse map[string]int   // status by path

	mu       sync.Mutex
	requests []*url.URL
}

const under = "/k8s/clusters/c-1"

func (f *fakeAPI) asked(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.requests, func(u *url.URL) bool { return u.Path == under+path })
}

func (f *fakeAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL)
	f.mu.Unlock()
	at := strings.TrimPrefix(r.URL.Path, under)
	if status := f.refuse[at]; status != 0 {
		return answer(status, `{"kind":"Status","status":"Failure","reason":"Forbidden","message":"hush","code":403}`), nil
	}
	var items []any
	for _, item := range f.lists[at] {
		// As an API server that knows the field selector of secrets.
		if o, ok := item.(map[string]any); ok && strings.HasSuffix(at, "/secrets") && "type="+fmt.Sprint(o["type"]) != r.URL.Query().Get("fieldSelector") {
			continue
		}
		items = append(items, item)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to, next := len(items), ""
	if limit > 0 && from+limit < to {
		to = from + limit
		next = strconv.Itoa(to)
	}
	body, err := json.Marshal(map[string]any{
		"kind": kinds[path.Base(at)], "apiVersion": "v1", "metadata": map[string]any{"continue": next}, "items": append([]any{}, items[from:to]...),
	})
	return answer(200, string(body)), err
}

func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
	}
}

// doer is a transport that is a function.
type doer func(*http.Request) (*http.Response, error)

func (d doer) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }

// No list is asked for without a limit, every page of one is read, and none from
// a cache that passes over limits.
func TestEveryRequestHasALimit(t *testing.T) {
	api := &fakeAPI{lists: map[string][]any{}}
	for _, l := range lists {
		for i := range 2*pageItems + 1 {
			api.lists[l.path] = append(api.lists[l.path], pod("shop", []string{"s"}, fmt.Sprintf("%s/a-%d", ecrHost, i%7)))
		}
	}
	for i := range pageItems + 1 {
		name := fmt.Sprint("x", i)
		api.lists["/api/v1/serviceaccounts"] = append(api.lists["/api/v1/serviceaccounts"], map[string]any{"metadata": map[string]any{"name": name}})
		api.lists["/api/v1/secrets"] = append(api.lists["/api/v1/secrets"], pullSecret("kubernetes.io/dockerconfigjson", "shop", name, "{}"))
	}
	api.lists["/apis/apps/v1/deployments"] = append(api.lists["/apis/apps/v1/deployments"], workload(map[string]any{}, ecrHost+"/b"))
	use := read(t, api)
	if use.Registries[0].Pods != 2*pageItems+1 {
		t.Errorf("%+v", use.Registries)
	}
	pages := map[string]int{}
	for _, u := range api.requests {
		q := u.Query()
		if limit, err := strconv.Atoi(q.Get("limit")); err != nil || limit < 1 || limit > pageItems || q.Has("resourceVersion") {
			t.Errorf("asked for %s", u)
		}
		pages[strings.TrimPrefix(u.Path, under)]++
	}
	want := map[string]int{"/api/v1/serviceaccounts": 2, "/api/v1/secrets": 3} // two pages and one, of the two kinds of secrets
	for _, l := range lists {
		want[l.path] = 3
	}
	if d := cmp.Diff(want, pages); d != "" {
		t.Error(d)
	}
}

// onePod is a whole list, and a page that another follows.
func onePod(next string) string {
	return fmt.Sprintf(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":%q},"items":[{"spec":{"containers":[{"image":"%s/a"}]},"status":{"phase":"Running"}}]}`, next, ecrHost)
}

// What an API server, a proxy or somebody in between may do instead of answering
// with a list of pods. Nothing that an answer says is repeated.
func TestBadAnswers(t *testing.T) {
	cut := func(body string) doer {
		return func(*http.Request) (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), failing{}))
			return r, nil
		}
	}
	says := func(status int, body string) doer {
		return func(*http.Request) (*http.Response, error) { return answer(status, body), nil }
	}
	endless := func(head, more string) doer {
		return func(*http.Request) (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(head), &forever{text: more}))
			return r, nil
		}
	}
	serial := 0
	for name, tt := range map[string]struct {
		do   doer
		says string
	}{
		"cut in an item":                 {cut(onePod("")[:90]), "the connection to Rancher failed"},
		"cut short without an error":     {says(200, onePod("")[:90]), "the answer was cut short"},
		"nothing at all":                 {says(200, ""), "the answer was cut short"},
		"no connection":                  {func(*http.Request) (*http.Response, error) { return nil, errors.New("hush: connection refused") }, "the connection to Rancher failed"},
		"no answer":                      {func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, "there was no answer in time"},
		"a page of a proxy":              {says(200, "<html>hush</html>"), "the answer is not JSON"},
		"a list that is an array":        {says(200, `["hush"]`), "the answer is not a list"},
		"a scalar":                       {says(200, `"hush"`), "the answer is not a list"},
		"another object":                 {says(200, `{"kind":"Status","message":"hush"}`), "the answer is not a PodList"},
		"another list":                   {says(200, `{"kind":"SecretList","items":[]}`), "the answer is not a PodList"},
		"a list without items":           {says(200, `{"kind":"PodList","metadata":{}}`), "the answer is not a PodList"},
		"items that are an object":       {says(200, `{"kind":"PodList","items":{"hush":1}}`), "the answer is not a list"},
		"two lists in one":               {says(200, `{"kind":"PodList","items":[],"items":[]}`), "the answer holds two lists"},
		"an item that is none":           {says(200, `{"kind":"PodList","items":["hush"]}`), "an item of it has a type that this program does not know"},
		"a field of another type":        {says(200, `{"kind":"PodList","items":[{"spec":{"containers":"hush"}}]}`), "an item of it has a type that this program does not know"},
		"deep nesting":                   {says(200, `{"kind":"PodList","items":[`+strings.Repeat(`{"x":`, 20_000)), "the answer is not JSON"},
		"members without end":            {endless(`{"kind":"PodList"`, `,"x":1`), "the answer is not a list"},
		"an item without end":            {endless(`{"kind":"PodList","items":[{"x":"`, "hush"), "larger than any"},
		"items without end":              {endless(`{"kind":"PodList","items":[{}`, `,{"x":"`+strings.Repeat("y", 1<<18)+`"}`), "larger than any"},
		"spaces without end":             {endless(`{"kind":"PodList",`, "          "), "larger than any"},
		"more bytes than rancher allows": {cutWith("more bytes than allowed"), "larger than any"},
		"the same page for ever":         {says(200, onePod("again")), "its pages go round in a circle"},
		"two pages in turns": {func(r *http.Request) (*http.Response, error) {
			return answer(200, onePod(map[string]string{"a": "b", "b": "a", "": "a"}[r.URL.Query().Get("continue")])), nil
		}, "its pages go round in a circle"},
		"empty pages for ever": {func(*http.Request) (*http.Response, error) {
			serial++
			return answer(200, fmt.Sprintf(`{"kind":"PodList","metadata":{"continue":"t%d"},"items":[]}`, serial)), nil
		}, "its pages go round in a circle"},
		"a huge token":              {says(200, onePod(strings.Repeat("t", maxContinue+1))), "its pages cannot be followed"},
		"always gone":               {says(410, `{"kind":"Status","reason":"Expired","message":"hush"}`), "it changes faster than it can be read"},
		"the token is not accepted": {says(401, `{"type":"error","status":"401","message":"Unauthorized 401: hush"}`), "does not accept the token"},
		"no right":                  {says(403, `{"kind":"Status","reason":"Forbidden","message":"hush"}`), "the token may not list them"},
		"no such resource":          {says(404, `{"kind":"Status","reason":"NotFound","message":"hush"}`), "the cluster's API does not have them"},
		"no such cluster":           {says(404, `{"Cause":null,"Code":{"Code":"NotFound","Status":404},"FieldName":"","Message":"hush"}`), "Rancher does not show the cluster"},
		"no API there":              {says(404, "404 page not found"), "there is no Kubernetes API behind"},
		"the agent is away":         {says(503, `{"Cause":null,"Code":{"Code":"ClusterUnavailable","Status":503},"FieldName":"","Message":"hush"}`), "Rancher has no connection to the cluster"},
		"overloaded":                {says(429, "hush"), "overloaded"},
		"a server error":            {says(500, "hush"), "answers 500"},
		"a redirect":                {says(302, "hush"), "answers 302"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				r := &Reader{Base: "https://rancher.example.com" + under, Transport: doer(func(r *http.Request) (*http.Response, error) {
					if !strings.HasSuffix(r.URL.Path, "/pods") {
						return (&fakeAPI{}).RoundTrip(r)
					}
					asked++
					return tt.do(r)
				}), maxPage: 4 << 20}
				use, err := r.Read(t.Context())
				if err != nil || len(use.Gaps) != 1 || !strings.Contains(use.Gaps[0], tt.says) || strings.Contains(use.Gaps[0], "hush") {
					t.Fatalf("%v, %+v", err, use)
				}
				if len(use.Registries) > 0 {
					t.Errorf("half a list was counted: %+v", use.Registries)
				}
				if asked > attempts*(maxRestarts+1)*2 {
					t.Errorf("asked %d times", asked)
				}
			})
		})
	}
}

func cutWith(text string) doer {
	return func(*http.Request) (*http.Response, error) { return nil, errors.New(text) }
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("hush: connection reset by peer") }

// forever is a text over and over again.
type forever struct {
	text string
	at   int
}

func (f *forever) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], f.text[f.at:])
		n, f.at = n+c, (f.at+c)%len(f.text)
	}
	return n, nil
}

// What may pass by itself does, and nothing is counted twice for it.
func TestTroubleThatPasses(t *testing.T) {
	for name, trouble := range map[string]doer{
		"a reset":          func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset by peer") },
		"a bad gateway":    func(*http.Request) (*http.Response, error) { return answer(502, "<html>"), nil },
		"too many":         func(*http.Request) (*http.Response, error) { return answer(429, ""), nil },
		"cut in the list":  func(*http.Request) (*http.Response, error) { return answer(200, onePod("")[:200]), nil },
		"an expired token": func(*http.Request) (*http.Response, error) { return answer(410, ""), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &fakeAPI{lists: map[string][]any{}}
				for range 2*pageItems + 3 {
					api.lists["/api/v1/pods"] = append(api.lists["/api/v1/pods"], pod("shop", nil, ecrHost+"/a"))
				}
				hit := map[string]bool{}
				r := &Reader{Base: "https://rancher.example.com" + under, Transport: doer(func(r *http.Request) (*http.Response, error) {
					if key := r.URL.Path + r.URL.Query().Get("continue"); !hit[key] && (name != "an expired token" || r.URL.Query().Has("continue")) {
						hit[key] = true
						return trouble(r)
					}
					return api.RoundTrip(r)
				})}
				use, err := r.Read(t.Context())
				if err != nil || len(use.Gaps) > 0 || len(use.Registries) != 1 || use.Registries[0].Pods != 2*pageItems+3 {
					t.Errorf("%v, %+v", err, use)
				}
			})
		})
	}
}

// Pages that are too large are asked for in smaller ones.
func TestLargePods(t *testing.T) {
	api := &fakeAPI{lists: map[string][]any{}}
	for range 120 {
		api.lists["/api/v1/pods"] = append(api.lists["/api/v1/pods"], pod("shop", nil, ecrHost+"/a"))
	}
	r := &Reader{Base: "https://rancher.example.com" + under, Transport: doer(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/pods") && r.URL.Query().Get("limit") == fmt.Sprint(pageItems) {
			return nil, errors.New("more bytes than allowed")
		}
		return api.RoundTrip(r)
	})}
	use, err := r.Read(t.Context())
	if err != nil || len(use.Gaps) > 0 || use.Registries[0].Pods != 120 {
		t.Errorf("%v, %+v", err, use)
	}
}

// One list that cannot be read is a gap; the others are read all the same, but
// for a cluster that is not there at all.
func TestGaps(t *testing.T) {
	api := &fakeAPI{
		lists:  map[string][]any{"/api/v1/pods": {pod("shop", nil, ecrHost+"/a")}},
		refuse: map[string]int{"/apis/batch/v1/cronjobs": 403},
	}
	use := read(t, api)
	if len(use.Registries) != 1 || len(use.Gaps) != 1 || use.Gaps[0] != "its cronjobs cannot be listed: the token may not list them" {
		t.Errorf("%+v", use)
	}
	down := &fakeAPI{refuse: map[string]int{"/api/v1/pods": 401}}
	if use := read(t, down); len(use.Gaps) != 1 || len(down.requests) != 1 {
		t.Errorf("%+v after %d requests", use, len(down.requests))
	}
}

// An interrupt and the end of the time are errors, and come at once.
func TestInterrupted(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &Reader{Base: "https://rancher.example.com" + under, Transport: doer(func(r *http.Request) (*http.Response, error) {
		cancel(why)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	if use, err := r.Read(ctx); !errors.Is(err, why) || use != nil {
		t.Errorf("%+v, %v", use, err)
	}
}

// A walk over very many pages holds no more than one over a few: what is kept of
// a pod is a count.
func TestMemoryDoesNotGrowWithThePods(t *testing.T) {
	crowd := simkube.Crowd{Pods: 16 * pageItems, Padding: 2 << 10}
	var held []uint64
	transport := doer(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/pods") && len(held) < 16 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			held = append(held, m.HeapAlloc)
		}
		read, write := io.Pipe()
		go func() {
			w := &streamed{Writer: write, header: http.Header{}}
			r2 := r.Clone(r.Context())
			r2.URL.Path = strings.TrimPrefix(r.URL.Path, under)
			crowd.ServeHTTP(w, r2)
			write.Close()
		}()
		resp := answer(200, "")
		resp.Body = read
		return resp, nil
	})
	r := &Reader{Base: "https://rancher.example.com" + under, Transport: transport}
	use, err := r.Read(t.Context())
	if err != nil || len(use.Gaps) > 0 || use.Registries[0].Pods+use.Registries[1].Pods < crowd.Pods/2 {
		t.Fatalf("%v, %+v", err, use)
	}
	// The pages between are 15 MB of JSON.
	if grown := int64(held[len(held)-1]) - int64(held[5]); grown > 2<<20 {
		t.Errorf("%d KB more were held at the end than after five pages", grown>>10)
	}
}

type streamed struct {
	io.Writer
	header http.Header
}

func (s *streamed) Header() http.Header { return s.header }
func (s *streamed) WriteHeader(int)     {}

// However a list is cut into pages, and wherever a page fails once, the sum is
// the same.
func TestSumDoesNotDependOnPages(t *testing.T) {
	// Retries wait, in a bubble in which nobody may ask for the deadline.
	synctest.Test(t, func(t *testing.T) { rapid.Check(struct{ rapid.TB }{t}, sumOfPages) })
}

func sumOfPages(t *rapid.T) {

	type item struct{ N int }
	items := rapid.SliceOfN(rapid.IntRange(0, 100), 0, 40).Draw(t, "items")
	size := rapid.IntRange(1, 7).Draw(t, "size")
	cutAt := rapid.IntRange(0, 400).Draw(t, "cut")
	cutPage := rapid.IntRange(0, 6).Draw(t, "page")
	failed := false
	transport := doer(func(r *http.Request) (*http.Response, error) {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		to, next := min(from+size, len(items)), ""
		if to < len(items) {
			next = strconv.Itoa(to)
		}
		var list []item
		for _, n := range items[from:to] {
			list = append(list, item{n})
		}
		body, _ := json.Marshal(map[string]any{"kind": "PodList", "metadata": map[string]any{"continue": next}, "items": list})
		if !failed && from/size == cutPage && cutAt < len(body)-1 {
			failed = true
			body = body[:cutAt]
		}
		return answer(200, string(body)), nil
	})
	want := 0
	for _, n := range items {
		want += n
	}
	got, err := collect(context.Background(), newClient("https://x.example.com", transport), listing{"pods", "/api/v1/pods", "PodList", ""},
		func() *int { return new(int) }, func(sum *int, i *item) { *sum += i.N }, func(into, from *int) { *into += *from })
	if err != nil || *got != want {
		t.Fatalf("%v, %v, want %d", got, err, want)
	}
}

// FuzzPage: whatever a server sends, a page is read or refused, within bounds.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{onePod(""), onePod("x"), `{"kind":"PodList","items":null}`, `{}`, `[`, `{"items":[{}],"kind":"PodList"} trailing`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tally := newTally()
		n := 0
		p, err := decodePage(&budget{r: bytes.NewReader(body), all: maxPage}, "PodList", func(o *object) {
			n++
			for _, l := range lists {
				if spec, as := l.counts(o); spec != nil {
					tally.add(o.Metadata.Namespace, spec, as)
				}
			}
		})
		if err == nil && (p.items != n || len(p.next) > maxContinue) {
			t.Errorf("%+v, %d items", p, n)
		}
		use := tally.use(&logins{})
		for _, r := range use.Registries {
			if r.Needs() < 0 || len(r.Host) > maxHostName+3 {
				t.Errorf("%+v", r)
			}
		}
	})
}

// FuzzPullSecret: whatever is in a pull secret, its keys are places, never what
// opens them.
func FuzzPullSecret(f *testing.F) {
	for _, seed := range []string{`{"auths":{"registry.example.com":{"auth":"eDp5"}}}`, `{"auths":{"https://a/v1/":{"username":"u","password":"p"}}}`, `{"auths":[]}`, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		s := secret{Type: "kubernetes.io/dockerconfigjson"}
		s.Data.Config = config
		began := time.Now()
		for _, key := range s.keys() {
			if strings.HasPrefix(key, "https://") {
				t.Errorf("%q", key)
			}
		}
		if len(s.keys()) > maxKeys || time.Since(began) > 10*time.Second {
			t.Error("too much")
		}
	})
}
