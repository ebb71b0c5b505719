package nodescript

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/version"
	"pgregory.net/rapid"

	"rkepatch/internal/kubelet"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func generated(t testing.TB, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The golden file is what an operator reviews before it goes into an image.
func TestGolden(t *testing.T) {
	got := generated(t, Options{Config: []byte(goodConfig)})
	golden := filepath.Join("testdata", "node.sh")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
	if len(got) > 64<<10 {
		t.Errorf("the script has %d bytes; it must fit into one argument of a pod", len(got))
	}
}

func TestShellcheck(t *testing.T) {
	t.Parallel()
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not here")
	}
	for name, o := range map[string]Options{
		"defaults":  {Config: []byte(goodConfig)},
		"a mirror":  {Config: []byte(goodConfig), URL: "http://mirror.example/{tag}/{arch}?a=b&c=%20d", DockerInstall: "20.10"},
		"a release": {Config: []byte("'; $(id) `id`\n" + goodConfig), Release: "v1.36.1", URL: "https://mirror.example/x", SHA256: map[string]string{"arm64": strings.Repeat("A", 64)}},
	} {
		cmd := exec.Command(shellcheck, "--norc", "-s", "sh", "-")
		cmd.Stdin = strings.NewReader(generated(t, o))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("a", 64)
	for _, tt := range []struct {
		name string
		o    Options
		says string
	}{
		{"no config", Options{Config: []byte{}}, "must name one API version, and names 0"},
		{"two APIs in the config", Options{Config: []byte(goodConfig + "credentialprovider.kubelet.k8s.io/v1alpha1")}, "names 2"},
		{"a binary config", Options{Config: []byte(goodConfig + "\x00")}, "no plain text"},
		{"a config in Latin 1", Options{Config: []byte(goodConfig + "\xe9")}, "no plain text"},
		{"an escape sequence in the config", Options{Config: []byte(goodConfig + "\x1b[2J")}, "no plain text"},
		{"a config with CRLF", Options{Config: []byte(strings.ReplaceAll(goodConfig, "\n", "\r\n"))}, "no plain text"},
		{"a huge config", Options{Config: []byte(goodConfig + strings.Repeat("#\n", 1<<15))}, "larger than 32 KiB"},
		{"a config for another API than the release's", Options{Config: []byte("credentialprovider.kubelet.k8s.io/v1alpha1")}, "release v1.31.7 speaks v1 only"},
		{"a relative directory", Options{BinDir: "opt/aws"}, "the path of the plugin's directory cannot be used"},
		{"a directory with ..", Options{BinDir: "/opt/../etc"}, "cannot be used"},
		{"a directory with .", Options{BinDir: "/opt/./aws"}, "cannot be used"},
		{"a directory with //", Options{BinDir: "/opt//aws"}, "cannot be used"},
		{"the root directory", Options{BinDir: "/"}, "cannot be used"},
		{"a directory with a / at its end", Options{BinDir: "/opt/aws/"}, "cannot be used"},
		{"a directory with a quote", Options{BinDir: "/opt/'; id; '"}, "cannot be used"},
		{"a directory with a new line", Options{BinDir: "/opt\nid"}, `/opt\nid`},
		{"a directory that ends in a new line", Options{BinDir: "/opt\n"}, "cannot be used"},
		{"a directory with a substitution", Options{BinDir: "/$(id)"}, "cannot be used"},
		{"a directory with a colon, which Docker's binds do not take", Options{BinDir: "/opt:aws"}, "cannot be used"},
		{"an endless directory", Options{BinDir: "/" + strings.Repeat("x", 5000)}, "…"},
		{"a config with a space", Options{ConfigFile: "/opt/my config"}, "the path of the provider config cannot be used"},
		{"a config in place of the plugin", Options{ConfigFile: kubelet.DefaultBinDir + "/ecr-credential-provider"}, "lies where the plugin goes"},
		{"a config below the plugin", Options{ConfigFile: kubelet.DefaultBinDir + "/ecr-credential-provider/c"}, "lies where the plugin goes"},
		{"a release that is no tag", Options{Release: "v1'; id"}, "is no tag"},
		{"an unknown release", Options{Release: "v1.99.0", URL: "https://x/y"}, "the checksum of ecr-credential-provider v1.99.0 is not known"},
		{"an unknown release without a mirror", Options{Release: "v1.99.0", SHA256: map[string]string{"amd64": sum}}, "not published for good"},
		{"a release that is not promoted, without a mirror", Options{Release: "v1.32.0"}, "ecr-credential-provider v1.32.0 is not published for good"},
		{"another cloud's provider without a checksum", Options{Provider: kubelet.ACR, URL: "https://x/y"}, "the checksum of acr-credential-provider is not known"},
		{"a release of another cloud's provider that ECR has", Options{Provider: kubelet.GCP, Release: "v1.31.7"}, "the checksum of auth-provider-gcp v1.31.7 is not known"},
		{"another cloud's provider without an address", Options{Provider: kubelet.GCP, SHA256: map[string]string{"amd64": sum}}, "auth-provider-gcp is not published for good"},
		{"a provider that nobody knows", Options{Provider: "quay"}, "is no provider that this program knows"},
		{"a short checksum", Options{SHA256: map[string]string{"amd64": "abc"}}, "the checksum for amd64 is no SHA-256"},
		{"an empty checksum", Options{SHA256: map[string]string{"amd64": ""}}, "is no SHA-256"},
		{"a checksum that is code", Options{SHA256: map[string]string{"arm64": sum[:60] + "'; i"}}, "the checksum for arm64"},
		{"a checksum for another machine", Options{SHA256: map[string]string{"s390x": sum}}, `architecture "s390x"`},
		{"a file URL", Options{URL: "file:///etc/shadow"}, "no http or https URL"},
		{"a URL without a host", Options{URL: "https:///x"}, "no http or https URL"},
		{"a URL with a quote", Options{URL: "https://x/'y"}, "no http or https URL"},
		{"a URL with a space", Options{URL: "https://x/ y"}, "no http or https URL"},
		{"a URL with a new line", Options{URL: "https://x/\ny"}, "no http or https URL"},
		{"a URL with a substitution", Options{URL: "https://x/$(id)"}, "no http or https URL"},
		{"a URL with a password", Options{URL: "https://me:a-password@x/y"}, "holds a user or a password"},
		{"an option instead of a URL", Options{URL: "-o/etc/passwd"}, "no http or https URL"},
		{"Docker, the newest", Options{DockerInstall: "latest"}, "no version of Docker"},
		{"a Docker version that is code", Options{DockerInstall: "20.10'; id"}, "no version of Docker"},
		{"a Docker installer with a password", Options{DockerInstall: "https://me:a-password@x/y"}, "holds a user or a password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Config == nil {
				tt.o.Config = []byte(goodConfig)
			}
			var b strings.Builder
			err := Write(&b, tt.o)
			if !errors.Is(err, ErrOption) {
				t.Fatalf("got %v, want ErrOption", err)
			}
			var hinted interface{ Hint() string }
			if !errors.As(err, &hinted) || hinted.Hint() == "" {
				t.Error("it does not say what to do")
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "a-password") || len(err.Error()) > 300 {
				t.Errorf("it says: %v", err)
			}
			if b.Len() > 0 {
				t.Error("half a script was written")
			}
		})
	}
}

