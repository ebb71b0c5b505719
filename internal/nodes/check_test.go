package nodes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rkepatch/internal/kubelet"
)

func hostArch() string { return runtime.GOARCH }

// Everything that can be wrong on a node, put there for real and found by the
// real script.
func TestCheckScript(t *testing.T) {
	rancher := []Bind{{Host: "/var/lib/rancher", Container: "/var/lib/rancher"}}
	inRancher := func(q *Query) {
		q.ConfigPath, q.BinDir = "/var/lib/rancher/credentialprovider/config.yaml", "/var/lib/rancher/credentialprovider/bin"
		q.Binds = rancher
	}
	tests := []struct {
		name    string
		upset   func(tree)
		ask     func(*Query)
		version string // of the kubelet, else v1.26.15
		code    string // of the finding; "" when there is none above a note
		says    string // part of its message
	}{
		{name: "all is well", upset: func(tree) {}},
		{name: "and for 1.32", upset: func(tree) {}, ask: func(q *Query) { q.ForVersion = kubelet.Version{Major: 1, Minor: 32} }},
		{name: "nothing installed", upset: func(n tree) { n.remove("/opt") },
			code: kubeletRefuses, says: "plugin binary directory /opt/aws/bin did not exist"},
		{name: "no config", upset: func(n tree) { n.remove(configPath) }, code: kubeletRefuses, says: "no such file"},
		{name: "no binary", upset: func(n tree) { n.remove(plugin) }, code: kubeletRefuses, says: "did not exist"},
		{name: "another file in its place", upset: func(n tree) { n.remove(plugin); n.write(binDir+"/ecr-credential-provider-linux-amd64", "x", 0o755) },
			code: kubeletRefuses, says: "in that directory there is: ecr-credential-provider-linux-amd64"},

		{name: "config is a directory", upset: func(n tree) { n.remove(configPath); n.write(configPath+"/x", "", 0o644) },
			code: kubeletRefuses, says: "is a directory"},
		{name: "Docker made the config a directory", upset: func(n tree) { n.remove(configPath); n.mkdir(configPath) },
			code: emptyDirectory, says: "(on the host: " + configPath + ")"},
		{name: "Docker made the binary a directory", upset: func(n tree) { n.remove(plugin); n.mkdir(plugin) },
			code: emptyDirectory, says: plugin},
		{name: "Docker made the bin dir", upset: func(n tree) { n.remove(binDir); n.mkdir(binDir) },
			code: emptyDirectory, says: "the bin dir " + binDir},
		{name: "config is empty", upset: func(n tree) { n.write(configPath, "", 0o644) }, code: kubeletRefuses, says: "'Kind' is missing"},
		{name: "config is UTF-16", upset: func(n tree) { n.write(configPath, "\xff\xfea\x00p\x00i\x00", 0o644) }, code: configHidden, says: "zero bytes"},
		{name: "config is something else", upset: func(n tree) { n.write(configPath, "root:$6$salt$hash:19000:0:::\n", 0o644) },
			code: configHidden, says: "does not look like"},
		{name: "config with Latin-1 in a comment", upset: func(n tree) { n.write(configPath, "# f\xfcr ECR\n"+goodConfig, 0o644) },
			code: configHidden, says: "perhaps in a comment"},
		{name: "config is huge", upset: func(n tree) { n.write(configPath, goodConfig+strings.Repeat("# x\n", 30000), 0o644) },
			code: configHidden, says: "too large"},
		{name: "config does not compress", upset: func(n tree) { n.write(configPath, goodConfig+noise(9000), 0o644) },
			code: configHidden, says: "too large"},
		{name: "config with CRLF", upset: func(n tree) { n.write(configPath, strings.ReplaceAll(goodConfig, "\n", "\r\n"), 0o644) }},
		{name: "config with a BOM", upset: func(n tree) { n.write(configPath, "\xef\xbb\xbf"+goodConfig, 0o644) }},
		{name: "config with CRLF and keys", upset: func(n tree) { n.write(configPath, strings.ReplaceAll(withKeys, "\n", "\r\n"), 0o600) }},
		{name: "config appended twice is taken by 1.26", upset: func(n tree) { n.write(configPath, goodConfig+goodConfig, 0o644) },
			ask: func(q *Query) { q.ForVersion = kubelet.Version{Major: 1, Minor: 31} }, code: "config-careless"},
		{name: "config appended twice is refused by 1.32", upset: func(n tree) { n.write(configPath, goodConfig+goodConfig, 0o644) },
			version: "v1.32.0", code: kubeletRefuses, says: "already set in map"},
		{name: "config appended twice, on the way to 1.32", upset: func(n tree) { n.write(configPath, goodConfig+goodConfig, 0o644) },
			ask: func(q *Query) { q.ForVersion = kubelet.Version{Major: 1, Minor: 32} }, code: kubeletWillRefuse, says: "a 1.32 kubelet"},
		{name: "config v1 on 1.25", upset: func(tree) {}, version: "v1.25.16", code: kubeletRefuses, says: "no kind"},
		{name: "config with broken YAML", upset: func(n tree) {
			n.write(configPath, strings.Replace(goodConfig, `"*.dkr.ecr.*.amazonaws.com"`, "*.dkr", 1), 0o644)
		},
			code: kubeletRefuses, says: "yaml"},
		{name: "keys in env", upset: func(n tree) { n.write(configPath, withKeys, 0o600) }},
		{name: "keys in env, as a map", upset: func(n tree) {
			n.write(configPath, goodConfig+"    env:\n      AWS_SECRET_ACCESS_KEY: very-secret\n", 0o600)
		}, code: kubeletRefuses, says: "cannot unmarshal object"},
		{name: "an env value that is a number", upset: func(n tree) {
			n.write(configPath, goodConfig+"    env:\n      - name: X\n        value: 5\n", 0o600)
		}, code: kubeletRefuses, says: "cannot unmarshal number"},
		{name: "keys in a block scalar", upset: func(n tree) {
			n.write(configPath, goodConfig+"    env:\n      - name: AWS_SECRET_ACCESS_KEY\n        value: |\n          very-secret\n", 0o600)
		}, code: configHidden, says: "cannot be told apart"},

		{name: "wrong architecture", upset: func(n tree) { n.write(plugin, string(foreign(n.t)), 0o755) }, code: "binary-arch"},
		{name: "an HTML page saved as the binary", upset: func(n tree) { n.write(plugin, "<!DOCTYPE html><html><body>404</body></html>", 0o755) }, code: "binary-not-a-program"},
		{name: "a text file", upset: func(n tree) { n.write(plugin, "AccessDenied\n", 0o755) }, code: "binary-not-a-program"},
		{name: "an empty file", upset: func(n tree) { n.write(plugin, "", 0o755) }, code: "binary-not-a-program"},
		{name: "a truncated download", upset: func(n tree) { b := standin(n.t); n.write(plugin, string(b[:len(b)/2]), 0o755) }, code: "binary-truncated"},
		{name: "a download that stopped in its header", upset: func(n tree) { n.write(plugin, string(standin(n.t)[:40]), 0o755) }, code: "binary-truncated"},
		{name: "docker-credential-ecr-login", upset: func(n tree) { n.provider(name, "helper") }, code: "binary-not-a-plugin"},
		{name: "a provider that answers in another API version", upset: func(n tree) { n.answers(name, "v1alpha1") }, code: "binary-api"},
		{name: "a provider that says the right words", upset: func(n tree) {
			n.write(plugin, "#!/bin/sh\ncat >/dev/null\necho '\"CredentialProviderResponse\"'\n", 0o755)
		}, code: "binary-not-a-plugin"},
		{name: "a provider for another cloud", upset: func(n tree) {
			n.second("harbor-credential-provider", "    args: [/etc/kubernetes/azure.json]\n")
			n.write(binDir+"/harbor-credential-provider", needsArgument, 0o755)
		}},
		{name: "a provider that nobody knows without its argument", upset: func(n tree) {
			n.second("harbor-credential-provider", "")
			n.write(binDir+"/harbor-credential-provider", needsArgument, 0o755)
		}, code: otherUnasked, says: "did not answer as a credential provider does"},
		{name: "args that cannot be read", upset: func(n tree) {
			n.write(configPath, goodConfig+"    args: [\"--a\\tb\"]\n", 0o644)
		}, code: binaryUnasked, says: "args for it cannot be read"},
		{name: "a provider that nobody knows that is not there", upset: func(n tree) { n.second("harbor-credential-provider", "") },
			code: kubeletRefuses, says: "harbor-credential-provider did not exist"},
		{name: "an old provider", upset: func(n tree) { n.provider(name, "v1alpha1") }, code: "binary-api"},
		{name: "a provider that hangs", upset: func(n tree) { n.provider(name, "hang") }, code: binaryUnasked},
		{name: "not executable on 1.26", upset: func(n tree) { n.write(plugin, string(standin(n.t)), 0o644) }, code: "binary-not-executable"},
		{name: "not executable on 1.30", upset: func(n tree) { n.write(plugin, string(standin(n.t)), 0o644) }, version: "v1.30.14", code: kubeletRefuses, says: "permission denied"},
		{name: "world-writable binary", upset: func(n tree) { n.write(plugin, string(standin(n.t)), 0o757) }, code: "writable-by-all"},
		{name: "two providers, one missing", upset: func(n tree) {
			n.write(configPath, goodConfig+strings.Replace(goodConfig[strings.Index(goodConfig, "  - name"):], name, "other-provider", 1), 0o644)
		}, code: kubeletRefuses, says: "other-provider did not exist"},
		{name: "the name in the wrong case", upset: func(n tree) {
			n.write(configPath, strings.Replace(goodConfig, name, "ECR-Credential-Provider", 1), 0o644)
		}, code: kubeletRefuses, says: "ECR-Credential-Provider did not exist"},

		{name: "relative symlink", upset: func(n tree) {
			n.write(binDir+"/v1.31.7/p", string(standin(n.t)), 0o755)
			n.write(binDir+"/v1.31.7/.p", "v1", 0o644)
			n.link(plugin, "v1.31.7/p")
		}},
		{name: "absolute symlink within the binds", upset: func(n tree) {
			n.write(binDir+"/v1.31.7/p", string(standin(n.t)), 0o755)
			n.write(binDir+"/v1.31.7/.p", "v1", 0o644)
			n.link(plugin, binDir+"/v1.31.7/p")
		}},
		{name: "absolute symlink out of the binds", upset: func(n tree) {
			n.write("/usr/local/bin/p", string(standin(n.t)), 0o755)
			n.link(plugin, "/usr/local/bin/p")
		}, code: kubeletRefuses, says: "did not exist"},
		{name: "config is a symlink out of the binds", upset: func(n tree) {
			n.write("/etc/aws/config.yaml", goodConfig, 0o644)
			n.link(configPath, "/etc/aws/config.yaml")
		}, code: pathNotVisible, says: configPath},
		{name: "the source of a bind is a symlink on the host", upset: func(n tree) {
			if err := os.Rename(n.at("/opt/aws"), n.at("/opt/aws-2")); err != nil {
				n.t.Fatal(err)
			}
			n.link("/opt/aws", "/opt/aws-2")
		}},
		{name: "symlink loop", upset: func(n tree) {
			n.link(configPath, "loop")
			n.link(filepath.Dir(configPath)+"/loop", filepath.Base(configPath))
		},
			code: kubeletRefuses, says: "too many levels"},
		{name: "the source of a bind is a symlink loop", upset: func(n tree) { n.link(binDir, binDir) }, code: kubeletRefuses, says: "did not exist"},
		{name: "dangling symlink", upset: func(n tree) { n.link(plugin, "gone") }, code: kubeletRefuses, says: "did not exist"},
		{name: "no bind", upset: func(tree) {}, ask: func(q *Query) { q.Binds = rancher }, code: pathNotVisible, says: "bin dir"},
		{name: "a Docker volume over the bin dir", upset: func(tree) {}, ask: func(q *Query) {
			q.Binds = []Bind{{Host: "/opt/aws", Container: "/opt/aws"}, {Container: binDir}}
		}, code: pathNotVisible, says: "bin dir /opt/aws/bin lies in a Docker volume"},
		{name: "a Docker volume over the provider", upset: func(tree) {}, ask: func(q *Query) {
			q.Binds = append([]Bind{{Container: plugin}}, q.Binds...)
		}, code: pathNotVisible, says: "the provider " + plugin + " lies in a Docker volume"},
		{name: "a symlink into a Docker volume", upset: func(n tree) { n.link(configPath, "/vol/config.yaml") }, ask: func(q *Query) {
			q.Binds = append([]Bind{{Container: "/vol"}}, q.Binds...)
		}, code: pathNotVisible, says: "provider config " + configPath + " lies in a Docker volume"},
		{name: "the longest bind wins", upset: func(n tree) { n.mkdir("/elsewhere") },
			ask: func(q *Query) {
				q.Binds = append([]Bind{{Host: "/elsewhere", Container: "/opt"}, {Host: "/", Container: "/"}}, q.Binds...)
			}},
		{name: "another place on the host", upset: func(n tree) {
			if err := os.Rename(n.at("/opt/aws"), n.at("/srv")); err != nil {
				n.t.Fatal(err)
			}
		}, ask: func(q *Query) { q.Binds = []Bind{{Host: "/srv", Container: "/opt/aws"}} }},
		{name: "RKE's own directory", upset: func(n tree) {
			n.mkdir("/var/lib/rancher/credentialprovider")
			if err := os.Rename(n.at(binDir), n.at("/var/lib/rancher/credentialprovider/bin")); err != nil {
				n.t.Fatal(err)
			}
			n.write("/var/lib/rancher/credentialprovider/config.yaml", goodConfig, 0o644)
		}, ask: inRancher},
		{name: "the API that was asked for is another", upset: func(tree) {}, ask: func(q *Query) { q.ProviderAPI = kubelet.APIv1alpha1 }, code: apiDiffers},
		{name: "a name that is not UTF-8 beside the provider", upset: func(n tree) { n.write(binDir+"/f\xfcr", "x", 0o644) }},
		{name: "names that no shell likes", upset: func(n tree) {
			n.write(binDir+"/$(touch pwned) `x` ' \"\n-rf", "x", 0o755)
			n.write(binDir+"/-n", "x", 0o755)
		}},
		{name: "a path that no shell likes", upset: func(n tree) {
			n.write(`/opt/aws/config/a b'"$(x)`+"`y`/*.yaml", goodConfig, 0o644)
		}, ask: func(q *Query) { q.ConfigPath = `/opt/aws/config/a b'"$(x)` + "`y`/*.yaml" }},
	}
	for shell, path := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				n := good(t)
				tt.upset(n)
				q := query()
				if tt.ask != nil {
					tt.ask(&q)
				}
				version := "v1.26.15"
				if tt.version != "" {
					version = tt.version
				}
				r := n.check(path, version, q)
				if tt.code == "" {
					if r.Worst() > kubelet.Note {
						t.Errorf("findings: %+v", r.Findings)
					}
					return
				}
				for _, f := range r.Findings {
					if f.Code == tt.code && strings.Contains(f.Message, tt.says) {
						return
					}
				}
				t.Errorf("no finding %s that says %q in %+v", tt.code, tt.says, r.Findings)
			})
		}
	}
}

