package kubelet

import (
	"fmt"
	"strings"
)

// The two flags that turn image credential providers on. The kubelet refuses
// to start with only one of them (kubernetes v1.26.15
// pkg/kubelet/kuberuntime/kuberuntime_manager.go:258).
const (
	FlagProviderConfig = "image-credential-provider-config"
	FlagProviderBinDir = "image-credential-provider-bin-dir"
	flagFeatureGates   = "feature-gates"
	// flagAzureConfig turned the built-in ACR login on (kubernetes v1.28.15
	// pkg/credentialprovider/azure/azure_credentials.go; gone in 1.30).
	flagAzureConfig = "azure-container-registry-config"
)

// The feature gates that matter (pkg/features/kube_features.go).
const (
	gateProviders     = "KubeletCredentialProviders"
	gateDisableInTree = "DisableKubeletCloudCredentialProviders"
)

// API is the version of credentialprovider.kubelet.k8s.io that the provider's
// config file on the nodes names and that the provider binary speaks.
type API string

// The API versions that released ecr-credential-provider binaries speak:
// v1alpha1 up to v1.27.0, v1 from v1.27.1 on. None ever spoke v1beta1.
const (
	APIv1alpha1 API = "v1alpha1"
	APIv1       API = "v1"
)

// Level says how bad a Remark is.
type Level int

// A Note is worth knowing, a Caution needs a decision before a later step, and
// Fatal means that this kubelet does not start, or starts without credentials.
const (
	Note Level = iota
	Caution
	Fatal
)

// Remark is one thing that a kubelet of some version does with the flags that
// it has or is about to get.
type Remark struct {
	Code  string
	Level Level
	Text  string // one sentence
	Todo  string // what to do, one sentence
}

// Flags are the arguments of one cluster's kubelets, as far as they matter
// here.
type Flags struct {
	Args map[string]string // extra_args today
	// Providers says that the two provider flags are set today.
	Providers bool
	// API is what the provider's config on the nodes uses.
	API API
	// Registry says whose provider it is; "" is ECR.
	Registry Kind
}

// registry gives the row of f's registry.
func (f Flags) registry() Registry {
	if r, ok := RegistryByKind(f.Registry); ok {
		return r
	}
	return registries[0]
}

// Judge says what a kubelet of version v makes of f once both provider flags
// are set, and what a later version will. The order is that of the table.
func Judge(v Version, f Flags) []Remark {
	var out []Remark
	for _, r := range rules {
		if text := r.when(v, f); text != "" {
			out = append(out, Remark{Code: r.code, Level: r.level, Text: text, Todo: strings.ReplaceAll(r.todo, offVersion, f.registry().Off.String())})
		}
	}
	return out
}

// offVersion stands in a rule's todo for the version that has no built-in login.
const offVersion = "the version without it"

// Catalogue lists every remark there can be; Text is its general meaning.
func Catalogue() []Remark {
	out := make([]Remark, len(rules))
	for i, r := range rules {
		out[i] = Remark{Code: r.code, Level: r.level, Text: r.meaning, Todo: r.todo}
	}
	return out
}

// rule is one row of the table; when gives the text, or "" when the rule has
// nothing to say.
type rule struct {
	code    string
	level   Level
	meaning string
	todo    string
	when    func(Version, Flags) string
}

var rules = []rule{
	{"kubelet-too-old", Fatal, "kubelets before 1.24 have image credential providers only behind an alpha gate",
		"upgrade the cluster to 1.26 first, patch it there, then go on to 1.27", tooOld},
	{"provider-api", Fatal, "kubelets before 1.26 do not know the provider API v1 and do not start with a config that names it",
		"upgrade the cluster to 1.26 first; or, if the nodes hold a v1alpha1 config and a binary that speaks it (ECR's up to v1.27.0), say --provider-api v1alpha1", apiUnknown},
	{"gate-credential-providers", Fatal, "the feature gate KubeletCredentialProviders is set so that this kubelet does not start, or ignores the flags",
		"remove KubeletCredentialProviders from feature-gates in extra_args", gateNow},
	{"gate-gone-in-1.28", Caution, "the feature gate KubeletCredentialProviders is harmless now and keeps a 1.28 kubelet from starting",
		"remove KubeletCredentialProviders from feature-gates before the upgrade to 1.28", gateLater},
	{"gate-disable-in-tree", Caution, "the feature gate DisableKubeletCloudCredentialProviders is for a rehearsal only; 1.33 does not know it",
		"remove it from feature-gates after the rehearsal", gateDisable},
	{"gate-in-tree-refused", Fatal, "the feature gate DisableKubeletCloudCredentialProviders is locked to true from 1.31 on, so this kubelet does not start with false",
		"remove DisableKubeletCloudCredentialProviders from feature-gates in extra_args", gateLocked},
	{"azure-flag-refused", Fatal, "kubelets from 1.30 on do not know --azure-container-registry-config and do not start with it",
		"remove azure-container-registry-config from extra_args", azureFlagNow},
	{"azure-flag-gone-in-1.30", Caution, "the argument azure-container-registry-config turns the built-in ACR login on and keeps a 1.30 kubelet from starting",
		"remove azure-container-registry-config from extra_args once the provider works, before the upgrade to 1.30", azureFlagLater},
	{"in-tree-masks", Note, "the kubelet's built-in login, up to 1.26 for ECR and 1.28 for ACR and GCP, answers first and hides a broken provider",
		"check the provider on the nodes themselves before the upgrade to " + offVersion, inTreeMasks},
	{"in-tree-gone", Caution, "the kubelet has no built-in login any more, from 1.27 on for ECR, from 1.29 on for ACR and GCP: pulls of private images fail until the cluster is patched",
		"patch this cluster first", inTreeGone},
}

