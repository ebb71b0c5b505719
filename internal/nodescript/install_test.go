package nodescript

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInstallTwice(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		from := n.save(n.plugin)
		n.run("--from", from).want(t, 0, "installed", "which speaks v1", "wrote")
		n.installed()
		before := n.tree()
		n.run("--from", from).want(t, 0, "already right")
		n.run().want(t, 0, "already right") // and needs no source
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error("the second run wrote something:", d)
		}
	})
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		before := n.tree()
		n.run("--dry-run", "--from", n.save(n.plugin)).want(t, 0, "would install", "would write")
		n.run("--dry-run", "--url", "http://127.0.0.1:1/{tag}/{arch}?X-Amz-Signature=hidden").want(t, 0, "would install", DefaultRelease)
		n.run("--dry-run", "--from", n.save([]byte("something else"))).want(t, 1, "is not the plugin")
		n.run("--dry-run", "--uninstall").want(t, 0, "not there")
		n.write(configAt, "another")
		n.run("--dry-run").want(t, 3, "is there and differs")
		if err := os.RemoveAll(n.path("opt")); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
	})
}

// What is there and is not ours is refused, whatever it is, and only --replace
// replaces what can be kept.
func TestSomethingInTheWay(t *testing.T) {
	t.Parallel()
	fifo := func(n *node, name string) {
		if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := syscall.Mkfifo(n.path(name), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	link := func(n *node, name, to string) {
		if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.Symlink(to, n.path(name)); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		put     func(*node)
		says    string
		replace int    // exit code of --replace
		kept    string // the file that keeps the old one
	}{
		{"another config", func(n *node) { n.write(configAt, "value: a-secret") }, "is there and differs", 0, configAt + ".rkepatch-" + sumOf([]byte("value: a-secret"))[:12]},
		{"the config appended twice", func(n *node) { n.write(configAt, goodConfig+goodConfig) }, "is there and differs", 0, configAt + ".rkepatch-" + sumOf([]byte(goodConfig + goodConfig))[:12]},
		{"an empty config", func(n *node) { n.write(configAt, "") }, "is there and differs", 0, configAt + ".rkepatch-" + sumOf(nil)[:12]},
		{"another plugin", func(n *node) { n.write(pluginAt, "<html>") }, "is there and differs", 0, pluginAt + ".rkepatch-" + sumOf([]byte("<html>"))[:12]},
		{"an empty directory", func(n *node) { n.write(configAt+"/x", ""); os.Remove(n.path(configAt + "/x")) }, "Docker makes one", 0, ""},
		{"an empty directory as the plugin", func(n *node) { n.write(pluginAt+"/x", ""); os.Remove(n.path(pluginAt + "/x")) }, "Docker makes one", 0, ""},
		{"a directory in use", func(n *node) { n.write(configAt+"/x", "") }, "move it away", 3, ""},
		{"a fifo", func(n *node) { fifo(n, pluginAt) }, "no regular file", 3, ""},
		{"a dangling link", func(n *node) { link(n, pluginAt, "gone") }, "symbolic link", 0, pluginAt + ".rkepatch-link"},
		{"a link to itself", func(n *node) { link(n, configAt, filepath.Base(configAt)) }, "symbolic link", 0, configAt + ".rkepatch-link"},
		{"a link to a directory", func(n *node) { n.write("etc/x", ""); link(n, configAt, "../../../etc") }, "symbolic link", 0, configAt + ".rkepatch-link"},
		{"a link to somebody's file", func(n *node) { n.write("etc/shadow", "x"); link(n, configAt, "../../../etc/shadow") }, "symbolic link", 0, configAt + ".rkepatch-link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				tt.put(n)
				before := n.tree()
				from := n.save(n.plugin)
				refused := n.run("--from", from)
				refused.want(t, 3, tt.says)
				if strings.Contains(refused.out+refused.err, "a-secret") {
					t.Error("the content of the config is shown")
				}
				if d := cmp.Diff(before, n.tree()); d != "" {
					t.Error("a refused run changed something:", d)
				}
				n.run("--from", from, "--replace").want(t, tt.replace)
				if tt.replace != 0 {
					if d := cmp.Diff(before, n.tree()); d != "" {
						t.Error("a refused run changed something:", d)
					}
					return
				}
				n.installed()
				after := n.tree()
				for path, what := range before {
					if strings.HasSuffix(path, "/"+configAt) || strings.HasSuffix(path, "/"+pluginAt) {
						path = "/" + tt.kept
					}
					if tt.kept != "" && after[path] != what {
						t.Errorf("%s was %s, is %s", path, what, after[path])
					}
				}
				n.run("--from", from).want(t, 0, "already right")
			})
		})
	}
}

