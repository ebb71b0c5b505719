package kubelet

import (
	"slices"
	"strings"
)

// Kind names a cloud's registries and their provider, as --provider does.
type Kind string

// The registries whose login was once built into the kubelet.
const (
	ECR Kind = "ecr"
	ACR Kind = "acr"
	GCP Kind = "gcp"
)

// Registry is one cloud's registries: who logs in to them, from inside the
// kubelet up to some version and with a provider of their own from then on.
type Registry struct {
	Kind Kind
	// Name is what people call it, such as "ECR".
	Name string
	// Provider is the provider's name in the config, and its file's in the bin
	// dir.
	Provider string
	// Patterns are the entries of matchImages: first those that the built-in
	// login served, then the optional ones.
	Patterns []Pattern
	// Off is the first minor version whose built-in login is switched off unless
	// the gate DisableKubeletCloudCredentialProviders=false says otherwise, Gone
	// the first that has none. They are the same where there was no such step.
	Off, Gone Version
	// BinDir and Config are where the provider and its config lie on the nodes
	// unless the operator says otherwise.
	BinDir, Config string
	// Args are what the provider is called with, CacheDuration is for answers
	// that do not say how long they hold.
	Args          []string
	CacheDuration string
}

// registries is the table of them (kubernetes v1.27.0, v1.30.14 and v1.31.0
// pkg/credentialprovider: the directories aws, azure and gcp are gone; v1.29.15
// pkg/features/kube_features.go:1044 for the gate). ECR's paths are those of the
// article that most operators come from. The others' lie where RKE mounts them
// into the kubelet anyway (rke v1.6.1 cluster/plan.go:577), with one name each,
// because a kubelet has one config.
var registries = []Registry{
	{
		Kind: ECR, Name: "ECR", Provider: "ecr-credential-provider", Patterns: patterns,
		Off: Version{1, 27}, Gone: Version{1, 27},
		BinDir: DefaultBinDir, Config: DefaultProviderConfig,
		CacheDuration: "12h",
	},
	{
		Kind: ACR, Name: "ACR", Provider: "acr-credential-provider", Patterns: acrPatterns,
		Off: Version{1, 29}, Gone: Version{1, 30},
		BinDir: "/var/lib/rancher/credentialprovider/bin", Config: "/var/lib/rancher/credentialprovider/config.yaml",
		Args: []string{DefaultCloudConfig}, CacheDuration: "10m",
	},
	{
		Kind: GCP, Name: "GCR and Artifact Registry", Provider: "auth-provider-gcp", Patterns: gcpPatterns,
		Off: Version{1, 29}, Gone: Version{1, 31},
		BinDir: "/var/lib/rancher/credentialprovider/bin", Config: "/var/lib/rancher/credentialprovider/config.yaml",
		Args: []string{"get-credentials"}, CacheDuration: "1m",
	},
}

// DefaultCloudConfig is where RKE writes the cloud provider's config, inside and
// outside of the kubelet's container. The ACR provider reads it.
const DefaultCloudConfig = "/etc/kubernetes/cloud-config"

// Registries lists them, in the order ECR, ACR, GCP.
func Registries() []Registry {
	out := make([]Registry, len(registries))
	for i, r := range registries {
		out[i] = r.clone()
	}
	return out
}

// RegistryByKind gives the row of --provider's value.
func RegistryByKind(kind Kind) (Registry, bool) {
	i := slices.IndexFunc(registries, func(r Registry) bool { return r.Kind == kind })
	if i < 0 {
		return Registry{}, false
	}
	return registries[i].clone(), true
}

// RegistryOf gives the row whose registries host is one of, such as
// "123456789012.dkr.ecr.eu-west-1.amazonaws.com" or "europe-docker.pkg.dev".
// Hosts are compared as kubelets do: letter case and port count, so a host with
// a port is in none. public.ecr.aws is in none either: it needs no login.
func RegistryOf(host string) (Registry, bool) {
	for _, r := range registries {
		if r.asks(host + "/a") {
			return r.clone(), true
		}
	}
	return Registry{}, false
}

// RegistryOfProvider gives the row of a provider by its name in a config. Any
// name with ecr in it is taken for one of ECR: people rename the binary after its
// release.
func RegistryOfProvider(name string) (Registry, bool) {
	for _, r := range registries {
		if r.Provider == name || r.Kind == ECR && strings.Contains(name, "ecr") {
			return r.clone(), true
		}
	}
	return Registry{}, false
}

// asks says that one of the registry's own patterns matches an image.
func (r Registry) asks(image string) bool {
	return slices.ContainsFunc(r.Patterns, func(p Pattern) bool {
		ok, _ := Matches(p.Glob, image)
		return ok
	})
}

// ServedBy says that a provider with these entries of matchImages is asked for
// images of some of the registries.
func (r Registry) ServedBy(matchImages []string) bool {
	return slices.ContainsFunc(r.Patterns, func(p Pattern) bool {
		return slices.ContainsFunc(matchImages, func(glob string) bool {
			ok, _ := Matches(glob, p.sample+"/a")
			return ok
		})
	})
}

func (r Registry) clone() Registry {
	r.Patterns, r.Args = slices.Clone(r.Patterns), slices.Clone(r.Args)
	return r
}
