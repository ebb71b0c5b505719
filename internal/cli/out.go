package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// outWriter is standard output. It remembers the first write that failed: a
// result that did not arrive is no success.
type outWriter struct {
	w   io.Writer
	err error
}

func (o *outWriter) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

// failure gives what to report; a reader that went away, as head does, knows it
// already.
func (o *outWriter) failure() error {
	switch {
	case o.err == nil:
		return nil
	case errors.Is(o.err, syscall.EPIPE):
		return exitError(ExitError)
	}
	return fmt.Errorf("writing the result: %w", o.err)
}

// sharedWriter is standard error, which requests and steps are told on from
// several goroutines.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// written gives what went wrong with standard output so far.
func (a *app) written() error {
	if out, ok := a.streams.Out.(*outWriter); ok {
		return out.failure()
	}
	return nil
}

// checkTarget refuses to put a file in the place of something that is none:
// --out /dev/null, run by root, would replace the device.
func checkTarget(flag, name string) error {
	if info, err := os.Stat(filepath.Dir(name)); err != nil || !info.IsDir() {
		return usagef("make the directory "+filepath.Dir(name)+" first", "--%s %s: there is no such directory", flag, name)
	}
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return usagef("name a file", "--%s %s: that is not a regular file", flag, name)
	}
	return nil
}
