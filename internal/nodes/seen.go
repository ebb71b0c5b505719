package nodes

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

// seen is what the check script saw on one node.
type seen struct {
	config, bin place
	body        []byte // of the config, with its secrets taken out
	hidden      string // why there is no body, a key of hiddenBecause; "" when there is one
	binaries    map[string]binary
	others      []string // more names in the bin dir, a few
}

// place is what stands at one path.
type place struct {
	state       kubelet.PathState
	outside     bool   // no bind reaches there
	volume      bool   // a Docker volume is mounted there
	empty       bool   // a directory with nothing in it
	mode, owner string // "755", "0:0"
	host        string // where it is on the host
}

// binary is what stands at one provider's path.
type binary struct {
	place
	executable bool
	format     string
	machine    string // of an ELF file, GOARCH spelling; "" unknown
	truncated  bool
	noexec     bool
	// heard is what it said when it was asked in each API version: a key of
	// hearing. Empty when it was not run.
	heard map[kubelet.API]string
	// unasked says why it was not run although it could be: a key of
	// unaskedBecause, "" when there is nothing to say.
	unasked string
}

// states are the words for what stands at a path.
var states = map[string]kubelet.PathState{
	"missing": kubelet.PathMissing, "regular": kubelet.PathRegular, "directory": kubelet.PathDirectory, "other": kubelet.PathOther,
	"dangling": kubelet.PathDangling, "loop": kubelet.PathLoop, "unreadable": kubelet.PathUnreadable, "outside": kubelet.PathMissing, "volume": kubelet.PathMissing,
}

// formats are the words for what a file is by its first bytes.
var formats = []string{"elf", "script", "empty", "html", "text", "other"}

// hiddenBecause says in words why a config is not shown.
var hiddenBecause = map[string]string{
	"large":  "it is too large to be handed over",
	"zero":   "it holds zero bytes, so it is binary or UTF-16",
	"unlike": "it does not look like a credential provider config at all",
	"unsure": "it is broken, or written in a way in which a secret cannot be told apart from the rest for certain",
	"bytes":  "it holds bytes that are no printable ASCII, perhaps in a comment; kubelets refuse some of them",
	"unread": "reading it failed",
}

// heardWord says of a word for what a provider said in one API version whether
// it proves that it speaks it.
type heardWord struct{ speaks, refuses bool }

var hearing = map[string]heardWord{
	"ok":      {speaks: true},  // it answered with a response
	"keyless": {speaks: true},  // it went on to look for AWS credentials
	"refused": {refuses: true}, // group version … is not supported
	"other":   {},              // it ended with another error
	"slow":    {},              // it did not end in time
	"broken":  {},              // it could not be run
}

var (
	octal  = regexp.MustCompile(`^[0-7]{1,4}$`)
	owners = regexp.MustCompile(`^[0-9]{1,10}:[0-9]{1,10}$`)
)

// readSeen reads the answer of the check script. Anything that does not fit is
// an error: half an answer is none.
func readSeen(text string) (*seen, error) {
	m, err := readMessage(text)
	if err != nil {
		return nil, err
	}
	s := &seen{binaries: map[string]binary{}}
	for key, into := range map[string]*place{"config": &s.config, "bin": &s.bin} {
		line, err := m.one(key)
		if err != nil {
			return nil, err
		}
		if *into, err = readPlace(fields(line)); err != nil {
			return nil, fmt.Errorf("what it says of the %s: %w", key, err)
		}
	}
	if s.hidden, err = m.one("hidden"); err != nil {
		return nil, err
	}
	body, err := m.one("body")
	switch {
	case err != nil:
		return nil, err
	case s.config.state != kubelet.PathRegular:
	case s.hidden != "" && hiddenBecause[s.hidden] == "":
		return nil, errors.New("it hides the config for an unknown reason")
	case s.hidden == "" && body == "":
		return nil, errors.New("it neither shows nor hides the config")
	case s.hidden == "":
		if s.body, err = unpack(body); err != nil {
			return nil, err
		}
	}
	for _, line := range m["binary"] {
		name, b, err := readBinary(fields(line))
		if err != nil {
			return nil, fmt.Errorf("what it says of a provider: %w", err)
		}
		s.binaries[name] = b
	}
	for _, other := range m["other"] {
		name, err := unpackShown(other)
		if err != nil {
			return nil, err
		}
		s.others = append(s.others, name)
	}
	return s, nil
}

func readPlace(f map[string]string) (place, error) {
	state, ok := states[f["state"]]
	if !ok {
		return place{}, errors.New("it names an unknown state")
	}
	p := place{state: state, outside: f["state"] == "outside", volume: f["state"] == "volume", empty: f["empty"] == "yes"}
	if octal.MatchString(f["mode"]) {
		p.mode = f["mode"]
	}
	if owners.MatchString(f["owner"]) {
		p.owner = f["owner"]
	}
	if f["host"] != "" {
		host, err := unpackShown(f["host"])
		if err != nil {
			return place{}, err
		}
		p.host = host
	}
	return p, nil
}

