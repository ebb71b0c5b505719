package fleet

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
)

// What a cluster was is on the disk, for its owner only, when the PUT arrives.
func TestApplySavesThePreImageFirst(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa", Config: object{"addons": "# <b>&\n"}})
	p := r.planOf("c-aaaaa", ActionPatch)
	var before object
	getJSON(t, r, "/v3/clusters/c-aaaaa", &before)
	seen := false
	r.sim.Inject(simrancher.Fault{Method: "PUT", Path: "/v3/clusters/c-aaaaa", Before: func() {
		seen = true
		name := filepath.Join(r.run.Dir, "pre", "c-aaaaa.json")
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			return
		}
		var pre struct {
			APIVersion, Kind, Run, Server, ID, UUID, Name string
			TakenAt                                       time.Time
			Config                                        object `json:"rancherKubernetesEngineConfig"`
		}
		if err := json.Unmarshal(raw, &pre); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(before[rkeField], any(pre.Config)); d != "" {
			t.Errorf("the pre-image is not what the GET gave:\n%s", d)
		}
		if pre.APIVersion != "rkepatch/v1" || pre.Kind != "PreImage" || pre.Run != r.run.ID || pre.Server != r.planner.Rancher.URL() ||
			pre.ID != "c-aaaaa" || pre.UUID != before["uuid"] || pre.Name != "c-aaaaa" || pre.TakenAt.IsZero() {
			t.Errorf("%+v", pre)
		}
	}})
	if o := r.applyOne(p); o.Status != StatusPatched || !seen {
		t.Fatalf("%s, PUT seen %v", o, seen)
	}
	stateDir := filepath.Dir(filepath.Dir(r.run.Dir))
	err := filepath.WalkDir(stateDir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == stateDir {
			return err // the test's own directory
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Without a pre-image there is no PUT.
func TestApplyWithoutStateDir(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "c-aaaaa.json", Err: errors.New("no space left on device")}
	for name, breakIt := range map[string]func(*rig){
		"full disk": func(r *rig) {
			r.run.write = func(string, []byte, os.FileMode) error { return full }
		},
		"no directory any more": func(r *rig) {
			pre := filepath.Join(r.run.Dir, "pre")
			if err := errors.Join(os.Remove(pre), os.WriteFile(pre, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
			p := r.planOf("c-aaaaa", ActionPatch)
			breakIt(r)
			o := r.applyOne(p)
			if o.Status != StatusFailed || o.Stored || !errors.Is(o.Err, ErrState) || !strings.Contains(o.Message, "--state-dir") {
				t.Errorf("%s", o)
			}
			if r.puts() != 0 || r.holdsPatch("c-aaaaa") {
				t.Errorf("%d PUTs without a pre-image", r.puts())
			}
		})
	}
}

func TestNewRunInUnwritablePlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRun(file, epoch); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("%v, want ErrState that says --state-dir", err)
	}
}

func TestStateDir(t *testing.T) {
	env := func(v string) func(string) string {
		return func(name string) string {
			if name == "XDG_STATE_HOME" {
				return v
			}
			return ""
		}
	}
	if d, err := StateDir(env("/var/state")); d != "/var/state/rkepatch" || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	t.Setenv("HOME", "/home/somebody")
	for _, relative := range []string{"", "state"} { // XDG: relative paths are ignored
		if d, err := StateDir(env(relative)); d != "/home/somebody/.local/state/rkepatch" || err != nil {
			t.Errorf("XDG_STATE_HOME=%q: %s, %v", relative, d, err)
		}
	}
	t.Setenv("HOME", "")
	if _, err := StateDir(env("")); !errors.Is(err, ErrState) {
		t.Errorf("without a home: %v, want ErrState", err)
	}
}
