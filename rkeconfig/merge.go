package rkeconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MergeOptions is what Merge must know beside the config.
type MergeOptions struct {
	ReplaceArgs   []string // arguments that may lose the value they have
	WindowsNodes  bool     // the cluster has, or may get, Windows nodes
	DockerRootDir string   // the cluster's dockerRootDir; "" is /var/lib/docker
}

// State says how much of a patch a config already holds.
type State string

// Unknown is a config that could not be understood.
const (
	NotPatched  State = "no"
	HalfPatched State = "half"
	Patched     State = "yes"
	Unknown     State = "unknown"
)

// Result is what Merge found. Document equals the input and there are no Changes
// when any finding blocks. Findings are sorted, most severe first. State is that
// of the input.
type Result struct {
	Document Document
	Changes  []Change
	Findings []Finding
	State    State
}

// Blocked reports whether a finding stands in the way.
func (r Result) Blocked() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Block })
}

// Merge sets the patch's arguments and binds in a config. It touches nothing
// else, and merging twice gives the same as merging once. The rules are the table
// in docs/findings.md; each row that says no is a finding.
func Merge(doc Document, p Patch, o MergeOptions) Result {
	if err := doc.Check(); err != nil {
		return Result{Document: doc, State: Unknown, Findings: []Finding{newFinding(notUnderstood,
			"the config is not understood: "+err.Error(),
			"correct this value in the cluster's config first; Rancher would drop it without a word")}}
	}
	m := merger{doc: doc, patch: p, options: o}
	args := m.mergeArgs()
	heldArgs := m.held
	binds := m.mergeBinds()
	heldBinds := m.held - heldArgs
	m.checkPaths()
	m.checkWindows(len(args)+heldArgs > 0, len(binds)+heldBinds > 0)

	slices.SortStableFunc(m.findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	result := Result{Document: doc, Findings: m.findings, State: m.state()}
	if result.Blocked() || len(args)+len(binds) == 0 {
		return result
	}
	if len(args) > 0 {
		merged := maps.Clone(doc.object("services", "kubelet", "extraArgs"))
		if merged == nil {
			merged = map[string]any{}
		}
		for name, value := range args {
			merged[name] = value
		}
		result.Document = result.Document.with(merged, "services", "kubelet", "extraArgs")
	}
	if len(binds) > 0 {
		v, _ := doc.at("services", "kubelet", "extraBinds")
		old, _ := v.([]any)
		result.Document = result.Document.with(append(slices.Clip(old), binds...), "services", "kubelet", "extraBinds")
	}
	result.Changes = Compare(doc, result.Document)
	return result
}

type merger struct {
	doc      Document
	patch    Patch
	options  MergeOptions
	findings []Finding
	// wanted counts what the patch asks for, held what is there already.
	wanted, held int
	// args are the arguments, targets the container paths of all mounts, as the
	// patch wants them to be in the end.
	args    map[string]string
	targets []string
}

func (m *merger) report(code, message, todo string) {
	m.findings = append(m.findings, newFinding(code, message, todo))
}

func (m *merger) state() State {
	switch m.held {
	case m.wanted:
		return Patched
	case 0:
		return NotPatched
	}
	return HalfPatched
}

// mergeArgs returns the arguments to set.
func (m *merger) mergeArgs() map[string]string {
	today := m.doc.ExtraArgs()
	array := m.doc.object("services", "kubelet", "extraArgsArray")
	add := map[string]string{}
	taken := make([]bool, len(m.patch.Groups))

	for _, name := range slices.Sorted(maps.Keys(m.patch.Args)) {
		m.checkSpelling(name, today, array)
		want := m.patch.Args[name]
		have, set := today[name]
		m.wanted++
		switch {
		case set && have == want:
			m.held++
		case !set || slices.Contains(m.options.ReplaceArgs, name):
			add[name] = want
		default:
			if g := m.groupOf(name); g >= 0 {
				taken[g] = true
				continue
			}
			m.report(argConflict,
				fmt.Sprintf("extra_args sets %s to %s, the patch wants %s", name, shown(name, have), shown(name, want)),
				fmt.Sprintf("keep the value and leave %s out of the patch, or allow the change with --replace-arg %s", name, name))
		}
	}
	m.args = maps.Clone(today)
	maps.Copy(m.args, m.patch.Args)
	for i, g := range m.patch.Groups {
		if taken[i] {
			m.findings = append(m.findings, g.Taken)
		}
		switch {
		case g.isPartOf(m.args):
			m.findings = append(m.findings, g.Incomplete)
		case g.isPartOf(today):
			m.findings = append(m.findings, g.Half)
		}
	}
	return add
}

// isPartOf reports whether some but not all of the group's arguments are set.
func (g Group) isPartOf(args map[string]string) bool {
	isSet := func(name string) bool { return args[name] != "" }
	return slices.ContainsFunc(g.Args, isSet) &&
		slices.ContainsFunc(g.Args, func(name string) bool { return !isSet(name) })
}

func (m *merger) groupOf(name string) int {
	return slices.IndexFunc(m.patch.Groups, func(g Group) bool { return slices.Contains(g.Args, name) })
}

func (m *merger) checkSpelling(name string, today map[string]string, array map[string]any) {
	flag := flagName(name)
	for _, other := range slices.Sorted(maps.Keys(today)) {
		if other != name && flagName(other) == flag {
			m.report(argMisspelt,
				fmt.Sprintf("extra_args already has %s spelt as %q", name, other),
				fmt.Sprintf("rename or remove %q in the cluster's extra_args first", other))
		}
	}
	for _, other := range slices.Sorted(maps.Keys(array)) {
		if flagName(other) == flag {
			m.report(argInArray,
				fmt.Sprintf("extra_args_array already has %q, so the kubelet would get --%s more than once", other, name),
				fmt.Sprintf("remove %q from the cluster's extra_args_array first", other))
		}
	}
}

// flagName is the flag that a carelessly written key was meant to be. The kubelet
// itself takes _ for - in flag names.
func flagName(key string) string {
	key = strings.ToLower(strings.TrimSpace(key))
	return strings.ReplaceAll(strings.TrimSpace(strings.TrimLeft(key, "-")), "_", "-")
}

// mergeBinds returns the binds to append.
func (m *merger) mergeBinds() []any {
	mounts := mountsOf(m.doc, m.options.DockerRootDir)
	today := m.existingBinds(mounts)
	for _, d := range mounts {
		m.targets = append(m.targets, d.container)
	}
	for _, b := range today {
		m.targets = append(m.targets, b.target)
	}
	var add []any
	var added []bind
	for _, text := range m.patch.Binds {
		want, err := parseBind(text)
		if err != nil {
			m.wanted++
			m.report(bindNotUnderstood, fmt.Sprintf("the patch's bind %s is not understood: %s", shown("", text), err),
				"write it as host:container or host:container:options with absolute paths")
			continue
		}
		sameTarget := func(b bind) bool { return b.target == want.target }
		if i := slices.IndexFunc(added, sameTarget); i >= 0 {
			if added[i].text != want.text {
				m.report(bindDuplicate, fmt.Sprintf("the patch's binds %q and %q have one container path", added[i].text, want.text), "keep one of them")
			}
			continue
		}
		if i := slices.IndexFunc(today, sameTarget); i >= 0 {
			m.wanted++
			m.compareBinds(today[i], want)
			continue
		}
		if def, inside, ok := covering(mounts, want.target); ok {
			m.compareDefault(def, inside, want)
			continue
		}
		m.wanted++
		if shadows(mounts, want.target) {
			m.report(bindShadows, fmt.Sprintf("a bind to %s would hide what the kubelet's container needs there", want.target),
				"use a directory of its own such as /opt/aws/bin, or one under /var/lib/rancher")
		}
		add = append(add, want.text)
		added = append(added, want)
		m.targets = append(m.targets, want.target)
	}
	return add
}

// existingBinds reads the cluster's own binds and reports those that no kubelet
// container could be created with.
func (m *merger) existingBinds(mounts []mount) []bind {
	var today []bind
	known := map[string]bind{} // by target
	for _, text := range m.doc.ExtraBinds() {
		if strings.TrimSpace(text) == "" {
			continue // RKE leaves blank entries out
		}
		b, err := parseBind(text)
		if err != nil {
			m.report(bindNotUnderstood, fmt.Sprintf("the cluster's bind %s is not understood: %s", shown("", text), err),
				"correct or remove it in the cluster's extra_binds first")
			continue
		}
		twin, isTwin := known[b.target]
		def := slices.IndexFunc(mounts, func(d mount) bool { return d.container == b.target })
		switch {
		case isTwin && twin.text == b.text:
			// RKE de-duplicates equal strings.
		case isTwin:
			m.report(bindDuplicate, fmt.Sprintf("the binds %q and %q have one container path", twin.text, b.text),
				"remove one of them from the cluster's extra_binds first")
		case def >= 0 && !mounts[def].isDefaultBind(b) && !(mounts[def].both && mounts[def].prefixed):
			m.report(bindDuplicate, fmt.Sprintf("the bind %q has a container path that RKE mounts by itself", b.text),
				"remove it from the cluster's extra_binds first")
		default:
			today = append(today, b)
			known[b.target] = b
		}
	}
	return today
}

// compareBinds judges a wanted bind whose container path is bound already.
func (m *merger) compareBinds(have, want bind) {
	switch {
	case have.source != want.source:
		m.report(bindConflict, fmt.Sprintf("%s is already bound from %s, the patch wants %s", want.target, have.source, want.source),
			"put the files where the cluster's bind points, or use another container path in the patch")
	case !have.sameOptions(want):
		m.held++
		m.report(bindMode, fmt.Sprintf("the bind %q is already there, the patch wants %q; it is left as it is", have.text, want.text),
			"nothing, as long as the kubelet only reads there")
	default:
		m.held++
	}
}

// compareDefault judges a wanted bind whose container path RKE mounts already.
func (m *merger) compareDefault(def mount, inside string, want bind) {
	if want.source != strings.TrimSuffix(def.host, "/")+inside {
		m.wanted++
		m.report(bindConflict, fmt.Sprintf("RKE mounts %s at %s, so %s can not be bound to %s", printable(def.host), printable(def.container), want.source, want.target),
			"put the files under "+printable(def.host)+" on the nodes, or use another container path in the patch")
		return
	}
	m.report(bindNotNeeded, fmt.Sprintf("no bind is added for %s: RKE mounts %s into the kubelet by itself", want.target, printable(def.container)), "")
	if def.prefixed {
		m.report(bindPrefix, fmt.Sprintf("the cluster names no prefix path, so on Flatcar, CoreOS and RancherOS the kubelet sees /opt/rke%s as %s", want.source, want.target),
			"on such nodes put the files there, or use a directory under /var/lib/rancher, which never moves")
	}
}

// checkPaths reports the arguments whose paths the kubelet would not see.
func (m *merger) checkPaths() {
	for _, g := range m.patch.Groups {
		var unseen []string
		for _, name := range g.Paths {
			value := m.args[name]
			if value != "" && !slices.ContainsFunc(m.targets, func(target string) bool { return holds(target, value) }) {
				unseen = append(unseen, name+" "+shown(name, value))
			}
		}
		if len(unseen) > 0 {
			f := g.Unmounted
			f.Message += ": " + strings.Join(unseen, ", ")
			m.findings = append(m.findings, f)
		}
	}
}

// checkWindows is told whether any of the patch's arguments and binds are in the
// config in the end, of this merge or of an earlier one.
func (m *merger) checkWindows(hasArgs, hasBinds bool) {
	if !m.options.WindowsNodes {
		return
	}
	for _, field := range []struct {
		has            bool
		linux, windows string
		jsonName       string
	}{
		{hasArgs, "extra_args", "win_extra_args", "winExtraArgs"},
		{hasBinds, "extra_binds", "win_extra_binds", "winExtraBinds"},
	} {
		if field.has && !m.doc.hasOwnWindows(field.jsonName) {
			m.report(windowsInherits,
				fmt.Sprintf("the cluster has Windows nodes and no %s, so they would get the Linux %s", field.windows, field.linux),
				fmt.Sprintf("give %s a value of its own in the cluster's config first", field.windows))
		}
	}
}

// hasOwnWindows reports whether services.kubelet.winExtraArgs or winExtraBinds
// holds anything, even an empty value: only then does RKE not give Windows nodes
// the Linux values.
func (d Document) hasOwnWindows(field string) bool {
	v, _ := d.at("services", "kubelet", field)
	args, _ := v.(map[string]any)
	binds, _ := v.([]any)
	return len(args)+len(binds) > 0
}
