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
type Bind struct{ Host, Container string }

// Query says what to look for on the nodes.
type Query struct {
	// ConfigPath and BinDir are what the kubelet is told: paths as seen in its
	// container.
	ConfigPath, BinDir string
	// Binds are all mounts of the kubelet's container, RKE's own and the extra
	// ones. The longest container path that holds a path wins.
	Binds []Bind
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
		if plainPath(b.Host) && plainPath(b.Container) {
			binds = append(binds, Bind{path.Clean(b.Host), path.Clean(b.Container)})
		}
	}
	slices.SortStableFunc(binds, func(a, b Bind) int { return len(b.Container) - len(a.Container) })
	q.Binds = binds
	return q, nil
}

// plainPath says that p is absolute and can be a line of the script's input.
func plainPath(p string) bool {
	return path.IsAbs(p) && len(p) < 4096 && !strings.ContainsFunc(p, unicode.IsControl)
}

// onHost gives the path on the host that the kubelet sees as p, symlinks aside,
// or "" when no bind holds p. q must be normal.
func (q Query) onHost(p string) string {
	p = path.Clean(p)
	for _, b := range q.Binds {
		if rest, ok := strings.CutPrefix(p, b.Container); ok && (rest == "" || rest[0] == '/' || b.Container == "/") {
			return path.Join(b.Host, rest)
		}
	}
	return ""
}
