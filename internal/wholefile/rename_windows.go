package wholefile

import (
	"os"

	"golang.org/x/sys/windows"
)

// rename returns when the new name is on the disk, which os.Rename does not
// promise.
func rename(from, to string) error {
	old, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(old, name, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// SyncDir does nothing: Windows cannot flush a directory, and keeps a journal of
// names by itself.
func SyncDir(string) error { return nil }
