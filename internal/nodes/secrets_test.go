package nodes

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"rkepatch/internal/kubelet"
)

// awks are the readers that the awk programs must work in.
func awks(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, command := range [][]string{{"mawk"}, {"gawk", "--posix"}, {"original-awk"}, {"busybox", "awk"}} {
		if program, err := exec.LookPath(command[0]); err == nil {
			found[command[0]] = append([]string{program}, command[1:]...)
		}
	}
	if len(found) == 0 {
		t.Skip("there is no awk")
	}
	return found
}

// filter runs an awk program on input in a mode.
func filter(awk []string, program, input, mode string) (string, error) {
	return filterEnv(append(awk[:len(awk):len(awk)], "-v", "mode="+mode), program, input, "PROVIDER="+name)
}

// filterEnv runs an awk program on input with a variable in its environment.
func filterEnv(awk []string, program, input, variable string) (string, error) {
	cmd := exec.Command(awk[0], append(awk[1:len(awk):len(awk)], program)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", variable)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	return string(out), err
}

// mask gives what the script would hand over of a config, before it takes out
// what looks like an AWS key.
func mask(awk []string, config string) (string, error) {
	return filter(awk, configAwk, config, "mask")
}

// secretForms are the ways to write a secret down in a provider's config, by
// the book and not; SECRET stands for it.
var secretForms = []string{
	"    env:\n      - name: K\n        value: SECRET\n",
	"    env:\n    - name: K\n      value: \"SECRET\"\n",
	"    env:\n    - {name: K, value: SECRET}\n",
	"    env: [{name: K, value: 'SECRET'}]\n",
	"    env: [{\"name\": \"K\", \"value\": \"SECRET\"}]\n",
	"    env:\n    - value: 'SECRET'\n      name: K\n",
	"    env:\n    - name: K\n      value:\n        SECRET\n",
	"    env:\n    - name: K\n      value: |\n        SECRET\n",
	"    env:\n    - name: K\n      value: >-\n        SECRET\n",
	"    env:\n    - name: K\n      value: \"first\n        SECRET\"\n",
	"    env:\n    - name: K\n      value: first\n        SECRET\n",
	"    env:\n    - name: K\n      value: 'it''s SECRET'\n",
	"    env:\n    - name: K\n      value: \"a\\\"SECRET\"\n",
	"    env:\n    - name: K\n      value: !!str SECRET\n",
	"    env:\n    - name: K\n      value: &a SECRET\n    - name: L\n      value: *a\n",
	"    env:\n    - name: K\n      \"value\": SECRET\n",
	"    env:\n    - name: K\n      'value' : SECRET\n",
	"    env:\n    - name: K\n      ? value\n      : SECRET\n",
	"    env:\n    - name: K\n      \"\\x76alue\": SECRET\n",
	"    env:\n    - name: K\n      Value: SECRET\n",
	"    env:\n    - name: K\n      value: # comment SECRET\n",
	"    env:\n    - name: K\n      value: x # SECRET\n",
	"    env:\n    # SECRET\n    - name: K\n      value: x\n",
	"    env:\n      K: SECRET\n",
	"    env:\n      value: SECRET\n",
	"    env: SECRET\n",
	"    env:\n    - SECRET\n",
	"    env:\n    - K=SECRET\n",
	"    env:\n    - name: K=SECRET\n",
	"    env:\n    - name: K\n      valueFrom:\n        secret: SECRET\n",
	"    env:\n\t- name: K\n\t  value: SECRET\n",
	"    env:\n    -\n      name: K\n      value: SECRET\n",
	"    env:\n    - name: K\n     value: SECRET\n",
	"    env:\n    - name: K\n    value: SECRET\n",
	"    args:\n    - --secret=SECRET\n",
	"    args: [--secret, SECRET]\n",
	"    args: [\"SECRET\"]\n",
	"    secretKey: SECRET\n",
	"    environment: {K: SECRET}\n",
	"    awsAccess: \"SECRET\"\n",
	"    credentials:\n      - SECRET\n",
	"---\nproviders: {env: [{value: SECRET}]}\n",
	"env:\n- name: K\n  value: SECRET\n",
	"value: SECRET\n",
	"    username: SECRET\n    env: {}\n",
	"    matchImages: [SECRET]\n",
	"    matchImages:\n    - user:SECRET@registry\n",
	"    args: [-pSECRET, \"--token=SECRET\"]\n",
	"    env:\n    - name: 'K'\n      value: first\n      name: SECRET=x\n",
}

var secretJSON = []string{
	`"env":[{"name":"K","value":"SECRET"}]`,
	`"env":[{"value":"SECRET","name":"K"}]`,
	`"env": [ { "name" : "K", "value" : "SECRET" } ]`,
	`"env":[{"name":"K","\u0076alue":"SECRET"}]`,
	`"env":[{"name":"K","VALUE":"SECRET"}]`,
	`"env":{"K":"SECRET"}`,
	`"env":"SECRET"`,
	`"env":["SECRET"]`,
	`"env":[{"name":"K","value":"SECRET}]`,
	`"env":[{"name":"K" "value" "SECRET"}]`,
	`"env":[{"name":"K","value":"x""SECRET"}]`,
	`"env":[{"name":"K","value":SECRET}]`,
	`"env":[{"name":"K","value":"a\"SECRET"}]`,
	`"args":["--secret=SECRET","SECRET"]`,
	`"foo":{"bar":["SECRET"]}`,
	`"env":[{"name":"K","SECRET":"value"}]`,
	`"env":[{"name":"SECRET SECRET","value":""}]`,
	`"env":[{"name":"K","value":null,"name":"K","value":"SECRET"}],"name":"x"`,
}

// genConfig draws a config that holds the secret somewhere, upset here and there.
func genConfig(t *rapid.T, secret string) string {
	var config string
	if rapid.Bool().Draw(t, "json") {
		form := rapid.SampledFrom(secretJSON).Draw(t, "form")
		config = `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"ecr-credential-provider","matchImages":["*.dkr.ecr.*.amazonaws.com"],` +
			form + `,"defaultCacheDuration":"12h","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}`
		if rapid.Bool().Draw(t, "pretty") {
			config = strings.NewReplacer(",", ",\n ", "{", "{\n ", "[", "[\n ").Replace(config)
		}
	} else {
		config = goodConfig + rapid.SampledFrom(secretForms).Draw(t, "form")
		if rapid.Bool().Draw(t, "first") { // the secret comes before the rest of the provider
			config = strings.Replace(config, "    defaultCacheDuration", rapid.SampledFrom(secretForms).Draw(t, "form")+"    defaultCacheDuration", 1)
		}
	}
	lines := strings.SplitAfter(config, "\n")
	for range rapid.IntRange(0, 3).Draw(t, "upsets") {
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		if strings.Contains(lines[i], "SECRET") && !strings.Contains(lines[i], ":") {
			continue // without its key next to it, a line is just a word
		}
		switch rapid.IntRange(0, 5).Draw(t, "upset") {
		case 0:
			lines[i] = ""
		case 1:
			lines[i] += lines[i]
		case 2:
			lines[i] = " " + lines[i]
		case 3:
			lines[i] = strings.TrimPrefix(lines[i], " ")
		case 4:
			lines[i] = strings.TrimSuffix(lines[i], "\n") + "\r\n"
		case 5:
			lines[i] = strings.TrimSuffix(lines[i], "\n") + rapid.SampledFrom([]string{" #", ":", ",", "\"", "'", "\t", " |", "\\", " {", " ["}).Draw(t, "tail") + "\n"
		}
	}
	return strings.ReplaceAll(strings.Join(lines, ""), "SECRET", secret)
}

// Whatever way a config is written in, a secret in it does not leave the node.
func TestSecretsStay(t *testing.T) {
	for which, awk := range awks(t) {
		t.Run(which, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				secret := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9/+]{4,9}[0-9][a-zA-Z0-9/+]{2,5}[g-zG-Z]`).Draw(t, "secret")
				config := genConfig(t, secret)
				shown, err := mask(awk, config)
				if err != nil {
					t.Fatalf("%v for:\n%s", err, config)
				}
				names, err := filter(awk, configAwk, config, "names")
				if err != nil {
					t.Fatalf("%v for:\n%s", err, config)
				}
				if shown += names; strings.Contains(shown, secret) {
					t.Fatalf("shown:\n%s\nof:\n%s", shown, config)
				}
			})
		})
	}
}

// All readers mask alike, so that it does not matter which one an image has.
func TestMaskAlike(t *testing.T) {
	readers := awks(t)
	if len(readers) < 2 {
		t.Skip("there is only one awk")
	}
	rapid.Check(t, func(t *rapid.T) {
		alike(t, readers, genConfig(t, "hush"))
	})
}

func alike(t rapid.TB, readers map[string][]string, config string) {
	t.Helper()
	var first, of string
	for which, awk := range readers {
		shown, err := mask(awk, config)
		if err != nil {
			t.Fatal(err)
		}
		if of != "" && shown != first {
			t.Fatalf("%s:\n%s\n%s:\n%s", of, first, which, shown)
		}
		first, of = shown, which
	}
}

// Masking changes no verdict: a kubelet makes the same of the masked config as
// of the real one, for every config of the verdicts and for those with keys.
func TestMaskKeepsVerdict(t *testing.T) {
	configs := []string{goodConfig, withKeys, goodConfig + goodConfig}
	for _, form := range append(secretForms, "    foo: bar\n", "    env:\n    - name: X\n      value: 5\n", "    env:\n    - name: X\n      value: true\n", "    env: []\n", "    args: [5]\n") {
		configs = append(configs, goodConfig+strings.ReplaceAll(form, "SECRET", "hush"))
	}
	for _, form := range append(secretJSON, `"env":[{"name":"X","value":5}]`, `"env":[{"name":"X","value":true}]`, `"args":[null]`) {
		configs = append(configs, `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"ecr-credential-provider","matchImages":["*.dkr.ecr.*.amazonaws.com"],`+
			strings.ReplaceAll(form, "SECRET", "hush")+`,"defaultCacheDuration":"12h","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}`)
	}
	files, err := filepath.Glob("testdata/configs/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, string(b))
	}
	shown := 0
	for _, awk := range awks(t) {
		for _, config := range configs {
			out, err := mask(awk, config)
			if err != nil {
				t.Fatal(err)
			}
			masked, ok := strings.CutPrefix(out, "shown\n")
			if !ok {
				continue
			}
			shown++
			for _, minor := range []uint{24, 26, 30, 32} {
				v := kubelet.Version{Major: 1, Minor: minor}
				want, got := verdict(v, config), verdict(v, masked)
				if want != got {
					t.Errorf("%s: %s, masked: %s\n%s\nmasked:\n%s", v, want, got, config, masked)
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d configs were shown", shown)
	}
}

// verdict says whether a kubelet takes a config, with everything else in order.
func verdict(v kubelet.Version, config string) string {
	binaries := map[string]kubelet.Binary{}
	for _, name := range append(kubelet.ProviderNames([]byte(config)), name) {
		binaries[name] = kubelet.Binary{State: kubelet.PathRegular, Executable: true}
	}
	r := kubelet.Start(v, kubelet.Provider{
		ConfigPath: configPath, ConfigState: kubelet.PathRegular, Config: []byte(config),
		BinDir: binDir, BinDirState: kubelet.PathDirectory, Binaries: binaries,
	})
	if r == nil {
		return "accepts"
	}
	return fmt.Sprint("exits with ", r.ExitCode)
}

// What looks like an AWS key is taken out wherever it stands, by the script as a
// whole, in whichever shell.
func TestKeysStay(t *testing.T) {
	const id, key = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	configs := []string{
		strings.Replace(withKeys, `"very-secret"`, key, 1),
		strings.Replace(goodConfig, "12h", id, 1),
		strings.Replace(goodConfig, name, id, 1),
		strings.Replace(goodConfig, `"*.dkr.ecr.*.amazonaws.com"`, `"`+key+`"`, 1),
		"# " + key + "\n" + goodConfig,
		goodConfig + "  - name: " + key + "\n",
	}
	for shell, path := range shells(t) {
		for i, config := range configs {
			t.Run(fmt.Sprint(shell, i), func(t *testing.T) {
				t.Parallel()
				n := good(t)
				n.write(configPath, config, 0o600)
				q, err := query().normal(1)
				if err != nil {
					t.Fatal(err)
				}
				noLeak(t, n.run(path, modeCheck, checkArgs(q)...), id, key)
			})
		}
	}
}

// noLeak fails when one of the secrets stands in a message in whatever coding.
func noLeak(t *testing.T, text string, secrets ...string) {
	t.Helper()
	all := text
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n=", r) }) {
		for _, form := range []string{word, word + "=", word + "=="} {
			if b, err := base64.StdEncoding.DecodeString(form); err == nil {
				all += "\n" + string(b)
			}
		}
		if b, err := hex.DecodeString(word); err == nil {
			all += "\n" + string(b)
		}
	}
	if m, err := readMessage(text); err == nil {
		if body, _ := m.one("body"); body != "" {
			b, err := unpack(body)
			if err != nil {
				t.Fatal(err)
			}
			all += "\n" + string(b)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(all, secret) {
			t.Errorf("%q leaves the node in:\n%s", secret, all)
		}
	}
}

// On the node itself, a rehearsal reads env and args as the kubelet does.
func TestListReads(t *testing.T) {
	type entry struct{ Name, Value string }
	for _, config := range []string{
		withKeys,
		strings.ReplaceAll(withKeys, "\n", "\r\n"),
		goodConfig + "    env:\n    - name: A\n      value: 'it''s'\n    - name: B\n      value: \"a b\"\n    - name: C\n      value: plain text # comment\n    args: [\"--x=1\", get-credentials]\n",
		"---\n" + goodConfig + "    env:\n    - name: A\n      value: x\n---\nother: document\n",
		`{"providers":[{"name":"other","env":[{"name":"X","value":"other"}]},{"env":[{"name":"A","value":"a b"}],"name":"ecr-credential-provider","args":["--x","y z"]}]}`,
	} {
		var doc struct {
			Providers []struct {
				Name string
				Args []string
				Env  []entry
			}
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(config, "---\n"), "---")
		if err := yaml.Unmarshal([]byte(first), &doc); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, p := range doc.Providers {
			if p.Name != name {
				continue
			}
			for _, a := range p.Args {
				want["arg "+a] = true
			}
			for _, e := range p.Env {
				want["env "+e.Name+"="+e.Value] = true
			}
		}
		for which, awk := range awks(t) {
			out, err := filter(awk, configAwk, config, "list")
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if lines[0] != "shown" || len(lines)-1 != len(want) {
				t.Errorf("%s: %q, want %v of:\n%s", which, lines, want, config)
			}
			for _, line := range lines[1:] {
				if !want[line] {
					t.Errorf("%s: %q is not in the config:\n%s", which, line, config)
				}
			}
		}
	}
}
