package clusterfile

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

const madeUpSecret = "hunter2hunter2"

// pair is a member of a made-up map, in order.
type pair struct {
	key   string
	value any // string, nil, []any, []pair
}

// generator writes made-up configs the way people write YAML: each its own way.
type generator struct {
	*rapid.T
	b          strings.Builder
	step, dash int
	camel      bool
}

func (g *generator) chance(percent int, label string) bool {
	return rapid.IntRange(0, 99).Draw(g.T, label) < percent
}

func (g *generator) pick(from ...string) string { return rapid.SampledFrom(from).Draw(g.T, "pick") }

// someFile gives a file with a config in it.
func someFile(t *rapid.T) string {
	g := &generator{T: t, step: rapid.IntRange(1, 4).Draw(t, "step")}
	if g.chance(50, "dashes indented") {
		g.dash = g.step
	}
	form := g.pick("rke", "ui", "api")
	g.camel = form == "api"
	config := g.config()
	root := config
	switch form {
	case "ui":
		root = g.shuffled([]pair{{uiKey, config}, {"docker_root_dir", "/var/lib/docker"}, {"description", g.text()}})
	case "api":
		cluster := g.shuffled([]pair{{apiKey, config}, {"dockerRootDir", "/var/lib/docker"}, {"description", g.text()}})
		root = []pair{{"Version", "v3"}, {"clusters", []pair{{"prod-eu", cluster}}}}
	}
	if g.chance(20, "mark") {
		g.b.WriteString("---\n")
	}
	g.remarks(0)
	g.block(root, 0, false)
	text := g.b.String()
	if g.chance(20, "no newline") {
		text = strings.TrimRight(text, "\n")
	}
	if g.chance(30, "crlf") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

func (g *generator) shuffled(pairs []pair) []pair { return rapid.Permutation(pairs).Draw(g.T, "order") }

// some gives a part of the pairs, in any order.
func (g *generator) some(pairs []pair) []pair {
	var kept []pair
	for _, p := range pairs {
		if g.chance(60, "keep") {
			kept = append(kept, p)
		}
	}
	return g.shuffled(kept)
}

func (g *generator) config() []pair {
	all := g.some([]pair{
		{"etcd", []pair{{"snapshot", "true"}, {"extra_args", []pair{{"max-wals", g.text()}}}, {"extra_binds", []any{"/x:/x"}}}},
		{"kube_api", []pair{{"service_node_port_range", g.text()}, {"extra_env", []any{"A=b", g.text()}}}},
		{"scheduler", []pair{}},
		{"kubeproxy", nil},
		{"kubelet", g.kubelet()},
	})
	pairs := g.some([]pair{
		{"cluster_name", g.text()},
		{"network", []pair{{"plugin", "canal"}, {"options", []pair{{"flannel_backend_type", "vxlan"}}}}},
		{"private_registries", []any{[]pair{{"url", "r.example.com"}, {"password", madeUpSecret}}, []pair{{"url", g.text()}}}},
		{"addons", "---\n# {{ in a manifest }}\nkind: \"x\"\n\n  \tindented\n"},
		{"nodes", []any{[]pair{{"address", "10.0.0.1"}, {"role", []any{"etcd", "worker"}}, {"labels", []pair{}}}}},
		{"services", all},
	})
	// Something must say what the file is.
	return append(pairs, pair{"kubernetes_version", "v1.26.15-rancher1-1"})
}

func (g *generator) kubelet() any {
	if g.chance(10, "no kubelet") {
		return nil
	}
	args := g.some([]pair{
		{"max-pods", "250"}, {"v", g.text()}, {"feature-gates", "A=true,B=false"}, {"node-labels", g.text()},
		{"image-credential-provider-bin-dir", "/opt/aws/bin"},
	})
	var argsValue any = args
	switch {
	case len(args) == 0 && g.chance(50, "args null"):
		argsValue = nil
	case !g.camel && g.chance(20, "args list"):
		list := []any{}
		for _, a := range args {
			list = append(list, []pair{a})
		}
		argsValue = list
	}
	var binds []any
	for _, b := range []string{"/data:/data", "/srv:/srv:ro", "/opt/aws/bin:/opt/aws/bin:ro", "/a b:/c d"} {
		if g.chance(30, "bind") {
			binds = append(binds, b)
		}
	}
	var bindsValue any = binds
	if len(binds) == 0 && g.chance(50, "binds null") {
		bindsValue = nil
	}
	return g.some([]pair{
		{"extra_args", argsValue}, {"extra_binds", bindsValue},
		{"extra_env", []any{"AWS_SECRET_ACCESS_KEY=" + madeUpSecret, "B=c"}},
		{"infra_container_image", g.text()}, {"cluster_domain", g.text()},
		{"extra_args_array", []pair{{"register-with-taints", []any{"a=b:NoSchedule", g.text()}}}},
	})
}

func (g *generator) text() string {
	return g.pick("plain", "with some spaces in it", "10", "yes", "", "a: b", "it's", `say "hi"`, "# no comment", "x #y", "é ü 漢字",
		"- a", "{a}", "a,b", "[", "~", "*a", "&b", "!c", "%d", "@e", "`f`", "trailing:", "two\nlines", "two\n\nparts\n", "key: |", "\\n", "1e3", "0x1F", "=")
}

// remarks writes comments and blank lines.
func (g *generator) remarks(indent int) {
	for g.chance(15, "remark") {
		g.b.WriteString(g.pick("\n", "# a comment: with 'signs' {\n", strings.Repeat(" ", indent)+"# extra_args: here\n", strings.Repeat(" ", indent+1)+"#\n"))
	}
}

func (g *generator) lineEnd() {
	if g.chance(10, "comment") {
		g.b.WriteString(g.pick(" # why: because", "   #", "\t# tab"))
	}
	g.b.WriteString("\n")
}

func (g *generator) block(pairs []pair, indent int, inline bool) {
	for i, p := range pairs {
		if i > 0 || !inline {
			g.remarks(indent)
			g.b.WriteString(strings.Repeat(" ", indent))
		}
		name := p.key
		if g.camel && !strings.Contains(name, "-") {
			name = camel(name)
		}
		g.b.WriteString(g.pick(name, name, name, `"`+name+`"`, "'"+name+"'") + g.pick(":", ":", ":", " :"))
		g.value(p.value, indent)
	}
}

// value writes what follows a colon, and the line's end.
func (g *generator) value(v any, indent int) {
	if g.chance(10, "anchor") {
		if s, isText := v.(string); v != nil && (!isText || s != "") {
			if pairs, _ := v.([]pair); len(pairs) > 0 {
				fmt.Fprintf(&g.b, " &anchor%d", g.b.Len())
			}
		}
	}
	switch v := v.(type) {
	case nil:
		g.b.WriteString(g.pick("", "", " ~", " null"))
		g.lineEnd()
	case string:
		g.b.WriteString(" ")
		g.scalar(v, indent)
	case []pair:
		if len(v) == 0 || g.chance(15, "flow map") {
			g.b.WriteString(" " + g.flow(v))
			g.lineEnd()
			return
		}
		g.lineEnd()
		g.block(v, indent+g.step, false)
	case []any:
		if len(v) == 0 || g.chance(15, "flow list") {
			g.b.WriteString(" " + g.flow(v))
			g.lineEnd()
			return
		}
		g.lineEnd()
		for _, item := range v {
			g.remarks(indent + g.dash)
			g.b.WriteString(strings.Repeat(" ", indent+g.dash) + "-")
			switch item := item.(type) {
			case []pair:
				g.b.WriteString(" ")
				g.block(item, indent+g.dash+2, true)
			default:
				g.value(item, indent+g.dash)
			}
		}
	}
}

func (g *generator) scalar(s string, indent int) {
	if strings.Contains(s, "\n") && g.chance(60, "text block") {
		body := strings.TrimRight(s, "\n")
		g.b.WriteString(map[int]string{0: "|-", 1: "|"}[len(s)-len(body)])
		g.lineEnd()
		for line := range strings.SplitSeq(body, "\n") {
			if line != "" {
				line = strings.Repeat(" ", indent+g.step) + line
			}
			g.b.WriteString(line + "\n")
		}
		for g.chance(20, "blank") {
			g.b.WriteString("\n")
		}
		return
	}
	text := g.inline(s)
	if g.chance(30, "fold") {
		text = strings.Replace(text, "some spaces", "some\n"+strings.Repeat(" ", indent+1)+"spaces", 1)
	}
	g.b.WriteString(text)
	g.lineEnd()
}

var plainWords = map[string]bool{"plain": true, "with some spaces in it": true, "10": true, "a,b": true, "é ü 漢字": true, "it's": true, "1e3": true, "true": true}

func (g *generator) inline(s string) string {
	switch {
	case (plainWords[s] || plainText.MatchString(s)) && g.chance(60, "plain"):
		return s
	case !strings.ContainsAny(s, "\n\t") && g.chance(50, "single"):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

func (g *generator) flow(v any) string {
	space := g.pick("", " ")
	var texts []string
	switch v := v.(type) {
	case string:
		if strings.ContainsAny(v, ":, ") || !plainText.MatchString(v) {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(v) + `"`
		}
		return g.inline(v)
	case []pair:
		for _, p := range v {
			name := p.key
			if g.camel && !strings.Contains(name, "-") {
				name = camel(name)
			}
			texts = append(texts, name+": "+g.flow(p.value))
		}
		return "{" + space + strings.Join(texts, ", ") + g.comma(len(texts)) + space + "}"
	case []any:
		for _, item := range v {
			texts = append(texts, g.flow(item))
		}
		return "[" + space + strings.Join(texts, ","+space) + g.comma(len(texts)) + space + "]"
	}
	return "null"
}

func (g *generator) comma(n int) string {
	if n > 0 && g.chance(10, "last comma") {
		return ","
	}
	return ""
}
