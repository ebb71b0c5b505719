package kubelet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v2"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

func kubeletUnknown(s sight) string {
	if !newest.Before(s.target.Major, s.target.Minor) {
		return ""
	}
	return fmt.Sprintf("kubelets of version %s are judged as if they were %s", s.target, newest)
}

// seeing names what Start took for good without knowing it.
func seeing(s sight) []string {
	var texts []string
	say := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	switch {
	case s.ConfigState == PathUnknown:
		say("nothing is known about the config %s", s.ConfigPath)
	case s.ConfigState == PathDirectory && s.reaches(34):
		say("%s is a directory, which kubelets from 1.34 on read file by file: this is not judged", s.ConfigPath)
	}
	if s.BinDirState == PathUnknown || s.BinDirState == PathUnreadable {
		say("nothing is known about the directory %s", s.BinDir)
	}
	for _, e := range s.entries {
		b, seen := s.Binaries[e.name]
		if !isFileName(e.name) || seen && b.State != PathUnknown && b.State != PathUnreadable {
			continue
		}
		say("nothing is known about the binary %s", shown(e.name))
	}
	return texts
}

func unusualName(_ sight, e entry) string {
	if e.name == "" || isFileName(e.name) {
		return ""
	}
	return fmt.Sprintf("the provider name %s is not one that is looked for", shown(e.name))
}

func refusedStrictly(s sight) string {
	if s.careless == "" || !s.v.Before(1, 32) || !s.reaches(32) {
		return ""
	}
	return "a 1.32 kubelet does not start with this config: " + s.careless
}

func careless(s sight) string {
	if s.careless == "" || s.reaches(32) {
		return ""
	}
	return "kubelets up to 1.31 ignore what later ones refuse: " + s.careless
}

func tokenField(s sight) string {
	if !s.tokens {
		return ""
	}
	return "the config has tokenAttributes, which ecr-credential-provider has no use for"
}

func secondDocument(s sight) string {
	if s.ConfigState != PathRegular || checkSize(s.Config) != nil || utilyaml.IsJSONBuffer(s.Config) {
		return ""
	}
	var first, second any
	d := yaml.NewDecoder(bytes.NewReader(s.Config))
	if d.Decode(&first) != nil || first == nil {
		return ""
	}
	// The second may be broken: it is ignored all the same.
	if err := d.Decode(&second); err == nil && second == nil || errors.Is(err, io.EOF) {
		return ""
	}
	return "there is a second YAML document in the config; kubelets ignore it"
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func encoding(s sight) string {
	var what []string
	if bytes.HasPrefix(s.Config, byteOrderMark) {
		what = append(what, "a byte order mark")
	}
	if bytes.Contains(s.Config, []byte("\r\n")) {
		what = append(what, "Windows line ends")
	}
	if len(what) == 0 {
		return ""
	}
	return "the config has " + strings.Join(what, " and ")
}

// keyNames are the environment variables whose values are keys.
var keyNames = []string{"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"}

func readableKeys(s sight) string {
	if mode, known := permissions(s.ConfigMode); !known || mode&0o004 == 0 {
		return ""
	}
	for _, e := range s.entries {
		for _, name := range e.env {
			if slices.Contains(keyNames, name) {
				return fmt.Sprintf("%s has %s in env and mode %s", s.ConfigPath, name, s.ConfigMode)
			}
		}
	}
	return ""
}

func relative(s sight) string {
	for _, path := range []string{s.BinDir, s.ConfigPath} {
		if path != "" && !filepath.IsAbs(path) {
			return fmt.Sprintf("%s is not an absolute path", shown(path))
		}
	}
	return ""
}

// permissions reads a mode such as "755" or "0644".
func permissions(mode string) (bits uint64, known bool) {
	bits, err := strconv.ParseUint(mode, 8, 32)
	return bits, err == nil
}

func writable(s sight) []string {
	var texts []string
	check := func(path, mode, owner string) {
		user, _, _ := strings.Cut(owner, ":")
		bits, known := permissions(mode)
		switch {
		case known && bits&0o002 != 0 && bits&0o1000 == 0:
			texts = append(texts, fmt.Sprintf("every user of the node can write %s (mode %s)", shown(path), mode))
		case owner != "" && user != "0" && user != "root":
			texts = append(texts, fmt.Sprintf("%s belongs to user %s, not to root", shown(path), shown(user)))
		}
	}
	check(s.ConfigPath, s.ConfigMode, "")
	check(s.BinDir, s.BinDirMode, "")
	seen := map[string]bool{}
	for _, e := range s.entries {
		if b, known := s.Binaries[e.name]; known && !seen[e.name] {
			seen[e.name] = true
			check(filepath.Join(s.BinDir, e.name), b.Mode, b.Owner)
		}
	}
	return texts
}

// shown gives a name, path or pattern from a node as a message holds it.
func shown(s string) string {
	return strconv.Quote(oneLine(password.ReplaceAllString(s, ":…@"), maxShown))
}
