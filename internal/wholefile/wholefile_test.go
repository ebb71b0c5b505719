package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// holds fails unless dir has these files, and nothing is left behind in it.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if w, ok := want[e.Name()]; !ok || err != nil || string(text) != w {
			t.Errorf("%s holds %q, %v", e.Name(), text, err)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d", len(entries), len(want))
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "state.json")
	for _, tt := range []struct {
		text string
		mode fs.FileMode
	}{{"first", 0o600}, {"second", 0o640}, {"", 0o755}} {
		if err := Write(name, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		holds(t, dir, map[string]string{"state.json": tt.text})
		if info, err := os.Stat(name); runtime.GOOS != "windows" && (err != nil || info.Mode() != tt.mode) {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, tt.mode)
		}
	}
}

// Somebody looks while the file is being written, and after it was given up.
func TestOldFileStaysUntilReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "state.json")
	if err := Write(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Create(name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half of the ne"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "old" {
		t.Errorf("while it is written: %q, %v", text, err)
	}
	f.Abort()
	holds(t, dir, map[string]string{"state.json": "old"})
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "missing", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// A directory stands where the file is to be.
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "taken"), []byte("text"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
