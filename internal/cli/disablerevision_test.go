package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"rkepatch/internal/fleet"
)

// Revisions are disabled when the clusters are back, and only by somebody who said yes.
func TestDisableRevisionAsks(t *testing.T) {
	type call struct {
		answer, flags string
		code          int
		asks          string
		enabled       bool // afterwards
	}
	const disable = "--disable-revision"
	for _, tt := range []struct {
		name  string
		set   func(p *person, made string)
		calls []call
	}{
		{"no", nil, []call{{"no\n", disable, ExitError, "Roll back 1 cluster(s)?", true}}},
		{"yes to both at once", nil, []call{{"yes\n", disable, ExitOK, "are disabled afterwards", false}}},
		{"nothing left to roll back", nil, []call{
			{"yes\n", "", ExitOK, "Roll back 1 cluster(s)?", true},
			{"no\n", disable, ExitError, "Disable 1 revision(s) of RKE templates?", true},
			{"yes\n", disable, ExitOK, "Disable 1 revision(s) of RKE templates?", false},
		}},
		{"the cluster stays", func(p *person, _ string) {
			p.sim.EditObject("clusterTemplateRevision", "cattle-global-data:ctr-std01", func(m map[string]any) { m["enabled"] = false })
		}, []call{{"yes\n", disable, ExitBlocked, "", true}}},
		{"a name that plays tricks", func(p *person, made string) {
			p.sim.EditObject("clusterTemplateRevision", made, func(m map[string]any) { m["name"] = "x\x1b[2J\u202ey\nFAKE" })
		}, []call{{"yes\n", disable, ExitOK, `x\x1b[2J\u202ey\nFAKE`, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPerson(t)
			if code := p.types(t.Context(), strings.NewReader("yes\n"), "apply", "--skip-node-check", "--poll", "1ms", "branch-042"); code != ExitOK {
				t.Fatalf("code %d\n%s", code, p.err.String())
			}
			runs, err := fleet.Runs(filepath.Join(p.state, "rkepatch"), func(text string) { t.Error(text) })
			if err != nil || len(runs) != 1 || len(runs[0].Revisions) != 1 {
				t.Fatalf("runs %+v, %v", runs, err)
			}
			made := runs[0].Revisions[0]
			if tt.set != nil {
				tt.set(p, made)
			}
			for _, c := range tt.calls {
				args := append([]string{"rollback", "--poll", "1ms"}, strings.Fields(c.flags)...)
				code := p.types(t.Context(), strings.NewReader(c.answer), append(args, runs[0].ID)...)
				enabled := false
				p.sim.EditObject("clusterTemplateRevision", made, func(m map[string]any) { enabled, _ = m["enabled"].(bool) })
				if code != c.code || enabled != c.enabled || !strings.Contains(p.err.String(), c.asks) {
					t.Errorf("%q: code %d, enabled %v; want %d, %v and %q in\n%s%s", c.answer, code, enabled, c.code, c.enabled, c.asks, p.out.String(), p.err.String())
				}
				for _, trick := range []string{"\x1b[2J", "\u202e", "\nFAKE"} {
					if strings.Contains(p.out.String()+p.err.String(), trick) {
						t.Errorf("%q is in %q", trick, p.out.String()+p.err.String())
					}
				}
			}
		})
	}
}