// needsArgument is a provider that ends when it is given no argument.
const needsArgument = "#!/bin/sh\n[ \"$1\" = /etc/kubernetes/azure.json ] || { echo 'Error: requires at least 1 arg(s), only received 0' >&2; exit 1; }\n" + answersV1

const answersV1 = "cat >/dev/null\necho '{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",\"cacheKeyType\":\"Registry\"}'\n"

// answers puts a provider there that answers in one API version, whatever it is
// asked.
func (n tree) answers(name, api string) {
	n.write(binDir+"/"+name, "#!/bin/sh\n"+strings.Replace(answersV1, "k8s.io/v1", "k8s.io/"+api, 1), 0o755)
}

// second adds a provider to the config.
func (n tree) second(name, more string) {
	n.write(configPath, goodConfig+"  - name: "+name+"\n    matchImages: [\"registry.example.com\"]\n    defaultCacheDuration: 10m\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"+more, 0o644)
}

const withKeys = goodConfig + `    args: [get-credentials]
    env:
      - name: AWS_ACCESS_KEY_ID
        value: AKIAIOSFODNN7EXAMPLE
      - name: AWS_SECRET_ACCESS_KEY
        value: "very-secret"
`

// foreign is the stand-in for the other architecture.
func foreign(t *testing.T) []byte {
	b := bytes.Clone(standin(t))
	if b[18] == 62 {
		b[18] = 183
	} else {
		b[18] = 62
	}
	return b
}

