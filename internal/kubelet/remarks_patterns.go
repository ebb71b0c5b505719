package kubelet

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// patternTexts gives one text for each different pattern that say speaks of.
func patternTexts(s sight, say func(pattern string) string) []string {
	var texts []string
	seen := map[string]bool{"": true}
	for _, e := range s.entries {
		for _, p := range e.matchImages {
			if text := say(p); !seen[text] {
				seen[text] = true
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// futility is one way in which a pattern that kubelets accept matches nothing.
// It is asked for the host's labels and the path, as the kubelet splits them.
var futility = []struct {
	because string
	holds   func(pattern string, labels []string, path string) bool
}{
	{"it begins with a scheme", func(p string, _ []string, _ string) bool { return strings.Contains(p, "://") }},
	{"it has no host", func(_ string, labels []string, _ string) bool { return slices.Equal(labels, []string{""}) }},
	{"there is a comma in it", func(_ string, labels []string, _ string) bool {
		return strings.Contains(strings.Join(labels, "."), ",")
	}},
	{"there is white space in it", func(_ string, labels []string, path string) bool {
		return strings.ContainsAny(path+strings.Join(labels, "."), " \t\r\n")
	}},
	{"a label of its host is empty", func(_ string, labels []string, _ string) bool { return slices.Contains(labels, "") }},
	{"its host has a character that no registry's name has", func(_ string, labels []string, _ string) bool {
		return strings.ContainsFunc(strings.Join(labels, "."), func(r rune) bool { return !isHostRune(r) })
	}},
	{"globs are not looked at in a path", func(_ string, _ []string, path string) bool { return strings.ContainsAny(path, "*?[]") }},
	{"images are looked up without their tag", func(_ string, _ []string, path string) bool { return strings.ContainsAny(path, ":@") }},
	{"its path has a character that no image's name has", func(_ string, _ []string, path string) bool {
		return strings.ContainsFunc(path, func(r rune) bool { return !isPathRune(r) }) || strings.Contains(path, "//")
	}},
}

// isHostRune takes what a registry's name can have, and what globs are made of.
func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-.*?[]^:", r)
}

func isPathRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
}

// futile says why a pattern can never match, or "".
func futile(pattern string) string {
	u, err := parseSchemeless(pattern)
	if err != nil {
		return "" // Start says it
	}
	labels, _ := splitHost(u)
	for _, f := range futility {
		if f.holds(pattern, labels, u.Path) {
			return f.because
		}
	}
	if strings.Count(u.Host, ":") > 1 && !strings.HasPrefix(u.Host, "[") {
		return "its host has two ports"
	}
	return ""
}

func neverMatching(s sight) []string {
	return patternTexts(s, func(p string) string {
		if why := futile(p); why != "" {
			return fmt.Sprintf("the pattern %s never matches: %s", shown(p), why)
		}
		return ""
	})
}

func neverAsked(_ sight, e entry) string {
	if len(e.matchImages) == 0 || slices.ContainsFunc(e.matchImages, func(p string) bool { return futile(p) == "" }) {
		return ""
	}
	return fmt.Sprintf("%s is never asked: none of its patterns can match", shown(e.name))
}

func brackets(s sight, e entry) string {
	if !s.reaches(31) {
		return ""
	}
	for _, p := range e.matchImages {
		u, err := parseSchemeless(p)
		if err == nil && strings.Contains(u.Host, "[") {
			return fmt.Sprintf("there is a bracket in the host of the pattern %s", shown(p))
		}
	}
	return ""
}

// strangers are registries that are none of ECR's, with one to nine labels and
// with names that are close to ECR's.
var strangers = []string{
	"localhost/a", "docker.io/library/a", "quay.io/a", "ghcr.io/a", "gcr.io/a", "registry.k8s.io/a", "mcr.microsoft.com/a", "registry.example.com/a",
	"registry.example.com:443/a", "registry.example.com:5000/a", "localhost:5000/a", "10.0.0.1:5000/a", "10.0.0.1/a", "a.azurecr.io/a", "europe-docker.pkg.dev/a",
	"a.b.example.com/a", "a.b.c.example.com/a", "a.b.c.d.example.com/a", "a.b.c.d.e.example.com/a", "a.b.c.d.e.f.example.com/a", "a.b.c.d.e.f.g.example.com/a",
	"123456789012.dkr.ecr.eu-west-1.example.com/a", "123456789012.dkr.ecr.eu-west-1.amazonaws.example/a", "123456789012.dkr.ecr.eu-west-1.example.com.cn/a",
	"a.b.c.eu-west-1.amazonaws.com/a", "bucket.s3.eu-west-1.amazonaws.com/a", "123456789012.dkr.ecr.eu-west-1.b.example.com/a",
}

var strangerURLs = sync.OnceValue(func() []*url.URL {
	var urls []*url.URL
	for _, image := range strangers {
		if u, err := parseSchemeless(image); err == nil {
			urls = append(urls, u)
		}
	}
	return urls
})

func tooWide(s sight) []string {
	s.entries = slices.DeleteFunc(slices.Clone(s.entries), func(e entry) bool { return !isECR(e) })
	return patternTexts(s, func(p string) string {
		glob, err := parseSchemeless(p)
		if err != nil {
			return ""
		}
		for _, u := range strangerURLs() {
			if ok, _ := matchURLs(glob, u); ok {
				return fmt.Sprintf("the pattern %s also matches %s", shown(p), u.Host)
			}
		}
		return ""
	})
}

func publicECR(s sight) []string {
	return patternTexts(s, func(p string) string {
		if ok, _ := Matches(p, "public.ecr.aws/a/b"); !ok {
			return ""
		}
		return fmt.Sprintf("the pattern %s matches public.ecr.aws", shown(p))
	})
}

func loseRegistries(s sight) []string { return lost(s, false) }

func losePartitions(s sight) []string { return lost(s, true) }

// lost names, for each registry that the config has a provider for, its rare or
// other patterns whose sample none of those providers is asked for.
func lost(s sight, rare bool) []string {
	var texts []string
	for _, r := range registries {
		ours := func(e entry) bool { return isOf(e, r.Kind) }
		if !slices.ContainsFunc(s.entries, ours) {
			continue
		}
		var missing []string
		for _, w := range r.Patterns {
			if w.Optional || w.Rare != rare || slices.ContainsFunc(s.entries, func(e entry) bool {
				return ours(e) && slices.ContainsFunc(e.matchImages, func(p string) bool {
					ok, _ := Matches(p, w.sample+"/a")
					return ok
				})
			}) {
				continue
			}
			missing = append(missing, w.Glob)
		}
		if len(missing) > 0 {
			texts = append(texts, "no pattern matches what "+strings.Join(missing, ", ")+" is for")
		}
	}
	return texts
}
