package clusterfile

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

const (
	uiKey  = "rancher_kubernetes_engine_config"
	apiKey = "rancherKubernetesEngineConfig"
)

// services are the names under services, in every spelling that rke or the UI
// takes.
var services = []string{"etcd", "kube-api", "kube_api", "kubeApi", "kube-controller", "kube_controller", "kubeController",
	"scheduler", "kubelet", "kubeproxy"}

// names are those parts of a config whose two spellings differ, snake_case here.
// They tell a file of rke and the UI from one of the API.
var names = []string{
	"addons_include", "addon_job_timeout", "bastion_host", "cloud_provider", "cluster_name", "enable_cri_dockerd",
	"ignore_docker_version", "kubernetes_version", "prefix_path", "private_registries", "rotate_certificates", "ssh_agent_auth",
	"ssh_key_path", "system_images", "upgrade_strategy", "kube_api", "kube_controller", "backup_config", "service_cluster_ip_range",
	"cluster_domain", "cluster_dns_server", "fail_swap_on", "generate_serving_certificate", "infra_container_image",
	"extra_args", "extra_args_array", "extra_binds", "extra_env",
	"win_extra_args", "win_extra_args_array", "win_extra_binds", "win_extra_env",
}

// camel spells a name the way the API does.
func camel(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r == '_':
			upper = b.Len() > 0
		case upper:
			b.WriteRune(unicode.ToUpper(r))
			upper = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// spell gives a snake_case name as the file spells it.
func (f *File) spell(name string) string {
	if f.Format == ExportYAML {
		return camel(name)
	}
	return name
}

const whichFile = "name a cluster.yml of the rke command, YAML from the Rancher UI's Edit as YAML, or what exportYaml gives"

// find looks where the config is.
func (f *File) find() error {
	if f.root.Kind != yaml.MappingNode {
		return refuse(f.root.Line, whichFile, "it holds no config of an RKE1 cluster")
	}
	type candidate struct {
		format  Format
		around  *yaml.Node
		path    []string
		cluster string
	}
	var found []candidate
	if member(f.root, uiKey) != nil {
		found = append(found, candidate{UIYAML, f.root, []string{uiKey}, ""})
	}
	if member(f.root, apiKey) != nil {
		found = append(found, candidate{ExportYAML, f.root, []string{apiKey}, ""})
	}
	if clusters := resolve(member(f.root, "clusters")); clusters != nil && clusters.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(clusters.Content); i += 2 {
			name := clusters.Content[i].Value
			if cluster := resolve(clusters.Content[i+1]); member(cluster, apiKey) != nil {
				found = append(found, candidate{ExportYAML, cluster, []string{"clusters", name, apiKey}, name})
			}
		}
	}
	if isClusterYML(f.root) {
		found = append(found, candidate{ClusterYML, f.root, nil, ""})
	}
	switch {
	case len(found) > 1:
		return refuse(0, "keep one config in a file", "it holds more than one config, and it is not clear which is meant")
	case len(found) == 0:
		return f.notFound()
	}
	c := found[0]
	f.Format, f.Cluster, f.around, f.path = c.format, c.cluster, c.around, c.path
	f.config = f.root
	for _, key := range f.path {
		f.config = member(resolve(f.config), key)
	}
	if config := resolve(f.config); config.Kind != yaml.MappingNode && !isNull(config) {
		return refuse(config.Line, whichFile, "%s is no map", f.path[len(f.path)-1])
	}
	return f.checkSpelling()
}

func (f *File) notFound() error {
	switch {
	case member(f.root, "apiVersion") != nil && member(f.root, "kind") != nil:
		return refuse(0, whichFile, "it is a Kubernetes object, not the config of an RKE1 cluster")
	case member(f.root, "desiredState") != nil:
		return refuse(0, "name the cluster.yml beside it; rke writes the state by itself", "it is the state file of rke")
	case slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "_") && member(f.root, camel(n)) != nil }):
		return refuse(0, "write it in snake_case as rke reads it, or keep "+apiKey+" around it", "it is in the spelling of Rancher's API, which rke does not read, without what the API puts around it")
	}
	return refuse(0, whichFile, "it holds no config of an RKE1 cluster")
}

// isClusterYML looks for what no other file has: a full list of nodes, a version
// of Kubernetes in rke's spelling, or only services that rke knows.
func isClusterYML(root *yaml.Node) bool {
	if member(root, "apiVersion") != nil || member(root, "kind") != nil {
		return false
	}
	if s := resolve(member(root, "services")); s != nil && !isNull(s) {
		if s.Kind != yaml.MappingNode {
			return false
		}
		for i := 0; i < len(s.Content); i += 2 {
			if key := s.Content[i].Value; key != "<<" && !slices.Contains(services, key) {
				return false
			}
		}
		if len(s.Content) > 0 {
			return true
		}
	}
	if member(root, "kubernetes_version") != nil {
		return true
	}
	nodes := resolve(member(root, "nodes"))
	if nodes == nil || nodes.Kind != yaml.SequenceNode || len(nodes.Content) == 0 {
		return false
	}
	first := resolve(nodes.Content[0])
	return member(first, "address") != nil && member(first, "role") != nil
}

// checkSpelling refuses names that would be ignored where they stand.
func (f *File) checkSpelling() error {
	config := resolve(f.config)
	all := resolve(member(config, "services"))
	for _, m := range []*yaml.Node{config, all, resolve(member(all, "kubelet"))} {
		if m == nil || m.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i < len(m.Content); i += 2 {
			key := m.Content[i]
			for _, name := range names {
				right, wrong := name, camel(name)
				if f.Format == ExportYAML {
					right, wrong = wrong, right
				}
				if key.Value == wrong {
					return refuse(key.Line, "write "+right, "%s is not spelt as in the rest of a %s, where it would be ignored", wrong, f.Format)
				}
			}
		}
	}
	return nil
}

// member gives the value under a key of a mapping, nil when there is none.
func member(m *yaml.Node, key string) *yaml.Node {
	_, v := entry(m, key)
	return v
}

func entry(m *yaml.Node, key string) (k, v *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Kind == yaml.ScalarNode && m.Content[i].Value == key {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// resolve gives what an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// hasWindows reports whether the cluster may have Windows nodes.
func (f *File) hasWindows() bool {
	v := resolve(member(f.around, f.spell("windows_prefered_cluster"))) //nolint:misspell // it is Rancher's name
	return v != nil && v.Kind == yaml.ScalarNode && strings.EqualFold(v.Value, "true")
}

func (f *File) dockerRoot() string {
	if v := resolve(member(f.around, f.spell("docker_root_dir"))); v != nil && v.Kind == yaml.ScalarNode && !isNull(v) {
		return v.Value
	}
	return ""
}
