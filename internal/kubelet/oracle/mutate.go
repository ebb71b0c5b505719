package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// What mutations are made of: values that are right, nearly right, and wrong in
// every way that a file on a node has been seen to be wrong in.
var (
	configVersions = []string{
		"kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1",
		"kubelet.config.k8s.io/v2", "kubelet.k8s.io/v1", "kubelet.config.k8s.io", "v1", "", "/", "/v1", "kubelet.config.k8s.io/",
		"credentialprovider.kubelet.k8s.io/v1", "kubelet.config.k8s.io/v1/x", " kubelet.config.k8s.io/v1", "Kubelet.Config.K8s.io/V1",
	}
	kinds        = []string{"CredentialProviderConfig", "CredentialProviderRequest", "KubeletConfiguration", "SerializedNodeConfigSource", "credentialProviderConfig", "ConfigMap", "List", "", "CredentialProviderConfig "}
	providerAPIs = []string{
		"credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1", "credentialprovider.kubelet.k8s.io/v1alpha1",
		"credentialprovider.kubelet.k8s.io/v2", "credentialprovider.kubelet.k8s.io", "v1", "", "credentialprovider.kubelet.k8s.io/v1 ",
	}
	providerNames = []string{
		"ecr-credential-provider", "ecr-credential-provider", "ecr-credential-provider", "acr-credential-provider", "amazon-ecr", "azure",
		".dockercfg", "google-dockercfg", "google-container-registry", "ECR-Credential-Provider", "", ".", "..", "...", "a/b", "/x", "a b", " x", "x\t",
		"x\ny", "-v", "ecr-credential-provider.exe", "é", strings.Repeat("n", 255), strings.Repeat("n", 256), "*", "a\\b", "~", "null", "1",
	}
	patterns = []string{
		"*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr.ecr-fips.*.amazonaws.com", "*.dkr.ecr.*.c2s.ic.gov", "*.dkr.ecr.*.sc2s.sgov.gov",
		"", "*", "*.*", "https://*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.us-east-1.amazonaws.com:latest", "registry.io:*", "registry.io:8080/path", "registry.io:80:80",
		"[.dkr.ecr.*.amazonaws.com", "[a-z].io", "x[a-z].io", "[::1]:5000", "[::1", "a]b.io", "a[b", "registry.io/a[b", "registry.io/*", "registry.io/a b", "*.dkr.ecr.* .amazonaws.com",
		"%zz.io", "a%20b.io", "registry.io/%zz", "registry.io/%41", "*.dkr.ecr.*.amazonaws.com,", "*.dkr.ecr.*.amazonaws.com ", " *.amazonaws.com", "a?b.io", "a.io?x=1", "a.io#f", "a.io/p?x",
		"user@registry.io", "user:secret@registry.io", "a@b@c", "\\*.io", "registry.io:", ":5000", "/", "//", "/path", "a..b", ".io", "io.", "é.io", "\x7f.io", "a\nb", "*:443", "*.io:99999", "localhost", "ecr*.io", "?.io",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/team", "<a>", "a|b", "a;b", "a'b", "a\"b", "{a,b}.io", "**.io", "registry.io:08080",
	}
	images = []string{
		"123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:1.0", "123456789012.dkr.ecr.us-east-1.amazonaws.com/team-b/app", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a@sha256:" + strings.Repeat("0", 64),
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/a/b/c:tag", "nginx", "nginx:1.25", "library/nginx", "docker.io/nginx", "index.docker.io/nginx:1", "docker.io/library/nginx",
		"localhost/x", "localhost:5000/x:y", "registry.io:8080/path/x", "registry.io:8080/other", "registry.io/A", "Registry.io/a", "registry/a", "REGISTRY/a", "a.io", "a.io/", "quay.io/x/y:z@sha256:" + strings.Repeat("a", 64),
		"xa.io/x", "b.io/x", "ecr-1.io/x", "public.ecr.aws/x/y", "[::1]:5000/x", "registry.io:99999/x", "a..b/x", "a_b/x", "a-b.c/x", "1.2.3.4:80/x", "io./x", "registry.io/a b", "", "x:y:z", "docker.io/a/b/c",
		"user@registry.io/x", "registry.io:/x", "registry.io:08080/x", "docker.io", "localhost", "index.docker.io/a/b", strings.Repeat("a", 64),
	}
	durations = []any{
		"12h", "0", "0s", "1h30m", "10m", "12", "", "1d", "-1s", "-0", "+1h", "1h ", " 1h", "1.5h", ".5h", "1us", "1µs", "9999999h", "1e3s", "12H", "null", "~", "00", "1h-1m",
		0, 12, -1, 1.5, true, nil, []any{}, map[string]any{}, []any{"12h"}, 1e30, "2562047h47m16.854775807s", "2562047h47m16.854775808s",
	}
	strangeValues = []any{nil, true, false, 0, -1, 3.5, 1e400 / 1e200, "", "x", []any{}, []any{nil}, map[string]any{}, map[string]any{"a": "b"}, []any{"x", 1}, "12h", []any{[]any{}}}
	pieces        = []string{
		"\t", " ", "\n", "\r\n", "---\n", "...\n", "\n---\n", "# comment\n", "\"", "'", ":", ": ", "-", "- ", ",", "[", "]", "{", "}", "*", "&a ", "*a", "<<: *a\n", "!!str ", "!!int ", "!!binary ", "| \n", "> \n", "%", "@", "`", "~",
		"null", "true", "yes", "0", "12h", "\x00", "\xff", "\xef\xbb\xbf", "\xfe\xff", "\u2028", "\u0085", "é", "providers:\n", "name: x\n", "apiVersion: v1\n", "kind: X\n", "foo: bar\n", "? ", "\\", "\\u0000", "\\ud800", "//", "/*", "0x1f", "1_000", ".nan", ".inf", "2001-01-01", "=", "<<", "1:30",
	}
)

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// one says yes once in n times.
func one(rng *rand.Rand, n int) bool { return rng.IntN(n) == 0 }

