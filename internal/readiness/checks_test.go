package readiness

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/internal/pulls"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

const ecrHost = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

// providerConfig serves what the patterns say.
func providerConfig(patterns ...string) []byte {
	text := "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr-credential-provider\n" +
		"  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  defaultCacheDuration: 12h\n  matchImages:\n"
	for _, p := range patterns {
		text += fmt.Sprintf("  - %q\n", p)
	}
	return []byte(text)
}

func lookedAt(configs ...[]byte) *fleet.ClusterNodes {
	out := &fleet.ClusterNodes{ForVersion: "1.27"}
	for i, config := range configs {
		out.Nodes = append(out.Nodes, nodes.NodeReport{
			Name: fmt.Sprint("w-", i), OS: "linux", Version: "v1.26.15", Ready: true,
			Provider: &kubelet.Provider{ConfigState: kubelet.PathRegular, Config: config},
		})
	}
	return out
}

func document(t *testing.T, version string, args map[string]any) rkeconfig.Document {
	t.Helper()
	doc, err := rkeconfig.NewDocument(map[string]any{
		"kubernetesVersion": version, "services": map[string]any{"kubelet": map[string]any{"extraArgs": args}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var bothFlags = map[string]any{kubelet.FlagProviderConfig: kubelet.DefaultProviderConfig, kubelet.FlagProviderBinDir: kubelet.DefaultBinDir}

// readyFacts is a cluster on 1.26 that uses ECR, is patched, and has nothing in its way
// to 1.27.
func readyFacts(t *testing.T) *facts {
	f := &facts{
		target:  kubelet.Version{Major: 1, Minor: 27},
		plan:    &fleet.ClusterPlan{ID: "c-1", Name: "prod", State: "active", KubernetesVersion: "v1.26.15-rancher1-1"},
		cluster: &rancher.Cluster{ID: "c-1", Driver: rancher.DriverRKE},
		offered: []string{"v1.26.15-rancher1-1", "v1.27.16-rancher1-1"},
		use:     &pulls.Use{Registries: []pulls.Registry{{Host: ecrHost, Kind: kubelet.ECR, Pods: 3, Repositories: []string{ecrHost + "/shop/web"}}}},
		nodes:   []*rancher.Node{{Name: "cp-1", KubeletVersion: "v1.26.15", OS: "linux"}, {Name: "w-1", KubeletVersion: "v1.26.15", OS: "linux"}},
		look:    lookedAt(providerConfig("*.dkr.ecr.*.amazonaws.com")),
	}
	f.runs(t, "v1.26.15-rancher1-1", bothFlags)
	return f
}

// runs gives the cluster another version and other kubelet arguments.
func (f *facts) runs(t *testing.T, version string, args map[string]any) {
	f.doc = document(t, version, args)
	f.plan.KubernetesVersion = version
	f.args = fleet.KubeletArgs(f.doc)
	f.own, f.ownErr = kubelet.ParseVersion(version)
	for _, n := range f.nodes {
		n.KubeletVersion = version
	}
}

func (f *facts) without(t *testing.T) {
	f.runs(t, f.plan.KubernetesVersion, nil)
}

func (f *facts) unused() {
	f.use = &pulls.Use{Registries: []pulls.Registry{{Host: "docker.io", Pods: 7}}}
}

func (f *facts) finds(code string, severity rkeconfig.Severity) {
	f.plan.Findings = append(f.plan.Findings, fleet.Finding{Code: code, Severity: severity, Message: "what is wrong with " + code, Todo: "mend " + code})
}

func registry(kind kubelet.Kind, host string, users, covered, unsure int) pulls.Registry {
	return pulls.Registry{Host: host, Kind: kind, Pods: users, Covered: covered, Unsure: unsure, Repositories: []string{host + "/a"}}
}

// Each row is a cluster that is ready but for one thing.
func TestChecks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*testing.T, *facts)
		check   string
		status  Status
		message string // part of it
		verdict Status
	}{
		{"all is well", func(*testing.T, *facts) {}, checkRegistries, Ready, "3 pods from " + ecrHost + " (ECR)", Ready},

		// What it pulls.
		{"nothing of ECR, not patched", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.look = nil }, checkRegistries, Ready, "nothing is pulled from a registry", Ready},
		{"nothing of ECR: the patch does not matter", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.look = nil }, checkPatched, NotApplicable, "no workload needs", Ready},
		{"nothing of ECR: the nodes do not matter", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.look = nil }, checkNodes, NotApplicable, "", Ready},
		{"nothing of ECR, patched all the same", func(_ *testing.T, f *facts) { f.unused(); f.look = nil; f.unlooked = "asleep" }, checkNodes, Unknown, "asleep", Unknown},
		{"what it pulls cannot be read", func(_ *testing.T, f *facts) { f.use, f.useErr = nil, errors.New("no connection") }, checkRegistries, Unknown, "no connection", Unknown},
		{"one list cannot be read", func(_ *testing.T, f *facts) { f.use.Gaps = []string{"its cronjobs cannot be listed: forbidden"} }, checkRegistries, Unknown, "cronjobs cannot be listed", Unknown},
		{"one list cannot be read, nothing of ECR in the others, not patched", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.use.Gaps = []string{"gap"} }, checkPatched, Unknown, "whether one is needed is not known", Unknown},
		{"all have pull secrets, not patched", func(t *testing.T, f *facts) {
			f.without(t)
			f.use.Registries[0].Covered = 3
		}, checkRegistries, Ready, "ECR's expire after 12 hours: something must renew it", Ready},
		{"one has no pull secret, not patched", func(t *testing.T, f *facts) { f.without(t); f.use.Registries[0].Covered = 2 }, checkPatched, NotReady, "not told of a provider", NotReady},
		{"what the pull secrets are for is not known, not patched", func(t *testing.T, f *facts) {
			f.without(t)
			f.use.Registries[0].Unsure, f.use.SecretGaps = 3, []string{"secrets cannot be listed"}
		}, checkRegistries, Unknown, "secrets cannot be listed", Unknown},
		{"what the pull secrets are for is not known, patched", func(_ *testing.T, f *facts) {
			f.use.Registries[0].Unsure, f.use.SecretGaps = 3, []string{"secrets cannot be listed"}
		}, checkRegistries, Ready, "", Ready},
		{"ACR keeps its login up to 1.29", func(_ *testing.T, f *facts) {
			f.use.Registries = append(f.use.Registries, registry(kubelet.ACR, "team.azurecr.io", 2, 0, 0))
		}, checkServed, Ready, "", Ready},
		{"ACR has lost its login by 1.30", func(t *testing.T, f *facts) {
			f.toNext(t, 29)
			f.use.Registries = append(f.use.Registries, registry(kubelet.ACR, "team.azurecr.io", 2, 0, 0))
		}, checkServed, Unknown, "no pattern for team.azurecr.io", Unknown},
		{"GCP with pull secrets at 1.31", func(t *testing.T, f *facts) {
			f.toNext(t, 30)
			f.use.Registries = append(f.use.Registries, registry(kubelet.GCP, "gcr.io", 2, 2, 0))
		}, checkServed, Ready, "", Ready},
		{"GCP at 1.31, not patched, nothing of ECR", func(t *testing.T, f *facts) {
			f.toNext(t, 30)
			f.without(t)
			f.use.Registries = []pulls.Registry{registry(kubelet.GCP, "gcr.io", 2, 0, 0)}
		}, checkPatched, Unknown, "whether one is needed is not known", Unknown},

		// What serves it.
		{"a pattern is missing", func(_ *testing.T, f *facts) {
			f.use.Registries = append(f.use.Registries, registry(kubelet.ECR, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", 1, 0, 0))
		}, checkServed, NotReady, "no pattern for 123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", NotReady},
		{"a pattern is missing on one node", func(_ *testing.T, f *facts) {
			f.look = lookedAt(providerConfig("*.dkr.ecr.*.amazonaws.com"), providerConfig("*.dkr.ecr.*.amazonaws.com.cn"))
		}, checkServed, NotReady, "no pattern for " + ecrHost, NotReady},
		{"a pattern for some repositories, and there are more than were kept", func(_ *testing.T, f *facts) {
			f.look = lookedAt(providerConfig(ecrHost + "/shop"))
			f.use.Registries[0].Truncated = true
		}, checkServed, NotReady, "", NotReady},
		{"a pattern for the repositories that are used", func(_ *testing.T, f *facts) { f.look = lookedAt(providerConfig(ecrHost + "/shop")) }, checkServed, Ready, "", Ready},
		{"one config was not seen", func(_ *testing.T, f *facts) { f.look.Nodes[0].Provider = nil }, checkServed, Unknown, "the config of 1 node was not seen", Unknown},
		{"Windows nodes have no config", func(_ *testing.T, f *facts) {
			f.look.Nodes = append(f.look.Nodes, nodes.NodeReport{Name: "win", OS: "windows"})
		}, checkServed, Ready, "", Ready},
		{"another provider's config serves ECR", func(t *testing.T, f *facts) {
			f.runs(t, "v1.26.15-rancher1-1", map[string]any{kubelet.FlagProviderConfig: "/etc/other.yaml", kubelet.FlagProviderBinDir: "/opt/other"})
			f.finds("provider-already-configured", fleet.Block)
		}, checkPatched, Ready, "/etc/other.yaml", Ready},

		// The nodes.
		{"a kubelet would not start", func(_ *testing.T, f *facts) {
			f.look.Findings = []fleet.Finding{{Code: "kubelet-will-refuse", Severity: fleet.Block, Message: "a 1.30 kubelet would exit"}}
		}, checkNodes, NotReady, "a 1.30 kubelet would exit", NotReady},
		{"a kubelet would not start, and perhaps nobody needs the provider", func(t *testing.T, f *facts) {
			f.without(t)
			f.use.Gaps = []string{"gap"}
			f.use.Registries = nil
			f.look.Findings = []fleet.Finding{{Code: "kubelet-refuses", Severity: fleet.Block, Message: "no such directory"}}
		}, checkNodes, Unknown, "no such directory", Unknown},
		{"a node was not seen", func(_ *testing.T, f *facts) {
			f.look.Findings = []fleet.Finding{{Code: "pod-forbidden", Severity: fleet.Block, Message: "the token may not create pods"}}
		}, checkNodes, Unknown, "may not create pods", Unknown},
		{"wrong outranks unseen", func(_ *testing.T, f *facts) {
			f.look.Findings = []fleet.Finding{{Code: "pod-forbidden", Severity: fleet.Block, Message: "unseen"}, {Code: "binary-api", Severity: fleet.Block, Message: "wrong"}}
		}, checkNodes, NotReady, "wrong", NotReady},
		{"what is only odd on a node", func(_ *testing.T, f *facts) {
			f.look.Findings = []fleet.Finding{{Code: "pattern-public-ecr", Severity: fleet.Info}, {Code: "pattern-too-wide", Severity: fleet.Warn}}
		}, checkNodes, Ready, "1 Linux node", Ready},
		{"no node at all", func(_ *testing.T, f *facts) { f.look.Nodes = nil }, checkNodes, Unknown, "no Linux node was seen", Unknown},

		// The kubelets.
		{"a worker was left behind", func(_ *testing.T, f *facts) { f.nodes[1].KubeletVersion = "v1.24.17" }, checkKubelets, NotReady, "w-1 (v1.24.17)", NotReady},
		{"a worker is ahead", func(_ *testing.T, f *facts) { f.nodes[1].KubeletVersion = "v1.27.1" }, checkKubelets, NotReady, "w-1 (v1.27.1)", NotReady},
		{"a node has not joined", func(_ *testing.T, f *facts) { f.nodes[1].KubeletVersion = "" }, checkKubelets, Unknown, "of w-1", Unknown},
		{"nodes cannot be listed", func(_ *testing.T, f *facts) { f.nodes, f.nodesErr = nil, errors.New("forbidden") }, checkKubelets, Unknown, "forbidden", Unknown},
		{"no nodes", func(_ *testing.T, f *facts) { f.nodes = nil }, checkKubelets, Unknown, "lists no nodes", Unknown},

		// The patch.
		{"not patched", func(t *testing.T, f *facts) { f.without(t) }, checkPatched, NotReady, "not told of a provider", NotReady},
		{"half patched", func(t *testing.T, f *facts) {
			f.runs(t, "v1.26.15-rancher1-1", map[string]any{kubelet.FlagProviderBinDir: "/opt/aws/bin"})
		}, checkPatched, NotReady, "only one of the two", NotReady},
		{"half patched, and nothing of ECR", func(t *testing.T, f *facts) {
			f.unused()
			f.runs(t, "v1.26.15-rancher1-1", map[string]any{kubelet.FlagProviderBinDir: "/opt/aws/bin"})
		}, checkPatched, NotReady, "only one of the two", NotReady},
		{"patched, not rolled out", func(_ *testing.T, f *facts) {
			f.look.Findings = []fleet.Finding{{Code: "rancher-not-applied", Severity: fleet.Block, Message: "not applied"}}
		}, checkPatched, NotReady, "not applied", NotReady},
		{"patched, a conflict with a patch of other paths", func(_ *testing.T, f *facts) { f.finds("arg-conflict", fleet.Block) }, checkPatched, Ready, "", Ready},
		{"not patched, a conflict", func(t *testing.T, f *facts) { f.without(t); f.finds("arg-conflict", fleet.Block) }, checkPatched, NotReady, "", NotReady},
		{"perhaps to be patched, a conflict", func(t *testing.T, f *facts) {
			f.without(t)
			f.use = nil
			f.useErr = errors.New("x")
			f.finds("arg-conflict", fleet.Block)
		}, checkPatched, Unknown, "", Unknown},
		{"patched, and nothing mounts the files", func(_ *testing.T, f *facts) { f.finds("provider-not-mounted", fleet.Block) }, checkPatched, NotReady, "provider-not-mounted", NotReady},

		// New nodes.
		{"nodes from templates that are prepared", func(_ *testing.T, f *facts) { f.pooled = true }, checkNewNodes, Ready, "bring the provider", Ready},
		{"nodes from templates that are not", func(_ *testing.T, f *facts) {
			f.pooled = true
			f.finds("new-nodes-unprepared", fleet.Warn)
		}, checkNewNodes, NotReady, "new-nodes-unprepared", NotReady},
		{"nodes from templates, and nothing of ECR", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.pooled = true }, checkNewNodes, NotApplicable, "", Ready},

		// Arguments and gates.
		{"a gate that is gone", func(t *testing.T, f *facts) {
			f.toNext(t, 27)
			f.runs(t, "v1.27.16-rancher1-1", with(bothFlags, "feature-gates", "KubeletCredentialProviders=true"))
		}, checkFlags, NotReady, "KubeletCredentialProviders", NotReady},
		{"the same gate before it is gone", func(t *testing.T, f *facts) {
			f.runs(t, "v1.26.15-rancher1-1", with(bothFlags, "feature-gates", "KubeletCredentialProviders=true"))
		}, checkFlags, Ready, "", Ready},
		{"a flag that is gone", func(t *testing.T, f *facts) {
			f.runs(t, "v1.26.15-rancher1-1", with(bothFlags, "container-runtime", "remote"))
		}, checkFlags, NotReady, "--container-runtime is gone from 1.27 on", NotReady},
		{"gates and flags matter without ECR, too", func(t *testing.T, f *facts) {
			f.unused()
			f.runs(t, "v1.26.15-rancher1-1", map[string]any{"master-service-namespace": "x"})
		}, checkFlags, NotReady, "--master-service-namespace", NotReady},

		// RKE's own.
		{"cloud provider aws", func(_ *testing.T, f *facts) { f.finds("cloud-provider-aws", fleet.Warn) }, checkCloud, NotReady, "", NotReady},
		{"Windows nodes get the Linux flags", func(_ *testing.T, f *facts) { f.finds("windows-inherits", fleet.Block) }, checkWindows, NotReady, "", NotReady},
		{"Windows nodes that may pull from ECR", func(_ *testing.T, f *facts) { f.cluster.WindowsWorkerCount = 1 }, checkWindows, Unknown, "Windows nodes are not looked at", Unknown},
		{"a Windows node that Rancher does not count", func(_ *testing.T, f *facts) { f.nodes[1].OS = "windows" }, checkWindows, Unknown, "", Unknown},
		{"Windows nodes, and nothing of ECR", func(t *testing.T, f *facts) { f.unused(); f.without(t); f.cluster.WindowsWorkerCount = 1 }, checkWindows, Ready, "", Ready},
		{"from a template, not patched", func(t *testing.T, f *facts) {
			f.without(t)
			f.revision("ctr-1")
			f.finds("template-differs", fleet.Block)
		}, checkTemplate, NotReady, "", NotReady},
		{"from a template that has the patch", func(_ *testing.T, f *facts) { f.revision("ctr-1"); f.finds("template-cluster", fleet.Info) }, checkTemplate, Ready, "takes a new revision", Ready},

		// Rancher.
		{"no right to change it", func(_ *testing.T, f *facts) { f.finds("no-update-permission", fleet.Block) }, checkRancher, NotReady, "", NotReady},
		{"the agent is away", func(_ *testing.T, f *facts) { f.finds("cluster-unreachable", fleet.Block) }, checkRancher, Unknown, "", Unknown},
		{"it is gone since the list was read", func(_ *testing.T, f *facts) { f.cluster, f.unread = nil, errors.New("not found") }, checkRancher, Unknown, "not found", Unknown},
		{"another kind of cluster", func(_ *testing.T, f *facts) { f.cluster = nil; f.finds("not-rke1", fleet.Block) }, checkRancher, NotReady, "not-rke1", NotReady},
		{"a cordoned node is no matter", func(_ *testing.T, f *facts) { f.finds("nodes-cordoned", fleet.Warn) }, checkRancher, Ready, "", Ready},
		{"a deprecated version that is left behind", func(_ *testing.T, f *facts) { f.finds("deprecated-version", fleet.Block) }, checkVersion, Ready, "", Ready},
		{"a deprecated version that cannot be patched", func(t *testing.T, f *facts) { f.without(t); f.finds("deprecated-version", fleet.Block) }, checkVersion, NotReady, "", NotReady},
		{"a version that cannot be read", func(t *testing.T, f *facts) { f.runs(t, "banana", bothFlags) }, checkVersion, Unknown, "banana", Unknown},
		{"Rancher does not offer the version", func(_ *testing.T, f *facts) { f.offered = []string{"v1.26.15-rancher1-1", "banana"} }, checkVersion, NotReady, "offers no 1.27", NotReady},
		{"what Rancher offers is not known", func(_ *testing.T, f *facts) { f.offered = nil }, checkVersion, Ready, "", Ready},

		// The order.
		{"on 1.25", func(t *testing.T, f *facts) { f.runs(t, "v1.25.16-rancher2-3", nil) }, checkOrder, NotReady, "first to 1.26: kubelets know the provider API v1", NotReady},
		{"on 1.25, and nothing of ECR", func(t *testing.T, f *facts) { f.unused(); f.runs(t, "v1.25.16-rancher2-3", nil) }, checkOrder, NotReady, "one minor version at a time, so 1.26 comes first", NotReady},
		{"two versions away", func(_ *testing.T, f *facts) { f.target.Minor = 28; f.offered = nil }, checkOrder, NotReady, "so 1.27 comes first", NotReady},
		{"there already", func(t *testing.T, f *facts) { f.runs(t, "v1.27.16-rancher1-1", bothFlags) }, checkOrder, Ready, "runs 1.27 already", Ready},
		{"there already, not patched", func(t *testing.T, f *facts) { f.runs(t, "v1.27.16-rancher1-1", nil) }, checkPatched, NotReady, "", NotReady},
		{"beyond", func(t *testing.T, f *facts) { f.runs(t, "v1.29.15-rancher1-1", bothFlags) }, checkOrder, Ready, "already", Ready},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := readyFacts(t)
			tt.change(t, f)
			results := judge(f)
			c := &Cluster{Checks: results}
			got := c.Result(tt.check)
			if got.Status != tt.status || !strings.Contains(got.Message, tt.message) {
				t.Errorf("%s: %s (%s), want %s (%s)", tt.check, got.Status, got.Message, tt.status, tt.message)
			}
			if v := verdict(results); v != tt.verdict {
				var why []string
				for _, r := range results {
					if r.Status != Ready && r.Status != NotApplicable {
						why = append(why, fmt.Sprintf("%s %s: %s", r.Check, r.Status, r.Message))
					}
				}
				t.Errorf("the verdict is %s, want %s: %s", v, tt.verdict, strings.Join(why, "; "))
			}
			for _, r := range results {
				if r.Message == "" || r.Status == NotReady && r.Todo == "" && len(r.Findings) == 0 {
					t.Errorf("%s says %q, to do %q", r.Check, r.Message, r.Todo)
				}
			}
		})
	}
}

