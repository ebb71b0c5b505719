// Command oracle holds the rules of internal/kubelet to the kubelet's own code.
// It makes up cases, recorded ones and random mutations of them, has a judge
// decide each (see judge/), and prints every case in which the rules say
// something else. Run it with run.sh.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"unicode"

	"rkepatch/internal/kubelet"
)

// Case and Verdict are the judge's; see judge/main.go.
type Case struct {
	Config   []byte
	NoConfig string            `json:",omitempty"`
	BinDir   string            `json:",omitempty"`
	Binaries map[string]string `json:",omitempty"`
	Pattern  string            `json:",omitempty"`
	Image    string            `json:",omitempty"`
}

// Verdict is what the kubelet does with a Case.
type Verdict struct {
	ExitCode   int
	Reason     string
	Repository string
	Matches    bool
}

func main() {
	log.SetFlags(0)
	judge := flag.String("judge", "", "the judge's `program`")
	version := flag.String("version", "", "the kubelet `version` that it is of")
	recorded := flag.String("recorded", "testdata/verdicts.json", "`file` with recorded cases, run first and mutated")
	n := flag.Int("n", 100_000, "`number` of mutations")
	seed := flag.Uint64("seed", 1, "seed of the mutations")
	show := flag.Int("show", 20, "`number` of disagreements to print in full")
	flag.Parse()
	t, err := run(*judge, *version, *recorded, *n, *seed, *show)
	if err != nil {
		log.Fatal("oracle: ", err)
	}
	fmt.Printf("%s: %d cases, %d accepted, %d refused, %d fatal, %d matches asked; %d disagreements, %d in words only\n",
		*version, t.cases, t.accepted, t.refused, t.fatal, t.matches, t.disagreements, t.words)
	if t.disagreements > 0 {
		os.Exit(1)
	}
}

// tally counts what a run came to.
type tally struct {
	cases, accepted, refused, fatal, matches, disagreements, words int
}

func run(judge, version, recorded string, n int, seed uint64, show int) (tally, error) {
	var t tally
	v, err := kubelet.ParseVersion(version)
	if err != nil {
		return t, err
	}
	bases, err := readRecorded(recorded)
	if err != nil {
		return t, err
	}
	cmd := exec.Command(judge)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return t, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, err
	}
	if err := cmd.Start(); err != nil {
		return t, fmt.Errorf("starting the judge: %w", err)
	}
	// The cases go to the judge and, in the same order, to the comparison.
	cases := make(chan Case, 4096)
	sent := make(chan error, 1)
	go func() {
		defer close(cases)
		w := bufio.NewWriter(in)
		enc := json.NewEncoder(w)
		rng := rand.New(rand.NewPCG(seed, 0))
		for i := range len(bases) + n {
			var c Case
			if i < len(bases) {
				c = bases[i]
			} else {
				c = makeUp(rng, bases)
			}
			if err := enc.Encode(c); err != nil {
				sent <- err
				return
			}
			cases <- c
		}
		sent <- errors.Join(w.Flush(), in.Close())
	}()
	verdicts := json.NewDecoder(bufio.NewReader(out))
	for c := range cases {
		var want Verdict
		if err := verdicts.Decode(&want); err != nil {
			return t, fmt.Errorf("reading verdict %d: %w", t.cases, err)
		}
		t.count(c, want)
		disagreement, words := compare(v, c, want)
		if disagreement != "" {
			t.disagreements++
		} else if words != "" {
			t.words++
		}
		if text := disagreement + words; text != "" && t.disagreements+t.words <= show {
			fmt.Printf("case %d: %s\n  no config: %q, bin dir: %q, binaries: %q\n%s\n", t.cases-1, text, c.NoConfig, c.BinDir, c.Binaries, indent(c.Config))
		}
	}
	return t, errors.Join(<-sent, cmd.Wait())
}

func (t *tally) count(c Case, v Verdict) {
	t.cases++
	switch {
	case c.Image != "":
		t.matches++
	case v.ExitCode == 0:
		t.accepted++
	case v.ExitCode == 255:
		t.fatal++
	default:
		t.refused++
	}
}

func indent(config []byte) string {
	lines := strings.Split(fmt.Sprintf("%q", config), `\n`)
	return "  | " + strings.Join(lines, "\n  | ")
}

// compare says in what the rules and the verdict differ; words when it is only
// in the reason.
func compare(v kubelet.Version, c Case, want Verdict) (disagreement, words string) {
	if newerGo.MatchString(want.Reason) {
		return "", ""
	}
	if c.Image != "" {
		return compareMatch(c, want), ""
	}
	got := Verdict{}
	if r := kubelet.Start(v, provider(c)); r != nil {
		got = Verdict{ExitCode: r.ExitCode, Reason: r.Reason}
	}
	if got.ExitCode != want.ExitCode {
		return fmt.Sprintf("the kubelet exits %d (%s), the rules say %d (%s)", want.ExitCode, want.Reason, got.ExitCode, got.Reason), ""
	}
	if a, b := bare(want.Reason), bare(got.Reason); want.ExitCode == 1 && !strings.HasPrefix(a, b) {
		return "", fmt.Sprintf("the kubelet says %q, the rules say %q", a, b)
	}
	return "", ""
}

