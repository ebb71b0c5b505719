package clusterfile

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"rkepatch/rkeconfig"
)

func sortEdits(edits []edit) {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
}

// irregular are names in rke's YAML that camel does not make into those of the
// API.
var irregular = map[string]string{
	"kube-api": "kubeApi", "kube-controller": "kubeController", "s3backupconfig": "s3BackupConfig",
}

// maskNode hides the secrets under n. path is how rkeconfig would write the way
// to n from the config, or from the root where n is not in the config.
func (f *File) maskNode(n *yaml.Node, path []string, edits *[]edit) {
	if n == resolve(f.config) {
		path = nil
	}
	switch n.Kind {
	case yaml.ScalarNode:
		s := f.spans[n]
		if shown := maskValue(path, n.Value); shown != n.Value {
			*edits = append(*edits, edit{s.content, s.end, strconv.Quote(shown)})
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f.maskNode(n.Content[i+1], append(slices.Clip(path), "["+strconv.Quote(apiName(n.Content[i].Value))+"]"), edits)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			f.maskNode(item, append(slices.Clip(path), "["+strconv.Itoa(i)+"]"), edits)
		}
	}
}

func apiName(key string) string {
	if name, ok := irregular[key]; ok {
		return name
	}
	return camel(key)
}

// maskValue gives what may be shown of a value.
func maskValue(path []string, value string) string {
	masked := rkeconfig.MaskChanges([]rkeconfig.Change{{Path: strings.Join(path, ""), Before: value, After: value}})
	shown, ok := masked[0].After.(string)
	if !ok {
		return rkeconfig.Redacted
	}
	return shown
}

// maskComments hides comments that speak of secrets: a line that was commented
// out may hold one.
func (f *File) maskComments(edits *[]edit) {
	leaves := make([]span, 0, len(f.spans))
	for n, s := range f.spans {
		if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
			leaves = append(leaves, s)
		}
	}
	slices.SortFunc(leaves, func(a, b span) int { return a.start - b.start })
	at := 0
	mask := func(until int) {
		for at < until {
			hash := strings.IndexByte(f.src[at:until], '#')
			if hash < 0 {
				break
			}
			from := at + hash
			at = len(f.src)
			if end := strings.IndexByte(f.src[from:], '\n'); end >= 0 {
				at = from + end
			}
			comment := strings.TrimRight(f.src[from:at], "\r")
			if shown := maskComment(comment); shown != comment {
				*edits = append(*edits, edit{from, from + len(comment), shown})
			}
		}
	}
	for _, leaf := range leaves {
		mask(leaf.start)
		at = max(at, leaf.end)
	}
	mask(len(f.src))
}

// longWord is what keys and certificates look like.
var longWord = regexp.MustCompile(`[A-Za-z0-9+/=_-]{40,}|\b(?:AKIA|ASIA)[A-Z0-9]{8,}`)

func maskComment(comment string) string {
	shown := maskValue([]string{"[" + strconv.Quote(comment) + "]"}, comment)
	if shown == rkeconfig.Redacted || longWord.MatchString(comment) {
		return "# " + rkeconfig.Redacted
	}
	return shown
}