// makeUp gives one random case.
func makeUp(rng *rand.Rand, bases []Case) Case {
	if one(rng, 12) {
		return Case{Pattern: alter(rng, pick(rng, patterns), 4), Image: alter(rng, pick(rng, images), 6)}
	}
	c := Case{}
	switch rng.IntN(6) {
	case 0:
		c.Config = bytes.Clone(pick(rng, bases).Config)
	default:
		c.Config = write(rng, config(rng))
	}
	if one(rng, 3) {
		for range 1 + rng.IntN(2) {
			c.Config = scramble(rng, c.Config)
		}
	}
	switch rng.IntN(60) {
	case 0:
		c.NoConfig = "missing"
	case 1:
		c.NoConfig = "directory"
	case 2:
		c.BinDir = "missing"
	case 3:
		c.BinDir = "file"
	case 4:
		c.BinDir = "unnamed"
	}
	c.Binaries = map[string]string{}
	for _, name := range providerNames {
		// What no directory can hold, and what nobody asks for, stays missing.
		if strings.Trim(name, ".") == "" || len(name) > 255 || strings.Contains(name, "/") || !bytes.Contains(c.Config, []byte(name)) {
			continue
		}
		c.Binaries[name] = "executable"
		if one(rng, 12) {
			c.Binaries[name] = pick(rng, []string{"plain", "empty", "directory", "dangling", "loop", "missing"})
		}
	}
	return c
}

// alter changes a text in one place, once in n times.
func alter(rng *rand.Rand, s string, n int) string {
	if !one(rng, n) {
		return s
	}
	return string(scramble(rng, []byte(s)))
}

// field is a member of an object. Objects are lists of members, so that a name
// can come twice.
type field struct {
	name  string
	value any
}

type object []field

func config(rng *rand.Rand) object {
	version := pick(rng, configVersions[:3])
	if one(rng, 12) {
		version = pick(rng, configVersions)
	}
	kind := kinds[0]
	if one(rng, 15) {
		kind = pick(rng, kinds)
	}
	list := []any{}
	count := 1
	if one(rng, 5) {
		count = rng.IntN(4)
	}
	for range count {
		list = append(list, provide(rng))
	}
	o := object{{"apiVersion", version}, {"kind", kind}, {"providers", list}}
	return twist(rng, o, 15)
}

func provide(rng *rand.Rand) any {
	if one(rng, 60) {
		return pick(rng, strangeValues)
	}
	api := pick(rng, providerAPIs[:3])
	if one(rng, 12) {
		api = pick(rng, providerAPIs)
	}
	name := providerNames[0]
	if one(rng, 6) {
		name = pick(rng, providerNames)
	}
	globs := []any{}
	for range 1 + rng.IntN(3) {
		if one(rng, 8) {
			globs = append(globs, alter(rng, pick(rng, patterns), 4))
		} else {
			globs = append(globs, pick(rng, patterns[:5]))
		}
	}
	if one(rng, 30) {
		globs = append(globs, pick(rng, strangeValues))
	}
	duration := any("12h")
	if one(rng, 8) {
		duration = pick(rng, durations)
	}
	o := object{{"name", name}, {"matchImages", globs}, {"defaultCacheDuration", duration}, {"apiVersion", api}}
	if one(rng, 5) {
		o = append(o, field{"args", []any{"get-credentials", pick(rng, []any{"--v=3", "x", 1, nil, true})}})
	}
	if one(rng, 5) {
		o = append(o, field{"env", []any{twist(rng, object{{"name", "AWS_REGION"}, {"value", pick(rng, []any{"eu-west-1", 1, nil, ""})}}, 6)}})
	}
	return twist(rng, o, 12)
}

