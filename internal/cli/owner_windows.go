package cli

import (
	"io/fs"
	"os"
	"syscall"
)

// hardLinks gives how many names a file has.
func hardLinks(name string, _ fs.FileInfo) uint64 {
	f, err := os.Open(name)
	if err != nil {
		return 1 // reading it says so better
	}
	defer f.Close()
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(f.Fd()), &info); err != nil {
		return 1
	}
	return uint64(info.NumberOfLinks)
}

// keepOwner leaves the file to whoever patches it, with the access list of its
// directory: an access list is not carried over.
func keepOwner(*os.File, fs.FileInfo) (lost string, err error) { return "", nil }
