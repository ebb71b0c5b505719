package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A script is read over https only, from where the URL says, up to a size; nothing
// of the answer or the URL is in an error.
func TestReadScript(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("#!/bin/sh\n")) }))
	defer plain.Close()
	var asked []*http.Request
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		switch r.URL.Path {
		case "/script":
			_, _ = w.Write([]byte("#!/bin/sh\n"))
		case "/moved":
			http.Redirect(w, r, "/script", http.StatusFound)
		case "/down":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/long":
			_, _ = w.Write(make([]byte, maxInstallScript+1))
		default:
			http.Error(w, "hunter2", http.StatusNotFound)
		}
	}))
	defer server.Close()
	for path, says := range map[string]string{
		"/script": "", "/moved": "", "/down": "redirected", "/round": "redirected", "/long": "larger than", "/none?sig=hunter2": "answered 404",
	} {
		text, err := fetchScript(t.Context(), server.Client().Transport, server.URL+path)
		switch {
		case says == "" && (err != nil || string(text) != "#!/bin/sh\n"):
			t.Errorf("%s: %q, %v", path, text, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
	for _, r := range asked {
		if r.Header.Get("Authorization")+r.Header.Get("Cookie") != "" {
			t.Error("credentials were sent")
		}
	}
	for _, address := range []string{plain.URL, "https://ops:hunter2@127.0.0.1:1/", "file:///etc/shadow", "https://127.0.0.1:1/"} {
		if text, err := fetchScript(t.Context(), http.DefaultTransport, address); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v", address, text, err)
		}
	}
}
