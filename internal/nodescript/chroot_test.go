package nodescript

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chroot is a node whose / is a directory of this machine; the script runs in it
// without --root, from its standard input, as in `curl ... | sh`.
type chroot struct{ *node }

func newChroot(t *testing.T) *chroot {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	c := &chroot{newNode(t)}
	for _, dir := range []string{"bin", "dev", "tmp", "root"} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mknod(c.path("dev/null"), syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		t.Skipf("making /dev/null: %v", err)
	}
	c.env = []string{"PATH=/bin"}
	return c
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// copyIn copies a program of this machine and the libraries it needs.
func (c *chroot) copyIn(program, as string) {
	c.t.Helper()
	needs := [][2]string{{program, as}}
	libraries, _ := exec.Command("ldd", program).Output() // fails for a static one
	for _, m := range library.FindAllStringSubmatch(string(libraries), -1) {
		needs = append(needs, [2]string{m[1], m[1]})
	}
	for _, need := range needs {
		content, err := os.ReadFile(need[0])
		if err != nil {
			c.t.Fatal(err)
		}
		to := c.path(need[1])
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *chroot) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-s", "--"}, args...)...)
	cmd.Stdin = strings.NewReader(c.script)
	cmd.Env = c.env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root}
	return cmd
}

func (c *chroot) run(args ...string) ended {
	c.t.Helper()
	return finish(c.t, c.command(args...))
}

// A Debian: dash as sh, coreutils, curl and util-linux, copied from this machine
// with their libraries.
func TestDebian(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("this machine is no Debian to copy from")
	}
	c := newChroot(t)
	for _, tool := range append(without("awk", "sed", "grep", "wget", "find", "head"), "dash") {
		program, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("%s is not here", tool)
		}
		as := "/bin/" + tool
		if tool == "dash" {
			as = "/bin/sh"
		}
		c.copyIn(program, as)
	}
	c.goesThrough(t)
}

// As little as an Alpine has: nothing but busybox, its ash and its wget. No Alpine
// is downloaded for it; its shell and its tools are busybox's, but built against
// musl and with a few other options.
func TestBusyboxOnly(t *testing.T) {
	t.Parallel()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not here")
	}
	if out, err := exec.Command("ldd", busybox).Output(); err == nil && library.Match(out) {
		t.Log("this busybox is not static; its libraries are copied too")
	}
	c := newChroot(t)
	c.copyIn(busybox, "/bin/busybox")
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			if err := os.Symlink("busybox", c.path("bin/"+applet)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.goesThrough(t)
}

// goesThrough is the life of a node: everything that goes wrong first, then the
// install, twice, and the way back.
func (c *chroot) goesThrough(t *testing.T) {
	var answer atomic.Value
	at := mirror(t, func(w http.ResponseWriter, r *http.Request) { answer.Load().(http.HandlerFunc)(w, r) })
	c.generate(Options{URL: at + "/{arch}"})
	before := c.tree()
	unchanged := func(after string) {
		t.Helper()
		if d := cmp.Diff(before, c.tree()); d != "" {
			t.Fatalf("%s: %s", after, d)
		}
	}

	c.run("--dry-run").want(t, 0, "would install")
	unchanged("a dry run")
	c.run("--url", "http://127.0.0.1:1/x").want(t, 1, "downloading")
	unchanged("no network")
	answer.Store(serve([]byte("<html>")))
	c.run().want(t, 1, "looks like an HTML page")
	unchanged("a bad checksum")

	begun := make(chan bool)
	answer.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	}))
	cmd := c.command()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 143 {
		t.Errorf("interrupted: %v", err)
	}
	unchanged("an interrupted run")

	answer.Store(serve(c.plugin))
	c.run().want(t, 0, "installed /opt/aws/bin/ecr-credential-provider, which speaks v1", "wrote /opt/aws/config/")
	c.installed()
	for _, name := range []string{pluginAt, configAt, "opt/aws/bin"} {
		if info, err := os.Stat(c.path(name)); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s does not belong to root alone: %v", name, err)
		}
	}
	after := c.tree()
	c.run().want(t, 0, "already right")
	if d := cmp.Diff(after, c.tree()); d != "" {
		t.Error("the second run changed something:", d)
	}
	c.write(configAt, "another")
	c.run().want(t, 3, "is there and differs")
	c.run("--replace").want(t, 0, "kept the old one as /opt/aws/config/custom-credential-providers.yaml.rkepatch-"+sumOf([]byte("another"))[:12])
	c.installed()
	c.run("--uninstall").want(t, 0, "removed")
}