// noise gives text that is shown and does not compress: names of variables that
// no reader minds.
func noise(n int) string {
	var b strings.Builder
	b.WriteString("    env:\n")
	state := uint32(1)
	for b.Len() < n {
		b.WriteString("      - name: ")
		for range 28 {
			state = state*1664525 + 1013904223
			b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[state>>16%52])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// A file system that is mounted without execution makes a provider that looks
// right one that no kubelet can run.
func TestCheckScriptNoExec(t *testing.T) {
	n := newTree(t)
	n.mkdir("/opt")
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "noexec,size=16m", "tmpfs", n.at("/opt")).CombinedOutput(); err != nil {
		t.Skipf("mounting takes root: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", n.at("/opt")).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	})
	n.write(configPath, goodConfig, 0o644)
	n.provider(name, "v1")
	for shell, path := range shells(t) {
		r := n.check(path, "v1.30.14", query())
		if r.Worst() != kubelet.Fatal || r.Provider.Binaries[name].Executable {
			t.Errorf("%s: %+v", shell, r)
		}
	}
}

// Only a program for this machine is run: a shell would take anything else for a
// script of its own.
func TestCheckScriptRunsPrograms(t *testing.T) {
	q, err := query().normal(1)
	if err != nil {
		t.Fatal(err)
	}
	for shell, path := range shells(t) {
		n := good(t)
		if text := n.run(path, modeCheck, checkArgs(q)...); !strings.Contains(text, " v1=keyless") {
			t.Errorf("%s: a good program was not run: %s", shell, text)
		}
		mark := filepath.Join(t.TempDir(), "mark")
		for _, content := range []string{string(foreign(t)), string(standin(t)[:500]), "touch " + mark + "\n", "<html>\ntouch " + mark + "\n"} {
			n.write(plugin, content, 0o755)
			if text := n.run(path, modeCheck, checkArgs(q)...); strings.Contains(text, " v1=") {
				t.Errorf("%s: it was run: %s", shell, text)
			}
		}
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("%s: text was run as a script", shell)
		}
	}
}

// An image that lacks a tool is named as what is wrong, not the node.
func TestCheckScriptLacksTool(t *testing.T) {
	tools := t.TempDir()
	for _, tool := range []string{"sh", "tr"} {
		program, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(tools, tool)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := readSeen(good(t).run(tools, modeCheck, "--config", configPath))
	if err == nil || !strings.Contains(err.Error(), "has no awk") {
		t.Error(err)
	}
}

// The script is one that a shell expert finds nothing wrong with.
func TestShellcheck(t *testing.T) {
	program, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	for what, text := range map[string]string{"the script": probeSh, "the shell of a rehearsal": between(t, rehearseSh, "attempt='", "'\n")} {
		cmd := exec.Command(program, "-s", "sh", "-")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	s, _, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		t.Fatalf("nothing between %q and %q", from, to)
	}
	return s
}
