package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/rancher"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

var written = time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)

var formats = []string{"html", "md", "json"}

const kubeletDiff = `--- prod-eu (now)
+++ prod-eu (planned)
@@ -10,6 +10,7 @@
     kubelet:
       extra_args:
         max-pods: "150"
-        v: "2"
+        image-credential-provider-bin-dir: /opt/aws/bin
+        v: "4"
       fail_swap_on: false
     kubeproxy: {}
`

func prodEU() *fleet.ClusterPlan {
	return &fleet.ClusterPlan{
		ID: "c-prod1", UUID: "0f0e0d0c", Name: "prod-eu", KubernetesVersion: "v1.26.15-rancher1-1", State: "active", Nodes: 8,
		Labels: map[string]string{"env": "prod", "region": "eu"}, Patched: "no", Action: fleet.ActionPatch, Diff: kubeletDiff,
		Findings: []fleet.Finding{{Code: "nodes-cordoned", Severity: fleet.Warn, Message: "the roll-out will uncordon w-2", Todo: "note it down"}},
	}
}

func legacy() *fleet.ClusterPlan {
	return &fleet.ClusterPlan{
		ID: "c-lgcy1", UUID: "1f1e1d1c", Name: "Legacy Prod", KubernetesVersion: "v1.24.17-rancher1-1", State: "active", Nodes: 1,
		Patched: "no", Action: fleet.ActionBlocked,
		Findings: []fleet.Finding{{Code: "name-refused", Severity: fleet.Block, Message: "the name is not a DNS label", Todo: "rename it"}},
	}
}

func shop() *fleet.ClusterPlan {
	return &fleet.ClusterPlan{ID: "c-done1", Name: "shop", KubernetesVersion: "v1.26.15-rancher1-1", State: "active", Nodes: 3, Patched: "yes", Action: fleet.ActionNone}
}

func planPageData() PageData {
	return PageData{
		Head: Head{Server: "https://rancher.example.com", RancherVersion: "v2.9.1"}, Kind: "Plan", GeneratedAt: written,
		Selection: "all clusters with env=prod", Command: "rkepatch plan --label env=prod --report plan.html",
	}
}

func runPageData() PageData {
	d := planPageData()
	d.Kind, d.Run, d.RunKind, d.Command = "Run", "20260301-220000-k3x9", "apply", "rkepatch apply --plan plan.rkeplan"
	d.Undo = "rkepatch rollback " + d.Run
	d.Waves = [][]string{{"c-prod1"}, {"c-prod2"}}
	return d
}

// addFailedRun adds a run of two waves whose second failed.
func addFailedRun(t testing.TB, p *Page, totals *Totals) {
	t.Helper()
	us := prodEU()
	us.ID, us.Name = "c-prod2", "prod-us"
	blocked := fleet.Outcome{ID: "c-lgcy1", Name: "Legacy Prod", Status: fleet.StatusBlocked, Message: "name-refused: the name is not a DNS label"}
	patched := fleet.Outcome{ID: "c-prod1", Name: "prod-eu", Status: fleet.StatusPatched, Stored: true, Started: written,
		Duration: 4*time.Minute + 300*time.Millisecond, Message: "every kubelet has the change"}
	failed := fleet.Outcome{ID: "c-prod2", Name: "prod-us", Status: fleet.StatusFailed, Stored: true, Started: written.Add(5 * time.Minute),
		Duration: 30 * time.Minute, Message: "not finished: worker-4 is not Ready", Next: "rkepatch rollback 20260301-220000-k3x9 prod-us"}
	for _, c := range []struct {
		plan    *fleet.ClusterPlan
		outcome *fleet.Outcome
	}{{legacy(), &blocked}, {prodEU(), &patched}, {us, &failed}} {
		totals.Add(c.plan)
		if err := p.Add(c.plan, c.outcome); err != nil {
			t.Fatal(err)
		}
	}
}

