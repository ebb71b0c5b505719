// Command judge asks the kubelet's own code what it does at start with a
// credential provider config. It reads cases as JSON lines on standard input
// and writes one verdict for each, in the same order, on standard output.
//
// It links k8s.io/kubernetes at the version that its go.mod file names; see
// ../run.sh. It starts nothing and contacts nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	_ "unsafe" // for go:linkname

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
	"k8s.io/kubernetes/pkg/util/parsers"
)

// Case is one node's files; see the generator in the directory above.
type Case struct {
	Config   []byte
	NoConfig string // "missing", "directory"; "" when there is a config
	BinDir   string // "missing", "file", "unnamed"; "" for a directory
	Binaries map[string]string
	// Pattern and Image are set when a match is asked for instead.
	Pattern, Image string `json:",omitempty"`
}

// Verdict is what the kubelet does: exit code 0 is to start.
type Verdict struct {
	ExitCode int
	Reason   string
	// Repository is what the kubelet makes of Image.
	Repository string
	Matches    bool
}

// providers is the process-wide registry; it is put back before each case.
//
//go:linkname providers k8s.io/kubernetes/pkg/credentialprovider.providers
var providers map[string]credentialprovider.DockerConfigProvider

// fatal is what the kubelet's last words become here.
type fatal int

func main() {
	log.SetFlags(0)
	// Klog's last words, a stack trace for each duplicate name, go nowhere; log
	// has taken the real standard error by now.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	os.Stderr = null
	klog.OsExit = func(code int) { panic(fatal(code)) }
	dir, err := os.MkdirTemp("", "judge")
	if err != nil {
		log.Fatal(err)
	}
	err = serve(os.Stdin, os.Stdout, dir)
	if err := os.RemoveAll(dir); err != nil {
		log.Print(err)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(in io.Reader, out io.Writer, dir string) error {
	inTree := clone(providers)
	w := bufio.NewWriter(out)
	answers := json.NewEncoder(w)
	cases := json.NewDecoder(bufio.NewReader(in))
	for n := 0; ; n++ {
		var c Case
		switch err := cases.Decode(&c); {
		case err == io.EOF:
			return w.Flush()
		case err != nil:
			return fmt.Errorf("reading case %d: %w", n, err)
		}
		v, err := judge(c, dir)
		if err != nil {
			return fmt.Errorf("setting up case %d: %w", n, err)
		}
		providers = clone(inTree)
		if err := answers.Encode(v); err != nil {
			return err
		}
	}
}

func clone(m map[string]credentialprovider.DockerConfigProvider) map[string]credentialprovider.DockerConfigProvider {
	out := map[string]credentialprovider.DockerConfigProvider{}
	for name, p := range m {
		out[name] = p
	}
	return out
}

func judge(c Case, dir string) (Verdict, error) {
	if c.Image != "" {
		return match(c), nil
	}
	// One directory for each case, so that nothing is left of the last one.
	root, err := os.MkdirTemp(dir, "")
	if err != nil {
		return Verdict{}, err
	}
	defer os.RemoveAll(root)
	config, err := placeConfig(c, filepath.Join(root, "config"))
	if err != nil {
		return Verdict{}, err
	}
	bin, err := placeBinaries(c, filepath.Join(root, "bin"))
	if err != nil {
		return Verdict{}, err
	}
	return register(config, bin), nil
}

func match(c Case) Verdict {
	repository, _, _, err := parsers.ParseImageName(c.Image)
	if err != nil {
		return Verdict{ExitCode: 1, Reason: err.Error()}
	}
	matches, err := credentialprovider.URLsMatchStr(c.Pattern, repository)
	if err != nil {
		return Verdict{ExitCode: 1, Repository: repository, Reason: err.Error()}
	}
	return Verdict{Repository: repository, Matches: matches}
}

func placeConfig(c Case, path string) (string, error) {
	switch c.NoConfig {
	case "missing":
		return path, nil
	case "directory":
		return path, os.Mkdir(path, 0o755)
	}
	return path, os.WriteFile(path, c.Config, 0o644)
}

func placeBinaries(c Case, dir string) (string, error) {
	switch c.BinDir {
	case "missing":
		return dir, nil
	case "unnamed":
		return "", nil
	case "file":
		return dir, os.WriteFile(dir, []byte("#!/bin/true\n"), 0o755)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for name, state := range c.Binaries {
		path := filepath.Join(dir, name)
		var err error
		switch state {
		case "executable":
			err = os.WriteFile(path, []byte("#!/bin/true\n"), 0o755)
		case "plain":
			err = os.WriteFile(path, []byte("#!/bin/true\n"), 0o644)
		case "empty":
			err = os.WriteFile(path, nil, 0o755)
		case "directory":
			err = os.Mkdir(path, 0o755)
		case "dangling":
			err = os.Symlink(filepath.Join(dir, "..", "nowhere"), path)
		case "loop":
			err = os.Symlink(name, path)
		case "missing":
		default:
			err = fmt.Errorf("unknown state %q", state)
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}

// register calls what the kubelet calls. Klog prints and exits on a second
// registration of a name; here it panics.
func register(config, bin string) (v Verdict) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fatal:
			v = Verdict{ExitCode: int(p), Reason: "fatal"}
		default:
			panic(p)
		}
	}()
	if err := plugin.RegisterCredentialProviderPlugins(config, bin); err != nil {
		return Verdict{ExitCode: 1, Reason: err.Error()}
	}
	return Verdict{}
}
