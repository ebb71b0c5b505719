package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/pulls"
	"rkepatch/internal/readiness"
)

func readinessHead() ReadinessHead {
	return ReadinessHead{Head: Head{Server: "https://rancher.example.com", RancherVersion: "v2.9.1"}, ForVersion: "1.27"}
}

// checkedCluster is a cluster with the worst status on some checks, and texts
// from one source.
func checkedCluster(name string, bad map[string]readiness.Status, text func() string) *readiness.Cluster {
	ids, _ := readiness.IDs()
	c := &readiness.Cluster{ID: "c-" + name, Name: name, KubernetesVersion: "v1.26.15-rancher1-1", Nodes: 3, Verdict: readiness.Ready, Steps: []string{}}
	for _, id := range ids {
		r := readiness.Result{Check: id, Status: readiness.Ready, Message: text()}
		if s, ok := bad[id]; ok {
			r.Status, r.Todo = s, text()
			r.Findings = []fleet.Finding{{Code: text(), Severity: fleet.Block, Message: text()}}
			if s == readiness.NotReady || c.Verdict == readiness.Ready && s == readiness.Unknown {
				c.Verdict = s
			}
		}
		c.Checks = append(c.Checks, r)
	}
	if c.Verdict != readiness.Ready {
		c.Steps = []string{text(), text()}
	}
	c.Use = &pulls.Use{Registries: []pulls.Registry{{Host: text(), Kind: kubelet.ECR, Pods: 40, Idle: 1, CronJobs: 2, Covered: 3}, {Host: "docker.io", Pods: 7}}}
	return c
}

func words() string { return "in words" }

// three are one of each verdict.
func three() []*readiness.Cluster {
	return []*readiness.Cluster{
		checkedCluster("branch", map[string]readiness.Status{"registries": readiness.Unknown, "served": readiness.NotApplicable}, words),
		checkedCluster("prod", map[string]readiness.Status{"patched": readiness.NotReady, "node-files": readiness.NotReady, "windows": readiness.Unknown}, words),
		checkedCluster("shop", nil, words),
	}
}

func readinessPage(t *testing.T, format string, failure error, clusters ...*readiness.Cluster) string {
	t.Helper()
	var b bytes.Buffer
	p, err := NewReadinessPage(&b, format, readinessHead(), PageData{GeneratedAt: time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC), Selection: "--all", Command: "rkepatch check --for-version 1.27 --all"})
	if err != nil {
		t.Fatal(err)
	}
	var totals readiness.Totals
	for _, c := range clusters {
		totals.Add(c)
		if err := p.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(totals, failure); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadinessGolden(t *testing.T) {
	var text bytes.Buffer
	out := Text{W: &text}
	var totals readiness.Totals
	for _, c := range three() {
		totals.Add(c)
		out.Readiness(c, "1.27")
	}
	out.ReadinessTotals(totals, "1.27")
	for name, got := range map[string]string{
		"readiness.txt": text.String(), "readiness.md": readinessPage(t, "md", nil, three()...), "readiness.json": readinessPage(t, "json", nil, three()...),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s\n%s", name, d)
		}
	}
	if !json.Valid([]byte(readinessPage(t, "json", errors.New("broken off \"here\""), three()...))) {
		t.Error("a document that was broken off is not JSON")
	}
}

