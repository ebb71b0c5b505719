package clusterfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	byteOrderMark = "\uFEFF"
	// maxNodes counts keys and values, each alias as what it stands for. A cluster
	// of a thousand nodes has a tenth of it.
	maxNodes = 200_000
	// maxDepth is far beyond the dozen levels of a config.
	maxDepth = 60
)

// encrypted are the ways in which whole files are encrypted; git-crypt's are no
// text at all.
var encrypted = []struct{ begins, name string }{
	{"$ANSIBLE_VAULT;", "ansible-vault"},
	{"-----BEGIN AGE ENCRYPTED FILE-----", "age"},
	{"-----BEGIN PGP MESSAGE-----", "PGP"},
	{"age-encryption.org/", "age"},
}

const decryptFirst = "decrypt it, patch it, encrypt it again"

// checkText refuses what is no plain text of a sensible size.
func checkText(src []byte) error {
	if len(src) > MaxBytes {
		return refuse(0, "a config of more than that is not taken by Rancher either; is this the right file?", "it has more than %d bytes", MaxBytes)
	}
	begin := strings.TrimSpace(strings.TrimPrefix(string(src[:min(len(src), 200)]), byteOrderMark))
	if begin == "" && len(bytes.TrimSpace(src)) == 0 {
		return refuse(0, "name a cluster.yml, or YAML from the Rancher UI", "it is empty")
	}
	for _, e := range encrypted {
		if strings.HasPrefix(begin, e.begins) {
			return refuse(0, decryptFirst, "it is encrypted with %s", e.name)
		}
	}
	if !utf8.Valid(src) {
		return refuse(0, "convert it to UTF-8; a file that git-crypt holds must be unlocked first", "it is not UTF-8 text")
	}
	for i, r := range string(src) {
		lone := r == '\r' && (i+1 == len(src) || src[i+1] != '\n')
		if lone || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return refuse(1+bytes.Count(src[:i], []byte("\n")), `end lines with LF or CR LF; in a quoted text write it as \u`+fmt.Sprintf("%04x", r),
				"a character (U+%04X) that YAML takes for a line's end and editors do not", r)
		}
	}
	return nil
}

var (
	yamlLine     = regexp.MustCompile(`line (\d+)`)
	tabbedLine   = regexp.MustCompile(`(?m)^ *\t`)
	templateMark = regexp.MustCompile(`\{\{|\{%|<%`)
)

const templateAdvice = "patch what the template is made into, or write the lines into the template by hand; --hcl and the diff of a rendered file show them"

// parse reads the one document.
func parse(src string) (root *yaml.Node, err error) {
	defer func() {
		// The library panics on what it does not expect.
		if p := recover(); p != nil {
			err = refuse(0, "check indentation, colons and quotes", "it is not YAML that can be read")
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(src))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, refuse(0, "name a cluster.yml, or YAML from the Rancher UI", "it holds nothing but comments")
	case err != nil:
		return nil, syntaxError(src, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxError(src, err)
		}
		return nil, refuse(more.Line, "split it into files of one document each", "it holds more than one YAML document, of which rke reads only the first")
	}
	return doc.Content[0], nil
}

func syntaxError(src string, err error) error {
	if at := templateMark.FindStringIndex(src); at != nil {
		return refuse(lineAt(src, at[0]), templateAdvice, "it is a template, not YAML")
	}
	line := 0
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		line, _ = strconv.Atoi(found[1])
	}
	if at := tabbedLine.FindStringIndex(src); at != nil {
		tab := lineAt(src, at[0])
		if line == 0 || tab-line >= -1 && tab-line <= 1 {
			return refuse(tab, "indent with spaces", "a tab in the indentation, which YAML does not take")
		}
	}
	return refuse(line, "check indentation, colons and quotes; YAML takes no tabs", "it is not YAML: %s", explain(err))
}

// explain keeps what the library says as far as it holds nothing from the file.
func explain(err error) string {
	text := err.Error()
	for _, known := range []string{
		"could not find expected ':'", "did not find expected key", "did not find expected '-' indicator",
		"did not find expected ',' or '}'", "did not find expected ',' or ']'", "found unexpected end of stream",
		"mapping values are not allowed in this context", "found character that cannot start any token",
		"control characters are not allowed", "unknown anchor", "exceeded max depth", "block sequence entries are not allowed in this context",
	} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return "the syntax is wrong"
}

func lineAt(src string, offset int) int { return 1 + strings.Count(src[:offset], "\n") }

// checkTree bounds the tree, refuses keys that stand twice and marks of
// encryption, and finds what aliases stand for.
func checkTree(root *yaml.Node) (map[*yaml.Node]int, error) {
	if v := member(root, "sops"); member(v, "mac") != nil || member(v, "version") != nil {
		return nil, refuse(v.Line, "edit it through sops: its checksum covers the whole file", "it is encrypted with sops")
	}
	c := treeCheck{aliased: map[*yaml.Node]int{}, sizes: map[*yaml.Node]int{}}
	if _, err := c.size(root, 0); err != nil {
		return nil, err
	}
	return c.aliased, nil
}

type treeCheck struct {
	aliased map[*yaml.Node]int
	sizes   map[*yaml.Node]int // -1 while it is being counted
}

// size counts the nodes under n with aliases followed, each node once.
func (c *treeCheck) size(n *yaml.Node, depth int) (int, error) {
	if depth > maxDepth {
		return 0, refuse(n.Line, "is this the right file?", "it is nested more than %d levels deep", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		c.aliased[n.Alias] = n.Line
		size := c.sizes[n.Alias]
		if size < 0 {
			return 0, refuse(n.Line, "take the alias out", "an alias stands inside of what it stands for")
		}
		return size, nil
	}
	if n.Tag == "!vault" || strings.HasPrefix(n.Value, "ENC[AES256_GCM,") {
		return 0, refuse(n.Line, decryptFirst, "a value in it is encrypted")
	}
	c.sizes[n] = -1
	total := 1
	seen := map[string]int{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			key := child
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			if first, twice := seen[key.Value]; twice && key.Kind == yaml.ScalarNode {
				return 0, refuse(child.Line, "keep one of them", "a key stands here for the second time, first on line %d", first)
			}
			if key.Kind == yaml.ScalarNode {
				seen[key.Value] = child.Line
			}
		}
		size, err := c.size(child, depth+1)
		if err != nil {
			return 0, err
		}
		if total += size; total > maxNodes {
			return 0, refuse(n.Line, "is this the right file?", "it holds more than %d values, aliases counted as what they stand for", maxNodes)
		}
	}
	c.sizes[n] = total
	return total, nil
}

// checkTemplates refuses marks of Go, Helm, Jinja and ERB templates anywhere but
// inside a text of several lines, where addons have manifests that hold such marks
// themselves.
func (f *File) checkTemplates() error {
	src := []byte(f.src)
	for n, s := range f.spans {
		if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") {
			for i := s.content; i < s.end; i++ {
				src[i] = ' '
			}
		}
	}
	if at := templateMark.FindIndex(src); at != nil {
		return refuse(lineAt(f.src, at[0]), templateAdvice, "it is a template, not the config itself")
	}
	return nil
}
