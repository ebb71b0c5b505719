package rkeconfig

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// mount is a bind that RKE gives every Linux kubelet by itself.
type mount struct {
	host, container string
	options         string
	// prefixed: RKE puts the cluster's prefix path before the host side.
	prefixed bool
	// both: the container side moves with the prefix as well.
	both bool
	// onlyPrefixed mounts exist only where there is a prefix path.
	onlyPrefixed bool
	// shifting: see Mount. Set by mountsOf.
	shifting bool
	// since is the first Kubernetes version that has it, "" for all.
	since string
}

const dockerRoot = "<docker root>"

// defaultMounts are RKE's own kubelet binds
// (rke v1.6.1 cluster/plan.go:577-596; the same from v1.1.0 to v1.8.1).
var defaultMounts = []mount{
	// Rancher turns cri-dockerd on at 1.24 with any update
	// (rancher v2.9.1 pkg/api/norman/store/cluster/cluster_store.go:1380).
	{host: "/var/lib/cri-dockerd", container: "/var/lib/cri-dockerd", options: "z", prefixed: true, since: "1.24.0"},
	{host: "/etc/kubernetes", container: "/etc/kubernetes", options: "z", prefixed: true},
	{host: "/etc/cni", container: "/etc/cni", options: "rw,z"},
	{host: "/opt/cni", container: "/opt/cni", options: "rw,z"},
	{host: "/var/lib/cni", container: "/var/lib/cni", options: "z", prefixed: true},
	{host: "/var/lib/calico", container: "/var/lib/calico", options: "z"},
	{host: "/etc/resolv.conf", container: "/etc/resolv.conf"},
	{host: "/sys", container: "/sys", options: "rprivate"},
	{host: dockerRoot, container: dockerRoot, options: "rw,rslave,z"},
	{host: "/var/lib/kubelet", container: "/var/lib/kubelet", options: "shared,z", prefixed: true, both: true},
	{host: "/var/lib/rancher", container: "/var/lib/rancher", options: "shared,z"},
	{host: "/var/run", container: "/var/run", options: "rw,rprivate"},
	{host: "/run", container: "/run", options: "rprivate"},
	{host: "/etc/ceph", container: "/etc/ceph", prefixed: true},
	{host: "/dev", container: "/host/dev", options: "rprivate"},
	{host: "/var/log/containers", container: "/var/log/containers", options: "z"},
	{host: "/var/log/pods", container: "/var/log/pods", options: "z"},
	{host: "/usr", container: "/host/usr", options: "ro"},
	{host: "/etc", container: "/host/etc", options: "ro"},
	{host: "/var/lib/kubelet/volumeplugins", container: "/var/lib/kubelet/volumeplugins", options: "shared,z", onlyPrefixed: true},
}

// mountsOf returns the table for one cluster, prefix and Docker root filled in.
// prefixed stays set only where the host's operating system still decides,
// because the cluster names no prefix path.
func mountsOf(doc Document, dockerRootDir string) []mount {
	prefix := doc.PrefixPath()
	if dockerRootDir == "" {
		dockerRootDir = "/var/lib/docker" // Rancher's default for dockerRootDir
	}
	withoutZ := hasSince(doc, "1.22.0") // rke v1.8.1 cluster/plan.go:611
	var mounts []mount
	for _, m := range defaultMounts {
		if m.onlyPrefixed && prefix == "" || !hasSince(doc, m.since) {
			continue
		}
		if m.host == dockerRoot {
			m.host, m.container = path.Clean(dockerRootDir), path.Clean(dockerRootDir)
		}
		m.shifting = m.prefixed
		if m.prefixed && prefix != "" {
			m.host = path.Join(prefix, m.host)
			if m.both {
				m.container = path.Join(prefix, m.container)
			}
			m.prefixed = false
		}
		if withoutZ {
			m.options = strings.TrimSuffix(strings.TrimSuffix(m.options, "z"), ",")
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// hasSince reports whether the cluster's version is at least since. A version
// that can not be read counts as new, as it does for Rancher (facts: T22).
func hasSince(doc Document, since string) bool {
	if since == "" {
		return true
	}
	v, err := version.ParseGeneric(doc.KubernetesVersion())
	return err != nil || v.AtLeast(version.MustParseGeneric(since))
}

// covering returns the mount that holds target, the deepest when several do, and
// target's path inside it.
func covering(mounts []mount, target string) (m mount, inside string, ok bool) {
	for _, candidate := range mounts {
		rest, under := relativeTo(candidate.container, target)
		if under && (!ok || len(candidate.container) > len(m.container)) {
			m, inside, ok = candidate, rest, true
		}
	}
	return m, inside, ok
}

// isDefaultBind reports whether b is, byte for byte, what RKE adds by itself:
// such a pair is de-duplicated (rke v1.6.1 cluster/plan.go:672).
func (m mount) isDefaultBind(b bind) bool {
	text := m.host + ":" + m.container
	if m.options != "" {
		text += ":" + m.options
	}
	return b.text == text
}

// containerDirectories must stay what the kubelet's image or the container's
// runtime puts there; binds to what lies in them do no harm.
var containerDirectories = []string{
	"/bin", "/boot", "/dev", "/etc", "/home", "/host", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/srv",
	"/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/local/lib",
	"/usr/local/sbin", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp",
}

// shadows reports whether a bind to target would hide a directory that the
// container needs, or one above a mount of RKE.
func shadows(mounts []mount, target string) bool {
	return slices.Contains(containerDirectories, target) ||
		slices.ContainsFunc(mounts, func(m mount) bool { return m.container != target && holds(target, m.container) })
}

// Mount is what a kubelet's container sees at Container, a cleaned absolute path.
type Mount struct {
	// Host is the cleaned absolute path of the host that is mounted there, or ""
	// for a Docker volume, which hides what the host has.
	Host      string
	Container string
	// Shifting: where it lies on the host depends on the node's operating system,
	// where the cluster names no prefix path, or on its role, where it does
	// (rke v1.8.1 hosts/hosts.go:366-386, rancher nodeserver.go:337-345).
	Shifting bool
}

// Mounts lists what a Linux kubelet's container sees of its host: RKE's own
// mounts, then the extra binds. dockerRootDir is the
// cluster's, "" for Rancher's default. Where the host's operating system decides
// the prefix path, because the cluster names none, the hosts without one are
// meant.
func (d Document) Mounts(dockerRootDir string) []Mount {
	var out []Mount
	for _, m := range mountsOf(d, dockerRootDir) {
		out = append(out, Mount{m.host, m.container, m.shifting})
	}
	return append(out, BindMounts(d.ExtraBinds())...)
}

// BindMounts reads the binds; those that Docker refuses are left out.
func BindMounts(binds []string) []Mount {
	var out []Mount
	for _, text := range binds {
		b, err := parseBind(text)
		if err != nil {
			continue
		}
		if !path.IsAbs(b.source) {
			b.source = ""
		}
		out = append(out, Mount{Host: b.source, Container: b.target})
	}
	return out
}
