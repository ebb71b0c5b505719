package nodescript

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mounted puts a small file system of its own below the node's directory for the
// runs of the script that follow. Only root can; the mounts end with the process.
func (n *node) mounted(options string) {
	n.t.Helper()
	unshare, err := exec.LookPath("unshare")
	if os.Getuid() != 0 || err != nil || exec.Command(unshare, "-m", "mount", "-t", "tmpfs", "tmpfs", n.root).Run() != nil {
		n.t.Skip("mounting a file system needs root and unshare")
	}
	mount := `mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"`
	n.shell = append([]string{unshare, "-m", "sh", "-c", mount, "sh", options, n.root}, n.shell...)
}

// around runs commands in the mount of mounted, before or after the script.
func (n *node) around(before, after string) {
	n.shell = append(n.shell[:4:4], append([]string{`mount -t tmpfs -o "$1" tmpfs "$2" && cd "$2" && shift 2 && { ` + before + `; } && code=0 && { "$@" || code=$?; } && { ` + after + `; } && exit "$code"`}, n.shell[5:]...)...)
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.mounted("size=64m")
	n.around("mkdir -p opt && mount -t tmpfs -o ro tmpfs opt", "ls -A opt")
	n.run("--from", n.save(n.plugin)).want(t, 1, "opt/aws is on a read-only file system", "--bin-dir /var/lib/rancher/credentialprovider/bin", "--config /var/lib/rancher/credentialprovider/config.yaml")

	n = newNode(t)
	n.mounted("size=64m")
	n.around("mkdir -p opt/aws/bin opt/aws/config && mount -t tmpfs -o ro tmpfs opt/aws/config", "find opt -name .rkepatch\\*")
	e := n.run("--from", n.save(n.plugin))
	e.want(t, 1, "config is on a read-only file system")
	if e.out != "" {
		t.Errorf("left over: %s", e.out)
	}
	n.run("--from", n.save(n.plugin), "--config=/var/lib/c.yaml").want(t, 0, "installed")
}

// A disk without room for the plugin, or with room for it but not for the config:
// what was there before is there still, and nothing else is.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, prepare string }{
		{"no room for the plugin", "mount -t tmpfs -o size=256k tmpfs opt"},
		{"no room for the config", "mkdir -p opt/aws/config && mount -t tmpfs -o size=4k tmpfs opt/aws/config && echo old >opt/aws/config/file"},
		{"no room for a file at all", "mkdir -p opt/aws/config && mount -t tmpfs -o nr_inodes=2 tmpfs opt/aws/config"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				n.mounted("size=64m")
				n.around("mkdir -p opt && "+tt.prepare, "find .")
				e := n.run("--from", n.save(n.plugin))
				e.want(t, 1, "is there room on the disk")
				clean := finish(t, exec.Command(n.shell[0], append(n.shell[1:8:8], "true")...))
				if d := cmp.Diff(clean.out, e.out); d != "" {
					t.Error("something is left over, or gone:", d)
				}
				at := mirror(t, serve(n.plugin))
				n.run("--url", at+"/plugin").want(t, 1, "room")
			})
		})
	}
}
