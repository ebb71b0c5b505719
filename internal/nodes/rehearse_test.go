package nodes

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rkepatch/internal/kubelet"
)

const ecrImage = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app"

// rehearsal runs a rehearsal on the tree with p as its /proc.
func (n tree) rehearsal(path, version string, p proc, edit ...string) (string, provider) {
	n.t.Helper()
	b, err := os.ReadFile(n.at(configPath))
	if err != nil {
		n.t.Fatal(err)
	}
	entry, image := choose(readConfig(b), kubelet.ECR, []string{"docker.io/library/nginx", ecrImage + ":1.2"})
	if image != ecrImage {
		n.t.Fatalf("chose the image %q", image)
	}
	q, err := query().normal(1)
	if err != nil {
		n.t.Fatal(err)
	}
	args := rehearseArgs(q, &NodeReport{Name: "node", Version: version}, entry, image)
	return n.run(path, modeRehearse, append(append(args, "--proc", p.root), edit...)...), entry
}

// say makes the provider print what it is told.
func (n tree) say(stdout, stderr, code string) {
	n.provider(name, "say")
	n.write(binDir+"/.out", stdout, 0o644)
	n.write(binDir+"/.err", stderr, 0o644)
	n.write(binDir+"/.code", code, 0o644)
}

// withEnviron is a /proc with one kubelet that has the given environment.
func withEnviron(t *testing.T, environ ...string) proc {
	p := newProc(t)
	p.process(42, 4000, "kubelet", "kubelet", "--hostname-override=node")
	p.write("/42/environ", strings.Join(environ, "\x00")+"\x00", 0o400)
	return p
}

