package kubelet

import (
	"fmt"
	"strings"
	"testing"
)

// Each row is an argument that today's kubelet takes, the last version that
// takes it, and what the next one says.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		last        uint // 0: every one takes it
		says        string
	}{
		{"max-pods", "150", 0, ""},
		{"feature-gates", "", 0, ""},
		{"feature-gates", "RotateKubeletServerCertificate=true", 0, ""},
		{"feature-gates", "AllAlpha=false,AllBeta=true", 0, ""},
		{"feature-gates", "KubeletCredentialProviders=true", 27, "KubeletCredentialProviders is gone from 1.28 on"},
		{"feature-gates", " KubeletCredentialProviders = 1 ", 27, "is gone from 1.28 on"},
		{"feature-gates", "KubeletCredentialProviders=false", 25, "KubeletCredentialProviders is "}, // locked, then gone
		{"feature-gates", "DisableKubeletCloudCredentialProviders=true", 0, ""},
		{"feature-gates", "DisableKubeletCloudCredentialProviders=false", 30, "locked to true from 1.31 on"},
		{"feature-gates", "CSIMigrationGCE=true,CPUManager=false", 25, "CPUManager is set to \"false\", and locked to true from 1.26 on"},
		{"feature-gates", "DynamicKubeletConfig=true", 25, "DynamicKubeletConfig is gone from 1.26 on"},
		{"feature-gates", "SidecarContainers=true", 0, ""},
		{"container-runtime", "remote", 26, "--container-runtime is gone from 1.27 on"},
		{"azure-container-registry-config", "/etc/kubernetes/cloud-config", 29, "gone from 1.30 on"},
		{"iptables-drop-bit", "15", 30, "gone from 1.31 on"},
	} {
		for minor := uint(24); minor <= 32; minor++ {
			if tt.value == "SidecarContainers=true" && minor < 28 {
				continue // below
			}
			got := strings.Join(Refused(Version{1, minor}, map[string]string{tt.name: tt.value}), "; ")
			switch takes := tt.last == 0 || minor <= tt.last; {
			case takes && got != "":
				t.Errorf("--%s=%s at 1.%d: %s", tt.name, tt.value, minor, got)
			case !takes && !strings.Contains(got, tt.says):
				t.Errorf("--%s=%s at 1.%d: %q, want %q", tt.name, tt.value, minor, got, tt.says)
			}
		}
	}
	// Unknown, or not known yet.
	for gates, says := range map[string]string{
		"SidecarContainers=true": "not known before 1.28", "NoSuchGate=true": `"NoSuchGate" is none that kubelets`, "CPUManager=banana": "locked to true",
		"\x1b[31m=true": `none that kubelets`,
	} {
		if got := strings.Join(Refused(Version{1, 27}, map[string]string{"feature-gates": gates}), "; "); !strings.Contains(got, says) || strings.Contains(got, "\x1b") {
			t.Errorf("%s: %q", gates, got)
		}
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("Gate%d=true", i))
	}
	if got := Refused(Version{1, 27}, map[string]string{"feature-gates": strings.Join(many, ",")}); len(got) != maxRefusals+1 || got[maxRefusals] != "and 990 more" {
		t.Errorf("%d: %q", len(got), got)
	}
}

// The table of gates is what it says it is.
func TestGatesTable(t *testing.T) {
	for name, g := range gates {
		if g.since < oldestGates || g.until > newestGates || g.since > g.until || g.locked > 0 && (g.locked < g.since || g.locked > g.until) {
			t.Errorf("%s: %+v", name, g)
		}
	}
	if len(gates) < 290 {
		t.Errorf("only %d gates", len(gates))
	}
}

func TestServes(t *testing.T) {
	config := func(patterns string) string {
		return "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- {name: a, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 1h, matchImages: [gcr.io]}\n" +
			"- {name: b, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 1h, matchImages: " + patterns + "}\n"
	}
	const image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1"
	for text, want := range map[string]bool{
		config(`["*.dkr.ecr.*.amazonaws.com"]`):         true,
		config(`["x", "123456789012.dkr.ecr.*.*.com"]`): true,
		config(`["*.dkr.ecr.*.amazonaws.com/shop"]`):    true,
		config(`["*.dkr.ecr.*.amazonaws.com/other"]`):   false,
		config(`["*.dkr.ecr.*.amazonaws.com.cn"]`):      false,
		config(`["https://*.dkr.ecr.*.amazonaws.com"]`): false,
		config(`["[", "*.dkr.ecr.*.amazonaws.com"]`):    true, // what cannot be read is passed over here; the kubelet's refusal is Start's
		config(`[]`): false,
		"hush: [":    false,
		"":           false,
		"apiVersion: v1\nkind: ConfigMap\nproviders: []\n": false,
	} {
		if got := Serves([]byte(text), image); got != want {
			t.Errorf("%s\n%t, want %t", text, got, want)
		}
	}
}
