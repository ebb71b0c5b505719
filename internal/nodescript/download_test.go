package nodescript

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tools are what the script may call; a test leaves out or replaces some.
var tools = strings.Fields("awk basename cat chmod chown cp curl cut date dd dirname env find flock grep head id ln ls mkdir mktemp mv openssl readlink rm rmdir sed sha256sum sleep sync tail timeout touch tr true uname wc wget")

// only makes a directory with some of the machine's tools the whole PATH of n.
func (n *node) only(names ...string) string {
	n.t.Helper()
	dir := n.t.TempDir()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				n.t.Fatal(err)
			}
		}
	}
	n.env = append(n.env, "PATH="+dir)
	return dir
}

func without(names ...string) []string {
	var left []string
	for _, tool := range tools {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+tool+" ") {
			left = append(left, tool)
		}
	}
	return left
}

// fake puts a shell script under the name of a tool.
func fake(t *testing.T, dir, name, body string) {
	t.Helper()
	path := filepath.Join(dir, name)
	os.Remove(path)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// eachClient runs a test with each program that can download.
func eachClient(t *testing.T, test func(*testing.T, *node)) {
	t.Helper()
	all := shells(t)
	for _, c := range []struct{ name, shell, without string }{
		{"curl", "dash", "wget"}, {"curl in busybox", "busybox", "wget"}, {"GNU wget", "dash", "curl"}, {"busybox wget", "busybox", "curl wget"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if all[c.shell] == nil {
				t.Skip(c.shell + " is not here")
			}
			if wanted := strings.Fields(c.name)[0]; wanted == "curl" && missing("curl") || c.name == "GNU wget" && missing("wget") {
				t.Skip(c.name + " is not here")
			}
			n := newNode(t)
			n.shell = all[c.shell]
			n.only(without(strings.Fields(c.without)...)...)
			test(t, n)
		})
	}
}

func missing(tool string) bool {
	_, err := exec.LookPath(tool)
	return err != nil
}

// mirror serves a handler on loopback and gives its address.
func mirror(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDownload(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, n *node) {
		at := mirror(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v9.9.9/linux/"+runtime.GOARCH+"/"+runtime.GOARCH || r.URL.Query().Get("X-Amz-Signature") != "a%b" {
				t.Errorf("asked for %s", r.URL)
			}
			_, _ = w.Write(n.plugin)
		})
		n.generate(Options{Release: "v9.9.9", URL: at + "/{tag}/linux/{arch}/{arch}?X-Amz-Signature=a%25b"})
		n.run().want(t, 0, "installed", "wrote")
		n.installed()
		n.run().want(t, 0, "already right")
	})
}

// What a mirror, a proxy or a captive portal may answer instead of the plugin:
// nothing of it is ever run or left behind, and a message says what came.
func TestBadDownloads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		says   []string
	}{
		{"404", http.NotFound, []string{"downloading http://127.0.0.1:"}},
		{"500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusInternalServerError) }, []string{"downloading"}},
		{"an HTML page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><title>Log in</title>") }, []string{"looks like an HTML page", "was expected", sumOf([]byte("<!DOCTYPE html><title>Log in</title>")), "(36 bytes"}},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, []string{"(0 bytes"}},
		{"another file", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(plugin(t, "v1alpha1")) }, []string{"is not the plugin", sumOf(plugin(t, "v1"))}},
		{"half of it and the connection cut", func(w http.ResponseWriter, _ *http.Request) {
			half := plugin(t, "v1")[:100000]
			w.Header().Set("Content-Length", "200000")
			_, _ = w.Write(half)
			panic(http.ErrAbortHandler)
		}, nil},
		{"half of it as if it were all", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(plugin(t, "v1")[:100000]) }, []string{"(100000 bytes"}},
		{"a hanging mirror", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(plugin(t, "v1")[:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, []string{"no end after 1 seconds"}},
		{"a redirect to a file", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}, nil},
		{"a redirect in circles", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, nil},
		{"control characters", func(w http.ResponseWriter, _ *http.Request) {
			conn, out, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(out, "HTTP/1.1 503 \x1b]0;owned\x07\x1b[31m\r\nContent-Length: 0\r\n\r\n")
				_ = out.Flush()
				_ = conn.Close()
			}
		}, []string{"downloading"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachClient(t, func(t *testing.T, n *node) {
				n.generate(Options{URL: mirror(t, tt.answer) + "/p?X-Amz-Signature=hidden"})
				n.set("download_seconds", "1")
				before := n.tree()
				e := n.run()
				e.want(t, 1, tt.says...)
				if strings.Contains(e.err, "hidden") {
					t.Errorf("the signature is shown: %s", e.err)
				}
				if d := cmp.Diff(before, n.tree()); d != "" {
					t.Error("a failed run changed something:", d)
				}
			})
		})
	}
}

func TestDownloadWithoutNetwork(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, n *node) {
		before := n.tree()
		n.generate(Options{URL: "http://127.0.0.1:1/plugin"})
		n.run().want(t, 1, "downloading http://127.0.0.1:1/plugin")
		n.generate(Options{URL: "http://no-such-host.invalid/plugin"})
		n.run().want(t, 1, "downloading http://no-such-host.invalid/plugin")
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
	})
}

