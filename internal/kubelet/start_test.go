package kubelet

import (
	"fmt"
	"strings"
	"testing"
)

// The columns of the table: one kubelet for each set of rules.
var columns = []Version{{1, 23}, {1, 24}, {1, 26}, {1, 29}, {1, 30}, {1, 32}, {1, 33}, {1, 34}}

// base is a config that is right everywhere; its parts can be replaced.
const base = `apiVersion: kubelet.config.k8s.io/v1alpha1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages:
  - "*.dkr.ecr.*.amazonaws.com"
  defaultCacheDuration: "12h"
  apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1
`

// baseJSON is the same in the form of most recorded cases.
const baseJSON = `{"apiVersion":"kubelet.config.k8s.io/v1alpha1","kind":"CredentialProviderConfig","providers":[{"name":"ecr-credential-provider",` +
	`"matchImages":["*.dkr.ecr.*.amazonaws.com"],"defaultCacheDuration":"12h","apiVersion":"credentialprovider.kubelet.k8s.io/v1alpha1"}]}`

// good is a node where everything is right for every kubelet.
func good(config string) Provider {
	elf := Binary{State: PathRegular, Executable: true, Format: "elf", Arch: "amd64", Answered: true, Speaks: []API{APIv1alpha1}, Owner: "0:0", Mode: "755"}
	return Provider{
		ConfigPath: "/opt/aws/config/config.yaml", ConfigState: PathRegular, Config: []byte(config), ConfigMode: "644",
		BinDir: "/opt/aws/bin", BinDirState: PathDirectory, BinDirMode: "755", Arch: "amd64",
		Binaries: map[string]Binary{"ECR-credential-provider": {State: PathMissing}, ProviderName: elf, "amazon-ecr": elf, "azure": elf, "google-dockercfg": elf, ".dockercfg": elf, "other": elf},
	}
}

// with gives the base config with one part replaced.
func with(t *testing.T, old, replacement string) string {
	t.Helper()
	if !strings.Contains(base, old) {
		t.Fatalf("the base config has no %q", old)
	}
	return strings.Replace(base, old, replacement, 1)
}

const pattern = `"*.dkr.ecr.*.amazonaws.com"`

