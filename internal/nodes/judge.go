package nodes

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"rkepatch/internal/kubelet"
)

// judge says what the kubelet of this node, and each later one up to
// q.ForVersion, make of what was seen.
func judge(q Query, r NodeReport, s *seen) []Finding {
	own, err := kubelet.ParseVersion(r.Version)
	if err != nil {
		return []Finding{finding(versionUnknown, "the node says its kubelet has version %q", r.Version)}
	}
	if s.hidden != "" || s.config.state == kubelet.PathUnknown || s.bin.state == kubelet.PathUnknown {
		return nil // a finding says so already
	}
	if own.Before(q.FromVersion.Major, q.FromVersion.Minor) {
		own = q.FromVersion
	}
	p := *r.Provider
	versions := judgeable(own, q.ForVersion)
	out := unseen(s)
	fatal := false
	if refusal := kubelet.Start(own, p); refusal != nil {
		fatal = true
		out = append(out, finding(kubeletRefuses, "a %s kubelet would exit with %d: %s%s", own, refusal.ExitCode, oneLine(refusal.Reason), s.hint()))
	}
	for _, remark := range kubelet.Foresee(own, versions[len(versions)-1], p) {
		out = append(out, Finding{Code: remark.Code, Level: remark.Level, Message: oneLine(remark.Text), Todo: remark.Todo})
		fatal = fatal || remark.Level == kubelet.Fatal
	}
	for _, v := range versions[1:] {
		// What Foresee has said in better words is not said again.
		if refusal := kubelet.Start(v, p); refusal != nil && !fatal {
			out = append(out, finding(kubeletWillRefuse, "a %s kubelet would exit with %d: %s%s", v, refusal.ExitCode, oneLine(refusal.Reason), s.hint()))
			break
		}
	}
	if !fatal {
		out = append(out, unasked(s)...)
	}
	return append(append(out, absent(q, s)...), apis(q, s)...)
}

// absent says that the config has no provider for the wanted registries, by
// whatever name.
func absent(q Query, s *seen) []Finding {
	names := kubelet.ProviderNames(s.body)
	if q.Provider == "" || len(names) == 0 || slices.ContainsFunc(readConfig(s.body), func(p provider) bool {
		r, ok := kubelet.RegistryOfProvider(p.Name)
		return ok && r.Kind == q.Provider || q.registry().ServedBy(p.MatchImages)
	}) {
		return nil
	}
	return []Finding{finding(providerAbsent, "the config names %s, but no %s", oneLine(strings.Join(names, ", ")), q.registry().Provider)}
}

// unasked finds the providers that the config names and that could not be asked
// what they speak, although nothing else is wrong with them.
func unasked(s *seen) []Finding {
	var out []Finding
	for _, name := range kubelet.ProviderNames(s.body) {
		b, ok := s.binaries[name]
		answered, speaks := b.speaks()
		code := binaryUnasked
		if !isECR(name) {
			code = otherUnasked
		}
		switch {
		case !ok || len(speaks) > 0:
		case len(b.heard) == 0:
			why := unaskedBecause[b.unasked]
			if why == "" {
				why = "the image of the check could not run it"
			}
			out = append(out, finding(code, "the provider %q was not run: %s", oneLine(name), why))
		case !answered:
			out = append(out, finding(code, "the provider %q did not say which API version it speaks: %s", oneLine(name), silence[b.heard[kubelet.APIv1]]))
		case !isECR(name):
			out = append(out, finding(code, "the provider %q did not answer as a credential provider does", oneLine(name)))
		}
	}
	return out
}

// isECR says that a provider is one for ECR. How those answer was tried out with
// the released programs; how others do was only read in their source.
func isECR(name string) bool {
	r, ok := kubelet.RegistryOfProvider(name)
	return ok && r.Kind == kubelet.ECR
}

// unaskedBecause says in words why a provider was not run.
var unaskedBecause = map[string]string{
	"untooled": "the image of the check lacks a timeout command",
	"args":     "the config's args for it cannot be read for certain with simple means",
}

// silence says why a provider gave no answer.
var silence = map[string]string{
	"slow":   fmt.Sprintf("it ran for more than %d seconds", askTimeout),
	"broken": "it could not be run",
}

// unseen finds the providers that the config names and the script did not look
// at, because it reads names with simpler means than the kubelet does.
func unseen(s *seen) []Finding {
	var out []Finding
	for _, name := range kubelet.ProviderNames(s.body) {
		if _, ok := s.binaries[name]; !ok {
			out = append(out, finding(binaryUnseen, "the config names the provider %q, which was not looked at", oneLine(path.Base(name))))
		}
	}
	return out
}

// apis compares the API versions in the config with the one that is wanted.
func apis(q Query, s *seen) []Finding {
	if q.ProviderAPI == "" {
		return nil
	}
	for _, p := range readConfig(s.body) {
		if r, ok := kubelet.RegistryOfProvider(p.Name); ok && r.Kind != q.registry().Kind {
			continue // another registry's entry is not this program's to say
		}
		if api := path.Base(p.APIVersion); api != string(q.ProviderAPI) {
			return []Finding{finding(apiDiffers, "the config uses the provider API %s, not %s", oneLine(api), q.ProviderAPI)}
		}
	}
	return nil
}

// provider is one entry of a config, as far as it matters here.
type provider struct {
	Name        string   `json:"name"`
	APIVersion  string   `json:"apiVersion"`
	MatchImages []string `json:"matchImages"`
}

// readConfig gives the entries of a config that a kubelet has been found to
// accept; none when it cannot be read.
func readConfig(body []byte) []provider {
	var config struct {
		Providers []provider `json:"providers"`
	}
	if yaml.Unmarshal(body, &config) != nil {
		return nil
	}
	return slices.Clip(config.Providers)
}
