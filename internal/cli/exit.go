package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"rkepatch/internal/fleet"
	"rkepatch/internal/nodescript"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// Exit codes. They are stable; docs/exit-codes.md explains them.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitChanges     = 2 // plan --detailed-exitcode: there are changes
	ExitBlocked     = 3 // one or more clusters are left alone
	ExitFailed      = 4 // one or more clusters failed
	ExitUsage       = 64
	ExitInterrupted = 130
)

// usageError is a call that cannot be carried out as it was written.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }
func (e *usageError) Hint() string  { return e.hint }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// exitError ends the program with a code; what there was to say is said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode says err on w, unless it was said, and gives the process's code.
func exitCode(ctx context.Context, w io.Writer, err error) int {
	var code exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil:
		fmt.Fprintln(w, "rkepatch: interrupted")
		return ExitInterrupted
	}
	fmt.Fprintf(w, "rkepatch: error: %s\n", oneLine(err.Error()))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(w, "rkepatch: hint: %s\n", oneLine(hint))
	}
	var usage *usageError
	if errors.As(err, &usage) || slices.ContainsFunc(misuses, func(target error) bool { return errors.Is(err, target) }) {
		return ExitUsage
	}
	return ExitError
}

// misuses are the errors about what the program was told.
var misuses = []error{
	fleet.ErrSelection, fleet.ErrPace, rkeconfig.ErrPatch, nodescript.ErrOption,
	rancher.ErrNoURL, rancher.ErrNoCredentials, rancher.ErrOption,
}

// hintFor finds the innermost advice that an error carries.
func hintFor(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
