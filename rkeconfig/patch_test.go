package rkeconfig

import (
	"testing"
)

func TestPatchOwns(t *testing.T) {
	p := Patch{Args: map[string]string{"v": "2", `a"].b`: "x"}, Binds: []string{"/a:/a"}}
	argsOnly, bindsOnly := args("v", "2"), binds("/a:/a")
	for _, tt := range []struct {
		path  string
		patch Patch
		owns  bool
	}{
		{`services.kubelet.extraArgs["v"]`, p, true},
		{`services.kubelet.extraArgs["a\"].b"]`, p, true},
		{"services.kubelet.extraBinds[0]", p, true},
		{"services.kubelet.extraBinds[17]", p, true},
		{"services", p, true},
		{"services.kubelet", p, true},
		{"services.kubelet.extraArgs", p, true},
		{"services.kubelet.extraBinds", p, true},
		{"services.kubelet.extraBinds[0]", bindsOnly, true},
		{"services.kubelet", bindsOnly, true},

		{"services.kubelet.extraBinds[0]", argsOnly, false},
		{"services.kubelet.extraBinds", argsOnly, false},
		{`services.kubelet.extraArgs["v"]`, bindsOnly, false},
		{"services.kubelet.extraArgs", bindsOnly, false},
		{"services", Patch{}, false},
		{`services.kubelet.extraArgs["max-pods"]`, p, false},
		{`services.kubelet.extraArgs["V"]`, p, false},
		{`services.kubelet.extraArgs["v"]["x"]`, p, false},
		{`services.kubelet.extraArgs["v"][0]`, p, false},
		{"services.kubelet.extraArgs.v", p, false}, // not as Compare writes it
		{"services.kubelet.extraArgs[0]", p, false},
		{`services.kubelet.extraBinds["0"]`, p, false},
		{"services.kubelet.extraBinds.x", p, false},
		{"services.kubelet.extraBinds[0].x", p, false},
		{`services.kubelet.extraArgsArray["v"]`, p, false},
		{`services.kubelet.winExtraArgs["v"]`, p, false},
		{`services.kubeApi.extraArgs["v"]`, p, false},
		{`["services"].kubelet`, p, false},
		{`future.kubelet.extraArgs["v"]`, p, false},
		{"enableCriDockerd", p, false},
		{"", p, false},
		{`services.kubelet.extraArgs["v"`, p, false},
	} {
		if got := tt.patch.Owns(tt.path); got != tt.owns {
			t.Errorf("%s of %v: %v, want %v", tt.path, tt.patch, got, tt.owns)
		}
	}
}
