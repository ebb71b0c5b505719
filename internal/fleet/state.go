package fleet

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2/maybe"

	"rkepatch/rancher"
)

// ErrState is wrapped by errors about the state directory: not writable, full.
var ErrState = errors.New("writing state")

// StateDir gives the directory that holds runs: $XDG_STATE_HOME/rkepatch, or
// ~/.local/state/rkepatch (XDG Base Directory Specification 0.8).
func StateDir(getenv func(string) string) (string, error) {
	if d := getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "rkepatch"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("%w: no home directory; set XDG_STATE_HOME or say --state-dir", ErrState)
	}
	return filepath.Join(home, ".local", "state", "rkepatch"), nil
}

// Run is the place of one apply in the state directory: runs/ID, readable by
// its owner only.
type Run struct {
	ID  string
	Dir string
}

// NewRun makes the directory of a new run below stateDir. The id sorts by
// time: 20261123T130501Z-4f2a91.
func NewRun(stateDir string, now time.Time) (*Run, error) {
	var tail [3]byte
	if _, err := rand.Read(tail[:]); err != nil {
		return nil, err
	}
	id := now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(tail[:])
	r := &Run{ID: id, Dir: filepath.Join(stateDir, "runs", id)}
	if err := os.MkdirAll(filepath.Join(r.Dir, "pre"), 0o700); err != nil {
		return nil, stateError(err)
	}
	return r, nil
}

// PreImage is what a cluster looked like before a run changed it.
type PreImage struct {
	APIVersion string          `json:"apiVersion"` // rkepatch/v1
	Kind       string          `json:"kind"`       // PreImage
	Run        string          `json:"run"`
	Server     string          `json:"server"`
	TakenAt    time.Time       `json:"takenAt"`
	ID         string          `json:"id"`
	UUID       string          `json:"uuid"`
	Name       string          `json:"name"`
	Config     json.RawMessage `json:"rancherKubernetesEngineConfig"`
}

// SavePreImage writes cl's config to the disk and returns once it is there.
// The file holds what the API shows, so also values that a diff masks: 0600.
func (r *Run) SavePreImage(server string, cl *rancher.Cluster, now time.Time) error {
	data, err := json.Marshal(PreImage{
		APIVersion: "rkepatch/v1", Kind: "PreImage", Run: r.ID, Server: server, TakenAt: now.UTC(),
		ID: cl.ID, UUID: cl.UUID, Name: cl.Name, Config: cl.Config,
	})
	if err != nil {
		return err
	}
	dir := filepath.Join(r.Dir, "pre")
	if err := maybe.WriteFile(filepath.Join(dir, filepath.Base(cl.ID)+".json"), data, 0o600); err != nil {
		return stateError(err)
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return stateError(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return stateError(err)
	}
	return nil
}

func stateError(err error) error {
	return fmt.Errorf("%w: %w; free or name another place with --state-dir", ErrState, err)
}