func (f *facts) revision(id string) { f.cluster.TemplateRevisionID = &id }

// toNext moves the cluster to a version and the target to the one after it.
func (f *facts) toNext(t *testing.T, minor uint) {
	version := fmt.Sprintf("v1.%d.1-rancher1-1", minor)
	f.runs(t, version, bothFlags)
	f.target.Minor, f.offered = minor+1, nil
}

func with(args map[string]any, name, value string) map[string]any {
	out := map[string]any{name: value}
	for k, v := range args {
		out[k] = v
	}
	return out
}

// Unknown is never ready, whatever else is.
func TestUnknownIsNeverReady(t *testing.T) {
	for _, tt := range []struct {
		statuses []Status
		want     Status
	}{
		{nil, Unknown},
		{[]Status{NotApplicable, NotApplicable}, Unknown},
		{[]Status{Ready, NotApplicable}, Ready},
		{[]Status{Ready, Unknown, Ready}, Unknown},
		{[]Status{Unknown, NotReady, Ready}, NotReady},
	} {
		var results []Result
		for _, s := range tt.statuses {
			results = append(results, Result{Status: s})
		}
		if got := verdict(results); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.statuses, got, tt.want)
		}
	}
}

// The order in which to do things.
func TestSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*testing.T, *facts)
		want   []string // the beginnings
	}{
		"ready":         {func(*testing.T, *facts) {}, []string{"prove that credentials come back", "upgrade to 1.27"}},
		"rehearsed":     {func(_ *testing.T, f *facts) { f.look.Nodes[0].Rehearsal = &nodes.Rehearsal{OK: true} }, []string{"upgrade to 1.27"}},
		"rehearsed, no": {func(_ *testing.T, f *facts) { f.look.Nodes[0].Rehearsal = &nodes.Rehearsal{} }, []string{"prove that", "upgrade to 1.27"}},
		"there already": {func(t *testing.T, f *facts) { f.runs(t, "v1.27.16-rancher1-1", bothFlags) }, []string{}},
		"from 1.24, not patched": {func(t *testing.T, f *facts) { f.runs(t, "v1.24.17-rancher1-1", nil) }, []string{
			"upgrade to 1.25", "upgrade to 1.26: kubelets know the provider API v1", "patched: rkepatch apply prod", "prove that credentials come back: rkepatch check --for-version 1.27 --rehearse prod", "upgrade to 1.27",
		}},
		"from 1.26 to 1.29": {func(_ *testing.T, f *facts) { f.target.Minor, f.offered = 29, nil }, []string{
			"prove that credentials come back", "upgrade to 1.27", "upgrade to 1.28", "upgrade to 1.29",
		}},
		"nothing of ECR": {func(t *testing.T, f *facts) { f.unused(); f.runs(t, "v1.25.16-rancher2-3", nil); f.look = nil }, []string{"upgrade to 1.26", "upgrade to 1.27"}},
		"much to mend": {func(t *testing.T, f *facts) {
			f.without(t)
			f.finds("nodes-not-ready", fleet.Block)
			f.finds("cloud-provider-aws", fleet.Warn)
			f.offered = []string{"v1.26.15-rancher1-1"}
		}, []string{"rancher: mend nodes-not-ready", "patched: rkepatch apply prod", "cloud-provider: mend", "version: upgrade Rancher", "prove that", "upgrade to 1.27"}},
		"none of ours":           {func(_ *testing.T, f *facts) { f.cluster = nil }, []string{}},
		"a version nobody knows": {func(t *testing.T, f *facts) { f.runs(t, "banana", nil) }, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			f := readyFacts(t)
			tt.change(t, f)
			got := steps(f, judge(f))
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("%q\nwant %q", got, tt.want)
			}
		})
	}
}