func TestWriteSaysWhenItCannot(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	r, w := io.Pipe()
	if err := r.CloseWithError(full); err != nil {
		t.Fatal(err)
	}
	if err := Write(w, Options{Config: []byte(goodConfig)}); !errors.Is(err, full) || errors.Is(err, ErrOption) {
		t.Error(err)
	}
}

var assignment = regexp.MustCompile(`(?m)^([a-z0-9_]+)='((?:[^']|'\\'')*)'$`)

// assigned reads the settings of a script back.
func assigned(script string) map[string]string {
	head, _, _ := strings.Cut(script, "\nsha256='' from=''")
	values := map[string]string{}
	for _, m := range assignment.FindAllStringSubmatch(head, -1) {
		values[m[1]] = strings.ReplaceAll(m[2], `'\''`, `'`)
	}
	return values
}

func TestSettings(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0F", 32)
	waits := map[string]string{"download_seconds": "300", "download_tries": "3", "download_pause": "5", "plugin_seconds": "20"}
	release, _ := findRelease(DefaultRelease)
	for _, tt := range []struct {
		name string
		o    Options
		want map[string]string
	}{
		{"defaults", Options{}, map[string]string{
			"provider": "ecr-credential-provider", "bin_dir": "/opt/aws/bin", "config": "/opt/aws/config/custom-credential-providers.yaml", "release": "v1.31.7",
			"url":          "https://artifacts.k8s.io/binaries/cloud-provider-aws/{tag}/linux/{arch}/ecr-credential-provider-linux-{arch}",
			"sha256_amd64": release.SHA256["amd64"], "sha256_arm64": release.SHA256["arm64"], "api": "v1", "docker_url": "",
			"merge_sum": "", "merge_line": "0", "merge_drop": "0", "merge_tail": "", "merge_text": "",
		}},
		{"everything else", Options{BinDir: "/b", ConfigFile: "/c", Release: "v9", URL: "http://[::1]:8/{arch}", SHA256: map[string]string{"amd64": sum}, DockerInstall: "20.10",
			Config: []byte("credentialprovider.kubelet.k8s.io/v1alpha1")}, map[string]string{
			"bin_dir": "/b", "config": "/c", "release": "v9", "url": "http://[::1]:8/{arch}", "sha256_amd64": strings.ToLower(sum), "sha256_arm64": "", "api": "v1alpha1",
			"docker_url": "https://releases.rancher.com/install-docker/20.10.sh",
		}},
		{"another cloud's provider", Options{Provider: kubelet.ACR, SHA256: map[string]string{"amd64": sum}, Local: true}, map[string]string{
			"provider": "acr-credential-provider", "bin_dir": "/var/lib/rancher/credentialprovider/bin", "config": "/var/lib/rancher/credentialprovider/config.yaml",
			"release": "unnamed", "url": "https://unknown.invalid/acr-credential-provider", "sha256_amd64": strings.ToLower(sum), "sha256_arm64": "",
		}},
		{"a merge", Options{Merge: &Merge{Edit: kubelet.Edit{Line: 3, Drop: 1, Tail: "]}'", Text: "\n- it's"}, Old: []byte("old"), New: []byte("new")}}, map[string]string{
			"config_text": "", "config_sha256": sumOf([]byte("new")), "merge_sum": sumOf([]byte("old")), "merge_line": "3", "merge_drop": "1", "merge_tail": "]}'", "merge_text": "\n- it's",
		}},
		{"an installer of one's own", Options{DockerInstall: "https://mirror.example/docker.sh"}, map[string]string{"docker_url": "https://mirror.example/docker.sh"}},
		{"one checksum of one's own", Options{SHA256: map[string]string{"arm64": sum}}, map[string]string{"sha256_amd64": release.SHA256["amd64"], "sha256_arm64": strings.ToLower(sum)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Config == nil {
				tt.o.Config = []byte(goodConfig)
			}
			maps.Copy(tt.want, waits)
			if tt.o.Merge == nil {
				tt.want["config_text"], tt.want["config_sha256"] = string(tt.o.Config), sumOf(tt.o.Config)
			}
			got := assigned(generated(t, tt.o))
			for name := range got {
				if _, asked := tt.want[name]; !asked && tt.name != "defaults" {
					delete(got, name)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever stands in a config, a shell reads it as it is and runs nothing of it.
func TestShellReadsConfigAsItIs(t *testing.T) {
	t.Parallel()
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				part := rapid.OneOf(rapid.SampledFrom([]string{"'", `'\''`, `\`, "\n", "\t", "$(id)", "`id`", "${x}", "\\\n", "'; exit 9; '", "\nEOF\n", "%s", "{{.Config}}", "é", "€", "𝄞", "\u0301"}), rapid.StringMatching(`[ -~]{0,9}`), rapid.String())
				config := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "") + "\ncredentialprovider.kubelet.k8s.io/v1\n"
				var b strings.Builder
				if err := Write(&b, Options{Config: []byte(config)}); err != nil {
					t.Skip(err)
				}
				head, _, found := strings.Cut(b.String(), "\nsha256='' from=''")
				if !found {
					t.Fatal("the settings do not end where they did")
				}
				cmd := exec.Command(shell[0], shell[1:]...)
				cmd.Stdin = strings.NewReader(head + "\nprintf %s \"$config_text\"\n}\n")
				got, err := cmd.CombinedOutput()
				if err != nil || string(got) != config {
					t.Fatalf("%q became %q, %v", config, got, err)
				}
			})
		})
	}
}

// FuzzWrite: what is not refused changes the settings it is meant for and not a
// byte of the rest of the script.
func FuzzWrite(f *testing.F) {
	f.Add("/opt/aws/bin", "/opt/c.yaml", "v1.31.7", "https://x/{arch}", "20.10", strings.Repeat("a", 64), goodConfig)
	f.Add("/'", "/\n", "v1'", "https://x/'", "'", "'", "'\ncredentialprovider.kubelet.k8s.io/v1")
	f.Add("", "", "", "", "", "", "sha256='' from=''\n{{credentialprovider.kubelet.k8s.io/v1")
	const noted = "# shellcheck disable=SC2016 # nothing in it is for the shell"
	// Without the mark, which is another one for each script.
	unmarked := func(script string) string { return markLine.ReplaceAllString(script, "\n}\n") }
	_, rest, _ := strings.Cut(unmarked(generated(f, Options{Config: []byte(goodConfig)})), "\n# How many seconds")
	f.Fuzz(func(t *testing.T, binDir, configFile, release, url, docker, sum, config string) {
		o := Options{BinDir: binDir, ConfigFile: configFile, Release: release, URL: url, DockerInstall: docker, Config: []byte(config)}
		if sum != "" {
			o.SHA256 = map[string]string{"amd64": sum}
		}
		var b bytes.Buffer
		if err := Write(&b, o); err != nil {
			if !errors.Is(err, ErrOption) || b.Len() > 0 {
				t.Fatal(err)
			}
			return
		}
		if facts, ok := Read(b.Bytes()); !ok || string(facts.Config) != config || binDir != "" && facts.BinDir != binDir || configFile != "" && facts.ConfigFile != configFile {
			t.Fatalf("it is read as %+v, %v", facts, ok)
		}
		head, found := strings.CutSuffix(unmarked(b.String()), "\n# How many seconds"+rest)
		if !found {
			t.Fatal("the script itself has changed")
		}
		var left, names []string
		last := 0
		for _, m := range assignment.FindAllStringSubmatchIndex(head, -1) {
			left = append(left, head[last:m[0]])
			names = append(names, head[m[2]:m[3]])
			last = m[1]
		}
		if want := strings.Fields("provider bin_dir config release url sha256_amd64 sha256_arm64 api docker_url config_sha256 config_text merge_sum merge_line merge_drop merge_tail merge_text"); !slices.Equal(names, want) {
			t.Fatalf("it sets %q", names)
		}
		if between := strings.Join(left[1:], "") + head[last:]; strings.Trim(strings.Replace(between, noted, "", 1), "\n") != "" {
			t.Fatalf("there is something between the settings: %q", left)
		}
	})
}

func TestReleases(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var before *version.Version
	for _, r := range Releases {
		v, err := version.ParseSemantic(r.Tag)
		if err != nil || !strings.HasPrefix(r.Tag, "v") {
			t.Fatalf("%s is no tag: %v", r.Tag, err)
		}
		if before != nil && !before.LessThan(v) {
			t.Errorf("%s is not newer than the one before", r.Tag)
		}
		before = v
		for _, arch := range []string{"amd64", "arm64"} {
			sum := r.SHA256[arch]
			if !sumForm.MatchString(sum) || seen[sum] {
				t.Errorf("%s %s: the checksum %q is none, or another one's", r.Tag, arch, sum)
			}
			seen[sum] = true
		}
		if len(r.SHA256) != 2 {
			t.Errorf("%s has %d checksums", r.Tag, len(r.SHA256))
		}
		// v1alpha1 up to v1.27.0, v1 from v1.27.1 on.
		want := kubelet.APIv1
		if v.LessThan(version.MustParseSemantic("v1.27.1")) {
			want = kubelet.APIv1alpha1
		}
		if r.API != want {
			t.Errorf("%s speaks %s, want %s", r.Tag, r.API, want)
		}
	}
	if r, known := findRelease(DefaultRelease); !known || !r.Promoted {
		t.Errorf("the default %s cannot be downloaded", DefaultRelease)
	}
}

// A script that is given the binary needs no place to download it from.
func TestLocalScript(t *testing.T) {
	config := []byte("apiVersion: credentialprovider.kubelet.k8s.io/v1\n")
	if err := Write(io.Discard, Options{Release: "v1.32.0", Local: true, Config: config}); err != nil {
		t.Error(err)
	}
}
