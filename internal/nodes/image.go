package nodes

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
)

// hyperkube picks the image that the node's kubelet itself runs from, out of
// those that the node says it holds: it is there without a pull and has a shell.
// A tag of the kubelet's own version wins over other tags, and the newest of
// those over the rest; an image that has no tag is taken last. "" when there is
// none. Mirrors keep the last part of the name, so only that is looked at.
func hyperkube(n *corev1.Node) string {
	want := n.Status.NodeInfo.KubeletVersion
	var found, untagged string
	var newest *version.Version
	for _, image := range n.Status.Images {
		for _, name := range image.Names {
			base, digest, _ := strings.Cut(path.Base(name), "@")
			repository, tag, _ := strings.Cut(base, ":")
			switch {
			case !strings.Contains(repository, "hyperkube"):
			case digest != "" && tag == "":
				untagged = name
			case tag == want || strings.HasPrefix(tag, want+"-"):
				return name
			default:
				if v, err := version.ParseGeneric(tag); err == nil && (newest == nil || newest.LessThan(v)) {
					newest, found = v, name
				}
			}
		}
	}
	if found == "" {
		return untagged
	}
	return found
}
