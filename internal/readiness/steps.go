package readiness

import (
	"fmt"
	"strings"
	"unicode"

	"rkepatch/internal/kubelet"
)

// why126 is why a cluster goes to 1.26 before it is patched (kubernetes v1.26.15
// pkg/credentialprovider/plugin/plugin.go:61-73).
const why126 = "kubelets know the provider API v1, the only one that providers from v1.27.1 on speak, from 1.26 on; an older one does not start with a config that names it"

// steps say what to do in which order. On 1.24 and 1.25 the first thing is the
// upgrade to 1.26; then everything is mended and patched, and only then comes the
// version without a built-in login.
func steps(f *facts, results []Result) []string {
	if f.cluster == nil || f.ownErr != nil {
		return []string{}
	}
	out := []string{}
	byCheck := map[string]Result{}
	for _, r := range results {
		byCheck[r.Check] = r
	}
	mend := func(id string) {
		if r := byCheck[id]; (r.Status == NotReady || r.Status == Unknown) && r.Todo != "" {
			out = append(out, fmt.Sprintf("%s: %s", id, r.Todo))
		}
	}
	mend(checkRancher)
	v := f.own
	by := ""
	if f.cluster != nil && f.cluster.Templated() {
		by = ", by a new revision of its RKE template"
	}
	for ; v.Before(1, 26) && v.Before(f.target.Major, f.target.Minor); v.Minor++ {
		text := "upgrade to 1." + fmt.Sprint(v.Minor+1) + by
		if v.Minor+1 == 26 && f.toPatch() {
			text += ": " + why126
		}
		out = append(out, text)
	}
	for _, c := range checks {
		if c.id != checkRancher && c.id != checkOrder && c.id != checkVersion {
			mend(c.id)
		}
	}
	mend(checkVersion)
	if !v.Before(f.target.Major, f.target.Minor) {
		return out
	}
	if f.concerned() && v.Before(1, 27) && !f.rehearsed() {
		out = append(out, fmt.Sprintf("prove that credentials come back: rkepatch check --for-version %s --rehearse %s (up to 1.26 the built-in login hides a provider that does not work)", next(v), shown(f.plan.Name)))
	}
	for ; v.Before(f.target.Major, f.target.Minor); v.Minor++ {
		out = append(out, "upgrade to "+next(v).String()+by)
	}
	return out
}

func next(v kubelet.Version) kubelet.Version {
	v.Minor++
	return v
}

// shown makes another's words fit for a message: one line, no control
// characters, not long.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > 120 {
		s = string(r[:120]) + "…"
	}
	return s
}
