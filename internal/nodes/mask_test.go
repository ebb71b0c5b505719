package nodes

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rkepatch/internal/kubelet"
)

const (
	jsonHead = `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"ecr-credential-provider","matchImages":["*.dkr.ecr.*.amazonaws.com"],`
	jsonTail = `,"defaultCacheDuration":"12h","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}`
	// withEnv is a config in which every kind of place has something in it.
	withEnv = goodConfig + "    args:\n      - get-credentials\n      - \"--x=y\"\n    env:\n      - name: AWS_PROFILE\n        value: dev\n      - name: K\n        value: 'it''s'\n      - name: L\n        value: \"q z\" # c\n"
)

func oneEnv(value string) string {
	return goodConfig + "    env:\n      - name: K\n        value: " + value + "\n"
}

func oneJSON(value string) string {
	return jsonHead + `"env":[{"name":"K","value":` + value + `}]` + jsonTail
}

func onePattern(pattern string) string {
	return goodConfig + "  - name: other-provider\n    matchImages: [" + pattern + "]\n    defaultCacheDuration: 1m\n    apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
}

// brokenConfigs are refused by kubelets for what a mask could take out of them.
var brokenConfigs = map[string]string{
	"an escape that is none":        oneEnv(`"a\qb"`),
	"a Windows domain":              oneEnv(`"http://CORP\svc:pw@proxy:3128"`),
	"a Windows path":                oneEnv(`"C:\Users\x"`),
	"a Windows path in args":        goodConfig + "    args: [\"--p=C:\\dev\\x\"]\n",
	"half an escape":                oneEnv(`"\u12"`),
	"Latin-1 in a comment":          "# f\xfcr ECR\n" + goodConfig,
	"Latin-1 behind a value":        strings.Replace(goodConfig, "amazonaws.com\"\n", "amazonaws.com\" # f\xfcr ECR\n", 1),
	"Latin-1 in a value":            oneEnv("\"f\xfcr\""),
	"a control byte in a comment":   "# bell \x07\n" + goodConfig,
	"a control byte in a value":     oneEnv("\"a\x1bb\""),
	"DEL in a value":                oneEnv("\"a\x7fb\""),
	"U+FFFF in a comment":           "# \uffff\n" + goodConfig,
	"a tab ahead of a comment":      strings.Replace(goodConfig, "kind:", "\t# comment\nkind:", 1),
	"a tab ahead of a list":         strings.Replace(goodConfig, "    matchImages:\n", "    matchImages:\n\t# all regions\n", 1),
	"CR in a comment":               "# a\rfoo\n" + goodConfig,
	"U+0085 in a comment":           "# a\u0085foo\n" + goodConfig,
	"U+2028 in a comment":           "# a\u2028foo: [\n" + goodConfig,
	"U+2029 in a comment":           "# a\u2029foo: [\n" + goodConfig,
	"a quote that a # closes":       goodConfig + "    foo: \"a\n    # b\" c: \"\n    d\"\n",
	"a dash as a value":             oneEnv("-"),
	"a number of a thousand digits": goodConfig + "    foo: 1e999\n",
	"a very long key":               goodConfig + "    " + strings.Repeat("k", 1100) + ": v\n",
	"a word as a port":              onePattern(`"registry:latest"`),
	"a star as a port":              onePattern(`"localhost:*"`),
	"a blank in a pattern":          onePattern(`"my registry"`),
	"a percent sign in a pattern":   onePattern(`"host%zz"`),
	"a plain word as a port":        onePattern(`"a=b:latest"`),
	"an escape in a pattern":        onePattern(`"regi\tstry"`),
	"a number as a pattern":         onePattern("5000"),
	"JSON: an escape":               oneJSON(`"a\qb"`),
	"JSON: half an escape":          oneJSON(`"a\u12"`),
	"JSON: a tab":                   oneJSON("\"a\tb\""),
	"JSON: 01":                      jsonHead + `"foo":01` + jsonTail,
	"JSON: 1e999":                   jsonHead + `"foo":1e999` + jsonTail,
	"JSON: a form feed":             jsonHead + "\x0c\"foo\":1" + jsonTail,
}

// A config that some kubelet refuses never looks better from afar: it is not
// shown, or what is shown is refused as well.
func TestMaskMendsNothing(t *testing.T) {
	readers := awks(t)
	for what, config := range brokenConfigs {
		refusals := masksWell(t, readers[awkNames(readers)[0]], config)
		if refusals == 0 {
			t.Errorf("%s: every kubelet takes it", what)
		}
		alike(t, readers, config)
	}
}

