package fleet

import (
	"slices"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

const (
	v123 = "v1.23.17-rancher1-1"
	v125 = "v1.25.16-rancher2-3"
	v126 = "v1.26.15-rancher1-1"
	v127 = "v1.27.16-rancher1-1"
	v128 = "v1.28.12-rancher1-1"
	v130 = "v1.30.14-rancher1-1"
	v131 = "v1.31.13-rancher1-1"
)

type object = map[string]any

// findingCase is a cluster that has a finding and one that differs only in what
// the finding is about and has it not. Ids are filled in.
type findingCase struct {
	code     string
	note     string // where a code has several cases
	severity rkeconfig.Severity
	gist     []string // words of the message
	has, not simrancher.Cluster
	server   func(*simrancher.Server)
	planner  func(*Planner)
	token    *simrancher.Token // instead of the administrator's
	everyone bool              // it is about the token, so the neighbour has it, too
	revert   bool              // not a plan: taking the patch back from a cluster that had nothing before
}

const (
	hasID = "c-hasit"
	notID = "c-hasnt"
)

func args(pairs ...string) object {
	m := object{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func withArgs(pairs ...string) simrancher.Cluster {
	return simrancher.Cluster{Kubelet: object{"extraArgs": args(pairs...)}}
}

func withBinds(binds ...any) simrancher.Cluster {
	return simrancher.Cluster{Kubelet: object{"extraBinds": binds}}
}

func withConfig(config object) simrancher.Cluster { return simrancher.Cluster{Config: config} }

func at(version string, c simrancher.Cluster) simrancher.Cluster {
	c.KubernetesVersion = version
	return c
}

func withS3(bucket string) simrancher.Cluster {
	return withConfig(object{"services": object{"etcd": object{"backupConfig": object{"enabled": true, "s3BackupConfig": object{"bucketName": bucket, "endpoint": "s3.example.com"}}}}})
}

func withCondition(kind, status, message string) simrancher.Cluster {
	return simrancher.Cluster{Conditions: []simrancher.Condition{{Type: kind, Status: status, Message: message}}}
}

func withConditions(conditions ...simrancher.Condition) simrancher.Cluster {
	return simrancher.Cluster{Conditions: conditions}
}

// withNodes adds nodes to a control plane node and three workers.
func withNodes(extra ...simrancher.Node) simrancher.Cluster {
	return simrancher.Cluster{Nodes: append([]simrancher.Node{
		{Name: "cp-1", ControlPlane: true, Etcd: true}, {Name: "w-1", Worker: true}, {Name: "w-2", Worker: true}, {Name: "w-3", Worker: true},
	}, extra...)}
}

func withStrategy(key, value string, c simrancher.Cluster) simrancher.Cluster {
	c.Config = object{"upgradeStrategy": object{key: value}}
	return c
}

func patchOf(p rkeconfig.Patch) func(*Planner) {
	return func(planner *Planner) { planner.Patch = WithProviderRules(p) }
}

// wanting is for the provider of other registries.
func wanting(kind kubelet.Kind) func(*Planner) {
	return func(planner *Planner) {
		r, _ := kubelet.RegistryByKind(kind)
		planner.Provider, planner.Patch = kind, ProviderPatch(r.BinDir, r.Config)
	}
}

// binDirOf is a patch that sets one of the two provider flags.
func binDirOf(binds ...string) rkeconfig.Patch {
	return rkeconfig.Patch{Args: map[string]string{kubelet.FlagProviderBinDir: kubelet.DefaultBinDir}, Binds: binds}
}

var findingCases = []findingCase{
	{code: "not-rke1", severity: Block, gist: []string{`driver "rke2"`},
		has: simrancher.Cluster{Driver: "rke2"}},
	{code: "not-rke1", note: "Rancher's own cluster", severity: Block, gist: []string{"Rancher itself"},
		has: simrancher.Cluster{Driver: "imported", Internal: true}},
	{code: "not-rke1", note: "imported RKE cluster", severity: Block, gist: []string{`driver "imported"`},
		has: simrancher.Cluster{Driver: "imported", Status: object{"provider": "rke"}}},
	{code: "answer-not-understood", severity: Block, gist: []string{"nodeVersion"},
		server: func(s *simrancher.Server) {
			s.Inject(simrancher.Fault{Path: "/v3/clusters", Status: 200, Body: `{"type":"collection","data":[
				{"id":"` + hasID + `","name":"` + hasID + `","driver":"rancherKubernetesEngine","nodeVersion":"three"},
				{"id":"` + notID + `","name":"` + notID + `","driver":"rancherKubernetesEngine","nodeVersion":3}]}`})
		}},
	{code: "config-not-understood", note: "no config at all", severity: Block, gist: []string{"no rancherKubernetesEngineConfig"},
		has: simrancher.Cluster{Status: object{"rancherKubernetesEngineConfig": nil}}},

	{code: "no-update-permission", severity: Block, gist: []string{"no update link"},
		token: &simrancher.Token{Key: "token-half:0123456789abcdef", User: "user-half", Owner: []string{notID}, Member: []string{hasID}}},
	{code: "name-refused", severity: Block, gist: []string{`"Legacy Prod"`, "422"},
		has: simrancher.Cluster{Name: "Legacy Prod"}, not: simrancher.Cluster{Name: "legacy-prod"}},
	{code: "template-cluster", severity: Info, gist: []string{"revision r1", "1 cluster(s)", "200"},
		has: simrancher.Cluster{Revision: "cattle-global-data:ctr-std01"},
		server: func(s *simrancher.Server) {
			s.AddRevision(simrancher.Revision{ID: "cattle-global-data:ctr-std01", Template: "cattle-global-data:ct-std00", Name: "r1"})
		}},
	{code: "template-revision-empty", severity: Block, gist: []string{"empty string", "422"},
		has: simrancher.Cluster{Status: object{"clusterTemplateRevisionId": ""}}},
	{code: "not-provisioned", severity: Block, gist: []string{"waiting for etcd, controlplane and worker nodes"},
		has: simrancher.Cluster{NeverProvisioned: true}},
	{code: "last-update-failed", severity: Block, gist: []string{"etcd cluster is unhealthy"},
		has: withCondition("Updated", "False", "etcd cluster is unhealthy"), not: withCondition("Updated", "Unknown", "etcd")},
	{code: "last-update-failed", note: "RKE failed early", severity: Block, gist: []string{"at least one etcd plane host"},
		has: withCondition("Provisioned", "False", "Cluster must have at least one etcd plane host"), not: withCondition("Provisioned", "Unknown", "")},
	{code: "last-update-failed", note: "of the workers", severity: Block, gist: []string{"Upgraded is False"},
		has: withCondition("Upgraded", "False", "")},
	{code: "already-updating", severity: Block, gist: []string{"updating worker nodes"},
		has: withCondition("Upgraded", "Unknown", "updating worker nodes"), not: withCondition("Upgraded", "False", "updating worker nodes")},
	{code: "already-updating", note: "control plane", severity: Block, gist: []string{"working on it"},
		has: withCondition("Updated", "Unknown", "")},
	{code: "cluster-unreachable", severity: Block, gist: []string{"Cluster agent is not connected"},
		has: withCondition("Ready", "False", "Cluster agent is not connected"), not: withCondition("Waiting", "False", "agent")},
	{code: "cluster-unreachable", note: "agent", severity: Block, gist: []string{"Connected is False"},
		has: withCondition("Connected", "False", "")},
	{code: "state-not-understood", severity: Block, gist: []string{`state "waiting"`, "for a permit"},
		has: withCondition("Waiting", "False", "for a permit"), not: withCondition("Ready", "False", "explained otherwise")},
	{code: "secrets-not-migrated", severity: Block, gist: []string{"SecretsMigrated"},
		has: simrancher.Cluster{Unmigrated: true}},
	{code: "secrets-not-migrated", note: "only RKE's", severity: Block, gist: []string{"RKESecretsMigrated"},
		has: withConditions(simrancher.Condition{Type: "RKESecretsMigrated"})},
	{code: "secrets-not-migrated", note: "only ACI's", severity: Block, gist: []string{"ACISecretsMigrated"},
		has: withCondition("ACISecretsMigrated", "False", "")},
	{code: "transient-flags", note: "restore", severity: Block, gist: []string{"asks for restore;"},
		has: withConfig(object{"restore": object{"restore": true, "snapshotName": "s"}}), not: withConfig(object{"restore": object{"restore": false, "snapshotName": "s"}})},
	{code: "transient-flags", note: "two at once", severity: Block, gist: []string{"asks for rotateEncryptionKey and rotateCertificates;"},
		has: withConfig(object{"rotateEncryptionKey": true, "rotateCertificates": object{"caCertificates": true}}), not: withConfig(object{"rotateEncryptionKey": false})},
	{code: "version-not-understood", severity: Block, gist: []string{`"latest"`},
		has: at("latest", simrancher.Cluster{})},
	{code: "version-not-understood", note: "not a full one", severity: Block, gist: []string{`"v1.26.x"`, "full version"},
		has: at("v1.26.x", simrancher.Cluster{})},
	{code: "deprecated-version", severity: Block, gist: []string{v126, "refuses"},
		not:    at(v127, simrancher.Cluster{}),
		server: func(s *simrancher.Server) { s.Setting("k8s-versions-deprecated", `{"`+v126+`":true,"`+v127+`":false}`) }},
	{code: "nodes-not-ready", note: "control plane", severity: Block, gist: []string{"control plane: cp-2 not Ready", "maxUnavailableControlplane 1"},
		has: withNodes(simrancher.Node{Name: "cp-2", ControlPlane: true, NotReady: true}),
		not: withStrategy("maxUnavailableControlplane", "2", withNodes(simrancher.Node{Name: "cp-2", ControlPlane: true, NotReady: true}))},
	{code: "nodes-not-ready", note: "workers", severity: Block, gist: []string{"workers: w-4 not Ready", "maxUnavailableWorker 10%"},
		has: withNodes(simrancher.Node{Name: "w-4", Worker: true, NotReady: true}),
		not: withNodes(simrancher.Node{Name: "etcd-2", Etcd: true, NotReady: true})},
	{code: "nodes-perhaps-not-ready", severity: Warn, gist: []string{"workers: w-4 not Ready", "maxUnavailableWorker 50%"},
		has: withStrategy("maxUnavailableWorker", "50%", withNodes(simrancher.Node{Name: "w-4", Worker: true, NotReady: true})),
		not: withNodes(simrancher.Node{Name: "w-4", Worker: true, NotReady: true})},
	{code: "nodes-cordoned", severity: Warn, gist: []string{"uncordon w-4, w-5"},
		has: withNodes(simrancher.Node{Name: "w-5", Worker: true, Cordoned: true}, simrancher.Node{Name: "w-4", Worker: true, Cordoned: true}),
		not: withNodes(simrancher.Node{Name: "w-4", Worker: true, NotReady: true})},
	{code: "cloud-provider-aws-refused", severity: Block, gist: []string{"cloud_provider is aws"},
		has: at(v127, withConfig(object{"cloudProvider": object{"name": "aws"}})), not: at(v126, withConfig(object{"cloudProvider": object{"name": "aws"}}))},
	{code: "cloud-provider-aws-refused", note: "a leftover", severity: Block, gist: []string{"external-aws", "left over"},
		has: at(v127, withConfig(object{"cloudProvider": object{"name": "external-aws", "awsCloudProvider": object{}}})),
		not: at(v127, withConfig(object{"cloudProvider": object{"name": "external-aws"}}))},
	{code: "cloud-provider-aws", severity: Warn, gist: []string{"1.27"},
		has: at(v126, withConfig(object{"cloudProvider": object{"name": "aws"}})), not: at(v127, withConfig(object{"cloudProvider": object{"name": "aws"}}))},
	{code: "ecr-static-keys", severity: Warn, gist: []string{"ECR keys"},
		has: withConfig(object{"privateRegistries": []any{object{"url": "1.dkr.ecr.eu-central-1.amazonaws.com", "ecrCredentialPlugin": object{"awsAccessKeyId": "AKIA", "awsSecretAccessKey": "ecr-secret"}}}}),
		not: withConfig(object{"privateRegistries": []any{object{"url": "registry.example.com", "user": "ci", "password": "not-ecr"}}})},
	{code: "registry-without-user", severity: Warn, gist: []string{"quay.example.com", "wipes"},
		has: withConfig(object{"privateRegistries": []any{object{"url": "registry.example.com", "user": "ci", "password": "kept"}, object{"url": "quay.example.com", "password": "token-only"}}}),
		not: withConfig(object{"privateRegistries": []any{object{"url": "registry.example.com", "user": "ci", "password": "kept"}}})},
	{code: "body-too-large", severity: Block, gist: []string{"2097152"},
		has: simrancher.Cluster{Status: object{"rancherKubernetesEngineConfig": object{"addons": strings.Repeat("x", rancher.MaxBodyBytes)}}},
		not: withConfig(object{"addons": "# x"})},

	{code: "nodes-unseen", severity: Warn, gist: []string{"refuses to list nodes"},
		server: func(s *simrancher.Server) { s.Inject(simrancher.Fault{Path: "/v3/nodes", Status: 403}) }, everyone: true},
	{code: "ecr-plugin-dropped", severity: Warn, gist: []string{"without keys"},
		has: withConfig(object{"privateRegistries": []any{object{"url": "1.dkr.ecr.eu-central-1.amazonaws.com", "ecrCredentialPlugin": object{}}}}),
		not: withConfig(object{"privateRegistries": []any{object{"url": "1.dkr.ecr.eu-central-1.amazonaws.com"}}})},
	{code: "ecr-plugin-crash", severity: Block, gist: []string{"crashes"},
		has: withConfig(object{"privateRegistries": []any{
			object{"url": "1.dkr.ecr.eu-central-1.amazonaws.com", "ecrCredentialPlugin": object{"awsAccessKeyId": "AKIA", "awsSecretAccessKey": "ecr-secret"}},
			object{"url": "2.dkr.ecr.eu-central-1.amazonaws.com", "ecrCredentialPlugin": object{}}}}),
		not: withConfig(object{"privateRegistries": []any{object{"url": "2.dkr.ecr.eu-central-1.amazonaws.com", "ecrCredentialPlugin": object{}}}})},
	{code: "cri-dockerd-switched", severity: Warn, gist: []string{"enable_cri_dockerd"},
		has: withConfig(object{"enableCriDockerd": false}), not: withConfig(object{"enableCriDockerd": true})},
	{code: "s3-checked", severity: Block, gist: []string{"bucket"},
		has: withS3(" backups"), not: withS3("backups")},
	{code: "rancher-rewrites", severity: Info, gist: []string{"enableCriDockerd"},
		has: withConfig(object{"enableCriDockerd": false}), not: withConfig(object{"enableCriDockerd": true})},
	{code: "rancher-pinned", severity: Info, gist: []string{"cloudProvider.useInstanceMetadataHostname"},
		has: withConfig(object{"cloudProvider": object{"name": "external-aws"}}), not: withConfig(object{"cloudProvider": object{"name": "external-aws", "useInstanceMetadataHostname": false}})},

	{code: "arg-conflict", severity: Block, gist: []string{"max-pods", `"110"`, `"200"`},
		has: withArgs("max-pods", "110"), not: withArgs("max-pods", "200"),
		planner: patchOf(rkeconfig.Patch{Args: map[string]string{"max-pods": "200"}})},
	{code: "arg-in-array", severity: Block, gist: []string{"extra_args_array", kubelet.FlagProviderBinDir},
		has: simrancher.Cluster{Kubelet: object{"extraArgsArray": object{kubelet.FlagProviderBinDir: []any{"/opt/aws/bin"}}}},
		not: simrancher.Cluster{Kubelet: object{"extraArgsArray": object{"node-labels": []any{"a=b"}}}}},
	{code: "arg-misspelt", severity: Block, gist: []string{`"--Image-credential_provider-config"`},
		has: withArgs("--Image-credential_provider-config", "/x"), not: withArgs("--max-pods", "110")},
	{code: "bind-conflict", severity: Block, gist: []string{"/opt/aws/bin", "/srv/bin"},
		has: withBinds("/srv/bin:/opt/aws/bin:ro"), not: withBinds("/srv/bin:/opt/aws/elsewhere:ro")},
	{code: "bind-duplicate", severity: Block, gist: []string{`"/a:/data"`, `"/b:/data"`},
		has: withBinds("/a:/data", "/b:/data"), not: withBinds("/a:/data", "/a:/data")},
	{code: "bind-mode", severity: Warn, gist: []string{`"/opt/aws/bin:/opt/aws/bin"`, "left as it is"},
		has: withBinds("/opt/aws/bin:/opt/aws/bin"), not: withBinds("/opt/aws/bin:/opt/aws/bin:ro")},
	{code: "bind-not-needed", severity: Info, gist: []string{"/var/lib/kubelet"},
		not:     withConfig(object{"prefixPath": "/opt/rke"}),
		planner: patchOf(rkeconfig.Patch{Binds: []string{"/var/lib/kubelet/ecr:/var/lib/kubelet/ecr:ro"}})},
	{code: "bind-not-understood", severity: Block, gist: []string{"relative"},
		has: withBinds("relative:path"), not: withBinds("/relative:/path")},
	{code: "bind-prefix", severity: Warn, gist: []string{"/opt/rke/etc/kubernetes/ecr"},
		not:     withConfig(object{"prefixPath": "/opt/rke"}),
		planner: patchOf(rkeconfig.Patch{Binds: []string{"/etc/kubernetes/ecr:/etc/kubernetes/ecr:ro"}})},
	{code: "bind-shadows", severity: Block, gist: []string{"/usr/local/bin", "would hide"},
		not:     withBinds("/usr/local/bin:/usr/local/bin:ro"),
		planner: patchOf(rkeconfig.Patch{Binds: []string{"/usr/local/bin:/usr/local/bin:ro"}})},
	{code: "not-understood", severity: Block, gist: []string{"services.kubelet.extraBinds", "a string"},
		server: func(s *simrancher.Server) {
			s.Inject(answeringClusters(
				rawCluster(hasID, `{"kubernetesVersion":"`+v126+`","services":{"kubelet":{"extraBinds":"/a:/a"}}}`),
				rawCluster(notID, `{"kubernetesVersion":"`+v126+`","services":{"kubelet":{"extraBinds":["/a:/a"]}}}`)))
		}},
	{code: "windows-inherits", severity: Block, gist: []string{"win_extra_args"},
		has: simrancher.Cluster{Windows: true},
		not: simrancher.Cluster{Windows: true, Kubelet: object{"winExtraArgs": args("v", "2"), "winExtraBinds": []any{`c:\data:c:\data`}}}},
	{code: "windows-inherits", note: "since an earlier merge", severity: Block, gist: []string{"win_extra_args"},
		has:     simrancher.Cluster{Windows: true, Kubelet: object{"extraArgs": args("max-pods", "200")}},
		not:     simrancher.Cluster{Windows: true, Kubelet: object{"extraArgs": args("max-pods", "200"), "winExtraArgs": args("v", "")}},
		planner: patchOf(rkeconfig.Patch{Args: map[string]string{"max-pods": "200"}})},
	{code: "changed-since", severity: Block, gist: []string{kubelet.FlagProviderBinDir, `"/opt/elsewhere"`}, revert: true,
		has: withArgs(kubelet.FlagProviderBinDir, "/opt/elsewhere", kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig),
		not: withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig)},
	{code: "half-configured", severity: Warn, gist: []string{"only one of the two provider flags"},
		has: withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir),
		not: withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig)},
	{code: "provider-incomplete", severity: Block, gist: []string{"only one of the two provider flags"},
		not:     withArgs(kubelet.FlagProviderConfig, "/opt/aws/bin/config.yaml"),
		planner: patchOf(binDirOf("/opt/aws/bin:/opt/aws/bin:ro"))},
	{code: "provider-incomplete", note: "and was so before", severity: Block, gist: []string{"only one of the two provider flags"},
		has:     withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir),
		not:     withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, "/var/lib/rancher/config.yaml"),
		planner: patchOf(binDirOf())},
	{code: "provider-not-mounted", severity: Block, gist: []string{"nothing mounts", kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig},
		not:     withBinds("/opt/aws/config:/opt/aws/config:ro"),
		planner: patchOf(rkeconfig.Patch{Args: ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig).Args, Binds: []string{"/opt/aws/bin:/opt/aws/bin:ro"}})},
	{code: "provider-not-mounted", note: "and was so before", severity: Block, gist: []string{kubelet.FlagProviderBinDir, kubelet.DefaultBinDir},
		has:     withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig),
		not:     simrancher.Cluster{Kubelet: object{"extraArgs": args(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig), "extraBinds": []any{"/opt/aws:/opt/aws"}}},
		planner: patchOf(rkeconfig.Patch{Args: ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig).Args})},
	{code: "provider-already-configured", severity: Block, gist: []string{"another credential provider config"},
		has: withArgs(kubelet.FlagProviderBinDir, "/opt/gcr/bin", kubelet.FlagProviderConfig, "/opt/gcr/config.yaml"),
		not: withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig)},
	{code: "provider-joins-others", severity: Warn, gist: []string{"/var/lib/rancher/gcr/bin", "/var/lib/rancher/gcr/config.yaml", "only when they start"},
		has:     withArgs(kubelet.FlagProviderBinDir, "/var/lib/rancher/gcr/bin", kubelet.FlagProviderConfig, "/var/lib/rancher/gcr/config.yaml"),
		not:     withArgs(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig),
		planner: func(p *Planner) { p.MergeConfig = true }},

	{code: "kubelet-too-old", severity: Block, gist: []string{"1.23", "alpha"},
		has: at(v123, simrancher.Cluster{}), not: at("v1.24.17-rancher1-1", simrancher.Cluster{})},
	{code: "provider-api", severity: Block, gist: []string{"1.25", "v1"},
		has: at(v125, simrancher.Cluster{}), not: at(v126, simrancher.Cluster{})},
	{code: "gate-credential-providers", severity: Block, gist: []string{"KubeletCredentialProviders", "cannot start"},
		has: at(v128, withArgs("feature-gates", "KubeletCredentialProviders=true")), not: at(v127, withArgs("feature-gates", "KubeletCredentialProviders=true"))},
	{code: "gate-gone-in-1.28", severity: Warn, gist: []string{"KubeletCredentialProviders", "1.28"},
		has: at(v127, withArgs("feature-gates", "KubeletCredentialProviders=true")), not: at(v128, withArgs("feature-gates", "KubeletCredentialProviders=true"))},
	{code: "gate-disable-in-tree", severity: Warn, gist: []string{"DisableKubeletCloudCredentialProviders=true"},
		has: withArgs("feature-gates", "A=true,DisableKubeletCloudCredentialProviders=true"), not: withArgs("feature-gates", "A=true")},
	{code: "gate-in-tree-refused", severity: Block, gist: []string{"locked to true", "cannot start"},
		has: at(v131, withArgs("feature-gates", "DisableKubeletCloudCredentialProviders=false")), not: at(v130, withArgs("feature-gates", "DisableKubeletCloudCredentialProviders=false"))},
	{code: "azure-flag-refused", severity: Block, gist: []string{"azure-container-registry-config", "cannot start"},
		has: at(v130, withArgs("azure-container-registry-config", "/etc/kubernetes/cloud-config")), not: at(v128, withArgs("azure-container-registry-config", "/etc/kubernetes/cloud-config"))},
	{code: "azure-flag-gone-in-1.30", severity: Warn, gist: []string{"azure-container-registry-config", "1.30"},
		has: at(v128, withArgs("azure-container-registry-config", "/etc/kubernetes/cloud-config")), not: at(v128, simrancher.Cluster{})},
	{code: "cloud-config-missing", severity: Warn, gist: []string{"no cloud provider"}, planner: wanting(kubelet.ACR),
		not: withConfig(object{"cloudProvider": object{"name": "azure"}})},
	{code: "cloud-config-missing", note: "another cloud's", severity: Warn, gist: []string{`"vsphere"`}, planner: wanting(kubelet.ACR),
		has: withConfig(object{"cloudProvider": object{"name": "vsphere"}}),
		not: withConfig(object{"cloudProvider": object{"name": "custom"}})},
	{code: "in-tree-gone", note: "for GCP", severity: Warn, gist: []string{"1.30", "GCR and Artifact Registry"}, planner: wanting(kubelet.GCP),
		has: at(v130, simrancher.Cluster{}), not: at(v128, simrancher.Cluster{})},
	{code: "in-tree-masks", note: "for GCP", severity: Info, gist: []string{"GCR and Artifact Registry login answers first"}, planner: wanting(kubelet.GCP),
		has: at(v128, simrancher.Cluster{}), not: at(v130, simrancher.Cluster{})},
	{code: "in-tree-masks", severity: Info, gist: []string{"built-in ECR login answers first"},
		has: at(v126, simrancher.Cluster{}), not: at(v127, simrancher.Cluster{})},
	{code: "in-tree-gone", severity: Warn, gist: []string{"no basic auth credentials"},
		has: at(v127, simrancher.Cluster{}), not: at(v126, simrancher.Cluster{})},
}

