package kubelet

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustRegistry(kind Kind) Registry {
	r, ok := RegistryByKind(kind)
	if !ok {
		panic(kind)
	}
	return r
}

// merging adds GCP's provider, which has the shortest entry.
var merging = mustRegistry(GCP)

// added is GCP's entry in the block of a config, at an indentation.
func added(indent string) string {
	return indent + strings.Join(merging.lines(APIv1), "\n"+indent) + "\n"
}

const azure = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: acr-credential-provider
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["*.azurecr.io"] # ours
  defaultCacheDuration: "10m"
  args:
    - /etc/kubernetes/azure.json
  env:
  - {name: A_SECRET, value: "s3cr3t # no comment"}
`

const compact = `{"providers":[{"name":"other","matchImages":["a]}.example.com"],"defaultCacheDuration":"0s","apiVersion":"credentialprovider.kubelet.k8s.io/v1","env":[{"name":"X","value":"\"}]"}]}],"kind":"CredentialProviderConfig","apiVersion":"kubelet.config.k8s.io/v1"}`

func TestMergeConfig(t *testing.T) {
	indented := strings.ReplaceAll(strings.ReplaceAll(azure, "\n- name", "\n  - name"), "\n  a", "\n    a")
	indented = strings.NewReplacer("\n  matchImages", "\n    matchImages", "\n  default", "\n    default", "\n  env", "\n    env", "\n  - {", "\n    - {").Replace(indented)
	ourJSON := `{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","args":["get-credentials"],"defaultCacheDuration":"1m","matchImages":["container.cloud.google.com","gcr.io","*.gcr.io","*.pkg.dev"],"name":"auth-provider-gcp"}`
	for _, tt := range []struct{ name, config, want string }{
		{"at the edge", azure, azure + added("")},
		{"indented", indented, indented + added("  ")},
		{"without a last line end", strings.TrimSuffix(azure, "\n"), azure + strings.TrimSuffix(added(""), "\n")},
		{"before other keys", "providers:\n" + strings.SplitN(azure, "providers:\n", 2)[1] + "\n# the end\nkind: CredentialProviderConfig\napiVersion: kubelet.config.k8s.io/v1\n",
			"providers:\n" + strings.SplitN(azure, "providers:\n", 2)[1] + added("") + "\n# the end\nkind: CredentialProviderConfig\napiVersion: kubelet.config.k8s.io/v1\n"},
		{"before a second document", "---\n" + azure + "---\nfoo: bar\n", "---\n" + azure + added("") + "---\nfoo: bar\n"},
		{"Windows line ends", strings.ReplaceAll(azure, "\n", "\r\n"), strings.ReplaceAll(azure+added(""), "\n", "\r\n")},
		{"a byte order mark", "\xef\xbb\xbf" + azure, "\xef\xbb\xbf" + azure + added("")},
		{"a dash on its own line", strings.Replace(azure, "- name", "-\n  name", 1), strings.Replace(azure, "- name", "-\n  name", 1) + added("")},
		{"items in flow style", azure + `- {name: b, matchImages: [b.example.com], defaultCacheDuration: 0s, apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1}` + "\n",
			azure + `- {name: b, matchImages: [b.example.com], defaultCacheDuration: 0s, apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1}` + "\n" + added("")},
		{"an unknown field, which 1.32 refuses with and without ours", azure + "  foo: bar\n", azure + "  foo: bar\n" + added("")},
		{"an alias", strings.Replace(azure, `["*.azurecr.io"]`, "&a [\"*.azurecr.io\"]", 1), strings.Replace(azure, `["*.azurecr.io"]`, "&a [\"*.azurecr.io\"]", 1) + added("")},
		{"comments behind the list", azure + "# about nothing\n\n", azure + added("") + "# about nothing\n\n"},
		{"JSON on one line", compact, strings.Replace(compact, `"}]"}]}]`, `"}]"}]},`+ourJSON+`]`, 1)},
		{"JSON on many lines", "{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1\", \"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [\n\t\t{\"name\": \"a\", \"matchImages\": [\"a\"],\n\t\t\"defaultCacheDuration\": \"0\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\"\n\t\t}\n\t]\n}\n",
			"{\n\t\"apiVersion\": \"kubelet.config.k8s.io/v1\", \"kind\": \"CredentialProviderConfig\",\n\t\"providers\": [\n\t\t{\"name\": \"a\", \"matchImages\": [\"a\"],\n\t\t\"defaultCacheDuration\": \"0\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\"\n\t\t}," + ourJSON + "\n\t]\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := MergeConfig([]byte(tt.config), merging, APIv1, false)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(m.Config)); d != "" {
				t.Error(d)
			}
			again, err := MergeConfig(m.Config, merging, APIv1, false)
			if err != nil || !again.Edit.IsZero() || !bytes.Equal(again.Config, m.Config) {
				t.Errorf("a second time: %v, %+v", err, again.Edit)
			}
		})
	}
}

