package rancher_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// With ?_replace, what the revision does not set is gone; without, it stays.
func TestMoveForeseesWhatReplaceTakesAway(t *testing.T) {
	_, cl, r := answeredRevision(t, nil)
	cl.Base["agentEnvVars"] = json.RawMessage(`[{"name":"HTTP_PROXY","value":"http://p"}]`)
	cl.Base["localClusterAuthEndpoint"] = json.RawMessage(`{"enabled":true,"fqdn":"ep.example"}`)
	for replace, want := range map[bool][]string{false: nil, true: {"agentEnvVars", "localClusterAuthEndpoint.fqdn"}} {
		m, err := r.Move(cl, object(t, string(r.Config)), replace)
		if err != nil {
			t.Fatal(err)
		}
		paths, err := differences(jsonOf(t, m.Before), jsonOf(t, m.After))
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(paths, " "); len(want) != len(paths) || len(want) > 0 && !(strings.Contains(text, want[0]) && strings.Contains(text, "localClusterAuthEndpoint")) {
			t.Errorf("replace %v: %v would change, want %v", replace, paths, want)
		}
	}
}

// Rancher keeps the cluster's upgrade strategy when the revision has none.
func TestMoveKeepsTheUpgradeStrategyThatTheRevisionLacks(t *testing.T) {
	_, cl, r := answeredRevision(t, nil)
	config := object(t, string(r.Config))
	delete(config, "upgradeStrategy")
	now := object(t, string(cl.Config))
	now["upgradeStrategy"] = map[string]any{"maxUnavailableWorker": "3", "maxUnavailableControlplane": "1"}
	cl.Config = jsonOf(t, now)
	m, err := r.Move(cl, config, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Config["upgradeStrategy"].(map[string]any)["maxUnavailableWorker"]; got != "3" {
		t.Errorf("got %v", got)
	}
}

// Questions that nobody expects are refused, and crash nothing.
func TestHostileQuestions(t *testing.T) {
	for _, tt := range []struct {
		variable string
		refused  bool
	}{
		{"rancherKubernetesEngineConfig", true},
		{"rancherKubernetesEngineConfig.privateRegistries[0].url", true},
		{"RancherKubernetesEngineConfig.PrivateRegistries", true},
		{"rancherKubernetesEngineConfig.upgradeStrategy", true},
		{"rancherKubernetesEngineConfig.services", false},
		{".", false},
		{"dockerRootDir.x", false},
	} {
		_, cl, r := answeredRevision(t, nil, map[string]any{"variable": tt.variable, "type": "string", "default": "x"})
		if _, err := r.Move(cl, object(t, string(r.Config)), false); (err != nil) != tt.refused {
			t.Errorf("%q: %v", tt.variable, err)
		}
	}
}
