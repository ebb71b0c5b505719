package kubelet

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"gopkg.in/yaml.v2"
	configv1 "k8s.io/kubelet/config/v1"
	providerv1 "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// ErrAPIUnknown is returned where a kubelet does not know an API version.
var ErrAPIUnknown = errors.New("this kubelet does not know this provider API")

// BuildConfig gives the config file for kubelets from version v on, with the one
// provider of r, which speaks api. The same arguments always give the same bytes.
// It fails with ErrAPIUnknown when v would not start with that API.
func BuildConfig(r Registry, v Version, api API) ([]byte, error) {
	g := generationOf(v)
	if v.Before(1, 20) || api != APIv1alpha1 && (api != APIv1 || !g.stable) {
		return nil, fmt.Errorf("building a provider config with API %s for a %s kubelet: %w", api, v, ErrAPIUnknown)
	}
	head := fmt.Sprintf("apiVersion: %s/%s\nkind: CredentialProviderConfig\nproviders:\n", configv1.GroupName, api)
	return []byte(head + strings.Join(r.lines(api), "\n") + "\n"), nil
}

// lines are those of the registry's entry in a config, with the dash at the edge.
func (r Registry) lines(api API) []string {
	lines := []string{"- name: " + r.Provider, "  apiVersion: " + providerv1.GroupName + "/" + string(api), "  matchImages:"}
	for _, p := range r.Patterns {
		if !p.Optional {
			lines = append(lines, fmt.Sprintf("  - %-34s # %s", `"`+p.Glob+`"`, p.Why))
		}
	}
	lines = append(lines, "  defaultCacheDuration: "+r.CacheDuration)
	if len(r.Args) > 0 {
		lines = append(lines, "  args:")
	}
	for _, arg := range r.Args {
		lines = append(lines, "  - "+arg)
	}
	return lines
}

// maxNames bounds how many names are taken from a config.
const maxNames = 16

// ProviderNames gives the names of the providers in a config, as far as they
// can be read and can be file names, without repetitions and at most 16. It is
// for knowing which binaries to look at, not for judging: a config that no
// kubelet takes may have names too.
func ProviderNames(config []byte) []string {
	var names []string
	seen := map[string]bool{}
	for _, name := range allNames(config) {
		if len(names) < maxNames && isFileName(name) && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// allNames reads as kubelets do where they can, which matters for keys that
// come twice, and else what looks like a config.
func allNames(config []byte) []string {
	var names []string
	if doc, err := lenient.decode(config); err == nil {
		for _, e := range doc.entries {
			names = append(names, e.name)
		}
		return names
	}
	if checkSize(config) != nil {
		return nil
	}
	var tree struct {
		Providers []struct {
			Name any `yaml:"name"`
		} `yaml:"providers"`
	}
	// A type error in one place leaves the rest readable.
	_ = yaml.Unmarshal(config, &tree)
	for _, p := range tree.Providers {
		if name, isText := p.Name.(string); isText {
			names = append(names, name)
		}
	}
	return names
}

func isFileName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}