func readBinary(f map[string]string) (string, binary, error) {
	name, err := unpackText(f["name"])
	if err != nil {
		return "", binary{}, err
	}
	p, err := readPlace(f)
	if err != nil {
		return "", binary{}, err
	}
	b := binary{place: p, executable: f["exec"] == "yes", noexec: f["noexec"] == "yes", truncated: f["truncated"] == "yes", heard: map[kubelet.API]string{}}
	if f["unasked"] != "" && unaskedBecause[f["unasked"]] == "" {
		return "", binary{}, errors.New("it asks nothing for an unknown reason")
	}
	b.unasked = f["unasked"]
	if f["format"] != "" {
		if !slices.Contains(formats, f["format"]) {
			return "", binary{}, errors.New("it names an unknown format")
		}
		b.format = f["format"]
	}
	if f["machine"] == "amd64" || f["machine"] == "arm64" {
		b.machine = f["machine"]
	} else if f["machine"] != "" {
		b.machine = "other"
	}
	for _, api := range askedIn {
		word := f[string(api)]
		if _, ok := hearing[word]; !ok && word != "" {
			return "", binary{}, errors.New("it names an unknown answer")
		}
		if word != "" {
			b.heard[api] = word
		}
	}
	return name, b, nil
}

// askedIn are the API versions in which a provider is asked. No release of
// ecr-credential-provider speaks v1beta1.
var askedIn = []kubelet.API{kubelet.APIv1, kubelet.APIv1alpha1}

// provider gives what was seen in the terms of package kubelet.
func (s *seen) provider(q Query, arch string) *kubelet.Provider {
	p := &kubelet.Provider{
		ConfigPath: q.ConfigPath, ConfigState: s.config.state, Config: s.body, ConfigMode: s.config.mode,
		BinDir: q.BinDir, BinDirState: s.bin.state, BinDirMode: s.bin.mode,
		Arch: arch, Binaries: map[string]kubelet.Binary{},
	}
	for name, b := range s.binaries {
		answered, speaks := b.speaks()
		if !isECR(name) && len(speaks) == 0 {
			answered = false // what it takes to hear from others is not known
		}
		p.Binaries[name] = kubelet.Binary{
			State: b.state, Executable: b.executable && !b.noexec, Format: b.format, Arch: b.machine,
			Truncated: b.truncated, Speaks: speaks, Answered: answered, Owner: b.owner, Mode: b.mode,
		}
	}
	return p
}

// speaks concludes from what a provider said which API versions it speaks. A
// program that says neither yes nor "not supported" to any of them is no
// credential provider; one that refuses one version speaks the other, whatever
// it says there.
func (b binary) speaks() (answered bool, speaks []kubelet.API) {
	refusesOne := false
	for _, word := range b.heard {
		refusesOne = refusesOne || hearing[word].refuses
	}
	for _, api := range askedIn {
		word := b.heard[api]
		switch {
		case hearing[word].speaks || word == "other" && refusesOne:
			answered, speaks = true, append(speaks, api)
		case hearing[word].refuses || word == "other":
			answered = true
		}
	}
	return answered, speaks
}

// findings are what package kubelet cannot know: mounts, Docker's habits, what
// was not shown.
func (s *seen) findings(q Query) []Finding {
	var out []Finding
	for _, at := range []struct {
		what, path string
		place      place
	}{{"provider config", q.ConfigPath, s.config}, {"bin dir", q.BinDir, s.bin}} {
		if at.place.outside {
			out = append(out, finding(pathNotVisible, "the %s %s lies under no mount of the kubelet's container, or a symlink leads out of them", at.what, at.path))
		}
		if at.place.volume {
			out = append(out, finding(pathNotVisible, "the %s %s lies in a Docker volume that is mounted into the kubelet's container, not on the host", at.what, at.path))
		}
	}
	if s.config.state == kubelet.PathDirectory && s.config.empty {
		out = append(out, finding(emptyDirectory, "the provider config %s is an empty directory (on the host: %s)", q.ConfigPath, s.config.host))
	}
	if s.bin.state == kubelet.PathDirectory && s.bin.empty {
		out = append(out, finding(emptyDirectory, "the bin dir %s holds nothing at all (on the host: %s)", q.BinDir, s.bin.host))
	}
	for _, name := range slices.Sorted(maps.Keys(s.binaries)) {
		if s.binaries[name].volume && !s.bin.volume {
			out = append(out, finding(pathNotVisible, "the provider %s lies in a Docker volume that is mounted into the kubelet's container, not on the host", oneLine(path.Join(q.BinDir, name))))
		}
		if b := s.binaries[name]; b.state == kubelet.PathDirectory && b.empty {
			out = append(out, finding(emptyDirectory, "the provider %s is an empty directory", oneLine(path.Join(q.BinDir, name))))
		}
	}
	if s.hidden != "" {
		out = append(out, finding(configHidden, "the provider config %s is not judged: %s", q.ConfigPath, hiddenBecause[s.hidden]))
	}
	return out
}

// hint names what else is in the bin dir, for a provider that is not there.
func (s *seen) hint() string {
	if len(s.others) == 0 {
		return ""
	}
	return "; in that directory there is: " + strings.Join(s.others, ", ")
}
