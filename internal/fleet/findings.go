package fleet

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// Finding is something about a cluster that the operator must know.
type Finding = rkeconfig.Finding

// The severities, so that callers need not import rkeconfig for them.
const (
	Info  = rkeconfig.Info
	Warn  = rkeconfig.Warn
	Block = rkeconfig.Block
)

// subject is one cluster under examination: what Rancher said of it and what
// was read out of that.
type subject struct {
	provider    kubelet.Kind // whose provider is wanted; "" not known
	cluster     *rancher.Cluster
	doc         rkeconfig.Document
	docErr      error
	version     kubelet.Version
	versionErr  error
	nodes       []*rancher.Node // only those that are not simply active
	nodesUnseen bool            // the token may not list nodes
	deprecated  []string        // Kubernetes versions that Rancher refuses
	template    *templateView   // nil when the cluster is not made from one
	enforced    bool            // clusters must be made from a template
}

// rule is one row of the table of findings. when gives the message, or "" when
// the rule has nothing to say.
type rule struct {
	code     string
	severity rkeconfig.Severity
	meaning  string // for the catalogue
	todo     string
	when     func(*subject) string
}

// identityRules decide whether a cluster is one of ours at all. The first that
// speaks is the only finding that the cluster gets.
var identityRules = []rule{
	{"answer-not-understood", Block, "a field in Rancher's answer about the cluster has a type that this program does not know",
		"look at the cluster in the Rancher UI; report it if it looks right there", answerNotUnderstood},
	{"not-rke1", Block, "the cluster is not an RKE1 cluster provisioned by Rancher",
		"leave it out; RKE2 and K3s have their own credential provider settings", notRKE1},
	{"body-too-large", Block, "the config is larger than the 2 MiB that Rancher accepts",
		"shrink the addons text", bodyTooLarge},
	{"config-not-understood", Block, "Rancher's answer holds no readable rancherKubernetesEngineConfig",
		"look at the cluster in the Rancher UI; report it if it looks right there", configNotUnderstood},
}

// clusterRules are about the cluster as Rancher sees it: may it be changed, and
// would a change go through. Order is the order in which they are shown.
var clusterRules = []rule{
	{"no-update-permission", Block, "the token may see the cluster but not change it",
		"use a token of a cluster owner or an administrator", noUpdatePermission},
	{"name-refused", Block, "Rancher refuses any update of a cluster whose name is not a DNS label",
		"rename the cluster's display name in its custom resource first, or edit it in the UI", nameRefused},
	{"template-revision-empty", Block, "an empty clusterTemplateRevisionId was stored once: Rancher refuses every update of this cluster",
		"clear spec.clusterTemplateRevisionName in the cluster's custom resource", templateRevisionEmpty},
	{"not-provisioned", Block, "the cluster never finished provisioning",
		"finish or delete the cluster first", notProvisioned},
	{"last-update-failed", Block, "the last reconcile of the cluster failed",
		"mend the cause, wait until the cluster is active, plan again", lastUpdateFailed},
	{"already-updating", Block, "Rancher is changing the cluster right now",
		"wait until the cluster is active, plan again", alreadyUpdating},
	{"cluster-unreachable", Block, "Rancher cannot reach the cluster",
		"bring the cluster agent back (state must be active), plan again", unreachable},
	{"state-not-understood", Block, "the cluster is in a state that this program does not know",
		"look at the cluster in the Rancher UI; patch it once it is active", stateNotUnderstood},
	{"secrets-not-migrated", Block, "Rancher has not moved the cluster's passwords into secrets yet: any update from an API client wipes them",
		"wait for the migration, or save the cluster once in the Rancher UI with its passwords", secretsNotMigrated},
	{"transient-flags", Block, "a restore or rotation request stands in the stored config: any update would trigger it again",
		"let Rancher finish and clear it, or clear it in the custom resource", transientFlags},
	{"version-not-understood", Block, "the Kubernetes version cannot be read, or is not a full one",
		"set kubernetes_version to a full version of Rancher's, such as v1.26.15-rancher1-1", versionNotUnderstood},
	{"deprecated-version", Block, "Rancher refuses updates of clusters on a Kubernetes version that it calls deprecated",
		"remove the version from the setting k8s-versions-deprecated for the change, or upgrade Kubernetes first", deprecatedVersion},
	{"nodes-not-ready", Block, "as many nodes are not Ready as the upgrade strategy allows to be unavailable: Rancher refuses the update",
		"bring the nodes back or remove them, plan again", nodesNotReady},
	{"nodes-perhaps-not-ready", Warn, "nodes are not Ready; whether Rancher refuses the update depends on a percentage of nodes",
		"bring the nodes back or remove them before the change", nodesPerhapsNotReady},
	{"nodes-unseen", Warn, "the token may not list nodes: whether some are cordoned or not Ready is not known, and the roll-out of workers cannot be followed",
		"use a token of a cluster owner or an administrator", nodesUnseen},
	{"nodes-cordoned", Warn, "the roll-out uncordons every node at its end, also those cordoned on purpose",
		"note the nodes down and cordon them again afterwards", nodesCordoned},
	{"cloud-provider-aws-refused", Block, "RKE refuses cloud provider aws from 1.27 on: the reconcile would fail",
		"migrate to external-aws first", awsRefused},
	{"cloud-provider-aws", Warn, "cloud provider aws blocks the upgrade to 1.27",
		"migrate to external-aws before the upgrade; this patch does not touch it", awsWarned},
	{"registry-without-user", Warn, "Rancher 2.8.6 and later overwrites the stored password of a private registry that has no user, on any update",
		"when that registry takes a password or token: note it down and set it again afterwards", registryWithoutUser},
	{"cloud-config-missing", Warn, "the ACR provider reads an Azure cloud config, which RKE writes for cloud provider azure only",
		"write one where the kubelet's container sees it on every node, and say `nodes install --cloud-config FILE`", cloudConfigMissing},
	{"ecr-static-keys", Warn, "static ECR keys in private_registries serve RKE's own pulls and never fed the kubelet",
		"give the provider its own credentials (instance role or kubelet extra_env); do not remove ecr_credential_plugin: while its secret exists, Rancher crashes on a config without it", ecrStaticKeys},
}

