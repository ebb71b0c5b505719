package nodes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

// installation is what most tests install.
func installation() InstallQuery {
	return InstallQuery{Query: query(), Script: []byte("echo '$HOME $$'")}
}

// isInstall says that a pod is one of those that change a node.
func isInstall(p *corev1.Pod) bool { return !p.Spec.Containers[0].VolumeMounts[0].ReadOnly }

// Only what needs it is touched, one node at a time, and looked at again.
func TestInstall(t *testing.T) {
	c := newCluster(t, linux("a-right"), linux("b-bare"), linux("c-windows", func(n *corev1.Node) { n.Status.NodeInfo.OperatingSystem = "windows" }),
		linux("d-away", func(n *corev1.Node) { n.Status.Conditions = nil }), linux("e-bare"))
	done := map[string]bool{}
	var order []string
	c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
		node := p.Spec.NodeName
		switch {
		case isInstall(p):
			if c.inFlight > 0 {
				t.Errorf("%d other pods while %s is changed", c.inFlight, node)
			}
			order = append(order, node)
			done[node] = true
			return exited(0, "Completed", ""), nil
		case node == "a-right" || done[node]:
			return answering(seeing("v1")), nil
		}
		return answering(bare), nil
	}
	reports, err := c.checker().Install(t.Context(), installation())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []string{"b-bare", "e-bare"}) {
		t.Errorf("changed %v", order)
	}
	want := map[string][]string{"a-right": nil, "b-bare": {installed}, "c-windows": {windowsNode}, "d-away": {nodeNotReady}, "e-bare": {installed}}
	for _, r := range reports {
		if got := codes(r.Findings); !slices.Equal(got, want[r.Name]) {
			t.Errorf("%s: %v", r.Name, got)
		}
	}
	if left := c.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The first failure is the last node that is touched.
