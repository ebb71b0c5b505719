package report

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"rkepatch/internal/fleet"
)

// The policy names the hashes of exactly the style and the script that a
// browser will find, and allows nothing else.
func TestPolicyFitsThePage(t *testing.T) {
	page := writePage(t, "html", planPageData(), nil, prodEU())
	var policy string
	got := map[string]string{}
	walk(t, page, func(n *html.Node) {
		switch {
		case n.Data == "meta" && attributeOf(n, "http-equiv") == "Content-Security-Policy":
			policy = attributeOf(n, "content")
		case n.Data == "style" || n.Data == "script":
			got[n.Data] += sourceHash(n.FirstChild.Data)
		}
	})
	want := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", got["style"], got["script"])
	if policy != want {
		t.Errorf("the policy is\n%s\nand the page needs\n%s", policy, want)
	}
}

// Nothing is loaded, no handler or style sits in an attribute, ids are unique,
// and what refers to an id finds it.
func TestPageIsSelfContained(t *testing.T) {
	for name, page := range map[string]string{"plan": writePage(t, "html", planPageData(), nil, legacy(), prodEU(), shop()), "run": failedRun(t, "html")} {
		ids := map[string]bool{}
		var refs []string
		walk(t, page, func(n *html.Node) {
			if slices.Contains([]string{"link", "img", "iframe", "object", "embed", "base", "video", "audio", "image", "use"}, n.Data) {
				t.Errorf("%s has a <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "id" && ids[a.Val]:
					t.Errorf("%s has two elements with id %s", name, a.Val)
				case a.Key == "id":
					ids[a.Val] = true
				case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
					refs = append(refs, a.Val[1:])
				case a.Key == "aria-labelledby" || a.Key == "for":
					refs = append(refs, strings.Fields(a.Val)...)
				case a.Key == "href" || a.Key == "src" || a.Key == "style" || strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s has %s=%q on <%s>", name, a.Key, a.Val, n.Data)
				}
			}
		})
		for _, id := range refs {
			if !ids[id] {
				t.Errorf("%s refers to #%s, which is not there", name, id)
			}
		}
	}
}

// Every element is closed where it should be: a parser has nothing to mend.
func TestPageIsWellFormed(t *testing.T) {
	void := []string{"meta", "input", "br", "link", "img"}
	for name, page := range map[string]string{"plan": writePage(t, "html", planPageData(), nil, legacy(), prodEU(), shop()), "run": failedRun(t, "html")} {
		var open []string
		z := html.NewTokenizer(strings.NewReader(page))
		for z.Next() != html.ErrorToken {
			switch token := z.Token(); {
			case token.Type == html.StartTagToken && !slices.Contains(void, token.Data):
				open = append(open, token.Data)
			case token.Type == html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != token.Data {
					t.Fatalf("%s: </%s> closes %v", name, token.Data, open)
				}
				open = open[:len(open)-1]
			}
		}
		if len(open) > 0 {
			t.Errorf("%s leaves %v open", name, open)
		}
	}
}

// Texts from a cluster change the text of a page and never its elements.
func TestTextsNeverBecomeMarkup(t *testing.T) {
	attacks := []string{
		"<script>alert(1)</script>", `" onmouseover="x`, "</pre></details>", "</script><script>", "</style>", "<!--", "-->", "]]>", "&lt;", "javascript:x",
		"{{.}}", "</article>", "<svg onload=x>", "`", "\x00", "\u2028", "${x}", "'", "url=https://attacker.example.com",
	}
	text := rapid.OneOf(rapid.SampledFrom(attacks), rapid.StringN(1, 40, -1), rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(attacks).Draw(t, "a") + rapid.SampledFrom(attacks).Draw(t, "b")
	})).Filter(func(s string) bool { return s != "" && !strings.Contains(s, "\n") })
	want := skeleton(t, writePage(t, "html", planPageData(), nil, plain(func() string { return "plain" })))
	rapid.Check(t, func(rt *rapid.T) {
		p := plain(func() string { return text.Draw(rt, "text") })
		if got := skeleton(t, writePage(t, "html", planPageData(), nil, p)); got != want {
			rt.Fatalf("the elements are\n%s\nwant\n%s", got, want)
		}
	})
}

// plain is a cluster with all its texts from one source.
func plain(text func() string) *fleet.ClusterPlan {
	p := prodEU()
	p.ID, p.Name, p.UUID, p.State, p.KubernetesVersion = text(), text(), text(), text(), text()
	p.Labels = map[string]string{text(): text()}
	p.Findings = []fleet.Finding{{Code: text(), Severity: fleet.Warn, Message: text(), Todo: text()}}
	p.Diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n " + text() + "\n-" + text() + "\n+" + text() + "\n"
	return p
}

