package fleet

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/version"

	"rkepatch/rancher"
)

// ErrSelection is wrapped by every error about which clusters are meant.
var ErrSelection = errors.New("selecting clusters")

// Selection says which clusters are meant. The zero value selects none.
type Selection struct {
	// Names are cluster names or ids; globs as in path.Match are allowed.
	Names []string
	// All selects every RKE1 cluster that the token can see.
	All bool
	// Label is a Kubernetes label selector: "env=prod,tier!=db".
	Label string
	// KubernetesVersion is a comma-separated list of bounds that must all
	// hold, such as ">=1.24,<1.27". A cluster's version is compared at the
	// precision given: 1.26.15 is "<=1.26".
	KubernetesVersion string
	// Exclude are names or ids that are left out; globs are allowed.
	Exclude []string
}

// Empty reports whether nothing was said about which clusters are meant.
func (s Selection) Empty() bool {
	return len(s.Names) == 0 && !s.All && s.Label == "" && s.KubernetesVersion == ""
}

// selector is a Selection made ready to be asked about one cluster after the
// other. It remembers what each name matched, so that a name that matched
// nothing, or two clusters, is found out at the end.
type selector struct {
	Selection
	labels  labels.Selector
	bounds  []bound
	matched map[string][]string // literal or glob -> ids

	excluded map[string]bool // what of Exclude matched a cluster
}

// compile checks s. Errors wrap ErrSelection.
func (s Selection) compile() (*selector, error) {
	s.Names = slices.Compact(slices.Sorted(slices.Values(s.Names)))
	c := &selector{Selection: s, matched: map[string][]string{}, excluded: map[string]bool{}, labels: labels.Everything()}
	if s.All && len(s.Names) > 0 {
		return nil, fmt.Errorf("%w: --all and the name %q contradict each other; give one of them", ErrSelection, s.Names[0])
	}
	for _, n := range slices.Concat(s.Names, s.Exclude) {
		if strings.Contains(n, ",") {
			return nil, fmt.Errorf("%w: %q holds a comma; give each name by itself, --exclude once for each", ErrSelection, n)
		}
		if _, err := path.Match(n, ""); err != nil || n == "" {
			return nil, fmt.Errorf("%w: %q is not a name, an id or a glob such as 'prod-*'", ErrSelection, n)
		}
	}
	if s.Label != "" {
		sel, err := labels.Parse(s.Label)
		if err != nil {
			return nil, fmt.Errorf("%w: --label %q is not a label selector such as env=prod", ErrSelection, s.Label)
		}
		c.labels = sel
	}
	if s.KubernetesVersion != "" {
		for part := range strings.SplitSeq(s.KubernetesVersion, ",") {
			b, err := parseBound(part)
			if err != nil {
				return nil, err
			}
			c.bounds = append(c.bounds, b)
		}
	}
	return c, nil
}

// match reports whether cl is selected.
func (c *selector) match(cl *rancher.Cluster, kubernetesVersion string) bool {
	named := len(c.Names) == 0
	for _, n := range c.Names {
		if nameMatches(n, cl) {
			c.matched[n] = append(c.matched[n], cl.ID)
			named = true
		}
	}
	for _, n := range c.Exclude {
		if nameMatches(n, cl) {
			c.excluded[n] = true
			named = false
		}
	}
	return named && c.labels.Matches(labels.Set(cl.Labels)) && c.inBounds(kubernetesVersion)
}

// verdict is to be asked once all clusters were seen: the names that matched
// none, and an error when a plain name means two clusters.
func (c *selector) verdict() (unmatched []string, err error) {
	for _, n := range c.Exclude {
		if !c.excluded[n] {
			return nil, fmt.Errorf("%w: --exclude %q leaves nothing out: no cluster has that name or id", ErrSelection, n)
		}
	}
	for _, n := range c.Names {
		ids := c.matched[n]
		switch {
		case len(ids) == 0:
			unmatched = append(unmatched, n)
		case len(ids) > 1 && !isGlob(n):
			return nil, fmt.Errorf("%w: %q means %d clusters (%s); say which one by its id", ErrSelection, n, len(ids), strings.Join(ids, ", "))
		}
	}
	return unmatched, nil
}

func nameMatches(pattern string, cl *rancher.Cluster) bool {
	if pattern == cl.ID || pattern == cl.Name {
		return true
	}
	byName, _ := path.Match(pattern, cl.Name)
	byID, _ := path.Match(pattern, cl.ID)
	return isGlob(pattern) && (byName || byID)
}

func isGlob(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// bound is one comparison, such as "<1.27".
type bound struct {
	op   string
	want *version.Version
}

// versionText is what may stand behind an operator: ParseGeneric would pass over
// anything behind the digits.
var versionText = regexp.MustCompile(`^v?\d+(\.\d+){0,2}(-rancher\d+-\d+)?$`)

func parseBound(s string) (bound, error) {
	s = strings.TrimSpace(s)
	digits := strings.TrimLeft(s, "<>=!")
	op := s[:len(s)-len(digits)]
	if op == "" {
		op = "="
	}
	v, err := version.ParseGeneric(strings.TrimSpace(digits))
	if err != nil || !versionText.MatchString(strings.TrimSpace(digits)) || !slices.Contains([]string{"<", "<=", "=", "==", "!=", ">=", ">"}, op) {
		return bound{}, fmt.Errorf("%w: --kubernetes-version %q is not a bound such as '<1.27' or '>=1.24'", ErrSelection, s)
	}
	return bound{op, v}, nil
}

func (c *selector) inBounds(kubernetesVersion string) bool {
	if len(c.bounds) == 0 {
		return true
	}
	v, err := version.ParseGeneric(kubernetesVersion)
	if err != nil {
		return false
	}
	for _, b := range c.bounds {
		if !b.holds(v) {
			return false
		}
	}
	return true
}

func (b bound) holds(v *version.Version) bool {
	have := v.Components()
	want := b.want.Components()
	cmp := slices.Compare(have[:min(len(have), len(want))], want)
	switch b.op {
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	case ">=":
		return cmp >= 0
	case "!=":
		return cmp != 0
	default:
		return cmp == 0
	}
}