// twist spoils an object's members, once in n times.
func twist(rng *rand.Rand, o object, n int) object {
	if !one(rng, n) {
		return o
	}
	i := rng.IntN(len(o))
	switch rng.IntN(8) {
	case 0:
		return slices.Delete(o, i, i+1)
	case 1:
		o[i].value = pick(rng, strangeValues)
	case 2:
		o[i].value = nil
	case 3:
		return append(o, o[i])
	case 4:
		return append(o, field{o[i].name, pick(rng, strangeValues)})
	case 5:
		o[i].name = pick(rng, []string{strings.ToUpper(o[i].name), strings.ToLower(o[i].name), o[i].name + " ", o[i].name + "s", ""})
	case 6:
		return append(o, field{pick(rng, []string{"foo", "tokenAttributes", "metadata", "matchimages", "valueFrom", "<<"}), pick(rng, strangeValues)})
	case 7:
		rng.Shuffle(len(o), func(a, b int) { o[a], o[b] = o[b], o[a] })
	}
	return o
}

// write gives an object as JSON or as YAML of some style.
func write(rng *rand.Rand, o object) []byte {
	var b strings.Builder
	if one(rng, 3) {
		writeJSON(&b, o)
	} else {
		if one(rng, 6) {
			b.WriteString(pick(rng, []string{"---\n", "# made\n", "\n\n", "\xef\xbb\xbf", "%YAML 1.1\n---\n"}))
		}
		writeYAML(rng, &b, o, "")
		if one(rng, 8) {
			b.WriteString(pick(rng, []string{"---\nfoo: bar\n", "---\n", "...\n", "...\n[[[\n", "---\n\t\n", "--- x\n"}))
		}
	}
	out := []byte(b.String())
	if one(rng, 15) {
		out = bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	}
	return out
}

func writeJSON(b *strings.Builder, v any) {
	switch v := v.(type) {
	case object:
		b.WriteString("{")
		for i, f := range v {
			if i > 0 {
				b.WriteString(",\n ")
			}
			fmt.Fprintf(b, "%s: ", scalar(f.name))
			writeJSON(b, f.value)
		}
		b.WriteString("}")
	case []any:
		b.WriteString("[")
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeJSON(b, e)
		}
		b.WriteString("]")
	default:
		b.WriteString(scalar(v))
	}
}

func scalar(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(raw)
}

func writeYAML(rng *rand.Rand, b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case object:
		for i, f := range v {
			if i > 0 {
				b.WriteString(indent)
			}
			name := f.name
			if one(rng, 10) {
				name = scalar(name)
			}
			b.WriteString(name + ":")
			writeUnder(rng, b, f.value, indent)
		}
	default:
		writeJSON(b, v)
		b.WriteString("\n")
	}
}

func writeUnder(rng *rand.Rand, b *strings.Builder, v any, indent string) {
	list, isList := v.([]any)
	switch s, isText := v.(string); {
	case isList && len(list) > 0 && !one(rng, 6):
		b.WriteString("\n")
		for _, e := range list {
			b.WriteString(indent + "- ")
			writeYAML(rng, b, e, indent+"  ")
		}
	case isText && one(rng, 3):
		b.WriteString(" " + s + "\n") // bare, as people write it
	default:
		b.WriteString(" ")
		writeJSON(b, v)
		b.WriteString("\n")
	}
}

// scramble changes a text in one place.
func scramble(rng *rand.Rand, s []byte) []byte {
	at := rng.IntN(len(s) + 1)
	end := min(len(s), at+1+rng.IntN(8))
	switch rng.IntN(7) {
	case 0:
		return slices.Delete(bytes.Clone(s), at, end)
	case 1:
		return slices.Insert(bytes.Clone(s), at, []byte(pick(rng, pieces))...)
	case 2:
		return slices.Insert(bytes.Clone(s), at, s[at:end]...)
	case 3:
		return slices.Concat(s[:at], []byte(pick(rng, pieces)), s[end:])
	case 4: // a line twice, or moved
		lines := bytes.SplitAfter(s, []byte("\n"))
		i := rng.IntN(len(lines))
		return bytes.Join(slices.Insert(lines, rng.IntN(len(lines)+1), lines[i]), nil)
	case 5: // a line gone
		lines := bytes.SplitAfter(s, []byte("\n"))
		i := rng.IntN(len(lines))
		return bytes.Join(slices.Delete(lines, i, i+1), nil)
	}
	if one(rng, 3) { // the same file appended to itself
		return slices.Concat(s, []byte(pick(rng, []string{"", "\n", "\n---\n"})), s)
	}
	return bytes.Clone(s[:at])
}