// skeleton gives the elements of a page with the names of their attributes.
func skeleton(t *testing.T, page string) string {
	var b strings.Builder
	walk(t, page, func(n *html.Node) {
		b.WriteString(n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteByte('\n')
	})
	return b.String()
}

func walk(t *testing.T, page string, visit func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			visit(n)
		}
	}
}

func attributeOf(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// What the script filters by is on every cluster.
func TestClustersCarryWhatTheFilterNeeds(t *testing.T) {
	p := prodEU()
	p.Findings = append(p.Findings, fleet.Finding{Code: "ecr-static-keys", Severity: fleet.Warn})
	found := false
	walk(t, writePage(t, "html", planPageData(), nil, p), func(n *html.Node) {
		if n.Data != "article" {
			return
		}
		found = true
		for key, want := range map[string]string{
			"data-search": "prod-eu\nc-prod1\nenv=prod\nregion=eu", "data-verdict": "to patch", "data-version": "v1.26.15-rancher1-1",
			"data-findings": "nodes-cordoned\necr-static-keys\n",
		} {
			if got := attributeOf(n, key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
	})
	if !found {
		t.Error("there is no article")
	}
}

// A page of very many clusters, or of very long texts, still opens.
func TestPageHasLimits(t *testing.T) {
	p := prodEU()
	p.Name = strings.Repeat("long", 10_000)
	p.Labels = map[string]string{}
	for i := range 5000 {
		p.Labels[fmt.Sprintf("label-%04d", i)] = strings.Repeat("v", 500)
	}
	p.Findings[0].Message = strings.Repeat("m", 1<<20)
	page := writePage(t, "html", planPageData(), nil, p)
	if len(page) > 100<<10 {
		t.Errorf("one cluster makes a page of %d bytes", len(page))
	}
	if !strings.Contains(page, "4960 more") {
		t.Error("labels are left out without a word")
	}

	var many []*fleet.ClusterPlan
	for i := range 1000 {
		c := prodEU()
		c.KubernetesVersion = fmt.Sprintf("v1.%d.0", i)
		many = append(many, c)
	}
	page = writePage(t, "html", planPageData(), nil, many...)
	if n := len(regexp.MustCompile(`<option>v1`).FindAllString(page, -1)); n != maxKinds {
		t.Errorf("the filter offers %d versions, want %d", n, maxKinds)
	}
	if n := strings.Count(page, "<details open>"); n != openClusters {
		t.Errorf("%d clusters are open from the start, want %d", n, openClusters)
	}
}

// The clusters that failed last are as important as those that failed first,
// and a flood of lesser trouble does not hide them.
func TestAttention(t *testing.T) {
	var b bytes.Buffer
	p, err := NewPage(&b, "html", runPageData())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		c, o := prodEU(), fleet.Outcome{Status: fleet.StatusStale, Message: "somebody edited it"}
		c.Name = fmt.Sprintf("c%03d", i)
		switch {
		case i%4 == 0:
			o = fleet.Outcome{Status: fleet.StatusPatched}
		case i > 190:
			o = fleet.Outcome{Status: fleet.StatusFailed, Message: "it broke"}
		}
		if err := p.Add(c, &o); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(Totals{}, nil); err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`<li><a href="#cluster-\d+">(c\d+)</a> ([a-z]+):`).FindAllStringSubmatch(b.String(), -1)
	if len(list) != maxAttention+7 || list[0][1] != "c191" || list[0][2] != "failed" || list[6][2] != "failed" || list[7][2] != "stale" {
		t.Errorf("the list is %v", list)
	}
	if !strings.Contains(b.String(), "<p>113 more are among") {
		t.Error("what is left out of the list is not counted")
	}
}

func TestSegments(t *testing.T) {
	for _, tt := range []struct {
		name     string
		totals   Totals
		outcomes []count
		want     string
	}{
		{"nothing", Totals{}, nil, ""},
		{"one kind fills the bar", Totals{Clusters: 3, Patch: 3}, nil, "to patch/blue 0.0-100.0"},
		{"a small part is still seen", Totals{Clusters: 10_000, Patch: 9999, Blocked: 1}, nil, "to patch/blue 0.0-99.4, blocked/amber 99.4-100.0"},
		{"a run shows its outcomes", Totals{Clusters: 4, Patch: 4}, []count{{"failed", 1}, {"patched", 3}}, "failed/red 0.0-25.3, patched/blue 25.3-100.0"},
		{"an unknown outcome is grey in the picture", Totals{}, []count{{"odd", 1}}, "odd/ 0.0-100.0"},
	} {
		var parts []string
		for _, s := range segments(tt.totals, tt.outcomes) {
			parts = append(parts, fmt.Sprintf("%s/%s %.1f-%.1f", s.Name, s.Tone, s.X, s.X+s.Width))
		}
		if got := strings.Join(parts, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
