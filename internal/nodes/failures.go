package nodes

import (
	"strings"
	"time"

	"rkepatch/internal/kubelet"
)

// A provider that fails says why on standard error, in the words of the AWS SDK
// that it was built with. Of these the node hands over only words of a fixed
// vocabulary (scripts/words.txt); the table reads them.

// failure is one row: the first that fits gives the finding.
type failure struct {
	code string
	// any and all are phrases of what the provider said; one of any and every one
	// of all must occur. No phrase fits anything.
	any, all []string
	exits    []int         // nil: any
	aws      bool          // says something of AWS, so it is for ECR's provider only
	slower   time.Duration // fits only what took at least this long
}

// The codes of what can come of a rehearsal.
const (
	rehearsalNoRole        = "rehearsal-no-role"
	rehearsalIMDS          = "rehearsal-imds-unreachable"
	rehearsalNoRegion      = "rehearsal-no-region"
	rehearsalDenied        = "rehearsal-access-denied"
	rehearsalBadKeys       = "rehearsal-keys-refused"
	rehearsalNetwork       = "rehearsal-ecr-unreachable"
	rehearsalWrongAPI      = "rehearsal-wrong-api"
	rehearsalTimeout       = "rehearsal-timeout"
	rehearsalNotExecutable = "rehearsal-not-executable"
	rehearsalBadAnswer     = "rehearsal-answer-useless"
	rehearsalFailed        = "rehearsal-failed"
	rehearsalSkipped       = "rehearsal-skipped"
	rehearsalNoImage       = "rehearsal-no-image"
	rehearsalImpossible    = "rehearsal-impossible"
)

// failures tell apart how providers of every release since v1.20 fail. SDK v1
// (up to v1.30.3 and v1.31.1) says NoCredentialProviders for a missing role and
// for an instance metadata service that does not answer alike: only the second
// takes seconds.
var failures = []failure{
	{code: rehearsalTimeout, exits: []int{124, 137}},
	{code: rehearsalNotExecutable, exits: []int{126, 127}},
	{code: rehearsalWrongAPI, all: []string{"group version", "is not supported"}},
	{code: rehearsalDenied, aws: true, any: []string{"AccessDenied", "AccessDeniedException", "is not authorized to perform"}},
	{code: rehearsalBadKeys, aws: true, any: []string{"UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch", "ExpiredToken",
		"ExpiredTokenException", "InvalidClientTokenId", "IncompleteSignature", "MissingAuthenticationToken", "InvalidToken"}},
	{code: rehearsalNoRegion, aws: true, any: []string{"MissingRegion", "Missing Region", "could not find region"}},
	{code: rehearsalIMDS, aws: true, all: []string{"IMDS"}, any: []string{"connection refused", "timeout", "deadline exceeded", "network is unreachable", "no route to host", "canceled", "disabled"}},
	{code: rehearsalIMDS, aws: true, any: []string{"NoCredentialProviders", "EC2MetadataRequest"}, slower: 3 * time.Second},
	{code: rehearsalNoRole, aws: true, any: []string{"no EC2 IMDS role found", "NoCredentialProviders", "EC2RoleRequestError", "failed to refresh cached credentials"}},
	{code: rehearsalNetwork, aws: true, any: []string{"connection refused", "no such host", "timeout", "timed out", "deadline exceeded", "network is unreachable",
		"no route to host", "proxyconnect", "certificate", "TLS handshake", "connection reset"}},
	{code: rehearsalFailed},
}

// classify gives the code of the first row that fits what the provider called
// name said.
func classify(name, said string, exit int, took time.Duration) string {
	for _, f := range failures {
		if f.fits(said, exit, took) && (!f.aws || isECR(name)) {
			return f.code
		}
	}
	return rehearsalFailed
}

func (f failure) fits(said string, exit int, took time.Duration) bool {
	if f.exits != nil {
		for _, e := range f.exits {
			if e == exit {
				return true
			}
		}
		return false
	}
	said = " " + said + " "
	has := func(phrase string) bool { return strings.Contains(said, " "+phrase+" ") }
	for _, phrase := range f.all {
		if !has(phrase) {
			return false
		}
	}
	some := f.any == nil
	for _, phrase := range f.any {
		some = some || has(phrase)
	}
	return some && took >= f.slower
}

// rehearsalCatalogue has the findings of rehearsals.
var rehearsalCatalogue = []Finding{
	{rehearsalNoRole, kubelet.Fatal, "the provider finds no AWS credentials: the instance has no IAM role, and there are no keys",
		"give the instances a role that allows ecr:GetAuthorizationToken, or keys in the kubelet's extra_env"},
	{rehearsalIMDS, kubelet.Fatal, "the provider cannot reach the instance metadata service",
		"see that 169.254.169.254 is reachable from the host and in NO_PROXY, and that the node is an EC2 instance"},
	{rehearsalNoRegion, kubelet.Fatal, "the provider does not know the AWS region",
		"set AWS_REGION in the env of the provider config"},
	{rehearsalDenied, kubelet.Fatal, "AWS denies the provider's request",
		"allow ecr:GetAuthorizationToken to the instances' role; without it the in-tree provider did not work either"},
	{rehearsalBadKeys, kubelet.Fatal, "AWS does not accept the keys that the provider found",
		"renew the keys in the kubelet's extra_env or in the provider config, and look at the node's clock"},
	{rehearsalNetwork, kubelet.Fatal, "the provider cannot reach ECR",
		"open https to api.ecr.<region>.amazonaws.com from the node, or set a proxy in the env of the provider config"},
	{rehearsalWrongAPI, kubelet.Fatal, "the provider does not speak the API version of the config",
		"use v1 with a provider from v1.27.1 on, v1alpha1 with an older one"},
	{rehearsalTimeout, kubelet.Fatal, "the provider did not answer within the minute that the kubelet gives it",
		"see whether the metadata service and ECR are reachable from the node, and not blocked silently"},
	{rehearsalNotExecutable, kubelet.Fatal, "the provider could not be run",
		"install it again: `rkepatch nodes install`"},
	{rehearsalBadAnswer, kubelet.Fatal, "the provider ended well, but its answer holds no credentials that the kubelet would take",
		"compare the provider's version and API version with the config"},
	{rehearsalFailed, kubelet.Fatal, "the provider failed for a reason that is not known",
		"run it on the node as the documentation of nodes check shows, and look at what it prints"},
	{rehearsalSkipped, kubelet.Note, "there was no rehearsal, because the provider cannot work as it is",
		"mend what the check found first"},
	{rehearsalNoImage, kubelet.Caution, "there was no rehearsal, because no image of the cluster matches the config",
		"name one: --image"},
	{rehearsalImpossible, kubelet.Caution, "there was no rehearsal that would be like the kubelet's own run",
		"look at the message"},
}
