package kubelet

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// verdict is a case of testdata/verdicts.json: what the kubelets' own code did.
type verdict struct {
	Name, Binary, Config, ConfigState, Message string
	Verdict                                    map[string]string
}

func recorded(t *testing.T) []verdict {
	t.Helper()
	raw, err := os.ReadFile("testdata/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []verdict }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

// provider gives a case's files with the paths that its message names.
func (c verdict) provider(t *testing.T) Provider {
	t.Helper()
	p := Provider{
		ConfigPath: "W/config", ConfigState: PathRegular, Config: []byte(c.Config),
		BinDir: "W/bin", BinDirState: PathDirectory, Binaries: map[string]Binary{},
	}
	switch c.ConfigState {
	case "":
	case "missing":
		p.ConfigPath, p.ConfigState = "W/nofile", PathMissing
	case "directory":
		p.ConfigPath, p.ConfigState = "W/cfgdir", PathDirectory
	default:
		t.Fatalf("unknown config state %q", c.ConfigState)
	}
	good := Binary{State: PathRegular, Executable: true}
	switch c.Binary {
	case "executable", "symlink-to-executable", "empty-file-0755":
		// The cases about names look for files that only sometimes exist.
		for _, name := range append(ProviderNames(p.Config), "ecr-credential-provider") {
			p.Binaries[name] = good
		}
		if strings.Contains(c.Name, "tab") {
			p.Binaries["ecr\tprovider"] = Binary{State: PathMissing}
		}
	case "missing":
		p.BinDir = "W/bin-empty"
		p.Binaries[ProviderName] = Binary{State: PathMissing}
	case "dangling-symlink":
		p.BinDir = "W/bin-dangling"
		p.Binaries[ProviderName] = Binary{State: PathDangling}
	case "bin-dir-missing":
		p.BinDir, p.BinDirState = "W/nodir", PathMissing
	case "bin-dir-is-a-file":
		p.BinDir, p.BinDirState = "W/binfile", PathRegular
	case "bin-dir-empty-string":
		p.BinDir, p.BinDirState = "", PathMissing
	default:
		t.Fatalf("unknown binary state %q", c.Binary)
	}
	return p
}

var (
	caseFile  = regexp.MustCompile(`W/c\d+\.cfg`)
	wholeFile = regexp.MustCompile(`is missing in '[\s\S]*`)
	supported = regexp.MustCompile(`: supported values: .*`)
)

// message gives the words of a kubelet as a Reason holds them.
func (c verdict) message() string {
	m := caseFile.ReplaceAllString(c.Message, "W/config")
	m = wholeFile.ReplaceAllString(m, "is missing in the file")
	m = supported.ReplaceAllString(schemeName.ReplaceAllString(m, ""), "")
	return oneLine(m, maxReason)
}

func TestStartAgreesWithRecordedKubelets(t *testing.T) {
	cases := recorded(t)
	if len(cases) != 68 {
		t.Fatalf("%d cases, not 68", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			p := c.provider(t)
			spoken := false
			for _, version := range []string{"v1.24.17", "v1.26.15", "v1.27.0", "v1.30.14", "v1.32.0"} {
				want := c.Verdict[version]
				v, err := ParseVersion(version)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(c.Name, "amazon-ecr") && v.Before(1, 27) {
					// The recording is of the package alone; the kubelet has this name taken.
					want = "exits 255"
				}
				r := Start(v, p)
				if got := outcome(r); got != want {
					t.Errorf("%s %s, not %s: %v", version, got, want, r)
				}
				// The message is that of the first version that refused.
				if r != nil && !spoken && c.Message != "" {
					spoken = true
					if got := supported.ReplaceAllString(r.Reason, ""); got != c.message() {
						t.Errorf("%s says %q, not %q", version, got, c.message())
					}
				}
			}
		})
	}
}

// The rules do not ask whose provider it is: with another one's name and patterns
// in the recorded cases, the kubelets' verdicts stay.
func TestVerdictsHoldForEveryProvider(t *testing.T) {
	cases := recorded(t)
	tried := 0
	for _, c := range cases {
		if !strings.Contains(c.Config, ProviderName) || strings.Contains(c.Name, "amazon-ecr") {
			continue
		}
		tried++
		for _, r := range Registries() {
			other := c
			other.Config = strings.NewReplacer(ProviderName, r.Provider, "*.dkr.ecr.*.amazonaws.com", r.Patterns[len(r.Patterns)-1].Glob).Replace(c.Config)
			p := other.provider(t)
			if b, ok := p.Binaries[ProviderName]; ok {
				p.Binaries[r.Provider] = b
			}
			for version, want := range c.Verdict {
				v, err := ParseVersion(version)
				if err != nil {
					t.Fatal(err)
				}
				if got := outcome(Start(v, p)); got != want {
					t.Errorf("%s, %s, %s: %s, not %s", c.Name, r.Kind, version, got, want)
				}
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d cases name the provider", tried)
	}
}

func outcome(r *Refusal) string {
	switch {
	case r == nil:
		return "accepts"
	case r.ExitCode == 255:
		return "exits 255"
	case r.ExitCode == 1:
		return "exits 1"
	}
	return "exits strangely"
}