// A second change keeps what the first one kept.
func TestReplaceAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	from := n.save(n.plugin)
	for _, old := range []string{"one", "two", "one"} {
		n.write(configAt, old)
		n.run("--from", from, "--replace").want(t, 0, "kept the old one")
		n.holds(configAt+".rkepatch-"+sumOf([]byte(old))[:12], []byte(old), 0o644)
		n.installed()
	}
	n.write(configAt, "three")
	n.write(configAt+".rkepatch-"+sumOf([]byte("three"))[:12], "somebody's")
	n.run("--from", from, "--replace").want(t, 1, "is there already; move it away")
	n.holds(configAt, []byte("three"), 0o644)
}

// Somebody who copied the files by hand often leaves the modes wrong.
func TestModesAreMended(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		n.run("--from", n.save(n.plugin)).want(t, 0)
		for path, mode := range map[string]os.FileMode{pluginAt: 0o644, configAt: 0o666} {
			if err := os.Chmod(n.path(path), mode); err != nil {
				t.Fatal(err)
			}
			if os.Getuid() == 0 {
				if err := os.Chown(n.path(path), 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := n.tree()
		n.run("--dry-run").want(t, 0, "would correct")
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
		n.run().want(t, 0, "corrected")
		n.installed()
		if info, err := os.Stat(n.path(pluginAt)); err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
			t.Error("the plugin still belongs to somebody else")
		}
		n.run().want(t, 0, "already right")
	})
}

// Directories that are links are followed as the node itself would, not as the
// pod that has the node below /host.
func TestLinkedDirectories(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		for _, dir := range []string{"data/rel", "data/abs", "mnt"} {
			if err := os.MkdirAll(n.path(dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, to := range map[string]string{"opt": "../../data/rel", "mnt/srv": "/data/abs", "loop": "loop/x"} {
			if err := os.Symlink(to, n.path(name)); err != nil {
				t.Fatal(err)
			}
		}
		from := n.save(n.plugin)
		n.run("--from", from, "--config", "/mnt/srv/c.yaml").want(t, 0)
		n.holds("data/rel/aws/bin/ecr-credential-provider", n.plugin, 0o755)
		n.holds("data/abs/c.yaml", []byte(goodConfig), 0o644)
		n.run("--from", from, "--bin-dir", "/loop/bin").want(t, 1, "symbolic links")
	})
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		before := n.tree()
		for _, args := range [][]string{
			{"--bin-dir", "relative"}, {"--bin-dir", "/a/../b"}, {"--bin-dir", "/a//b"}, {"--bin-dir", "/a/"}, {"--bin-dir", "/"},
			{"--bin-dir", "/$(touch /tmp/x)"}, {"--bin-dir", "/a b"}, {"--bin-dir", "/a\nb"}, {"--bin-dir", "/a'b"}, {"--bin-dir", "/a:b"}, {"--bin-dir", "/é"}, {"--bin-dir"}, {"--bin-dir="},
			{"--config", "x.yaml"}, {"--config", "/opt/aws/bin/ecr-credential-provider"}, {"--config=/opt/aws/bin/ecr-credential-provider/c"},
			{"--url", "file:///etc/shadow"}, {"--url", "https://"}, {"--url", "http:///x"}, {"--url", "-o/etc/passwd"}, {"--url", "http://x/$(id)"}, {"--url", "http://x/ y"}, {"--url", `http://x/\y`}, {"--url", "http://x/y;z"}, {"--url", "http://x/'y"}, {"--url", "http://u:p@x/y"},
			{"--sha256", "123"}, {"--sha256", strings.Repeat("g", 64)}, {"--sha256", strings.Repeat("a", 65)},
			{"--root", "relative"}, {"stray"}, {"--frobnicate"}, {"--frobnicate", "x"}, {"--replace=yes"}, {"--\x1b[31m"}, {"-x"}, {""},
		} {
			if e := n.run(args...); e.code != 2 || !strings.Contains(e.err, "rkepatch: error: ") {
				t.Errorf("%q: exit code %d, said %q", args, e.code, e.err)
			}
		}
		n.run("--from", "/nowhere").want(t, 1, "there is no file")
		n.run("--root", "/nowhere").want(t, 1, "there is no directory")
		if d := cmp.Diff(before, n.tree()); d != "" {
			t.Error(d)
		}
		help := n.run("--help")
		help.want(t, 0, "--bin-dir", "--config", "--url", "--sha256", "--from", "--root", "--replace", "--dry-run", "--uninstall", "exit codes:")
	})
}

