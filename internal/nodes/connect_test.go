package nodes

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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
