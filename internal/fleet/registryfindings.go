package fleet

import (
	"fmt"

	"rkepatch/internal/kubelet"
)

// rke v1.6.1 cluster/plan.go: cloud-config is set when a cloud provider is named,
// and /etc/kubernetes/cloud-config holds that provider's config.
func cloudConfigMissing(s *subject) string {
	if s.provider != kubelet.ACR {
		return ""
	}
	switch name, _ := s.doc.Lookup("cloudProvider", "name"); name {
	case "azure", "custom":
		return ""
	case nil, "":
		return "the cluster has no cloud provider, so there is no Azure cloud config in " + kubelet.DefaultCloudConfig
	default:
		return fmt.Sprintf("the cluster's cloud provider is %q, so %s is no Azure cloud config", name, kubelet.DefaultCloudConfig)
	}
}
