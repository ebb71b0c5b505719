package nodescript

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Half a script, from a connection that broke, does nothing at all, and says so by
// its exit code as soon as there is anything in it but the comment at its head.
func TestHalfAScript(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		from := n.save(n.plugin)
		before := n.tree()
		whole := n.script
		start := strings.Index(whole, "\n{\n") + 3
		var ends []int
		for end := start; end < len(whole); end += 611 {
			ends = append(ends, end)
		}
		for end := len(whole) - 24; end < len(whole)-1; end++ {
			ends = append(ends, end)
		}
		for _, end := range ends {
			cmd := exec.Command(n.shell[0], append(n.shell[1:len(n.shell):len(n.shell)], "-s", "--", "--root", n.root, "--from", from)...)
			cmd.Env = n.env
			cmd.Stdin = strings.NewReader(whole[:end])
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("%d of %d bytes run well: %s", end, len(whole), out)
			}
		}
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
		cmd := exec.Command(n.shell[0], append(n.shell[1:len(n.shell):len(n.shell)], "-s", "--", "--root", n.root, "--from", from)...)
		cmd.Env = n.env
		cmd.Stdin = strings.NewReader(whole)
		finish(t, cmd).want(t, 0, "installed")
		n.installed()
	})
}

// A signal during the download ends the script at once, and a kill leaves nothing
// that the next run does not clear away.
func TestInterruptedDownload(t *testing.T) {
	t.Parallel()
	for signal, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGHUP: 129, syscall.SIGKILL: -1} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			eachClient(t, func(t *testing.T, n *node) {
				var begun, over = make(chan bool), make(chan bool)
				var hang atomic.Bool
				hang.Store(true)
				at := mirror(t, func(w http.ResponseWriter, r *http.Request) {
					if !hang.Load() {
						_, _ = w.Write(n.plugin)
						return
					}
					_, _ = w.Write(n.plugin[:len(n.plugin)/2])
					w.(http.Flusher).Flush()
					begun <- true
					select {
					case <-r.Context().Done():
					case <-over:
					}
				})
				n.generate(Options{URL: at})
				before := n.tree()
				cmd := n.command()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				<-begun
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				close(over)
				hang.Store(false)
				if got := cmd.ProcessState.ExitCode(); got != code {
					t.Errorf("exit code %d, want %d", got, code)
				}
				if signal != syscall.SIGKILL {
					if d := cmp.Diff(before, n.tree()); d != "" {
						t.Error("something is left over:", d)
					}
				}
				n.run().want(t, 0, "installed")
				if signal != syscall.SIGKILL || !missing("flock") && filepath.Base(n.shell[0]) != "busybox" {
					n.installed()
				}
			})
		})
	}
}

// killer puts a wrapper around the tools that change something: it counts their
// calls, and after the given one it sends a signal to the script.
func killer(t *testing.T, n *node) (arm func(call int, signal syscall.Signal) *exec.Cmd, calls func() int) {
	t.Helper()
	dir := n.only(tools...)
	state := t.TempDir()
	for _, tool := range strings.Fields("mkdir mktemp cat chmod chown dd flock ln mv rm rmdir sha256sum sync tail") {
		real, err := os.Readlink(filepath.Join(dir, tool))
		if err != nil {
			continue
		}
		fake(t, dir, tool, fmt.Sprintf(`
%[2]s "$@"
code=$?
read -r calls <%[1]s/count
echo $((calls + 1)) >%[1]s/count
if [ "$calls" -eq "$CALL" ]; then read -r pid <%[1]s/pid && kill -"$SIGNAL" "$pid"; fi
exit $code`, state, real))
	}
	path := "PATH=" + os.Getenv("PATH")
	arm = func(call int, signal syscall.Signal) *exec.Cmd {
		if err := os.WriteFile(state+"/count", []byte("0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := n.command("--replace", "--from", state+"/plugin")
		// The shell that is to be killed says who it is before it becomes the script.
		cmd.Args = append([]string{"sh", "-c", `echo $$ >` + state + `/pid && exec "$@"`, "sh"}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(n.env[:len(n.env):len(n.env)], "CALL="+strconv.Itoa(call), "SIGNAL="+strconv.Itoa(int(signal)))
		return cmd
	}
	for i := range n.env {
		if n.env[i] == path {
			n.env = append(n.env[:i], n.env[i+1:]...)
			break
		}
	}
	if err := os.WriteFile(state+"/plugin", n.plugin, 0o600); err != nil {
		t.Fatal(err)
	}
	return arm, func() int {
		count, err := os.ReadFile(state + "/count")
		if err != nil {
			t.Fatal(err)
		}
		calls, err := strconv.Atoi(strings.TrimSpace(string(count)))
		if err != nil {
			t.Fatal(err)
		}
		return calls
	}
}

// Whenever the script is interrupted or killed, each of the two files is the old
// one or the new one, whole; a run that says that nothing changed has changed
// nothing; and the next run brings it to its end.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("dash is not here, and other shells bring tools of their own")
	}
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		old    bool // there is an old plugin and an old config
	}{
		{"terminated on an empty node", syscall.SIGTERM, false},
		{"terminated while replacing", syscall.SIGTERM, true},
		{"killed while replacing", syscall.SIGKILL, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.shell = []string{dash}
			arm, calls := killer(t, n)
			prepare := func() map[string]string {
				if err := os.RemoveAll(n.path("opt")); err != nil {
					t.Fatal(err)
				}
				if tt.old {
					n.write(pluginAt, "the old plugin")
					n.write(configAt, "the old config")
				}
				return n.tree()
			}
			prepare()
			finish(t, arm(-1, tt.signal)).want(t, 0, "installed")
			n.installed()
			total := calls()
			if total < 20 {
				t.Fatalf("only %d calls are counted", total)
			}
			var untouched, finished, between int
			for call := range total {
				before := prepare()
				cmd := arm(call, tt.signal)
				out, _ := cmd.CombinedOutput()
				code := cmd.ProcessState.ExitCode()
				newPlugin := n.whole(pluginAt, n.plugin, "the old plugin", tt.old)
				newConfig := n.whole(configAt, []byte(goodConfig), "the old config", tt.old)
				d := cmp.Diff(before, n.tree())
				switch {
				case d == "":
					untouched++
				case newPlugin && newConfig:
					finished++
				default:
					between++
				}
				if tt.signal == syscall.SIGTERM && (code != 143 || d != "") && (code != 0 || !newPlugin || !newConfig) {
					t.Fatalf("call %d: exit code %d, said %s, changed %s", call, code, out, d)
				}
				if d != "" { // what nothing happened to was run to its end above
					finish(t, arm(-1, tt.signal)).want(t, 0)
					n.installed()
				}
			}
			t.Logf("%d calls: %d times untouched, %d finished, %d in between", total, untouched, finished, between)
			if untouched == 0 || finished == 0 {
				t.Error("the signals did not come when they should")
			}
		})
	}
}

