package newnodes

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// words are what generated user data is made of; some look like structure.
var words = []string{"a", "echo b", "x: y", "- dash", "# no comment", "{brace", "'quote", `"double`, "ä€", "[c", "|", "yes", "3", "", "%d", "--B", "#cloud-config"}

func quoted(t *rapid.T, label string) string {
	text := rapid.SampledFrom(words).Draw(t, label)
	if rapid.Bool().Draw(t, label+" single") {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// genItem writes one item of a list, its dash indented.
func genItem(t *rapid.T, indent string) string {
	switch rapid.IntRange(0, 4).Draw(t, "item") {
	case 0:
		return indent + "- " + quoted(t, "scalar") + "\n"
	case 1:
		return indent + "- [" + quoted(t, "first") + ", " + quoted(t, "second") + "] # behind it\n"
	case 2:
		return indent + "- path: /file" + fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "n")) + "\n" + indent + "  content: " + quoted(t, "content") + "\n"
	case 3:
		return indent + "- |\n" + indent + "    line\n" + indent + "    # of the text\n\n" + indent + "    line\n"
	}
	return indent + "# ahead of it\n" + indent + "-   >-\n" + indent + "      folded\n" + indent + "      text\n"
}

// genConfig writes a cloud-config as people do.
func genConfig(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"write_files", "runcmd", "users", "hostname", "bootcmd", "chpasswd", "final_message"}), 0, 6, func(s string) string { return s }).Draw(t, "keys")
	for _, key := range keys {
		if rapid.Bool().Draw(t, "comment") {
			b.WriteString("\n# about " + key + "\n")
		}
		switch key {
		case "hostname":
			b.WriteString("hostname: " + quoted(t, "hostname") + "   # a name\n")
		case "final_message":
			b.WriteString("final_message: |" + rapid.SampledFrom([]string{"", "-", "+"}).Draw(t, "chomp") + "\n  # text\n  hunter2\n" + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "blank"))
		case "chpasswd":
			b.WriteString("chpasswd:\n  expire: false\n  list:\n  - " + quoted(t, "password") + "\n")
		default:
			b.WriteString(key + ":\n")
			indent := strings.Repeat(" ", rapid.SampledFrom([]int{0, 2, 4}).Draw(t, "indent"))
			for range rapid.IntRange(1, 3).Draw(t, "items") {
				b.WriteString(genItem(t, indent))
			}
		}
	}
	text := b.String()
	if rapid.Bool().Draw(t, "trimmed") {
		text = strings.TrimSpace(text)
	}
	if rapid.Bool().Draw(t, "Windows line ends") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

func genScript(t *rapid.T) string {
	return "#!/bin/" + rapid.SampledFrom([]string{"sh", "bash -e"}).Draw(t, "shell") + "\n" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(t, "lines"), "\n")
}

func genMultipart(t *rapid.T) string {
	text := newMultipart(shellScript, genScript(t), shellScript, genScript(t))
	for range rapid.IntRange(0, 2).Draw(t, "parts") {
		e, err := readMultipart(text)
		if err != nil {
			t.Fatal(err)
		}
		k, more := shellScript, genScript(t)
		if rapid.Bool().Draw(t, "a cloud-config") {
			k, more = cloudConfig, genConfig(t)
		}
		if text, err = e.with(k, more); err != nil {
			t.Skip(err)
		}
	}
	return strings.TrimSpace(text)
}

func genUserData(t *rapid.T) string {
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return genScript(t)
	case 1:
		return genMultipart(t)
	}
	return genConfig(t)
}

// Nothing of the present user data is lost, in a reader that is not this
// package's own; merging twice is merging once.
func TestMergeLosesNothing(t *testing.T) {
	files := []string{small, asConfig(t), asScript(t), "#!/bin/sh\necho more\n", "#cloud-config\nbootcmd:\n- more\npackages: [nfs-common]\n"}
	done := 0
	rapid.Check(t, func(t *rapid.T) {
		existing := genUserData(t)
		file := rapid.SampledFrom(files).Draw(t, "file")
		out, err := Merge(existing, file)
		if err != nil {
			if !errors.Is(err, ErrUserData) || out != "" {
				t.Fatalf("%q, %v", out, err)
			}
			return
		}
		done++
		before, after := read(t, existing), read(t, out)
		added := read(t, file)
		for i, p := range before {
			if len(after) <= i {
				t.Fatalf("part %d is gone from\n%s", i, out)
			}
			holds(t, p, after[i])
		}
		present := false
		for _, p := range after {
			present = present || contains(p, added[0])
		}
		if !present {
			t.Fatalf("the file is not in\n%s", out)
		}
		for _, stored := range []string{out, strings.TrimSpace(out)} {
			again, err := Merge(stored, file)
			if err != nil || strings.TrimSpace(again) != strings.TrimSpace(out) {
				t.Fatalf("merged twice: %v\n%q\n%q", err, again, out)
			}
		}
	})
	if done < 40 {
		t.Errorf("only %d merges were not refused: the property says little", done)
	}
}

