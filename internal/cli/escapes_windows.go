package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// interpretEscapes makes consoles show colours instead of escape sequences
// (Windows 10 and later). What is no console stays as it is.
func interpretEscapes(files ...*os.File) {
	for _, f := range files {
		var mode uint32
		console := windows.Handle(f.Fd())
		if windows.GetConsoleMode(console, &mode) == nil {
			_ = windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
		}
	}
}
