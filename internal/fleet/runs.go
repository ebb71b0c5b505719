package fleet

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rkepatch/internal/wholefile"
)

// ErrUnknownRun is wrapped when a run's id is not in the state directory.
var ErrUnknownRun = errors.New("unknown run")

// Earlier is what a run had come to with one cluster.
type Earlier struct {
	ID, Name   string
	Sent       bool      // its PUT was about to be sent: Rancher may hold the change
	SentAt     time.Time // when
	Outcome    *Outcome  // nil when the run was cut off before
	RolledBack string    // id of the run that took it back
}

// Settled reports whether a resumed run leaves the cluster alone.
func (e Earlier) Settled() bool {
	if e.Outcome == nil {
		return false
	}
	return e.Outcome.Status == StatusPatched || e.Outcome.Status == StatusUnchanged
}

// Record is what the state directory knows of a run.
type Record struct {
	ID       string             `json:"id"`
	Dir      string             `json:"dir"`
	Head     Head               `json:"head"`
	Begun    time.Time          `json:"begun"`
	Ended    time.Time          `json:"ended,omitzero"`    // zero when it goes on or was cut off
	Ending   string             `json:"ending,omitempty"`  // what was said of its end
	Running  bool               `json:"running,omitempty"` // it goes on right now
	Clusters map[string]Earlier `json:"-"`
	Entries  []Entry            `json:"entries,omitempty"`
	// Revisions are those of RKE templates that the run made, by id, in their order.
	Revisions []string `json:"revisions,omitempty"`
}

// Count gives how many clusters came out how; those without an outcome were cut
// off.
func (r *Record) Count() string {
	n := map[string]int{}
	for _, c := range r.Clusters {
		switch {
		case c.RolledBack != "":
			n["rolled back"]++
		case c.Outcome == nil:
			n["cut off"]++
		case r.Head.Kind == "rollback" && c.Outcome.Status == StatusPatched:
			n["rolled back"]++
		default:
			n[string(c.Outcome.Status)]++
		}
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%d %s", n[what], what))
	}
	if len(parts) == 0 {
		return strings.TrimSuffix("nothing begun; "+r.Ending, "; ")
	}
	return strings.Join(parts, ", ")
}

// Runs reads all runs of a state directory, newest first. A run that cannot be
// read is left out and told to warn.
func Runs(stateDir string, warn func(string)) ([]*Record, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, runsDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	var out []*Record
	for _, e := range slices.Backward(entries) {
		r, err := LoadRun(stateDir, e.Name())
		if err != nil {
			warn(err.Error())
			continue
		}
		out = append(out, r)
	}
	if r := latest(out); r != nil && locked(stateDir) {
		r.Running = true
	}
	return out, nil
}

// LastSent gives when a run of this state directory last sent something to each
// cluster of a server, by id.
func LastSent(stateDir, server string, warn func(string)) (map[string]time.Time, error) {
	records, err := Runs(stateDir, warn)
	out := map[string]time.Time{}
	for _, r := range records {
		for id, c := range r.Clusters {
			if r.Head.Server == server && c.Sent && c.SentAt.After(out[id]) {
				out[id] = c.SentAt
			}
		}
	}
	return out, err
}

// latest gives the run, of those without an end, that wrote into its journal
// last: when a run is under way, that is the one.
func latest(records []*Record) *Record {
	var out *Record
	for _, r := range records {
		if r.Ended.IsZero() && (out == nil || out.touched().Before(r.touched())) {
			out = r
		}
	}
	return out
}

func (r *Record) touched() time.Time { return r.Entries[len(r.Entries)-1].Time }

