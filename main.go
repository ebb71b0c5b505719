// Command rkepatch moves Rancher RKE1 clusters to the external ECR image
// credential provider. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rkepatch/internal/cli"
)

// version and commit are stamped by the Makefile and by the release.
var version, commit = "dev", ""

func main() { os.Exit(run()) }

// run returns instead of exiting so that what is deferred happens. The first
// interrupt ends what can be ended; the second one kills.
func run() int {
	// A reader of ours that goes away must not end a run in the middle of a PUT; the failed write is
	// noticed.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, cli.SystemStreams(), os.Args, cli.Build{Version: version, Commit: commit})
}