func TestMergeConfigReplaces(t *testing.T) {
	old := "# ours, by hand\n- name: auth-provider-gcp\n  apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1\n  matchImages: [gcr.io]\n  defaultCacheDuration: 1h\n"
	last := strings.SplitN(azure, "providers:\n", 2)[1]
	head := strings.SplitN(azure, "providers:\n", 2)[0] + "providers:\n"
	for name, list := range map[string][2]string{
		"first": {old + "\n# theirs\n" + last, "# ours, by hand\n" + added("") + "\n# theirs\n" + last},
		"last":  {last + old + "\n", last + "# ours, by hand\n" + added("") + "\n"},
	} {
		config := []byte(head + list[0])
		if _, err := MergeConfig(config, merging, APIv1, false); !errors.Is(err, ErrEntryDiffers) || !errors.Is(err, ErrNotMergeable) {
			t.Errorf("%s: without being told: %v", name, err)
		}
		m, err := MergeConfig(config, merging, APIv1, true)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(head+list[1], string(m.Config)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Every entry that would be lost, doubled or read otherwise is a refusal, and no
// refusal shows a secret.
func TestMergeConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, config, says string }{
		{"nothing", "", "no kubelet reads it"},
		{"no YAML", "providers: [", "no kubelet reads it"},
		{"no kind", "providers:\n- name: s3cr3t\n", "no kubelet reads it: Object 'Kind' is missing"},
		{"another kind", strings.Replace(azure, "kind: Cred", "kind: X", 1), "no kubelet reads it"},
		{"an API that nobody knows", strings.Replace(azure, "k8s.io/v1\nkind", "k8s.io/v9\nkind", 1), "no kubelet reads it"},
		{"zero bytes", azure + "\x00", "zero bytes"},
		{"a flood", azure + strings.Repeat("# x\n", 20000), "too large"},
		{"no providers", "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: []\n", "it has no providers"},
		{"appended twice", azure + azure, "keys come twice"},
		{"a key twice in an entry", azure + "  defaultCacheDuration: 1s\n", "keys come twice"},
		{"a key twice in JSON", strings.Replace(compact, `{"name":"other"`, `{"name":"b","name":"other"`, 1), "keys come twice"},
		{"a name twice", azure + strings.SplitN(azure, "providers:\n", 2)[1], `names the provider "acr-credential-provider" twice`},
		{"the same registries under another name", strings.Replace(azure, "name: acr-credential-provider", "name: my-ecr-provider", 1), ""},
		{"a list in flow style", "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: [{name: a, matchImages: [a], defaultCacheDuration: 0s, apiVersion: credentialprovider.kubelet.k8s.io/v1}]\n", "plain way"},
		{"a secret behind the list in JSON", strings.Replace(compact, `"kind"`, `"x":"s3cr3t","kind"`, 1), "plain way"},
		{"a text that looks like the list", "x: '\nproviders:\n- name: auth-provider-gcp\n'\n\"providers\":\n- name: auth-provider-gcp\n  matchImages: [gcr.io]\n  defaultCacheDuration: 0s\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\napiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n", "cannot be found for certain"},
		{"a quoted key", strings.Replace(azure, "providers:", `"providers":`, 1), "plain way"},
		{"a list that an alias stands for", "x: &l\n- {name: a, matchImages: [a], defaultCacheDuration: 0s, apiVersion: credentialprovider.kubelet.k8s.io/v1}\nproviders: *l\napiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n", "plain way"},
		{"a text that goes on behind a comment", azure + "  - name: B\n    value: |+\n      a\n\n      # still the text\n", "cannot be found for certain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := merging
			if tt.says == "" {
				r, tt.says = mustRegistry(ECR), `"my-ecr-provider" in it is for the same registries`
			}
			_, err := MergeConfig([]byte(tt.config), r, APIv1, true)
			if !errors.Is(err, ErrNotMergeable) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cr3t") || strings.ContainsAny(err.Error(), "\n\x00")) {
				t.Errorf("not fit to be shown: %q", err)
			}
		})
	}
	if _, err := MergeConfig([]byte(azure), merging, "v1beta1", false); !errors.Is(err, ErrAPIUnknown) {
		t.Errorf("an API that nobody speaks: %v", err)
	}
	// JSON is not taken apart.
	m, err := MergeConfig([]byte(compact), merging, APIv1alpha1, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MergeConfig(m.Config, merging, APIv1, true); !errors.Is(err, ErrNotMergeable) {
		t.Errorf("an entry in JSON is replaced: %v", err)
	}
}

