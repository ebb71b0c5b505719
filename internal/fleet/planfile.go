package fleet

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/wholefile"
	"rkepatch/rkeconfig"
)

// ErrPlanFile is wrapped when a plan file cannot be used: of another version,
// truncated, edited, not a plan file, or with another checksum than demanded.
var ErrPlanFile = errors.New("unusable plan file")

// planFormat is the version of plan files that this program writes and reads.
const planFormat = 1

// PlanHead is the first line of a plan file: what was planned, against which
// Rancher.
type PlanHead struct {
	APIVersion     string            `json:"apiVersion"` // rkepatch/v1
	Kind           string            `json:"kind"`       // PlanFile
	Format         int               `json:"format"`
	CreatedAt      time.Time         `json:"createdAt"`
	Program        string            `json:"program"`
	Server         string            `json:"server"`
	RancherVersion string            `json:"rancherVersion"`
	Args           map[string]string `json:"args"`
	Binds          []string          `json:"binds"`
	ReplaceArgs    []string          `json:"replaceArgs,omitempty"`
	ProviderAPI    kubelet.API       `json:"providerAPI"`
	Provider       kubelet.Kind      `json:"provider,omitempty"`
	MergeConfig    bool              `json:"mergeProviderConfig,omitempty"`
	Strict         bool              `json:"strict,omitempty"`
}

// planEnd is the last line. The checksum is the SHA-256 of all bytes before it,
// and of its two numbers with a space between them.
type planEnd struct {
	Clusters int    `json:"clusters"`
	Visible  int    `json:"visible"`
	Checksum string `json:"checksum"`
}

// planLine is any line but the first.
type planLine struct {
	Cluster *ClusterPlan `json:"cluster,omitempty"`
	End     *planEnd     `json:"end,omitempty"`
}

// PlanWriter writes a plan file while the plans come in. The file appears under
// its name, readable by its owner only, when it is whole.
type PlanWriter struct {
	name  string
	file  *wholefile.File
	buf   *bufio.Writer
	sum   hash.Hash
	count int
}

// CreatePlan begins a plan file of p's plans. What goes wrong with the file is
// said with its name.
func (p *Planner) CreatePlan(name, program, rancherVersion string, now time.Time) (*PlanWriter, error) {
	file, err := wholefile.Create(name, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the plan file %s: %w", name, err)
	}
	w := &PlanWriter{name: name, file: file, sum: sha256.New()}
	w.buf = bufio.NewWriter(io.MultiWriter(file, w.sum))
	return w, w.write(PlanHead{
		APIVersion: "rkepatch/v1", Kind: "PlanFile", Format: planFormat, CreatedAt: now.UTC(), Program: program,
		Server: p.Rancher.URL(), RancherVersion: rancherVersion,
		Args: p.Patch.Args, Binds: p.Patch.Binds, ReplaceArgs: p.ReplaceArgs, ProviderAPI: p.API, Provider: p.Provider, MergeConfig: p.MergeConfig,
		Strict: p.Strict,
	})
}

func (w *PlanWriter) write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := w.buf.Write(append(data, '\n')); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *PlanWriter) failed(err error) error {
	return fmt.Errorf("writing the plan file %s: %w", w.name, err)
}

// Add writes one cluster's plan.
func (w *PlanWriter) Add(p *ClusterPlan) error {
	w.count++
	return w.write(planLine{Cluster: p})
}

// Close ends the file, puts it in its place and gives its checksum. visible is
// how many RKE1 clusters there were to choose from.
func (w *PlanWriter) Close(visible int) (checksum string, err error) {
	defer w.Abort()
	if err := w.buf.Flush(); err != nil {
		return "", w.failed(err)
	}
	fmt.Fprintf(w.sum, "%d %d", w.count, visible)
	checksum = "sha256:" + hex.EncodeToString(w.sum.Sum(nil))
	if err := w.write(planLine{End: &planEnd{w.count, visible, checksum}}); err != nil {
		return "", err
	}
	for _, step := range []func() error{w.buf.Flush, w.file.Replace} {
		if err := step(); err != nil {
			return "", w.failed(err)
		}
	}
	return checksum, nil
}

// Abort throws a file that was not closed away.
func (w *PlanWriter) Abort() { w.file.Abort() }

// PlanFile is a plan file that was checked as a whole.
type PlanFile struct {
	PlanHead
	Checksum string
	Bytes    []byte // the file, as it was checked
	Plans    []*ClusterPlan
	Visible  int // RKE1 clusters there were to choose from
}

// maxPlan bounds a plan file: a hundred thousand clusters take less.
const maxPlan = 1 << 30

