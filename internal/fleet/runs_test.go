package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aRun begins a run in a state directory.
func aRun(t *testing.T, state string, entries ...Entry) *Run {
	t.Helper()
	run, err := NewRun(state, epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	if err := run.Begin(Head{Kind: "apply"}, []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := run.Note(e); err != nil {
			t.Fatal(err)
		}
	}
	return run
}

// Where others may write, what is resumed or rolled back could be theirs.
func TestSharedStateDirectory(t *testing.T) {
	for _, tt := range []struct {
		name, dir string // below the state directory; RUN is the run's
		mode      os.FileMode
		refused   bool
	}{
		{"one's own", "", 0o700, false},
		{"to be read by others", "", 0o755, false},
		{"everybody's", "", 0o777, true},
		{"everybody's, as /tmp is", "", 0o777 | os.ModeSticky, true},
		{"the group's", "", 0o770, true},
		{"everybody's runs", "runs", 0o777, true},
		{"the group's run", "runs/RUN", 0o775, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			run := aRun(t, state)
			dir := filepath.Join(state, strings.Replace(tt.dir, "RUN", run.ID, 1))
			if err := os.Chmod(dir, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, loaded := LoadRun(state, run.ID)
			errs := map[string]error{"reading a run": loaded}
			if !strings.Contains(tt.dir, "RUN") {
				release, err := Lock(state)
				if err == nil {
					release()
				}
				other, begun := NewRun(state, epoch)
				if begun == nil {
					other.Close()
				}
				errs["locking"], errs["beginning a run"] = err, begun
			}
			for what, err := range errs {
				switch {
				case !tt.refused && err != nil:
					t.Errorf("%s: %v", what, err)
				case tt.refused && (!errors.Is(err, ErrShared) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "chmod go-w")):
					t.Errorf("%s: %v, want ErrShared that names %s and says what to do", what, err, dir)
				}
			}
		})
	}
}

// The run that goes on is no run that was cut off; looking does not disturb it.
func TestRunsTellsWhichRunGoesOn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	resumed := aRun(t, state) // begun first, resumed later
	cutOff := aRun(t, state)
	aRun(t, state, Entry{Event: EventEnded, Text: "2 patched"})
	later := func() time.Time { return time.Now().Add(time.Hour) }
	resumed.journal.setClock(later)
	if err := resumed.Note(Entry{Event: EventResumed}); err != nil {
		t.Fatal(err)
	}
	running := func() (ids []string) {
		t.Helper()
		records, err := Runs(state, func(s string) { t.Error(s) })
		if err != nil || len(records) != 3 {
			t.Fatalf("%v, %v", records, err)
		}
		for _, r := range records {
			if r.Running {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	if ids := running(); len(ids) != 0 {
		t.Errorf("nothing goes on, but %v", ids)
	}
	if _, err := os.Stat(filepath.Join(state, lockFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the lock: %v", err)
	}
	release, err := Lock(state)
	if err != nil {
		t.Fatal(err)
	}
	if ids := running(); len(ids) != 1 || ids[0] != resumed.ID {
		t.Errorf("%v go on, want %s and not %s", ids, resumed.ID, cutOff.ID)
	}
	if _, err := Lock(state); !errors.Is(err, ErrLocked) {
		t.Errorf("looking took the lock away: %v", err)
	}
	release()
	if ids := running(); len(ids) != 0 {
		t.Errorf("it is over, but %v", ids)
	}
	if release, err = Lock(state); err != nil {
		t.Errorf("looking kept the lock: %v", err)
	}
	release()
}

// How a run ended before any cluster had its turn is said in the list, too.
func TestRunEndedByAnError(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	run := aRun(t, state, Entry{Event: EventEnded, Text: "nothing was sent: no such field"})
	r, err := LoadRun(state, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Count(); r.Ended.IsZero() || got != "nothing begun; nothing was sent: no such field" {
		t.Errorf("%q, ended %v", got, r.Ended)
	}
}

// A rollback is counted in its own words.
func TestCountOfARollback(t *testing.T) {
	r := &Record{Head: Head{Kind: "rollback"}, Clusters: map[string]Earlier{
		"c-1": {Outcome: &Outcome{Status: StatusPatched}}, "c-2": {Outcome: &Outcome{Status: StatusFailed}}, "c-3": {},
	}}
	if got := r.Count(); got != "1 cut off, 1 failed, 1 rolled back" {
		t.Error(got)
	}
}

// A plan that lies in a run's place without being that run's is not carried out.
func TestPlanThatIsNotTheRunsOwn(t *testing.T) {
	r, name, checksum := aPlanFile(t)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for sum, fits := range map[string]bool{checksum: true, "sha256:0123": false, "": false} {
		state := filepath.Join(t.TempDir(), "state")
		run, err := NewRun(state, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(run.Begin(Head{Kind: "apply", Server: r.planner.Rancher.URL(), PlanChecksum: sum}, data), run.Close()); err != nil {
			t.Fatal(err)
		}
		record, err := LoadRun(state, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = record.Plan()
		if fits && err != nil || !fits && (!errors.Is(err, ErrPlanFile) || !strings.Contains(err.Error(), checksum) || !strings.Contains(err.Error(), "somebody put another plan there")) {
			t.Errorf("begun with %q: %v", sum, err)
		}
	}
}
