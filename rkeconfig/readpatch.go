package rkeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v2"
)

// maxPatch is in bytes.
const maxPatch = 1 << 20

// ErrPatch is matched by every error of ReadPatch.
var ErrPatch = errors.New("patch can not be used")

// PatchError says what is wrong with a patch and what to do about it. It holds no
// value from the patch.
type PatchError struct {
	Line   int    // 0 when it is not known
	Path   string // as written in the patch; "" for the whole
	Reason string
	Hint   string
}

// Error puts place, reason and hint into one line.
func (e *PatchError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Reason)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Is makes every PatchError match ErrPatch.
func (e *PatchError) Is(target error) bool { return target == ErrPatch }

// ReadPatch reads a kubelet snippet in YAML or JSON: extra_args as a map or as a
// list of maps, and extra_binds as a list; snake_case or camelCase; bare, or under
// kubelet, services.kubelet or rancher_kubernetes_engine_config.services.kubelet.
// Booleans and whole numbers become the strings Rancher stores; where YAML and
// Rancher could read a value in two ways it must be in quotes. Every error is a
// *PatchError.
func ReadPatch(src []byte) (Patch, error) {
	root, err := singleDocument(src)
	if err != nil {
		return Patch{}, err
	}
	kubelet, err := root.findKubelet()
	if err != nil {
		return Patch{}, err
	}
	var p Patch
	for _, name := range slices.Sorted(maps.Keys(kubelet.members)) {
		node := kubelet.members[name]
		switch uiName(name) {
		case "extra_args":
			if p.Args != nil {
				return Patch{}, node.errorf("it is there twice, in two spellings", "keep one of extra_args and extraArgs")
			}
			if p.Args, err = node.readArgs(); err != nil {
				return Patch{}, err
			}
		case "extra_binds":
			if p.Binds != nil {
				return Patch{}, node.errorf("it is there twice, in two spellings", "keep one of extra_binds and extraBinds")
			}
			if p.Binds, err = node.readBinds(); err != nil {
				return Patch{}, err
			}
		default:
			return Patch{}, node.refuseSetting(uiName(name))
		}
	}
	if len(p.Args)+len(p.Binds) == 0 {
		return Patch{}, kubelet.errorf("it sets nothing", "give it extra_args or extra_binds with at least one entry")
	}
	return p, nil
}

// patchNode is one place in the patch, decoded when it is known what it should be.
type patchNode struct {
	path   string
	decode func(any) error // nil for null
}

// UnmarshalYAML keeps the node for later.
func (n *patchNode) UnmarshalYAML(decode func(any) error) error {
	n.decode = decode
	return nil
}

type patchMap struct {
	patchNode
	members map[string]patchNode
}

func (n patchNode) errorf(reason, hint string) *PatchError {
	return &PatchError{Path: n.path, Reason: reason, Hint: hint}
}

func (n patchNode) at(name string) string {
	if len(name) > 60 || !argName.MatchString(uiName(name)) && !isPlainName(name) {
		name = quote(firstOf(name, 60))
	}
	if n.path == "" {
		return name
	}
	return n.path + "." + name
}

func firstOf(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

func singleDocument(src []byte) (patchNode, error) {
	if len(src) > maxPatch {
		return patchNode{}, &PatchError{Reason: fmt.Sprintf("it has %d bytes, more than %d", len(src), maxPatch), Hint: "a patch is a few lines of YAML; is this the right file?"}
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	dec.SetStrict(true)
	var root patchNode
	found := false
	for {
		var doc patchNode
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return patchNode{}, syntaxError(err)
		}
		if doc.decode == nil {
			continue // between two --- there is nothing
		}
		if found {
			return patchNode{}, &PatchError{Reason: "it holds more than one YAML document", Hint: "keep one, without a --- line in between"}
		}
		root, found = doc, true
	}
	if !found {
		return patchNode{}, &PatchError{Reason: "it is empty", Hint: "write the kubelet's extra_args or extra_binds into it"}
	}
	return root, nil
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func lineOf(err error) int {
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		line, _ := strconv.Atoi(found[1])
		return line
	}
	return 0
}

func syntaxError(err error) *PatchError {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	reason = yamlLine.ReplaceAllString(reason, "")
	reason = strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, strings.TrimPrefix(reason, ": "))
	return &PatchError{Line: lineOf(err), Reason: "it is not YAML: " + firstOf(reason, 120), Hint: "check indentation, colons and quotes; YAML takes no tabs"}
}

