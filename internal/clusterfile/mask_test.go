package clusterfile

import (
	"reflect"
	"strings"
	"testing"

	rke "github.com/rancher/rke/types"

	"rkepatch/rkeconfig"
)

// Secrets beside the patch do not get into the diff, nor those in comments.
func TestDiffHidesSecrets(t *testing.T) {
	const secret = "hunter2hunter2"
	text := `nodes:
- address: a
  role: [etcd]
  ssh_key: |-
    ` + secret + `
    more ` + secret + `
private_registries:
- {url: r, user: u, password: ` + secret + `}
services:
  kubelet:
    # password: ` + secret + `
    extra_env: ["AWS_SECRET_ACCESS_KEY=` + secret + `", "HTTP_PROXY=http://u:` + secret + `@proxy"]
    extra_args:
      token-file-content: "` + secret + `"
      webhook: https://u:` + secret + `@host/
  etcd:
    backup_config: {s3backupconfig: {secret_key: ` + secret + `, access_key: ` + secret + `}}
    key: ` + secret + ` # token ` + secret + `
bastion_host:
  ssh_key: '` + secret + `'
`
	for _, form := range []string{text, strings.ReplaceAll(text, "\n", "\r\n")} {
		r := mustPatch(t, form, smallPatch, Options{})
		if !r.Changed() || strings.Contains(r.Diff, secret) {
			t.Errorf("the diff:\n%s", r.Diff)
		}
		if !strings.Contains(r.Diff, "+      max-pods: \"200\"\n") && !strings.Contains(r.Diff, "+      max-pods: 200\n") {
			t.Errorf("the diff does not show the patch:\n%s", r.Diff)
		}
		f, err := Read([]byte(form))
		if err != nil {
			t.Fatal(err)
		}
		masked := f.masked()
		if strings.Contains(masked, secret) {
			t.Errorf("masked:\n%s", masked)
		}
		if got, want := strings.Count(masked, "\n"), strings.Count(text, "\n"); got != want {
			t.Errorf("%d lines masked, %d lines in all", got, want)
		}
	}
	// A list that is repaired shows all of its lines.
	list := mustPatch(t, "services:\n  kubelet:\n    extra_args:\n    - token: "+secret+"\n", smallPatch, Options{})
	if !list.Changed() || strings.Contains(list.Diff, secret) {
		t.Errorf("the diff:\n%s", list.Diff)
	}
	// One line that is the whole file: its secrets are as far away as its names.
	r := mustPatch(t, `{"bastion_host": {"ssh_key": "`+secret+`"}, "services": {}, "kubernetes_version": "v1.26.15-rancher1-1", "addons": "`+secret+`", "cluster_name": "`+strings.Repeat("x", maxShownLine)+`"}`, smallPatch, Options{})
	if !strings.Contains(r.Diff, "+rancher_kubernetes_engine_config:\n") && !strings.Contains(r.Diff, " rancher_kubernetes_engine_config:\n") || strings.Contains(r.Diff, secret) {
		t.Errorf("the diff:\n%s", r.Diff)
	}
}

func TestDiffNumbersItsLines(t *testing.T) {
	text := "services:\n  kubelet:\n    extra_args:\n      max-pods: \"110\"\n      v: \"2\"\n" + strings.Repeat("    # far\n", 10) + "    extra_binds:\n    - /data:/data\n  etcd: {}\n"
	r := mustPatch(t, text, smallPatch, Options{ReplaceArgs: []string{"max-pods"}})
	for _, header := range []string{"@@ -1,8 +1,9 @@", "@@ -15,4 +16,5 @@"} {
		if !strings.Contains(r.Diff, header+"\n") {
			t.Errorf("no %s in\n%s", header, r.Diff)
		}
	}
}

// Every secret that rke's types know is hidden under its name in rke's YAML, which
// is not always the API's name with underscores.
func TestEveryKnownSecretIsHidden(t *testing.T) {
	const secret = "hunter2hunter2"
	for _, rule := range rkeconfig.SecretRules {
		value := secret
		if rule.Masking == rkeconfig.MaskEnv {
			value = "[\"NAME=" + secret + "\"]"
		}
		text := yamlOf(t, reflect.TypeFor[rke.RancherKubernetesEngineConfig](), strings.Split(rule.Path, "."), value)
		f, err := Read([]byte("{kubernetes_version: v1.26.15-rancher1-1, " + text + "}"))
		if err != nil {
			t.Fatalf("%s: %s: %s", rule.Path, text, err)
		}
		if masked := f.masked(); strings.Contains(masked, secret) {
			t.Errorf("%s: %s", rule.Path, masked)
		}
	}
}

// yamlOf writes a value at a path of API names in rke's YAML names.
func yamlOf(t *testing.T, in reflect.Type, path []string, value string) string {
	for in.Kind() == reflect.Pointer {
		in = in.Elem()
	}
	if len(path) == 0 {
		return value
	}
	name, isItem := strings.CutSuffix(path[0], "[]")
	name, isValue := strings.CutSuffix(name, "{}")
	for _, field := range reflect.VisibleFields(in) {
		jsonName, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if jsonName != name && (name != "*" || jsonName != "kubelet") {
			continue
		}
		yamlName, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if yamlName == "" {
			yamlName = strings.ToLower(field.Name)
		}
		next := field.Type
		if isItem || isValue {
			next = next.Elem()
		}
		inner := yamlOf(t, next, path[1:], value)
		if len(path) > 1 {
			inner = "{" + inner + "}"
		}
		switch {
		case isItem:
			inner = "[" + inner + "]"
		case isValue:
			inner = "{a: " + inner + "}"
		}
		return yamlName + ": " + inner
	}
	t.Fatalf("no field for %v in %s", path, in)
	return ""
}
