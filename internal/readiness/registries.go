package readiness

import (
	"fmt"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

func registriesCheck(f *facts) Result {
	if f.use == nil {
		return unknown("see that the cluster is active in Rancher and that the token is a cluster owner's, then check again",
			"what its workloads pull could not be read: %s", f.useErr)
	}
	text := usage(f)
	gaps := f.use.Gaps
	if f.need() == perhapsNeeded && !f.configured() {
		gaps = append(gaps[:len(gaps):len(gaps)], f.use.SecretGaps...)
	}
	if len(gaps) > 0 {
		return unknown("use a token of a cluster owner, who may list workloads and secrets everywhere, then check again",
			"%s", strings.TrimPrefix(text+"; ", "; ")+strings.Join(gaps, "; "))
	}
	if text == "" {
		text = fmt.Sprintf("nothing is pulled from a registry whose login kubelets lose up to %s", f.target)
	}
	return ready("%s", text)
}

// usage says who pulls from the registries whose login kubelets lose, "" when
// nobody does.
func usage(f *facts) string {
	var parts []string
	for _, r := range f.use.Registries {
		row, away := f.takenAway(r.Kind)
		if !away {
			continue
		}
		text := fmt.Sprintf("%s from %s (%s)", users(r.Pods, r.Idle, r.CronJobs), shown(r.Host), row.Name)
		if r.Covered > 0 {
			text += fmt.Sprintf(", %d of them with a pull secret", r.Covered)
			if r.Kind == kubelet.ECR {
				text += " (ECR's expire after 12 hours: something must renew it)"
			}
		}
		if r.Unsure > 0 {
			text += fmt.Sprintf(", %d of them with pull secrets that could not be read", r.Unsure)
		}
		parts = append(parts, text)
	}
	if len(parts) > 3 {
		parts = append(parts[:3], fmt.Sprintf("%d more such registries", len(parts)-3))
	}
	return strings.Join(parts, "; ")
}

func users(pods, idle, cronJobs int) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{pods, "pod"}, {idle, "idle workload"}, {cronJobs, "CronJob"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func servedCheck(f *facts) Result {
	used := f.unserved()
	switch {
	case f.use == nil:
		return unknown("", "which registries are used is not known")
	case !used.any:
		return notApplicable(fmt.Sprintf("nothing needs the kubelet's login to a registry that kubelets lose up to %s", f.target))
	case f.look == nil:
		return unknown("check again when the cluster is active", "no config was seen: %s", f.unlooked)
	case used.unseen > 0 || used.configs == 0:
		return unknown("", "the config of %s was not seen", count(used.unseen, "node"))
	case len(used.ecr) > 0:
		return notReady("add the registry to matchImages: rkepatch nodes install writes all of ECR's patterns; then check again",
			"the config on the nodes has no pattern for %s", enumerate(used.ecr))
	case len(used.others) > 0:
		return unknown("give those pods a pull secret or the nodes a provider for that registry, or see that the images there are public",
			"the config on the nodes has no pattern for %s, whose built-in login kubelets lose up to %s; whether the images there need a login is not known",
			enumerate(used.others), f.target)
	}
	return ready("the config on every node has a pattern for each registry that is used")
}

// unserved is what the configs on the nodes leave out.
type unserved struct {
	any         bool     // something needs a login
	ecr, others []string // hosts
	unseen      int      // nodes whose config is not known
	configs     int      // different ones that were seen
}

func (f *facts) unserved() unserved {
	var out unserved
	if f.use == nil {
		return out
	}
	configs := map[string]bool{}
	if f.look != nil {
		for _, n := range f.look.Nodes {
			switch {
			case n.OS == "windows":
			case n.Provider == nil || n.Provider.ConfigState != kubelet.PathRegular || n.Provider.Config == nil:
				out.unseen++
			default:
				configs[string(n.Provider.Config)] = true
			}
		}
	}
	out.configs = len(configs)
	for _, r := range f.use.Registries {
		if _, away := f.takenAway(r.Kind); !away || r.Users() == r.Covered {
			continue
		}
		out.any = true
		repositories := r.Repositories
		if r.Truncated {
			repositories = append(repositories[:len(repositories):len(repositories)], r.Host+"/one-that-is-not-in-the-list")
		}
		for config := range configs {
			if slices.ContainsFunc(repositories, func(name string) bool { return !kubelet.Serves([]byte(config), name) }) {
				if r.Kind == kubelet.ECR {
					out.ecr = append(out.ecr, r.Host)
				} else {
					out.others = append(out.others, r.Host)
				}
				break
			}
		}
	}
	return out
}
