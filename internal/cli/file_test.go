package cli

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Somebody saves the file while it is being patched: theirs stays.
func TestReplaceFileLeavesWhatOthersWrote(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "cluster.yml")
	if err := os.WriteFile(name, []byte("theirs"), 0o640); err != nil {
		t.Fatal(err)
	}
	a := &app{streams: Streams{Err: io.Discard}, logs: noLogs()}
	if err := a.replaceFile(name, []byte("old"), []byte("new")); err == nil {
		t.Error("the file was replaced")
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "theirs" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := a.replaceFile(name, []byte("theirs"), []byte("new")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
