package nodescript

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// goodConfig is as much of a provider config as the script looks at.
const goodConfig = `# it's $HOME, "quoted" and ` + "`odd`" + `: é
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ['*.dkr.ecr.*.amazonaws.com']
  defaultCacheDuration: 12h
`

// standIn builds the stand-in plugin once: static, so that it runs in a chroot.
var standIn = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "plugin")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, errors.New(string(said))
	}
	return os.ReadFile(out)
})

// plugin gives a program that answers as mode says.
func plugin(t *testing.T, mode string) []byte {
	t.Helper()
	program, err := standIn()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(program), "mode="+mode...)
}

// node is a machine's file system below a directory, and the script for it.
type node struct {
	t      *testing.T
	shell  []string // such as busybox sh
	root   string
	script string
	env    []string
	plugin []byte // what the script is to install
}

// shells are what the script must run in, as far as this machine has them.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, words := range [][]string{{"dash"}, {"busybox", "sh"}} {
		if path, err := exec.LookPath(words[0]); err == nil {
			found[words[0]] = append([]string{path}, words[1:]...)
		}
	}
	if len(found) == 0 {
		t.Skip("neither dash nor busybox is here to run the script")
	}
	return found
}

// eachShell runs a test in every shell, on a node of its own.
func eachShell(t *testing.T, test func(*testing.T, *node)) {
	t.Helper()
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.shell = shell
			test(t, n)
		})
	}
}

// newNode gives an empty node, a script for the stand-in plugin and /bin/sh.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, shell: []string{"/bin/sh"}, root: t.TempDir(), plugin: plugin(t, "v1"), env: []string{"PATH=" + os.Getenv("PATH")}}
	n.write("proc/1/cmdline", "/sbin/init\x00")
	n.generate(Options{})
	return n
}

// generate makes the script; the checksum is that of the plugin, and nothing waits.
func (n *node) generate(o Options) {
	n.t.Helper()
	if o.Config == nil {
		o.Config = []byte(goodConfig)
	}
	if o.SHA256 == nil {
		o.SHA256 = map[string]string{runtime.GOARCH: sumOf(n.plugin)}
	}
	if o.URL == "" {
		o.URL = "http://127.0.0.1:1/plugin"
	}
	var b strings.Builder
	if err := Write(&b, o); err != nil {
		n.t.Fatal(err)
	}
	n.script = b.String()
	n.set("download_pause", "0")
	n.set("download_tries", "1")
}

// set changes one of the settings at the head of the script.
func (n *node) set(name, value string) {
	n.t.Helper()
	line := regexp.MustCompile(`(?m)^` + name + `='[^']*'$`)
	if len(line.FindAllString(n.script, -1)) != 1 {
		n.t.Fatalf("the script does not set %s once", name)
	}
	n.script = line.ReplaceAllLiteralString(n.script, name+"="+quote(value))
}

// ended is how a run of the script ended.
type ended struct {
	code     int
	out, err string
}

func (n *node) command(args ...string) *exec.Cmd {
	file := filepath.Join(n.t.TempDir(), "node.sh")
	if err := os.WriteFile(file, []byte(n.script), 0o600); err != nil {
		n.t.Fatal(err)
	}
	words := append(append(append([]string{}, n.shell...), file, "--root", n.root), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = n.env
	return cmd
}

func (n *node) run(args ...string) ended {
	n.t.Helper()
	return finish(n.t, n.command(args...))
}

func finish(t *testing.T, cmd *exec.Cmd) ended {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, text := range []string{out.String(), errs.String()} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
			t.Errorf("control characters in %q", text)
		}
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// want fails unless the run ended with code and said all of the words.
func (e ended) want(t *testing.T, code int, words ...string) {
	t.Helper()
	said := e.out + e.err
	if e.code != code {
		t.Errorf("exit code %d, want %d; it said:\n%s", e.code, code, said)
	}
	if code == 0 && e.err != "" {
		t.Errorf("a good run wrote to stderr:\n%s", e.err)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("nothing about %q in:\n%s", w, said)
		}
	}
}

const (
	pluginAt = "opt/aws/bin/ecr-credential-provider"
	configAt = "opt/aws/config/custom-credential-providers.yaml"
)

func (n *node) path(name string) string { return filepath.Join(n.root, name) }

func (n *node) write(name, content string) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(n.path(name), []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// save writes the plugin beside the node and gives its path.
func (n *node) save(program []byte) string {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "plugin file")
	if err := os.WriteFile(file, program, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return file
}

// tree is everything on the node: mode, time and content of each path.
func (n *node) tree() map[string]string {
	n.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(n.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += " " + info.ModTime().String() + " " + sumOf(content)[:12]
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " " + to
		}
		tree[strings.TrimPrefix(path, n.root)] = what
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return tree
}

// holds fails unless file name has this content and mode.
func (n *node) holds(name string, content []byte, mode fs.FileMode) {
	n.t.Helper()
	got, err := os.ReadFile(n.path(name))
	if err != nil {
		n.t.Error(err)
		return
	}
	if !bytes.Equal(got, content) {
		n.t.Errorf("%s has %d bytes that are not the %d wanted", name, len(got), len(content))
	}
	info, err := os.Lstat(n.path(name))
	if err != nil {
		n.t.Fatal(err)
	}
	if info.Mode() != mode {
		n.t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
	}
}

// installed fails unless both files are as they should be and nothing is left over.
func (n *node) installed() {
	n.t.Helper()
	n.holds(pluginAt, n.plugin, 0o755)
	n.holds(configAt, []byte(goodConfig), 0o644)
	n.tidy()
}

// tidy fails when the script left something unfinished.
func (n *node) tidy() {
	n.t.Helper()
	for path := range n.tree() {
		if strings.Contains(path, ".rkepatch.") {
			n.t.Errorf("left over: %s", path)
		}
	}
}
