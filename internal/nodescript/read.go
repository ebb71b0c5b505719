package nodescript

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// mark begins the last line but one of every script, ahead of the brace without
// which nothing runs. What follows is the SHA-256 of all other lines: a script
// that was edited or cut short is none of ours any more. It is no signature:
// whoever can write a script can write this.
const mark = "# rkepatch node script, format 1, sha256 "

// Facts are what a script of this program puts on a node.
type Facts struct {
	BinDir, ConfigFile, Release string
	Config                      []byte // the CredentialProviderConfig
	Docker                      string // URL of the installer that it runs afterwards, "" for none
}

var markLine = regexp.MustCompile(`\n(` + regexp.QuoteMeta(mark) + `([0-9a-f]{64})\n)}\n?$`)

// Read reads a script that Write wrote, also an earlier version of it. ok is false
// for anything else, and for one that was edited, cut short or carries more.
func Read(script []byte) (f Facts, ok bool) {
	m := markLine.FindSubmatchIndex(script)
	if m == nil {
		return f, false
	}
	body := slices.Concat(script[:m[2]], brace)
	sum := sha256.Sum256(body)
	if hex.EncodeToString(sum[:]) != string(script[m[4]:m[5]]) {
		return f, false
	}
	values := map[string]string{}
	for _, name := range []string{"bin_dir", "config", "release", "docker_url", "config_sha256", "config_text"} {
		value, found := setting(string(body), name)
		if !found {
			return f, false
		}
		values[name] = value
	}
	f = Facts{
		BinDir: values["bin_dir"], ConfigFile: values["config"], Release: values["release"],
		Config: []byte(values["config_text"]), Docker: values["docker_url"],
	}
	sum = sha256.Sum256(f.Config)
	return f, hex.EncodeToString(sum[:]) == values["config_sha256"]
}

// setting reads what quote wrote after the first NAME= that begins a line.
func setting(script, name string) (value string, ok bool) {
	_, rest, found := strings.Cut(script, "\n"+name+"='")
	if !found {
		return "", false
	}
	for {
		text, after, closed := strings.Cut(rest, "'")
		if !closed {
			return "", false
		}
		value += text
		if !strings.HasPrefix(after, `\''`) {
			return value, strings.HasPrefix(after, "\n")
		}
		value, rest = value+"'", after[len(`\''`):]
	}
}

// brace ends every script.
var brace = []byte("}\n")

// marked puts the mark into a script.
func marked(script []byte) []byte {
	sum := sha256.Sum256(script)
	return slices.Concat(bytes.TrimSuffix(script, brace), []byte(mark+hex.EncodeToString(sum[:])+"\n"), brace)
}