// A mirror that never ends must not fill the disk.
func TestDownloadWithoutEnd(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, n *node) {
		n.generate(Options{URL: mirror(t, func(w http.ResponseWriter, _ *http.Request) {
			page := make([]byte, 1<<16)
			for range 256 { // 16 MB, lest a broken limit fill this disk
				if _, err := w.Write(page); err != nil {
					return
				}
			}
		})})
		smaller := strings.Replace(n.script, "ulimit -f 400000", "ulimit -f 2000", 1)
		if smaller == n.script {
			t.Fatal("no limit in the script")
		}
		n.script = smaller
		before := n.tree()
		n.run().want(t, 1, "downloading") // and not that it has the wrong checksum
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
	})
}

func TestDownloadIsTriedAgain(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, n *node) {
		var asked atomic.Int32
		n.generate(Options{URL: mirror(t, func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) < 3 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = w.Write(n.plugin)
		})})
		n.set("download_tries", "3")
		n.run().want(t, 0, "installed")
		n.installed()
		n.run("--uninstall").want(t, 0)
		asked.Store(-10)
		n.run().want(t, 1, "3 attempts")
		if got := asked.Load(); got != -7 {
			t.Errorf("%d requests, want 3", got+10)
		}
	})
}

func TestDownloadThroughProxy(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, n *node) {
		proxy := mirror(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "mirror.invalid" {
				t.Errorf("the proxy was asked for %s", r.Host)
			}
			_, _ = w.Write(n.plugin)
		})
		n.generate(Options{URL: "http://mirror.invalid/plugin"})
		n.env = append(n.env, "http_proxy="+proxy)
		n.run().want(t, 0, "installed")
		n.installed()
	})
}

func TestSourceFlags(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		at := mirror(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(n.plugin) })
		n.generate(Options{Release: DefaultRelease, SHA256: map[string]string{}}) // another checksum than the plugin's
		n.run("--url", at+"/{arch}").want(t, 1, "is not the plugin")
		n.run("--from", n.save(n.plugin)).want(t, 1, "is not the plugin")
		n.run("--url", at+"/{arch}", "--sha256", strings.ToUpper(sumOf(n.plugin)), "--bin-dir=/usr/lib/x", "--config=/etc/kubernetes/c.yaml").want(t, 0)
		n.holds("usr/lib/x/ecr-credential-provider", n.plugin, 0o755)
		n.holds("etc/kubernetes/c.yaml", []byte(goodConfig), 0o644)
		n.run("--sha256", sumOf(n.plugin), "--bin-dir=/usr/lib/x", "--config=/etc/kubernetes/c.yaml").want(t, 0, "already right")
	})
}

// A machine that lacks what the script needs is told so.
func TestMachinesThatLackSomething(t *testing.T) {
	t.Parallel()
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("dash is not here, and other shells bring tools of their own")
	}
	for _, tt := range []struct {
		name    string
		without string
		fakes   map[string]string
		code    int
		says    string
	}{
		{"no client", "curl wget", nil, 1, "neither curl nor wget"},
		{"no checksum tool", "sha256sum openssl", nil, 1, "nothing is installed unchecked"},
		{"no timeout", "timeout", nil, 1, "no timeout"},
		{"wget without TLS", "curl wget", map[string]string{"wget": `echo "wget: not an http or ftp url: https:" >&2; exit 1`}, 1, "cannot do https"},
		{"a client that says nothing", "curl wget", map[string]string{"wget": "exit 7"}, 1, "exit code 7"},
		{"32-bit ARM", "uname", map[string]string{"uname": "echo armv7l"}, 1, "no provider for this machine (armv7l)"},
		{"a machine of its own", "uname", map[string]string{"uname": `printf 'vax\033[31m\n'`}, 1, "(vax[31m)"},
		{"the other architecture", "uname", map[string]string{"uname": "echo " + map[string]string{"amd64": "aarch64", "arm64": "x86_64"}[runtime.GOARCH]}, 2, "no checksum is known"},
		{"only openssl", "sha256sum", nil, 0, "installed"},
		{"no flock", "flock", nil, 0, "installed"},
		{"an old busybox timeout", "timeout", map[string]string{"timeout": `[ "$1" = -t ] || exit 1; shift 2; exec "$@"`}, 0, "installed"},
		{"no sync of one file", "sync", map[string]string{"sync": `[ $# -eq 0 ]`}, 0, "installed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.shell = []string{dash}
			at := mirror(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(n.plugin) })
			n.generate(Options{Release: "v9.9.9", URL: at + "/plugin"})
			dir := n.only(without(strings.Fields(tt.without)...)...)
			for name, body := range tt.fakes {
				fake(t, dir, name, body)
			}
			before := n.tree()
			n.run().want(t, tt.code, tt.says)
			if tt.code == 0 {
				n.installed()
			} else if d := cmp.Diff(before, n.tree()); d != "" {
				t.Error(d)
			}
		})
	}
}

func serve(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
}
