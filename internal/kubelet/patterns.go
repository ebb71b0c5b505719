package kubelet

import "slices"

// Pattern is one entry of matchImages.
type Pattern struct {
	Glob string
	Why  string // which registries those are, in a few words
	// Optional patterns are for partitions that no kubelet ever served by
	// itself; Provider names the oldest releases of the provider that know
	// them. Both are empty for the patterns that are needed so that
	// nothing is lost.
	Optional bool
	Provider string
	// Rare patterns are for what few accounts have.
	Rare bool
	// sample is a registry that the pattern is for.
	sample string
}

// patterns: the first five are what the providers that kubelets up to 1.26 had
// built in matched between them (kubernetes v1.26.15
// pkg/credentialprovider/aws/aws_credentials.go:44), and no host beside them:
// from v1.29.0 on ecr-credential-provider gives an ECR token to any registry
// that it is asked for. public.ecr.aws is left out on purpose: the built-in one
// never matched it, it needs other permissions, and a slow answer from its only
// region would delay every public pull.
var patterns = []Pattern{
	{Glob: "*.dkr.ecr.*.amazonaws.com", Why: "private registries, GovCloud too", sample: "123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
	{Glob: "*.dkr.ecr.*.amazonaws.com.cn", Why: "China", Rare: true, sample: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"},
	{Glob: "*.dkr.ecr-fips.*.amazonaws.com", Why: "FIPS endpoints", sample: "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com"},
	{Glob: "*.dkr.ecr.*.c2s.ic.gov", Why: "the isolated regions us-iso-*", Rare: true, sample: "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"},
	{Glob: "*.dkr.ecr.*.sc2s.sgov.gov", Why: "the isolated regions us-isob-*", Rare: true, sample: "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"},
	{Glob: "*.dkr.ecr.*.cloud.adc-e.uk", Why: "the isolated regions eu-isoe-*", Optional: true, Provider: "v1.27.9, v1.28.8, v1.29.5", sample: "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"},
	{Glob: "*.dkr.ecr.*.csp.hci.ic.gov", Why: "the isolated regions us-isof-*", Optional: true, Provider: "v1.27.9, v1.28.8, v1.29.5", sample: "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"},
	{Glob: "*.dkr-ecr.*.on.aws", Why: "dual-stack endpoints", Optional: true, Provider: "v1.28.11, v1.29.8, v1.30.7", sample: "123456789012.dkr-ecr.eu-west-1.on.aws"},
	{Glob: "*.dkr-ecr-fips.*.on.aws", Why: "dual-stack FIPS endpoints", Optional: true, Provider: "v1.28.11, v1.29.8, v1.30.7", sample: "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws"},
	{Glob: "*.dkr-ecr.*.on.amazonwebservices.com.cn", Why: "dual-stack endpoints in China", Optional: true, Provider: "v1.28.11, v1.29.8, v1.30.7", sample: "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"},
	{Glob: "*.dkr.ecr.*.amazonaws.eu", Why: "the European Sovereign Cloud", Optional: true, Provider: "v1.29.9, v1.30.10, v1.31.9, v1.32.6", sample: "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"},
}

// acrPatterns are what the built-in provider of 1.29 and before matched
// (kubernetes v1.28.15 pkg/credentialprovider/azure/azure_credentials.go:53).
var acrPatterns = []Pattern{
	{Glob: "*.azurecr.io", Why: "Azure", sample: "team.azurecr.io"},
	{Glob: "*.azurecr.cn", Why: "China", Rare: true, sample: "team.azurecr.cn"},
	{Glob: "*.azurecr.de", Why: "Germany", Rare: true, sample: "team.azurecr.de"},
	{Glob: "*.azurecr.us", Why: "the US government", Rare: true, sample: "team.azurecr.us"},
}

// gcpPatterns are what the built-in provider of 1.30 and before matched
// (legacy-cloud-providers v0.26.15 gce/gcpcredential/gcpcredential.go:51).
var gcpPatterns = []Pattern{
	{Glob: "container.cloud.google.com", Why: "the oldest name", Rare: true, sample: "container.cloud.google.com"},
	{Glob: "gcr.io", Why: "Container Registry", sample: "gcr.io"},
	{Glob: "*.gcr.io", Why: "Container Registry by region", sample: "eu.gcr.io"},
	{Glob: "*.pkg.dev", Why: "Artifact Registry", sample: "europe-docker.pkg.dev"},
}

// Patterns lists the entries of matchImages for ECR: first those without which
// registries would be lost that kubelets up to 1.26 served by themselves, then
// the optional ones.
func Patterns() []Pattern { return slices.Clone(patterns) }