func tooOld(v Version, _ Flags) string {
	if !v.Before(1, 24) {
		return ""
	}
	return fmt.Sprintf("a %s kubelet has image credential providers only as an alpha feature behind the gate %s", v, gateProviders)
}

func apiUnknown(v Version, f Flags) string {
	if v.Before(1, 24) || !v.Before(1, 26) || f.API == APIv1alpha1 {
		return ""
	}
	return fmt.Sprintf("a %s kubelet does not know the provider API v1 and would not start with a config file that names it", v)
}

func gateNow(v Version, f Flags) string {
	value, set := FeatureGate(f.Args, gateProviders)
	switch {
	case !set:
		return ""
	case !v.Before(1, 28):
		return fmt.Sprintf("feature-gates names %s, which kubelets from 1.28 on do not know: this one cannot start", gateProviders)
	case value == "true":
		return ""
	case !v.Before(1, 26):
		return fmt.Sprintf("feature-gates sets %s=%s, but the gate is locked to true in 1.26 and 1.27: this kubelet cannot start", gateProviders, value)
	}
	return fmt.Sprintf("feature-gates sets %s=%s, so a %s kubelet ignores the provider flags", gateProviders, value, v)
}

func gateLater(v Version, f Flags) string {
	if value, set := FeatureGate(f.Args, gateProviders); !set || value != "true" || !v.Before(1, 28) {
		return ""
	}
	return fmt.Sprintf("feature-gates names %s: harmless now, but the gate is gone in 1.28 and a kubelet that is told of it does not start", gateProviders)
}

func gateDisable(_ Version, f Flags) string {
	value, set := FeatureGate(f.Args, gateDisableInTree)
	switch {
	case !set:
		return ""
	case value == "false":
		return fmt.Sprintf("feature-gates sets %s=false: that is no rehearsal, it brings the built-in logins back in 1.29 and 1.30; gone in 1.33", gateDisableInTree)
	}
	return fmt.Sprintf("feature-gates sets %s=%s: useful for a rehearsal on 1.26, gone in 1.33", gateDisableInTree, value)
}

func gateLocked(v Version, f Flags) string {
	if value, _ := FeatureGate(f.Args, gateDisableInTree); value != "false" || v.Before(1, 31) {
		return ""
	}
	return fmt.Sprintf("feature-gates sets %s=false, but the gate is locked to true from 1.31 on: this kubelet cannot start", gateDisableInTree)
}

func azureFlagNow(v Version, f Flags) string {
	if _, set := f.Args[flagAzureConfig]; !set || v.Before(1, 30) {
		return ""
	}
	return fmt.Sprintf("extra_args has %s, which kubelets from 1.30 on do not know: this one cannot start", flagAzureConfig)
}

func azureFlagLater(v Version, f Flags) string {
	if _, set := f.Args[flagAzureConfig]; !set || !v.Before(1, 30) {
		return ""
	}
	return fmt.Sprintf("extra_args has %s: fine now, but a 1.30 kubelet that is told of it does not start", flagAzureConfig)
}

// inTreeAnswers says that a kubelet of version v logs in to f's registries by
// itself. For ACR it does so only when it is told of a cloud config.
func inTreeAnswers(v Version, f Flags) bool {
	r := f.registry()
	off, set := FeatureGate(f.Args, gateDisableInTree)
	switch {
	case !v.Before(r.Gone.Major, r.Gone.Minor):
		return false
	case r.Kind == ACR && f.Args[flagAzureConfig] == "":
		return false
	case set:
		return off != "true"
	}
	return v.Before(r.Off.Major, r.Off.Minor)
}

func inTreeMasks(v Version, f Flags) string {
	if !inTreeAnswers(v, f) {
		return ""
	}
	return fmt.Sprintf("on %s the kubelet's built-in %s login answers first, so a pull that works proves nothing about the provider", v, f.registry().Name)
}

func inTreeGone(v Version, f Flags) string {
	r := f.registry()
	if v.Before(r.Off.Major, r.Off.Minor) || f.Providers || inTreeAnswers(v, f) {
		return ""
	}
	return fmt.Sprintf("a %s kubelet has no built-in %s login any more: without the provider, pulls of private %s images fail%s", v, r.Name, r.Name, saying[r.Kind])
}

// saying is what such pulls fail with, where that is known.
var saying = map[Kind]string{ECR: ` with "no basic auth credentials"`}

// FeatureGate gives the value of one gate in the feature-gates argument of
// args, such as "true" for "A=false,B=true", and whether it is named there.
func FeatureGate(args map[string]string, gate string) (string, bool) {
	for pair := range strings.SplitSeq(args[flagFeatureGates], ",") {
		if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.TrimSpace(name) == gate {
			return strings.ToLower(strings.TrimSpace(value)), true
		}
	}
	return "", false
}
