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
}

// Judge says what a kubelet of version v makes of f once both provider flags
// are set, and what a later version will. The order is that of the table.
func Judge(v Version, f Flags) []Remark {
	var out []Remark
	for _, r := range rules {
		if text := r.when(v, f); text != "" {
			out = append(out, Remark{Code: r.code, Level: r.level, Text: text, Todo: r.todo})
		}
	}
	return out
}

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
		"upgrade the cluster to 1.26 first; or, if the nodes hold a v1alpha1 config and a provider binary up to v1.27.0, say --provider-api v1alpha1", apiUnknown},
	{"gate-credential-providers", Fatal, "the feature gate KubeletCredentialProviders is set so that this kubelet does not start, or ignores the flags",
		"remove KubeletCredentialProviders from feature-gates in extra_args", gateNow},
	{"gate-gone-in-1.28", Caution, "the feature gate KubeletCredentialProviders is harmless now and keeps a 1.28 kubelet from starting",
		"remove KubeletCredentialProviders from feature-gates before the upgrade to 1.28", gateLater},
	{"gate-disable-in-tree", Caution, "the feature gate DisableKubeletCloudCredentialProviders is for a rehearsal only; 1.33 does not know it",
		"remove it from feature-gates after the rehearsal", gateDisable},
	{"in-tree-masks", Note, "up to 1.26 the built-in ECR login answers first and hides a broken provider",
		"check the provider on the nodes themselves before the upgrade to 1.27", inTreeMasks},
	{"in-tree-gone", Caution, "from 1.27 on there is no built-in ECR login: pulls of private ECR images fail until the cluster is patched",
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
	if !set {
		return ""
	}
	return fmt.Sprintf("feature-gates sets %s=%s: useful for a rehearsal on 1.26, gone in 1.33", gateDisableInTree, value)
}

func inTreeMasks(v Version, f Flags) string {
	if value, _ := FeatureGate(f.Args, gateDisableInTree); !v.Before(1, 27) || value == "true" {
		return ""
	}
	return fmt.Sprintf("on %s the kubelet's built-in ECR login answers first, so a pull that works proves nothing about the provider", v)
}

func inTreeGone(v Version, f Flags) string {
	if v.Before(1, 27) || f.Providers {
		return ""
	}
	return fmt.Sprintf("a %s kubelet has no built-in ECR login any more: without the provider, pulls of private ECR images fail with \"no basic auth credentials\"", v)
}

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