func TestInstallStops(t *testing.T) {
	tests := []struct {
		name  string
		ends  corev1.PodStatus
		right bool // afterwards
		code  string
		says  string
	}{
		{name: "failed", ends: exited(1, "Error", "rkepatch: downloading\nrkepatch: error: writing to /opt/aws/bin: No space left on device\n"), code: installFailed, says: "No space left"},
		{name: "read-only", ends: exited(1, "Error", "rkepatch: error: /opt is on a read-only file system"), code: installFailed, says: "read-only"},
		{name: "usage", ends: exited(2, "Error", "rkepatch: error: --config must be an absolute path"), code: installUsage},
		{name: "in the way", ends: exited(3, "Error", "rkepatch: error: the config is there and differs"), code: installConflict, says: "differs"},
		{name: "killed", ends: exited(137, "OOMKilled", ""), code: installFailed, says: "137"},
		{name: "a flood", ends: exited(1, "Error", strings.Repeat("\x1b[31m\x00", 100000)), code: installFailed},
		{name: "well, but not right", ends: exited(0, "Completed", ""), code: kubeletRefuses},
		{name: "no image for the first step", ends: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{{
			Name: "copy", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}}}}, code: imageMissing},
		{name: "the first step fails", ends: corev1.PodStatus{Phase: corev1.PodFailed, InitContainerStatuses: []corev1.ContainerStatus{{
			Name: "copy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "cp: no such file"}}}}}, code: podEnded, says: "no such file"},
		{name: "stuck", ends: waiting("ContainerCreating", ""), code: podStuck},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, linux("a"), linux("b"))
				c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
					if isInstall(p) {
						if p.Spec.NodeName != "a" {
							t.Errorf("%s was changed after a failure", p.Spec.NodeName)
						}
						return tt.ends, nil
					}
					return answering(bare), nil
				}
				reports, err := c.checker().Install(t.Context(), installation())
				if err != nil {
					t.Fatal(err)
				}
				r := byName(reports)
				i := slices.IndexFunc(r["a"].Findings, func(f Finding) bool { return f.Code == tt.code && strings.Contains(f.Message, tt.says) })
				if i < 0 {
					t.Errorf("%+v, want %s", r["a"].Findings, tt.code)
				} else if m := r["a"].Findings[i].Message; len(m) > 700 || strings.ContainsFunc(m, func(r rune) bool { return r < ' ' }) {
					t.Errorf("not fit to be shown: %q", m)
				}
				if !slices.Contains(codes(r["b"].Findings), installNotReached) {
					t.Errorf("%+v", r["b"].Findings)
				}
				if left := c.left(); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// What cannot work is refused before anything is asked.
func TestInstallRefuses(t *testing.T) {
	for name, edit := range map[string]func(*InstallQuery){
		"no script":    func(q *InstallQuery) { q.Script = nil },
		"huge script":  func(q *InstallQuery) { q.Script = bytes.Repeat([]byte("x"), scriptMost+1) },
		"no bind":      func(q *InstallQuery) { q.Binds = nil },
		"path missing": func(q *InstallQuery) { q.FromImage = "registry.example/x" },
		"a volume": func(q *InstallQuery) {
			q.Binds = append(slices.Clone(q.Binds), Bind{Container: binDir + "/"})
			q.Binds[0].Container = "/x"
		},
		"credentials in the proxy's URL": func(q *InstallQuery) {
			q.Proxy = map[string]string{"HTTPS_PROXY": "http://user:hush@proxy.example:3128"}
		},
		"control characters": func(q *InstallQuery) { q.Proxy = map[string]string{"NO_PROXY": "a\nhush"} },
		"another variable":   func(q *InstallQuery) { q.Proxy = map[string]string{"LD_PRELOAD": "/hush.so"} },
	} {
		c := newCluster(t, linux("x"))
		q := installation()
		edit(&q)
		if _, err := c.checker().Install(t.Context(), q); err == nil || len(c.Actions()) > 0 || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, %d requests", name, err, len(c.Actions()))
		}
	}
}

// An interrupt stops the installation after the node that it is at.
func TestInstallInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, linux("a"), linux("b"))
		c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
			if isInstall(p) {
				return corev1.PodStatus{Phase: corev1.PodRunning}, nil
			}
			return answering(bare), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		reports, err := c.checker().Install(ctx, installation())
		if !errors.Is(err, context.Canceled) || len(c.left()) > 0 {
			t.Errorf("%v, left %v", err, c.left())
		}
		for _, r := range reports {
			if !slices.Contains(codes(r.Findings), checkInterrupted) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// The real script, with the arguments that the pod gives it, makes a bare node
// right, and finds nothing to do the second time.
func TestInstallScript(t *testing.T) {
	sum := sha256.Sum256(standin(t))
	hash := hex.EncodeToString(sum[:])
	config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 26}, kubelet.APIv1)
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	if err := nodescript.Write(&script, nodescript.Options{
		BinDir: binDir, ConfigFile: configPath, Release: "v9.9.9", URL: "https://mirror.example/p",
		SHA256: map[string]string{"amd64": hash, "arm64": hash}, Config: config,
	}); err != nil {
		t.Fatal(err)
	}
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			n := newTree(t)
			n.mkdir("/srv/aws")
			n.mkdir("/opt")
			q := InstallQuery{Query: query(), Script: script.Bytes(), FromImage: "x", FromImagePath: "/p"}
			q.Binds = []Bind{{Host: "/srv/aws", Container: "/opt/aws"}} // the kubelet's /opt/aws is elsewhere on the host
			var err error
			if q.Query, err = q.normal(1); err != nil {
				t.Fatal(err)
			}
			if r := n.check(path, "v1.26.15", q.Query); !needsInstall(r) {
				t.Fatalf("a bare node needs nothing: %+v", r)
			}
			from := filepath.Join(t.TempDir(), "provider")
			if err := os.WriteFile(from, standin(t), 0o600); err != nil {
				t.Fatal(err)
			}
			n.write("/srv/aws/bin/."+name, "v1", 0o644)
			for range 2 {
				command := q.command()
				for i, arg := range command {
					switch arg {
					case hostDir:
						command[i] = n.root
					case fromFile:
						command[i] = from
					}
				}
				cmd := exec.Command(lookSh(path), command[1:]...)
				cmd.Env = []string{"PATH=" + path}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if r := n.check(path, "v1.26.15", q.Query); r.Worst() > kubelet.Note {
					t.Errorf("%+v", r.Findings)
				}
			}
		})
	}
}
