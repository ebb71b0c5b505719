package report

import (
	"bytes"
	"strings"
	"testing"

	"rkepatch/internal/fleet"
)

// Nobody reads "ready" of a cluster whose nodes were not looked at.
func TestChecked(t *testing.T) {
	block := []fleet.Finding{{Code: "kubelet-refuses", Severity: fleet.Block, Message: "no such \x1b[31mfile", Todo: "install it"}, {Code: "windows-node", Severity: fleet.Info}}
	for _, tt := range []struct {
		name    string
		checked fleet.Checked
		says    string
		never   string
	}{
		{"ready", fleet.Checked{Plan: &fleet.ClusterPlan{Name: "a", Action: fleet.ActionPatch}, Looked: true}, "a  its nodes are ready", "not looked at"},
		{"not looked at", fleet.Checked{Plan: &fleet.ClusterPlan{Name: "a", Action: fleet.ActionPatch}}, "not looked at", "ready"},
		{"blocked", fleet.Checked{Plan: &fleet.ClusterPlan{Name: "a", Action: fleet.ActionBlocked}, Looked: true, Found: block}, "block kubelet-refuses", "windows-node"},
		{"hostile", fleet.Checked{Plan: &fleet.ClusterPlan{Name: "\x1b[2Ja", Action: fleet.ActionBlocked}, Looked: true, Found: block}, "left alone", "\x1b"},
	} {
		var b bytes.Buffer
		Text{W: &b}.Checked(tt.checked)
		if !strings.Contains(b.String(), tt.says) || strings.Contains(b.String(), tt.never) {
			t.Errorf("%s: %q", tt.name, b.String())
		}
	}
}