// LoadRun reads the journal of one run. Errors wrap ErrUnknownRun, ErrJournal or
// ErrShared. Whether it goes on right now is only known to Runs.
func LoadRun(stateDir, id string) (*Record, error) {
	r := &Record{ID: id, Dir: filepath.Join(stateDir, runsDir, id), Clusters: map[string]Earlier{}}
	if id == "" || filepath.Base(id) != id {
		return nil, fmt.Errorf("%w %q: rkepatch runs lists them", ErrUnknownRun, id)
	}
	if err := checkPrivate(stateDir, id); err != nil {
		return nil, fmt.Errorf("reading run %s: %w", id, err)
	}
	f, err := os.Open(filepath.Join(r.Dir, journalFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w %q: rkepatch runs lists them", ErrUnknownRun, id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading run %s: %w", id, err)
	}
	defer f.Close()
	if r.Entries, _, err = readJournal(f); err != nil {
		return nil, fmt.Errorf("reading run %s: %w", id, err)
	}
	for _, e := range r.Entries {
		r.take(e)
	}
	if len(r.Entries) == 0 {
		return nil, fmt.Errorf("%w %s: it was cut off before it began, nothing was changed", ErrUnknownRun, id)
	}
	if r.Head.Format != journalFormat {
		return nil, fmt.Errorf("reading run %s: %w: its journal has format %d, this program reads %d", id, ErrJournal, r.Head.Format, journalFormat)
	}
	return r, nil
}

func (r *Record) take(e Entry) {
	c := r.Clusters[e.Cluster]
	c.ID, c.Name = e.Cluster, orElse(e.Name, c.Name)
	switch e.Event {
	case EventBegun:
		r.Begun = e.Time
		if e.Head != nil {
			r.Head = *e.Head
		}
	case EventResumed:
		r.Ended, r.Ending = time.Time{}, ""
	case EventEnded:
		r.Ended, r.Ending = e.Time, e.Text
	case EventRevision:
		if !slices.Contains(r.Revisions, e.Revision) {
			r.Revisions = append(r.Revisions, e.Revision)
		}
	case EventPut:
		c.Sent, c.SentAt = true, e.Time
		c.Outcome = nil
	case EventRefused:
		c.Sent = false
	case EventOutcome:
		c.Outcome = e.Outcome
	case EventRolledBack:
		c.RolledBack = e.By
	}
	if e.Cluster != "" {
		r.Clusters[e.Cluster] = c
	}
}

// Changed gives the ids of the clusters whose stored config may hold the run's
// change and that were not rolled back, sorted by name. Names or ids restrict
// it; one that the run did not change is an error that wraps ErrUnknownCluster.
func (r *Record) Changed(names []string) ([]string, error) {
	var ids []string
	for _, c := range r.Clusters {
		if c.Sent && c.RolledBack == "" && (len(names) == 0 || slices.Contains(names, c.ID) || slices.Contains(names, c.Name)) {
			ids = append(ids, c.ID)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(ids, func(id string) bool { return id == name || r.Clusters[id].Name == name }) {
			return nil, fmt.Errorf("%w %q: run %s did not change it, or it was rolled back already (rkepatch runs show %s)", ErrUnknownCluster, name, r.ID, r.ID)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(r.Clusters[a].Name+a, r.Clusters[b].Name+b) })
	return ids, nil
}

// Place gives the run's place for reading only.
func (r *Record) Place() *Run { return &Run{ID: r.ID, Dir: r.Dir, write: wholefile.Write} }

// Open opens the run's place to go on writing there. Whoever does must hold the
// Lock: two writers would damage the journal.
func (r *Record) Open() (*Run, error) {
	run := r.Place()
	return run, run.open()
}

// Plan opens the plan that the run carries out, which must be the one that its
// journal names. Errors wrap ErrPlanFile.
func (r *Record) Plan() (*PlanFile, error) {
	name := filepath.Join(r.Dir, planFile)
	file, err := OpenPlan(name)
	if err == nil && file.Checksum != r.Head.PlanChecksum {
		return nil, fmt.Errorf("%w %s: its checksum is %s, run %s began with %s: somebody put another plan there; plan anew, pre/ beside it holds what each cluster was",
			ErrPlanFile, name, file.Checksum, r.ID, orElse(r.Head.PlanChecksum, "none"))
	}
	return file, err
}

// Begin writes the head of a new run into its journal, and the plan file beside
// it: from there it can be resumed and rolled back. The errors wrap ErrState.
func (r *Run) Begin(h Head, plan []byte) error {
	if err := r.write(filepath.Join(r.Dir, planFile), plan, 0o600); err != nil {
		return stateError(err)
	}
	h.Format = journalFormat
	return r.journal.Append(Entry{Event: EventBegun, Head: &h})
}

// Note appends an entry to the run's journal.
func (r *Run) Note(e Entry) error { return r.journal.Append(e) }
