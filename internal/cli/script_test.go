package cli

import (
	"context"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rkepatch/fixtures/simkube"
	"rkepatch/fixtures/simrancher"
)

// quickEnd keeps the race detector from sleeping for a second at the end of each process; what it has seen it has said.
const quickEnd = "GORACE=atexit_sleep_ms=0"

// The scripts run the program as a process of its own: the test binary is it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rkepatch": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			code := Run(ctx, SystemStreams(), os.Args, Build{Version: "v0.0.0-test", Commit: "0123456"})
			stop()
			os.Exit(code)
		},
	})
}

// TestScripts runs testdata/script/*.txtar. Each has a simulated Rancher with
// the demo fleet of its own; RANCHER_URL and RANCHER_TOKEN_KEY lead to it.
//
// Commands beside testscript's own:
//
//	rancher tls                      Rancher has a certificate nobody knows; its CA is in ca.pem
//	rancher nodes ID                 nodes of cluster ID really run pods; node X has the folder nodes/X for a file system
//	rancher pulls ID IMAGE...        pods of these images run in the cluster, whose nodes were named before
//	rancher put ID RESOURCE FILE     the objects of a JSON list are in the cluster
//	rancher forbid ID RESOURCE       nobody may list them there
//	rancher mirror API               $MIRROR serves a provider that speaks API, with the checksum $SHA256
//	rancher fail ID MESSAGE          the next change of cluster ID fails in RKE
//	rancher stuck ID NODE            that worker's kubelet does not come up
//	rancher hang ID                  the next change of cluster ID never ends
//	rancher finish ID                the change that hangs goes on to its end
//	rancher edit ID KEY VALUE        somebody sets a kubelet argument, straight in the store
//	rancher rename ID NAME           the cluster gets another name; \n in it is a line break
//	rancher refuse /path             answers 403 to requests for it from now on
//	rancher await 'GET /path'        waits for such a request, then forgets all requests
//	rancher puts N                   there were N PUTs so far
//	rancher kubelet ID TEXT          the stored kubelet section contains TEXT
//	rancher userdata ID FILE         the node template's user data is what FILE holds
//	rancher template ID TEXT         the stored node template contains TEXT
//	rancher https FILE               $HTTPS serves FILE over TLS, which the program trusts
//	rancher lastrun                  $RUN is the last run
//	code N command...                command ends with exit code N
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			sim := simrancher.New(simrancher.Options{Step: 10 * time.Millisecond})
			sim.AddDemoFleet()
			server := httptest.NewServer(sim)
			e.Defer(server.Close)
			e.Values["sim"] = sim
			e.Values["done"] = t.Context().Done()
			e.Values["kube"] = map[string]*simkube.Cluster{}
			e.Vars = append(e.Vars, quickEnd)
			e.Setenv("RANCHER_URL", server.URL)
			e.Setenv("RANCHER_TOKEN_KEY", simrancher.AdminToken)
			e.Setenv("ADMIN_TOKEN", simrancher.AdminToken)
			e.Setenv("MEMBER_TOKEN", simrancher.MemberToken)
			e.Setenv("CLUSTER_TOKEN", simrancher.ClusterToken)
			e.Setenv("EXPIRED_TOKEN", simrancher.ExpiredToken)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_STATE_HOME", e.WorkDir+"/state")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rancher": rancherCommand,
			"code":    codeCommand,
		},
	})
}

func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
