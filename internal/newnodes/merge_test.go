package newnodes

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

const small = "#cloud-config\nwrite_files:\n- path: /etc/motd\n  content: |\n    two\n    lines\nruncmd:\n- [sh, /etc/motd]\n"

// What comes out of merging a small file into what people have, byte for byte:
// testdata/merge holds it to be read.
var merges = []struct{ name, existing, file string }{
	{"nothing", "", small},
	{"no-lists", "#cloud-config\n# ours\nhostname: worker # a name\n", small},
	{"no-last-newline", "#cloud-config\nwrite_files:\n- path: /a\n  content: |\n    the end", small},
	{"lists", "#cloud-config\nwrite_files:\n- path: /a   # first\n  content: |\n    # not a comment\n    x\n\n# the commands\nruncmd:\n- echo a\n# done\n", small},
	{"indented-lists", "#cloud-config\nruncmd:\n    - |\n        echo a\n        echo b\n    # between\n    - [b]\n\nwrite_files:\n    - path: /a\n\npackages: [nfs-common]\n", small},
	{"commands-only", "#cloud-config\nruncmd:\n  - a\n  - b", small},
	{"windows-line-ends", "#cloud-config\r\nruncmd:\r\n- a\r\nhostname: b\r\n", small},
	{"empty-cloud-config", "#cloud-config\n", small},
	{"script-into-cloud-config", "#cloud-config\nruncmd:\n- a\n", "#!/bin/sh\necho b\n"},
	{"script-into-script", "#!/bin/bash\necho a", "#!/bin/sh\necho b\n"},
	{"cloud-config-into-script", "#!/bin/bash\necho ä\n", small},
	{"script-into-multipart", multipartText, "#!/bin/sh\necho b\n"},
	{"cloud-config-into-multipart", multipartText, small},
	{"cloud-config-into-multipart-of-scripts", strings.NewReplacer("#cloud-config\n# who may log in\nusers:\n  - name: ops\nruncmd:\n  - [systemctl, restart, sshd]   # after the users\n", "#!/bin/sh\nid\n", "text/cloud-config", "text/x-shellscript").Replace(multipartText), small},
	{"script-into-multipart-with-windows-line-ends", strings.ReplaceAll(multipartText, "\n", "\r\n"), "#!/bin/sh\necho b\n"},
	{"cloud-config-with-document-start", "#cloud-config\n---\nhostname: b\n", small},
}

func TestMerge(t *testing.T) {
	for _, tt := range merges {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Merge(tt.existing, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "merge", tt.name+".txt")
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
			// Rancher cuts white space off both ends of what it stores.
			for _, stored := range []string{got, strings.TrimSpace(got)} {
				again, err := Merge(stored, tt.file)
				if err != nil || strings.TrimSpace(again) != strings.TrimSpace(got) {
					t.Errorf("merged twice: %v\n%s", err, cmp.Diff(got, again))
				}
			}
		})
	}
}