func TestUninstall(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		n.write("opt/aws/bin/other", "stays")
		n.run("--from", n.save(n.plugin)).want(t, 0)
		n.run("--uninstall", "--dry-run").want(t, 0, "would remove")
		n.installed()
		for _, args := range []string{
			"/usr/bin/kubelet\x00--image-credential-provider-bin-dir=/opt/aws/bin\x00--v=2\x00",
			"kubelet\x00--image-credential-provider-bin-dir\x00/opt/aws/bin/\x00",
			"kubelet\x00--image-credential-provider-config=/opt/aws/config/custom-credential-providers.yaml\x00",
		} {
			n.write("proc/4711/cmdline", args)
			n.run("--uninstall").want(t, 3, "process 4711", "could not start")
			n.installed()
		}
		n.write("proc/4711/cmdline", "kubelet\x00--image-credential-provider-bin-dir=/opt/aws/bin2\x00")
		n.run("--uninstall").want(t, 0, "removed")
		n.run("--uninstall").want(t, 0, "not there")
		if _, err := os.Stat(n.path("opt/aws/bin/other")); err != nil {
			t.Error(err)
		}
		n.tidy()
	})
}

// Only what the script put there goes, even with --replace.
func TestUninstallLeavesOthers(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		n.write(configAt, "somebody's")
		n.write(pluginAt, "somebody's")
		if err := os.Remove(n.path("proc/1/cmdline")); err != nil {
			t.Fatal(err)
		}
		n.run("--uninstall").want(t, 3, "cannot be seen")
		n.run("--uninstall", "--replace").want(t, 3, "left as it is")
		n.holds(configAt, []byte("somebody's"), 0o644)
		n.holds(pluginAt, []byte("somebody's"), 0o644)
	})
}

// Where sh is bash, as on Red Hat's systems.
func TestBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here")
	}
	n := newNode(t)
	n.shell = []string{bash, "--posix"}
	from := n.save(n.plugin)
	n.write(configAt, "another")
	n.run("--from", from).want(t, 3, "differs")
	n.run().want(t, 3, "differs")
	n.run("--from", from, "--replace").want(t, 0, "installed", "kept the old one")
	n.run().want(t, 0, "already right")
	n.installed()
	n.run("--uninstall").want(t, 0, "removed")
	n.run().want(t, 1, "downloading")
}

// The plugin and the config may lie in one directory, or one above the other as
// where RKE2 has them.
func TestDirectories(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		for _, config := range []string{"/var/lib/rancher/x/c.yaml", "/var/lib/rancher/c.yaml", "/c.yaml"} {
			n.generate(Options{BinDir: "/var/lib/rancher/x", ConfigFile: config})
			n.run("--from", n.save(n.plugin)).want(t, 0, "installed", "wrote")
			n.holds("var/lib/rancher/x/ecr-credential-provider", n.plugin, 0o755)
			n.holds(config, []byte(goodConfig), 0o644)
			n.tidy()
			n.run().want(t, 0, "already right")
			n.run("--uninstall").want(t, 0, "removed")
		}
	})
}
