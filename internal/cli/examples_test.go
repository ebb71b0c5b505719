package cli

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/fixtures/simkube"
	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
)

// exampleLine is an indented command line in a description, with what it is for
// behind three spaces.
var exampleLine = regexp.MustCompile(`(?m)^  (rkepatch .*?)(?:   +\S.*)?$`)

// examplesOf gives the examples in a command's --help.
func examplesOf(description string) (out []string) {
	for _, m := range exampleLine.FindAllStringSubmatch(description, -1) {
		out = append(out, m[1])
	}
	return out
}

// exampleNeeds is what an example needs beside a fleet and a terminal: nodes that
// run pods, with or without the provider; flags that stand for an answer, for a
// mirror in place of the internet or for patience; and what was done before. The
// key begins the example; the longest one counts.
var exampleNeeds = map[string]struct {
	nodes, bare bool
	before      string
	flags       string
	code        int
}{
	"rkepatch apply":                             {nodes: true, flags: "--yes --poll 5ms"},
	"rkepatch apply --plan":                      {before: "rkepatch plan --out change.plan prod-eu", flags: "--yes --skip-node-check --poll 5ms"},
	"rkepatch apply --resume":                    {before: "rkepatch apply --yes --skip-node-check --poll 5ms prod-eu", flags: "--yes --skip-node-check"},
	"rkepatch check":                             {nodes: true},
	"rkepatch check --for-version 1.27 --report": {nodes: true, code: ExitBlocked},
	"rkepatch file --check cluster.yml":          {code: ExitChanges},
	"rkepatch nodes check":                       {nodes: true},
	"rkepatch nodes install":                     {nodes: true, flags: "--yes"},
	"rkepatch nodes install --mirror":            {nodes: true, bare: true, flags: "--yes MIRROR"},
	"rkepatch nodes templates --set-userdata":    {before: "rkepatch nodes script --user-data cloud-config --file provider.yaml", flags: "--yes"},
	"rkepatch plan --detailed-exitcode":          {code: ExitChanges},
	"rkepatch rollback":                          {before: "rkepatch apply --yes --skip-node-check --poll 5ms prod-eu prod-us", flags: "--yes --poll 5ms"},
	"rkepatch runs show":                         {before: "rkepatch apply --yes --skip-node-check --poll 5ms prod-eu"},
	"rkepatch verify":                            {nodes: true, before: "rkepatch apply --yes --skip-node-check --poll 5ms prod-eu prod-us"},
}

// TestExamples runs each example of each command's --help against a fleet of its
// own, as somebody would who copies it: the exit code must be the right one.
func TestExamples(t *testing.T) {
	a := &app{logs: noLogs()}
	app := a.command()
	examples := examplesOf(app.Description)
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			name := prefix + " " + c.Name
			found := examplesOf(c.Description)
			for _, line := range found {
				if !strings.HasPrefix(line+" ", name+" ") {
					t.Errorf("%s --help shows %q", name, line)
				}
			}
			if len(found) == 0 && len(c.Subcommands) == 0 && !c.Hidden {
				t.Errorf("%s --help has no example", name)
			}
			examples = append(examples, found...)
			walk(name, c.Subcommands)
		}
	}
	walk("rkepatch", app.Commands)
	for i, line := range examples {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			runExample(t, line)
		})
	}
}

func runExample(t *testing.T, line string) {
	begins := ""
	for key := range exampleNeeds {
		if strings.HasPrefix(line+" ", key+" ") && len(key) > len(begins) {
			begins = key
		}
	}
	need := exampleNeeds[begins]
	e := newExample(t)
	if need.nodes {
		e.addNodes(t, need.bare)
	}
	if need.before != "" {
		e.runs(t, need.before, ExitOK)
	}
	flags := need.flags
	if strings.Contains(flags, "MIRROR") {
		flags = strings.Replace(flags, "MIRROR", e.mirror(t), 1)
		line = regexp.MustCompile(`--mirror \S+ `).ReplaceAllString(line, "")
	}
	verb := regexp.MustCompile(`^rkepatch (nodes )?[a-z]+`).FindString(line)
	e.runs(t, e.fill(t, strings.Replace(line, verb, verb+" "+flags, 1)), need.code)
}

// example is a person's desk: a fleet, a folder with files, and a shell.
type example struct {
	sim *simrancher.Server
	dir string
	env []string
}

