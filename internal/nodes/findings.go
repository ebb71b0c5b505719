package nodes

import (
	"fmt"
	"slices"

	"rkepatch/internal/kubelet"
)

// Finding is something about a node that the operator must know. What keeps a
// node from being judged is Fatal like what is known to be wrong: an unknown is
// no pass.
type Finding struct {
	Code    string
	Level   kubelet.Level
	Message string // one sentence about this node
	Todo    string // what to do, one sentence
}

// Catalogue lists every finding that this package makes itself, in the order of
// the table; Message is its general meaning. Reports also hold the remarks of
// kubelet.Foresee, with their own codes.
func Catalogue() []Finding {
	return slices.Concat(catalogue, rehearsalCatalogue, runningCatalogue, installCatalogue, mergeCatalogue)
}

// The codes of the findings.
const (
	windowsNode       = "windows-node"
	nodeNotReady      = "node-not-ready"
	versionUnknown    = "node-version-unknown"
	imageUnknown      = "probe-image-unknown"
	imageMissing      = "probe-image-missing"
	podForbidden      = "pod-forbidden"
	podRefused        = "pod-refused"
	podNotCreated     = "pod-not-created"
	podStuck          = "pod-stuck"
	podEnded          = "pod-ended"
	podGone           = "pod-gone"
	podLeft           = "pod-left"
	checkInterrupted  = "check-interrupted"
	answerGarbled     = "answer-garbled"
	pathNotVisible    = "path-not-visible"
	configHidden      = "config-not-shown"
	emptyDirectory    = "empty-directory"
	binaryUnseen      = "binary-not-seen"
	binaryUnasked     = "binary-not-asked"
	otherUnasked      = "other-provider-not-asked"
	pathShifts        = "path-shifts"
	apiDiffers        = "provider-api-differs"
	providerAbsent    = "provider-not-in-config"
	kubeletRefuses    = "kubelet-refuses"
	kubeletWillRefuse = "kubelet-will-refuse"
)

var catalogue = []Finding{
	{windowsNode, kubelet.Note, "the node runs Windows: Linux files and flags are not for it, and it is not looked at",
		"make sure that the patch does not reach Windows nodes (win_extra_args)"},
	{nodeNotReady, kubelet.Fatal, "the node is not Ready, so nothing can be run on it",
		"bring the node back, or remove it from the cluster, then check again"},
	{versionUnknown, kubelet.Fatal, "the node's kubelet version cannot be read",
		"look at the node's status.nodeInfo.kubeletVersion"},
	{imageUnknown, kubelet.Fatal, "the node lists no hyperkube image, so there is nothing to run the check with",
		"name an image with a shell and coreutils that the node can pull: --probe-image"},
	{imageMissing, kubelet.Fatal, "the image of the check is not on the node",
		"name an image that the node can pull: --probe-image"},
	{podForbidden, kubelet.Fatal, "the token may not create the pod of the check",
		"use a token of a cluster owner: the check creates, lists, watches and deletes pods in its namespace"},
	{podRefused, kubelet.Fatal, "the cluster refuses the pod of the check by policy",
		"allow pods with a read-only hostPath in the namespace of the check for its duration, or name another: --namespace"},
	{podNotCreated, kubelet.Fatal, "the pod of the check could not be created",
		"look at the message and check again"},
	{podStuck, kubelet.Fatal, "the pod of the check did not finish in time",
		"look at the node's kubelet and container runtime, then check again"},
	{podEnded, kubelet.Fatal, "the pod of the check ended without an answer",
		"look at the message and check again"},
	{podGone, kubelet.Fatal, "the pod of the check vanished while it ran",
		"see whether the node still exists, then check again"},
	{podLeft, kubelet.Caution, "the pod of the check could not be deleted",
		"delete it with kubectl, or let the next check do it"},
	{checkInterrupted, kubelet.Fatal, "the check was interrupted before it came to this node",
		"check again"},
	{answerGarbled, kubelet.Fatal, "what the pod of the check answered cannot be understood",
		"check again; if it stays, name another image: --probe-image"},
	{pathNotVisible, kubelet.Fatal, "a path that the kubelet is told of is not mounted into its container",
		"add a bind for its directory, or use a directory that RKE mounts, such as /var/lib/rancher/credentialprovider"},
	{pathShifts, kubelet.Fatal, "a path that the kubelet is told of lies where RKE mounts another directory of the host, depending on the node's operating system, its role and prefix_path",
		"use /var/lib/rancher/credentialprovider, which is the same everywhere"},
	{configHidden, kubelet.Fatal, "the provider config is there, but cannot be judged from here without showing what may be a secret",
		"write it in the plain form that `rkepatch nodes script` writes"},
	{emptyDirectory, kubelet.Fatal, "an empty directory stands where the provider or its config should be: Docker makes one when the source of a bind is missing",
		"install the provider with --replace: `rkepatch nodes install`"},
	{binaryUnseen, kubelet.Fatal, "the config names a provider that the check did not look at",
		"give the provider a plain file name"},
	{binaryUnasked, kubelet.Fatal, "which API version the provider speaks could not be asked",
		"see whether it runs on the node at all, then check again"},
	{otherUnasked, kubelet.Caution, "a provider that is not for ECR did not show that it is one: it may need more than it is given when it is asked",
		"make sure that it is a credential provider and speaks the API version that the config names"},
	{apiDiffers, kubelet.Caution, "the config uses another provider API than the one that was asked for",
		"say --provider-api as the config on the nodes does, or write the config anew"},
	{providerAbsent, kubelet.Fatal, "the config names other providers only, so the kubelet starts and asks nobody for credentials of the wanted registries",
		"add the provider to that file: `rkepatch nodes install --merge-provider-config`"},
	{kubeletRefuses, kubelet.Fatal, "a kubelet that is told of this provider would not start on this node",
		"install the provider: `rkepatch nodes install`, or `rkepatch nodes script` for images and templates"},
	{kubeletWillRefuse, kubelet.Fatal, "this kubelet starts with the provider that is there, the one that it is upgraded to does not",
		"mend it before the upgrade: `rkepatch nodes install`"},
}

// finding makes a finding of the catalogue, with the words for one node.
func finding(code, format string, args ...any) Finding {
	all := Catalogue()
	f := all[slices.IndexFunc(all, func(f Finding) bool { return f.Code == code })]
	f.Message = fmt.Sprintf(format, args...)
	return f
}
