package rancher_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/rancher"
)

const cli2 = `{"Servers":{
  "prod":{"accessKey":"token-abcde","secretKey":"KEY","tokenKey":"token-abcde:KEY","url":"https://rancher.example.com","project":"c-1:p-1","cacert":"PEM","kubeCredentials":null,"kubeConfigs":{},"proxyUrl":"","httpTimeoutSeconds":0},
  "test":{"accessKey":"token-other","secretKey":"KEY","tokenKey":"","url":"https://test.example.com/v3","project":"","cacert":"","proxyUrl":"http://bob:KEY@proxy.example.com"}},
 "CurrentServer":"prod","path":"/home/x/.rancher/cli2.json"}`

func cliFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cli2.json")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "KEY", testKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRancherCLIConfig(t *testing.T) {
	c, err := rancher.ReadCLIConfig(cliFile(t, cli2, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	prod := rancher.Options{URL: "https://rancher.example.com", Token: testToken, AccessKey: "token-abcde", SecretKey: testKey, CACerts: "PEM"}
	test := rancher.Options{URL: "https://test.example.com/v3", AccessKey: "token-other", SecretKey: testKey}
	for name, want := range map[string]rancher.Options{"": prod, "prod": prod, "test": test} {
		got, err := c.Server(name)
		if err != nil || got.URL != want.URL || got.Token.Reveal() != want.Token.Reveal() || got.AccessKey != want.AccessKey ||
			got.SecretKey.Reveal() != want.SecretKey.Reveal() || got.CACerts != want.CACerts {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
	if diff := cmp.Diff([]string{"prod", "test"}, c.Names()); diff != "" {
		t.Error(diff)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], `proxyUrl of server "test"`) || !strings.Contains(c.Warnings[0], "HTTPS_PROXY") {
		t.Errorf("warned %q", c.Warnings)
	}
	wantNoLeak(t, fmt.Sprintf("%+v", c), strings.Join(c.Warnings, "\n"))
	_, err = c.Server("stage")
	wantError(t, err, rancher.ErrOption, `no server "stage"`)
	wantHint(t, err, "prod, test")
}

func TestFileModeOfTheCLIConfig(t *testing.T) {
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o644: true} {
		c, err := rancher.ReadCLIConfig(cliFile(t, `{"Servers":{},"CurrentServer":"rancherDefault"}`, mode))
		if err != nil {
			t.Fatal(err)
		}
		if (len(c.Warnings) == 1) != warns || warns && !strings.Contains(c.Warnings[0], "chmod 600") {
			t.Errorf("%o: warned %q", mode, c.Warnings)
		}
	}
}

func TestUnusableCLIConfigs(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "servers: KEY", "cut": `{"Servers":{"prod":{"tokenKey":"KEY`,
		"wrong type": `{"Servers":{"prod":{"tokenKey":["KEY"]}}}`, "list": `["KEY"]`,
		"huge": `"` + strings.Repeat("x", 17<<20) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rancher.ReadCLIConfig(cliFile(t, text, 0o600))
			wantError(t, err, rancher.ErrOption, "cli2.json")
			wantHint(t, err, "--token")
			for _, line := range []string{fmt.Sprintf("%#v", err)} {
				wantNoLeak(t, line)
			}
		})
	}
	_, err := rancher.ReadCLIConfig(filepath.Join(t.TempDir(), "none.json"))
	wantError(t, err, rancher.ErrOption, "none.json", "no such file")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	_, err = rancher.ReadCLIConfig(t.TempDir())
	wantError(t, err, rancher.ErrOption, "cannot be read")
	c, err := rancher.ReadCLIConfig(cliFile(t, `null`, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Server("")
	wantError(t, err, rancher.ErrOption, "which server is the current one")
}