// What was masked on the node cannot be compared, and is none of ours to change.
func TestMergeConfigTakesMaskedArgs(t *testing.T) {
	r := mustRegistry(ACR)
	config := strings.Replace(strings.Replace(azure, `["*.azurecr.io"] # ours`, `["*.azurecr.io", "*.azurecr.cn", "*.azurecr.us", "*.azurecr.de"]`, 1), "/etc/kubernetes/azure.json", "x", 1)
	if m, err := MergeConfig([]byte(config), r, APIv1, false); err != nil || !m.Edit.IsZero() {
		t.Errorf("%v, %+v", err, m.Edit)
	}
}

// An edit made for the masked copy of a config holds for the config.
func TestEditHoldsForTheMaskedOriginal(t *testing.T) {
	masked := strings.NewReplacer("s3cr3t # no comment", "x", " # ours", "").Replace(azure)
	m, err := MergeConfig([]byte(masked), merging, APIv1, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Edit.Apply([]byte(azure))
	if err != nil || string(got) != azure+added("") {
		t.Errorf("%v\n%s", err, got)
	}
	for _, e := range []Edit{{Line: 99}, {Line: 1, Drop: 99}, {Line: 1, Tail: "nothing like it", Text: "x"}} {
		if _, err := e.Apply([]byte(azure)); err == nil {
			t.Errorf("%+v has a place", e)
		}
	}
}

// existing draws a config with one to three providers, some of which no kubelet
// of some version takes.
func existing(rt *rapid.T) string {
	api := rapid.SampledFrom([]string{"v1alpha1", "v1beta1", "v1"})
	var b strings.Builder
	indent := rapid.SampledFrom([]string{"", "  "}).Draw(rt, "indent")
	head := "apiVersion: kubelet.config.k8s.io/" + api.Draw(rt, "config API") + "\nkind: CredentialProviderConfig\n"
	first := rapid.Bool().Draw(rt, "head first")
	if first {
		b.WriteString(head)
	}
	b.WriteString("providers:\n")
	for i := range rapid.IntRange(1, 3).Draw(rt, "providers") {
		if rapid.Bool().Draw(rt, "comment") {
			b.WriteString("\n" + indent + "# a comment\n")
		}
		name := rapid.SampledFrom([]string{"one", "two", "a b", "azure", "amazon-ecr"}).Draw(rt, "name")
		if i > 0 {
			name += strings.Repeat("x", i)
		}
		for n, line := range []string{
			"name: '" + name + "'",
			"matchImages: ['" + rapid.SampledFrom([]string{"*.example.com", "a.example.com:80", "a b", "x[a].example.com"}).Draw(rt, "pattern") + "']",
			"defaultCacheDuration: " + rapid.SampledFrom([]string{"12h", `"0"`, "-1s"}).Draw(rt, "duration"),
			"apiVersion: credentialprovider.kubelet.k8s.io/" + api.Draw(rt, "provider API"),
			rapid.SampledFrom([]string{"args: []", "foo: bar", "env: [{name: A, value: s3cr3t}]"}).Draw(rt, "more"),
		} {
			b.WriteString(indent + map[bool]string{true: "- ", false: "  "}[n == 0] + line + "\n")
		}
	}
	if !first {
		b.WriteString(head)
	}
	return b.String()
}

// A kubelet of any version starts with the merged config if it starts with both
// of its parts; the old entries stay, in order; merging again changes nothing.
func TestMergeConfigProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		config := existing(rt)
		r := mustRegistry(rapid.SampledFrom([]Kind{ECR, ACR, GCP}).Draw(rt, "kind"))
		api := rapid.SampledFrom([]API{APIv1, APIv1alpha1}).Draw(rt, "API")
		if r.Kind == ECR && strings.Contains(config, "amazon-ecr") {
			rt.Skip("that one is refused")
		}
		m, err := MergeConfig([]byte(config), r, api, false)
		if err != nil {
			rt.Fatalf("%v\n%s", err, config)
		}
		var kept []string
		for line := range strings.Lines(config) {
			kept = append(kept, line)
		}
		i := 0
		for line := range strings.Lines(string(m.Config)) {
			if i < len(kept) && line == kept[i] {
				i++
			}
		}
		if i != len(kept) {
			rt.Errorf("lines are lost:\n%s", m.Config)
		}
		names := ProviderNames([]byte(config))
		if got := ProviderNames(m.Config); len(allNames(m.Config)) != len(allNames([]byte(config)))+1 || !slices.Equal(got[:len(got)-1], names) || got[len(got)-1] != r.Provider {
			rt.Errorf("the providers are %q, were %q", got, names)
		}
		alone, err := BuildConfig(r, newest, api)
		if err != nil {
			rt.Fatal(err)
		}
		alone = bytes.Replace(alone, []byte("kubelet.config.k8s.io/v1\n"), []byte("kubelet.config.k8s.io/v1alpha1\n"), 1)
		at := func(v Version, config []byte) bool {
			p := Provider{ConfigPath: "/c", ConfigState: PathRegular, Config: config, BinDir: "/b", BinDirState: PathDirectory}
			return Start(v, p) == nil
		}
		for minor := uint(20); minor <= newest.Minor; minor++ {
			v := Version{1, minor}
			if both := at(v, []byte(config)) && at(v, alone); at(v, m.Config) != both {
				rt.Errorf("%s: merged %t, both parts %t\n%s", v, !both, both, m.Config)
			}
		}
		again, err := MergeConfig(m.Config, r, api, rapid.Bool().Draw(rt, "replace"))
		if err != nil || !again.Edit.IsZero() || !bytes.Equal(again.Config, m.Config) {
			rt.Errorf("a second time: %v, %+v", err, again.Edit)
		}
		if got, err := m.Edit.Apply([]byte(config)); err != nil || !bytes.Equal(got, m.Config) {
			rt.Errorf("the edit gives something else: %v\n%s", err, got)
		}
	})
}

