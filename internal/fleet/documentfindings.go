package fleet

import (
	"slices"

	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// documentRules are the codes of those clusterRules that look at nothing but the
// config and hold for the rke command as for Rancher.
var documentRules = []string{"cloud-provider-aws-refused", "cloud-provider-aws", "ecr-static-keys"}

// DocumentFindings gives what can be said of a config that lies in a file: no
// Rancher, no nodes.
func DocumentFindings(doc rkeconfig.Document) []Finding {
	s := &subject{cluster: &rancher.Cluster{}, doc: doc}
	s.version, s.versionErr = kubelet.ParseVersion(doc.KubernetesVersion())
	rules := slices.DeleteFunc(slices.Clone(clusterRules), func(r rule) bool { return !slices.Contains(documentRules, r.code) })
	return apply(rules, s, false)
}
