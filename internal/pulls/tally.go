package pulls

import (
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

// role is what an object that pulls images is counted as.
type role int

const (
	asPod role = iota
	asIdle
	asCronJob
)

// tally counts. It grows with the number of different registries, namespaces,
// pull secrets and images, not with the number of pods, and not without end.
type tally struct {
	hosts      map[string]*Registry
	others     map[string]bool // hosts beyond maxHosts
	manyOthers bool            // and beyond as many again
	uses       map[use]int     // of registries with a Kind
	overflow   map[string]bool // hosts with uses beyond maxUses: those count as not covered
}

// use is one way in which objects pull from one registry.
type use struct {
	namespace string
	secrets   string // names of the pull secrets, sorted, one per line
	account   string // the service account whose pull secrets a pod of it will get; "" when it has its own
	host      string
	names     string // of the images on that host, sorted, one per line
}

func (u use) images() []string { return strings.Split(u.names, "\n") }

func newTally() *tally {
	return &tally{hosts: map[string]*Registry{}, others: map[string]bool{}, uses: map[use]int{}, overflow: map[string]bool{}}
}

// add counts one object, once per registry.
func (t *tally) add(namespace string, spec *podSpec, as role) {
	images := map[string][]string{} // repositories by host
	for _, containers := range [][]container{spec.Containers, spec.InitContainers, spec.EphemeralContainers} {
		for _, c := range containers {
			if c.Image == "" {
				continue // a template may leave it open; a pod may not
			}
			repository := kubelet.Repository(c.Image)
			host, _, _ := strings.Cut(repository, "/")
			host = hostName(host)
			if !slices.Contains(images[host], repository) {
				images[host] = append(images[host], repository)
			}
		}
	}
	for host, names := range images {
		h := t.host(host)
		if h == nil {
			continue
		}
		switch as {
		case asPod:
			h.Pods++
		case asIdle:
			h.Idle++
		case asCronJob:
			h.CronJobs++
		}
		if h.Kind == "" {
			continue
		}
		slices.Sort(names)
		u := use{namespace: namespace, host: host, names: strings.Join(names, "\n"), secrets: spec.secretNames()}
		if u.secrets == "" && as != asPod {
			// The service account's are added when the pod is made
			// (kubernetes v1.27.0 plugin/pkg/admission/serviceaccount/admission.go:164).
			if u.account = spec.ServiceAccountName; u.account == "" {
				u.account = "default"
			}
		}
		t.count(u, 1)
	}
}

func (t *tally) count(u use, n int) {
	if _, known := t.uses[u]; !known && len(t.uses) >= maxUses {
		t.overflow[u.host] = true
		return
	}
	t.uses[u] += n
}

// host gives the entry of a host, nil when it is one too many.
func (t *tally) host(name string) *Registry {
	if h := t.hosts[name]; h != nil {
		return h
	}
	var kind kubelet.Kind
	if r, ok := kubelet.RegistryOf(name); ok {
		kind = r.Kind
	}
	if kind == "" && len(t.hosts) >= maxHosts {
		if len(t.others) < maxHosts {
			t.others[name] = true
		} else if !t.others[name] {
			t.manyOthers = true
		}
		return nil
	}
	h := &Registry{Host: name, Kind: kind}
	t.hosts[name] = h
	return h
}

// merge adds what part counted.
func (t *tally) merge(part *tally) {
	for name, from := range part.hosts {
		if h := t.host(name); h != nil {
			h.Pods, h.Idle, h.CronJobs = h.Pods+from.Pods, h.Idle+from.Idle, h.CronJobs+from.CronJobs
		}
	}
	for name := range part.others {
		t.host(name)
	}
	t.manyOthers = t.manyOthers || part.manyOthers
	for host := range part.overflow {
		t.overflow[host] = true
	}
	for u, n := range part.uses {
		t.count(u, n)
	}
}

// maxHostName is longer than any name that DNS knows, with a port.
const maxHostName = 260

// hostName is a registry's host as it is counted: in lower case, because a host
// is the same in any case, and not endless.
func hostName(host string) string {
	host = strings.ToLower(strings.ToValidUTF8(host, "?"))
	if len(host) > maxHostName {
		host = host[:maxHostName] + "…"
	}
	return host
}
