package nodescript

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rkepatch/internal/kubelet"
)

// theirs is a config that is in use, with a secret in it.
const theirs = `# it's $HOME, "quoted" and ` + "`odd`" + `: é
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: acr-credential-provider
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages: ['*.azurecr.io']
    defaultCacheDuration: 10m
    env:
    - {name: AZURE_CLIENT_SECRET, value: 's3cr3t'}
# the end
`

// merge is how the ECR provider comes into a config.
func merge(t testing.TB, config string, replace bool) *Merge {
	t.Helper()
	ecr, _ := kubelet.RegistryByKind(kubelet.ECR)
	m, err := kubelet.MergeConfig([]byte(config), ecr, kubelet.APIv1, replace)
	if err != nil {
		t.Fatal(err)
	}
	return &Merge{Edit: m.Edit, Old: []byte(config), New: m.Config}
}

// holdsTheirs writes a config that only root may read.
func (n *node) holdsTheirs(config string) {
	n.t.Helper()
	n.write(configAt, config)
	if err := os.Chmod(n.path(configAt), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func TestMergeScript(t *testing.T) {
	t.Parallel()
	old := strings.Replace(theirs, "# the end\n", "  - name: ecr-credential-provider\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n    matchImages: [a.example.com]\n    defaultCacheDuration: 1s\n# the end\n", 1)
	for name, config := range map[string]string{
		"as it is":                  theirs,
		"without a last line end":   strings.TrimSuffix(theirs, "\n# the end\n"),
		"Windows line ends":         strings.ReplaceAll(theirs, "\n", "\r\n"),
		"JSON":                      `{"providers":[{"name":"o","matchImages":["o.example.com"],"defaultCacheDuration":"0s","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}],"kind":"CredentialProviderConfig","apiVersion":"kubelet.config.k8s.io/v1"}`,
		"an entry that is replaced": old,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				m := merge(t, config, true)
				n.generate(Options{Merge: m})
				if strings.Contains(n.script, "s3cr3t") {
					t.Error("the script holds a secret of the config")
				}
				n.holdsTheirs(config)
				before := n.tree()
				n.run("--dry-run", "--from", n.save(n.plugin)).want(t, 0, "would merge ecr-credential-provider into")
				if d := cmp.Diff(before, n.tree()); d != "" {
					t.Errorf("a dry run changed something: %s", d)
				}
				e := n.run("--from", n.save(n.plugin))
				e.want(t, 0, "installed", "merged ecr-credential-provider into", "which a kubelet reads when it starts", "kept the old one as")
				n.holds(pluginAt, n.plugin, 0o755)
				n.holds(configAt, m.New, 0o600)
				n.holds(configAt+".rkepatch-"+sumOf(m.Old)[:12], m.Old, 0o600)
				after := n.tree()
				n.run("--from", n.save(n.plugin)).want(t, 0, "already right")
				if d := cmp.Diff(after, n.tree()); d != "" {
					t.Errorf("the second run: %s", d)
				}
				if strings.Contains(e.out+e.err, "s3cr3t") {
					t.Error("a secret is shown")
				}
				n.run("--uninstall").want(t, 2, "does not take a config apart")
			})
		})
	}
}

// Whatever is not the file for which the merge was worked out stays as it is.
func TestMergeScriptRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		upset   func(*node)
		program string // what the plugin is; "v1" if empty
		code    int
		says    string
	}{
		{"another config", func(n *node) { n.holdsTheirs(theirs + "# changed\n") }, "", 3, "is not the file for which the merge was worked out"},
		{"no config", func(*node) {}, "", 3, "is not there, and other providers belong into it"},
		{"a directory", func(n *node) { n.write(configAt+"/x", "") }, "", 3, "is no regular file"},
		{"a symbolic link", func(n *node) {
			n.write("opt/aws/config/other.yaml", theirs)
			if err := os.Symlink("other.yaml", n.path(configAt)); err != nil {
				n.t.Fatal(err)
			}
		}, "", 3, "is a symbolic link"},
		{"a plugin of another API", func(n *node) { n.holdsTheirs(theirs) }, "v1alpha1", 1, "speaks the provider API v1alpha1"},
		{"another plugin there", func(n *node) {
			n.holdsTheirs(theirs)
			n.write(pluginAt, "an old one")
		}, "", 3, "--replace puts the plugin in its place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, n *node) {
				if tt.program != "" {
					n.plugin = plugin(t, tt.program)
				}
				n.generate(Options{Merge: merge(t, theirs, false)})
				tt.upset(n)
				before := n.tree()
				n.run("--from", n.save(n.plugin)).want(t, tt.code, tt.says)
				after := n.tree()
				for path, what := range before {
					if after[path] != what {
						t.Errorf("%s is %s, was %s", path, after[path], what)
					}
				}
			})
		})
	}
}

