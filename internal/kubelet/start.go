package kubelet

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Refusal is why a kubelet does not start.
type Refusal struct {
	// ExitCode is 1, or 255 for a name that is registered twice and for
	// everything on 1.20.
	ExitCode int
	// Reason is in the kubelet's own words, on one line, without what the
	// config's values hold.
	Reason string
}

func refuse(format string, args ...any) *Refusal {
	return &Refusal{ExitCode: 1, Reason: oneLine(fmt.Sprintf(format, args...), maxReason)}
}

// exitFatal is klog.Fatal's.
const exitFatal = 255

// Start says what a kubelet of version v, 1.20 to 1.35, does at start when it
// is told of p by both flags; nil means that it starts. The checks and their
// order are those of RegisterCredentialProviderPlugins (kubernetes v1.26.15
// pkg/credentialprovider/plugin/plugin.go:78, v1.30.14 :84). What p does not
// know is taken for good here; Foresee names it. Feature gates are not looked
// at, see Judge.
func Start(v Version, p Provider) *Refusal {
	if v.Before(1, 20) {
		return refuse("unknown flag: --%s", FlagProviderConfig)
	}
	r := register(v, p)
	if r != nil && v.Before(1, 21) {
		r.ExitCode = exitFatal // v1.20.15 pkg/kubelet/kuberuntime/kuberuntime_manager.go:237
	}
	return r
}

func register(v Version, p Provider) *Refusal {
	if r := startBinDir(p); r != nil {
		return r
	}
	if r := startConfigFile(v, p); r != nil || p.ConfigState != PathRegular {
		return r
	}
	doc, err := generationOf(v).decode(p.Config)
	if err != nil {
		return refuse("error decoding config %s: %s", p.ConfigPath, reason(err))
	}
	if errs := validate(v, doc); len(errs) > 0 {
		return refuse("failed to validate credential provider config: %s", reason(errs.ToAggregate()))
	}
	return startBinaries(v, p, doc.entries)
}

func startBinDir(p Provider) *Refusal {
	switch {
	case p.BinDir == "" || p.BinDirState.absent():
		return refuse("plugin binary directory %s did not exist", p.BinDir)
	case p.BinDirState == PathLoop:
		return refuse("error inspecting binary directory %s: stat %s: too many levels of symbolic links", p.BinDir, p.BinDir)
	}
	return nil
}

func startConfigFile(v Version, p Provider) *Refusal {
	if p.ConfigPath == "" {
		return refuse("credential provider config path is empty")
	}
	why := ""
	switch p.ConfigState {
	case PathMissing, PathDangling:
		why = "open %s: no such file or directory"
	case PathDirectory:
		if !v.Before(1, 34) { // reads all files in it
			return nil
		}
		why = "read %s: is a directory"
	case PathLoop:
		why = "open %s: too many levels of symbolic links"
	case PathUnreadable:
		why = "open %s: permission denied"
	case PathOther:
		why = "%s is not a regular file"
	default:
		return nil
	}
	return refuse("unable to read external registry credential provider configuration from %q: "+why, p.ConfigPath, p.ConfigPath)
}

// inTree are the names that a kubelet has taken before it reads the config,
// each with the first minor version that does not.
var inTree = []struct {
	name string
	gone Version
}{
	{".dockercfg", Version{1, 33}},
	{"amazon-ecr", Version{1, 27}},
	{"azure", Version{1, 30}},
	{"google-dockercfg", Version{1, 31}},
	{"google-dockercfg-url", Version{1, 31}},
	{"google-container-registry", Version{1, 31}},
}

// startBinaries looks at each binary and registers its name, in the order of
// the config: the first that is wrong ends it.
func startBinaries(v Version, p Provider, entries []entry) *Refusal {
	registered := map[string]bool{}
	for _, t := range inTree {
		registered[t.name] = v.Before(t.gone.Major, t.gone.Minor)
	}
	for _, e := range entries {
		if r := startBinary(v, p, e.name); r != nil {
			return r
		}
		if registered[e.name] {
			r := refuse("Credential provider %q was registered twice", e.name)
			r.ExitCode = exitFatal
			return r
		}
		registered[e.name] = true
	}
	return nil
}

// startBinary: up to 1.29 the kubelet only wants something to be there; from
// 1.30 on exec.LookPath wants it executable. LookPath's error comes with an
// empty path, so the path is added.
func startBinary(v Version, p Provider, name string) *Refusal {
	path := filepath.Join(p.BinDir, name)
	lookPath := !v.Before(1, 30)
	if name == "" {
		if lookPath && p.BinDirState == PathDirectory {
			return refuse("error inspecting binary executable : exec: %q: is a directory", path)
		}
		return nil
	}
	state, executable := PathUnknown, true
	if b, seen := p.Binaries[name]; seen {
		state, executable = b.State, b.Executable
	} else if !isFileName(name) {
		state = PathMissing // nobody looks for such a file, and nobody has it
	}
	why := ""
	switch {
	case strings.Contains(name, "\x00"):
		why = fmt.Sprintf("stat %s: invalid argument", path)
	case len(name) > 255:
		why = fmt.Sprintf("stat %s: file name too long", path)
	case p.BinDirState == PathRegular || p.BinDirState == PathOther:
		why = fmt.Sprintf("stat %s: not a directory", path)
	case state.absent() && lookPath:
		return refuse("plugin binary executable  did not exist (%s)", path)
	case state.absent():
		return refuse("plugin binary executable %s did not exist", path)
	case state == PathLoop:
		why = fmt.Sprintf("stat %s: too many levels of symbolic links", path)
	case state == PathDirectory && lookPath:
		return refuse("error inspecting binary executable : exec: %q: is a directory", path)
	case (state == PathRegular || state == PathOther) && !executable && lookPath:
		return refuse("error inspecting binary executable : exec: %q: permission denied", path)
	default:
		return nil
	}
	if lookPath {
		return refuse("error inspecting binary executable : exec: %q: %s", path, why)
	}
	return refuse("error inspecting binary executable %s: %s", path, why)
}
