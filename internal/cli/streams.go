package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are where a command reads and writes. Out carries the result and
// nothing else; everything said beside it goes to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv looks up an environment variable.
	Getenv func(string) string
	// Terminal says that In and Err are a person's terminal; OutTerminal that
	// Out is one.
	Terminal, OutTerminal bool
}

// SystemStreams are those of the process.
func SystemStreams() Streams {
	interpretEscapes(os.Stdout, os.Stderr)
	tty := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv,
		Terminal: tty(os.Stdin) && tty(os.Stderr), OutTerminal: tty(os.Stdout),
	}
}

// color reports whether text on Out may be coloured (https://no-color.org).
func (s Streams) color() bool {
	return s.OutTerminal && s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb"
}
