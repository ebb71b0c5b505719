package rkeconfig

// Patch is what is wanted under services.kubelet.
type Patch struct {
	Args   map[string]string // flag name without dashes to value
	Binds  []string          // host:container[:options]
	Groups []Group
}

// Group names arguments that only work together. An argument counts as set when
// its value is not empty.
type Group struct {
	Args []string
	// Half is reported when some but not all of Args are set today, and the patch
	// sets the others.
	Half Finding
	// Incomplete is reported when the merge would leave some but not all of Args
	// set.
	Incomplete Finding
	// Taken is reported, instead of arg-conflict, when one of them has another
	// value than the patch wants.
	Taken Finding
	// Paths are the arguments whose values the kubelet opens: its container sees
	// them only when a bind or RKE mounts the path or a directory above it.
	Paths []string
	// Unmounted is reported when that is not so after the merge. The arguments and
	// their values are put behind its message.
	Unmounted Finding
}

// Owns reports whether path, as Compare writes it, is one that a merge of p
// changes: one of its arguments, a bind when it has any, or an object around them
// that was not there before.
func (p Patch) Owns(path string) bool {
	steps, ok := parsePath(path)
	if !ok || len(steps) > 4 {
		return false
	}
	hasArgs, hasBinds := len(p.Args) > 0, len(p.Binds) > 0
	for i, above := range []string{"services", "kubelet"} {
		if i < len(steps) && steps[i] != (step{name: above}) {
			return false
		}
	}
	if len(steps) < 3 {
		return hasArgs || hasBinds
	}
	switch field := steps[2]; {
	case field == step{name: "extraArgs"} && len(steps) == 4:
		_, wanted := p.Args[steps[3].name]
		return wanted && steps[3].quoted
	case field == step{name: "extraArgs"}:
		return hasArgs
	case field == step{name: "extraBinds"}:
		return hasBinds && (len(steps) == 3 || steps[3].name == "" && !steps[3].quoted)
	}
	return false
}