// The provider runs with the kubelet's environment and the config's on top, with
// the config's arguments, and nothing else.
func TestRehearseScriptRunsAsKubelet(t *testing.T) {
	config := goodConfig + "    args: [\"a b\", --x=$(id)]\n    env:\n    - name: FROM_CONFIG\n      value: \"it's `id`; \\n\"\n    - name: BOTH\n      value: config\n"
	config = strings.Replace(config, `; \n`, "; ", 1)
	for _, tt := range []struct {
		version string
		environ []string
		want    []string
	}{
		{"v1.26.15", []string{"PATH=/usr/bin:/bin", "BOTH=kubelet", "FROM_KUBELET=a \n b", "-S=x", "junk", "=x", "EMPTY="},
			[]string{"a b", "--x=$(id)", "PATH=/usr/bin:/bin", "FROM_KUBELET=a ", " b", "EMPTY=", "FROM_CONFIG=it's `id`; ", "BOTH=config"}},
		{"v1.22.17", []string{"PATH=/usr/bin:/bin", "BOTH=kubelet", "FROM_KUBELET=x"},
			[]string{"a b", "--x=$(id)", "FROM_CONFIG=it's `id`; ", "BOTH=config"}},
	} {
		for shell, path := range shells(t) {
			t.Run(shell+tt.version, func(t *testing.T) {
				t.Parallel()
				n := good(t)
				n.write(configPath, config, 0o600)
				record := filepath.Join(t.TempDir(), "record")
				n.provider(name, "record "+record)
				n.rehearsal(path, tt.version, withEnviron(t, tt.environ...))
				b, err := os.ReadFile(record)
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
				slices.Sort(got)
				want := slices.Sorted(slices.Values(tt.want))
				if !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// While a provider runs, its secrets are on no command line, where everybody on
// the node could read them, and any agent that watches processes would.
func TestRehearseScriptTellsNoOne(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			n := good(t)
			n.write(configPath, goodConfig+"    env:\n    - name: AWS_ACCESS_KEY_ID\n      value: x\n    - name: AWS_SECRET_ACCESS_KEY\n      value: config-hush-hush\n", 0o600)
			record := filepath.Join(t.TempDir(), "record")
			p := withEnviron(t, "PATH=/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY=kubelet-hush-hush")
			n.provider(name, "spy "+record+" "+p.at("/uptime"))
			text, entry := n.rehearsal(path, "v1.26.15", p)
			noLeak(t, text, "hush")
			if b, err := os.ReadFile(record); err != nil || len(b) > 0 {
				t.Errorf("%v: on the command line of: %q", err, b)
			}
			if r, f, err := readRehearsal(text, entry, ecrImage); err != nil || f != nil || !r.OK || r.Took != 2*time.Second {
				t.Errorf("%v, %+v, %+v", err, f, r)
			}
		})
	}
}

// What comes of a rehearsal, told apart from what the provider really prints.
func TestRehearseScript(t *testing.T) {
	const errorOf = "E1023 12:00:00.000000    1234 main.go:219] Error running credential provider plugin: "
	response := func(edit ...string) string {
		s := `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"6h0m0s","auth":{"123456789012.dkr.ecr.eu-central-1.amazonaws.com":{"username":"AWS","password":"hush-hush"}}}`
		return strings.NewReplacer(edit...).Replace(s)
	}
	tests := []struct {
		name           string
		out, err, code string
		role           string // instead of saying these
		finding        string
		says           string
	}{
		{name: "credentials", out: response()},
		{name: "an image key", out: response("Registry", "Image")},
		{name: "no duration", out: response(`"cacheDuration":"6h0m0s",`, "")},
		{name: "no role, SDK v2", code: "1", finding: rehearsalNoRole,
			err: errorOf + "operation error ECR: GetAuthorizationToken, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error StatusCode: 404, request to EC2 IMDS failed\n"},
		{name: "IMDS unreachable, SDK v2", code: "1", finding: rehearsalIMDS,
			err: errorOf + `operation error ECR: GetAuthorizationToken, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, exceeded maximum number of attempts, 3, request send failed, Get "http://169.254.169.254/latest/meta-data/iam/security-credentials/": dial tcp 169.254.169.254:80: connect: connection refused` + "\n"},
		{name: "IMDS silent, SDK v2", code: "1", finding: rehearsalIMDS,
			err: errorOf + "operation error ECR: GetAuthorizationToken, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, canceled, context deadline exceeded\n"},
		{name: "no role, SDK v1", code: "1", finding: rehearsalNoRole,
			err: errorOf + "NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging see aws.Config.CredentialsChainVerboseErrors\n"},
		{name: "no region, SDK v1", code: "1", finding: rehearsalNoRegion, err: errorOf + "MissingRegion: could not find region configuration\n"},
		{name: "no region, SDK v2", code: "1", finding: rehearsalNoRegion,
			err: errorOf + "operation error ECR: GetAuthorizationToken, failed to resolve service endpoint, endpoint rule error, Invalid Configuration: Missing Region\n"},
		{name: "denied", code: "1", finding: rehearsalDenied,
			err: errorOf + "operation error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: 5b0f-hush-hush, api error AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/hush-hush/i-0abc is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows\n"},
		{name: "bad keys", code: "1", finding: rehearsalBadKeys,
			err: errorOf + "operation error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: x, api error UnrecognizedClientException: The security token included in the request is invalid.\n"},
		{name: "ECR unreachable", code: "1", finding: rehearsalNetwork,
			err: errorOf + `operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post "https://api.ecr.eu-central-1.amazonaws.com/": dial tcp: lookup api.ecr.eu-central-1.amazonaws.com on 10.0.0.2:53: no such host` + "\n"},
		{name: "wrong API", role: "v1alpha1", finding: rehearsalWrongAPI},
		{name: "not known", code: "3", err: "panic: something hush-hush\n", finding: rehearsalFailed, says: "exit code 3"},
		{name: "a helper for Docker", role: "helper", finding: rehearsalFailed},
		{name: "time-out", role: "hang", finding: rehearsalTimeout},
		{name: "nothing at all", code: "0", finding: rehearsalBadAnswer, says: "no CredentialProviderResponse"},
		{name: "not JSON", out: "hush-hush\n", code: "0", finding: rehearsalBadAnswer},
		{name: "half of it", out: response()[:150], code: "0", finding: rehearsalBadAnswer},
		{name: "another API", out: response("k8s.io/v1", "k8s.io/v1alpha1"), finding: rehearsalBadAnswer, says: "v1alpha1"},
		{name: "another key type", out: response("Registry", "Cluster"), finding: rehearsalBadAnswer, says: "cacheKeyType"},
		{name: "no password", out: response("hush-hush", ""), finding: rehearsalBadAnswer, says: "no password"},
		{name: "no auth", out: `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry"}`, finding: rehearsalBadAnswer},
	}
	for shell, path := range shells(t) {
		for _, tt := range tests {
			t.Run(shell+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				n := good(t)
				n.say(tt.out, tt.err, tt.code)
				if tt.role != "" {
					n.provider(name, tt.role)
				}
				text, entry := n.rehearsal(path, "v1.26.15", withEnviron(t, "PATH=/usr/bin:/bin"), "--run-timeout", "1")
				noLeak(t, text, "hush")
				r, f, err := readRehearsal(text, entry, ecrImage)
				if err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				if tt.finding == "" {
					if f != nil || !r.OK || !slices.Equal(r.Registries, []string{"123456789012.dkr.ecr.eu-central-1.amazonaws.com"}) || r.API != "v1" || r.Cached == "" {
						t.Errorf("%+v, %+v in %s", r, f, text)
					}
					return
				}
				if f == nil || f.Code != tt.finding || !strings.Contains(f.Message, tt.says) || r.OK {
					t.Errorf("%+v, %+v in %s", r, f, text)
				}
			})
		}
	}
}

// The provider runs where the running kubelet sees its files, if it is there.
func TestRehearseScriptAmongTheKubeletsFiles(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil || os.Getuid() != 0 || exec.Command("chroot", "/", "/bin/sh", "-c", "true").Run() != nil {
		t.Skip("changing the root takes root and busybox")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			n, p := good(t), withEnviron(t, "PATH=/usr/bin:/bin", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=hush-hush", "AWS_CONFIG_FILE=/aws/config")
			text, entry := n.rehearsal(path, "v1.26.15", p)
			if r, f, err := readRehearsal(text, entry, ecrImage); err != nil || r != nil || f == nil || !strings.Contains(f.Message, "name files") {
				t.Errorf("away from its files: %v, %+v, %+v", err, r, f)
			}
			inside := tree{t, p.at("/42/root")}
			inside.write("/bin/sh", string(program), 0o755)
			if exec.Command("chroot", inside.root, "/bin/sh", "-c", "true").Run() != nil {
				t.Skip("busybox is not static")
			}
			inside.provider(name, "record /record")
			text, entry = n.rehearsal(path, "v1.26.15", p)
			noLeak(t, text, "hush")
			if r, f, err := readRehearsal(text, entry, ecrImage); err != nil || f != nil || !r.OK {
				t.Errorf("%v, %+v, %+v in %s", err, f, r, text)
			}
			if b, err := os.ReadFile(inside.at("/record")); err != nil || !strings.Contains(string(b), "AWS_CONFIG_FILE=/aws/config\n") {
				t.Errorf("%v: %q", err, b)
			}
		})
	}
}