// Catalogue lists every finding that a plan can contain, in the order in which
// they are looked for. docs/findings.md has a line for each.
func Catalogue() []Finding {
	var out []Finding
	for _, r := range slices.Concat(identityRules, clusterRules, templateRules) {
		out = append(out, Finding{Code: r.code, Severity: r.severity, Message: r.meaning, Todo: r.todo})
	}
	out = append(out, rewritesFinding, pinsFinding, dropsPlugin, dropsPluginFatal, switchesDocker, checksBucket, templateAnswers, templateDiffers, templateStrategy, templateOneWay, templateBehind, templateNoWayBack, unseenFinding, preImageFinding)
	out = append(out, unpreparedFinding, newUnknownFinding, customFinding)
	for _, k := range rkeconfig.Findings {
		out = append(out, Finding{Code: k.Code, Severity: k.Severity, Message: k.Meaning, Todo: mergeTodos[k.Code]})
	}
	g := WithProviderRules(ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig)).Groups[0]
	return append(append(out, g.Half, g.Incomplete, g.Taken, joinsFinding, g.Unmounted), fromKubelet(kubelet.Catalogue())...)
}

// hindersOnly are the blocks that say why a cluster cannot be changed, not that
// something is wrong with it.
var hindersOnly = map[string]bool{
	"no-update-permission": true, "name-refused": true, "template-revision-empty": true,
	"template-unseen": true, "template-not-permitted": true, "template-answers": true, "template-differs": true,
	"secrets-not-migrated": true, "transient-flags": true, "deprecated-version": true, "version-not-understood": true,
	"cloud-provider-aws-refused": true,
}

// mergeTodos says in general what rkeconfig's findings say with names and
// values.
var mergeTodos = map[string]string{
	"arg-conflict":        "keep the value and leave the argument out of the patch, or name it in --replace-arg",
	"arg-in-array":        "remove it from the cluster's extra_args_array first",
	"arg-misspelt":        "rename or remove it in the cluster's extra_args first",
	"bind-conflict":       "put the files where the cluster's bind points, or use another container path in the patch",
	"bind-duplicate":      "remove one of them from the cluster's extra_binds first",
	"bind-mode":           "nothing, as long as the kubelet only reads there",
	"bind-not-needed":     "nothing",
	"bind-not-understood": "correct or remove it in the cluster's extra_binds, or in the patch",
	"bind-prefix":         "on Flatcar, CoreOS and RancherOS put the files there, or use a directory under /var/lib/rancher, which never moves",
	"bind-shadows":        "use a directory of its own such as /opt/aws/bin, or one under /var/lib/rancher",
	"changed-since":       "settle it by hand in the Rancher UI",
	"not-understood":      "correct the value in the cluster's config first",
	"windows-inherits":    "give the cluster win_extra_args and win_extra_binds of their own first",
}

func apply(rules []rule, s *subject, firstOnly bool) []Finding {
	var out []Finding
	for _, r := range rules {
		if m := r.when(s); m != "" {
			out = append(out, Finding{Code: r.code, Severity: r.severity, Message: m, Todo: r.todo})
			if firstOnly {
				break
			}
		}
	}
	return out
}

