package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rkepatch/fixtures/simkube"
	"rkepatch/fixtures/simrancher"
)

// rancherCommand is the script command "rancher"; TestScripts says what it can.
func rancherCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg && args[0] != "kubelet" && args[0] != "template" {
		ts.Fatalf("usage: rancher WHAT [args...]")
	}
	sim := ts.Value("sim").(*simrancher.Server)
	what, rest := args[0], args[1:]
	arg := func(i int) string {
		if i >= len(rest) {
			ts.Fatalf("rancher %s: too few arguments", what)
		}
		return rest[i]
	}
	switch what {
	case "tls":
		server := httptest.NewTLSServer(sim)
		ts.Defer(server.Close)
		ts.Setenv("RANCHER_URL", server.URL)
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o600))
	case "keys":
		access, secret, _ := strings.Cut(simrancher.AdminToken, ":")
		ts.Setenv("RANCHER_ACCESS_KEY", access)
		ts.Setenv("RANCHER_SECRET_KEY", secret)
	case "nodes":
		cluster, err := simkube.Behind(sim, arg(0), ts.MkAbs("nodes"))
		ts.Check(err)
		ts.Defer(cluster.Close)
		ts.Value("kube").(map[string]*simkube.Cluster)[arg(0)] = cluster
	case "pulls":
		for i, image := range rest[1:] {
			kube(ts, arg(0)).Put("pods", map[string]any{
				"metadata": map[string]any{"name": fmt.Sprintf("app-%d", i), "namespace": "default"},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}},
				"status":   map[string]any{"phase": "Running"},
			})
		}
	case "put":
		var objects []any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(arg(2))), &objects))
		kube(ts, arg(0)).Put(arg(1), objects...)
	case "forbid":
		kube(ts, arg(0)).Forbid(arg(1))
	case "mirror":
		binary, err := standIn(arg(0))
		ts.Check(err)
		mirror, sum := simkube.Mirror(binary)
		server := httptest.NewServer(mirror)
		ts.Defer(server.Close)
		ts.Setenv("MIRROR", server.URL)
		ts.Setenv("SHA256", sum)
	case "fail":
		sim.Script(arg(0), simrancher.Fail{Message: arg(1)})
	case "succeed":
		sim.Script(arg(0), simrancher.Succeed{})
	case "finish":
		sim.Script(arg(0), simrancher.Succeed{})
		sim.Edit(arg(0), func(map[string]any) {}) // looks at the cluster again
	case "hang":
		sim.Script(arg(0), simrancher.Hang{})
	case "stuck":
		sim.Script(arg(0), simrancher.WorkerStuck{Node: arg(1)})
	case "refuse":
		sim.Inject(simrancher.Fault{Path: arg(0), Status: http.StatusForbidden})
	case "edit":
		sim.Edit(arg(0), func(object map[string]any) {
			applied, _ := object["appliedSpec"].(map[string]any) // rolled out already
			for _, o := range []map[string]any{object, applied} {
				kubelet := storedKubelet(o)
				extra, _ := kubelet["extraArgs"].(map[string]any)
				if extra == nil {
					extra = map[string]any{}
					kubelet["extraArgs"] = extra
				}
				extra[arg(1)] = arg(2)
			}
		})
	case "rename":
		sim.Edit(arg(0), func(object map[string]any) { object["name"] = strings.ReplaceAll(arg(1), `\n`, "\n") })
	case "await":
		for !slices.ContainsFunc(sim.Requests(), func(r simrancher.Request) bool { return r.Method+" "+r.Path == arg(0) }) {
			select {
			case <-ts.Value("done").(<-chan struct{}):
				ts.Fatalf("there was no %s", arg(0))
			case <-time.After(time.Millisecond):
			}
		}
		sim.ResetRequests()
	case "puts":
		n := 0
		for _, r := range sim.Requests() {
			if r.Method == "PUT" {
				n++
			}
		}
		if want, _ := strconv.Atoi(arg(0)); n != want {
			ts.Fatalf("%d PUTs, want %d", n, want)
		}
	case "kubelet":
		text, err := json.Marshal(storedKubelet(sim.Stored(arg(0))))
		ts.Check(err)
		if strings.Contains(string(text), arg(1)) == neg {
			ts.Fatalf("the stored kubelet section is %s", text)
		}
	case "userdata":
		text := ts.ReadFile(arg(1))
		sim.EditNodeTemplate(arg(0), func(template map[string]any) {
			template["amazonec2Config"].(map[string]any)["userdata"] = strings.TrimSpace(text)
		})
	case "template":
		if text := fmt.Sprint(sim.StoredNodeTemplate(arg(0))); strings.Contains(text, arg(1)) == neg {
			ts.Fatalf("the stored template is %s", text)
		}
	case "https":
		text := ts.ReadFile(arg(0))
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
		ts.Defer(server.Close)
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		ts.Check(os.WriteFile(ts.MkAbs("https.pem"), ca, 0o600))
		ts.Setenv("SSL_CERT_FILE", ts.MkAbs("https.pem"))
		ts.Setenv("HTTPS", server.URL)
	case "lastrun":
		runs, err := filepath.Glob(ts.MkAbs("state/rkepatch/runs/*"))
		ts.Check(err)
		if len(runs) == 0 {
			ts.Fatalf("there was no run")
		}
		ts.Setenv("RUN", filepath.Base(runs[len(runs)-1]))
	default:
		ts.Fatalf("rancher cannot %s", what)
	}
}

// kube gives the nodes behind a cluster, which "rancher nodes" has put there.
func kube(ts *testscript.TestScript, id string) *simkube.Cluster {
	cluster := ts.Value("kube").(map[string]*simkube.Cluster)[id]
	if cluster == nil {
		ts.Fatalf("rancher nodes %s comes first", id)
	}
	return cluster
}

// standIn builds a stand-in provider once per API version.
func standIn(api string) ([]byte, error) {
	standIns.Lock()
	defer standIns.Unlock()
	if binary, ok := standIns.built[api]; ok {
		return binary, nil
	}
	binary, err := simkube.BuildProvider(api)
	standIns.built[api] = binary
	return binary, err
}

var standIns = struct {
	sync.Mutex
	built map[string][]byte
}{built: map[string][]byte{}}

func storedKubelet(object map[string]any) map[string]any {
	for _, key := range []string{"rancherKubernetesEngineConfig", "services", "kubelet"} {
		object, _ = object[key].(map[string]any)
	}
	return object
}