// What the pod of `nodes install` says: the config was seen with its secrets
// masked, so the masked form is compared, and nothing is known of the result.
func TestMergeFlags(t *testing.T) {
	t.Parallel()
	mask := func(s string) string { return strings.ReplaceAll(s, "s3cr3t", "x") }
	flags := func(m *Merge, view string, edit kubelet.Edit) []string {
		return []string{"--merge-sum", sumOf([]byte(mask(string(m.Old)))), "--merge-line", fmt.Sprint(edit.Line), "--merge-drop", fmt.Sprint(edit.Drop),
			"--merge-tail", edit.Tail, "--merge-text", edit.Text, "--merge-view", view}
	}
	eachShell(t, func(t *testing.T, n *node) {
		m := merge(t, theirs, false)
		view := `sed 's/s3cr3t/x/' <"$1"`
		from := []string{"--from", n.save(n.plugin)}
		n.holdsTheirs(theirs + "# changed\n")
		n.run(append(flags(m, view, m.Edit), from...)...).want(t, 3, "is not the file")
		n.holdsTheirs(theirs)
		n.run(append(flags(m, "exit 1", m.Edit), from...)...).want(t, 3, "is not the file")
		n.run(append(flags(m, view, kubelet.Edit{Line: 2, Tail: "nowhere", Text: "x"}), from...)...).want(t, 1, "is not written as it was")
		n.holds(configAt, []byte(theirs), 0o600)
		n.run("--merge-sum", "x", "--merge-line", "1; id", "--merge-drop", "0").want(t, 2, "must be numbers")
		// The entry is there, the plugin is not.
		n.run(append(flags(m, view, kubelet.Edit{}), from...)...).want(t, 0, "installed")
		n.holds(configAt, []byte(theirs), 0o600)
		// Another secret since then makes no difference.
		n.holdsTheirs(strings.Replace(theirs, "s3cr3t", "s3cr3ts3cr3t", 1))
		n.run(append(flags(m, `sed 's/s3cr3ts3cr3t/x/' <"$1"`, m.Edit), from...)...).want(t, 0, "merged")
		n.holds(configAt, bytes.Replace(m.New, []byte("s3cr3t"), []byte("s3cr3ts3cr3t"), 1), 0o600)
	})
}

// someEdit draws a text and an edit of it.
var someEdit = rapid.Custom(func(rt *rapid.T) struct {
	old string
	kubelet.Edit
} {
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "- b ", "'q' \"$x\" `y` \\n", "\r", "é\xff", "]}"}), 1, 5).Draw(rt, "lines")
	old := strings.Join(lines, "\n") + rapid.SampledFrom([]string{"", "\n"}).Draw(rt, "end")
	count := max(1, len(strings.SplitAfter(strings.TrimSuffix(old, "\n"), "\n")))
	e := kubelet.Edit{Line: rapid.IntRange(1, count).Draw(rt, "line"), Text: rapid.SampledFrom([]string{"\nnew", "\n'$new'\r", ",{}"}).Draw(rt, "text")}
	e.Drop = rapid.IntRange(0, count-e.Line).Draw(rt, "drop")
	line := strings.Split(old, "\n")[e.Line-1]
	e.Tail = line[rapid.IntRange(0, len(line)).Draw(rt, "tail"):]
	return struct {
		old string
		kubelet.Edit
	}{"#" + old, e}
})

// The script makes of any text what Edit.Apply makes of it.
func TestMergeScriptEditsLikeGo(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, n *node) {
		from := n.save(n.plugin)
		n.run("--from", from).want(t, 0)
		for seed := range 10 {
			some := someEdit.Example(seed)
			want, err := some.Apply([]byte(some.old))
			if err != nil {
				t.Fatal(err)
			}
			n.holdsTheirs(some.old)
			n.generate(Options{Merge: &Merge{Edit: some.Edit, Old: []byte(some.old), New: want}})
			end := n.run("--from", from)
			if got, err := os.ReadFile(n.path(configAt)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d: %v: %q became %q instead of %q\n%s", seed, err, some.old, got, want, end.err)
			}
			if err := os.RemoveAll(n.path(configAt + ".rkepatch-" + sumOf([]byte(some.old))[:12])); err != nil {
				t.Fatal(err)
			}
		}
	})
}