// writePage gives a page of the given plans as text.
func writePage(t testing.TB, format string, d PageData, failure error, plans ...*fleet.ClusterPlan) string {
	t.Helper()
	var b bytes.Buffer
	p, err := NewPage(&b, format, d)
	if err != nil {
		t.Fatal(err)
	}
	var totals Totals
	for _, c := range plans {
		totals.Add(c)
		if err := p.Add(c, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(totals, failure); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func failedRun(t testing.TB, format string) string {
	t.Helper()
	var b bytes.Buffer
	p, err := NewPage(&b, format, runPageData())
	if err != nil {
		t.Fatal(err)
	}
	var totals Totals
	addFailedRun(t, p, &totals)
	if err := p.Close(totals, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), run the test with -update to accept it:\n%s", name, diff)
	}
}

// withoutAssets leaves out style, script and their hashes, which are files of
// their own.
func withoutAssets(html string) string {
	return strings.NewReplacer(htmlStyle, "STYLE", htmlScript, "SCRIPT",
		attributeText(sourceHash(htmlStyle)), "STYLE-HASH", attributeText(sourceHash(htmlScript)), "SCRIPT-HASH").Replace(html)
}

func attributeText(s string) string { return strings.ReplaceAll(s, "+", "&#43;") }

func TestPageGolden(t *testing.T) {
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			golden(t, "plan."+format, withoutAssets(writePage(t, format, planPageData(), nil, legacy(), prodEU(), shop())))
			golden(t, "run."+format, withoutAssets(failedRun(t, format)))
		})
	}
}

