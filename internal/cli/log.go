package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
	"rkepatch/rancher"
)

const (
	flagLogFile = "log-file"
	flagVerbose = "verbose"
)

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagLogFile, Usage: "append what happens to `FILE`, as JSON lines"},
		&cli.BoolFlag{Name: flagVerbose, Usage: "show every request to Rancher: method, path, status, time"},
	}
}

// logs is what a command writes down beside its results: nothing, until
// startLog was called with --log-file or --verbose.
type logs struct {
	*slog.Logger
	file    *os.File
	run     atomic.Pointer[string] // id of the run, once there is one
	verbose bool
	mu      sync.Mutex // of the lines on stderr
	text    func(string) string
}

func noLogs() *logs { return &logs{Logger: slog.New(slog.DiscardHandler)} }

// startLog opens the log that the flags ask for. Nothing of the credentials in o
// will be in it.
func (a *app) startLog(c *cli.Context, o *rancher.Options) error {
	secrets := secretsOf(o)
	scrub := newRedactor(slog.DiscardHandler, secrets...)
	a.logs.verbose, a.logs.text = c.Bool(flagVerbose), scrub.text
	if name := c.String(flagLogFile); name != "" {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return usagef("give a file that can be written to --"+flagLogFile, "opening the log: %s", err)
		}
		lines := slog.NewJSONHandler(&complaining{w: file, say: a.sayWarning}, &slog.HandlerOptions{Level: slog.LevelDebug})
		a.logs.file = file
		a.logs.Logger = slog.New(&withRun{newRedactor(lines, secrets...), &a.logs.run})
	}
	o.Trace = a.trace
	a.logs.Info("begun", "program", a.build.Version, "command", commandLine(c))
	return nil
}

// secretsOf gives the texts in which the credentials may turn up.
func secretsOf(o *rancher.Options) []string {
	token, secret := strings.TrimSpace(o.Token.Reveal()), strings.TrimSpace(o.SecretKey.Reveal())
	_, key, _ := strings.Cut(token, ":")
	secrets := []string{token, key, secret}
	for _, pair := range []string{token, strings.TrimSpace(o.AccessKey) + ":" + secret} {
		if len(pair) > 1 {
			secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(pair)), base64.URLEncoding.EncodeToString([]byte(pair)))
		}
	}
	return secrets
}

// trace writes a request down. Bodies and headers never come here.
func (a *app) trace(x rancher.Exchange) {
	attrs := []any{"method", x.Method, "path", x.Path, "query", x.Query, "status", x.Status, "duration", x.Duration.Round(time.Microsecond).String(), "attempt", x.Attempt}
	if x.Failure != "" {
		attrs = append(attrs, "failure", x.Failure)
	}
	a.logs.Debug("request", attrs...)
	if !a.logs.verbose {
		return
	}
	target, became := x.Path, fmt.Sprint(x.Status)
	if x.Query != "" {
		target += "?" + x.Query
	}
	if x.Status == 0 {
		became = "no answer"
	}
	if x.Failure != "" {
		became += " (" + x.Failure + ")"
	}
	line := fmt.Sprintf("%s %s: %s in %s, attempt %d", x.Method, target, became, x.Duration.Round(time.Millisecond), x.Attempt)
	a.logs.mu.Lock()
	defer a.logs.mu.Unlock()
	fmt.Fprintf(a.streams.Err, "rkepatch: %s\n", report.Clean(a.logs.text(line)))
}

// step and outcome write down how a run goes on.
func (l *logs) step(id, name, text string) {
	l.Info("step", "id", id, "cluster", name, "text", text)
}

func (l *logs) outcome(o fleet.Outcome) {
	level := slog.LevelInfo
	if o.Status == fleet.StatusFailed {
		level = slog.LevelError
	}
	l.Log(context.Background(), level, "outcome", "id", o.ID, "cluster", o.Name, "status", string(o.Status), "stored", o.Stored,
		"duration", o.Duration.String(), "text", o.Message, "next", o.Next)
}

// end writes down how the command came out, and closes the file.
func (l *logs) end(err error, code int) {
	var said exitError
	switch {
	case err == nil, errors.As(err, &said):
		l.Info("ended", "exitCode", code)
	default:
		l.Error("ended", "exitCode", code, "error", err)
	}
	if l.file != nil {
		_ = l.file.Close()
	}
}

// withRun puts the id of the run on each line, once there is one.
type withRun struct {
	slog.Handler
	run *atomic.Pointer[string]
}

func (h *withRun) Handle(ctx context.Context, r slog.Record) error {
	if id := h.run.Load(); id != nil {
		r.AddAttrs(slog.String("run", *id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h *withRun) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &withRun{h.Handler.WithAttrs(attrs), h.run}
}

func (h *withRun) WithGroup(name string) slog.Handler {
	return &withRun{h.Handler.WithGroup(name), h.run}
}

// complaining says once that a log cannot be written: the run goes on.
type complaining struct {
	w    io.Writer
	say  func(string)
	said atomic.Bool
}

func (c *complaining) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.said.CompareAndSwap(false, true) {
		c.say("the log is no longer complete: " + err.Error())
	}
	return n, err
}