const mapHint = "write name: value lines"

// asMap decodes an object. Keys that stand twice in it are an error; hint is for a
// value that is no object.
func (n patchNode) asMap(hint string) (patchMap, error) {
	var members map[string]patchNode
	if n.decode == nil {
		return patchMap{}, n.errorf("it is null", "give it a value or leave it out")
	}
	if err := n.decode(&members); err != nil {
		if duplicateKey.MatchString(err.Error()) {
			return patchMap{}, &PatchError{Line: lineOf(err), Path: n.path, Reason: "a key is there twice", Hint: "keep one of them"}
		}
		return patchMap{}, &PatchError{Line: lineOf(err), Path: n.path, Reason: "it is not a map", Hint: hint}
	}
	for name, member := range members {
		member.path = n.at(name)
		members[name] = member
	}
	return patchMap{n, members}, nil
}

var duplicateKey = regexp.MustCompile(`already set in (map|type)`)

// wrappers are the levels a snippet may be wrapped in, outermost first.
var wrappers = []string{topKey, "services", "kubelet"}

// findKubelet goes down to the kubelet's settings.
func (n patchNode) findKubelet() (patchMap, error) {
	m, err := n.asMap(mapHint)
	if err != nil {
		return patchMap{}, err
	}
	level := slices.IndexFunc(wrappers, func(w string) bool { return m.hasOnly(w) })
	if level < 0 {
		level = slices.IndexFunc(wrappers, func(w string) bool { return m.find(w) != "" })
	}
	if level < 0 {
		return m, nil
	}
	for _, wrapper := range wrappers[level:] {
		for _, name := range slices.Sorted(maps.Keys(m.members)) {
			if uiName(name) != wrapper {
				return patchMap{}, m.members[name].refuseSibling(wrapper)
			}
		}
		name := m.find(wrapper)
		if name == "" {
			return patchMap{}, m.errorf("it sets nothing", "put "+wrapper+" under it")
		}
		if m, err = m.members[name].asMap(mapHint); err != nil {
			return patchMap{}, err
		}
	}
	return m, nil
}

func (m patchMap) find(wrapper string) string {
	for _, name := range slices.Sorted(maps.Keys(m.members)) {
		if uiName(name) == wrapper {
			return name
		}
	}
	return ""
}

func (m patchMap) hasOnly(wrapper string) bool {
	return len(m.members) == 1 && m.find(wrapper) != ""
}

func (n patchNode) refuseSibling(wrapper string) error {
	if wrapper == "kubelet" {
		return n.errorf("only services.kubelet can be patched", "leave the other services out")
	}
	return n.errorf("it is not part of a kubelet patch", "keep only "+strings.Join(wrappers, ".")+" with extra_args and extra_binds")
}

// refusedSettings are settings of the kubelet that exist, but not for a patch.
var refusedSettings = map[string]string{
	"extra_env":            "set the kubelet's environment in Rancher: its secrets are stored apart, and can not be taken back",
	"win_extra_env":        "set the kubelet's environment in Rancher: its secrets are stored apart, and can not be taken back",
	"extra_args_array":     "move flags with one value to extra_args",
	"win_extra_args":       "set Windows values in the cluster's config in Rancher",
	"win_extra_binds":      "set Windows values in the cluster's config in Rancher",
	"win_extra_args_array": "set Windows values in the cluster's config in Rancher",
}