// The recorded verdicts hold for both parts of a merged config: what a kubelet
// takes it takes with one provider more, what it refuses it refuses.
func TestMergeConfigKeepsVerdicts(t *testing.T) {
	tried := 0
	for _, c := range recorded(t) {
		m, err := MergeConfig([]byte(c.Config), merging, APIv1alpha1, false)
		if err != nil || c.ConfigState != "" {
			continue
		}
		tried++
		p := c.provider(t)
		p.Config = m.Config
		for version, want := range c.Verdict {
			v, err := ParseVersion(version)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(c.Name, "amazon-ecr") && v.Before(1, 27) {
				want = "exits 255"
			}
			if got := outcome(Start(v, p)); got != want {
				t.Errorf("%s, %s: %s, not %s", c.Name, version, got, want)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d cases can be merged", tried)
	}
}

func FuzzMergeConfig(f *testing.F) {
	for _, config := range []string{azure, compact, "\xef\xbb\xbf" + azure, strings.ReplaceAll(azure, "\n", "\r\n"), azure + azure, base, baseJSON} {
		f.Add([]byte(config), false)
	}
	f.Fuzz(func(t *testing.T, config []byte, replace bool) {
		m, err := MergeConfig(config, merging, APIv1, replace)
		if err != nil {
			if !errors.Is(err, ErrNotMergeable) {
				t.Fatal(err)
			}
			return
		}
		if m.Edit.Drop == 0 && len(m.Config) < len(config) {
			t.Errorf("bytes are lost: %q", m.Config)
		}
		again, err := MergeConfig(m.Config, merging, APIv1, replace)
		if err != nil || !again.Edit.IsZero() {
			t.Errorf("a second time: %v", err)
		}
	})
}
