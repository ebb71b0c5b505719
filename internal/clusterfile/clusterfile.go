// Package clusterfile patches the config of an RKE1 cluster where it is kept as
// text: a cluster.yml of the rke command, YAML copied from the Rancher UI's "Edit
// as YAML", or what Rancher's exportYaml gives. What is to change comes from
// rkeconfig.Merge; here it is written into the text, and nothing else of the text
// changes by a byte. It does no I/O.
package clusterfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"rkepatch/internal/kubelet"
	"rkepatch/rkeconfig"
)

// MaxBytes is the size of the largest file that is read. Rancher takes no larger
// config (norman parse/read_input.go:18).
const MaxBytes = 2 << 20

// ErrFile is matched by every error of this package.
var ErrFile = errors.New("file can not be patched")

// Error says why a file is left alone. It quotes no value of the file.
type Error struct {
	Line   int // 0 when it is about the whole file
	Reason string
	Advice string
}

// Error puts place and reason into one line.
func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return e.Reason
}

// Hint says what to do.
func (e *Error) Hint() string { return e.Advice }

// Is makes every Error match ErrFile.
func (e *Error) Is(target error) bool { return target == ErrFile }

func refuse(line int, advice, format string, args ...any) error {
	return &Error{Line: line, Reason: fmt.Sprintf(format, args...), Advice: advice}
}

// Format is where in a file the config lies, and how its names are spelt.
type Format string

// The files that are known.
const (
	ClusterYML Format = "cluster.yml of the rke command"
	UIYAML     Format = "YAML of the Rancher UI"
	ExportYAML Format = "YAML of Rancher's API (exportYaml)"
)

// File is a file that was read and understood.
type File struct {
	Format Format
	// Cluster is the name under which exportYaml has the cluster, else "".
	Cluster string

	src   string // without byte order mark
	bom   string
	spans map[*yaml.Node]span
	root  *yaml.Node
	// around is the mapping that holds the config and the cluster's own settings;
	// config is the config itself, path how it is reached from the root.
	around, config *yaml.Node
	path           []string
	aliased        map[*yaml.Node]int // node to the line of an alias of it
	values         raw                // the text as yaml.v2 reads it, once it was asked
}

// Read looks at a file. Errors are *Error: not text, too large, no YAML, several
// documents, keys twice, encrypted, a template, aliases beyond measure, or no
// config of an RKE1 cluster in it.
func Read(src []byte) (*File, error) {
	if err := checkText(src); err != nil {
		return nil, err
	}
	f := &File{}
	if rest, ok := bytes.CutPrefix(src, []byte(byteOrderMark)); ok {
		f.bom, src = byteOrderMark, rest
	}
	f.src = string(src)
	var err error
	if f.root, err = parse(f.src); err != nil {
		return nil, err
	}
	if f.aliased, err = checkTree(f.root); err != nil {
		return nil, err
	}
	if f.spans, err = measure(f.src, f.root); err != nil {
		return nil, err
	}
	if err := f.checkTemplates(); err != nil {
		return nil, err
	}
	return f, f.find()
}

// Text is the file as it was read.
func (f *File) Text() []byte { return []byte(f.bom + f.src) }

// Options is what Patch must know beside the patch.
type Options struct {
	ReplaceArgs []string     // see rkeconfig.MergeOptions
	API         kubelet.API  // of the provider config on the nodes
	Provider    kubelet.Kind // whose provider the patch is for; "" is ECR's
}

// Result is what came of a patch. Text is the file's own when a finding blocks or
// nothing is to be done.
type Result struct {
	Text     []byte
	Document rkeconfig.Document // what the patched text says, as far as the kubelet is concerned
	State    rkeconfig.State    // of the file as it was
	Findings []rkeconfig.Finding
	// Diff shows the lines that change, secrets masked, "" when there are none.
	Diff string

	before []byte
}

// Changed reports whether the text differs from the file's.
func (r Result) Changed() bool { return r.Diff != "" }

// Add adds findings of others. Where one of them blocks, the text stays as it was.
func (r *Result) Add(findings []rkeconfig.Finding) {
	r.Findings = append(r.Findings, findings...)
	slices.SortStableFunc(r.Findings, func(a, b rkeconfig.Finding) int { return int(b.Severity) - int(a.Severity) })
	if r.Blocked() {
		r.Text, r.Diff = r.before, ""
	}
}

// Blocked reports whether a finding stands in the way.
func (r Result) Blocked() bool {
	return slices.ContainsFunc(r.Findings, func(f rkeconfig.Finding) bool { return f.Severity == rkeconfig.Block })
}

// Patch merges p into the file's kubelet section and writes the difference into
// the text. The list form of extra_args becomes a map first. What was written is
// read again with the YAML library of rke itself: unless it says what Merge says,
// and nothing else differs, the file is refused. Errors are *Error: a part of the
// kubelet section is shared through an anchor, or written in a way that can not be
// edited by itself.
func (f *File) Patch(p rkeconfig.Patch, o Options) (Result, error) {
	repaired, err := f.repairArgs()
	if err != nil {
		return Result{}, err
	}
	doc, err := repaired.document()
	if err != nil {
		return Result{}, err
	}
	merged := rkeconfig.Merge(doc, p, rkeconfig.MergeOptions{
		ReplaceArgs: o.ReplaceArgs, WindowsNodes: f.hasWindows(), DockerRootDir: f.dockerRoot(),
	})
	r := Result{Text: f.Text(), before: f.Text(), Document: merged.Document, State: merged.State, Findings: merged.Findings}
	r.Findings = append(r.Findings, judge(merged.Document, p, o)...)
	if repaired != f {
		r.State = rkeconfig.NotPatched
		r.Findings = append(r.Findings, argsList)
	}
	r.Add(nil)
	if r.Blocked() {
		r.Document = doc
		return r, nil
	}
	patched := repaired
	if len(merged.Changes) > 0 {
		if patched, err = repaired.write(doc, merged.Document); err != nil {
			return Result{}, err
		}
	}
	if patched == f {
		return r, nil
	}
	if err := f.verify(patched, merged.Document); err != nil {
		return Result{}, err
	}
	r.Text = patched.Text()
	r.Diff = diff(f, patched, doc, merged.Document)
	return r, nil
}