// OpenPlan reads a plan file once, from end to end, and checks it. Errors wrap
// ErrPlanFile and say what is wrong with it.
func OpenPlan(name string) (*PlanFile, error) {
	f, err := openPlan(name, maxPlan)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrPlanFile, name, err)
	}
	return f, nil
}

func openPlan(name string, most int64) (*PlanFile, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var kept bytes.Buffer
	f, err := readPlan(io.TeeReader(io.LimitReader(file, most+1), &kept))
	switch {
	case int64(kept.Len()) > most:
		return nil, fmt.Errorf("it is larger than %d bytes", most)
	case err != nil:
		return nil, err
	}
	f.Bytes = kept.Bytes()
	return f, nil
}

// readPlan reads and checks the plan file in.
func readPlan(in io.Reader) (*PlanFile, error) {
	f := &PlanFile{}
	seen := map[string]bool{}
	var end *planEnd
	sum := sha256.New()
	err := eachLine(in, func(n int, text []byte) error {
		if end != nil {
			return errors.New("there is more after its end")
		}
		if n == 1 {
			if err := f.readHead(text); err != nil {
				return err
			}
			sum.Write(text)
			return nil
		}
		var l planLine
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("line %d is not JSON; it was edited or damaged", n)
		}
		if l.End != nil {
			end = l.End
			return nil
		}
		if l.Cluster == nil {
			return fmt.Errorf("line %d is neither a cluster nor the end; it was edited or damaged", n)
		}
		if why := unusable(l.Cluster); why != "" {
			return fmt.Errorf("line %d %s; it was edited or damaged", n, why)
		}
		if seen[l.Cluster.ID] {
			return fmt.Errorf("line %d has cluster %q a second time; it was edited or damaged", n, l.Cluster.ID)
		}
		seen[l.Cluster.ID] = true
		f.Plans = append(f.Plans, l.Cluster)
		sum.Write(text)
		return nil
	})
	if end != nil {
		fmt.Fprintf(sum, "%d %d", end.Clusters, end.Visible)
	}
	f.Checksum = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	switch {
	case err != nil:
	case end == nil:
		err = errors.New("it is truncated: its last line is missing")
	case end.Checksum != f.Checksum:
		err = errors.New("its checksum does not fit: it was edited after it was written")
	case end.Clusters != len(f.Plans):
		err = errors.New("its number of clusters does not fit: it was edited after it was written")
	default:
		f.Visible = end.Visible
		return f, nil
	}
	return nil, err
}

// unusable says why nothing can be done with a plan that was read, "" when
// something can.
func unusable(p *ClusterPlan) string {
	switch {
	case p.ID == "":
		return "has no cluster id"
	case p.Action != ActionPatch && p.Action != ActionNone && p.Action != ActionBlocked:
		return fmt.Sprintf("has the unknown action %q", p.Action)
	case p.Action == ActionBlocked && len(p.Findings) == 0:
		return "is blocked by nothing"
	case p.Action == ActionPatch && (p.UUID == "" || p.Basis.Sum == ""):
		return "does not say what it was computed from"
	}
	return ""
}

func (f *PlanFile) readHead(text []byte) error {
	err := json.Unmarshal(text, &f.PlanHead)
	switch {
	case err != nil || f.Kind != "PlanFile":
		return errors.New("it is not a plan file of rkepatch plan --out")
	case f.Format != planFormat:
		return fmt.Errorf("it has format %d, this program reads format %d; plan again", f.Format, planFormat)
	}
	return nil
}

// Planner gives a planner that plans what the file's plans were computed for.
func (f *PlanFile) Planner(p *Planner) *Planner {
	patch := rkeconfig.Patch{Args: f.Args, Binds: f.Binds}
	return &Planner{
		Rancher: p.Rancher, Patch: WithProviderRules(patch), ReplaceArgs: f.ReplaceArgs, API: f.ProviderAPI, Provider: f.Provider, MergeConfig: f.MergeConfig,
		Strict: f.Strict || p.Strict, ReadScript: p.ReadScript,
	}
}

// eachLine calls do with each line of a file, newline included; a last line
// without one counts as damage.
func eachLine(file io.Reader, do func(n int, text []byte) error) error {
	in := bufio.NewReaderSize(file, 64<<10)
	for n := 1; ; n++ {
		text, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it is truncated: its last line is cut off")
		case err != nil:
			return err
		}
		if err := do(n, text); err != nil {
			return err
		}
	}
}

var errLongLine = fmt.Errorf("it has a line of more than %d MiB", maxLine>>20)

// readLine gives the next line with its newline. It fails with errLongLine, or
// with io.EOF and what there is without a newline.
func readLine(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		if len(text) > maxLine {
			return nil, errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.Clone(text), err
		}
	}
}
