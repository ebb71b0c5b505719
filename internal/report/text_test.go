package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rkepatch/internal/fleet"
	"rkepatch/rkeconfig"
)

// hostile is what an owner can call a cluster, write into a label or make RKE
// say.
const hostile = "evil\x1b[2J\r\nprod-eu  c-prod1, patched\u202e\t<script>"

func asText(write func(Text)) string {
	var b bytes.Buffer
	write(Text{W: &b})
	return b.String()
}

func half() *fleet.ClusterPlan {
	return &fleet.ClusterPlan{
		ID: "c-half1", Name: "shop-staging", State: "active", Nodes: 1, Patched: rkeconfig.HalfPatched, Action: fleet.ActionPatch,
		Findings: []fleet.Finding{
			{Code: "half-configured", Severity: fleet.Warn, Message: "only one of the two provider flags is set", Todo: "find out who set it"},
			{Code: "bind-not-needed", Severity: fleet.Info, Message: "no bind is added"},
		},
		Diff: "--- shop-staging (now)\n+++ shop-staging (planned)\n@@ -1 +1,2 @@\n extra_args:\n+  v: \"4\"\n",
	}
}

func evil() *fleet.ClusterPlan {
	return &fleet.ClusterPlan{
		ID: "c-evil0", Name: hostile, KubernetesVersion: hostile, State: hostile, Action: fleet.ActionBlocked, Patched: "no",
		Findings: []fleet.Finding{{Code: "last-update-failed", Severity: fleet.Block, Message: "the last reconcile failed: " + hostile, Todo: hostile}},
		Diff:     "--- x\n+++ x\n@@ -1 +1 @@\n+addons: \"" + strings.ReplaceAll(hostile, "\n", "") + "\"\n",
	}
}

func TestTextPlan(t *testing.T) {
	got := asText(func(text Text) {
		var totals Totals
		for _, p := range []*fleet.ClusterPlan{prodEU(), legacy(), shop(), half(), evil()} {
			text.Plan(p)
			totals.Add(p)
		}
		fmt.Fprintln(text.W, totals)
	})
	golden(t, "plan.txt", got)
	wantPrintable(t, got)
}

func TestTextClusters(t *testing.T) {
	got := asText(func(text Text) {
		table := text.NewClusters()
		for _, p := range []*fleet.ClusterPlan{prodEU(), legacy(), shop(), half(), evil(), {ID: "c-empty"}, {ID: "c-long0", Name: strings.Repeat("long", 25_000)}} {
			table.Add(p)
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
	})
	golden(t, "clusters.txt", got)
	wantPrintable(t, got)
	if lines := strings.Count(got, "\n"); lines != 8 || len(got) > 5_000 {
		t.Errorf("%d lines for 7 clusters, %d bytes: a name has broken the table", lines, len(got))
	}
}

func outcomes() []fleet.Outcome {
	return []fleet.Outcome{
		{Name: "prod-eu", Status: fleet.StatusPatched, Stored: true, Duration: 4*time.Minute + 300*time.Millisecond, Message: "every kubelet has the change"},
		{Name: "shop", Status: fleet.StatusUnchanged, Message: "already as wanted"},
		{Name: "prod-us", Status: fleet.StatusFailed, Stored: true, Duration: 30 * time.Minute,
			Message: "not finished after 30m0s: 1/2 workers rolled, waiting for w-2 (not Ready for 4 min)", Next: "rkepatch clusters c-prod2"},
		{Name: "legacy", Status: fleet.StatusBlocked, Message: "name-refused: the name is not a DNS label", Next: "rkepatch plan c-lgcy1"},
		{Name: "batch", Status: fleet.StatusNotStarted, Message: "the run ended before its turn"},
		{Name: "search", Status: fleet.StatusStale, Message: "the cluster is no longer as planned: the change would now be\n--- a\n+++ b", Next: "rkepatch plan c-xaws1"},
		{Name: "staging", Status: fleet.StatusInFlight, Stored: true, Duration: 12 * time.Second, Message: "interrupted; last seen: control plane: updating", Next: "rkepatch clusters c-stag1"},
		{Name: hostile, Status: fleet.StatusFailed, Message: "RKE could not: " + hostile + "\npatched     prod-eu: every kubelet has the change"},
	}
}

func TestTextOutcomes(t *testing.T) {
	got := asText(func(text Text) {
		text.Outcomes(outcomes())
		fmt.Fprintln(text.W, CountOutcomes(outcomes()))
	})
	golden(t, "outcomes.txt", got)
	wantPrintable(t, got)
	if strings.Count(got, "\npatched ") != 1 {
		t.Error("a cluster's message looks like another cluster's outcome")
	}
	if got := CountOutcomes(nil); got != "no clusters" {
		t.Errorf("nothing: %q", got)
	}
}

// Colours are there when asked for, and only the program's own.
func TestTextColor(t *testing.T) {
	var b bytes.Buffer
	text := Text{W: &b, Color: true}
	text.Plan(prodEU())
	text.Plan(evil())
	text.Outcomes(outcomes())
	got := b.String()
	for _, want := range []string{"\x1b[1mprod-eu\x1b[", "\x1b[33mwarn \x1b[0", "\x1b[31mblock\x1b[0", "\x1b[32m+        image-credential", "\x1b[31m-        v: \"2\"", "\x1b[36m@@ -10,6"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(got, "\x1b[2J") || strings.ContainsAny(got, "\r\u202e") {
		t.Error("a cluster's own control characters got through")
	}
}

func TestTotals(t *testing.T) {
	var totals Totals
	totals.Add(shop())
	if got := totals.String(); got != "1 cluster: 0 to patch, 1 with nothing to do, 0 blocked" {
		t.Errorf("%q", got)
	}
}

func wantPrintable(t *testing.T, text string) {
	t.Helper()
	if clean := CleanLines(text); clean != text {
		t.Errorf("there are characters that a terminal acts on:\n%s", clean)
	}
}

// failingWriter is a disk that fills up.
type failingWriter struct{}

var errFull = errors.New("no space left on device")

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }
