package rkeconfig

import "fmt"

// Severity says whether a finding stands in the way.
type Severity int

// From harmless to "this cluster is left alone".
const (
	Info Severity = iota
	Warn
	Block
)

var severityNames = [...]string{Info: "info", Warn: "warn", Block: "block"}

// String returns info, warn or block.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText writes info, warn or block; any other severity is an error.
func (s Severity) MarshalText() ([]byte, error) {
	if s < 0 || int(s) >= len(severityNames) {
		return nil, fmt.Errorf("unknown severity %d", int(s))
	}
	return []byte(severityNames[s]), nil
}

// UnmarshalText reads info, warn or block; anything else is an error.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q: want info, warn or block", text)
}

// Finding is something about a cluster that the operator must know.
// Message is one sentence, Todo says what to do. Neither holds a secret.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Todo     string   `json:"todo,omitempty"`
}

// FindingKind describes one code that this package can report.
type FindingKind struct {
	Code     string
	Severity Severity
	Meaning  string
}

const (
	argConflict       = "arg-conflict"
	argInArray        = "arg-in-array"
	argMisspelt       = "arg-misspelt"
	bindConflict      = "bind-conflict"
	bindDuplicate     = "bind-duplicate"
	bindMode          = "bind-mode"
	bindNotNeeded     = "bind-not-needed"
	bindNotUnderstood = "bind-not-understood"
	bindPrefix        = "bind-prefix"
	bindShadows       = "bind-shadows"
	changedSince      = "changed-since"
	notUnderstood     = "not-understood"
	windowsInherits   = "windows-inherits"
)

// Findings lists every code this package reports by itself. The codes of a
// Patch's Groups come from whoever made the patch.
var Findings = []FindingKind{
	{argConflict, Block, "an argument of the patch is already set to another value"},
	{argInArray, Block, "an argument of the patch is also in extra_args_array, so the kubelet would get it twice"},
	{argMisspelt, Block, "an argument of the patch is already there in a spelling that is not the flag's name"},
	{bindConflict, Block, "the container path of a bind is already mounted from another host path"},
	{bindDuplicate, Block, "two binds share one container path, and Docker refuses to create such a container"},
	{bindMode, Warn, "a bind of the patch is already there with other mount options, and is left as it is"},
	{bindNotNeeded, Info, "RKE mounts this path into the kubelet by itself, so no bind is added"},
	{bindNotUnderstood, Block, "a bind is not of the form host:container[:options] with absolute paths, or Docker refuses its options"},
	{bindPrefix, Warn, "the host side of this path is moved by RKE on some operating systems"},
	{bindShadows, Block, "a bind of the patch would hide a directory that the kubelet's container needs"},
	{changedSince, Block, "what a run had set was changed since, so it cannot be taken back"},
	{notUnderstood, Block, "a value in the config has a type that RKE does not know, so Rancher would drop it silently"},
	{windowsInherits, Block, "the cluster has Windows nodes, and RKE would hand them the Linux values"},
}

func newFinding(code, message, todo string) Finding {
	for _, k := range Findings {
		if k.Code == code {
			return Finding{Code: code, Severity: k.Severity, Message: message, Todo: todo}
		}
	}
	panic("finding code without a row in Findings: " + code)
}
