package nodes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
)

// inUse is a config that somebody else wrote: comments, a secret, an argument
// that may be one.
const inUse = `# written by hand, see s3cr3t-wiki
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: harbor-credential-provider # ours
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages:
      - "registry.example.com"
    defaultCacheDuration: "10m"
    args: ["--token-file", "/etc/s3cr3t"]
    env:
      - name: HARBOR_PASSWORD
        value: "s3cr3t # no comment"
`

// mergingECR is an installation that adds ECR's provider, script and all.
func mergingECR(t *testing.T) InstallQuery {
	t.Helper()
	ecr, _ := kubelet.RegistryByKind(kubelet.ECR)
	q := InstallQuery{Query: query(), Registry: ecr, Merge: true, FromImage: "x", FromImagePath: "/p"}
	q.Provider, q.ProviderAPI, q.ForVersion = kubelet.ECR, kubelet.APIv1, kubelet.Version{Major: 1, Minor: 32}
	sum := sha256.Sum256(standin(t))
	hash := hex.EncodeToString(sum[:])
	config, err := kubelet.BuildConfig(ecr, kubelet.Version{Major: 1, Minor: 26}, kubelet.APIv1)
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	if err := nodescript.Write(&script, nodescript.Options{
		Release: "v9.9.9", URL: "https://mirror.example/p", SHA256: map[string]string{"amd64": hash, "arm64": hash}, Config: config,
	}); err != nil {
		t.Fatal(err)
	}
	q.Script = script.Bytes()
	if q.Query, err = q.normal(1); err != nil {
		t.Fatal(err)
	}
	return q
}

// harbor is a node where another provider is in use.
func harbor(t *testing.T, config string) tree {
	n := newTree(t)
	n.write(configPath, config, 0o600)
	n.write(binDir+"/harbor-credential-provider", "#!/bin/sh\n"+answersV1, 0o755)
	n.write(binDir+"/."+name, "v1", 0o644)
	return n
}

