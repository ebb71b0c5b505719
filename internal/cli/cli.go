// Package cli is the command line: flags in, fleet called, results out. One
// file per command.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

// Build says what was built.
type Build struct{ Version, Commit string }

// String is what --version shows behind the name of the program.
func (b Build) String() string {
	from := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	if b.Commit != "" {
		from = "commit " + b.Commit + ", " + from
	}
	return b.Version + " (" + from + ")"
}

// app is what the commands share.
type app struct {
	streams Streams
	build   Build
	clock   fleet.Clock
	// terminal is streams.Err as it came: live lines need to know the terminal
	// behind it.
	terminal io.Writer
	in       *bufio.Reader // of streams.In, once something was read
	logs     *logs
	aside    func(func()) // speaks with the person while there are live lines
}

// Run carries out one call of the program and gives its exit code. It returns
// when ctx ends, with ExitInterrupted; a PUT under way is not cut short.
func Run(ctx context.Context, s Streams, args []string, b Build) int {
	return run(ctx, s, args, b, fleet.SystemClock())
}

func run(ctx context.Context, s Streams, args []string, b Build, clock fleet.Clock) int {
	out := &outWriter{w: s.Out}
	s.Out = out
	terminal := s.Err
	s.Err = &sharedWriter{w: s.Err}
	a := &app{streams: s, terminal: terminal, build: b, clock: clock, logs: noLogs(), aside: func(f func()) { f() }}
	err := a.command().RunContext(ctx, args)
	if failed := out.failure(); failed != nil && (err == nil || errors.Is(err, exitError(ExitChanges))) {
		err = failed
	}
	code := exitCode(ctx, s.Err, err)
	a.logs.end(err, code)
	return code
}

func (a *app) command() *cli.App {
	commands := []*cli.Command{
		a.clustersCommand(), a.checkCommand(), a.nodesCommand(), a.planCommand(), a.applyCommand(), a.verifyCommand(),
		a.rollbackCommand(), a.runsCommand(), a.fileCommand(), a.completionCommand(),
	}
	strict(commands)
	commands = append(commands, a.completeCommand()) // which takes flags for words
	return &cli.App{
		Name:    "rkepatch",
		Usage:   "move Rancher RKE1 clusters to the external ECR image credential provider before Kubernetes 1.27",
		Version: a.build.String(),
		Description: "Kubernetes 1.27 removed the kubelet's built-in ECR login. rkepatch adds the two kubelet arguments and\n" +
			"the binds that replace it to each cluster's rancher_kubernetes_engine_config: it shows the diff, applies\n" +
			"it through the Rancher API and follows the roll-out to its real end.\n\n" +
			"Examples:\n" +
			"  rkepatch clusters                the fleet at a glance\n" +
			"  rkepatch nodes check 'prod-*'    would every kubelet start with it\n" +
			"  rkepatch plan 'prod-*'           what would change; changes nothing\n" +
			"  rkepatch apply prod-eu           do it, follow it, verify it",
		Commands:                  commands,
		Reader:                    a.streams.In,
		Writer:                    a.streams.Out,
		ErrWriter:                 a.streams.Err,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true, // kubelet values contain commas
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("rkepatch --help lists the commands", "unknown command %q", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
}

// strict makes the commands refuse what they would otherwise misunderstand.
func strict(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.UseShortOptionHandling = false
		if len(c.Subcommands) == 0 {
			c.Before = refuseLateFlags
		}
		strict(c.Subcommands)
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	name := strings.TrimSpace("rkepatch " + strings.TrimPrefix(c.Command.FullName(), "rkepatch"))
	return usagef(name+" --help lists the flags", "%s", err)
}

// refuseLateFlags: urfave/cli v2 takes a flag behind the first name for a name,
// so that "plan c1 --dry-run" would silently run without it.
func refuseLateFlags(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return usagef(fmt.Sprintf("write flags before the names: rkepatch %s %s NAME...", c.Command.FullName(), arg), "flag %s stands behind a name and would be ignored", arg)
		}
	}
	return nil
}

// warn says something that is not an error.
func (a *app) warn(text string) {
	a.logs.Warn(text)
	a.sayWarning(text)
}

func (a *app) sayWarning(text string) {
	fmt.Fprintf(a.streams.Err, "rkepatch: warning: %s\n", report.Clean(text))
}

func (a *app) text(w io.Writer) report.Text {
	return report.Text{W: w, Color: w == a.streams.Out && a.streams.color()}
}

const flagOutput = "output"

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of the result on stdout: text or json"}
}

// wantsJSON reads -o.
func wantsJSON(c *cli.Context) (bool, error) {
	switch o := c.String(flagOutput); o {
	case "text", "json":
		return o == "json", nil
	default:
		return false, usagef("use text or json", "-o %q is no output format", o)
	}
}

// oneLine keeps an error in one line; only a diff may follow on more.
func oneLine(s string) string { return report.CleanLines(strings.TrimRight(s, "\n")) }

func readAtMost(r io.Reader, n int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, n+1))
	if err == nil && int64(len(data)) > n {
		err = fmt.Errorf("larger than %d bytes", n)
	}
	return data, err
}
