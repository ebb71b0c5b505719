package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"rkepatch/internal/wholefile"
	"rkepatch/rancher"
)

// ErrState is wrapped by errors about the state directory: not writable, full.
var ErrState = errors.New("writing state")

// StateDir gives the directory that holds runs: $XDG_STATE_HOME/rkepatch, or
// ~/.local/state/rkepatch (XDG Base Directory Specification 0.8); on Windows
// %LocalAppData%\rkepatch, which others cannot read.
func StateDir(getenv func(string) string) (string, error) {
	if d := getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "rkepatch"), nil
	}
	if d := getenv("LocalAppData"); runtime.GOOS == "windows" && filepath.IsAbs(d) {
		return filepath.Join(d, "rkepatch"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%w: no home directory; set XDG_STATE_HOME or say --state-dir", ErrState)
	}
	return filepath.Join(home, ".local", "state", "rkepatch"), nil
}

// Run is the place of one apply or rollback in the state directory: runs/ID,
// readable by its owner only. It holds the plan, the journal and what the
// clusters were before.
type Run struct {
	ID      string
	Dir     string
	journal *Journal
	making  sync.Mutex                                             // a template's next revision is made once
	made    map[string]bool                                        // revisions of this run that the journal has
	write   func(name string, data []byte, mode os.FileMode) error // tests fill the disk here
}

// NewRun makes the directory of a new run below stateDir and begins its
// journal. The id sorts by time: 20261123T130501.042Z-4f2a91.
func NewRun(stateDir string, now time.Time) (*Run, error) {
	var tail [3]byte
	if _, err := rand.Read(tail[:]); err != nil {
		return nil, err
	}
	id := now.UTC().Format("20060102T150405.000Z") + "-" + hex.EncodeToString(tail[:])
	r := &Run{ID: id, Dir: filepath.Join(stateDir, runsDir, id), write: wholefile.Write}
	if err := checkPrivate(stateDir, ""); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(r.Dir, preDir), 0o700); err != nil {
		return nil, stateError(err)
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, syncDir(filepath.Join(stateDir, runsDir))
}

const (
	runsDir  = "runs"
	preDir   = "pre"
	planFile = "plan.jsonl"
	lockFile = "lock"
)

func (r *Run) open() (err error) {
	r.journal, err = openJournal(r.Dir, r.ID, time.Now)
	return err
}

// Close closes the journal.
func (r *Run) Close() error { return r.journal.Close() }

// ErrShared is wrapped when somebody else may write where runs are kept: what is
// rolled back or resumed from there could be his.
var ErrShared = errors.New("unsafe state directory")

// checkPrivate refuses a state directory, its runs or the run called id, "" for
// none, that others may write to. What is not there yet is made private.
func checkPrivate(stateDir, id string) error {
	runs := filepath.Join(stateDir, runsDir)
	for _, dir := range []string{stateDir, runs, filepath.Join(runs, id)} {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return stateError(err)
		}
		// Windows has access lists, which are not looked at, and shows each directory
		// as writable.
		if info.Mode().Perm()&0o022 != 0 && runtime.GOOS != "windows" {
			return fmt.Errorf("%w: others may write to %s (mode %04o): chmod go-w it when nobody did, or name a directory of your own with --state-dir", ErrShared, dir, info.Mode().Perm())
		}
	}
	return nil
}

// Lock keeps a second run away from stateDir until it is released. The error
// wraps ErrLocked when another run is under way, ErrShared when others may write
// there.
func Lock(stateDir string) (release func(), err error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, stateError(err)
	}
	if err := checkPrivate(stateDir, ""); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(stateDir, lockFile), flock.SetPermissions(0o600))
	// Whoever looks whether a run goes on holds the lock for an instant.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	locked, err := l.TryLockContext(ctx, 5*time.Millisecond)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, stateError(err)
	}
	if !locked {
		return nil, fmt.Errorf("%w in %s: another rkepatch is changing clusters; wait for it, or use another --state-dir", ErrLocked, stateDir)
	}
	return func() { _ = l.Unlock() }, nil
}

// locked reports whether a run is under way. It never makes the lock's file.
func locked(stateDir string) bool {
	l := flock.New(filepath.Join(stateDir, lockFile), flock.SetFlag(os.O_RDONLY))
	free, err := l.TryRLock()
	if free {
		_ = l.Unlock()
	}
	return err == nil && !free
}

// ErrLocked is wrapped when the state directory belongs to a run under way.
var ErrLocked = errors.New("locked")

// PreImage is what a cluster looked like before a run changed it.
type PreImage struct {
	APIVersion string    `json:"apiVersion"` // rkepatch/v1
	Kind       string    `json:"kind"`       // PreImage
	Run        string    `json:"run"`
	Server     string    `json:"server"`
	TakenAt    time.Time `json:"takenAt"`
	ID         string    `json:"id"`
	UUID       string    `json:"uuid"`
	Name       string    `json:"name"`
	// TemplateRevision is that of the RKE template that the cluster was made from, "" for none.
	TemplateRevision string `json:"clusterTemplateRevisionId,omitempty"`
	// MovedTo is the revision that the run was about to move it to, "" for none.
	MovedTo string          `json:"movedToRevisionId,omitempty"`
	Config  json.RawMessage `json:"rancherKubernetesEngineConfig"`
}

// SavePreImage writes cl's config to the disk and returns once it is there; movedTo is the template's revision that it
// is about to be moved to, "" for none.
// The file holds what the API shows, so also values that a diff masks: 0600.
func (r *Run) SavePreImage(server string, cl *rancher.Cluster, movedTo string, now time.Time) error {
	image := PreImage{
		APIVersion: "rkepatch/v1", Kind: "PreImage", Run: r.ID, Server: server, TakenAt: now.UTC(),
		ID: cl.ID, UUID: cl.UUID, Name: cl.Name, MovedTo: movedTo, Config: cl.Config,
	}
	if cl.Templated() {
		image.TemplateRevision = *cl.TemplateRevisionID
	}
	data, err := json.Marshal(image)
	if err != nil {
		return err
	}
	if err := r.write(r.preImage(cl.ID), data, 0o600); err != nil {
		return stateError(err)
	}
	return nil
}

// LoadPreImage reads what SavePreImage wrote.
func (r *Run) LoadPreImage(id string) (PreImage, error) {
	var p PreImage
	data, err := os.ReadFile(r.preImage(id))
	if err != nil {
		return p, fmt.Errorf("reading what the cluster was before: %w", err)
	}
	if err := json.Unmarshal(data, &p); err != nil || p.ID != id || p.Kind != "PreImage" {
		return p, fmt.Errorf("reading what the cluster was before: %s is damaged", r.preImage(id))
	}
	return p, nil
}

func (r *Run) preImage(id string) string {
	return filepath.Join(r.Dir, preDir, strings.ReplaceAll(filepath.Base(id), ":", "_")+".json") // a template's id has one
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	if err := wholefile.SyncDir(dir); err != nil {
		return stateError(err)
	}
	return nil
}

func stateError(err error) error {
	return fmt.Errorf("%w: %w; free or name another place with --state-dir", ErrState, err)
}
