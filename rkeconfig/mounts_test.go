package rkeconfig

import (
	"slices"
	"testing"
)

// What the kubelet sees: RKE's own mounts, shifted by the prefix path, and the
// extra binds that are usable, Docker volumes among them.
func TestMounts(t *testing.T) {
	doc, err := ParseDocument([]byte(`{"kubernetesVersion":"v1.26.15-rancher1-1","prefixPath":"/opt/rke","services":{"kubelet":{
		"extraBinds":["/opt/aws/bin/:/opt/aws/bin:ro","volume:/data","relative/x:/y","/a:/b:c:d"," /srv/p:/etc/p "]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	mounts := doc.Mounts("/data/docker")
	for _, want := range []Mount{
		{"/var/lib/rancher", "/var/lib/rancher", false}, {"/opt/rke/etc/kubernetes", "/etc/kubernetes", true}, {"/data/docker", "/data/docker", false},
		{"/opt/rke/var/lib/kubelet", "/opt/rke/var/lib/kubelet", true}, {"/usr", "/host/usr", false}, {"/opt/aws/bin", "/opt/aws/bin", false},
		{"/srv/p", "/etc/p", false}, {"", "/data", false},
	} {
		if !slices.Contains(mounts, want) {
			t.Errorf("%v is missing in %v", want, mounts)
		}
	}
	for _, m := range mounts {
		if m.Container == "/y" || m.Container == "/b" || (m.Host == "") != (m.Container == "/data") {
			t.Errorf("%v is not what the kubelet sees", m)
		}
	}
	// Without a prefix path, the host's operating system may set one.
	if doc, err = ParseDocument([]byte(`{"kubernetesVersion":"v1.26.15-rancher1-1"}`)); err != nil {
		t.Fatal(err)
	}
	for _, m := range doc.Mounts("") {
		if want := slices.Contains([]string{"/var/lib/cri-dockerd", "/etc/kubernetes", "/var/lib/cni", "/var/lib/kubelet", "/etc/ceph"}, m.Container); m.Shifting != want {
			t.Errorf("%v: shifting should be %t", m, want)
		}
	}
}
