package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
	"rkepatch/internal/pulls"
	"rkepatch/internal/readiness"
	"rkepatch/internal/report"
)

const defaultReadTimeout = 5 * time.Minute

func (a *app) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "is a cluster ready for Kubernetes 1.27, or a later one; changes nothing",
		ArgsUsage: "[NAME...]",
		Description: "One verdict for each selected cluster, over everything that stands between it and the version: what its\n" +
			"workloads pull from ECR, the patch, the files on its nodes, arguments and feature gates, the cloud provider,\n" +
			"Windows nodes, templates, and the order in which to do things. What is not known is never ready.\n" +
			"Exit code 0 when every cluster is ready, 3 when one is not or is not known to be.\n\n" +
			"It needs a token that may, in each cluster: " + strings.Join(append(pulls.Permissions(), nodes.Permissions()...), "; ") + ".\n\n" +
			"Examples:\n" +
			"  rkepatch check --for-version 1.27 prod-eu\n" +
			"  rkepatch check --for-version 1.27 --report ready.html --all   the fleet as a picture",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagForVersion, Usage: "the `VERSION` to be ready for: 1.27 to 1.32 (required)"},
			&cli.IntFlag{Name: flagParallel, Value: 4, Usage: "clusters checked at once, `N`"},
			&cli.DurationFlag{Name: flagTimeout, Value: defaultReadTimeout, Usage: "how long reading what one cluster's workloads pull may take"},
			&cli.BoolFlag{Name: flagRehearse, Usage: "run the provider as each kubelet would, for an image that the cluster uses, and see whether credentials come back; they do not leave the node"},
			&cli.StringFlag{Name: flagRehearsalImage, Usage: "rehearse for `IMAGE`"},
		}, probeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{reportFlag(), outputFlag()}),
		Action: a.check,
	}
}

func (a *app) check(c *cli.Context) error {
	target, err := checkedVersion(c)
	if err != nil {
		return err
	}
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	if err := a.checkNodeFlags(c); err != nil {
		return err
	}
	if c.Int(flagParallel) < 1 || c.Duration(flagTimeout) <= 0 {
		return usagef("rkepatch check --help shows the defaults", "--%s and --%s must be positive", flagParallel, flagTimeout)
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	look, err := a.nodeLook(c, s.planner.Rancher)
	if err != nil {
		return err
	}
	look.Query.Rehearse, look.Query.RehearseImage = c.Bool(flagRehearse), c.String(flagRehearsalImage)
	checker := &readiness.Checker{Planner: s.planner, Look: look, Target: target, Parallel: c.Int(flagParallel), Timeout: c.Duration(flagTimeout)}
	head := report.ReadinessHead{Head: s.head, ForVersion: target.String()}
	sinks := []readinessSink{a.readinessOut(s, head)}
	page, err := a.readinessPage(c, head)
	if err != nil {
		return err
	}
	if page != nil {
		sinks = append(sinks, *page)
	}
	var totals readiness.Totals
	failure := func() error {
		for found, err := range checker.Check(c.Context, sel) {
			if err != nil {
				return err
			}
			totals.Add(found)
			for _, sink := range sinks {
				if err := sink.add(found); err != nil {
					return err
				}
			}
		}
		if totals.Clusters == 0 {
			return noneSelected()
		}
		return nil
	}()
	for _, sink := range sinks {
		if err := sink.close(totals, failure); err != nil && failure == nil {
			failure = err
		}
	}
	switch {
	case failure != nil:
		return failure
	case totals.Ready < totals.Clusters:
		return exitError(ExitBlocked)
	}
	return nil
}

// probeFlags are nodeFlags without the version, which check must be told.
func probeFlags() []cli.Flag {
	return slices.DeleteFunc(nodeFlags(), func(f cli.Flag) bool { return f.Names()[0] == flagForVersion })
}

// checkedVersion reads --for-version.
func checkedVersion(c *cli.Context) (kubelet.Version, error) {
	text := c.String(flagForVersion)
	v, err := kubelet.ParseVersion(text)
	hint := fmt.Sprintf("--%s takes %s to %s", flagForVersion, readiness.Oldest, readiness.Newest)
	switch {
	case text == "":
		return v, usagef(hint, "--%s is missing: which Kubernetes version are the clusters to be ready for", flagForVersion)
	case err != nil:
		return v, usagef(hint, "--%s %q is no Kubernetes version", flagForVersion, text)
	case v.Before(readiness.Oldest.Major, readiness.Oldest.Minor):
		return v, usagef(hint, "--%s %s: kubelets up to 1.26 log in to ECR by themselves, so there is nothing to be ready for", flagForVersion, v)
	case !v.Before(readiness.Newest.Major, readiness.Newest.Minor+1):
		return v, usagef(hint, "--%s %s: there is no RKE1 for Kubernetes after %s", flagForVersion, v, readiness.Newest)
	}
	return v, nil
}

// readinessSink takes the clusters as they come in.
type readinessSink struct {
	add   func(*readiness.Cluster) error
	close func(t readiness.Totals, failure error) error
}

func (a *app) readinessOut(s *session, head report.ReadinessHead) readinessSink {
	if s.json {
		doc := report.NewReadinessJSON(a.streams.Out, head)
		return readinessSink{doc.Add, doc.Close}
	}
	text := a.text(a.streams.Out)
	return readinessSink{
		add: func(r *readiness.Cluster) error { text.Readiness(r, head.ForVersion); return a.written() },
		close: func(t readiness.Totals, failure error) error {
			if failure == nil {
				text.ReadinessTotals(t, head.ForVersion)
			}
			return nil
		},
	}
}

// readinessPage begins the page that --report asks for, nil when it does not.
func (a *app) readinessPage(c *cli.Context, head report.ReadinessHead) (*readinessSink, error) {
	file, format, err := a.newReport(c)
	if file == nil {
		return nil, err
	}
	page, err := report.NewReadinessPage(file, format, head, report.PageData{
		GeneratedAt: a.clock.Now(), Selection: inWords(selection(c)), Command: commandLine(c),
	})
	if err != nil {
		file.Abort()
		return nil, err
	}
	return &readinessSink{page.Add, func(t readiness.Totals, failure error) error { return endReport(file, page.Close(t, failure)) }}, nil
}