// A script of an earlier release gives way to the new one, wherever it stands.
func TestMergeReplacesOurOwn(t *testing.T) {
	for _, tt := range []struct{ name, existing, older, file string }{
		{"alone, as a cloud-config", "", olderConfig(t), asConfig(t)},
		{"alone, as a script", "", olderScript(t), asScript(t)},
		{"in a cloud-config", "#cloud-config\nwrite_files:\n  - path: /a\n  - path: /b\n    content: hunter2\nruncmd:\n  - a\n", olderConfig(t), asConfig(t)},
		{"beside a script, as a cloud-config", "#!/bin/sh\nid\n", olderConfig(t), asConfig(t)},
		{"beside a script, as a script", "#!/bin/sh\nid\n", olderScript(t), asScript(t)},
		{"in a multipart file, as a cloud-config", multipartText, olderConfig(t), asConfig(t)},
		{"in a multipart file, as a script", multipartText, olderScript(t), asScript(t)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			once, err := Merge(tt.existing, tt.older)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Merge(strings.TrimSpace(once), tt.file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Merge(tt.existing, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); d != "" {
				t.Errorf("replacing is not the same as merging the new one:\n%s", d)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	big := "#cloud-config\nfinal_message: " + strings.Repeat("x", 10<<10) + "\n"
	two := strings.Replace(multipartText, "Content-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/bin/bash\necho hunter2 | passwd --stdin ops\n", "Content-Type: text/cloud-config\n\n#cloud-config\npassword: hunter2\n", 1)
	with := func(kind, text string) string {
		return strings.Replace(multipartText, "Content-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/bin/bash\necho hunter2 | passwd --stdin ops\n", "Content-Type: "+kind+"\n\n"+text+"\n", 1)
	}
	for _, tt := range []struct{ name, existing, file, says string }{
		{"gzip", "\x1f\x8b\x08hunter2", small, "it is gzip"},
		{"base64", "I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogaHVudGVyMgo=", small, "it is base64"},
		{"a jinja template", "## template: jinja\n#cloud-config\npassword: hunter2\n", small, "a jinja template"},
		{"an include", "#include\nhttps://hunter2@mirror/x\n", small, "addresses to include"},
		{"an include once", "#include-once\nhttps://hunter2@mirror/x\n", small, "addresses to include"},
		{"an archive", "#cloud-config-archive\n- content: hunter2\n", small, "a cloud-config archive"},
		{"a JSON patch", "#cloud-config-jsonp\n[]\n", small, "a JSON patch"},
		{"a boot hook", "#cloud-boothook\necho hunter2\n", small, "a boot hook"},
		{"a part handler", "#part-handler\n", small, "a part handler"},
		{"for Windows", "<powershell>\nhunter2\n</powershell>", small, "for Windows"},
		{"Ignition", `{"ignition":{"version":"3.0.0"},"passwd":"hunter2"}`, small, "Ignition"},
		{"a mailbox", "From hunter2\n" + multipartText, small, "a mailbox"},
		{"an unknown header", "cloud-config\nhunter2", small, "its first line is neither"},
		{"white space ahead", "\n#cloud-config\npassword: hunter2\n", small, "begins with white space"},
		{"control characters", "#!/bin/sh\n\x1b[2Jhunter2\n", small, "no plain text"},
		{"Latin 1", "#!/bin/sh\n# \xe9 hunter2\n", small, "no plain text"},
		{"a key that comes twice", "#cloud-config\nruncmd: [a]\npassword: hunter2\nruncmd: [b]\n", small, "a key comes twice"},
		{"a key below that comes twice", "#cloud-config\nusers:\n- name: a\n  name: hunter2\n", small, "a key comes twice"},
		{"no YAML", "#cloud-config\npassword: [hunter2\n", small, "malformed cloud-config"},
		{"tabs", "#cloud-config\nusers:\n\t- hunter2\n", small, "malformed cloud-config: line"},
		{"an unknown anchor", "#cloud-config\nusers: *hunter2\n", small, "malformed cloud-config"},
		{"several documents", "#cloud-config\na: 1\n---\npassword: hunter2\n", small, "several documents"},
		{"a document end", "#cloud-config\nhostname: a\n...\n", small, "cannot be merged safely"},
		{"a list at the top", "#cloud-config\n- hunter2\n", small, "not made of lines with a key each"},
		{"text at the top", "#cloud-config\nhunter2\n", small, "not made of lines with a key each"},
		{"braces", "#cloud-config\n{password: hunter2}\n", small, "not made of lines with a key each"},
		{"commands in brackets", "#cloud-config\nruncmd: [hunter2]\n", small, `list "runcmd" is not one with an item in a line each`},
		{"commands that are no list", "#cloud-config\nruncmd: hunter2\n", small, `both it and the file set "runcmd"`},
		{"commands without a value", "#cloud-config\nruncmd:\npassword: hunter2\n", small, `both it and the file set "runcmd"`},
		{"the same file with other content", "#cloud-config\nwrite_files:\n- path: /etc/motd\n  content: hunter2\n", small, "both it and the file write /etc/motd"},
		{"a key with two values", "#cloud-config\nhostname: hunter2\n", "#cloud-config\nhostname: b\n", `both it and the file set "hostname"`},
		{"no room", big, asConfig(t), "EC2 takes 16384"},
		{"no end of the parts", strings.TrimSuffix(multipartText, "--\n"), small, "malformed multipart"},
		{"no boundary", strings.Replace(multipartText, "; boundary=\"MIMEBOUNDARY\"", "", 1), small, "malformed multipart"},
		{"no multipart at all", "MIME-Version: 1.0\nContent-Type: text/plain\n\nhunter2", small, "malformed multipart"},
		{"encoded as a whole", strings.Replace(multipartText, "MIME-Version: 1.0", "Content-Transfer-Encoding: base64", 1), small, "encoded as a whole"},
		{"two cloud-configs", two, small, "2 cloud-configs, which cloud-init merges by its own rules"},
		{"a part of gzip", with("application/gzip", "hunter2"), small, "a part of type application/gzip"},
		{"a part of a strange type", with("text/x-hunter", "hunter"), small, "a part of type text/x-hunter"},
		{"a part that is a template", with("text/cloud-config", "## template: jinja\n#cloud-config\n"), small, "a part that is not taken apart"},
		{"a part of another type than it says", with("text/cloud-config", "#!/bin/sh\n"), small, "not of the type that it says"},
		{"a cloud-config in base64", "Content-Type: multipart/mixed; boundary=\"B\"\n\n--B\nContent-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nI2Nsb3VkLWNvbmZpZwphOiAxCg==\n--B--\n", small, "its cloud-config is encoded"},
		{"our script as a script already", asScript(t), asConfig(t), "rkepatch's script already, in another form"},
		{"our script as a cloud-config already", olderConfig(t), asScript(t), "rkepatch's script already, in another form"},
		{"a file with its delimiter", multipartText, "#!/bin/sh\n--MIMEBOUNDARY\n\nid\n", "cannot be merged safely"},
		{"a file that ends it", multipartText, "#!/bin/sh\n--MIMEBOUNDARY--\n", "cannot be merged safely"},
		{"multipart into something", small, multipartText, "the file is a multipart file"},
		{"an empty file", small, " \n", "the file cannot be user data: it is empty"},
		{"a file of no kind", small, "hunter", "the file cannot be user data: its first line"},
		{"a malformed file", "", "#cloud-config\na: [\n", "the file cannot be user data: it is a malformed cloud-config"},
		{"a file too large", "", "#!/bin/sh\n#" + strings.Repeat("x", 17<<10) + "\n", "EC2 takes 16384"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Merge(tt.existing, tt.file)
			if out != "" {
				t.Errorf("refused, and there is a text: %q", out)
			}
			wantRefused(t, err, tt.says)
		})
	}
}
