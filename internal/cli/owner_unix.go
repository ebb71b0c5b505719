//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// hardLinks gives how many names a file has.
func hardLinks(_ string, info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(stat.Nlink) // 16 bits on darwin
}

// keepOwner gives f the owner and the group of info's file. Where one may not do
// that, lost says whose it was.
func keepOwner(f *os.File, info fs.FileInfo) (lost string, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", nil
	}
	err = f.Chown(int(stat.Uid), int(stat.Gid))
	if errors.Is(err, fs.ErrPermission) {
		_ = f.Chown(-1, int(stat.Gid)) // a group that one is in may be kept
		return fmt.Sprintf("user %d, group %d", stat.Uid, stat.Gid), nil
	}
	return "", err
}
