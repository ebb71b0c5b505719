package rkeconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPatchShapes(t *testing.T) {
	want := Patch{
		Args:  map[string]string{binDirArg: "/opt/aws/bin", configArg: "/opt/aws/config/p.yaml"},
		Binds: []string{"/opt/aws/bin:/opt/aws/bin", "/opt/aws/config:/opt/aws/config:ro"},
	}
	tests := map[string]string{
		"as the article has it": `
rancher_kubernetes_engine_config:
  services:
    kubelet:
      extra_args:
        - image-credential-provider-bin-dir: /opt/aws/bin
        - image-credential-provider-config: /opt/aws/config/p.yaml
      extra_binds:
        - '/opt/aws/bin:/opt/aws/bin'
        - '/opt/aws/config:/opt/aws/config:ro'
`,
		"under services": `
services:
  kubelet:
    extra_args:
      image-credential-provider-bin-dir: /opt/aws/bin
      image-credential-provider-config: "/opt/aws/config/p.yaml"
    extra_binds: ["/opt/aws/bin:/opt/aws/bin", "/opt/aws/config:/opt/aws/config:ro"]
`,
		"under kubelet, with comments": `
# for ECR
kubelet: # all nodes
  extra_binds:
  - /opt/aws/bin:/opt/aws/bin
  - /opt/aws/config:/opt/aws/config:ro
  extra_args: {image-credential-provider-bin-dir: /opt/aws/bin, image-credential-provider-config: /opt/aws/config/p.yaml}
`,
		"bare, in camelCase, as JSON": `{"extraArgs": {"image-credential-provider-bin-dir": "/opt/aws/bin", "image-credential-provider-config": "/opt/aws/config/p.yaml"},
 "extraBinds": ["/opt/aws/bin:/opt/aws/bin", "/opt/aws/config:/opt/aws/config:ro"]}`,
		"camelCase all the way": `
rancherKubernetesEngineConfig: {services: {kubelet: {extraArgs: [{image-credential-provider-bin-dir: /opt/aws/bin, image-credential-provider-config: /opt/aws/config/p.yaml}],
  extraBinds: [/opt/aws/bin:/opt/aws/bin, /opt/aws/config:/opt/aws/config:ro]}}}`,
		"marked as a document, with Windows line ends": "---\r\nextra_args:\r\n  image-credential-provider-bin-dir: /opt/aws/bin\r\n  image-credential-provider-config: /opt/aws/config/p.yaml\r\nextra_binds:\r\n- /opt/aws/bin:/opt/aws/bin\r\n- /opt/aws/config:/opt/aws/config:ro\r\n...\r\n",
		"with empty documents around it": "---\n---\nextra_args: {image-credential-provider-bin-dir: /opt/aws/bin, image-credential-provider-config: /opt/aws/config/p.yaml}\n" +
			"extra_binds: [/opt/aws/bin:/opt/aws/bin, /opt/aws/config:/opt/aws/config:ro]\n---\n",
		"with spaces that Rancher would trim": `
extra_args:
  image-credential-provider-bin-dir: "  /opt/aws/bin "
  image-credential-provider-config: |
    /opt/aws/config/p.yaml
extra_binds: [" /opt/aws/bin:/opt/aws/bin", "/opt/aws/config:/opt/aws/config:ro", "/opt/aws/bin:/opt/aws/bin"]
`,
		"with an anchor": `
extra_args: {image-credential-provider-bin-dir: &bin /opt/aws/bin, image-credential-provider-config: /opt/aws/config/p.yaml}
extra_binds: [/opt/aws/bin:/opt/aws/bin, &c "/opt/aws/config:/opt/aws/config:ro", *c]
`,
	}
	for name, src := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ReadPatch([]byte(src))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadPatchValues(t *testing.T) {
	for src, want := range map[string]string{
		"true": "true", "false": "false", "5": "5", "-1": "-1", "0": "0", "1.5": "1.5",
		`"yes"`: "yes", `"010"`: "010", "'1.50'": "1.50", `""`: "", "text": "text", "10%": "10%", "2020-01-01": "2020-01-01", "12:30:00": "12:30:00", "!!str 5": "5",
		"memory.available<100Mi,nodefs.available<10%": "memory.available<100Mi,nodefs.available<10%",
		"RotateKubeletServerCertificate=true,A=false": "RotateKubeletServerCertificate=true,A=false",
		`"é"`: "é",
	} {
		got, err := ReadPatch([]byte("extra_args:\n  some-flag: " + src + "\n"))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got.Args["some-flag"] != want {
			t.Errorf("%s is read as %q, want %q", src, got.Args["some-flag"], want)
		}
	}
}

func TestReadPatchRefuses(t *testing.T) {
	tests := []struct {
		name, src string
		says      []string // all of them in the error
	}{
		{"an empty file", "", []string{"it is empty", "extra_args"}},
		{"only comments", "# nothing\n", []string{"it is empty"}},
		{"null", "null", []string{"it is empty"}},
		{"tilde", "~", []string{"it is empty"}},
		{"no YAML", "extra_args: [\n", []string{"line 1", "not YAML"}},
		{"tabs", "extra_args:\n\tv: 2\n", []string{"line 2", "not YAML", "tabs"}},
		{"HTML", "<html><body>Sign in</body></html>", []string{"line 1", "not a map"}},
		{"a list", "- extra_args\n", []string{"not a map"}},
		{"a text", "hunter2", []string{"not a map"}},
		{"binary", "\x00\x01\x02", []string{"not YAML"}},
		{"bad UTF-8", "extra_args:\n  v: \xff\xfe\n", []string{"not YAML"}},
		{"two documents", "extra_args: {v: 2}\n---\nextra_args: {v: 3}\n", []string{"more than one YAML document"}},
		{"a broken second document", "extra_args: {v: 2}\n---\n[\n", []string{"not YAML"}},
		{"too long", "# " + strings.Repeat("x", maxPatch), []string{"bytes", "right file"}},
		{"too deep", strings.Repeat("[", 100_000), []string{"not YAML"}},
		{"an alias bomb", aliasBomb(), []string{"extra_args.a: it is not a single value"}},
		{"an unknown alias", "extra_args: *a\n", []string{"not YAML"}},

		{"nothing set", "kubelet: {}\n", []string{"kubelet: it sets nothing", "extra_args"}},
		{"nothing at all", "{}", []string{"it sets nothing"}},
		{"empty args and binds", "extra_args: {}\nextra_binds: []\n", []string{"it sets nothing"}},
		{"an empty list of args", "extra_args: []\n", []string{"it sets nothing"}},
		{"services without kubelet", "services: {}\n", []string{"services: it sets nothing", "put kubelet under it"}},
		{"services null", "services:\n", []string{"services: it is null"}},
		{"args null", "extra_args:\nextra_binds: [/a:/a]\n", []string{"extra_args: it is null", "leave it out"}},
		{"binds null", "extra_args: {v: 2}\nextra_binds: ~\n", []string{"extra_binds: it is null"}},

		{"a typing error", "extra_arg: {v: 2}\n", []string{"extra_arg: unknown key", "extra_args"}},
		{"a key beside the wrapper", "rancher_kubernetes_engine_config: {services: {kubelet: {extra_args: {v: 2}}}}\ndocker_root_dir: /x\n", []string{"docker_root_dir: it is not part"}},
		{"a key beside services", "rancher_kubernetes_engine_config: {services: {kubelet: {extra_args: {v: 2}}}, network: {mtu: 1}}\n", []string{"rancher_kubernetes_engine_config.network: it is not part"}},
		{"another service", "services: {kubelet: {extra_args: {v: 2}}, kube-api: {extra_args: {v: 2}}}\n", []string{"services.kube-api: only services.kubelet"}},
		{"only another service", "services: {etcd: {extra_args: {v: 2}}}\n", []string{"services.etcd: only services.kubelet"}},
		{"args beside kubelet", "kubelet: {extra_args: {v: 2}}\nextra_args: {v: 2}\n", []string{"extra_args: only services.kubelet"}},
		{"the environment", "kubelet: {extra_env: [A=hunter2]}\n", []string{"kubelet.extra_env: it can not be patched", "Rancher"}},
		{"the environment in camelCase", "extraEnv: [A=hunter2]\n", []string{"extraEnv: it can not be patched"}},
		{"Windows args", "win_extra_args: {v: 2}\n", []string{"win_extra_args: it can not be patched"}},
		{"Windows binds", "winExtraBinds: [a]\n", []string{"winExtraBinds: it can not be patched"}},
		{"args array", "extra_args_array: {v: [2]}\n", []string{"extra_args_array: it can not be patched", "extra_args"}},
		{"another setting", "fail_swap_on: true\nextra_args: {v: 2}\n", []string{"fail_swap_on: unknown key"}},

		{"a key twice", "extra_args:\n  v: 2\n  v: 3\n", []string{"line 3", "extra_args: a key is there twice"}},
		{"a key twice at the top", "extra_args: {v: 2}\nextra_args: {v: 3}\n", []string{"line 2", "twice"}},
		{"a key twice in the list", "extra_args: [{v: 2}, {v: 3}]\n", []string{"extra_args[1].v: it is there twice"}},
		{"two spellings of args", "extra_args: {v: 2}\nextraArgs: {v: 2}\n", []string{"twice, in two spellings"}},
		{"two spellings of empty args", "extra_args: {}\nextraArgs: {v: 2}\n", []string{"twice, in two spellings"}},
		{"two spellings of binds", "extra_binds: [/a:/a]\nextraBinds: []\n", []string{"twice, in two spellings"}},

		{"args are a text", "extra_args: v=2\n", []string{"line 1", "extra_args: it is not a map", "name: value"}},
		{"args are a list of texts", "extra_args:\n- --v=2\n", []string{"line 2", "extra_args[0]: it is not a map", "without dashes"}},
		{"args are a list of nulls", "extra_args: [~]\n", []string{"extra_args[0]: it is null"}},
		{"a flag with dashes", "extra_args: {--max-pods: 2}\n", []string{"extra_args.\"--max-pods\": it is not the name of a kubelet flag", "write max-pods"}},
		{"a flag with underscores", "extra_args: {max_pods: 2}\n", []string{"extra_args.max_pods", "write max-pods"}},
		{"a flag in capitals", "extra_args: {Max-Pods: 2}\n", []string{"write max-pods"}},
		{"a flag that is none", "extra_args: {'a b': 2}\n", []string{`extra_args."a b": it is not the name`, "lower case with dashes"}},
		{"a flag with control characters", "extra_args: {\"a\\e[2J\": 2}\n", []string{`a\x1b[2J`}},
		{"a flag without name", "extra_args: {'': 2}\n", []string{`extra_args."": it is not the name`}},
		{"a flag with an endless name", "extra_args: {" + strings.Repeat("A", 900) + ": 2}\n", []string{"AAA…"}},
		{"a null value", "extra_args: {v: }\n", []string{"extra_args.v: it is null"}},
		{"a null in capitals", "extra_args: {v: NULL}\n", []string{"extra_args.v: it is null"}},
		{"a list value", "extra_args: {v: [hunter2]}\n", []string{"extra_args.v: it is not a single value"}},
		{"a map value", "extra_args: {v: {a: hunter2}}\n", []string{"extra_args.v: it is not a single value"}},
		{"yes", "extra_args: {v: yes}\n", []string{"extra_args.v: YAML and Rancher", "in quotes"}},
		{"True", "extra_args: {v: True}\n", []string{"in quotes"}},
		{"an octal number", "extra_args: {v: 010}\n", []string{"in quotes"}},
		{"a hexadecimal number", "extra_args: {v: 0x10}\n", []string{"in quotes"}},
		{"a fraction with a zero", "extra_args: {v: 1.50}\n", []string{"in quotes"}},
		{"infinity", "extra_args: {v: .inf}\n", []string{"in quotes"}},
		{"binary data", "extra_args: {v: !!binary AAE=}\n", []string{"control characters"}},
		{"broken binary data", "extra_args: {v: !!binary hunter2!}\n", []string{"not"}},
		{"several lines", "extra_args:\n  v: |\n    a\n    b\n", []string{"extra_args.v: it holds control characters or several lines"}},

		{"binds are a text", "extra_binds: /a:/a\n", []string{"line 1", "extra_binds: it is not a list"}},
		{"binds are a map", "extra_binds: {/a: /a}\n", []string{"extra_binds: it is not a list"}},
		{"a bind is a map", "extra_binds: [{source: /a, target: /a}]\n", []string{"extra_binds[0]: it is not a single value"}},
		{"a bind without quotes and with a space", "extra_binds:\n- /a: /b\n", []string{"extra_binds[0]: it is not a single value"}},
		{"a bind is null", "extra_binds: [/a:/a, ~]\n", []string{"extra_binds[1]: it is null"}},
		{"a bind is empty", "extra_binds: ['']\n", []string{"extra_binds[0]: it is not a bind", "host:container"}},
		{"a bind is relative", "extra_binds: ['./a:/a']\n", []string{"host path does not begin with /"}},
		{"a bind to nowhere", "extra_binds: ['/a:b']\n", []string{"container path does not begin with /"}},
		{"a bind to the root", "extra_binds: ['/a:/.']\n", []string{"container path is /"}},
		{"a bind with unknown options", "extra_binds: ['/a:/a:readonly']\n", []string{"mount option"}},
		{"a bind with a Windows path", `extra_binds: ['c:\a:c:\a']` + "\n", []string{"4 parts"}},
		{"a bind with four parts", "extra_binds: ['/a:/b:ro:z']\n", []string{"4 parts"}},
		{"two binds to one path", "extra_binds: ['/a:/b', '/c:/b/']\n", []string{"extra_binds[1]: another bind has the same container path"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadPatch([]byte(tt.src))
			if err == nil {
				t.Fatalf("it was taken: %+v", got)
			}
			checkPatchError(t, err)
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the patch: %v", err)
			}
		})
	}
}

func checkPatchError(t testing.TB, err error) {
	t.Helper()
	var patchErr *PatchError
	if !errors.Is(err, ErrPatch) || !errors.As(err, &patchErr) {
		t.Fatalf("%T is no patch error", err)
	}
	if patchErr.Reason == "" || patchErr.Hint == "" {
		t.Errorf("%+v has no reason or no hint", patchErr)
	}
	if strings.ContainsFunc(err.Error(), isControl) || len(err.Error()) > 600 {
		t.Errorf("the error is no clean line: %q", err)
	}
}

// aliasBomb is a value of 9¹⁰ items in a few lines.
func aliasBomb() string {
	var b strings.Builder
	b.WriteString("extra_args:\n  z0: &z0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "  z%d: &z%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*z%d,", i), 9), ","))
	}
	b.WriteString("  a: *z9\n")
	return b.String()
}
