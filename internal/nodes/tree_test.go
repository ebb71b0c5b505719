package nodes

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rkepatch/internal/kubelet"
)

const (
	binDir     = kubelet.DefaultBinDir
	configPath = kubelet.DefaultProviderConfig
	name       = kubelet.ProviderName
	plugin     = binDir + "/" + name
)

// goodConfig is one that every kubelet from 1.26 on takes.
const goodConfig = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: ecr-credential-provider
    matchImages:
      - "*.dkr.ecr.*.amazonaws.com"
      - "*.dkr.ecr.*.amazonaws.com.cn"
      - "*.dkr.ecr-fips.*.amazonaws.com"
      - "*.dkr.ecr.*.c2s.ic.gov"
      - "*.dkr.ecr.*.sc2s.sgov.gov"
    defaultCacheDuration: "12h"
    apiVersion: credentialprovider.kubelet.k8s.io/v1
`

// opt are the binds that the patch adds.
var opt = []Bind{{Host: binDir, Container: binDir}, {Host: filepath.Dir(configPath), Container: filepath.Dir(configPath)}}

// tree is a node's file system, somewhere below a temporary directory.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	return tree{t, filepath.Join(t.TempDir(), "host")}
}

// good is a tree with everything in its place.
func good(t *testing.T) tree {
	n := newTree(t)
	n.write(configPath, goodConfig, 0o644)
	n.provider(name, "v1")
	return n
}

func (n tree) at(path string) string { return filepath.Join(n.root, path) }

func (n tree) write(path, content string, mode os.FileMode) {
	n.t.Helper()
	n.mkdir(filepath.Dir(path))
	_ = os.Remove(n.at(path)) // it may be a link to the stand-in
	if err := os.WriteFile(n.at(path), []byte(content), mode); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Chmod(n.at(path), mode); err != nil {
		n.t.Fatal(err)
	}
}

func (n tree) mkdir(path string) {
	n.t.Helper()
	if err := os.MkdirAll(n.at(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
}

func (n tree) remove(path string) {
	n.t.Helper()
	if err := os.RemoveAll(n.at(path)); err != nil {
		n.t.Fatal(err)
	}
}

// link makes path a symlink to target, which is taken as it is.
func (n tree) link(path, target string) {
	n.t.Helper()
	n.mkdir(filepath.Dir(path))
	n.remove(path)
	if err := os.Symlink(target, n.at(path)); err != nil {
		n.t.Fatal(err)
	}
}

// provider puts a stand-in of the given role into the bin dir.
func (n tree) provider(name, role string) {
	n.t.Helper()
	n.write(filepath.Join(binDir, "."+name), role, 0o644)
	standin(n.t) // builds it
	file := n.at(filepath.Join(binDir, name))
	_ = os.Remove(file)
	if os.Link(filepath.Join(tools, "standin"), file) != nil { // another file system
		n.write(filepath.Join(binDir, name), string(standin(n.t)), 0o755)
	}
}

var standin = func() func(*testing.T) []byte {
	var once sync.Once
	var program []byte
	var failure error
	return func(t *testing.T) []byte {
		t.Helper()
		once.Do(func() {
			file := filepath.Join(tools, "standin")
			build := exec.Command("go", "build", "-o", file, "./testdata/standin")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -ldflags=-s")
			if out, err := build.CombinedOutput(); err != nil {
				t.Logf("%s", out)
				failure = err
				return
			}
			program, failure = os.ReadFile(file)
		})
		if failure != nil {
			t.Fatal(failure)
		}
		return program
	}
}()

// shells are what the script must run in: the machine's own sh with its
// coreutils, and busybox alone.
func shells(t *testing.T) map[string]string {
	t.Helper()
	paths := map[string]string{"sh": os.Getenv("PATH")}
	if dir := busybox(); dir != "" {
		paths["busybox"] = dir
	} else {
		t.Log("busybox is not installed: the script runs in sh only")
	}
	return paths
}

// tools is a directory that lives as long as the tests do.
var tools string

// TestMain also makes the properties, each of which starts programs, try few
// cases unless -rapid.checks asks for more.
func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "25")
	flag.Parse()
	var err error
	if tools, err = os.MkdirTemp("", "rkepatch-tools"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(tools)
	os.Exit(code)
}

// busybox gives a directory of its applets, and nothing else; "" without busybox.
var busybox = sync.OnceValue(func() string {
	program, err := exec.LookPath("busybox")
	applets := filepath.Join(tools, "applets")
	if err != nil || os.Mkdir(applets, 0o755) != nil || exec.Command(program, "--install", "-s", applets).Run() != nil {
		return ""
	}
	return applets
})

// run runs the script on the tree, as a pod would, and gives its message.
func (n tree) run(path, mode string, args ...string) string {
	n.t.Helper()
	out := filepath.Join(n.t.TempDir(), "message")
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := script(mode, append(args, "--host", n.root, "--out", out)...)
	cmd := exec.CommandContext(ctx, lookSh(path), command[1:]...)
	cmd.Env = []string{"PATH=" + path}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stderr, &stderr
	if err := cmd.Run(); err != nil {
		n.t.Fatalf("the script: %v\n%s", err, &stderr)
	}
	if stderr.Len() > 0 {
		n.t.Errorf("the script printed: %s", &stderr)
	}
	message, err := os.ReadFile(out)
	if err != nil {
		n.t.Fatal(err)
	}
	if len(message) > 4096 {
		n.t.Errorf("the message has %d bytes; a kubelet keeps 4096", len(message))
	}
	return string(message)
}

func lookSh(path string) string {
	for dir := range strings.SplitSeq(path, ":") {
		sh := filepath.Join(dir, "sh")
		if _, err := os.Stat(sh); err == nil {
			return sh
		}
	}
	return "/bin/sh"
}

// check runs the check on the tree and judges what it saw for a node of the
// given kubelet version.
func (n tree) check(path, version string, q Query) NodeReport {
	n.t.Helper()
	q, err := q.normal(1)
	if err != nil {
		n.t.Fatal(err)
	}
	text := n.run(path, modeCheck, append(checkArgs(q), "--ask-timeout", "1")...)
	s, err := readSeen(text)
	if err != nil {
		n.t.Fatalf("%v:\n%s", err, text)
	}
	r := NodeReport{Name: "node", Version: version, OS: "linux", Arch: hostArch()}
	r.Provider = s.provider(q, r.Arch)
	r.Findings = append(s.findings(q), judge(q, r, s)...)
	return r
}

// query is what most tests ask.
func query() Query {
	return Query{ConfigPath: configPath, BinDir: binDir, Binds: opt}
}
