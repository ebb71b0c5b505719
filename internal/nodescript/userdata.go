package nodescript

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// The script is larger than the 16 KB that EC2 takes as user data, so it travels
// packed: gzip, and base64 in lines.

// ScriptPath is where cloud-init puts the script. /run can be written to on every
// system, and the script is needed once.
const ScriptPath = "/run/rkepatch/node-script.sh"

// maxScript bounds what is unpacked: a script has 24 KB.
const maxScript = 256 << 10

const packedHead = `#!/bin/sh
# The script of ` + "`rkepatch nodes script`" + `, packed. To read it:
#   sed -e '1,/^base64/d' -e '/^END$/,$d' FILE | base64 -d | gunzip
set -eu
file=$(mktemp /tmp/rkepatch.XXXXXX)
trap 'rm -f "$file"' EXIT
base64 -d <<'END' | gunzip -c >"$file"
`

const packedTail = `END
sh "$file" "$@"
`

// Packed makes a script for user data of one that Write wrote: a shell script of
// half its size that unpacks the other and runs it. The nodes need base64 and
// gunzip, of coreutils and gzip or of busybox.
func Packed(script []byte) []byte {
	return []byte(packedHead + strings.Join(packed(script), "\n") + "\n" + packedTail)
}

// CloudConfig makes a cloud-config of a script that Write wrote, which puts it at
// ScriptPath and runs it at the end of the first boot.
func CloudConfig(script []byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "#cloud-config\nwrite_files:\n- path: %s\n  owner: root:root\n  permissions: '0700'\n  encoding: gz+b64\n  content: |\n", ScriptPath)
	for _, line := range packed(script) {
		b.WriteString("    " + line + "\n")
	}
	fmt.Fprintf(&b, "runcmd:\n- [sh, %s]\n", ScriptPath)
	return []byte(b.String())
}

func packed(script []byte) []string {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = z.Write(script)                                // a buffer takes everything
	_ = z.Close()
	text := base64.StdEncoding.EncodeToString(b.Bytes())
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	return append(lines, text)
}

// Unpack gives the script in what Packed wrote, or what it is given when that is
// none.
func Unpack(script []byte) []byte {
	rest, ok := bytes.CutPrefix(script, []byte(packedHead))
	if !ok {
		return script
	}
	text, end, ok := bytes.Cut(rest, []byte("\nEND\n"))
	if !ok || strings.TrimSpace("END\n"+string(end)) != strings.TrimSpace(packedTail) {
		return script
	}
	if inner, ok := Decode(string(text)); ok {
		return inner
	}
	return script
}

// Decode reads gzip in base64, as a cloud-config with encoding gz+b64 has it. ok is
// false for what is neither, and for more than 256 KiB.
func Decode(text string) (data []byte, ok bool) {
	zipped, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, false
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, false
	}
	data, err = io.ReadAll(io.LimitReader(z, maxScript+1))
	return data, err == nil && len(data) <= maxScript
}