// read takes user data apart with the standard library.
func read(t *rapid.T, text string) []string {
	if !strings.HasPrefix(text, "Content-Type: multipart/") {
		return []string{text}
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			part := readPart(p.Header, string(body))
			body = []byte(part.text)
		}
		out = append(out, string(body))
	}
}

// holds fails unless after has all that before has: a cloud-config every line in
// its order, comments included, and every value; anything else to the byte.
func holds(t *rapid.T, before, after string) {
	if !strings.HasPrefix(before, "#cloud-config") {
		if strings.TrimSpace(before) != strings.TrimSpace(after) {
			t.Fatalf("a part has become another one:\n%q\n%q", before, after)
		}
		return
	}
	rest := strings.Split(after, "\n")
	for line := range strings.SplitSeq(strings.TrimRight(before, "\r\n"), "\n") {
		for len(rest) > 0 && strings.TrimRight(rest[0], "\r") != strings.TrimRight(line, "\r") {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("the line %q is gone from\n%s", line, after)
		}
		rest = rest[1:]
	}
	var a, b map[string]any
	whole := func(text string) []byte { return []byte(strings.TrimRight(text, "\r\n") + "\n") } // Rancher cuts the last newline off
	if yaml.Unmarshal(whole(before), &a) != nil || yaml.Unmarshal(whole(after), &b) != nil {
		t.Fatalf("it cannot be read:\n%s\n%s", before, after)
	}
	for key, was := range a {
		is := b[key]
		list, isList := was.([]any)
		longer, _ := is.([]any)
		if isList && len(longer) >= len(list) {
			is = any(longer[:len(list)])
		}
		if !reflect.DeepEqual(was, is) {
			t.Fatalf("%s was %v, is %v", key, was, is)
		}
	}
}

// contains reports whether a part does what the file does.
func contains(part, file string) bool {
	if !strings.HasPrefix(file, "#cloud-config") {
		return strings.TrimSpace(part) == strings.TrimSpace(file)
	}
	var a, b map[string]any
	if yaml.Unmarshal([]byte(file), &a) != nil || yaml.Unmarshal([]byte(part+"\n"), &b) != nil {
		return false
	}
	for key, want := range a {
		more, _ := want.([]any)
		have, _ := b[key].([]any)
		for _, item := range more {
			found := false
			for _, h := range have {
				found = found || reflect.DeepEqual(h, item)
			}
			if !found {
				return false
			}
		}
	}
	return true
}

// Hostile user data makes nothing crash, says nothing of itself, and is either
// merged so that it stays, or refused.
func FuzzMerge(f *testing.F) {
	for _, tt := range merges {
		f.Add(tt.existing, tt.file)
	}
	f.Add("#cloud-config\na: &a [1, *a]\n", small)
	f.Add("#cloud-config\nruncmd:\n- a\n-\n", small)
	f.Add("#cloud-config\n? x\n: y\n", small)
	f.Add("#cloud-config\nruncmd: &r\n- a\nbootcmd: *r\n", small)
	f.Add("Content-Type: multipart/mixed; boundary=B\n\n--B\n\n--B--\n--B--\n", "#!/bin/sh\n")
	f.Fuzz(func(t *testing.T, existing, file string) {
		if len(existing)+len(file) > 64<<10 {
			return
		}
		_ = Judge(Template{UserData: existing, Script: []byte(file)}, want126)
		out, err := Merge(existing, file)
		if err != nil {
			if !errors.Is(err, ErrUserData) || out != "" || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 500 {
				t.Fatalf("%q, %v", out, err)
			}
			return
		}
		_ = Diff(existing, out, file)
		again, err := Merge(out, file)
		if err != nil || strings.TrimSpace(again) != strings.TrimSpace(out) {
			t.Fatalf("merged twice: %v\n%q\n%q", err, again, out)
		}
	})
}