func (n patchNode) refuseSetting(yamlName string) error {
	if hint, known := refusedSettings[yamlName]; known {
		return n.errorf("it can not be patched", hint)
	}
	return n.errorf("unknown key", "a patch takes extra_args and extra_binds")
}

// readArgs takes a map, or the list of one-key maps that a well-known article shows.
func (n patchNode) readArgs() (map[string]string, error) {
	if n.decode == nil {
		return nil, n.errorf("it is null", "give it a value or leave it out")
	}
	parts := []patchNode{n}
	var list []patchNode
	if n.decode(&list) == nil {
		parts = list
	}
	args := map[string]string{}
	for i, part := range parts {
		if part.path == "" {
			part.path = fmt.Sprintf("%s[%d]", n.path, i)
		}
		m, err := part.asMap("write name: value, without dashes before the name")
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(m.members)) {
			node := m.members[name]
			if err := node.checkArgName(name); err != nil {
				return nil, err
			}
			if _, twice := args[name]; twice {
				return nil, node.errorf("it is there twice", "keep one of them")
			}
			if args[name], err = node.text(); err != nil {
				return nil, err
			}
		}
	}
	return args, nil
}

var argName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func (n patchNode) checkArgName(name string) error {
	if argName.MatchString(name) {
		return nil
	}
	hint := "kubelet flags are lower case with dashes, as in max-pods"
	if flag := flagName(name); argName.MatchString(flag) {
		hint = "write " + firstOf(flag, 60)
	}
	return n.errorf("it is not the name of a kubelet flag", hint)
}

func (n patchNode) readBinds() ([]string, error) {
	if n.decode == nil {
		return nil, n.errorf("it is null", "give it a value or leave it out")
	}
	var list []patchNode
	if err := n.decode(&list); err != nil {
		return nil, &PatchError{Line: lineOf(err), Path: n.path, Reason: "it is not a list", Hint: "write one - host:container line for each bind"}
	}
	binds := []string{}
	targets := map[string]string{}
	for i, item := range list {
		item.path = fmt.Sprintf("%s[%d]", n.path, i)
		text, err := item.text()
		if err != nil {
			return nil, err
		}
		b, err := parseBind(text)
		if err != nil {
			return nil, item.errorf("it is not a bind: "+err.Error(), "write host:container or host:container:options with absolute paths")
		}
		other, twice := targets[b.target]
		if twice && other != b.text {
			return nil, item.errorf("another bind has the same container path", "keep one of them")
		}
		if !twice {
			targets[b.target] = b.text
			binds = append(binds, b.text)
		}
	}
	return binds, nil
}

// text returns a single value as the string Rancher would store: trimmed
// (facts: rancher-api.md T8), booleans and numbers in JSON's spelling.
func (n patchNode) text() (string, error) {
	if n.decode == nil {
		return "", n.null()
	}
	var v any
	if err := n.decode(&v); err != nil {
		return "", &PatchError{Line: lineOf(err), Path: n.path, Reason: "it is not a single value", Hint: "write one text, in quotes"}
	}
	var s string
	switch v := v.(type) {
	case nil:
		return "", n.null()
	case string:
		s = strings.TrimSpace(v)
	case map[any]any, []any:
		return "", n.errorf("it is not a single value", "write one text, in quotes")
	default:
		// yaml.v2 gives the text as it was written.
		if err := n.decode(&s); err != nil {
			return "", n.ambiguous()
		}
		if stored, err := json.Marshal(v); err != nil || string(stored) != s {
			return "", n.ambiguous()
		}
	}
	if strings.ContainsFunc(s, isControl) {
		return "", n.errorf("it holds control characters or several lines", "write it in one line")
	}
	return s, nil
}

func (n patchNode) null() error {
	return n.errorf("it is null, which Rancher would store as an empty text", `give it a value, or "" if it is to be empty`)
}

func (n patchNode) ambiguous() error {
	return n.errorf("YAML and Rancher would read it differently", "write it in quotes")
}