func newExample(t *testing.T) *example {
	e := &example{sim: simrancher.New(simrancher.Options{Step: time.Millisecond}), dir: t.TempDir()}
	for i, name := range []string{"prod-eu", "prod-us", "shop"} {
		e.sim.AddCluster(simrancher.Cluster{
			ID: fmt.Sprintf("c-exam%d", i), Name: name, Labels: map[string]string{"env": "prod"},
			Kubelet: map[string]any{"extraArgs": map[string]any{"max-pods": "110"}},
			Nodes:   []simrancher.Node{{Name: name + "-1", ControlPlane: true, Etcd: true, Worker: true}},
		})
	}
	e.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-exam1"})
	e.sim.AddNodePool(simrancher.NodePool{ID: "c-exam1:np-1", Cluster: "c-exam1", Template: "cattle-global-nt:nt-exam1"})
	server := httptest.NewServer(e.sim)
	t.Cleanup(server.Close)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(e.dir, "bin")
	for _, err := range []error{
		os.Mkdir(bin, 0o700),
		os.Symlink(program, filepath.Join(bin, "rkepatch")), // the test binary knows by its name what to be
		os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\nexec sh -n\n"), 0o700),
		os.MkdirAll(filepath.Join(e.dir, ".config", "fish", "completions"), 0o700),
		os.WriteFile(filepath.Join(e.dir, "cluster.yml"), []byte("nodes: []\nkubernetes_version: v1.26.15-rancher1-1\n"), 0o600),
		os.WriteFile(filepath.Join(e.dir, "kubelet.yaml"), []byte("kubelet:\n  extra_args:\n    max-pods: \"200\"\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e.env = []string{
		quickEnd, "PATH=" + bin + ":/usr/bin:/bin", "HOME=" + e.dir, "XDG_STATE_HOME=" + e.dir,
		"RANCHER_URL=" + server.URL, "RANCHER_TOKEN_KEY=" + simrancher.AdminToken,
	}
	return e
}

// addNodes makes the nodes of both clusters that the examples look at run pods.
// They hold the provider unless they are bare.
func (e *example) addNodes(t *testing.T, bare bool) {
	binary, err := standIn("v1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 27}, kubelet.APIv1)
	if err != nil {
		t.Fatal(err)
	}
	for i, node := range []string{"prod-eu-1", "prod-us-1"} {
		cluster, err := simkube.Behind(e.sim, fmt.Sprintf("c-exam%d", i), filepath.Join(e.dir, "nodes"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		aws := filepath.Join(e.dir, "nodes", node, "opt", "aws")
		for _, err := range []error{
			os.MkdirAll(filepath.Join(aws, "bin"), 0o755), os.MkdirAll(filepath.Join(aws, "config"), 0o755),
			os.WriteFile(filepath.Join(aws, "config", "custom-credential-providers.yaml"), config, 0o644),
			os.WriteFile(filepath.Join(aws, "bin", "ecr-credential-provider"), binary, 0o755),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if bare {
			os.RemoveAll(aws)
		}
	}
}

// mirror gives the flags with which nodes install needs no internet.
func (e *example) mirror(t *testing.T) string {
	binary, err := standIn("v1")
	if err != nil {
		t.Fatal(err)
	}
	mirror, sum := simkube.Mirror(binary)
	server := httptest.NewServer(mirror)
	t.Cleanup(server.Close)
	return fmt.Sprintf("--release v0.0.1 --mirror '%s/{tag}/{arch}' --sha256 amd64=%s --sha256 arm64=%s", server.URL, sum, sum)
}

// fill puts the run and the checksum that there are in the place of the
// example's.
func (e *example) fill(t *testing.T, line string) string {
	if runs, err := os.ReadDir(filepath.Join(e.dir, "rkepatch", "runs")); err == nil && len(runs) > 0 {
		line = regexp.MustCompile(`\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}`).ReplaceAllString(line, runs[len(runs)-1].Name())
	}
	if plan, err := os.ReadFile(filepath.Join(e.dir, "change.plan")); err == nil {
		sum := regexp.MustCompile(`"checksum":"(sha256:[0-9a-f]+)"`).FindSubmatch(plan)
		if sum == nil {
			t.Fatalf("no checksum in %s", plan)
		}
		line = regexp.MustCompile(`sha256:[0-9a-f]+…`).ReplaceAllString(line, string(sum[1]))
	}
	return line
}

func (e *example) runs(t *testing.T, line string, want int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = e.dir, e.env
	out, err := cmd.CombinedOutput()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Fatalf("%s\ncode %d, want %d\n%s", line, code, want, out)
	}
}