// Nor does one that is broken at random.
func TestMaskMendsNoUpset(t *testing.T) {
	readers := awks(t)
	inserts := []string{
		" ", "  ", "\t", "\n", ":", ": ", " #", "#", "\t# c", "-", "- ", ",", "[", "]", "{", "}", "'", "\"", "&a ", "*a", "!!str ", "|", ">", "%", "@", "`", "?", "~", "0", "1", ".", "e", "=", "<<",
		"---\n", "...\n", "\r", "\n\n", "null", "true", "!", "yes", "0x1", "1e3", "+1", "-.inf", "2001-01-01", "0o7", "1_0", "1:20", "é", "\xfc", "\\", "\\q", "\\u12", "\\n", "\x00", "\x07", "\x7f", "\u0085", "\u2028", "\ufeff", "\uffff",
		"x:latest", "a b", "%zz", "a=b",
	}
	seeds := []string{
		withEnv, onePattern("a.b.c, \"x:5000\""), oneJSON(`"v1"`), strings.NewReplacer(",", ",\n ", "{", "{\n ").Replace(oneJSON(`"a\nb"`)),
		"# hello\napiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr-credential-provider\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  matchImages: [\"*.dkr.ecr.*.amazonaws.com\", a.b.c]\n  defaultCacheDuration: 12h\n  foo: 12\n  env:\n  - name: A\n    value: b\n  bar: {}\n  baz:\n    k1: true\n    k2: null\n",
		strings.Replace(goodConfig, "kind:", "# made by hand\nkind:", 1),
	}
	rapid.Check(t, func(t *rapid.T) {
		config := rapid.SampledFrom(seeds).Draw(t, "config")
		for range rapid.IntRange(1, 3).Draw(t, "upsets") {
			i := rapid.IntRange(0, len(config)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "upset") {
			case 0:
				config = config[:i] + config[i+1:] + " "
			case 1, 2:
				config = config[:i] + rapid.SampledFrom(inserts).Draw(t, "insert") + config[i:]
			case 3:
				lines := strings.SplitAfter(config, "\n")
				a, b := rapid.IntRange(0, len(lines)-1).Draw(t, "line"), rapid.IntRange(0, len(lines)-1).Draw(t, "line")
				lines[a], lines[b] = lines[b], lines[a]
				config = strings.Join(lines, "")
			}
		}
		masksWell(t, readers[rapid.SampledFrom(awkNames(readers)).Draw(t, "awk")], config)
	})
}

func awkNames(readers map[string][]string) []string {
	var names []string
	for which := range readers {
		names = append(names, which)
	}
	slices.Sort(names)
	return names
}

// masksWell masks a config as the script does and fails when a kubelet that
// refuses the config takes what is shown of it. It gives how many of the kubelets
// from 1.26 on refuse the config.
func masksWell(t rapid.TB, awk []string, config string) (refusals int) {
	t.Helper()
	if strings.Contains(config, "\x00") {
		return 0 // the script looks for these itself
	}
	out, err := mask(awk, config)
	if err != nil {
		t.Fatalf("%v for:\n%q", err, config)
	}
	masked, shown := strings.CutPrefix(out, "shown\n")
	if shown {
		masked = withoutKeys(t, masked)
	}
	for minor := uint(24); minor <= 32; minor++ {
		v := kubelet.Version{Major: 1, Minor: minor}
		if verdict(v, config) == "accepts" {
			continue
		}
		if minor >= 26 { // older ones refuse every config here, for its version
			refusals++
		}
		if shown && verdict(v, masked) == "accepts" {
			t.Errorf("a %s kubelet refuses\n%q\nand takes what is shown:\n%q", v, config, masked)
		}
	}
	return refusals
}

// withoutKeys is what the script does last.
func withoutKeys(t rapid.TB, text string) string {
	t.Helper()
	_, rest, _ := strings.Cut(keylessSh, "keyless() {\n")
	body, _, _ := strings.Cut(rest, "\n}\n")
	cmd := exec.Command("sh", "-c", body)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return string(out)
}

// A name that cannot be shown is not shown as another, which would be the name of
// another file.
func TestMaskNames(t *testing.T) {
	for _, odd := range []string{"hush=ecr", "hush+hush", "AKIAIOSFODNN7EXAMPLE", strings.Repeat("a-", 20)} {
		for which, awk := range awks(t) {
			if out, err := mask(awk, strings.Replace(goodConfig, name, odd, 1)); err != nil || strings.TrimSpace(out) != "unsure" {
				t.Errorf("%s: %s: %v\n%s", which, odd, err, out)
			}
		}
	}
}

// A registry's name without a dot is masked and keeps what makes it right or
// wrong; what is harmless is shown as it is.
func TestMaskPatterns(t *testing.T) {
	for in, want := range map[string]string{
		`"registry:5000"`: `"xxxxxxxx:1111"`, `"*.dkr.ecr.*.amazonaws.com"`: `"*.dkr.ecr.*.amazonaws.com"`, "a=b.example": "x=x.xxxxxxx", `"10.0.0.1:5000"`: `"10.0.0.1:5000"`, "10.0.0.1": "10.0.0.1", "true": "true", "localhost": "xxxxxxxxx",
	} {
		for which, awk := range awks(t) {
			out, err := mask(awk, onePattern(in))
			if err != nil || !strings.Contains(out, fmt.Sprintf("matchImages: [%s]", want)) {
				t.Errorf("%s: %s: %v\n%s", which, in, err, out)
			}
		}
	}
}