func TestPageOfAnEmptyPlan(t *testing.T) {
	for _, format := range formats {
		got := writePage(t, format, planPageData(), errors.New("listing clusters: the token expired"))
		if !strings.Contains(got, "the token expired") || format != "json" && !strings.Contains(got, "not complete") {
			t.Errorf("%s does not say that and why it is not complete:\n%s", format, got)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for path, want := range map[string]string{"a.html": "html", "a/b.HTM": "html", "c.d.md": "md", "x.json": "json"} {
		if got, err := FormatOf(path); got != want || err != nil {
			t.Errorf("FormatOf(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"", "html", "report", "a.pdf", "a.html.gz", ".html/a"} {
		if got, err := FormatOf(path); err == nil || !strings.Contains(err.Error(), ".html, .htm, .md or .json") {
			t.Errorf("FormatOf(%q) = %q, %v, want an error that lists what there is", path, got, err)
		}
	}
	if _, err := NewPage(io.Discard, "pdf", planPageData()); err == nil {
		t.Error("NewPage takes pdf")
	}
}

// A program reads the page of a run with the type that apply -o json writes.
func TestRunPageIsARunDocument(t *testing.T) {
	var got RunJSON
	if err := json.Unmarshal([]byte(failedRun(t, "json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.APIVersion != APIVersion || got.Kind != "Run" || got.Run != "20260301-220000-k3x9" || len(got.Plans) != 3 || got.Totals.Patch != 2 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(prodEU(), got.Plans[1], cmpopts.IgnoreUnexported(fleet.ClusterPlan{})); diff != "" {
		t.Errorf("a plan comes back changed:\n%s", diff)
	}
	// A run that had nothing to change has no id, and still outcomes.
	d := runPageData()
	d.Run = ""
	var b bytes.Buffer
	p, err := NewPage(&b, "json", d)
	if err != nil {
		t.Fatal(err)
	}
	var totals Totals
	addFailedRun(t, p, &totals)
	var nameless RunJSON
	if err := errors.Join(p.Close(totals, nil), json.Unmarshal(b.Bytes(), &nameless)); err != nil || len(nameless.Outcomes) != 3 || nameless.Run != "" {
		t.Errorf("a run without an id is %+v, %v", nameless, err)
	}
	if o := got.Outcomes[2]; len(got.Outcomes) != 3 || o.Status != fleet.StatusFailed || !o.Started.Equal(written.Add(5*time.Minute)) {
		t.Errorf("outcomes are %+v", got.Outcomes)
	}
}

// Whatever a cluster is called, a page holds no character that hides or turns
// text around, and no broken UTF-8.
func TestPagesHoldPrintableText(t *testing.T) {
	bad := "a\x00\x1b[31m\u202e\u2066\u200b\ufeff\u2028\r\x80\xff\tz"
	p := prodEU()
	p.ID, p.Name, p.UUID, p.State, p.KubernetesVersion, p.Patched = bad, bad, bad, bad, bad, "\u202e"
	p.Labels = map[string]string{bad: bad}
	p.Findings = []fleet.Finding{{Code: bad, Message: bad, Todo: bad}}
	p.Diff = "--- a\n+++ b\n@@ -1 +1 @@\n-" + bad + "\n+b" + bad + "\n"
	other := prodEU()
	other.Name, other.Diff = "only\xffbroken", bad+" is no diff"
	for _, format := range []string{"html", "md"} {
		got := writePage(t, format, planPageData(), errors.New(bad), p, other)
		if !utf8.ValidString(got) {
			t.Errorf("%s is not UTF-8", format)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) && r != '\n' {
				t.Fatalf("%s contains %q", format, r)
			}
		}
		if !strings.Contains(got, `a\x00\x1b[31m\u202e`) {
			t.Errorf("%s does not show the escapes", format)
		}
	}
}

// What a simulated fleet hides in its configs reaches no page, unchanged lines
// around a change included.
func TestPagesHoldNoSecret(t *testing.T) {
	sim := simrancher.New(simrancher.Options{})
	sim.AddDemoFleet()
	server := httptest.NewServer(sim)
	defer server.Close()
	client, err := rancher.New(rancher.Options{URL: server.URL, Token: simrancher.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	planner := &fleet.Planner{Rancher: client, API: kubelet.APIv1, WideDiffs: true, Patch: fleet.ProviderPatch(kubelet.DefaultBinDir, kubelet.DefaultProviderConfig)}
	var plans []*fleet.ClusterPlan
	for p, err := range planner.Plan(t.Context(), fleet.Selection{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	for _, format := range formats {
		got := writePage(t, format, planPageData(), nil, plans...)
		if format == "html" && !strings.Contains(got, "&lt;redacted&gt;") {
			t.Error("no masked value is on the page: this test looks at nothing")
		}
		for _, secret := range sim.Secrets() {
			if strings.Contains(got, secret) {
				t.Errorf("%s contains the secret %q", format, secret)
			}
		}
	}
}

// A report that cannot be written is an error, and nothing is left lying about.
func TestPageFailures(t *testing.T) {
	full := errors.New("no space left on device")
	for _, format := range formats {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		p, err := NewPage(writerFunc(func([]byte) (int, error) { return 0, full }), format, runPageData())
		if err != nil {
			t.Fatal(err)
		}
		// A kill at this point would leave behind what has a name.
		if named, err := os.ReadDir(dir); err != nil || len(named) > 0 && runtime.GOOS != "windows" {
			t.Errorf("%s has %v lying about, %v", format, named, err)
		}
		var totals Totals
		addFailedRun(t, p, &totals)
		if err := p.Close(totals, nil); !errors.Is(err, full) {
			t.Errorf("%s: Close on a full disk gives %v", format, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v behind, %v", format, left, err)
		}
		t.Setenv("TMPDIR", filepath.Join(dir, "missing"))
		if _, err := NewPage(io.Discard, format, runPageData()); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("%s: without a place for temporary files NewPage gives %v", format, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// fleetOf gives cluster number n of a made-up fleet.
func fleetOf(n int) *fleet.ClusterPlan {
	p := prodEU()
	p.ID, p.Name = fmt.Sprintf("c-f%05d", n), fmt.Sprintf("fleet-%05d", n)
	p.WideDiff = strings.Replace(kubeletDiff, "@@ -10,6 +10,7 @@\n", "@@ -1,126 +1,127 @@\n"+strings.Repeat("     a_setting_of_rke: its value\n", 120), 1)
	return p
}

// Memory for a cluster is some hundred bytes, for all that its diff is five
// kilobytes long.
func TestPageMemoryIsFlat(t *testing.T) {
	const clusters = 1000
	for _, format := range formats {
		live := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		p, err := NewPage(io.Discard, format, runPageData())
		if err != nil {
			t.Fatal(err)
		}
		before := live()
		for n := range clusters {
			o := fleet.Outcome{Status: fleet.StatusPatched, Started: written, Duration: time.Duration(n) * time.Second}
			if err := p.Add(fleetOf(n), &o); err != nil {
				t.Fatal(err)
			}
		}
		if grown := int64(live()) - int64(before); grown/clusters > 500 {
			t.Errorf("%s keeps %d bytes for each cluster", format, grown/clusters)
		}
		if err := p.Close(Totals{}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkPage writes the page of 10,000 changed clusters.
func BenchmarkPage(b *testing.B) {
	const clusters = 10_000
	for _, format := range formats {
		b.Run(format, func(b *testing.B) {
			var peak uint64
			var bytes int64
			for b.Loop() {
				bytes = 0
				p, err := NewPage(writerFunc(func(d []byte) (int, error) { bytes += int64(len(d)); return len(d), nil }), format, planPageData())
				if err != nil {
					b.Fatal(err)
				}
				var totals Totals
				for n := range clusters {
					c := fleetOf(n)
					totals.Add(c)
					if err := p.Add(c, nil); err != nil {
						b.Fatal(err)
					}
					if n%1000 == 0 {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						peak = max(peak, m.HeapInuse)
					}
				}
				if err := p.Close(totals, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(peak)/1e6, "heap-MB")
			b.ReportMetric(float64(bytes)/1e6, "page-MB")
		})
	}
}
