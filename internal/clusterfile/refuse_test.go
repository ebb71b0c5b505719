package clusterfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rkepatch/rkeconfig"
)

func TestRefusedFiles(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	const kubelet = "services:\n  kubelet:\n    extra_args:\n      v: \"2\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", " \n", "empty"},
		{"only comments", "# nothing\n", "nothing but comments"},
		{"a list", "- a\n", "no config of an RKE1 cluster"},
		{"too large", "# " + strings.Repeat("x", MaxBytes), "more than 2097152 bytes"},
		{"latin 1", "cluster_name: caf\xe9\n", "not UTF-8"},
		{"utf 16", "\xff\xfea\x00:\x00", "not UTF-8"},
		{"a line end that editors do not know", kubelet + "addons: \"a\u2028b\"\n", "U+2028"},
		{"old Mac", strings.ReplaceAll(kubelet, "\n", "\r"), "U+000D"},
		{"two documents", kubelet + "---\n" + kubelet, "more than one YAML document"},
		{"a second, empty document", kubelet + "---\n", "more than one YAML document"},
		{"tabs", "services:\n\tkubelet: {}\n", "line 2: a tab"},
		{"tabs behind spaces", "services:\n  etcd: {}\n  \tkubelet: {}\n", "line 3: a tab"},
		{"a broken line", "services:\n  kubelet: {\n", "not YAML"},
		{"a control character", "services: \"\x01\"\n", "not YAML"},
		{"a key twice", kubelet + "nodes: []\nservices: {}\n", "line 6: a key stands here for the second time, first on line 1"},
		{"an argument twice", kubelet + "      \"v\": \"3\"\n", "second time"},
		{"a key twice, far away", kubelet + "nodes:\n- address: a\n  role: [etcd]\n  address: b\n", "second time"},
		{"sops", kubelet + "sops:\n  mac: ENC\n  version: 3.8.1\n", "encrypted with sops"},
		{"sops, one value", kubelet + "cluster_name: ENC[AES256_GCM,data:abc,type:str]\n", "encrypted"},
		{"ansible-vault", "$ANSIBLE_VAULT;1.1;AES256\n6638\n", "encrypted with ansible-vault"},
		{"a value in ansible-vault", kubelet + "cluster_name: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6638\n", "encrypted"},
		{"git-crypt", "\x00GITCRYPT\x00\xfe\xff", "not UTF-8"},
		{"age", "-----BEGIN AGE ENCRYPTED FILE-----\nabc\n", "encrypted with age"},
		{"helm", "services:\n  kubelet:\n    extra_args:\n{{ toYaml .Values.args | indent 6 }}\n", "line 4: it is a template"},
		{"helm in a comment", "# {{- if .Values.x }}\n" + kubelet, "template"},
		{"jinja", "{% if prod %}\n" + kubelet + "{% endif %}\n", "template"},
		{"jinja in a value", kubelet + "cluster_name: \"{{ name }}\"\n", "line 5: it is a template"},
		{"erb", kubelet + "cluster_name: <%= name %>\n", "template"},
		{"a bomb", bomb + kubelet, "more than 200000 values"},
		{"an alias in itself", kubelet + "nodes: &n [*n]\n", "inside of what it stands for"},
		{"an unknown alias", kubelet + "nodes: *n\n", "unknown anchor"},
		{"a deep nest", kubelet + "nodes: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n", "levels deep"},
		{"a Kubernetes object", "apiVersion: v1\nkind: ConfigMap\nservices: {kubelet: {}}\n", "Kubernetes object"},
		{"an RKE2 cluster", "apiVersion: provisioning.cattle.io/v1\nkind: Cluster\nspec: {rkeConfig: {}}\n", "Kubernetes object"},
		{"docker-compose", "version: \"3\"\nservices:\n  web:\n    image: nginx\n", "no config of an RKE1 cluster"},
		{"rke's state", `{"desiredState": {"rkeConfig": {}}}`, "state file of rke"},
		{"the API's spelling, bare", "kubernetesVersion: v1.26.15-rancher1-1\nnetwork: {}\n", "spelling of Rancher's API"},
		{"the API's spelling in a cluster.yml", "services:\n  kubelet:\n    extraArgs: {}\n", "extraArgs is not spelt"},
		{"both spellings from the UI", "rancher_kubernetes_engine_config:\n  kubernetesVersion: v1\n", "line 2: kubernetesVersion is not spelt"},
		{"snake_case from the API", "rancherKubernetesEngineConfig:\n  services:\n    kubelet:\n      extra_binds: []\n", "extra_binds is not spelt"},
		{"two configs", kubelet + "rancher_kubernetes_engine_config: {}\n", "more than one config"},
		{"two clusters", "clusters:\n  a: {rancherKubernetesEngineConfig: {}}\n  b: {rancherKubernetesEngineConfig: {}}\n", "more than one config"},
		{"a config that is no map", "rancher_kubernetes_engine_config: text\n", "no map"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read([]byte(c.text))
			checkRefusal(t, err, c.want)
		})
	}
}

