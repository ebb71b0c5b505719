// Package wholefile puts files in their place at once or not at all, on every
// system that the program is built for.
package wholefile

import (
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file on its way to its name, where it appears with Replace.
type File struct {
	*os.File // under another name in the same directory
	name     string
}

// Create begins the file that is to be called name, with these permissions
// whatever the umask. Nobody else can read it before: it may hold secrets.
func Create(name string, mode fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, err
	}
	w := &File{f, name}
	if err := f.Chmod(mode); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Replace puts the file in its place and returns when it is on the disk there.
// After an error the old file, if any, is as it was.
func (f *File) Replace() error {
	defer f.Abort()
	for _, step := range []func() error{
		f.Sync, f.Close,
		func() error { return rename(f.Name(), f.name) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(f.name))
}

// Abort throws away a file that was not put in its place.
func (f *File) Abort() {
	f.Close()
	os.Remove(f.Name()) // gone already when it was put in its place
}

// Write is Create, data and Replace.
func Write(name string, data []byte, mode fs.FileMode) error {
	f, err := Create(name, mode)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Replace()
}