func TestFindings(t *testing.T) {
	for _, tt := range findingCases {
		t.Run(strings.TrimSuffix(tt.code+" "+tt.note, " "), func(t *testing.T) {
			r := newRig(t)
			if tt.server != nil {
				tt.server(r.sim)
			}
			tt.has.ID, tt.not.ID = hasID, notID
			r.sim.AddCluster(tt.has)
			r.sim.AddCluster(tt.not)
			if tt.planner != nil {
				tt.planner(r.planner)
			}
			if tt.token != nil {
				r.sim.AddToken(*tt.token)
				r.as(tt.token.Key)
			}
			found := findingsOf(r, tt.revert)
			if f, ok := find(found[notID], tt.code); ok && !tt.everyone {
				t.Errorf("the neighbour has it, too: %s", f.Message)
			}
			f, ok := find(found[hasID], tt.code)
			if !ok {
				t.Fatalf("%v, want %s", found[hasID], tt.code)
			}
			if f.Severity != tt.severity {
				t.Errorf("severity %s, want %s", f.Severity, tt.severity)
			}
			for _, word := range tt.gist {
				if !strings.Contains(f.Message, word) {
					t.Errorf("the message does not say %q: %s", word, f.Message)
				}
			}
			if f.Todo == "" && f.Severity != Info {
				t.Errorf("nothing to do about: %s", f.Message)
			}
		})
	}
}

