package newnodes

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrUserData is what every refusal of this package is, to errors.Is.
var ErrUserData = errors.New("user data that cannot be merged safely")

type refusal struct{ msg, hint string }

func (r *refusal) Error() string        { return r.msg }
func (r *refusal) Hint() string         { return r.hint }
func (r *refusal) Is(target error) bool { return target == ErrUserData }

func refuse(hint, format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), hint}
}

// MaxUserData is how many bytes of user data EC2 takes, ahead of the base64 that
// Rancher makes of it.
const MaxUserData = 16 << 10

// kind is what cloud-init takes a text for.
type kind string

const (
	nothing     kind = "nothing"
	cloudConfig kind = "a cloud-config"
	shellScript kind = "a script"
	multiPart   kind = "a multipart file"
)

// unmergeable are the beginnings of texts that are not taken apart, each with
// what they are.
var unmergeable = []struct{ begin, what string }{
	{"\x1f\x8b", "gzip"},
	{"## template: jinja", "a jinja template"},
	{"#include-once", "a list of addresses to include"},
	{"#include", "a list of addresses to include"},
	{"#cloud-config-archive", "a cloud-config archive"},
	{"#cloud-config-jsonp", "a JSON patch for a cloud-config"},
	{"#cloud-boothook", "a boot hook"},
	{"#part-handler", "a part handler"},
	{"#upstart-job", "an Upstart job"},
	{"<powershell>", "a script for Windows"},
	{"<script>", "a script for Windows"},
	{"{", "JSON, perhaps of Ignition"},
	{"From ", "a mailbox"},
}

const elseImage = "change it by hand, or put the provider into the image"

// kindOf says what a text is. The error wraps ErrUserData; it quotes nothing of
// the text, which may hold secrets.
func kindOf(text string) (kind, error) {
	begin := strings.TrimLeft(text, " \t\r\n")
	for _, u := range unmergeable {
		if strings.HasPrefix(strings.ToLower(begin), strings.ToLower(u.begin)) {
			return "", refuse(elseImage, "it is %s, which is not taken apart", u.what)
		}
	}
	first, _, _ := strings.Cut(begin, "\n")
	first = strings.TrimRight(first, " \t\r")
	header := strings.ToLower(first)
	switch {
	case begin == "":
		return nothing, nil
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }):
		return "", refuse(elseImage, "it is no plain text")
	case begin != text:
		return "", refuse("remove what is ahead of its first line", "it begins with white space, so that cloud-init does not know what it is")
	case strings.HasPrefix(begin, "#!"):
		return shellScript, nil
	case first == "#cloud-config":
		return cloudConfig, nil
	case strings.HasPrefix(header, "content-type: multipart/"), strings.HasPrefix(header, "mime-version:"):
		return multiPart, nil
	case isBase64(begin):
		return "", refuse("decode it first: Rancher encodes user data by itself", "it is base64")
	}
	return "", refuse(elseImage, "its first line is neither #cloud-config nor #! nor the header of a multipart file")
}

var base64Form = regexp.MustCompile(`^[A-Za-z0-9+/\s]{8,}={0,2}\s*$`)

func isBase64(text string) bool {
	if !base64Form.MatchString(text) {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return err == nil
}
