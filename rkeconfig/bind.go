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

// optionKind is what a mount option decides. A bind may have one of each.
type optionKind string

const (
	accessOption      optionKind = "access"
	labelOption       optionKind = "label"
	propagationOption optionKind = "propagation"
	copyOption        optionKind = "copy"
	consistencyOption optionKind = "consistency"
)

// bindOptions are the mount options Docker knows for a bind
// (moby volume/mounts/linux_parser.go: linuxValidMountMode).
var bindOptions = map[string]optionKind{
	"ro": accessOption, "rw": accessOption,
	"z": labelOption, "Z": labelOption,
	"shared": propagationOption, "slave": propagationOption, "private": propagationOption,
	"rshared": propagationOption, "rslave": propagationOption, "rprivate": propagationOption,
	"nocopy":     copyOption,
	"consistent": consistencyOption, "cached": consistencyOption, "delegated": consistencyOption,
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
		var err error
		if b.options, err = parseOptions(parts[2], !path.IsAbs(b.source)); err != nil {
			return bind{}, err
		}
	}
	return b, nil
}

// parseOptions returns the options that are not the default, sorted.
func parseOptions(text string, isVolume bool) ([]string, error) {
	var options []string
	seen := map[optionKind]bool{}
	for option := range strings.SplitSeq(text, ",") {
		kind, known := bindOptions[option]
		switch {
		case !known:
			return nil, fmt.Errorf("it has a mount option that Docker does not know")
		case seen[kind]:
			return nil, fmt.Errorf("it has more than one mount option for %s", kind)
		case kind == copyOption && !isVolume:
			return nil, fmt.Errorf("its option nocopy is for volumes only, not for host paths")
		case kind == propagationOption && isVolume:
			return nil, fmt.Errorf("its option for propagation is for host paths only, not for volumes")
		}
		seen[kind] = true
		if option != "rw" { // the default
			options = append(options, option)
		}
	}
	slices.Sort(options)
	return options, nil
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

// holds reports whether a mount at target, which is cleaned, makes p visible.
func holds(target, p string) bool {
	_, under := relativeTo(target, path.Clean(p))
	return under
}
