package rkeconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Basis is the part of a config that a patch reads or writes: what a plan was
// computed from. Two configs with equal sums give the same changes, whatever
// else differs between them.
type Basis struct {
	Sum   string   `json:"sum"`   // SHA-256 in hex, over the values in clear
	Facts []string `json:"facts"` // the same, masked, one line each, sorted
}

// Basis reads from doc what p depends on: each argument of its own or of its
// groups in any spelling, the binds with one of its container paths or above a
// path of its groups, and what decides about them (the Kubernetes version, the
// prefix path, whether Windows nodes have values of their own).
func (p Patch) Basis(doc Document) Basis {
	var clear, masked []string
	note := func(what, value, display string) {
		clear = append(clear, fmt.Sprintf("%q=%q", what, value))
		masked = append(masked, what+": "+display)
	}
	plain := func(what, value string) { note(what, value, shown("", value)) }

	plain("kubernetes_version", doc.KubernetesVersion())
	plain("prefix_path", doc.PrefixPath())
	for _, field := range []string{"winExtraArgs", "winExtraBinds"} {
		plain(field+" set", fmt.Sprint(doc.hasOwnWindows(field)))
	}
	flags := map[string]bool{}
	for name := range p.Args {
		flags[flagName(name)] = true
	}
	for _, g := range p.Groups {
		for _, name := range g.Args {
			flags[flagName(name)] = true
		}
	}
	args := doc.ExtraArgs()
	for _, key := range slices.Sorted(maps.Keys(args)) {
		if flags[flagName(key)] {
			note(fmt.Sprintf("extra_args %q", key), args[key], shown(key, args[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(doc.object("services", "kubelet", "extraArgsArray"))) {
		if flags[flagName(key)] {
			plain("extra_args_array", key)
		}
	}
	targets := map[string]bool{}
	for _, text := range p.Binds {
		if b, err := parseBind(text); err == nil {
			targets[b.target] = true
		}
	}
	var opened []string
	maps.Copy(args, p.Args)
	for _, g := range p.Groups {
		for _, name := range g.Paths {
			opened = append(opened, args[name])
		}
	}
	for _, text := range doc.ExtraBinds() {
		b, err := parseBind(text)
		if err != nil || targets[b.target] || slices.ContainsFunc(opened, func(p string) bool { return holds(b.target, p) }) {
			plain("extra_binds", strings.TrimSpace(text))
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(clear, "\n")))
	return Basis{Sum: hex.EncodeToString(sum[:]), Facts: masked}
}
