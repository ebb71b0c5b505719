package kubelet

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validate says what a kubelet of version v has against a decoded config
// (kubernetes pkg/credentialprovider/plugin/config.go
// validateCredentialProviderConfig: the same from 1.20 to 1.32, duplicate names
// and tokenAttributes since 1.33, where the gate of the latter is off).
func validate(v Version, doc document) field.ErrorList {
	providers := field.NewPath("providers")
	if len(doc.entries) == 0 {
		return field.ErrorList{field.Required(providers, "at least 1 item in plugins is required")}
	}
	var all field.ErrorList
	seen := map[string]bool{}
	for _, e := range doc.entries {
		if seen[e.name] && !v.Before(1, 33) {
			all = append(all, field.Duplicate(providers.Child("name"), e.name))
		}
		seen[e.name] = true
		for _, r := range entryRules {
			all = append(all, r.check(v, providers.Child(r.field), e)...)
		}
	}
	if doc.tokens && v.Before(1, 34) {
		all = append(all, field.Forbidden(providers.Child("tokenAttributes"), "tokenAttributes is not supported when KubeletServiceAccountTokenForCredentialProviders feature gate is disabled"))
	}
	return all
}

// entryRules are what is asked of each provider, in the kubelet's order.
var entryRules = []struct {
	field string
	check func(Version, *field.Path, entry) field.ErrorList
}{
	{"name", nameWithout("/", "provider name cannot contain '/'")},
	{"name", nameWithout(" ", "provider name cannot contain spaces")},
	{"name", nameOtherThan(".")},
	{"name", nameOtherThan("..")},
	{"apiVersion", apiKnown},
	{"matchImages", somePattern},
	{"matchImages", patternsParse},
	{"defaultCacheDuration", durationSet},
	{"defaultCacheDuration", durationNotNegative},
}

func nameWithout(part, text string) func(Version, *field.Path, entry) field.ErrorList {
	return func(_ Version, at *field.Path, e entry) field.ErrorList {
		if !strings.Contains(e.name, part) {
			return nil
		}
		return field.ErrorList{field.Invalid(at, e.name, text)}
	}
}

func nameOtherThan(name string) func(Version, *field.Path, entry) field.ErrorList {
	return func(_ Version, at *field.Path, e entry) field.ErrorList {
		if e.name != name {
			return nil
		}
		return field.ErrorList{field.Invalid(at, e.name, fmt.Sprintf("provider name cannot be '%s'", name))}
	}
}

func apiKnown(v Version, at *field.Path, e entry) field.ErrorList {
	known := generationOf(v).providerAPIs()
	switch {
	case e.apiVersion == "":
		return field.ErrorList{field.Required(at, "apiVersion is required")}
	case !slices.Contains(known, e.apiVersion):
		return field.ErrorList{field.NotSupported(at, e.apiVersion, known)}
	}
	return nil
}

func somePattern(_ Version, at *field.Path, e entry) field.ErrorList {
	if len(e.matchImages) > 0 {
		return nil
	}
	return field.ErrorList{field.Required(at, "at least 1 item in matchImages is required")}
}

func patternsParse(_ Version, at *field.Path, e entry) field.ErrorList {
	var all field.ErrorList
	for _, p := range e.matchImages {
		if _, err := parseSchemeless(p); err != nil {
			all = append(all, field.Invalid(at, p, "match image is invalid: "+err.Error()))
		}
	}
	return all
}

func durationSet(_ Version, at *field.Path, e entry) field.ErrorList {
	if e.cacheDuration != nil {
		return nil
	}
	return field.ErrorList{field.Required(at, "defaultCacheDuration is required")}
}

func durationNotNegative(_ Version, at *field.Path, e entry) field.ErrorList {
	if e.cacheDuration == nil || e.cacheDuration.Duration >= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(at, e.cacheDuration.Duration, "defaultCacheDuration must be greater than or equal to 0")}
}