func TestStartWithConfig(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		want         string // a letter for each column: . starts, R exits 1, F exits 255
		reason       string // the first refusal's begins with it
	}{
		{"the base", base, "........", ""},
		{"the base as JSON", baseJSON, "........", ""},
		{"wrong group", with(t, "kubelet.config.k8s.io", "kubelet.k8s.io"), "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: no kind "CredentialProviderConfig" is registered for version "kubelet.k8s.io/v1alpha1"`},
		{"the config API of 1.24", with(t, "kubelet.config.k8s.io/v1alpha1", "kubelet.config.k8s.io/v1beta1"), "R.......", `error decoding config /opt/aws/config/config.yaml: no kind "CredentialProviderConfig" is registered for version "kubelet.config.k8s.io/v1beta1"`},
		{"the config API of 1.26", with(t, "kubelet.config.k8s.io/v1alpha1", "kubelet.config.k8s.io/v1"), "RR......", `error decoding config /opt/aws/config/config.yaml: no kind "CredentialProviderConfig" is registered for version "kubelet.config.k8s.io/v1"`},
		{"the provider API of 1.24", with(t, "credentialprovider.kubelet.k8s.io/v1alpha1", "credentialprovider.kubelet.k8s.io/v1beta1"), "R.......", `failed to validate credential provider config: providers.apiVersion: Unsupported value: "credentialprovider.kubelet.k8s.io/v1beta1": supported values: "credentialprovider.kubelet.k8s.io/v1alpha1"`},
		{"the provider API of 1.26", with(t, "credentialprovider.kubelet.k8s.io/v1alpha1", "credentialprovider.kubelet.k8s.io/v1"), "RR......", `failed to validate credential provider config: providers.apiVersion: Unsupported value: "credentialprovider.kubelet.k8s.io/v1": supported values: "credentialprovider.kubelet.k8s.io/v1alpha1"`},
		{"empty file", "", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: Object 'Kind' is missing in the file`},
		{"only comments", "# nothing\n", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: Object 'Kind' is missing in the file`},
		{"no providers", "apiVersion: kubelet.config.k8s.io/v1alpha1\nkind: CredentialProviderConfig\nproviders: []\n", "RRRRRRRR", `failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required`},
		{"the kubelet's other config", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: failed to decode "KubeletConfiguration" (wrong Kind)`},
		{"a request instead of a config", "apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1\nkind: CredentialProviderRequest\n", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: failed to decode "CredentialProviderRequest" (wrong Kind)`},
		{"name empty", with(t, "name: ecr-credential-provider", `name: ""`), "....RRRR", `error inspecting binary executable : exec: "/opt/aws/bin": is a directory`},
		{"name with space", with(t, "name: ecr-credential-provider", "name: ecr provider"), "RRRRRRRR", `failed to validate credential provider config: providers.name: Invalid value: "ecr provider": provider name cannot contain spaces`},
		{"name in the wrong case", with(t, "name: ecr", "name: ECR"), "RRRRRRRR", `plugin binary executable /opt/aws/bin/ECR-credential-provider did not exist`},
		{"name that no file can have", with(t, "name: ecr-credential-provider", `name: "ecr\0"`), "RRRRRRRR", `error inspecting binary executable /opt/aws/bin/ecr : stat /opt/aws/bin/ecr : invalid argument`},
		{"name longer than a file's", with(t, "name: ecr-credential-provider", "name: "+strings.Repeat("e", 256)), "RRRRRRRR", `error inspecting binary executable /opt/aws/bin/eee`},
		{"name with a tab, which nobody looks for", with(t, "name: ecr-credential-provider", `name: "ecr\tprovider"`), "RRRRRRRR", `plugin binary executable /opt/aws/bin/ecr provider did not exist`},
		{"name twice", base + base[strings.Index(base, "- name"):], "FFFFFFRR", `Credential provider "ecr-credential-provider" was registered twice`},
		{"name twice as JSON", strings.Replace(baseJSON, "}]}", `},{"name":"ecr-credential-provider","matchImages":["a"],"defaultCacheDuration":"0","apiVersion":"credentialprovider.kubelet.k8s.io/v1alpha1"}]}`, 1), "FFFFFFRR", `Credential provider "ecr-credential-provider" was registered twice`},
		{"in-tree ECR name", with(t, "name: ecr-credential-provider", "name: amazon-ecr"), "FFF.....", `Credential provider "amazon-ecr" was registered twice`},
		{"in-tree Azure name", with(t, "name: ecr-credential-provider", "name: azure"), "FFFF....", `Credential provider "azure" was registered twice`},
		{"in-tree Google name", with(t, "name: ecr-credential-provider", "name: google-dockercfg"), "FFFFF...", `Credential provider "google-dockercfg" was registered twice`},
		{"the name of the docker config", with(t, "name: ecr-credential-provider", "name: .dockercfg"), "FFFFFF..", `Credential provider ".dockercfg" was registered twice`},
		{"matchImages missing", with(t, "  matchImages:\n  - "+pattern+"\n", ""), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Required value: at least 1 item in matchImages is required`},
		{"image with tag as a pattern", with(t, pattern, "1.dkr.ecr.us-east-1.amazonaws.com:latest"), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Invalid value: "1.dkr.ecr.us-east-1.amazonaws.com:latest": match image is invalid: parse "https://1.dkr.ecr.us-east-1.amazonaws.com:latest": invalid port ":latest" after host`},
		{"glob as a port", with(t, pattern, `"registry.io:*"`), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Invalid value: "registry.io:*": match image is invalid: parse "https://registry.io:*": invalid port ":*" after host`},
		{"open bracket", with(t, pattern, `"[.dkr.ecr.*.amazonaws.com"`), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Invalid value: "[.dkr.ecr.*.amazonaws.com": match image is invalid: parse "https://[.dkr.ecr.*.amazonaws.com": missing ']' in host`},
		{"brackets and words behind", with(t, pattern, `"[a-z].amazonaws.com"`), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Invalid value: "[a-z].amazonaws.com": match image is invalid: parse "https://[a-z].amazonaws.com": invalid port ".amazonaws.com" after host`},
		{"brackets in the middle", with(t, pattern, `"x[a-z].amazonaws.com"`), "........", ""},
		{"two ports", with(t, pattern, `"registry.io:80:80"`), "........", ""},
		{"user in a pattern", with(t, pattern, `"user@registry.io"`), "........", ""},
		{"wrong case of matchImages", with(t, "matchImages", "matchimages"), "RRRRRRRR", `failed to validate credential provider config: providers.matchImages: Required value`},
		{"wrong case beside the right one", with(t, "  matchImages:", "  matchimages: [a]\n  matchImages:"), ".....RRR", `error decoding config /opt/aws/config/config.yaml: strict decoding error: unknown field "providers[0].matchimages"`},
		{"args with a number", base + "  args: [1]\n", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: json: cannot unmarshal number into Go struct field CredentialProvider.providers.args of type string`},
		{"args as a text", base + "  args: get\n", "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: json: cannot unmarshal string into Go struct field CredentialProvider.providers.args of type []string`},
		{"env as a list", base + "  env: [{name: A, value: b}]\n", "........", ""},
		{"a second document that is broken", base + "---\n{[\n", "........", ""},
		{"a second document", base + "---\nfoo: bar\n", "........", ""},
		{"another kind's document first", "apiVersion: v1\nkind: ConfigMap\n---\n" + base, "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: no kind "ConfigMap" is registered for version "v1"`},
		{"Windows line ends", strings.ReplaceAll(base, "\n", "\r\n"), "........", ""},
		{"byte order mark", "\xef\xbb\xbf" + base, "........", ""},
		{"byte order mark before JSON", "\xef\xbb\xbf" + baseJSON, "........", ""},
		{"UTF-16", "\xff\xfea\x00p\x00i\x00", "RRRRRRRR", "error decoding config /opt/aws/config/config.yaml: "},
		{"trailing comma in JSON", strings.Replace(baseJSON, `com"]`, `com",]`, 1), "RRRRRRRR", `error decoding config /opt/aws/config/config.yaml: couldn't get version/kind; json parse error: invalid character ']' looking for beginning of value`},
		{"the file appended to itself", base + base, ".....RRR", `error decoding config /opt/aws/config/config.yaml: strict decoding error: yaml: unmarshal errors:`},
		{"tokenAttributes", base + "  tokenAttributes: {serviceAccountTokenAudience: a, requireServiceAccount: true}\n", ".....RR.", `error decoding config /opt/aws/config/config.yaml: strict decoding error: unknown field "providers[0].tokenAttributes"`},
		{"tokenAttributes and another field", base + "  tokenAttributes: {}\n  foo: 1\n", ".....RRR", `error decoding config /opt/aws/config/config.yaml: strict decoding error: unknown field "providers[0].foo", unknown field "providers[0].tokenAttributes"`},
		{"not a number", with(t, `"12h"`, ".nan"), "RRRRRRRR", "error decoding config /opt/aws/config/config.yaml: json: unsupported value: NaN"},
		{"null instead of a provider", "apiVersion: kubelet.config.k8s.io/v1alpha1\nkind: CredentialProviderConfig\nproviders: [null]\n", "RRRRRRRR", "failed to validate credential provider config: [providers.apiVersion: Required value"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, good(tt.config), tt.want, tt.reason) })
	}
}

