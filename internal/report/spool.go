package report

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// spool holds what comes later on a page than it is known. It lies on disk,
// readable by the user only, and without a name where the system allows that.
type spool struct {
	file *os.File
	w    *bufio.Writer
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "rkepatch-report-*")
	if err != nil {
		return nil, fmt.Errorf("making room for the report (TMPDIR says where): %w", err)
	}
	_ = os.Remove(f.Name()) // close tries again where open files can not be removed
	return &spool{f, bufio.NewWriterSize(f, 64<<10)}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		err = fmt.Errorf("keeping the report (TMPDIR says where): %w", err)
	}
	return n, err
}

// copyTo writes all that was written so far.
func (s *spool) copyTo(w io.Writer) error {
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("keeping the report (TMPDIR says where): %w", err)
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) close() {
	s.file.Close()
	_ = os.Remove(s.file.Name())
}