// What keeps a rehearsal from being like the kubelet's own run is said.
func TestRehearseScriptObstacles(t *testing.T) {
	for shell, path := range shells(t) {
		for what, tt := range map[string]struct {
			upset func(tree, proc)
			says  string
		}{
			"no kubelet":       {func(_ tree, p proc) { p.remove("/42") }, "no kubelet"},
			"no environment":   {func(_ tree, p proc) { p.remove("/42/environ") }, "environment"},
			"huge environment": {func(_ tree, p proc) { p.write("/42/environ", strings.Repeat("A=b\x00", 30000), 0o400) }, "very large"},
			"a file in args":   {func(n tree, _ proc) { n.write(configPath, goodConfig+"    args: [\"--config=/etc/aws/c\"]\n", 0o644) }, "name files"},
			"a file in env":    {func(n tree, _ proc) { n.write(configPath, oneEnv("/etc/aws/c"), 0o644) }, "name files"},
			"a file in the kubelet's environment": {func(_ tree, p proc) {
				p.write("/42/environ", "PATH=/bin\x00AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token\x00", 0o400)
			}, "name files"},
			"env as a flow map": {func(n tree, _ proc) {
				n.write(configPath, goodConfig+"    env: [{name: A, value: b}]\n", 0o644)
			}, "cannot be read for certain"},
		} {
			t.Run(shell+"/"+what, func(t *testing.T) {
				t.Parallel()
				n, p := good(t), withEnviron(t, "PATH=/usr/bin:/bin")
				tt.upset(n, p)
				text, entry := n.rehearsal(path, "v1.26.15", p)
				r, f, err := readRehearsal(text, entry, ecrImage)
				if err != nil || r != nil || f == nil || f.Code != rehearsalImpossible || !strings.Contains(f.Message, tt.says) {
					t.Errorf("%v, %+v, %+v in %s", err, r, f, text)
				}
			})
		}
	}
}

