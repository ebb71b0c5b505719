package nodes

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The pods are reviewed as what they are: every line of them is a right that
// the program takes on a node.
func TestPods(t *testing.T) {
	q, err := query().normal(1)
	if err != nil {
		t.Fatal(err)
	}
	c := &Checker{}
	base, f := c.errand(q, linux("node-1"))
	if f != nil {
		t.Fatalf("%+v", f)
	}
	check := base
	check.purpose, check.command = modeCheck, script(modeCheck, checkArgs(q)...)
	install := InstallQuery{Query: q, Script: []byte("echo $HOME $$"), FromImage: "registry.example/ecr:1", FromImagePath: "/$(p)", Replace: true, URL: "https://mirror.example/{arch}",
		Proxy: map[string]string{"HTTPS_PROXY": "http://proxy.example:3128/$(x)", "NO_PROXY": ".example"}}
	for name, e := range map[string]errand{
		"check":    check,
		"running":  runningErrand(base, q),
		"rehearse": rehearseErrand(base, rehearseArgs(q, &NodeReport{Name: "node-1", Version: "v1.26.15"}, provider{Name: name, APIVersion: "credentialprovider.kubelet.k8s.io/v1"}, ecrImage)),
		"install":  install.errand(base, time.Minute),
	} {
		pod := e.pod("kube-system", "0badcafe")
		pod.Labels[labelHolder] = "<this process>"
		for i, arg := range pod.Spec.Containers[0].Command {
			for what, text := range map[string]string{"the script": probeSh, "config.awk": configAwk, "response.awk": responseAwk, "words.awk": wordsAwk} {
				if arg == strings.ReplaceAll(text, "$", "$$") {
					pod.Spec.Containers[0].Command[i] = "<" + what + ">"
				}
			}
		}
		got, err := yaml.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "pod-"+name+".yaml")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (run with -update when this is meant):\n%s", name, diff)
		}
	}
}

// Nothing in a command is a variable to Kubernetes.
func TestLiterally(t *testing.T) {
	for in, want := range map[string]string{"$(HOSTNAME)": "$$(HOSTNAME)", "$$": "$$$$", "a": "a", "": ""} {
		if got := literally([]string{in}); got[0] != want {
			t.Errorf("%q: %q", in, got[0])
		}
	}
}

// Each node and purpose has a pod of its own in a run.
func TestPodName(t *testing.T) {
	names := map[string]bool{}
	for _, run := range []string{"a", "b"} {
		for _, purpose := range []string{"check", "again"} {
			for _, node := range []string{"x", "y", strings.Repeat("z", 253)} {
				names[podName(run, purpose, node)] = true
			}
		}
	}
	if len(names) != 12 {
		t.Errorf("%v", names)
	}
	for name := range names {
		if len(name) > 63 {
			t.Errorf("%q is too long", name)
		}
	}
	first := newRun()
	if second := newRun(); first == second {
		t.Error("two runs are called the same")
	}
}

func TestHyperkube(t *testing.T) {
	image := func(names ...string) corev1.ContainerImage { return corev1.ContainerImage{Names: names} }
	tests := []struct {
		name   string
		images []corev1.ContainerImage
		want   string
	}{
		{"none", nil, ""},
		{"others", []corev1.ContainerImage{image("rancher/rke-tools:v0.1.96"), image("nginx")}, ""},
		{"the kubelet's own", []corev1.ContainerImage{image("rancher/hyperkube:v1.27.8-rancher1"), image("rancher/hyperkube@sha256:1", "rancher/hyperkube:v1.26.15-rancher1")}, "rancher/hyperkube:v1.26.15-rancher1"},
		{"a mirror", []corev1.ContainerImage{image("mirror.example:5000/x/rancher-hyperkube:v1.26.15-rancher1-1")}, "mirror.example:5000/x/rancher-hyperkube:v1.26.15-rancher1-1"},
		{"a mirror named like it", []corev1.ContainerImage{image("hyperkube.example/nginx:v1.26.15")}, ""},
		{"not 1.26.150", []corev1.ContainerImage{image("rancher/hyperkube:v1.26.150"), image("rancher/hyperkube:v1.24.1-rancher1")}, "rancher/hyperkube:v1.26.150"},
		{"the newest of others", []corev1.ContainerImage{image("rancher/hyperkube:v1.9.1"), image("rancher/hyperkube:v1.25.3"), image("rancher/hyperkube:v1.24.9")}, "rancher/hyperkube:v1.25.3"},
		{"by digest only", []corev1.ContainerImage{image("rancher/hyperkube@sha256:1")}, "rancher/hyperkube@sha256:1"},
		{"garbage", []corev1.ContainerImage{image("", "@", ":", "hyperkube:", "/", "hyperkube:latest")}, ""},
	}
	for _, tt := range tests {
		if got := hyperkube(linux("x", func(n *corev1.Node) { n.Status.Images = tt.images })); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// Every finding has its own code, says what to do, and reads like the others.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Catalogue() {
		if seen[f.Code] {
			t.Errorf("%s comes twice", f.Code)
		}
		seen[f.Code] = true
		for _, text := range []string{f.Message, f.Todo} {
			if text == "" || strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q", f.Code, text)
			}
		}
	}
	if !slices.ContainsFunc(Permissions(), func(s string) bool { return strings.Contains(s, "list nodes") }) {
		t.Error("listing nodes is not among the permissions")
	}
}
