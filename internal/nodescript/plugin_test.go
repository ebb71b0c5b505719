package nodescript

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/internal/kubelet"
)

// A file with the right checksum may still be the wrong one: the operator gave
// both. It is tried before it takes the place of the old one.
func TestPluginIsTried(t *testing.T) {
	t.Parallel()
	otherArch := plugin(t, "v1")
	otherArch[18] = map[string]byte{"amd64": 0xb7, "arm64": 0x3e}[runtime.GOARCH]
	for _, tt := range []struct {
		name    string
		program []byte
		code    int
		says    string
	}{
		{"a release", plugin(t, "v1"), 0, "speaks v1"},
		{"a plugin that gets credentials", plugin(t, "answers"), 0, "speaks v1"},
		{"an old release", plugin(t, "v1alpha1"), 1, "speaks the provider API v1alpha1, but the config asks for v1"},
		{"a plugin of another API", plugin(t, "neither"), 1, "speaks neither v1 nor v1alpha1"},
		{"docker-credential-ecr-login", plugin(t, "login"), 1, "does not answer like a credential provider plugin; it said: [31mUsage: docker-credential-ecr-login"},
		{"one that hangs", plugin(t, "hangs"), 1, "did not answer within 1 seconds"},
		{"one that crashes", plugin(t, "crashes"), 1, "died of signal 9"},
		{"a shell script", []byte("#!/bin/sh\necho no >/tmp/rkepatch-was-here\n"), 1, "is not a Linux program"},
		{"a text file", []byte("plain"), 1, "is not a Linux program"},
		{"an empty file", nil, 1, "is not a Linux program"},
		{"zeros", make([]byte, 100), 1, "is not a Linux program"},
		{"another architecture", otherArch, 1, "another kind of machine"},
		{"the head of a program", plugin(t, "v1")[:2000], 1, "the plugin from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				n.plugin = tt.program
				n.generate(Options{})
				n.set("plugin_seconds", "1")
				if tt.name == "a release" || tt.name == "a plugin that gets credentials" {
					n.set("plugin_seconds", "20")
				}
				n.env = append(n.env, "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=a-secret")
				n.write(pluginAt, "the old one")
				before := n.tree()
				e := n.run("--replace", "--from", n.save(tt.program))
				e.want(t, tt.code, tt.says)
				if strings.Contains(e.out+e.err, "a-password") || strings.Contains(e.out+e.err, "a-secret") {
					t.Error("credentials are shown")
				}
				if tt.code == 0 {
					n.installed()
				} else if d := cmp.Diff(before, n.tree()); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// Providers of other clouds take arguments, and are tried with them.
func TestOtherPluginsAreTried(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind kubelet.Kind
		mode string
		code int
		says string
	}{
		{kubelet.ACR, "acr", 0, "acr-credential-provider, which speaks v1"},
		{kubelet.ACR, "v1alpha1", 1, "speaks the provider API v1alpha1, but the config asks for v1"},
		{kubelet.ACR, "login", 1, "does not answer like a credential provider plugin"},
		{kubelet.GCP, "gcp v1", 0, "auth-provider-gcp, which speaks v1"},
		{kubelet.GCP, "gcp v1alpha1", 1, "speaks the provider API v1alpha1, but the config asks for v1"},
		{kubelet.GCP, "crashes", 1, "died of signal 9"},
	} {
		t.Run(string(tt.kind)+" "+tt.mode, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				n.plugin = plugin(t, tt.mode)
				registry, _ := kubelet.RegistryByKind(tt.kind)
				config, err := kubelet.BuildConfig(registry, kubelet.Version{Major: 1, Minor: 26}, kubelet.APIv1)
				if err != nil {
					t.Fatal(err)
				}
				n.generate(Options{Provider: tt.kind, Config: config})
				e := n.run("--from", n.save(n.plugin))
				e.want(t, tt.code, tt.says)
				if strings.Contains(e.out+e.err, "a-password") {
					t.Error("credentials are shown")
				}
				if tt.code != 0 {
					return
				}
				n.holds(registry.BinDir[1:]+"/"+registry.Provider, n.plugin, 0o755)
				n.holds(registry.Config[1:], config, 0o644)
				n.run("--from", n.save(n.plugin)).want(t, 0, "already right")
				n.run("--uninstall").want(t, 0, "removed")
			})
		})
	}
}

// An installed plugin is tried on each run: its file system may be mounted noexec.
func TestNoexec(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.mounted("size=64m,noexec")
	before := n.tree()
	n.run("--from", n.save(n.plugin)).want(t, 1, "noexec")
	if d := cmp.Diff(before, n.tree()); d != "" {
		t.Error(d)
	}

	n = newNode(t)
	n.mounted("size=64m,noexec")
	n.write("../plugin", string(n.plugin))
	n.write("../config", goodConfig)
	n.around("mkdir -p opt/aws/bin opt/aws/config && cp ../plugin "+pluginAt+" && chmod 0755 "+pluginAt+" && cp ../config "+configAt, ":")
	n.run().want(t, 1, n.path(pluginAt)+" cannot be run", "noexec")
}

// Older kubelets need a config and a release of the older API.
func TestOlderAPI(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	config := bytes.ReplaceAll([]byte(goodConfig), []byte("credentialprovider.kubelet.k8s.io/v1"), []byte("credentialprovider.kubelet.k8s.io/v1alpha1"))
	n.plugin = plugin(t, "v1alpha1")
	n.generate(Options{Config: config, Release: "v1.26.1"})
	n.run("--from", n.save(n.plugin)).want(t, 0, "speaks v1alpha1")
	n.plugin = plugin(t, "v1")
	n.generate(Options{Config: config, Release: "v1.26.1"})
	n.run("--from", n.save(n.plugin), "--replace").want(t, 1, "speaks the provider API v1, but the config asks for v1alpha1")
}

// The released program itself, where somebody gives its path.
func TestReleasedPlugin(t *testing.T) {
	t.Parallel()
	path := os.Getenv("RKEPATCH_ECR_CREDENTIAL_PROVIDER")
	if path == "" {
		t.Skip("RKEPATCH_ECR_CREDENTIAL_PROVIDER does not name an ecr-credential-provider that speaks v1")
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	eachShell(t, func(t *testing.T, n *node) {
		n.plugin = program
		n.generate(Options{})
		n.run("--from", path).want(t, 0, "speaks v1")
		n.installed()
	})
}

// Where SELinux is on, containers may not read every file.
func TestSELinux(t *testing.T) {
	t.Parallel()
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Skip("dash is not here")
	}
	n := newNode(t)
	n.shell = []string{dash}
	n.write("sys/fs/selinux/enforce", "1")
	dir := n.only(tools...)
	calls := dir + "/calls"
	fake(t, dir, "chcon", `echo "$1 $2" >>`+calls)
	n.run("--from", n.save(n.plugin)).want(t, 0, "labelled "+n.path(pluginAt)+" container_file_t", "labelled "+n.path(configAt))
	if got, err := os.ReadFile(calls); err != nil || string(got) != strings.Repeat("-t container_file_t\n", 2) {
		t.Errorf("chcon was called with %q, %v", got, err)
	}
	n.run("--uninstall").want(t, 0)
	fake(t, dir, "chcon", `echo "chcon: Operation not supported" >&2; exit 1`)
	e := n.run("--from", n.save(n.plugin))
	if e.code != 0 || !strings.Contains(e.err, "could not be labelled (chcon: Operation not supported)") {
		t.Errorf("exit code %d: %s", e.code, e.err)
	}
	n.installed()
}
