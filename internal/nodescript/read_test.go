package nodescript

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rkepatch/internal/kubelet"
)

// What Write wrote is known again, also without the last newline, which Rancher
// cuts off; with a byte changed, or half of it, it is not.
func TestRead(t *testing.T) {
	t.Parallel()
	script := generated(t, Options{BinDir: "/srv/bin", Config: []byte(goodConfig), DockerInstall: "20.10"})
	want := Facts{
		BinDir: "/srv/bin", ConfigFile: kubelet.DefaultProviderConfig, Release: DefaultRelease, Config: []byte(goodConfig),
		Docker: "https://releases.rancher.com/install-docker/20.10.sh",
	}
	for name, text := range map[string]string{
		"as written": script, "without the last newline": strings.TrimSuffix(script, "\n"),
		"packed": string(Unpack(Packed([]byte(script)))),
	} {
		got, ok := Read([]byte(text))
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Errorf("%s: %v\n%s", name, ok, d)
		}
	}
	for name, text := range map[string]string{
		"nothing":                "",
		"another script":         "#!/bin/sh\necho bin_dir='/srv/bin'\n}\n",
		"another directory":      strings.Replace(script, "/srv/bin", "/srv/bim", 1),
		"a command more":         strings.Replace(script, "set -eu", "set -eu; id", 1),
		"a command ahead of it":  "id\n" + script,
		"a command behind it":    script + "id\n",
		"without its mark":       markLine.ReplaceAllString(script, "\n}\n"),
		"with another's mark":    strings.Replace(script, mark, mark+"0", 1),
		"half of it":             script[:len(script)/2],
		"with Windows line ends": strings.ReplaceAll(script, "\n", "\r\n"),
	} {
		if got, ok := Read([]byte(text)); ok {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

// Any byte that is changed, or left out, makes it none of ours.
func TestReadNoticesEveryChange(t *testing.T) {
	t.Parallel()
	script := generated(t, Options{Config: []byte(goodConfig)})
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(script)-2).Draw(t, "at")
		b := rapid.Byte().Draw(t, "byte")
		if b == script[at] {
			return
		}
		if _, ok := Read([]byte(script[:at] + string([]byte{b}) + script[at+1:])); ok {
			t.Fatalf("byte %d can be %q", at, b)
		}
		if _, ok := Read([]byte(script[:at] + script[at+1:])); ok {
			t.Fatalf("byte %d can be left out", at)
		}
	})
}

// The packed script does what the script does, and ends as it ends.
func TestPackedScriptRuns(t *testing.T) {
	t.Parallel()
	script := generated(t, Options{Config: []byte(goodConfig)})
	for name, shell := range shells(t) {
		for _, tt := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"--help"}, 0, "Puts the image credential provider ecr-credential-provider on this node"},
			{[]string{"--what"}, 2, "unknown"},
		} {
			cmd := exec.Command(shell[0], append(append([]string{}, shell[1:]...), append([]string{"-s", "--"}, tt.args...)...)...)
			cmd.Stdin = strings.NewReader(string(Packed([]byte(script))))
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.says) {
				t.Errorf("%s %v: code %d\n%s", name, tt.args, code, out)
			}
		}
		damaged := strings.Replace(string(Packed([]byte(script))), "H4sI", "H4sX", 1)
		cmd := exec.Command(shell[0], append(append([]string{}, shell[1:]...), "-s")...)
		cmd.Stdin = strings.NewReader(damaged)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: a damaged one ends well: %s", name, out)
		}
	}
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		return
	}
	cmd := exec.Command(shellcheck, "--norc", "-s", "sh", "-")
	cmd.Stdin = strings.NewReader(string(Packed([]byte(script))))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// Both forms leave more than a kilobyte of EC2's 16 KB to what is there already.
func TestPackedIsSmall(t *testing.T) {
	t.Parallel()
	config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 27}, kubelet.APIv1)
	if err != nil {
		t.Fatal(err)
	}
	script := []byte(generated(t, Options{Config: config, DockerInstall: "20.10"}))
	for name, n := range map[string]int{"cloud-config": len(CloudConfig(script)), "script": len(Packed(script))} {
		if n > 15<<10 {
			t.Errorf("the %s has %d bytes", name, n)
		}
	}
}

func TestDecodeIsBounded(t *testing.T) {
	t.Parallel()
	bomb := strings.Join(packed(make([]byte, 10<<20)), "\n")
	if data, ok := Decode(bomb); ok {
		t.Errorf("%d bytes came out of %d", len(data), len(bomb))
	}
	for _, text := range []string{"", "H4sI", "not base64!", "aGVsbG8="} {
		if _, ok := Decode(text); ok {
			t.Errorf("%q is no gzip", text)
		}
	}
}
