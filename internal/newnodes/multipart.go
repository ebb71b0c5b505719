package newnodes

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"slices"
	"strings"

	"rkepatch/internal/nodescript"
)

// part is one part of user data, or all of it where it has none.
type part struct {
	kind kind
	text string // decoded
	raw  string // as it stands
	odd  string // why kind is not known; what it is
}

// mimeTypes are what cloud-init goes by (cloudinit/user_data.py); for the two that
// say nothing it looks at the beginning of the text.
var mimeTypes = map[string]kind{
	"text/cloud-config":        cloudConfig,
	"text/x-shellscript":       shellScript,
	"text/plain":               "",
	"text/x-not-multipart":     "",
	"application/octet-stream": "",
}

const maxParts = 100

// envelope is a multipart file.
type envelope struct {
	text, boundary string
	parts          []part
}

func readMultipart(text string) (*envelope, error) {
	malformed := refuse(elseImage, "it is a malformed multipart file")
	in := bufio.NewReader(strings.NewReader(text))
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil {
		return nil, malformed
	}
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(media, "multipart/") || params["boundary"] == "" {
		return nil, malformed
	}
	if !plainEncoding(header.Get("Content-Transfer-Encoding")) {
		return nil, refuse(elseImage, "it is a multipart file that is encoded as a whole")
	}
	e := &envelope{text: text, boundary: params["boundary"]}
	r := multipart.NewReader(in, e.boundary)
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(e.parts) == maxParts {
			return nil, malformed
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			return nil, malformed
		}
		e.parts = append(e.parts, readPart(p.Header, string(raw)))
	}
	if e.end() < 0 {
		return nil, malformed
	}
	return e, nil
}

func readPart(header textproto.MIMEHeader, raw string) part {
	p := part{raw: raw, text: raw}
	switch encoding := strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))); {
	case encoding == "base64":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(raw), ""))
		if err != nil {
			p.odd = "a part whose base64 is broken"
			return p
		}
		p.text = string(data)
	case encoding == "quoted-printable":
		data, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(raw)))
		if err != nil {
			p.odd = "a part whose encoding is broken"
			return p
		}
		p.text = string(data)
	case !plainEncoding(encoding):
		p.odd = "a part in an encoding that is not known"
		return p
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		media = "text/plain"
	}
	named, known := mimeTypes[media]
	if !known {
		p.odd = "a part of type " + clean(media)
		return p
	}
	is, err := kindOf(p.text)
	switch {
	case err != nil:
		p.odd = "a part that is not taken apart"
	case named != "" && is != named:
		p.odd = "a part that is not of the type that it says"
	default:
		p.kind = is
	}
	return p
}

func plainEncoding(encoding string) bool {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// end is where the closing delimiter begins, with the line end ahead of it; -1 when
// there is none. What follows it is not looked at by anybody.
func (e *envelope) end() int {
	delimiter := "\n--" + e.boundary + "--"
	for at := 0; ; {
		next := strings.Index(e.text[at:], delimiter)
		if next < 0 {
			return -1
		}
		at += next
		line, _, _ := strings.Cut(e.text[at+len(delimiter):], "\n")
		if strings.TrimSpace(line) == "" {
			if at > 0 && e.text[at-1] == '\r' {
				at--
			}
			return at
		}
		at++
	}
}

// checked gives a text after an edit, unless it does not hold the parts that it
// should.
func (e *envelope) checked(text string, want []part) (string, bool) {
	after, err := readMultipart(text)
	if err != nil || len(after.parts) != len(want) {
		return "", false
	}
	for i, p := range after.parts {
		if p.kind != want[i].kind || p.odd != want[i].odd || p.text != want[i].text {
			return "", false
		}
	}
	return text, true
}

// with adds a part at the end.
func (e *envelope) with(k kind, text string) (string, error) {
	nl := "\n"
	at := e.end()
	if e.text[at] == '\r' {
		nl = "\r\n"
	}
	out, ok := e.checked(e.text[:at]+nl+"--"+e.boundary+nl+partText(k, text, nl)+e.text[at:], append(slices.Clone(e.parts), part{kind: k, text: text}))
	if !ok {
		return "", refuse(elseImage, "it is written in a way in which it cannot be merged safely")
	}
	return out, nil
}

// replaced puts another text in the place of a part's. ok is false where that
// part cannot be told from others.
func (e *envelope) replaced(p part, text string) (string, bool) {
	if p.raw != p.text || strings.Count(e.text, p.raw) != 1 {
		return "", false
	}
	want := slices.Clone(e.parts)
	for i := range want {
		if want[i].raw == p.raw {
			want[i].text = text
		}
	}
	return e.checked(strings.Replace(e.text, p.raw, text, 1), want)
}

// partText gives a part's header and text.
func partText(k kind, text, nl string) string {
	kindName, file := "text/x-shellscript", "script.sh"
	if k == cloudConfig {
		kindName, file = "text/cloud-config", "cloud-config.txt"
	}
	charset, encoding := "us-ascii", "7bit"
	if strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
		charset, encoding = "utf-8", "base64"
		var lines []string
		coded := base64.StdEncoding.EncodeToString([]byte(text))
		for len(coded) > 76 {
			lines, coded = append(lines, coded[:76]), coded[76:]
		}
		text = strings.Join(append(lines, coded), nl)
	}
	return fmt.Sprintf("Content-Type: %s; charset=\"%s\"%[5]sMIME-Version: 1.0%[5]sContent-Transfer-Encoding: %[3]s%[5]sContent-Disposition: attachment; filename=\"%[4]s\"%[5]s%[5]s",
		kindName, charset, encoding, file, nl) + text
}

// newMultipart puts two texts into a multipart file.
func newMultipart(first kind, text string, second kind, file string) string {
	boundary := "===rkepatch==="
	for strings.Contains(text+file, boundary) {
		boundary += "="
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n" // which Rancher has cut off
	}
	return "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\nMIME-Version: 1.0\n\n--" + boundary + "\n" +
		partText(first, text, "\n") + "\n--" + boundary + "\n" + partText(second, file, "\n") + "\n--" + boundary + "--\n"
}

// parts takes user data apart as cloud-init does.
func parts(text string) ([]part, error) {
	k, err := kindOf(text)
	switch {
	case err != nil:
		return nil, err
	case k == nothing:
		return nil, nil
	case k == multiPart:
		e, err := readMultipart(text)
		if err != nil {
			return nil, err
		}
		return e.parts, nil
	}
	return []part{{kind: k, text: text, raw: text}}, nil
}

// ours reads the script of rkepatch out of a part that is a script.
func (p part) ours() (nodescript.Facts, bool) {
	if p.kind != shellScript {
		return nodescript.Facts{}, false
	}
	text := []byte(p.text)
	if bytes.Contains(text, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	return nodescript.Read(bytes.TrimSpace(nodescript.Unpack(append(bytes.TrimSpace(text), '\n'))))
}