// install runs the installation's script on the tree as its pod would.
func (n tree) install(path string, q InstallQuery, merge []string) (string, error) {
	n.t.Helper()
	from := filepath.Join(n.t.TempDir(), "provider")
	if err := os.WriteFile(from, standin(n.t), 0o600); err != nil {
		n.t.Fatal(err)
	}
	command := append(q.command(), merge...)
	for i, arg := range command {
		switch arg {
		case hostDir:
			command[i] = n.root
		case fromFile:
			command[i] = from
		}
	}
	cmd := exec.Command(lookSh(path), command[1:]...)
	cmd.Env = []string{"PATH=" + path}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What others have in the config stays, byte for byte, and never leaves the node;
// the kubelet starts with the result, now and later.
func TestMergeOnNode(t *testing.T) {
	for shell, path := range shells(t) {
		for form, config := range map[string]string{"Linux": inUse, "Windows": strings.ReplaceAll(inUse, "\n", "\r\n"), "no last line end": strings.TrimSuffix(inUse, "\n")} {
			t.Run(shell+" "+form, func(t *testing.T) {
				t.Parallel()
				n, q := harbor(t, config), mergingECR(t)
				r := n.check(path, "v1.26.15", q.Query)
				if !needsInstall(r) || !slices.Contains(codes(r.Findings), providerAbsent) {
					t.Fatalf("%+v", r.Findings)
				}
				flags, adds, f := q.merging(r)
				if f != nil || !adds {
					t.Fatalf("%+v", f)
				}
				if strings.Contains(strings.Join(append(q.command(), flags...), " "), "s3cr3t") {
					t.Error("a secret is in the pod's command")
				}
				out, err := n.install(path, q, flags)
				if err != nil || strings.Contains(out, "s3cr3t") {
					t.Fatalf("%v: %s", err, out)
				}
				got, _ := os.ReadFile(n.at(configPath))
				if !strings.HasPrefix(string(got), config) || strings.Count(string(got), "- name: ecr-credential-provider") != 1 {
					t.Errorf("%q", got)
				}
				if info, err := os.Stat(n.at(configPath)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", info, err)
				}
				r = n.check(path, "v1.26.15", q.Query)
				if r.Worst() == kubelet.Fatal {
					t.Errorf("%+v", r.Findings)
				}
				// The second time there is nothing to add, and the script agrees.
				flags, adds, f = q.merging(r)
				if f != nil || adds {
					t.Fatalf("%+v", f)
				}
				if out, err := n.install(path, q, flags); err != nil || !strings.Contains(out, "already right") {
					t.Errorf("%v: %s", err, out)
				}
				// A secret that changes between the look and the change is no obstacle,
				// another provider is.
				again := harbor(t, config)
				flags, _, _ = q.merging(again.check(path, "v1.26.15", q.Query))
				again.write(configPath, strings.Replace(config, "s3cr3t #", "new s3cr3t #", 1), 0o600)
				if out, err := again.install(path, q, flags); err != nil {
					t.Errorf("%v: %s", err, out)
				}
				again = harbor(t, config)
				again.write(configPath, strings.Replace(config, "harbor-", "quay-", 1), 0o600)
				if out, err := again.install(path, q, flags); err == nil || !strings.Contains(out, "look again") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// What cannot be merged safely is left as it is, and the finding says why.
func TestMergeImpossible(t *testing.T) {
	ours := "  - name: ecr-credential-provider\n    apiVersion: credentialprovider.kubelet.k8s.io/v1alpha1\n    matchImages: [a.example.com]\n    defaultCacheDuration: 1s\n"
	for _, tt := range []struct {
		name    string
		version string // "v1.26.15" if empty
		config  string // "" none
		change  func(tree, *InstallQuery)
		says    string // "" it is possible
	}{
		{name: "possible", config: inUse},
		{name: "no config anywhere"},
		{name: "no config here", change: func(_ tree, q *InstallQuery) { q.Others = true }, says: "but other nodes have other providers in theirs"},
		{name: "a directory", change: func(n tree, _ *InstallQuery) { n.write(configPath+"/x.yaml", inUse, 0o600) }, says: "is a directory, not one file"},
		{name: "bytes that hide a config", config: "# é\n" + inUse, says: "without showing what may be a secret"},
		{name: "no YAML", config: "providers: [", says: "no kubelet reads it"},
		{name: "no kind", config: strings.Replace(inUse, "kind: CredentialProviderConfig\n", "", 1), says: "'Kind' is missing"},
		{name: "appended twice", config: inUse + inUse, says: "keys come twice"},
		{name: "a name twice", config: inUse + strings.SplitN(inUse, "providers:\n", 2)[1], says: "twice"},
		{name: "an API that 1.25 does not know", version: "v1.25.16", config: strings.ReplaceAll(inUse, ".k8s.io/v1\n", ".k8s.io/v1alpha1\n"),
			says: "a 1.25 kubelet would exit with 1 with the merged config"},
		{name: "the API that 1.25 knows", version: "v1.25.16", config: strings.ReplaceAll(inUse, ".k8s.io/v1\n", ".k8s.io/v1alpha1\n"), change: func(_ tree, q *InstallQuery) { q.ProviderAPI = kubelet.APIv1alpha1 }},
		{name: "a field that 1.32 does not know", config: inUse + "    foo: bar\n", says: "a 1.32 kubelet would exit with 1 with the merged config"},
		{name: "and nobody goes to 1.32", config: inUse + "    foo: bar\n", change: func(_ tree, q *InstallQuery) { q.ForVersion.Minor = 31 }},
		{name: "the other binary is not there", config: strings.Replace(inUse, "harbor-", "gone-", 1), says: "gone-credential-provider did not exist"},
		{name: "our entry is there and differs", config: inUse + ours, says: "its entry is there already and differs"},
		{name: "and is replaced", config: inUse + ours, change: func(_ tree, q *InstallQuery) { q.Replace = true }},
		{name: "ECR under another name", config: strings.Replace(inUse, "harbor-", "my-ecr-", 1), change: func(n tree, _ *InstallQuery) {
			n.write(binDir+"/my-ecr-credential-provider", "#!/bin/sh\n"+answersV1, 0o755)
		}, says: "is for the same registries"},
		{name: "not wanted", config: inUse + inUse, change: func(_ tree, q *InstallQuery) { q.Merge = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, q := harbor(t, tt.config), mergingECR(t)
			if tt.config == "" {
				n.remove(configPath)
			}
			if tt.change != nil {
				tt.change(n, &q)
			}
			version := tt.version
			if version == "" {
				version = "v1.26.15"
			}
			_, _, f := q.merging(n.check(os.Getenv("PATH"), version, q.Query))
			switch {
			case tt.says == "" && f != nil:
				t.Errorf("%s", f.Message)
			case tt.says != "" && (f == nil || f.Code != mergeImpossible || !strings.Contains(f.Message, tt.says)):
				t.Errorf("%+v, want %q", f, tt.says)
			case f != nil && (strings.Contains(f.Message, "s3cr3t") || strings.ContainsAny(f.Message, "\n\x1b")):
				t.Errorf("not fit to be shown: %q", f.Message)
			}
		})
	}
}

// A merge is said to be waiting for a restart; a node that cannot be merged stops
// the rest.
func TestInstallMerges(t *testing.T) {
	harbors := strings.NewReplacer(name, "harbor-credential-provider", "amazonaws", "example", "ic.gov", "example.com", "sgov.gov", "example.com").Replace(goodConfig)
	other := strings.NewReplacer(packed(goodConfig), packed(harbors), "name=ZWNyLWNyZWRlbnRpYWwtcHJvdmlkZXI=", "name=aGFyYm9yLWNyZWRlbnRpYWwtcHJvdmlkZXI=").Replace(seeing("v1"))
	c := newCluster(t, linux("a-merged"), linux("b-hidden"), linux("c-late"))
	done := false
	c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
		switch {
		case isInstall(p):
			if p.Spec.NodeName != "a-merged" || !slices.Contains(p.Spec.Containers[0].Command, "--merge-sum") {
				t.Errorf("%s runs %q", p.Spec.NodeName, p.Spec.Containers[0].Command)
			}
			done = true
			return exited(0, "Completed", ""), nil
		case p.Spec.NodeName == "b-hidden":
			return answering(strings.Replace(other, other[strings.Index(other, "body="):], "hidden=unsure\nend\n", 1)), nil
		case done && p.Spec.NodeName == "a-merged":
			return answering(seeing("v1")), nil
		}
		return answering(other), nil
	}
	q := mergingECR(t)
	reports, err := c.checker().Install(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	r := byName(reports)
	for node, want := range map[string]string{"a-merged": merged, "b-hidden": mergeImpossible, "c-late": installNotReached} {
		if !slices.Contains(codes(r[node].Findings), want) {
			t.Errorf("%s: %+v, want %s", node, r[node].Findings, want)
		}
	}
}