// whole fails unless a file is new, or as it was; it says whether it is new.
func (n *node) whole(name string, want []byte, was string, old bool) bool {
	n.t.Helper()
	got, err := os.ReadFile(n.path(name))
	switch {
	case err == nil && bytes.Equal(got, want):
		return true
	case err == nil && old && string(got) == was, os.IsNotExist(err) && !old:
		return false
	}
	n.t.Errorf("%s is neither the old nor the new one: %.40q, %v", name, got, err)
	return false
}

// When the config cannot be moved to its place, the plugin goes back to what it was.
func TestHalfACommitIsUndone(t *testing.T) {
	t.Parallel()
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("dash is not here")
	}
	for _, old := range []bool{false, true} {
		n := newNode(t)
		n.shell = []string{dash}
		dir := n.only(tools...)
		real, err := os.Readlink(dir + "/mv")
		if err != nil {
			t.Fatal(err)
		}
		if old {
			n.write(pluginAt, "the old plugin")
			n.write(configAt, "the old config")
		}
		fake(t, dir, "mv", `case "$*" in */config\ *) echo "mv: Input/output error" >&2; exit 1;; esac; exec `+real+` "$@"`)
		before := n.tree()
		n.run("--replace", "--from", n.save(n.plugin)).want(t, 1, "moving the config", "Input/output error")
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
	}
}

// Where there is no flock to tell, what a killed run left is told by its age from
// what another run is just making.
func TestLeftoversWithoutFlock(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		n.only(without("flock")...)
		for _, name := range []string{"opt/aws/bin/.rkepatch.1.old/plugin", "opt/aws/config/.rkepatch.1.old/config", "opt/aws/bin/.rkepatch.1.new/plugin"} {
			n.write(name, "half")
		}
		long := time.Now().Add(-2 * time.Hour)
		for _, name := range []string{"opt/aws/bin/.rkepatch.1.old", "opt/aws/config/.rkepatch.1.old"} {
			if err := os.Chtimes(n.path(name), long, long); err != nil {
				t.Fatal(err)
			}
		}
		n.run("--from", n.save(n.plugin)).want(t, 0, "installed")
		for path := range n.tree() {
			if strings.Contains(path, ".old") {
				t.Errorf("%s is still there", path)
			}
		}
		n.holds("opt/aws/bin/.rkepatch.1.new/plugin", []byte("half"), 0o644)
	})
}

// Two at once: one of them does it.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	if missing("flock") {
		t.Skip("flock is not here")
	}
	n := newNode(t)
	asked, over := make(chan bool), make(chan bool)
	at := mirror(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-over
		_, _ = w.Write(n.plugin)
	})
	n.generate(Options{URL: at})
	first := make(chan ended)
	cmd := n.command()
	go func() { first <- finish(t, cmd) }()
	<-asked
	n.run().want(t, 1, "another run of this script is at work")
	close(over)
	e := <-first
	e.want(t, 0, "installed")
	n.installed()
}
