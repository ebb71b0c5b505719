package nodescript

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"

	"rkepatch/internal/kubelet"
)

// Options say what the script installs.
type Options struct {
	// Provider says whose provider it is; "" is ECR.
	Provider kubelet.Kind
	// BinDir and ConfigFile are what the kubelet's two flags say: absolute, plain
	// paths of letters, digits and . _ / + @ = -. Empty means the defaults of
	// the provider's row in package kubelet.
	BinDir, ConfigFile string
	// Release is a tag of Releases, or another one with URL and SHA256. Empty
	// means DefaultRelease for ECR; of other providers no release is known.
	Release string
	// URL is where a mirror has the binary; {arch} and {tag} in it are filled in
	// on the node. Empty means artifacts.k8s.io.
	URL string
	// Local says that the script is run with --from FILE only: it needs no URL.
	Local bool
	// SHA256 has the binary's checksums by GOARCH, 64 hex digits each. It goes
	// before those of Releases.
	SHA256 map[string]string
	// Config is the CredentialProviderConfig, whole; internal/kubelet builds it.
	// Its providers name one API version.
	Config []byte
	// Merge, if there is one, is how Config's provider joins others in a config that
	// is on the nodes; the script then writes no config of its own.
	Merge *Merge
	// DockerInstall makes the script install Docker afterwards: a version that
	// Rancher has an installer for, such as 20.10, or the URL of another one.
	DockerInstall string
}

// Merge is an edit of one file, Old, to which a provider is added. The script has
// neither in it, only the edit and both checksums.
type Merge struct {
	Edit     kubelet.Edit
	Old, New []byte
}

// ErrOption is what every refused option is, to errors.Is.
var ErrOption = errors.New("this script cannot be written")

type optionError struct{ msg, hint string }

func (e *optionError) Error() string        { return e.msg }
func (e *optionError) Hint() string         { return e.hint }
func (e *optionError) Is(target error) bool { return target == ErrOption }

func refuse(hint, format string, args ...any) error {
	return &optionError{fmt.Sprintf(format, args...), hint}
}

// Write writes the script that puts the provider and its config on a node: one
// POSIX shell script, the same bytes for the same options. An error is
// ErrOption, or that of w.
func Write(w io.Writer, o Options) error {
	s, err := settle(o)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := script.Execute(&b, s); err != nil {
		return fmt.Errorf("filling in the node script: %w", err)
	}
	_, err = w.Write(marked(b.Bytes()))
	return err
}

//go:embed script
var parts embed.FS

// script is the parts in the order in which they are one script.
var script = func() *template.Template {
	var b strings.Builder
	for i, name := range []string{"settings.sh.tmpl", "flags.sh", "machine.sh", "files.sh", "download.sh", "plugin.sh", "merge.sh", "install.sh"} {
		part, err := parts.ReadFile("script/" + name)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.Write(part)
	}
	return template.Must(template.New("node script").Funcs(template.FuncMap{"quote": quote}).Option("missingkey=zero").Parse(b.String()))
}()

// quote makes one word of a value that a shell takes as it is.
func quote(v any) string {
	return "'" + strings.ReplaceAll(fmt.Sprint(v), "'", `'\''`) + "'"
}

// settings are the options as the script holds them.
type settings struct {
	Name, Provider                   string // such as ECR, and what its binary is called
	BinDir, ConfigFile, Release, URL string
	SHA256                           map[string]string
	API                              string
	DockerURL, ConfigSHA256, Config  string
	MergeSum, MergeTail, MergeText   string
	MergeLine, MergeDrop             int
}

// settle fills in the defaults and refuses what cannot be.
func settle(o Options) (settings, error) {
	registry, ok := kubelet.RegistryByKind(kubelet.Kind(or(string(o.Provider), string(kubelet.ECR))))
	if !ok {
		return settings{}, refuse("there are ecr, acr and gcp", "%s is no provider that this program knows", cut(string(o.Provider)))
	}
	s := settings{
		Name: registry.Name, Provider: registry.Provider,
		BinDir:     or(o.BinDir, registry.BinDir),
		ConfigFile: or(o.ConfigFile, registry.Config),
		SHA256:     map[string]string{"amd64": "", "arm64": ""},
		Config:     string(o.Config),
	}
	if err := checkPath("the plugin's directory", s.BinDir); err != nil {
		return s, err
	}
	if err := checkPath("the provider config", s.ConfigFile); err != nil {
		return s, err
	}
	if plugin := s.BinDir + "/" + s.Provider; strings.HasPrefix(s.ConfigFile+"/", plugin+"/") {
		return s, refuse("give the config another path", "the provider config %s lies where the plugin goes", s.ConfigFile)
	}
	release, known, err := s.pickRelease(registry, o)
	if err != nil {
		return s, err
	}
	if s.API, err = configAPI(o.Config); err != nil {
		return s, err
	}
	if known && s.API != string(release.API) {
		return s, refuse("take a config for "+string(release.API)+", or another release with its checksum",
			"the config asks for provider API %s, but release %s speaks %s only", s.API, s.Release, release.API)
	}
	s.ConfigSHA256 = sumOf(o.Config)
	if m := o.Merge; m != nil {
		s.Config, s.ConfigSHA256, s.MergeSum = "", sumOf(m.New), sumOf(m.Old)
		s.MergeLine, s.MergeDrop, s.MergeTail, s.MergeText = m.Edit.Line, m.Edit.Drop, m.Edit.Tail, m.Edit.Text
	}
	s.DockerURL, err = dockerURL(o.DockerInstall)
	return s, err
}