func compareMatch(c Case, want Verdict) string {
	if want.Repository == "" {
		return "" // not an image: no pod can have it
	}
	if got := kubelet.Repository(c.Image); got != want.Repository {
		return fmt.Sprintf("the repository of %q is %q, not %q", c.Image, want.Repository, got)
	}
	got, err := kubelet.Matches(c.Pattern, c.Image)
	if (err != nil) != (want.ExitCode != 0) || got != want.Matches {
		return fmt.Sprintf("pattern %q, image %q: %t (%s), the rules say %t (%v)", c.Pattern, c.Image, want.Matches, want.Reason, got, err)
	}
	return ""
}

// newerGo is what only a judge built with ORACLE_GO=local says, see the remark
// pattern-brackets.
var newerGo = regexp.MustCompile(`invalid IP-literal|invalid host: `)

var (
	place      = regexp.MustCompile(`/[^ "]*judge[0-9]+/[0-9]+/`)
	schemeName = regexp.MustCompile(` in scheme "[^"]*"`)
	wholeFile  = regexp.MustCompile(` is missing in .*`)
	added      = regexp.MustCompile(` \(/node/.*\)$`)
	password   = regexp.MustCompile(`:[^\s"/@]*@`)
	quoted     = regexp.MustCompile("`[^`]*`|anchor '[^']*'|(invalid map key|unsupported map key of type).*")
)

// bare gives a reason without what differs for known causes: paths, the
// order of supported values, and what is left out because it may be secret.
func bare(reason string) string {
	r := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, reason)
	r = strings.Join(strings.Fields(r), " ")
	r = place.ReplaceAllString(r, "/node/")
	r = schemeName.ReplaceAllString(r, "")
	r = wholeFile.ReplaceAllString(r, " is missing")
	r, _, _ = strings.Cut(r, ": supported ")
	r = added.ReplaceAllString(r, "")
	r = password.ReplaceAllString(r, ":…@")
	r = quoted.ReplaceAllString(r, "…")
	r = strings.Replace(r, "config: [", "config: ", 1) // older ones say a thing twice
	return strings.TrimSuffix(strings.TrimSpace(r), "…")
}

// provider gives a case as nodes would report it, with nothing unknown.
func provider(c Case) kubelet.Provider {
	p := kubelet.Provider{
		ConfigPath: "/node/config", ConfigState: kubelet.PathRegular, Config: c.Config,
		BinDir: "/node/bin", BinDirState: kubelet.PathDirectory,
		Binaries: map[string]kubelet.Binary{},
	}
	if c.NoConfig != "" {
		p.ConfigState = kubelet.PathState(c.NoConfig)
	}
	switch c.BinDir {
	case "missing":
		p.BinDirState = kubelet.PathMissing
	case "file":
		p.BinDirState = kubelet.PathRegular
	case "unnamed":
		p.BinDir, p.BinDirState = "", kubelet.PathMissing
	}
	for _, name := range names(c.Config) {
		p.Binaries[name] = kubelet.Binary{State: kubelet.PathMissing}
	}
	for name, state := range c.Binaries {
		p.Binaries[name] = states[state]
	}
	return p
}

// states are what a file of the bin dir can be, by the judge's words.
var states = map[string]kubelet.Binary{
	"executable": {State: kubelet.PathRegular, Executable: true},
	"empty":      {State: kubelet.PathRegular, Executable: true},
	"plain":      {State: kubelet.PathRegular},
	"directory":  {State: kubelet.PathDirectory, Executable: true},
	"dangling":   {State: kubelet.PathDangling},
	"loop":       {State: kubelet.PathLoop},
	"missing":    {State: kubelet.PathMissing},
}

var word = regexp.MustCompile(`[^\s"',\[\]{}:#&*]+`)

// names gives every piece of a config that may be a provider's name.
func names(config []byte) []string {
	found := kubelet.ProviderNames(config)
	for _, w := range word.FindAll(config, -1) {
		found = append(found, string(w))
	}
	return found
}

// readRecorded turns the recorded verdicts' inputs into cases.
func readRecorded(path string) ([]Case, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading recorded cases: %w", err)
	}
	var file struct {
		Cases []struct{ Binary, Config, ConfigState string }
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("reading recorded cases: %w", err)
	}
	var cases []Case
	for _, r := range file.Cases {
		c := Case{Config: []byte(r.Config), NoConfig: r.ConfigState}
		state := "executable"
		switch r.Binary {
		case "missing":
			state = "missing"
		case "dangling-symlink":
			state = "dangling"
		case "empty-file-0755":
			state = "empty"
		case "bin-dir-missing":
			c.BinDir = "missing"
		case "bin-dir-is-a-file":
			c.BinDir = "file"
		case "bin-dir-empty-string":
			c.BinDir = "unnamed"
		}
		c.Binaries = map[string]string{kubelet.ProviderName: state, "amazon-ecr": "executable"}
		cases = append(cases, c)
	}
	return cases, nil
}