// Whatever a provider prints, on either stream, what it was given as a secret
// does not leave the node.
func TestRehearseHidesSecrets(t *testing.T) {
	forms := []string{
		`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"6h","auth":{"SECRET":{"username":"AWS","password":"SECRET"}}}`,
		`{"kind":"CredentialProviderResponse","apiVersion":"SECRET","cacheKeyType":"SECRET","cacheDuration":"SECRET","SECRET":"SECRET","auth":{"SECRET.amazonaws.com":{"username":"SECRET","password":"SECRET"}}}`,
		`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/vSECRET","cacheKeyType":"Registry","auth":{"*.SECRET.*":{"password":"SECRET"},"123456789012.SECRET.eu-central-1.amazonaws.com:443/SECRET":{"password":"x"}}}`,
		`{"kind":"SECRET"}`, `SECRET`, "{\"auth\":\nSECRET", `"SECRET`, "password: SECRET\n", "=exit=SECRET\n", "=exit=0 SECRET\n", "said=SECRET\nregistry=SECRET\n",
		"Authorization: Basic SECRET\n", "StatusCode: SECRET\n", "error SECRET error\n", "S E C R E T SECRET\n", "\x00SECRET\x00", "api=SECRET",
	}
	reader := awks(t)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9+/=.-]{6,30}[0-9][a-z]`).Draw(t, "secret")
		text := strings.ReplaceAll(strings.Join(rapid.SliceOfN(rapid.SampledFrom(forms), 1, 3).Draw(t, "forms"), rapid.SampledFrom([]string{"", "\n", " "}).Draw(t, "between")), "SECRET", secret)
		which := rapid.SampledFrom(slices.Sorted(maps.Keys(reader))).Draw(t, "reader")
		for _, run := range [][]string{{responseAwk, "REQUEST", `{"image":"` + ecrImage + `"}`}, {wordsAwk, "WORDS", strings.Join(strings.Fields(words), " ")}} {
			out, err := filterEnv(reader[which], run[0], text, run[1]+"="+run[2])
			if err != nil {
				t.Fatalf("%s: %v", which, err)
			}
			if strings.Contains(out, secret) {
				t.Fatalf("%q leaves the node in:\n%s", secret, out)
			}
			for line := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
				if key, _, ok := strings.Cut(line, "="); !ok || strings.Contains(key, secret) {
					t.Fatalf("odd line %q", line)
				}
			}
		}
	})
}

// Every phrase of the table is made of words that a node hands over.
func TestFailuresAreSaid(t *testing.T) {
	known := strings.Fields(words)
	for _, f := range failures {
		for _, phrase := range append(slices.Clone(f.all), f.any...) {
			for _, word := range strings.Fields(phrase) {
				if !slices.Contains(known, word) {
					t.Errorf("%s: %q is not in the vocabulary", f.code, word)
				}
			}
		}
		if !slices.ContainsFunc(rehearsalCatalogue, func(c Finding) bool { return c.Code == f.code }) {
			t.Errorf("%s is not in the catalogue", f.code)
		}
	}
	if got := classify("auth-provider-gcp", "connection refused", 1, time.Second); got != rehearsalFailed {
		t.Errorf("GCP's provider is told of %s", got)
	}
	if got := classify(name, "NoCredentialProviders no valid providers in chain", 1, 12500*time.Millisecond); got != rehearsalIMDS {
		t.Errorf("an SDK v1 provider that waited for IMDS: %s", got)
	}
}

// The first image that a pattern of the config matches is taken, without its
// tag, and with the entry that matches it.
func TestChoose(t *testing.T) {
	config := []provider{{Name: "other", MatchImages: []string{"registry.example", "["}}, {Name: name, MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}},
		{Name: "acr-credential-provider", MatchImages: []string{"*.azurecr.io"}}}
	for _, tt := range []struct{ image, provider, want string }{
		{ecrImage + ":v1", name, ecrImage},
		{ecrImage + "@sha256:" + strings.Repeat("a", 64), name, ecrImage},
		{"registry.example/x", "other", "registry.example/x"},
		{"nginx", "", ""},
		{"team.azurecr.io/x", "acr-credential-provider", "team.azurecr.io/x"},
		{"not an image \x00", "", ""},
		{"", "", ""},
	} {
		p, image := choose(config, kubelet.ECR, []string{"quay.io/a/b", tt.image})
		if p.Name != tt.provider || image != tt.want {
			t.Errorf("%q: %q, %q", tt.image, p.Name, image)
		}
	}
	// What is wanted goes before what comes first.
	if p, image := choose(config, kubelet.ACR, []string{ecrImage, "team.azurecr.io/x"}); p.Name != "acr-credential-provider" || image != "team.azurecr.io/x" {
		t.Errorf("%q, %q", p.Name, image)
	}
	if p, _ := choose(config, kubelet.GCP, []string{ecrImage}); p.Name != name {
		t.Errorf("%q", p.Name)
	}
}