// pickRelease fills in the release, its checksums and its URL, and gives the
// release when it is a known one.
func (s *settings) pickRelease(registry kubelet.Registry, o Options) (release Release, known bool, err error) {
	what, address := registry.Provider+" "+or(o.Release, DefaultRelease), promotedURL
	sumHint := "known releases are " + tags() + "; for another one give its checksum"
	urlHint := "give the URL of a mirror, or take one of " + tags()
	if registry.Kind == kubelet.ECR {
		s.Release = or(o.Release, DefaultRelease)
		release, known = findRelease(s.Release)
	} else {
		s.Release = or(o.Release, "unnamed")
		what, address = strings.TrimSpace(registry.Provider+" "+o.Release), "https://unknown.invalid/"+registry.Provider
		sumHint = "no checksum of it is built into this program: give --sha256 ARCH=SUM of a file that you trust"
		urlHint = "no address of it is built into this program: give --mirror URL, or put it on the nodes with nodes install --from-image"
	}
	if !tagForm.MatchString(s.Release) {
		return release, known, refuse("a release is a tag such as "+DefaultRelease, "release %q is no tag", s.Release)
	}
	maps.Copy(s.SHA256, release.SHA256)
	if err := takeSums(s.SHA256, o.SHA256); err != nil {
		return release, known, err
	}
	if s.SHA256["amd64"] == "" && s.SHA256["arm64"] == "" {
		return release, known, refuse(sumHint, "the checksum of %s is not known", what)
	}
	s.URL = o.URL
	if s.URL == "" {
		if !release.Promoted && !o.Local {
			return release, known, refuse(urlHint, "%s is not published for good at artifacts.k8s.io", what)
		}
		s.URL = address
	}
	return release, known, checkURL("the plugin's URL", s.URL)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// tags names the releases that can be downloaded without a mirror.
func tags() string {
	var names []string
	for _, r := range Releases {
		if r.Promoted {
			names = append(names, r.Tag)
		}
	}
	return strings.Join(names, " ")
}

var (
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)
	sumForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	pathForm   = regexp.MustCompile(`^(/[A-Za-z0-9._+@=-]+)+$`)
	urlForm    = regexp.MustCompile(`^[A-Za-z0-9:/._~?&=%+,@{}\[\]-]+$`)
	dockerForm = regexp.MustCompile(`^[0-9]{2}\.[0-9]{1,2}(\.[0-9]{1,2})?$`)
	apiForm    = regexp.MustCompile(`credentialprovider\.kubelet\.k8s\.io/([A-Za-z0-9]+)`)
)

// checkPath holds a path to what the kubelet's command line, Docker's binds and
// the script read in the same way.
func checkPath(what, path string) error {
	plain := pathForm.MatchString(path) && len(path) <= 1024
	for name := range strings.SplitSeq(path, "/") {
		plain = plain && name != "." && name != ".."
	}
	if !plain {
		return refuse("use an absolute path of letters, digits and . _ / + @ = -, without .. or a / at its end",
			"the path of %s cannot be used: %s", what, cut(path))
	}
	return nil
}

// checkURL refuses what is no plain http or https URL, and passwords: the script
// is no place for a secret, and the node's process list shows what it downloads.
func checkURL(what, raw string) error {
	u, err := url.Parse(strings.NewReplacer("{arch}", "amd64", "{tag}", "v1").Replace(raw))
	switch {
	case err != nil || !urlForm.MatchString(raw) || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return refuse("use https://HOST/PATH; {arch} and {tag} are filled in", "%s is no http or https URL", what)
	case u.User != nil:
		return refuse("use a signed URL, or a mirror inside that needs no password", "%s holds a user or a password", what)
	}
	return nil
}

// takeSums puts the given checksums over the known ones.
func takeSums(sums, given map[string]string) error {
	for _, arch := range slices.Sorted(maps.Keys(given)) {
		sum := strings.ToLower(given[arch])
		if arch != "amd64" && arch != "arm64" {
			return refuse("the plugin is there for amd64 and arm64", "a checksum is given for architecture %s", cut(arch))
		}
		if !sumForm.MatchString(sum) {
			return refuse("give the 64 hex digits of sha256sum", "the checksum for %s is no SHA-256", arch)
		}
		sums[arch] = sum
	}
	return nil
}

// configAPI gives the provider API that the config asks for.
func configAPI(config []byte) (string, error) {
	if !utf8.Valid(config) || bytes.ContainsFunc(config, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return "", refuse("take the config that rkepatch builds", "the provider config is no plain text")
	}
	if len(config) > 32<<10 {
		return "", refuse("take the config that rkepatch builds", "the provider config is larger than 32 KiB")
	}
	var found []string
	for _, m := range apiForm.FindAllSubmatch(config, -1) {
		found = append(found, string(m[1]))
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) != 1 {
		return "", refuse("take the config that rkepatch builds", "the provider config must name one API version, and names %d", len(found))
	}
	return found[0], nil
}

// dockerURL gives the address of Rancher's installer of a Docker version.
func dockerURL(s string) (string, error) {
	switch {
	case s == "":
		return "", nil
	case dockerForm.MatchString(s):
		return "https://releases.rancher.com/install-docker/" + s + ".sh", nil
	case !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://"):
		return "", refuse("give a version such as 20.10, or a URL", "%s is no version of Docker", cut(s))
	}
	return s, checkURL("the URL of Docker's installer", s)
}

// cut shows a value that somebody gave.
func cut(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return fmt.Sprintf("%q", s)
}
