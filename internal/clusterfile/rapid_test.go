package clusterfile

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	udiff "github.com/aymanbagabas/go-udiff"
	rke "github.com/rancher/rke/types"
	"gopkg.in/yaml.v2"
	"pgregory.net/rapid"

	"rkepatch/rkeconfig"
)

// apiKubelet is rke's type in the API's spelling, as far as it matters here.
type apiKubelet struct {
	ExtraArgs  map[string]string `yaml:"extraArgs"`
	ExtraBinds []string          `yaml:"extraBinds"`
}

// readKubelet reads with rke's YAML library and rke's own types.
func readKubelet(t *rapid.T, f *File, text []byte) (args map[string]string, binds []string) {
	var err error
	switch f.Format {
	case ClusterYML:
		var c struct {
			Services struct {
				Kubelet rke.KubeletService `yaml:"kubelet"`
			} `yaml:"services"`
		}
		err = yaml.Unmarshal(text, &c)
		args, binds = c.Services.Kubelet.ExtraArgs, c.Services.Kubelet.ExtraBinds
	case UIYAML:
		var c struct {
			Config struct {
				Services struct {
					Kubelet rke.KubeletService `yaml:"kubelet"`
				} `yaml:"services"`
			} `yaml:"rancher_kubernetes_engine_config"`
		}
		err = yaml.Unmarshal(text, &c)
		args, binds = c.Config.Services.Kubelet.ExtraArgs, c.Config.Services.Kubelet.ExtraBinds
	case ExportYAML:
		var c struct {
			Clusters map[string]struct {
				Config struct {
					Services struct {
						Kubelet apiKubelet `yaml:"kubelet"`
					} `yaml:"services"`
				} `yaml:"rancherKubernetesEngineConfig"`
			} `yaml:"clusters"`
		}
		err = yaml.Unmarshal(text, &c)
		kubelet := c.Clusters[f.Cluster].Config.Services.Kubelet
		args, binds = kubelet.ExtraArgs, kubelet.ExtraBinds
	}
	if err != nil {
		t.Fatalf("rke's YAML library: %s\n%s", err, text)
	}
	return args, binds
}

var (
	// listForm is extra_args as a list: every line of it may change.
	listForm = regexp.MustCompile(`(?s)extra_args['"]?\s*:[^\n]*\n(\s*#[^\n]*\n|\s*\n)*\s*-|extra_args['"]?\s*:\s*\[`)
	// sectionLine is a line that may change because what it holds was empty, or
	// stands in brackets on it.
	sectionLine = regexp.MustCompile(`^\s*['"]?(extra_args|extraArgs|extra_binds|extraBinds|kubelet|services)['"]?\s*:|^\s*['"]?(clusters|prod-eu|rancher\w+)['"]?\s*:.*\{`)
	addedLine   = regexp.MustCompile(`image-credential-provider|max-pods|^\s*- ['"]?/opt/aws/`)
)

// Whatever a file looks like: what was patched is what Merge says, everything else
// is as it was, and only lines of the patch differ.
func TestAnyFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := someFile(t)
		p := rkeconfig.Patch{
			Args: map[string]string{"max-pods": rapid.SampledFrom([]string{"250", "on", "a: 'b' #\"c"}).Draw(t, "max-pods"),
				"image-credential-provider-bin-dir": "/opt/aws/bin", "image-credential-provider-config": "/opt/aws/config/c.yaml"},
			Binds: []string{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"},
		}
		f, err := Read([]byte(before))
		if err != nil {
			t.Fatalf("reading: %s\n%s", err, before)
		}
		r, err := f.Patch(p, Options{ReplaceArgs: slices.Collect(maps.Keys(p.Args))})
		if err != nil {
			t.Fatalf("patching: %s\n%s", err, before)
		}
		if r.Blocked() {
			t.Fatalf("findings %v\n%s", r.Findings, before)
		}
		after := string(r.Text)

		args, binds := readKubelet(t, f, r.Text)
		if want := r.Document.ExtraArgs(); !maps.Equal(args, want) || !slices.Equal(binds, r.Document.ExtraBinds()) {
			t.Fatalf("rke reads %v %v, Merge says %v %v\n%s", args, binds, want, r.Document.ExtraBinds(), after)
		}
		for name, value := range p.Args {
			if args[name] != value {
				t.Fatalf("%s is %q", name, args[name])
			}
		}
		if !reflect.DeepEqual(others(t, f, before), others(t, f, after)) {
			t.Fatalf("something else changed:\n%s\n--- after\n%s", before, after)
		}
		checkLines(t, before, after)
		if strings.Contains(r.Diff, madeUpSecret) || strings.Contains(f.masked(), madeUpSecret) {
			t.Fatalf("a secret is shown:\n%s", f.masked())
		}
		again := mustPatch(t, after, p, Options{})
		if again.Changed() || string(again.Text) != after || again.Blocked() {
			t.Fatalf("patching twice: %v\n%s", again.Findings, again.Diff)
		}
	})
}

// others is everything but the two fields of the patch; what is empty without them
// counts as not there.
func others(t *rapid.T, f *File, text string) any {
	var all map[string]any
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	var prune func(v any, inKubelet bool) any
	prune = func(v any, inKubelet bool) any {
		m, ok := v.(map[any]any)
		if !ok {
			return v
		}
		for k, e := range m {
			if inKubelet && (k == f.spell("extra_args") || k == f.spell("extra_binds")) {
				delete(m, k)
				continue
			}
			m[k] = prune(e, k == "kubelet")
		}
		for _, k := range []string{"kubelet", "services"} {
			if child, _ := m[k].(map[any]any); len(child) == 0 {
				delete(m, k)
			}
		}
		return m
	}
	root := map[any]any{}
	for k, v := range all {
		root[k] = v
	}
	return prune(root, false)
}

func checkLines(t *rapid.T, before, after string) {
	isList := listForm.MatchString(before)
	if a, b := strings.HasSuffix(before, "\n"), strings.HasSuffix(after, "\n"); a != b {
		t.Fatalf("the last line's end: %v before, %v after", a, b)
	}
	if crlf := strings.Contains(before, "\r\n"); strings.Count(after, "\r\n") != strings.Count(after, "\n") && crlf || !crlf && strings.Contains(after, "\r") {
		t.Fatalf("line ends are mixed:\n%q", after)
	}
	// The last line counts as one that ends.
	before, after = strings.TrimRight(before, "\r\n")+"\n", strings.TrimRight(after, "\r\n")+"\n"
	before, after = strings.ReplaceAll(before, "\r", ""), strings.ReplaceAll(after, "\r", "")
	u, err := udiff.ToUnifiedDiff("a", "b", before, udiff.Lines(before, after), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range u.Hunks {
		for _, line := range h.Lines {
			own := sectionLine.MatchString(line.Content) || addedLine.MatchString(line.Content) || isList
			if !own && line.Kind != udiff.Equal {
				t.Fatalf("a line that is none of the patch's: %q\n%s", line.Content, u)
			}
		}
	}
}
