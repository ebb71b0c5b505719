package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rkepatch/internal/fleet"
)

// rolledBack is what a rollback comes to, in its own words.
func rolledBack() []fleet.Outcome {
	return []fleet.Outcome{
		OfRollback(fleet.Outcome{ID: "c-prod1", Name: "prod-eu", Status: fleet.StatusPatched, Stored: true, Started: written, Duration: time.Minute, Message: "rolled back, every kubelet is as before"}),
		OfRollback(fleet.Outcome{ID: "c-lgcy1", Name: "Legacy Prod", Status: fleet.StatusFailed, Message: "no answer"}),
	}
}

// A rollback patches nothing: neither text nor JSON nor a page says so, and what
// it did well needs nobody's attention.
func TestRollbackInItsOwnWords(t *testing.T) {
	got := asText(func(text Text) { text.Outcomes(rolledBack()) })
	if !strings.Contains(got, "rolled-back prod-eu") || !strings.Contains(got, "failed      Legacy Prod") {
		t.Error(got)
	}
	if count := CountOutcomes(rolledBack()); count != "1 failed, 1 rolled-back" {
		t.Error(count)
	}
	d := runPageData()
	d.Run, d.RunKind, d.Of, d.Undo, d.Waves = "20260302T000000Z-abcdef", "rollback", d.Run, "", nil
	for _, format := range formats {
		var b bytes.Buffer
		p, err := NewPage(&b, format, d)
		if err != nil {
			t.Fatal(err)
		}
		for i, plan := range []*fleet.ClusterPlan{prodEU(), legacy()} {
			if err := p.Add(plan, &rolledBack()[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(Totals{Clusters: 2}, nil); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, wrong := range []string{`"status":"patched"`, "`patched`", "1 patched"} {
			if strings.Contains(page, wrong) || !strings.Contains(page, "rolled-back") {
				t.Errorf("%s does not call it rolled back, or says %q", format, wrong)
			}
		}
		if format == "json" {
			var doc struct{ Run, RunKind, Of string }
			if err := json.Unmarshal(b.Bytes(), &doc); err != nil || doc.Run != d.Run || doc.RunKind != "rollback" || doc.Of != d.Of {
				t.Errorf("%v, %+v", err, doc)
			}
			continue
		}
		if !strings.Contains(page, "Rollback "+d.Run+" of run "+d.Of) || strings.Contains(page, "ndo:") || strings.Contains(page, "To undo") {
			t.Errorf("%s does not say which run it takes back, or offers to undo it", format)
		}
		if format == "html" && (!strings.Contains(page, `<a href="#cluster-2">Legacy Prod</a> failed`) || strings.Contains(page, `<a href="#cluster-1">prod-eu</a> rolled-back`)) {
			t.Error("attention is called to the wrong cluster")
		}
	}
}

// An apply that finds its change taken back does call for attention.
func TestRolledBackSinceCallsForAttention(t *testing.T) {
	o := fleet.Outcome{ID: "c-prod1", Name: "prod-eu", Status: fleet.StatusRolledBack, Message: "taken back by run x"}
	if OfRollback(o).Status != o.Status || tookBack(&o) {
		t.Errorf("%+v", o)
	}
}

// The command that undoes the run is the one that can be typed.
func TestUndoIsShownAsItIsTyped(t *testing.T) {
	for _, format := range []string{"html", "md"} {
		var b bytes.Buffer
		d := runPageData()
		d.Undo = "rkepatch rollback --url https://rancher.example.com --state-dir '/srv/my runs' 20260301-220000-k3x9"
		p, err := NewPage(&b, format, d)
		if err != nil {
			t.Fatal(err)
		}
		var totals Totals
		addFailedRun(t, p, &totals)
		if err := p.Close(totals, nil); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(b.String(), "&#39;", "'"), d.Undo) {
			t.Errorf("%s lacks %q", format, d.Undo)
		}
	}
}