// severityOf says what a level of the kubelet's rules means for a cluster.
var severityOf = map[kubelet.Level]rkeconfig.Severity{kubelet.Note: Info, kubelet.Caution: Warn, kubelet.Fatal: Block}

// fromKubelet turns what the kubelet makes of its flags into findings.
func fromKubelet(remarks []kubelet.Remark) []Finding {
	out := make([]Finding, len(remarks))
	for i, r := range remarks {
		out[i] = Finding{Code: r.Code, Severity: severityOf[r.Level], Message: r.Text, Todo: r.Todo}
	}
	return out
}

func answerNotUnderstood(s *subject) string { return s.cluster.Problem }

func notRKE1(s *subject) string {
	switch d := s.cluster.Driver; {
	case d == rancher.DriverRKE:
		return ""
	case s.cluster.Internal:
		return "this is the cluster that Rancher itself runs on"
	case d == "":
		return "Rancher does not say yet what kind of cluster this is"
	default:
		return fmt.Sprintf("this is a cluster with driver %q, not RKE1", d)
	}
}

func configNotUnderstood(s *subject) string {
	switch {
	case s.cluster.Config == nil:
		return "Rancher shows no rancherKubernetesEngineConfig"
	case s.docErr != nil:
		return s.docErr.Error()
	}
	return ""
}

func noUpdatePermission(s *subject) string {
	if s.cluster.CanUpdate {
		return ""
	}
	return "Rancher offers no update link for this cluster: the token may not change it"
}

func nameRefused(s *subject) string {
	if len(validation.IsDNS1123Label(s.cluster.Name)) == 0 {
		return ""
	}
	return fmt.Sprintf("the name %q is not a DNS label; Rancher answers 422 to every update", s.cluster.Name)
}

func templateRevisionEmpty(s *subject) string {
	if r := s.cluster.TemplateRevisionID; r != nil && *r == "" {
		return "clusterTemplateRevisionId is stored as an empty string; Rancher answers 422 to every update"
	}
	return ""
}

func notProvisioned(s *subject) string {
	if s.cluster.HasAppliedConfig && (s.cluster.Conditions.IsTrue("Provisioned") || s.cluster.Conditions.Status("Provisioned") != "") {
		return ""
	}
	return "the cluster has never been provisioned: " + orElse(s.cluster.TransitioningMessage, "state "+s.cluster.State)
}

func lastUpdateFailed(s *subject) string {
	if !s.cluster.HasAppliedConfig {
		return ""
	}
	for _, t := range []string{"Updated", "Provisioned", "Upgraded"} {
		if c, ok := s.cluster.Conditions.Get(t); ok && c.Status == "False" {
			return fmt.Sprintf("the last reconcile failed: %s", orElse(c.Message, t+" is False"))
		}
	}
	return ""
}

func alreadyUpdating(s *subject) string {
	if !s.cluster.HasAppliedConfig {
		return ""
	}
	for _, t := range []string{"Updated", "Provisioned", "Upgraded"} {
		if s.cluster.Conditions.Status(t) == "Unknown" {
			return fmt.Sprintf("Rancher is working on it: %s", orElse(s.cluster.TransitioningMessage, "state "+s.cluster.State))
		}
	}
	return ""
}

func unreachable(s *subject) string {
	for _, t := range []string{"Ready", "Connected"} {
		if c, ok := s.cluster.Conditions.Get(t); ok && c.Status != "True" && s.cluster.HasAppliedConfig {
			return fmt.Sprintf("Rancher has lost the cluster: %s", orElse(c.Message, t+" is "+c.Status))
		}
	}
	return ""
}

// stateNotUnderstood is the net below the other rules about conditions: what
// is not active and was not explained by them is not a pass.
func stateNotUnderstood(s *subject) string {
	if s.cluster.State == "active" {
		if s.cluster.HasAppliedConfig && s.cluster.Conditions.Status("Updated") == "" {
			return "the cluster lacks the condition Updated, which tells whether it is settled"
		}
		return ""
	}
	for _, explain := range []func(*subject) string{notProvisioned, lastUpdateFailed, alreadyUpdating, unreachable} {
		if explain(s) != "" {
			return ""
		}
	}
	return fmt.Sprintf("the cluster is in state %q: %s", s.cluster.State, orElse(s.cluster.TransitioningMessage, "Rancher gives no reason"))
}

// rancher v2.9.1 pkg/controllers/management/secretmigrator: until all three are
// True, passwords still live in the spec and a GET hides them.
func secretsNotMigrated(s *subject) string {
	for _, t := range []string{"SecretsMigrated", "RKESecretsMigrated", "ACISecretsMigrated"} {
		if !s.cluster.Conditions.IsTrue(t) {
			return fmt.Sprintf("condition %s is not True; an update would wipe passwords that Rancher does not show", t)
		}
	}
	return ""
}

