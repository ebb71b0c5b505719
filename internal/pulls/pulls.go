// Package pulls reads from a cluster's own API which registries its workloads
// pull images from, and whether their pull secrets make a login of the kubelet
// unnecessary. Lists are read page by page and item by item: what is kept of a
// pod is a count. It knows the API of Kubernetes and nothing of Rancher.
package pulls

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"rkepatch/internal/kubelet"
)

// Reader reads one cluster.
type Reader struct {
	// Base is the address of the cluster's API without a trailing slash, such as
	// https://rancher.example.com/k8s/clusters/c-abc12, and Transport what
	// authenticates requests to it. Redirects are not followed.
	Base      string
	Transport http.RoundTripper

	maxPage int64 // for tests; 0 is the constant
}

// Permissions lists what the token must be allowed in the cluster, in all
// namespaces, in words for messages and documentation.
func Permissions() []string {
	return []string{
		"list pods, replicationcontrollers, serviceaccounts and secrets",
		"list deployments, statefulsets, daemonsets and replicasets in apps",
		"list jobs and cronjobs in batch",
	}
}

// Use is what a cluster's workloads pull.
type Use struct {
	// Registries are sorted: those whose login was once built into the kubelet
	// first, then by host.
	Registries []Registry `json:"registries"`
	// OtherHosts counts the hosts that are not in Registries because there are too
	// many of them. None of them had its login built into the kubelet.
	OtherHosts int `json:"otherHosts,omitempty"`
	// Gaps say what could not be read and why, one sentence each. With a gap it is
	// not known that a registry is not used.
	Gaps []string `json:"gaps,omitempty"`
	// SecretGaps say the same of pull secrets: what they would cover is Unsure.
	SecretGaps []string `json:"secretGaps,omitempty"`
}

// Registry is one registry host and who pulls from it.
type Registry struct {
	Host string       `json:"host"`           // in lower case, with the port if there is one: "docker.io", "localhost:5000"
	Kind kubelet.Kind `json:"kind,omitempty"` // "" when no kubelet ever logged in there by itself

	Pods     int `json:"pods"`     // that run or are about to
	Idle     int `json:"idle"`     // workloads without pods: scaled to zero, suspended, nowhere to run
	CronJobs int `json:"cronJobs"` // also suspended ones

	// Of all these, only where Kind is set: how many have a pull secret for every
	// image from there, and for how many that could not be found out.
	Covered int `json:"covered,omitempty"`
	Unsure  int `json:"unsure,omitempty"`

	// Repositories are the images, without tag and digest, of those that are not
	// covered, sorted; at most maxRepositories, and Truncated says that there are
	// more. Only where Kind is set.
	Repositories []string `json:"-"`
	Truncated    bool     `json:"-"`
}

// Users counts all that pull from the registry.
func (r Registry) Users() int { return r.Pods + r.Idle + r.CronJobs }

// Needs counts those that have no other login than the kubelet's, as far as that
// is known.
func (r Registry) Needs() int { return r.Users() - r.Covered - r.Unsure }

const (
	maxHosts        = 1000   // of registries that no kubelet logged in to, counted one by one
	maxUses         = 20_000 // different combinations of namespace, pull secrets and images, see use
	maxRepositories = 200
)

// Read reads the cluster. What cannot be read is a gap, not an error: the only
// error is ctx's.
func (r *Reader) Read(ctx context.Context) (*Use, error) {
	c := newClient(r.Base, r.Transport)
	if r.maxPage > 0 {
		c.maxPage = r.maxPage
	}
	t := newTally()
	var gaps []string
	for _, l := range lists {
		part, err := collect(ctx, c, l.listing, newTally, func(t *tally, o *object) {
			if spec, as := l.counts(o); spec != nil {
				t.add(o.Metadata.Namespace, spec, as)
			}
		}, (*tally).merge)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			gaps = append(gaps, fmt.Sprintf("its %s cannot be listed: %s", l.name, err))
			if isGone(err) {
				break // the other lists would end like this one
			}
			continue
		}
		t.merge(part)
	}
	logins, secretGaps := c.logins(ctx, t)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	use := t.use(logins)
	use.Gaps, use.SecretGaps = gaps, secretGaps
	return use, nil
}

// use sums the tally up.
func (t *tally) use(logins *logins) *Use {
	out := &Use{OtherHosts: len(t.others)}
	if t.manyOthers {
		out.OtherHosts = maxHosts
	}
	repositories := map[string]map[string]bool{}
	for u, n := range t.uses {
		h := t.hosts[u.host]
		switch logins.cover(u) {
		case covered:
			h.Covered += n
			continue
		case unsure:
			h.Unsure += n
		}
		seen := repositories[u.host]
		if seen == nil {
			seen = map[string]bool{}
			repositories[u.host] = seen
		}
		for _, name := range u.images() {
			if len(seen) < maxRepositories || seen[name] {
				seen[name] = true
			} else {
				h.Truncated = true
			}
		}
	}
	for host, h := range t.hosts {
		for name := range repositories[host] {
			h.Repositories = append(h.Repositories, name)
		}
		slices.Sort(h.Repositories)
		h.Truncated = h.Truncated || t.overflow[host]
		out.Registries = append(out.Registries, *h)
	}
	slices.SortFunc(out.Registries, func(a, b Registry) int {
		return cmp.Or(cmp.Compare(b2i(b.Kind != ""), b2i(a.Kind != "")), cmp.Compare(a.Host, b.Host))
	})
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