func check(t *testing.T, p Provider, want, reason string) {
	t.Helper()
	got, first := "", ""
	for _, v := range columns {
		r := Start(v, p)
		switch outcome(r) {
		case "accepts":
			got += "."
		case "exits 1":
			got += "R"
		default:
			got += "F"
		}
		if r != nil && first == "" {
			first = r.Reason
		}
	}
	if got != want {
		t.Errorf("%s, not %s, by %v: %s", got, want, columns, first)
	}
	if last := columns[len(columns)-1]; outcome(Start(Version{1, 35}, p)) != outcome(Start(last, p)) {
		t.Errorf("1.35 is not like %s", last)
	}
	if !strings.HasPrefix(first, reason) || reason == "" && first != "" {
		t.Errorf("says %q, not %q", first, reason)
	}
}

func TestStartWithFiles(t *testing.T) {
	binary := func(b Binary) func(*Provider) {
		return func(p *Provider) { p.Binaries[ProviderName] = b }
	}
	for _, tt := range []struct {
		name   string
		change func(*Provider)
		want   string
		reason string
	}{
		{"binary missing", binary(Binary{State: PathMissing}), "RRRRRRRR", "plugin binary executable /opt/aws/bin/ecr-credential-provider did not exist"},
		{"binary dangling", binary(Binary{State: PathDangling}), "RRRRRRRR", "plugin binary executable /opt/aws/bin/ecr-credential-provider did not exist"},
		{"binary a symlink loop", binary(Binary{State: PathLoop}), "RRRRRRRR", "error inspecting binary executable /opt/aws/bin/ecr-credential-provider: stat /opt/aws/bin/ecr-credential-provider: too many levels of symbolic links"},
		{"binary not executable", binary(Binary{State: PathRegular}), "....RRRR", `error inspecting binary executable : exec: "/opt/aws/bin/ecr-credential-provider": permission denied`},
		{"binary a directory", binary(Binary{State: PathDirectory, Executable: true}), "....RRRR", `error inspecting binary executable : exec: "/opt/aws/bin/ecr-credential-provider": is a directory`},
		{"binary a pipe", binary(Binary{State: PathOther}), "....RRRR", `error inspecting binary executable : exec: "/opt/aws/bin/ecr-credential-provider": permission denied`},
		{"binary empty", binary(Binary{State: PathRegular, Executable: true, Format: "empty"}), "........", ""},
		{"binary unknown", func(p *Provider) { delete(p.Binaries, ProviderName) }, "........", ""},
		{"binary could not be looked at", binary(Binary{}), "........", ""},
		{"bin dir missing", func(p *Provider) { p.BinDirState = PathMissing }, "RRRRRRRR", "plugin binary directory /opt/aws/bin did not exist"},
		{"bin dir dangling", func(p *Provider) { p.BinDirState = PathDangling }, "RRRRRRRR", "plugin binary directory /opt/aws/bin did not exist"},
		{"bin dir a loop", func(p *Provider) { p.BinDirState = PathLoop }, "RRRRRRRR", "error inspecting binary directory /opt/aws/bin: stat /opt/aws/bin: too many levels of symbolic links"},
		{"bin dir a file", func(p *Provider) { p.BinDirState = PathRegular }, "RRRRRRRR", "error inspecting binary executable /opt/aws/bin/ecr-credential-provider: stat /opt/aws/bin/ecr-credential-provider: not a directory"},
		{"bin dir unnamed", func(p *Provider) { p.BinDir, p.BinDirState = "", PathMissing }, "RRRRRRRR", "plugin binary directory  did not exist"},
		{"bin dir unknown", func(p *Provider) { p.BinDirState = PathUnknown }, "........", ""},
		{"config unnamed", func(p *Provider) { p.ConfigPath, p.ConfigState = "", PathMissing }, "RRRRRRRR", "credential provider config path is empty"},
		{"config missing", func(p *Provider) { p.ConfigState = PathMissing }, "RRRRRRRR", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": open /opt/aws/config/config.yaml: no such file or directory`},
		{"config dangling", func(p *Provider) { p.ConfigState = PathDangling }, "RRRRRRRR", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": open`},
		{"config a directory, which 1.34 reads", func(p *Provider) { p.ConfigState = PathDirectory }, "RRRRRRR.", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": read /opt/aws/config/config.yaml: is a directory`},
		{"config a loop", func(p *Provider) { p.ConfigState = PathLoop }, "RRRRRRRR", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": open /opt/aws/config/config.yaml: too many levels of symbolic links`},
		{"config unreadable", func(p *Provider) { p.ConfigState = PathUnreadable }, "RRRRRRRR", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": open /opt/aws/config/config.yaml: permission denied`},
		{"config a pipe", func(p *Provider) { p.ConfigState = PathOther }, "RRRRRRRR", `unable to read external registry credential provider configuration from "/opt/aws/config/config.yaml": /opt/aws/config/config.yaml is not a regular file`},
		{"config unknown", func(p *Provider) { p.ConfigState = PathUnknown }, "........", ""},
		{"the bin dir is looked at before the config", func(p *Provider) { p.BinDirState, p.ConfigState = PathMissing, PathMissing }, "RRRRRRRR", "plugin binary directory"},
		{"the config before the binaries", func(p *Provider) { p.Config, p.Binaries = nil, nil }, "RRRRRRRR", "error decoding config"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := good(base)
			tt.change(&p)
			check(t, p, tt.want, tt.reason)
		})
	}
}

func TestStartOfOldKubelets(t *testing.T) {
	if r := Start(Version{1, 19}, good(base)); r == nil || r.Reason != "unknown flag: --image-credential-provider-config" || r.ExitCode != 1 {
		t.Errorf("1.19: %v", r)
	}
	// 1.20 calls klog.Fatalf for everything, 1.21 does not.
	if r := Start(Version{1, 20}, good("")); outcome(r) != "exits 255" {
		t.Errorf("1.20: %v", r)
	}
	if r := Start(Version{1, 21}, good("")); outcome(r) != "exits 1" {
		t.Errorf("1.21: %v", r)
	}
}

// A reason goes to terminals, logs and reports.
func TestReasonsHoldNoSecrets(t *testing.T) {
	const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
	env := "  env:\n  - name: AWS_SECRET_ACCESS_KEY\n    value: " + secret + "\n"
	for name, config := range map[string]string{
		"kind missing":           strings.Replace(base+env, "kind: CredentialProviderConfig\n", "", 1),
		"apiVersion missing":     strings.Replace(base+env, "apiVersion: kubelet.config.k8s.io/v1alpha1\n", "", 1),
		"value is a list":        base + "  env:\n  - name: A\n    value: [" + secret + "]\n",
		"value under an odd key": base + "  env:\n  - {[" + secret + "]: " + secret + "}\n",
		"value with a wrong tag": base + "  env:\n  - value: !!int " + secret + "\n",
		"value as an alias":      base + "  env:\n  - value: *" + secret + "\n",
		"value not closed":       base + "  env:\n  - value: \"" + secret + "\n",
		"not UTF-8":              base + "  env:\n  - value: \"" + secret + "\xff\"\n",
		"JSON cut in the value":  strings.TrimSuffix(baseJSON, "}]}") + `,"env":[{"name":"A","value":"` + secret,
		"JSON garbage after":     baseJSON + secret,
		"only the secret":        secret,
		"value as an odd key":    base + "  env:\n  - {{" + secret + ": 1}: 1}\n",
		"anchor within itself":   base + "  env: &" + secret + "\n  - *" + secret + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range columns {
				r := Start(v, good(config))
				if r == nil {
					t.Fatalf("%s starts", v)
				}
				if strings.Contains(r.Reason, secret[:8]) {
					t.Errorf("%s says %q", v, r.Reason)
				}
			}
			for _, r := range Foresee(Version{1, 26}, Version{1, 32}, good(config)) {
				if strings.Contains(r.Text, secret[:8]) {
					t.Errorf("%s says %q", r.Code, r.Text)
				}
			}
		})
	}
}

// A config that is huge, deep or a bomb must not take long, and is not good.
func TestStartIsBounded(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString(base + "  args:\n  - &a " + strings.Repeat("x", 20_000) + "\n")
	for range 5_000 {
		bomb.WriteString("  - *a\n")
	}
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'l'; i++ {
		laughs += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, config := range map[string]string{
		"huge":          base + "#" + strings.Repeat("x", maxConfig),
		"bomb":          bomb.String(),
		"laughs":        laughs,
		"deep YAML":     strings.Repeat("[", maxConfig/2),
		"deep JSON":     `{"a":` + strings.Repeat("[", maxConfig/2),
		"deep blocks":   strings.Repeat("- ", maxConfig/4),
		"many patterns": with(t, pattern, strings.Repeat("[\n  - ", 1)) + strings.Repeat("a,", maxConfig/4),
	} {
		t.Run(name, func(t *testing.T) {
			p := good(config)
			for _, v := range []Version{{1, 24}, {1, 32}} {
				if r := Start(v, p); r == nil || len(r.Reason) > 4*maxReason {
					t.Errorf("%s: %v", v, r)
				}
			}
			Foresee(Version{1, 24}, Version{1, 35}, p)
			if names := ProviderNames(p.Config); len(names) > maxNames {
				t.Errorf("%d names", len(names))
			}
		})
	}
}
