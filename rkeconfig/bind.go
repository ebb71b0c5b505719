package rkeconfig

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// bind is one entry of extra_binds: host:container[:options].
type bind struct {
	text    string // trimmed, as RKE does (rke v1.6.1 cluster/plan.go:1266)
	source  string // cleaned host path, or the name of a volume
	target  string // cleaned container path
	options []string
}

// bindOptions are the mount options Docker knows for a bind.
var bindOptions = map[string]bool{
	"ro": true, "rw": true,
	"z": true, "Z": true,
	"shared": true, "slave": true, "private": true,
	"rshared": true, "rslave": true, "rprivate": true,
	"nocopy":     true,
	"consistent": true, "cached": true, "delegated": true,
}

var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// parseBind reads one bind as Docker would on Linux. The error says what is
// wrong with it, without the bind itself.
func parseBind(text string) (bind, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, isControl) {
		return bind{}, fmt.Errorf("it holds control characters")
	}
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return bind{}, fmt.Errorf("it has %d parts between colons where host:container[:options] has two or three", len(parts))
	}
	b := bind{text: text, source: parts[0], target: path.Clean(parts[1])}
	if !path.IsAbs(b.target) {
		return bind{}, fmt.Errorf("its container path does not begin with /")
	}
	if b.target == "/" {
		return bind{}, fmt.Errorf("its container path is /, which Docker refuses")
	}
	if path.IsAbs(b.source) {
		b.source = path.Clean(b.source)
	} else if !volumeName.MatchString(b.source) {
		return bind{}, fmt.Errorf("its host path does not begin with /")
	}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			if !bindOptions[option] {
				return bind{}, fmt.Errorf("it has a mount option that Docker does not know")
			}
			if option != "rw" { // the default
				b.options = append(b.options, option)
			}
		}
		slices.Sort(b.options)
	}
	return b, nil
}

func (b bind) sameOptions(other bind) bool {
	return slices.Equal(b.options, other.options)
}

// relativeTo returns what follows dir in p ("" when they are equal), and whether
// p is dir or lies under it. Both are cleaned.
func relativeTo(dir, p string) (string, bool) {
	if p == dir {
		return "", true
	}
	if dir == "/" {
		return p, true
	}
	if rest, ok := strings.CutPrefix(p, dir); ok && rest[0] == '/' {
		return rest, true
	}
	return "", false
}
