//go:build unix

package wholefile

import "os"

func rename(from, to string) error { return os.Rename(from, to) }

// SyncDir makes what was made, renamed or removed in dir survive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
