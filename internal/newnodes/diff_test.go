package newnodes

import (
	"strings"
	"testing"
)

// What is there already is never shown; what the file brings is, but for what
// looks like a secret.
func TestDiff(t *testing.T) {
	file := "#cloud-config\nwrite_files:\n- path: /etc/proxy\n  content: |\n    HTTPS_PROXY=http://ops:hunter2@proxy:3128\n    password: hunter2\n    curl -H 'Authorization: Bearer hunter2abc' x\n" +
		"    key AKIAIOSFODNN7HUNTER2\n    -----BEGIN RSA PRIVATE KEY-----\n    hunter2\n    -----END RSA PRIVATE KEY-----\n    after the key\nruncmd:\n- export DB_PASSWORD=hunter2 && ./setup /opt/aws/config/custom-credential-providers.yaml\n"
	for _, existing := range []string{"", "#!/bin/sh\necho hunter2\n", "#cloud-config\nchpasswd:\n  list: |\n    ops:hunter2\nruncmd:\n- echo hunter2 # last", multipartText} {
		after, err := Merge(existing, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{Diff(existing, after, file), Diff(after, existing, file)} {
			if strings.Contains(strings.ToLower(d), "hunter2") {
				t.Errorf("the diff shows a secret:\n%s", d)
			}
			for _, says := range []string{"- path: /etc/proxy", "password: <redacted>", "after the key", "DB_PASSWORD=<redacted>", "custom-credential-providers", "--- user data (now)\n+++ user data (planned)\n@@ -"} {
				if !strings.Contains(d, says) {
					t.Errorf("the diff does not show %q:\n%s", says, d)
				}
			}
		}
	}
}

func TestDiffOfWhatIsThere(t *testing.T) {
	if d := Diff("#!/bin/sh\nid", "#!/bin/sh\nid\n", "x"); d != "" {
		t.Errorf("a last newline, which Rancher cuts off, is no change:\n%s", d)
	}
	d := Diff("#!/bin/sh\necho hunter2\n", "#!/bin/sh\necho hunter3\n", "")
	if strings.Contains(d, "hunter") || strings.Count(d, hidden) != 2 {
		t.Errorf("somebody else's change is counted and not shown:\n%s", d)
	}
	d = Diff("", asConfig(t), asConfig(t))
	if !strings.Contains(d, "lines of base64)") || strings.Count(d, "\n") > 20 {
		t.Errorf("the script is counted, not shown:\n%s", d)
	}
}
