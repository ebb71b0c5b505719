package fleet

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrJournal is wrapped when a journal was changed by something else than a
// run: a line in its middle does not fit its checksum.
var ErrJournal = errors.New("damaged journal")

// Event says what a journal entry records.
type Event string

// The events of a run, in the order in which a cluster goes through them.
const (
	EventBegun      Event = "begun"       // Head says what the run is about
	EventResumed    Event = "resumed"     // the run goes on after it was cut off
	EventStarted    Event = "started"     // a cluster's turn has come
	EventRevision   Event = "revision"    // Revision of an RKE template was made
	EventPreImage   Event = "pre-image"   // what it was is on the disk
	EventPut        Event = "put"         // the config is about to be sent
	EventStored     Event = "stored"      // Rancher holds the change
	EventRefused    Event = "refused"     // Rancher refused the PUT: it holds nothing of it
	EventStep       Event = "step"        // something seen while following
	EventOutcome    Event = "outcome"     // Outcome says how it came out
	EventRolledBack Event = "rolled-back" // another run, By, took the cluster's change back
	EventEnded      Event = "ended"       // every cluster has its outcome
)

// Entry is one line of a journal. Fields that do not fit the event are absent.
type Entry struct {
	Seq     int       `json:"seq"`
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Event   Event     `json:"event"`
	Cluster string    `json:"cluster,omitempty"` // id
	Name    string    `json:"name,omitempty"`
	Text    string    `json:"text,omitempty"`
	By      string    `json:"by,omitempty"` // a run's id
	// Revision is that of a template: made, or that the cluster is about to be moved to.
	Revision string   `json:"revision,omitempty"`
	Head     *Head    `json:"head,omitempty"`
	Outcome  *Outcome `json:"outcome,omitempty"`
}

// Head is what a run is about.
type Head struct {
	Format        int    `json:"format"` // of the journal, now 1
	Kind          string `json:"kind"`   // apply or rollback
	Of            string `json:"of,omitempty"`
	Server        string `json:"server"`
	Program       string `json:"program"`
	PlanChecksum  string `json:"planChecksum"`
	Clusters      int    `json:"clusters"`
	SkipNodeCheck bool   `json:"skipNodeCheck"`
	// Flags are those that say how the run spreads over its clusters: a resumed
	// run keeps to them.
	Flags map[string]string `json:"flags,omitempty"`
}

// journalFormat is the version of the lines.
const journalFormat = 1

// A line is {"sum":"<16 hex digits>","entry":{…}}: the sum is the beginning of
// the SHA-256 of the entry's bytes as they stand.
type line struct {
	Sum   string          `json:"sum"`
	Entry json.RawMessage `json:"entry"`
}

// Journal appends to the record of one run. Each entry is on the disk when
// Append returns.
type Journal struct {
	run string
	now func() time.Time

	mu  sync.Mutex
	f   file
	end int64 // of the last whole line
	seq int
}

// file is what a journal needs of an *os.File; tests fill the disk here.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// openJournal opens run's journal for appending. A last line that was torn by a
// crash is cut off.
func openJournal(dir, run string, now func() time.Time) (*Journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, stateError(err)
	}
	entries, whole, err := readJournal(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err != nil {
		f.Close()
		return nil, stateError(err)
	}
	return &Journal{run: run, now: now, f: f, end: whole, seq: len(entries)}, syncDir(dir)
}

const journalFile = "journal.jsonl"

func (j *Journal) setClock(now func() time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now = now
}

// Append writes one entry; Seq, Time and Run are filled in. The error wraps
// ErrState.
func (j *Journal) Append(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Seq, e.Time, e.Run = j.seq+1, j.now().UTC(), j.run
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	text, err := json.Marshal(line{sumOf(data), data})
	if err != nil {
		return err
	}
	text = append(text, '\n')
	_, err = j.f.WriteAt(text, j.end)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		// Half a line with others behind it would make the journal unreadable;
		// where it cannot be cut off, the next line is written over it.
		_ = j.f.Truncate(j.end)
		return stateError(err)
	}
	j.end += int64(len(text))
	j.seq++
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// maxLine bounds one line of a journal or a plan file. A stale cluster's
// message carries a diff, a plan carries its cluster's.
const maxLine = 16 << 20

// readJournal gives the entries and how many bytes of r they take. What follows
// them is a torn last line. A line that is not right in the middle is an error
// that wraps ErrJournal.
func readJournal(r io.Reader) (entries []Entry, whole int64, err error) {
	in := bufio.NewReader(r)
	for {
		text, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			return entries, whole, nil // a torn line, or nothing
		case errors.Is(err, errLongLine):
			return nil, 0, fmt.Errorf("%w: %w", ErrJournal, err)
		case err != nil:
			return nil, 0, err
		}
		e, err := parseLine(text)
		if err == nil && e.Seq != len(entries)+1 {
			err = fmt.Errorf("line %d has the number %d", len(entries)+1, e.Seq)
		}
		if err != nil {
			if _, more := in.Peek(1); errors.Is(more, io.EOF) {
				return entries, whole, nil // torn, although it ends in a newline
			}
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrJournal, len(entries)+1, err)
		}
		entries = append(entries, e)
		whole += int64(len(text))
	}
}

func parseLine(text []byte) (Entry, error) {
	var l line
	var e Entry
	if err := json.Unmarshal(text, &l); err != nil {
		return e, errors.New("it is not JSON")
	}
	if sumOf(bytes.TrimSpace(l.Entry)) != l.Sum {
		return e, errors.New("its checksum does not fit")
	}
	if err := json.Unmarshal(l.Entry, &e); err != nil {
		return e, errors.New("it is not a journal entry")
	}
	return e, nil
}
