package nodes

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"rkepatch/internal/kubelet"
)

// Bind is one directory or file of the host that is mounted into the kubelet's
// container.
type Bind struct {
	Host      string // "" is a Docker volume, which no pod can look into
	Container string
	// Shifting: which directory of the host it is depends on the node's operating
	// system, or on its role, see Query.Prefixed.
	Shifting bool
}

// Query says what to look for on the nodes.
type Query struct {
	// ConfigPath and BinDir are what the kubelet is told: paths as seen in its
	// container.
	ConfigPath, BinDir string
	// Binds are all mounts of the kubelet's container, RKE's own and the extra
	// ones. The longest container path that holds a path wins.
	Binds []Bind
	// Prefixed: the cluster has a prefix_path. RKE moves shifting binds by it, but
	// not on every node.
	Prefixed bool
	// Provider says which registry's provider the config must name; "" any, and
	// ECR's is looked at even if the config names another.
	Provider kubelet.Kind
	// FromVersion is the oldest kubelet that will be told of what is there: a node's
	// own, older one is not judged. Zero: its own.
	FromVersion kubelet.Version
	// ForVersion is a later kubelet that must accept what is there, too. Zero:
	// only the node's own.
	ForVersion kubelet.Version
	// ProviderAPI is the API version that the config is meant to use; "" any.
	ProviderAPI kubelet.API
	// ProbeImage is run instead of the hyperkube image that each node holds, and
	// pulled where it is missing. It needs a POSIX shell, awk and coreutils.
	ProbeImage string
	Namespace  string        // of the pods; "" is kube-system
	Parallel   int           // nodes at a time; 0 is 10, for Install 1
	Timeout    time.Duration // per node; 0 is 90 s

	// Rehearse runs the provider on each node as its kubelet would, for
	// RehearseImage or, if that is "", for an image that the cluster runs.
	Rehearse      bool
	RehearseImage string
}

// The defaults of a Query.
const (
	DefaultNamespace = "kube-system"
	DefaultParallel  = 10
	DefaultTimeout   = 90 * time.Second
)

// NodeReport is what is known of one node. Provider is nil where nothing could
// be seen, and one of the findings then says why.
type NodeReport struct {
	Name     string
	Version  string // the kubelet's, such as "v1.26.15"
	OS, Arch string // in GOOS and GOARCH spelling
	Ready    bool
	Provider *kubelet.Provider
	Findings []Finding
	// Rehearsal is set when the provider was run as its kubelet would run it,
	// Running when the running kubelet was looked at.
	Rehearsal *Rehearsal
	Running   *Running
}

// Worst gives the highest level among the findings; Note without any.
func (r NodeReport) Worst() kubelet.Level {
	worst := kubelet.Note
	for _, f := range r.Findings {
		worst = max(worst, f.Level)
	}
	return worst
}

// normal gives q with defaults filled in and binds in the order in which they
// are tried, or says what is wrong with it.
func (q Query) normal(parallel int) (Query, error) {
	if q.Namespace == "" {
		q.Namespace = DefaultNamespace
	}
	if q.Parallel <= 0 {
		q.Parallel = parallel
	}
	if q.Timeout <= 0 {
		q.Timeout = DefaultTimeout
	}
	for what, p := range map[string]string{"provider config": q.ConfigPath, "bin dir": q.BinDir} {
		if !plainPath(p) {
			return q, fmt.Errorf("checking nodes: the path of the %s, %q, is not an absolute path without control characters; name one like %s", what, p, kubelet.DefaultBinDir)
		}
	}
	var binds []Bind
	for _, b := range q.Binds {
		// What Docker itself refuses is no mount that the kubelet could see.
		if (b.Host == "" || plainPath(b.Host)) && plainPath(b.Container) {
			if b.Host != "" {
				b.Host = path.Clean(b.Host)
			}
			b.Container = path.Clean(b.Container)
			binds = append(binds, b)
		}
	}
	slices.SortStableFunc(binds, func(a, b Bind) int { return len(b.Container) - len(a.Container) })
	q.Binds = binds
	return q, nil
}

// registry gives the row of q.Provider.
func (q Query) registry() kubelet.Registry {
	r, ok := kubelet.RegistryByKind(q.Provider)
	if !ok {
		r, _ = kubelet.RegistryByKind(kubelet.ECR)
	}
	return r
}

// plainPath says that p is absolute and can be a line of the script's input.
func plainPath(p string) bool {
	return path.IsAbs(p) && len(p) < 4096 && !strings.ContainsFunc(p, unicode.IsControl)
}

// onHost gives the path on the host that the kubelet sees as p, symlinks aside,
// or "" when no bind holds p, or a Docker volume does. q must be normal.
func (q Query) onHost(p string) string {
	b, rest := q.bindOf(p)
	if b.Host == "" {
		return ""
	}
	return path.Join(b.Host, rest)
}

// bindOf gives the bind that holds p and what of p lies below it; a zero Bind when
// none does. q must be normal.
func (q Query) bindOf(p string) (b Bind, rest string) {
	p = path.Clean(p)
	for _, b := range q.Binds {
		if rest, ok := strings.CutPrefix(p, b.Container); ok && (rest == "" || rest[0] == '/' || b.Container == "/") {
			return b, rest
		}
	}
	return Bind{}, ""
}

// movingSystems are the operating systems on which RKE puts /opt/rke or
// /mnt/sda1/rke before the host's side of shifting binds, when the cluster names
// no prefix_path (rke v1.8.1 hosts/hosts.go:366-386).
var movingSystems = []string{"rancheros", "coreos", "flatcar", "boot2docker"}

// shifts finds the paths of q that are elsewhere on a node with this osImage than
// the check would look, or may be.
func (q Query) shifts(osImage string) []Finding {
	system := strings.ToLower(osImage)
	moves := slices.ContainsFunc(movingSystems, func(s string) bool { return strings.Contains(system, s) })
	why := "the cluster has a prefix_path"
	switch {
	case q.Prefixed:
	case moves:
		why = "the node runs " + oneLine(osImage)
	default:
		return nil
	}
	var out []Finding
	for _, at := range []struct{ what, path string }{{"provider config", q.ConfigPath}, {"bin dir", q.BinDir}} {
		if b, _ := q.bindOf(at.path); b.Shifting {
			out = append(out, finding(pathShifts, "the %s %s lies under %s, and %s: RKE mounts another directory of the host there", at.what, at.path, b.Container, why))
		}
	}
	return out
}
