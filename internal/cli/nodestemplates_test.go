package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

const poolTemplate = "cattle-global-nt:nt-plain"

// provider writes a cloud-config that brings the provider.
func provider(t *testing.T) string {
	t.Helper()
	config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 27}, kubelet.APIv1)
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	if err := nodescript.Write(&script, nodescript.Options{Config: config}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "provider.yaml")
	if err := os.WriteFile(name, nodescript.CloudConfig(script.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Only yes is a yes, and whoever is asked is told which other clusters it concerns.
func TestTemplatesAsk(t *testing.T) {
	for answer, puts := range map[string]int{"yes\n": 1, "no\n": 0, "y\n": 0, "": 0} {
		p := newPerson(t)
		p.sim.AddNodePool(simrancher.NodePool{ID: "c-ver27:np-1", Cluster: "c-ver27", Template: poolTemplate})
		code := p.types(t.Context(), strings.NewReader(answer), "nodes", "templates", "--set-userdata", provider(t), "prod-us")
		if p.puts() != puts || (code == ExitOK) != (puts == 1) {
			t.Errorf("%q: code %d, %d PUTs", answer, code, p.puts())
		}
		for _, says := range []string{"Change 1 node template(s)?", "clusters that were not selected, too: qa-eu.", "Only nodes made later get it."} {
			if !strings.Contains(p.err.String(), says) {
				t.Errorf("the question does not say %q:\n%s", says, p.err.String())
			}
		}
		if !strings.Contains(p.out.String(), "+runcmd:") || !strings.Contains(p.out.String(), "also used by clusters that were not selected: qa-eu") {
			t.Errorf("asked without showing what:\n%s", p.out.String())
		}
	}
}

// Nothing that is printed, logged or kept in the journal holds the user data or a
// key of the driver; what is kept of it is in files of their owner's.
func TestTemplatesKeepSecrets(t *testing.T) {
	p := newPerson(t)
	p.sim.EditNodeTemplate(poolTemplate, func(nt map[string]any) {
		nt["amazonec2Config"].(map[string]any)["userdata"] = "#!/bin/sh\nexport TOKEN=hunter2"
	})
	log := filepath.Join(t.TempDir(), "log")
	for _, args := range [][]string{
		{"nodes", "templates", "--verbose", "--log-file", log, "prod-us"},
		{"nodes", "templates", "--verbose", "--log-file", log, "--yes", "-o", "json", "--set-userdata", provider(t), "prod-us"},
		{"nodes", "templates", "--log-file", log, "--yes", "--set-docker-install-url", "https://m.example/x?sig=hunter2", "prod-us"},
		{"nodes", "templates", "--log-file", log, "-o", "json", "prod-us"},
		{"plan", "--log-file", log, "-o", "json", "prod-us"},
		{"runs", "-o", "json"},
	} {
		if code := p.types(t.Context(), strings.NewReader(""), args...); code != ExitOK {
			t.Fatalf("%v: code %d\n%s", args, code, p.err.String())
		}
		for _, secret := range append(p.sim.Secrets(), "hunter2") {
			if strings.Contains(p.out.String()+p.err.String(), secret) {
				t.Errorf("%v shows %s", args, secret)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(p.state, "rkepatch", "runs", "*", "*.jsonl"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, name := range append(files, log) {
		text, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), simrancher.DriverSecret) {
			t.Errorf("%s: %v, or it holds a secret", name, err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(p.state, "rkepatch", "runs", "*", "pre", "*.json"))
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	for _, name := range kept {
		info, err := os.Stat(name)
		text, errRead := os.ReadFile(name)
		if err != nil || errRead != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(text), simrancher.DriverSecret) {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// A process that is killed at any request, before or after Rancher has handled it,
// leaves the template as it was or exactly as wanted; the same command does what is
// left, and what was done is taken back, from every such point.
func TestKillTemplates(t *testing.T) {
	file := provider(t)
	change := []string{"nodes", "templates", "--yes", "--set-userdata", file, "--all"}
	ids := []string{poolTemplate, "cattle-global-nt:nt-other"}
	prepare := func(a *accident) map[string]object {
		before := map[string]object{}
		for _, id := range ids {
			a.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: id, UserData: "#!/bin/sh\necho " + id})
			a.sim.AddNodePool(simrancher.NodePool{ID: "c-plain:np-" + id[len(id)-5:], Cluster: "c-plain", Template: id})
			before[id] = a.sim.StoredNodeTemplate(id)
		}
		return before
	}
	calm := newAccident(t)
	prepare(calm)
	calm.does(change...)
	var points []blow // from the first look at a single template on
	for i, r := range calm.sim.Requests() {
		single := strings.HasPrefix(r.Path, "/v3/nodeTemplates/")
		if single && i%2 == 0 || r.Method == http.MethodPut {
			points = append(points, blow{request: i + 1})
		}
		if single && i%2 == 1 || r.Method == http.MethodPut {
			points = append(points, blow{request: i + 1, handled: true})
		}
	}
	wanted := map[string]object{}
	for _, id := range ids {
		wanted[id] = calm.sim.StoredNodeTemplate(id)
	}
	if n := putsIn(calm); n != 2 {
		t.Fatalf("%d PUTs", n)
	}
	whole := func(a *accident, when string, states ...map[string]object) {
		for _, id := range ids {
			now := a.sim.StoredNodeTemplate(id)
			if !slices.ContainsFunc(states, func(s map[string]object) bool { return cmp.Equal(s[id], now) }) {
				t.Errorf("%s: %s is neither as before nor as wanted: %v", when, id, now)
			}
		}
	}
	kills := 0
	for i, point := range points {
		a := newAccident(t)
		before := prepare(a)
		when := fmt.Sprintf("killed at %+v", point)
		if !a.killed(point, change...) {
			continue // it was done before
		}
		kills++
		whole(a, when, before, wanted)
		a.does("runs")
		if i%2 == 0 { // go on
			a.does(change...)
			whole(a, when+", gone on", wanted)
		}
		for _, record := range slices.Backward(a.runs(when)) {
			rollback := []string{"rollback", "--yes", record.ID}
			a.killed(blow{request: 4, handled: point.handled}, rollback...)
			a.does(rollback...)
		}
		whole(a, when+", rolled back", before)
		if n := putsIn(a); n > 2 {
			t.Errorf("%s: the last rollback took %d PUTs", when, n)
		}
	}
	t.Logf("%d kills", kills)
	if kills < 8 {
		t.Errorf("only %d kills", kills)
	}
}

func putsIn(a *accident) int {
	n := 0
	for _, r := range a.sim.Requests() {
		if r.Method == http.MethodPut {
			n++
		}
	}
	return n
}
