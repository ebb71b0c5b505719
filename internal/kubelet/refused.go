package kubelet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// goneFlags are the flags that kubelets do not know any more from a minor
// version on, of those that one of 1.24 knows (kubernetes cmd/kubelet/app/options
// and pkg/credentialprovider of the versions in gates.go): an unknown flag keeps
// a kubelet from starting.
var goneFlags = map[string]uint{
	"experimental-kernel-memcg-notification": 25,
	"container-runtime":                      27,
	"master-service-namespace":               27,
	"azure-container-registry-config":        30,
	"iptables-drop-bit":                      31,
	"iptables-masquerade-bit":                31,
	"keep-terminated-pod-volumes":            31,
}

// maxRefusals bounds how many arguments are named.
const maxRefusals = 10

// Refused says which of a kubelet's arguments, by the flags' names, keep one of
// version v from starting: one sentence each, sorted. It knows the flags that
// are gone and the feature gates of 1.24 to 1.32, and takes any other flag for
// one that today's kubelet knows and that stays.
func Refused(v Version, args map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if since, gone := goneFlags[name]; gone && !v.Before(1, since) {
			out = append(out, fmt.Sprintf("--%s is gone from 1.%d on", name, since))
		}
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(args[flagFeatureGates], ",") {
		name, _, _ := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		value, _ := FeatureGate(args, name)
		on, err := strconv.ParseBool(value) // as the kubelet does
		g, known := gates[name]
		switch {
		case !known:
			out = append(out, fmt.Sprintf("the feature gate %s is none that kubelets from 1.24 to 1.32 know", shown(name)))
		case !v.Before(1, g.until+1) && g.until < newestGates:
			out = append(out, fmt.Sprintf("the feature gate %s is gone from 1.%d on", name, g.until+1))
		case g.since > oldestGates && v.Before(1, g.since):
			out = append(out, fmt.Sprintf("the feature gate %s is not known before 1.%d", name, g.since))
		case g.locked > 0 && !v.Before(1, g.locked) && (err != nil || on != g.always):
			out = append(out, fmt.Sprintf("the feature gate %s is set to %s, and locked to %t from 1.%d on", name, shown(value), g.always, g.locked))
		}
	}
	if len(out) > maxRefusals {
		out = append(out[:maxRefusals], fmt.Sprintf("and %d more", len(out)-maxRefusals))
	}
	return out
}

// oldestGates and newestGates are the minor versions between which gates is
// exact.
const (
	oldestGates = 24
	newestGates = 32
)
