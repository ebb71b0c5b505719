package kubelet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// flawless is a node about which there is nothing to say.
func flawless(t *testing.T) Provider {
	t.Helper()
	config, err := BuildConfig(registries[0], Version{1, 26}, APIv1)
	if err != nil {
		t.Fatal(err)
	}
	p := good(string(config))
	b := p.Binaries[ProviderName]
	b.Speaks = []API{APIv1}
	p.Binaries[ProviderName] = b
	return p
}

func TestForesee(t *testing.T) {
	edit := func(old, replacement string) func(*Provider) {
		return func(p *Provider) {
			if !strings.Contains(string(p.Config), old) {
				panic("the config has no " + old)
			}
			p.Config = []byte(strings.Replace(string(p.Config), old, replacement, 1))
		}
	}
	binary := func(change func(*Binary)) func(*Provider) {
		return func(p *Provider) {
			b := p.Binaries[ProviderName]
			change(&b)
			p.Binaries[ProviderName] = b
		}
	}
	// patterns sets matchImages to these alone.
	patterns := func(globs ...string) func(*Provider) {
		return func(p *Provider) {
			p.Config = []byte("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr-credential-provider\n  matchImages: [\"" +
				strings.Join(globs, `", "`) + "\"]\n  defaultCacheDuration: '0'\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n")
		}
	}
	// of puts another registry's provider in the place of ECR's.
	of := func(kind Kind, change func(*Registry)) func(*Provider) {
		return func(p *Provider) {
			r, _ := RegistryByKind(kind)
			change(&r)
			p.Config, _ = BuildConfig(r, Version{1, 26}, APIv1)
			p.Binaries[r.Provider] = p.Binaries[ProviderName]
		}
	}
	all := []string{"*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr.ecr-fips.*.amazonaws.com", "*.dkr.ecr.*.c2s.ic.gov", "*.dkr.ecr.*.sc2s.sgov.gov"}
	and := func(globs ...string) func(*Provider) { return patterns(append(globs, all...)...) }
	last := "defaultCacheDuration: 12h\n"
	type want map[string]Level
	silent := map[string]bool{}
	for _, r := range ForeseeCatalogue() {
		silent[r.Code] = true
	}
	lossy := want{"patterns-lose-registries": Caution, "patterns-lose-partitions": Note}
	lossyAnd := func(code string, level Level) want {
		return want{"patterns-lose-registries": Caution, "patterns-lose-partitions": Note, code: level}
	}
	for _, tt := range []struct {
		name   string
		from   string // "1.26-1.32" if empty
		change func(*Provider)
		want   want
	}{
		{"nothing", "", func(*Provider) {}, want{}},
		{"nothing up to the newest", "1.26-1.35", func(*Provider) {}, want{}},
		{"a cache duration of '0' is no bug", "", and(), want{}},
		{"a kubelet of the future", "1.32-1.36", func(*Provider) {}, want{"kubelet-unknown": Caution}},

		{"config not seen", "", func(p *Provider) { p.ConfigState = PathUnknown }, want{"provider-unseen": Caution}},
		{"config a directory", "1.26-1.32", func(p *Provider) { p.ConfigState = PathDirectory }, want{}},
		{"config a directory, read from 1.34 on", "1.32-1.34", func(p *Provider) { p.ConfigState = PathDirectory }, want{"provider-unseen": Caution}},
		{"bin dir not seen", "", func(p *Provider) { p.BinDirState = PathUnknown }, want{"provider-unseen": Caution}},
		{"binary not seen", "", func(p *Provider) { p.Binaries = nil }, want{"provider-unseen": Caution}},
		{"binary of unknown state", "", binary(func(b *Binary) { *b = Binary{} }), want{"provider-unseen": Caution}},
		{"a name that nobody looks for", "", edit("name: ecr-credential-provider", `name: "ecr\tprovider"`), want{"provider-unusual-name": Caution}},
		{"a name that nobody can print", "", edit("name: ecr-credential-provider", `name: "\x1b[2Jecr"`), want{"provider-unusual-name": Caution}},

		{"unknown field", "", edit(last, last+"  foo: 1\n"), want{"config-refused-in-1.32": Caution}},
		{"unknown field, not going to 1.32", "1.26-1.31", edit(last, last+"  foo: 1\n"), want{"config-careless": Note}},
		{"unknown field, already at 1.32", "1.32-1.33", edit(last, last+"  foo: 1\n"), want{}}, // Start says it
		{"a field in the wrong case", "", edit(last, last+"  Args: []\n"), want{"config-refused-in-1.32": Caution}},
		{"a key that comes twice", "", edit(last, last+"  "+last), want{"config-refused-in-1.32": Caution}},
		{"the script that appends, run twice", "", func(p *Provider) { p.Config = append(p.Config, p.Config...) }, want{"config-refused-in-1.32": Caution}},
		{"tokenAttributes", "", edit(last, last+"  tokenAttributes: {}\n"), want{"config-token-attributes": Caution}},
		{"tokenAttributes and another", "", edit(last, last+"  tokenAttributes: {}\n  foo: 1\n"), want{"config-token-attributes": Caution, "config-refused-in-1.32": Caution}},
		{"a second document", "", edit(last, last+"---\nfoo: bar\n"), want{"config-second-document": Caution}},
		{"a second document that is broken", "", edit(last, last+"---\n[[[\n"), want{"config-second-document": Caution}},
		{"an empty second document", "", edit(last, last+"---\n"), want{}},
		{"a marker before the first document", "", func(p *Provider) { p.Config = append([]byte("---\n"), p.Config...) }, want{}},
		{"byte order mark", "", func(p *Provider) { p.Config = append([]byte("\xef\xbb\xbf"), p.Config...) }, want{"config-encoding": Note}},
		{"Windows line ends", "", func(p *Provider) { p.Config = []byte(strings.ReplaceAll(string(p.Config), "\n", "\r\n")) }, want{"config-encoding": Note}},
		{"keys for everyone to read", "", edit(last, last+"  env: [{name: AWS_SECRET_ACCESS_KEY, value: x}]\n"), want{"config-is-a-secret": Caution}},
		{"keys for root to read", "", func(p *Provider) {
			edit(last, last+"  env: [{name: AWS_SECRET_ACCESS_KEY, value: x}]\n")(p)
			p.ConfigMode = "600"
		}, want{}},
		{"a region in env is no key", "", edit(last, last+"  env: [{name: AWS_REGION, value: x}]\n"), want{}},

		{"relative bin dir", "", func(p *Provider) { p.BinDir = "bin" }, want{"path-relative": Caution}},
		{"relative config", "", func(p *Provider) { p.ConfigPath = "config.yaml" }, want{"path-relative": Caution}},
		{"config writable by all", "", func(p *Provider) { p.ConfigMode = "666" }, want{"writable-by-all": Caution}},
		{"bin dir writable by all", "", func(p *Provider) { p.BinDirMode = "777" }, want{"writable-by-all": Caution}},
		{"bin dir sticky", "", func(p *Provider) { p.BinDirMode = "1777" }, want{}},
		{"binary writable by all", "", binary(func(b *Binary) { b.Mode = "777" }), want{"writable-by-all": Caution}},
		{"binary of another user", "", binary(func(b *Binary) { b.Owner = "1000:1000" }), want{"writable-by-all": Caution}},

		{"no name", "", edit("name: ecr-credential-provider", `name: ""`), want{"provider-name-empty": Fatal}},
		{"no name at 1.30", "1.30-1.32", edit("name: ecr-credential-provider", `name: ""`), want{}},
		{"not executable", "1.26-1.27", binary(func(b *Binary) { b.Executable = false }), want{"binary-not-executable": Fatal}},
		{"not executable, and 1.30 says it", "1.30-1.32", binary(func(b *Binary) { b.Executable = false }), want{}},
		{"a directory that Docker made", "1.26-1.30", binary(func(b *Binary) { *b = Binary{State: PathDirectory, Executable: true} }), want{"binary-not-executable": Fatal}},
		{"a pipe", "", binary(func(b *Binary) { *b = Binary{State: PathOther, Executable: true} }), want{"binary-not-a-program": Fatal}},
		{"an empty file", "", binary(func(b *Binary) { *b = Binary{State: PathRegular, Executable: true, Format: "empty"} }), want{"binary-not-a-program": Fatal}},
		{"an HTML page", "", binary(func(b *Binary) { *b = Binary{State: PathRegular, Executable: true, Format: "html"} }), want{"binary-not-a-program": Fatal}},
		{"a text", "", binary(func(b *Binary) { *b = Binary{State: PathRegular, Executable: true, Format: "text"} }), want{"binary-not-a-program": Fatal}},
		{"some other file", "", binary(func(b *Binary) { *b = Binary{State: PathRegular, Executable: true, Format: "other"} }), want{"binary-not-a-program": Fatal}},
		{"a script", "", binary(func(b *Binary) { *b = Binary{State: PathRegular, Executable: true, Format: "script"} }), want{"binary-script": Caution}},
		{"a script that answers", "", binary(func(b *Binary) { b.Format = "script" }), want{}},
		{"cut in the download", "", binary(func(b *Binary) { b.Truncated, b.Answered = true, false }), want{"binary-truncated": Fatal}},
		{"the other architecture", "", binary(func(b *Binary) { b.Arch, b.Answered = "arm64", false }), want{"binary-arch": Fatal}},
		{"an architecture that is not known", "", func(p *Provider) { p.Arch = "" }, want{}},
		{"docker-credential-ecr-login", "", binary(func(b *Binary) { b.Speaks = nil }), want{"binary-not-a-plugin": Fatal}},
		{"a binary up to v1.27.0", "", binary(func(b *Binary) { b.Speaks = []API{APIv1alpha1} }), want{"binary-api": Fatal}},
		{"a binary that was not asked", "", binary(func(b *Binary) { b.Speaks, b.Answered = nil, false }), want{}},
		{"v1beta1", "", edit("apiVersion: credentialprovider.kubelet.k8s.io/v1", "apiVersion: credentialprovider.kubelet.k8s.io/v1beta1"), want{"binary-api": Fatal}},
		{"v1beta1, not asked", "", func(p *Provider) {
			edit("apiVersion: credentialprovider.kubelet.k8s.io/v1", "apiVersion: credentialprovider.kubelet.k8s.io/v1beta1")(p)
			binary(func(b *Binary) { b.Speaks, b.Answered = nil, false })(p)
		}, want{"api-v1beta1": Fatal}},
		{"--v=3", "", edit(last, last+"  args: [get-credentials, --v=3]\n"), want{"args-verbosity": Fatal}},
		{"--v=3 for a binary that takes anything", "", func(p *Provider) {
			p.Config = []byte(strings.ReplaceAll(string(p.Config), "k8s.io/v1", "k8s.io/v1alpha1") + "  args: [--v=3]\n")
			binary(func(b *Binary) { b.Speaks = []API{APIv1alpha1} })(p)
		}, want{}},
		{"-v", "", edit(last, last+"  args: [-v]\n"), want{"args-verbosity": Fatal}},
		{"get-credentials", "", edit(last, last+"  args: [get-credentials]\n"), want{}},

		{"the article's patterns", "", patterns("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"), lossy},
		{"the kubernetes.io example", "", patterns("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr.ecr-fips.*.amazonaws.com", "*.dkr.ecr.us-iso-east-1.c2s.ic.gov", "*.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"), want{}},
		{"one account in one region", "", patterns("123456789012.dkr.ecr.eu-central-1.amazonaws.com"), lossy},
		{"a scheme", "", and("https://*.dkr.ecr.*.amazonaws.com"), want{"pattern-never-matches": Caution}},
		{"only a scheme", "", patterns("https://*.dkr.ecr.*.amazonaws.com"), want{"provider-never-asked": Fatal, "pattern-never-matches": Caution, "patterns-lose-registries": Caution, "patterns-lose-partitions": Note}},
		{"a comma", "", and("*.dkr.ecr.*.amazonaws.com,"), want{"pattern-never-matches": Caution}},
		{"nothing at all", "", and(""), want{"pattern-never-matches": Caution}},
		{"a space in the path", "", and("a.example.com/b "), want{"pattern-never-matches": Caution}},
		{"an empty label", "", and("*..amazonaws.com"), want{"pattern-never-matches": Caution}},
		{"a glob in the path", "", and("a.example.com/*"), want{"pattern-never-matches": Caution}},
		{"a bad glob in the path", "", and("a.example.com/a[b"), want{"pattern-never-matches": Caution}},
		{"a tag", "", and("a.example.com/b:1.0"), want{"pattern-never-matches": Caution}},
		{"capitals in the path", "", and("a.example.com/Team"), want{"pattern-never-matches": Caution}},
		{"two ports", "", and("a.example.com:1:2"), want{"pattern-never-matches": Caution}},
		{"a password in a pattern", "", and("user:pass@a.example.com/*"), want{"pattern-never-matches": Caution}},
		{"brackets", "", and("x[ab].example.com"), want{"pattern-brackets": Fatal}},
		{"brackets, not going to 1.31", "1.26-1.30", and("x[ab].example.com"), want{}},
		{"a star", "", and("*"), want{"pattern-too-wide": Caution}},
		{"two stars", "", and("*.*"), want{"pattern-too-wide": Caution}},
		{"all of AWS", "", and("*.*.*.*.amazonaws.com"), want{"pattern-too-wide": Caution}},
		{"any domain", "", and("*.dkr.ecr.*.*.com"), want{"pattern-too-wide": Caution}},
		{"a star for every label", "", and("*.*.*.*.*.*.*"), want{"pattern-too-wide": Caution}},
		{"any port 5000", "", and("*.*.*:5000"), want{"pattern-too-wide": Caution}},
		{"public ECR", "", and("public.ecr.aws"), want{"pattern-public-ecr": Note}},
		{"ACR's own config", "", of(ACR, func(*Registry) {}), want{}},
		{"GCP's own config", "", of(GCP, func(*Registry) {}), want{}},
		{"ACR without its cloud config", "", of(ACR, func(r *Registry) { r.Args = nil }), want{"args-missing": Fatal}},
		{"GCP without its subcommand", "", of(GCP, func(r *Registry) { r.Args = []string{"--v=3"} }), want{"args-missing": Fatal}},
		{"--v=3 is GCP's own", "", of(GCP, func(r *Registry) { r.Args = append(r.Args, "--v=3") }), want{}},
		{"ACR without the rare clouds", "", of(ACR, func(r *Registry) { r.Patterns = r.Patterns[:1] }), want{"patterns-lose-partitions": Note}},
		{"one registry of Azure", "", of(ACR, func(r *Registry) { r.Patterns = []Pattern{{Glob: "team.azurecr.cn"}} }), want{"patterns-lose-registries": Caution, "patterns-lose-partitions": Note}},
		{"GCP without Artifact Registry", "", of(GCP, func(r *Registry) { r.Patterns = r.Patterns[:3] }), want{"patterns-lose-registries": Caution}},
		{"all known partitions", "", func(p *Provider) {
			var globs []string
			for _, x := range Patterns() {
				globs = append(globs, x.Glob)
			}
			patterns(globs...)(p)
		}, want{}},
		{"nobody else's provider is judged like ECR's", "", func(p *Provider) {
			patterns("*.azurecr.io")(p)
			edit("name: ecr-credential-provider", "name: other")(p)
			edit("providers:", "providers:")(p)
			p.Binaries["other"] = Binary{State: PathRegular, Executable: true}
			p.Config = append(p.Config, "  args: [--v=3]\n"...)
		}, want{}},
		{"a config that even 1.26 refuses", "", edit("kind: CredentialProviderConfig", "kind: X"), want{}},
		{"a config that only 1.24 refuses", "1.24-1.26", func(p *Provider) { patterns("*")(p) }, lossyAnd("pattern-too-wide", Caution)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := flawless(t)
			tt.change(&p)
			from, to, _ := strings.Cut(tt.from, "-")
			if tt.from == "" {
				from, to = "1.26", "1.32"
			}
			v, err := ParseVersion(from)
			if err != nil {
				t.Fatal(err)
			}
			target, err := ParseVersion(to)
			if err != nil {
				t.Fatal(err)
			}
			got := want{}
			for _, r := range Foresee(v, target, p) {
				got[r.Code] = r.Level
				delete(silent, r.Code)
				if r.Text == "" || r.Todo == "" || strings.ContainsAny(r.Text, "\n\x1b") || strings.Contains(r.Text, "pass@") {
					t.Errorf("%s says %q, to do %q", r.Code, r.Text, r.Todo)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for code := range silent {
		t.Errorf("no case makes %s speak", code)
	}
}

func TestForeseeCatalogue(t *testing.T) {
	codes := map[string]bool{}
	for _, r := range append(ForeseeCatalogue(), Catalogue()...) {
		if codes[r.Code] {
			t.Errorf("the code %s comes twice", r.Code)
		}
		codes[r.Code] = true
		if r.Text == "" || r.Todo == "" {
			t.Errorf("%s has no meaning, or nothing to do", r.Code)
		}
	}
}

// A config with thousands of bad entries says so in a few lines.
func TestForeseeIsShort(t *testing.T) {
	p := flawless(t)
	p.Config = []byte(strings.Replace(string(p.Config), "  matchImages:\n", "  matchImages:\n"+strings.Repeat("  - https://x%d\n", 300), 1))
	for i := range 300 {
		p.Config = []byte(strings.Replace(string(p.Config), "x%d", fmt.Sprintf("x%d", i), 1))
	}
	remarks := Foresee(Version{1, 26}, Version{1, 32}, p)
	if len(remarks) != maxTexts+1 {
		t.Fatalf("%d remarks", len(remarks))
	}
	if got := remarks[maxTexts].Text; got != "and 295 more of this kind" {
		t.Error(got)
	}
}

// Whatever keeps a later kubelet from starting is foreseen.
func TestForeseeMissesNoRefusal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, label) }
		config := "apiVersion: kubelet.config.k8s.io/" + pick("config API", "v1alpha1", "v1beta1", "v1") + "\nkind: CredentialProviderConfig\n" + pick("top", "", "foo: 1\n", "kind: CredentialProviderConfig\n") + "providers:\n"
		for range rapid.IntRange(1, 3).Draw(rt, "providers") {
			config += "- name: " + pick("name", "ecr-credential-provider", "other", "amazon-ecr", "azure", ".dockercfg", "google-dockercfg", `""`, `"a\tb"`) + "\n" +
				"  apiVersion: credentialprovider.kubelet.k8s.io/" + pick("API", "v1alpha1", "v1beta1", "v1") + "\n" +
				"  matchImages: [" + pick("pattern", `"*.dkr.ecr.*.amazonaws.com"`, `"x[a].io"`, `"a:1:2"`) + "]\n  defaultCacheDuration: 12h\n" +
				pick("field", "", "  foo: 1\n", "  Args: []\n", "  tokenAttributes: {}\n", "  tokenAttributes: {}\n  foo: 1\n", "  name: other\n")
		}
		p := good(config + pick("end", "", "---\nx: y\n"))
		for name := range p.Binaries {
			p.Binaries[name] = rapid.SampledFrom([]Binary{
				{State: PathRegular, Executable: true}, {State: PathRegular, Executable: true}, {State: PathRegular}, {State: PathDirectory}, {State: PathOther}, {State: PathMissing}, {},
			}).Draw(rt, name)
		}
		v := Version{1, uint(rapid.IntRange(20, 35).Draw(rt, "v"))}
		target := Version{1, uint(rapid.IntRange(int(v.Minor), 35).Draw(rt, "target"))}
		r := Start(target, p)
		if r == nil || Start(v, p) != nil {
			return
		}
		for _, remark := range Foresee(v, target, p) {
			if remark.Level >= Caution && (strings.HasPrefix(remark.Code, "config-") || strings.HasPrefix(remark.Code, "binary-") || remark.Code == "provider-name-empty") {
				return
			}
		}
		rt.Fatalf("a %s kubelet starts, a %s one does not, and nothing is said: %s\n%s", v, target, r.Reason, p.Config)
	})
}
