package fleet

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// aJournal writes entries into the journal of a run in dir and gives its file.
func aJournal(t testing.TB, dir string, entries ...Entry) string {
	t.Helper()
	j, err := openJournal(dir, "20260101T030000Z-abcdef", func() time.Time { return epoch })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, e := range entries {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, journalFile)
}

func readBack(t testing.TB, name string) []Entry {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := readJournal(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

var someEntries = []Entry{
	{Event: EventBegun, Head: &Head{Format: journalFormat, Kind: "apply", Server: "https://rancher.example.com"}},
	{Event: EventPut, Cluster: "c-aaaaa", Name: "prod-eu"},
	{Event: EventOutcome, Cluster: "c-aaaaa", Name: "prod-eu", Outcome: &Outcome{ID: "c-aaaaa", Status: StatusFailed, Stored: true, Message: "a \"message\"\nof two lines <b>"}},
}

// A crash tears the last line at any byte. What came before it is read, and the
// run goes on behind it.
func TestJournalTornAtEveryByte(t *testing.T) {
	name := aJournal(t, t.TempDir(), someEntries...)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lastLine := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for size := lastLine; size < len(whole); size++ {
		dir := t.TempDir()
		torn := filepath.Join(dir, journalFile)
		if err := os.WriteFile(torn, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readBack(t, torn); len(got) != 2 {
			t.Fatalf("torn after %d bytes: %d entries, want 2", size, len(got))
		}
		aJournal(t, dir, Entry{Event: EventResumed})
		got := readBack(t, torn)
		if len(got) != 3 || got[2].Event != EventResumed || got[2].Seq != 3 {
			t.Fatalf("torn after %d bytes, then gone on: %+v", size, got)
		}
	}
}

// A changed byte anywhere but in the last line is no crash: it is said.
func TestJournalFlippedByte(t *testing.T) {
	name := aJournal(t, t.TempDir(), someEntries...)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lastLine := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	want := readBack(t, name)
	for i := range lastLine - 1 { // without that newline, the last two lines look like one that is torn
		data := bytes.Clone(whole)
		data[i] ^= 0x01
		entries, _, err := readJournal(bytes.NewReader(data))
		switch {
		case err != nil && !errors.Is(err, ErrJournal):
			t.Fatalf("byte %d of %q: %v", i, whole[i], err)
		case err == nil && !sameEntries(entries, want):
			t.Fatalf("byte %d changed and %d entries read without an error", i, len(entries))
		}
	}
	for _, change := range []struct{ name, from, to string }{
		{"another cluster", "c-aaaaa", "c-bbbbb"}, {"another event", `"put"`, `"run"`}, {"another number", `"seq":2`, `"seq":7`},
	} {
		data := bytes.Replace(whole, []byte(change.from), []byte(change.to), 1)
		if _, _, err := readJournal(bytes.NewReader(data)); !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v, want ErrJournal in line 2", change.name, err)
		}
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for what, data := range map[string][]byte{
		"a line is gone":            slices.Concat(lines[0], lines[2], lines[2]),
		"a line is there twice":     slices.Concat(lines[0], lines[0], lines[1]),
		"lines have changed places": slices.Concat(lines[1], lines[0], lines[2]),
	} {
		if _, _, err := readJournal(bytes.NewReader(data)); !errors.Is(err, ErrJournal) {
			t.Errorf("%s: %v, want ErrJournal", what, err)
		}
	}
}

func sameEntries(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool {
		return x.Seq == y.Seq && x.Event == y.Event && x.Cluster == y.Cluster && x.Run == y.Run && x.Time.Equal(y.Time)
	})
}

func TestJournalIsItsOwnersAlone(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new", "state")
	run, err := NewRun(state, epoch)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if err := run.Begin(Head{Kind: "apply"}, []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	release, err := Lock(state)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	err = filepath.Walk(state, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[info.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s is %o, want %o", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The disk fills up within a line. The error is told; and once there is room
// again the journal goes on, without the half line in it.
func TestJournalOnAFullDisk(t *testing.T) {
	for name, f := range map[string]func(file, *atomic.Bool) file{
		"what was written is cut off": func(f file, full *atomic.Bool) file { return &disk{f, full} },
		"it cannot be cut off either": func(f file, full *atomic.Bool) file { return &stubborn{disk{f, full}} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := openJournal(dir, "run", func() time.Time { return epoch })
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			var full atomic.Bool
			j.f = f(j.f, &full)
			long := Entry{Event: EventStep, Text: strings.Repeat("a long text ", 50)}
			for _, e := range []Entry{someEntries[0], long} {
				if err := j.Append(e); err != nil {
					t.Fatal(err)
				}
			}
			full.Store(true)
			for range 2 {
				if err := j.Append(long); !errors.Is(err, ErrState) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "--state-dir") {
					t.Errorf("%v, want ErrState for ENOSPC that says --state-dir", err)
				}
			}
			if got := readBack(t, filepath.Join(dir, journalFile)); len(got) != 2 {
				t.Errorf("while it is full: %d entries, want 2", len(got))
			}
			full.Store(false)
			for _, e := range []Entry{{Event: EventPut}, {Event: EventEnded}, long} {
				if err := j.Append(e); err != nil {
					t.Fatal(err)
				}
			}
			if got := readBack(t, filepath.Join(dir, journalFile)); len(got) != 5 || got[4].Seq != 5 {
				t.Errorf("afterwards: %+v", got)
			}
		})
	}
}

// stubborn is a full disk on which nothing can be cut off.
type stubborn struct{ disk }

func (s *stubborn) Truncate(int64) error { return syscall.EIO }

func TestJournalHostile(t *testing.T) {
	good := func(entry string) string { return `{"sum":"` + sumOf([]byte(entry)) + `","entry":` + entry + "}\n" }
	for _, tt := range []struct{ name, text string }{
		{"another file", "<html>\n<body>\n"},
		{"null lines", "null\nnull\n"},
		{"lines of another type", "[]\n\"x\"\n"},
		{"an entry of another type", good(`[1]`) + good(`{"seq":2}`)},
		{"a number for a text", good(`{"seq":1,"cluster":5}`) + good(`{"seq":2}`)},
		{"nested too deep", good(`{"seq":1,"head":`+strings.Repeat(`{"a":`, 20000)+"1"+strings.Repeat("}", 20000)+"}") + good(`{"seq":2}`)},
		{"a huge line", strings.Repeat("x", maxLine+2) + "\n"},
		{"a huge line without an end", strings.Repeat("x", maxLine+2)},
		{"another format", good(`{"seq":1,"event":"begun","head":{"format":2}}`)},
		{"no head", good(`{"seq":1,"event":"begun"}`)},
		{"a head that is null", good(`{"seq":1,"event":"begun","head":null}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			dir := filepath.Join(state, runsDir, "x")
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, journalFile), []byte(tt.text), 0o600)); err != nil {
				t.Fatal(err)
			}
			_, err := LoadRun(state, "x")
			if !errors.Is(err, ErrJournal) || len(err.Error()) > 300 {
				t.Errorf("%.300v, want a short ErrJournal", err)
			}
			var warned []string
			if runs, err := Runs(state, func(s string) { warned = append(warned, s) }); err != nil || len(runs) != 0 || len(warned) != 1 {
				t.Errorf("runs: %v, %v, %q", runs, err, warned)
			}
		})
	}
}

// Killed before its first line was whole, a run has changed nothing.
func TestRunThatNeverBegan(t *testing.T) {
	for _, text := range []string{"", `{"sum":"0011`} {
		state := t.TempDir()
		dir := filepath.Join(state, runsDir, "x")
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, journalFile), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadRun(state, "x"); !errors.Is(err, ErrUnknownRun) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%v", err)
		}
	}
	for _, id := range []string{"", "y", "..", "../x", "/etc", "."} {
		if _, err := LoadRun(t.TempDir(), id); !errors.Is(err, ErrUnknownRun) {
			t.Errorf("%q: %v, want ErrUnknownRun", id, err)
		}
	}
}

// Whatever is appended, in however many sittings, torn in between or not: it is
// read back in order.
func TestJournalProperties(t *testing.T) {
	events := []Event{EventBegun, EventResumed, EventStarted, EventPut, EventStored, EventStep, EventOutcome, EventRolledBack, EventEnded}
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, journalFile)
		var want []Entry
		for range rapid.IntRange(1, 3).Draw(t, "sittings") {
			j, err := openJournal(dir, "run", func() time.Time { return epoch })
			if err != nil {
				t.Fatal(err)
			}
			var full atomic.Bool
			j.f = &disk{j.f, &full}
			for range rapid.IntRange(0, 3).Draw(t, "entries") {
				e := Entry{Event: rapid.SampledFrom(events).Draw(t, "event"), Cluster: rapid.String().Draw(t, "cluster"), Text: rapid.String().Draw(t, "text")}
				full.Store(rapid.IntRange(0, 3).Draw(t, "full") == 0)
				if err := j.Append(e); err == nil {
					want = append(want, e)
				}
			}
			j.Close()
			if torn := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "torn"); len(torn) > 0 {
				f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				_, err = f.Write(bytes.ReplaceAll(torn, []byte("\n"), nil))
				if err := errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := readJournal(bytes.NewReader(data))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d entries, %v; want %d", len(got), err, len(want))
		}
		for i, e := range got {
			if e.Seq != i+1 || e.Event != want[i].Event || e.Run != "run" || e.Cluster != want[i].Cluster || e.Text != want[i].Text {
				t.Fatalf("entry %d: %+v, want %+v", i, e, want[i])
			}
		}
	})
}

// FuzzJournal reads anything at all: entries in order that fit into the bytes, or
// ErrJournal; and what was read once is read again after a line was appended.
func FuzzJournal(f *testing.F) {
	whole, err := os.ReadFile(aJournal(f, f.TempDir(), someEntries...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Add([]byte("null\n{}\n"))
	f.Add([]byte(`{"sum":"","entry":null}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, n, err := readJournal(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrJournal) {
				t.Fatalf("%v", err)
			}
			return
		}
		if n < 0 || n > int64(len(data)) {
			t.Fatalf("%d of %d bytes", n, len(data))
		}
		again, m, err := readJournal(bytes.NewReader(data[:n]))
		if err != nil || m != n || !sameEntries(entries, again) {
			t.Fatalf("the same again: %d of %d bytes, %v", m, n, err)
		}
		r := &Record{Clusters: map[string]Earlier{}}
		for i, e := range entries {
			if e.Seq != i+1 {
				t.Fatalf("entry %d has number %d", i, e.Seq)
			}
			r.take(e)
		}
		if _, err := r.Changed(nil); err != nil || r.Count() == "" {
			t.Fatal(err)
		}
	})
}