// The picture has a row for every cluster and a column for every check, and each
// cell says in a word what its colour does.
func TestReadinessMatrix(t *testing.T) {
	ids, _ := readiness.IDs()
	page := readinessPage(t, "html", nil, three()...)
	var rows [][]string
	walk(t, page, func(n *html.Node) {
		if n.Data != "tr" || attributeOf(n.Parent.Parent, "id") != "matrix" || n.Parent.Data != "tbody" {
			return
		}
		var row []string
		for c := range n.ChildNodes() {
			row = append(row, textOf(c))
		}
		rows = append(rows, row)
	})
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	column := func(check string) int { return 3 + slices.Index(ids, check) }
	for _, row := range rows {
		if len(row) != 3+len(ids) {
			t.Errorf("%q", row)
		}
	}
	for _, tt := range []struct {
		row         int
		check, want string
	}{{0, "registries", "?"}, {0, "served", "–"}, {1, "patched", "NO"}, {1, "windows", "?"}, {1, "flags", "ok"}, {2, "patched", "ok"}} {
		if got := rows[tt.row][column(tt.check)]; got != tt.want {
			t.Errorf("%s of %s is %q, want %q", tt.check, rows[tt.row][0], got, tt.want)
		}
	}
	if got := []string{rows[0][2], rows[1][2], rows[2][2]}; !slices.Equal(got, []string{"not known", "not ready", "ready"}) {
		t.Errorf("%q", got)
	}
	if !strings.Contains(page, `<tr><th scope="row">patched</th><td class="number">1</td><td class="number">0</td>`) {
		t.Error("the clusters that a check keeps back are not counted")
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	for c := range n.ChildNodes() {
		b.WriteString(textOf(c))
	}
	return b.String()
}

// The page is one file that loads nothing, and its policy fits it.
func TestReadinessPageIsSelfContained(t *testing.T) {
	page := readinessPage(t, "html", errors.New("not all"), three()...)
	var policy string
	sources := map[string]string{}
	ids := map[string]bool{}
	var refs []string
	walk(t, page, func(n *html.Node) {
		switch {
		case n.Data == "meta" && attributeOf(n, "http-equiv") == "Content-Security-Policy":
			policy = attributeOf(n, "content")
		case n.Data == "style" || n.Data == "script":
			sources[n.Data] += n.FirstChild.Data
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("two elements have the id %s", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
				refs = append(refs, a.Val[1:])
			case a.Key == "aria-labelledby" || a.Key == "for":
				refs = append(refs, strings.Fields(a.Val)...)
			case a.Key == "href" || a.Key == "src" || a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("%s=%q on <%s>", a.Key, a.Val, n.Data)
			}
		}
	})
	if want := policyFor(sources["style"], sources["script"]); policy != want {
		t.Errorf("the policy is\n%s\nand the page needs\n%s", policy, want)
	}
	for _, id := range refs {
		if !ids[id] {
			t.Errorf("#%s is not there", id)
		}
	}
	if !strings.Contains(page, "This report is not complete") {
		t.Error("a page that is not complete does not say so")
	}
}

// Texts from a cluster change the text of the page and never its elements.
func TestReadinessTextsNeverBecomeMarkup(t *testing.T) {
	attacks := []string{"<script>alert(1)</script>", `" onmouseover="x`, "</td></tr></table>", "</script>", "</style>", "<!--", "-->", "{{.}}", "</article>", "\x00", "\u2028", "'", "|", "```", "\x1b[31m"}
	hostile := func(text func() string) *readiness.Cluster {
		c := checkedCluster("prod", map[string]readiness.Status{"patched": readiness.NotReady, "served": readiness.Unknown}, text)
		c.ID, c.Name, c.KubernetesVersion = text(), text(), text()
		return c
	}
	n := 0 // no two texts are the same
	want := skeleton(t, readinessPage(t, "html", nil, hostile(func() string { n++; return fmt.Sprint("text ", n) })))
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom(attacks), rapid.StringN(1, 40, -1)).Filter(func(s string) bool { return s != "" })
		c := hostile(func() string { n++; return text.Draw(rt, "text") + fmt.Sprint(n) })
		if got := skeleton(t, readinessPage(t, "html", nil, c)); got != want {
			rt.Fatalf("the elements are\n%s\nwant\n%s", got, want)
		}
		// A table of Markdown keeps its cells.
		ids, _ := readiness.IDs()
		for line := range strings.Lines(readinessPage(t, "md", nil, c)) {
			if strings.HasPrefix(line, "| ") && strings.Count(line, "|") != len(ids)+4 {
				rt.Fatalf("%q has other cells", line)
			}
		}
		var out bytes.Buffer
		Text{W: &out}.Readiness(c, "1.27")
		if regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f]`).Match(out.Bytes()) {
			rt.Fatalf("control characters in %q", out.String())
		}
	})
}

// A fleet of 2,000 clusters, and one with texts of any length, still make a page
// that opens.
func TestReadinessPageHasLimits(t *testing.T) {
	long := checkedCluster("long", map[string]readiness.Status{"patched": readiness.NotReady}, func() string { return strings.Repeat("long ", 100_000) })
	if n := len(readinessPage(t, "html", nil, long)); n > 200<<10 {
		t.Errorf("one cluster makes a page of %d bytes", n)
	}
	var many []*readiness.Cluster
	for i := range 2000 {
		c := checkedCluster(fmt.Sprintf("fleet-%04d", i), map[string]readiness.Status{"patched": readiness.NotReady}, words)
		for j := range 500 {
			c.Use.Registries = append(c.Use.Registries, pulls.Registry{Host: fmt.Sprintf("r%d.example.com", j), Pods: 1})
		}
		many = append(many, c)
	}
	page := readinessPage(t, "html", nil, many...)
	if n := strings.Count(page, "<details open>"); n != openClusters {
		t.Errorf("%d clusters are open from the start, want %d", n, openClusters)
	}
	if len(page) > 20<<20 {
		t.Errorf("the page of 2,000 clusters has %d bytes", len(page))
	}
	if !strings.Contains(page, "and 472 more registries") {
		t.Error("registries are left out without a word")
	}
}