func transientFlags(s *subject) string {
	var set []string
	for _, f := range []struct {
		name string
		path []string
	}{
		{"restore", []string{"restore", "restore"}},
		{"rotateEncryptionKey", []string{"rotateEncryptionKey"}},
		{"rotateCertificates", []string{"rotateCertificates"}},
	} {
		if v, ok := s.doc.Lookup(f.path...); ok && v != nil && v != false {
			set = append(set, f.name)
		}
	}
	if len(set) == 0 {
		return ""
	}
	return fmt.Sprintf("the stored config asks for %s; an update would set it off again", strings.Join(set, " and "))
}

func versionNotUnderstood(s *subject) string {
	switch v := s.doc.KubernetesVersion(); {
	case s.versionErr != nil:
		return s.versionErr.Error()
	case !strings.Contains(v, "-rancher"):
		// rancher v2.9.1 pkg/api/norman/store/cluster/cluster_store.go:1177-1213
		return fmt.Sprintf("kubernetesVersion is %q, not a full version: any update makes Rancher choose one that fits, which may be a newer one", v)
	}
	return ""
}

func deprecatedVersion(s *subject) string {
	if v := s.doc.KubernetesVersion(); slices.Contains(s.deprecated, v) {
		return fmt.Sprintf("Rancher has %s in its list of deprecated versions and refuses every update", v)
	}
	return ""
}

func nodesUnseen(s *subject) string {
	if !s.nodesUnseen {
		return ""
	}
	return "Rancher refuses to list nodes to this token: whether nodes are cordoned or not Ready is not known"
}

func nodesCordoned(s *subject) string {
	var names []string
	for _, n := range s.nodes {
		if n.Unschedulable {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("the roll-out will uncordon %s", enumerate(names))
}

func cloudProviderAWS(s *subject) string {
	name, _ := s.doc.Lookup("cloudProvider", "name")
	leftover, _ := s.doc.Lookup("cloudProvider", "awsCloudProvider")
	switch {
	case name == "aws":
		return "cloud_provider is aws, which RKE refuses from Kubernetes 1.27 on"
	case leftover != nil:
		return fmt.Sprintf("cloud_provider is %q but an awsCloudProvider object is left over: RKE takes that for aws, which it refuses from Kubernetes 1.27 on", name)
	}
	return ""
}

func awsRefused(s *subject) string {
	if s.versionErr != nil || s.version.Before(1, 27) {
		return ""
	}
	return cloudProviderAWS(s)
}

func awsWarned(s *subject) string {
	if s.versionErr != nil || !s.version.Before(1, 27) {
		return ""
	}
	return cloudProviderAWS(s)
}

func ecrStaticKeys(s *subject) string {
	if s.cluster.ClusterSecrets["privateRegistryECRSecret"] != "" {
		return "private_registries holds ECR keys (in a secret of Rancher's)"
	}
	registries, _ := s.doc.Lookup("privateRegistries")
	list, _ := registries.([]any)
	for _, r := range list {
		m, _ := r.(map[string]any)
		if plugin, ok := m["ecrCredentialPlugin"].(map[string]any); ok && plugin["awsAccessKeyId"] != nil {
			return "private_registries holds ECR keys"
		}
	}
	return ""
}

// bodyMargin is for what an update sends besides today's config.
const bodyMargin = 16 << 10

// rancher v2.9.1 pkg/controllers/management/secretmigrator/clusters.go:133-151. A
// registry that takes no password loses nothing, but a GET does not tell which
// it is.
func registryWithoutUser(s *subject) string {
	if s.cluster.ClusterSecrets["privateRegistrySecret"] == "" {
		return ""
	}
	registries, _ := s.doc.Lookup("privateRegistries")
	list, _ := registries.([]any)
	var urls []string
	for _, r := range list {
		m, _ := r.(map[string]any)
		if user, _ := m["user"].(string); user == "" && m["ecrCredentialPlugin"] == nil {
			urls = append(urls, fmt.Sprint(m["url"]))
		}
	}
	if len(urls) == 0 {
		return ""
	}
	return fmt.Sprintf("%s has no user: if Rancher holds a password for it, any update wipes it", enumerate(urls))
}

func bodyTooLarge(s *subject) string {
	if n := len(s.cluster.Config); n > rancher.MaxBodyBytes-bodyMargin {
		return fmt.Sprintf("the config alone has %d bytes, Rancher accepts %d for the whole update", n, rancher.MaxBodyBytes)
	}
	return ""
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// enumerate names up to five things and counts the rest.
func enumerate(names []string) string {
	slices.Sort(names)
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
}
