package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

func TestConnectRefuses(t *testing.T) {
	for _, base := range []string{"", "rancher.example", "ftp://rancher.example/k8s", "https://", "https://user:hush@rancher.example/k8s/clusters/c-1", "https://a b/", "://"} {
		if _, err := Connect(base, http.DefaultTransport); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// What a proxy may answer instead of an API server, on the way to the nodes.
func TestConnectTroubles(t *testing.T) {
	const list = `{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]}`
	for name, tt := range map[string]struct {
		answers []func(*http.Request) (*http.Response, error)
		says    string // "" when it works in the end
	}{
		"works":             {[]func(*http.Request) (*http.Response, error){ok(list)}, ""},
		"cut once":          {[]func(*http.Request) (*http.Response, error){fail(io.ErrUnexpectedEOF), ok(list)}, ""},
		"cut in the middle": {[]func(*http.Request) (*http.Response, error){ok(list[:30]), ok(list)}, ""},
		"bad gateway once":  {[]func(*http.Request) (*http.Response, error){code(502, "text/html", "<html>hush</html>"), ok(list)}, ""},
		"always cut":        {[]func(*http.Request) (*http.Response, error){fail(io.ErrUnexpectedEOF)}, "EOF"},
		"not provisioned":   {[]func(*http.Request) (*http.Response, error){code(503, "application/json", `{"Code":{"Code":"ClusterUnavailable","Status":503},"Message":"cluster not provisioned"}`)}, "list"},
		"login page":        {[]func(*http.Request) (*http.Response, error){code(200, "text/html", "<html>log in</html>")}, "list"},
		"elsewhere": {[]func(*http.Request) (*http.Response, error){func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "rancher.example" {
				return nil, errors.New("followed to " + r.URL.Host)
			}
			resp := respond(302, "text/html", "")
			resp.Header.Set("Location", "https://elsewhere.example/")
			return resp, nil
		}}, "list"},
		"token refused": {[]func(*http.Request) (*http.Response, error){code(401, "application/json", `{"type":"error","code":"Unauthorized"}`)}, "list nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				api, err := Connect("https://rancher.example/k8s/clusters/c-1", roundTrip(func(r *http.Request) (*http.Response, error) {
					if !strings.HasPrefix(r.URL.Path, "/k8s/clusters/c-1/api/v1/") {
						t.Errorf("asked for %s", r.URL)
					}
					if !strings.HasSuffix(r.URL.Path, "/nodes") {
						return respond(200, "application/json", `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}`), nil
					}
					answer := tt.answers[min(n, len(tt.answers)-1)]
					n++
					return answer(r)
				}))
				if err != nil {
					t.Fatal(err)
				}
				c := Checker{Core: api}
				reports, err := c.Check(t.Context(), query())
				if tt.says == "" {
					if err != nil || len(reports) != 0 {
						t.Errorf("%v, %v", reports, err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "followed") {
					t.Errorf("%v", err)
				}
				// client-go asks up to 11 times for each of ours.
				if n > 11*attempts {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}

func ok(body string) func(*http.Request) (*http.Response, error) {
	return code(200, "application/json", body)
}

func code(status int, contentType, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return respond(status, contentType, body), nil }
}

func fail(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// apiServer answers as an API server with one node does, whose proxy holds back
// every watch. The pod that is created gets the status; seen is told of each
// request.
func apiServer(t *testing.T, status corev1.PodStatus, seen func(*http.Request)) roundTrip {
	pods := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	return func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		seen(r)
		var answer any = &pods
		switch {
		case r.URL.Query().Has("watch"):
			<-r.Context().Done()
			return nil, r.Context().Err()
		case strings.HasSuffix(r.URL.Path, "/nodes"):
			answer = &corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, Items: []corev1.Node{*linux("x")}}
		case r.Method == http.MethodPost:
			var pod corev1.Pod
			if err := json.NewDecoder(r.Body).Decode(&pod); err != nil {
				t.Error(err)
			}
			pod.Status = status
			pods.Items = append(pods.Items, pod)
			answer = &pod
		case r.Method == http.MethodDelete:
			answer = &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}
		}
		body, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		return respond(200, "application/json", string(body)), nil
	}
}

// A proxy that holds back watches without a word costs time, and no answer.
func TestConnectWatchHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := Connect("https://rancher.example/k8s/clusters/c-1", apiServer(t, answering(seeing("v1")), func(*http.Request) {}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c := Checker{Core: api}
		reports, err := c.Check(t.Context(), query())
		if err != nil || len(reports) != 1 || reports[0].Provider == nil || len(reports[0].Findings) > 0 {
			t.Errorf("%v, %+v", err, reports)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// An interrupt does not reach the request that removes a pod.
func TestConnectInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var deleted string
		api, err := Connect("https://rancher.example/k8s/clusters/c-1", apiServer(t, corev1.PodStatus{Phase: corev1.PodRunning}, func(r *http.Request) {
			switch r.Method {
			case http.MethodPost:
				time.AfterFunc(time.Second, cancel)
			case http.MethodDelete:
				deleted = r.URL.Path
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		c := Checker{Core: api}
		if _, err := c.Check(ctx, query()); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !strings.HasPrefix(deleted, "/k8s/clusters/c-1/api/v1/namespaces/kube-system/pods/"+podPrefix) {
			t.Errorf("deleted %q", deleted)
		}
	})
}

// What client-go would write to standard error by itself is in what it returns.
func TestConnectIsQuiet(t *testing.T) {
	stderr := os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	_, connectErr := Connect("https://rancher.example/k8s/clusters/c-1", roundTrip(fail(io.ErrUnexpectedEOF)))
	klog.ErrorS(errors.New("hush"), "Unexpected error")
	klog.Warning("hush")
	klog.Flush()
	os.Stderr = stderr
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil || connectErr != nil || len(said) > 0 {
		t.Errorf("%v, %v: %q", err, connectErr, said)
	}
}