func TestRefusedSections(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"kubelet is an alias", "x: &k {extra_args: {}}\nservices: {etcd: {}, kubelet: *k}\n", "alias *k"},
		{"kubelet is used again", "services:\n  kubelet: &k\n    extra_args: {}\n  scheduler: *k\n", "used again on line 4"},
		{"services come from elsewhere", "x: &s {services: {kubelet: {}}}\nkubernetes_version: v1\n<<: *s\n", "<< merges"},
		{"kubelet's members come from elsewhere", "x: &b {extra_args: {v: \"3\"}}\nservices:\n  kubelet:\n    <<: *b\n    extra_binds: []\n", "<< merges"},
		{"extra_args is an alias", "services:\n  etcd:\n    extra_args: &a {v: \"2\"}\n  kubelet:\n    extra_args: *a\n", "extra_args is what the alias *a"},
		{"extra_binds is used again", "services:\n  kubelet:\n    extra_args: {}\n    extra_binds: &b [/data:/data]\n  etcd:\n    extra_binds: *b\n", "extra_binds has an anchor and is used again on line 6"},
		{"the config of two clusters", "clusters:\n  a:\n    rancherKubernetesEngineConfig: {services: &s {kubelet: {}}}\n  b: {services: *s}\n", "used again"},
		{"a list is shared and would be repaired", "services:\n  kubelet:\n    extra_args: &a [{v: \"2\"}]\n  etcd: {extra_args: *a}\n", "used again"},
		{"an argument twice in the list", "services:\n  kubelet:\n    extra_args:\n    - v: 2\n    - v: 3\n", "line 5: an argument stands in the list for the second time"},
		{"a list of odd columns", "services:\n  kubelet:\n    extra_args:\n    - v: 2\n    -  max-pods: 3\n", "does not turn into a map"},
		{"services is a list", "nodes:\n- {address: a, role: [etcd]}\nkubernetes_version: v1\nservices: {kubelet: [a]}\n", "map"},
		{"a value to be replaced is used again", "services:\n  kubelet:\n    extra_args: {max-pods: &n \"110\"}\n  etcd: {extra_args: {x: *n}}\n", "used again on line 4"},
		{"question marks", "services:\n  kubelet:\n    ? extra_binds\n    : []\n", "unusual way"},
		{"question marks above", "kubernetes_version: v1\n? services\n: etcd: {}\n", "behind something else on its line"},
		{"tagged and empty", "services:\n  kubelet: !!map {}\n", "has an anchor or a tag is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Read([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Patch(smallPatch, Options{ReplaceArgs: []string{"max-pods"}})
			checkRefusal(t, err, c.want)
		})
	}
}

func checkRefusal(t *testing.T, err error, want string) {
	t.Helper()
	var refusal *Error
	if !errors.Is(err, ErrFile) || !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	if refusal.Hint() == "" {
		t.Error("no hint")
	}
}

// What Merge does not accept leaves the file as it is.
func TestBlockedFiles(t *testing.T) {
	for _, c := range []struct{ name, text, code string }{
		{"another value", "services: {kubelet: {extra_args: {max-pods: 110}}}\n", "arg-conflict"},
		{"a list of texts", "services: {kubelet: {extra_args: [max-pods=110]}}\n", "not-understood"},
		{"binds as a text", "services: {kubelet: {extra_binds: /a:/b}}\n", "not-understood"},
		{"a value that is a map", "services: {kubelet: {extra_args: {v: {a: b}}}}\n", "not-understood"},
		{"in extra_args_array", "services: {kubelet: {extra_args_array: {max-pods: [110]}}}\n", "arg-in-array"},
		{"Windows, from the UI", "rancher_kubernetes_engine_config: {}\nwindows_prefered_cluster: true\n", "windows-inherits"}, //nolint:misspell // it is Rancher's name
		{"Docker's directory", "rancher_kubernetes_engine_config: {services: {kubelet: {extra_binds: [/a:/data/docker]}}}\ndocker_root_dir: /data/docker\n", "bind-duplicate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := mustPatch(t, c.text, smallPatch, Options{})
			if !r.Blocked() || r.Findings[0].Code != c.code {
				t.Errorf("findings %v, want %s first", r.Findings, c.code)
			}
			if r.Changed() || string(r.Text) != c.text {
				t.Errorf("the text changed:\n%s", r.Text)
			}
		})
	}
}

// rke reads a number as a text; a file that has one is not blocked for it.
func TestNumbersAreTexts(t *testing.T) {
	p := rkeconfig.Patch{Args: map[string]string{"max-pods": "110", "v": "true"}}
	r := mustPatch(t, "services: {kubelet: {extra_args: {max-pods: 110, v: true}}}\n", p, Options{})
	if r.Blocked() || r.Changed() || r.State != rkeconfig.Patched {
		t.Errorf("state %s, findings %v", r.State, r.Findings)
	}
}

func TestListIsAFinding(t *testing.T) {
	p := rkeconfig.Patch{Args: map[string]string{"v": "2"}}
	r := mustPatch(t, "services: {kubelet: {extra_args: [{v: 2}]}}\n", p, Options{})
	if len(r.Findings) != 1 || r.Findings[0].Code != "args-list" || r.State != rkeconfig.NotPatched {
		t.Errorf("state %s, findings %v", r.State, r.Findings)
	}
	if string(r.Text) != "services: {kubelet: {extra_args: {v: 2}}}\n" || !r.Changed() {
		t.Errorf("got %s", r.Text)
	}
}
