package nodes

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
)

// Where RKE mounts another directory than on most nodes, a provider that stands
// in the usual place proves nothing.
func TestShifts(t *testing.T) {
	rke := []Bind{{Host: "/etc/kubernetes", Container: "/etc/kubernetes", Shifting: true}, {Host: "/var/lib/rancher", Container: "/var/lib/rancher"}}
	for _, tt := range []struct {
		osImage  string
		prefixed bool
		config   string
		binds    []Bind
		says     string // "" for no finding
	}{
		{"Flatcar Container Linux by Kinvolk 3510.2.0 (Oklo)", false, "/etc/kubernetes/cp/c.yaml", rke, "the node runs Flatcar"},
		{"Container Linux by CoreOS 2303.3.0 (Rhyolite)", false, "/etc/kubernetes/cp/c.yaml", rke, "the node runs"},
		{"RancherOS v1.5.8", false, "/etc/kubernetes/cp/c.yaml", rke, "the node runs"},
		{"Boot2Docker 19.03.5", false, "/etc/kubernetes/cp/c.yaml", rke, "the node runs"},
		{"Ubuntu 22.04.3 LTS", false, "/etc/kubernetes/cp/c.yaml", rke, ""},
		{"", false, "/etc/kubernetes/cp/c.yaml", rke, ""},
		{"Ubuntu 22.04.3 LTS", true, "/etc/kubernetes/cp/c.yaml", rke, "the cluster has a prefix_path"},
		{"Flatcar Container Linux", true, "/var/lib/rancher/credentialprovider/config.yaml", rke, ""},
		{"Flatcar Container Linux", false, "/etc/kubernetes/cp/c.yaml", append([]Bind{{Host: "/srv", Container: "/etc/kubernetes/cp"}}, rke...), ""},
		{"Flatcar Container Linux", false, "/etc/kubernetes-not/c.yaml", rke, ""},
	} {
		q, err := Query{ConfigPath: tt.config, BinDir: "/var/lib/rancher/credentialprovider/bin", Binds: tt.binds, Prefixed: tt.prefixed}.normal(1)
		if err != nil {
			t.Fatal(err)
		}
		c := newCluster(t, linux("x", func(n *corev1.Node) { n.Status.NodeInfo.OSImage = tt.osImage }))
		reports, err := c.checker().Check(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var found []Finding
		for _, f := range reports[0].Findings {
			if f.Code == pathShifts {
				found = append(found, f)
			}
		}
		if (reports[0].Provider == nil) != (tt.says != "") || needsInstall(reports[0]) && tt.says != "" {
			t.Errorf("%+v: what is not what the kubelet sees is judged, or changed", tt)
		}
		if (tt.says == "") != (len(found) == 0) || len(found) > 0 && (!strings.Contains(found[0].Message, tt.says) || found[0].Level != kubelet.Fatal || !strings.Contains(found[0].Message, tt.config)) {
			t.Errorf("%+v: %+v", tt, found)
		}
	}
}

// A volume is nowhere on the host, and what lies beside it is.
func TestOnHost(t *testing.T) {
	q, err := Query{ConfigPath: "/c", BinDir: "/b", Binds: []Bind{{Host: "/srv/aws/", Container: "/opt/aws"}, {Container: "/opt/aws/bin/"}, {Host: "relative", Container: "/x"}}}.normal(1)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{"/opt/aws/config/c.yaml": "/srv/aws/config/c.yaml", "/opt/aws": "/srv/aws", "/opt/aws/bin": "", "/opt/aws/bin/p": "", "/opt/aws/binary": "/srv/aws/binary", "/opt": "", "/x/y": ""} {
		if got := q.onHost(p); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
}

// A label that somebody set does not keep a Linux node from being looked at.
func TestIsWindows(t *testing.T) {
	for _, tt := range []struct {
		system, label string
		want          bool
	}{{"linux", "windows", false}, {"linux", "linux", false}, {"windows", "linux", true}, {"", "windows", true}, {"", "", false}} {
		n := linux("x", func(n *corev1.Node) {
			n.Status.NodeInfo.OperatingSystem, n.Labels = tt.system, map[string]string{corev1.LabelOSStable: tt.label}
		})
		if got := isWindows(n); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}
