package rkeconfig

import (
	"slices"
	"testing"
)

// What the kubelet sees: RKE's own mounts, shifted by the prefix path, and the
// extra binds that are usable.
func TestMounts(t *testing.T) {
	doc, err := ParseDocument([]byte(`{"kubernetesVersion":"v1.26.15-rancher1-1","prefixPath":"/opt/rke","services":{"kubelet":{
		"extraBinds":["/opt/aws/bin/:/opt/aws/bin:ro","volume:/data","relative/x:/y","/a:/b:c:d"," /srv/p:/etc/p "]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	mounts := doc.Mounts("/data/docker")
	for _, want := range []Mount{
		{"/var/lib/rancher", "/var/lib/rancher"}, {"/opt/rke/etc/kubernetes", "/etc/kubernetes"}, {"/data/docker", "/data/docker"},
		{"/opt/rke/var/lib/kubelet", "/opt/rke/var/lib/kubelet"}, {"/usr", "/host/usr"}, {"/opt/aws/bin", "/opt/aws/bin"}, {"/srv/p", "/etc/p"},
	} {
		if !slices.Contains(mounts, want) {
			t.Errorf("%v is missing in %v", want, mounts)
		}
	}
	for _, m := range mounts {
		if m.Container == "/data" || m.Container == "/y" || m.Container == "/b" || m.Host == "" || m.Host[0] != '/' {
			t.Errorf("%v is no place of the host", m)
		}
	}
}