// findingsOf gives the findings of both clusters, by id. A cluster is blocked
// when one of its findings says so and only then.
func findingsOf(r *rig, revert bool) map[string][]Finding {
	r.t.Helper()
	found := map[string][]Finding{}
	if revert {
		for _, id := range []string{hasID, notID} {
			now, err := rkeconfig.NewDocument(r.sim.Stored(id)["rancherKubernetesEngineConfig"].(object))
			if err != nil {
				r.t.Fatal(err)
			}
			found[id] = rkeconfig.Revert(now, rkeconfig.Document{}, r.planner.Patch, rkeconfig.MergeOptions{}).Findings
		}
		return found
	}
	for _, p := range r.plan(Selection{Names: []string{hasID, notID}}) {
		found[p.ID] = p.Findings
		if worst, _ := p.Worst(); (p.Action == ActionBlocked) != (worst.Severity == Block) {
			r.t.Errorf("%s: action %s although the worst is %s %s", p.ID, p.Action, worst.Severity, worst.Code)
		}
	}
	return found
}

func find(findings []Finding, code string) (Finding, bool) {
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Code == code })
	if i < 0 {
		return Finding{}, false
	}
	return findings[i], true
}

// templateTested reports whether a finding about RKE templates has its test in template_test.go or templatereview_test.go.
func templateTested(code string) bool {
	for _, c := range templateCases {
		if c.code == code {
			return true
		}
	}
	return slices.Contains([]string{templateNoWayBack.Code, templateOneWay.Code, templateBehind.Code, templateStrategy.Code, "template-enforced"}, code)
}

// A code without a case is one that nobody has ever seen.
func TestEveryFindingHasACase(t *testing.T) {
	severities := map[string]rkeconfig.Severity{}
	for _, f := range Catalogue() {
		if _, twice := severities[f.Code]; twice {
			t.Errorf("%s is listed twice", f.Code)
		}
		severities[f.Code] = f.Severity
		if rollbackCases[f.Code] == nil && !templateTested(f.Code) && !slices.ContainsFunc(findingCases, func(c findingCase) bool { return c.code == f.Code }) {
			t.Errorf("%s has no case in this file", f.Code)
		}
		if f.Message == "" || f.Todo == "" {
			t.Errorf("%s: the catalogue lacks its meaning or what to do", f.Code)
		}
	}
	for _, c := range findingCases {
		if s, ok := severities[c.code]; !ok || s != c.severity {
			t.Errorf("%s: case with %s, the catalogue has %s (known %v)", c.code, c.severity, s, ok)
		}
	}
}
