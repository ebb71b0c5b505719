package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

const (
	flagYes           = "yes"
	flagSkipNodeCheck = "skip-node-check"
	flagTimeout       = "timeout"
	flagPoll          = "poll"
	flagStateDir      = "state-dir"
	flagPlan          = "plan"
	flagChecksum      = "checksum"
	flagResume        = "resume"
	flagRollback      = "rollback-on-failure"
	flagRaise         = "raise-max-unavailable"
)

func (a *app) applyCommand() *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "patch the selected clusters, follow each to its real end",
		ArgsUsage: "[NAME... | --plan FILE | --resume RUN]",
		Description: "Plans, shows the diff, looks whether every node holds a provider that its kubelet accepts, asks, then changes\n" +
			"one cluster after the other (or --parallel N at once). A cluster counts as done when its control plane and\n" +
			"every worker run with the change, as seen on the nodes. What a cluster was before is kept in the state\n" +
			"directory. The first failure stops new clusters from starting. Ctrl-C stops following.\n\n" +
			"Examples:\n" +
			"  rkepatch apply prod-eu\n" +
			"  rkepatch apply --waves 1,50%,100% --parallel 3 'prod-*'       one cluster first, then half of them, then the rest\n" +
			"  rkepatch apply --plan change.plan --checksum sha256:2d4d7e…   what was reviewed, and nothing else\n" +
			"  rkepatch apply --resume 20261123T130501.042Z-4f2a91           go on after the laptop was closed",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagPlan, Usage: "carry out the plan in `FILE`, written by plan --out"},
			&cli.StringFlag{Name: flagChecksum, Usage: "with --plan: only if the file's checksum is `SUM`, as plan printed it"},
			&cli.StringFlag{Name: flagResume, Usage: "go on with `RUN`, which was interrupted or cut off; auto, with --plan: with the run of that plan, or begin it"},
			&cli.BoolFlag{Name: flagSkipNodeCheck, Usage: "apply without having seen that every node holds a working provider; if one does not, its kubelet will not start"},
			&cli.BoolFlag{Name: flagRollback, Usage: "take the change of a cluster that failed back at once"},
		}, runFlags(), paceFlags(), nodeFlags(), newNodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{reportFlag(), outputFlag()}),
		Action: a.apply,
	}
}

// runFlags are those of every command that changes clusters.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
		&cli.BoolFlag{Name: flagRaise, Usage: "let a rollback raise upgrade_strategy while it lasts, where Rancher refuses it for nodes that are not Ready"},
		&cli.DurationFlag{Name: flagTimeout, Value: 30 * time.Minute, Usage: "how long one cluster's roll-out may take"},
		&cli.DurationFlag{Name: flagPoll, Value: 5 * time.Second, Usage: "time between two looks at the clusters in flight, while much happens"},
		stateDirFlag(),
	}
}

func stateDirFlag() cli.Flag {
	return &cli.StringFlag{Name: flagStateDir, Usage: "`DIR` for runs and what clusters were before (default: $XDG_STATE_HOME/rkepatch)"}
}

func (a *app) apply(c *cli.Context) error {
	if err := checkSource(c); err != nil {
		return err
	}
	if err := a.checkNodeFlags(c); err != nil {
		return err
	}
	if err := checkReport(c); err != nil {
		return err
	}
	begun := a.clock.Now()
	switch record, err := a.resumed(c); {
	case err != nil:
		return err
	case record == nil:
	case c.IsSet(flagPlan) && record.Over():
		return a.alreadyDone(c, record)
	default:
		if err := keepPace(c, record.Head.Flags); err != nil {
			return err
		}
		if c.IsSet(flagPlan) { // the same command again: its --not-after is that of the first time
			begun = record.Begun.Local()
		}
	}
	pace, err := readPace(c, begun)
	if err != nil {
		return err
	}
	if pace.Between, err = a.between(c); err != nil {
		return err
	}
	if err := a.checkRunFlags(c); err != nil {
		return err
	}
	s, err := a.open(c)
	if err != nil {
		return err
	}
	look, err := a.nodeLook(c, s.planner.Rancher)
	if err != nil {
		return err
	}
	if c.Bool(flagSkipNodeCheck) {
		a.warn("--" + flagSkipNodeCheck + ": nobody has looked whether the nodes hold a working provider; a kubelet without one does not start")
	}
	dir, err := a.stateDir(c)
	if err != nil {
		return err
	}
	j := &job{session: s, pace: pace, kind: kindApply}
	if err := a.source(c, j, dir); err != nil {
		return err
	}
	sortPlans(c, j.plans)
	look.Want(j.session.planner)
	if j.look = look; !c.Bool(flagSkipNodeCheck) {
		if err := a.checkPlans(c, j); err != nil {
			return err
		}
	}
	return a.carryOut(c, j, dir)
}

// checkSource: a plan file and a run to resume say themselves which clusters.
func checkSource(c *cli.Context) error {
	sel := selection(c)
	switch {
	case c.IsSet(flagPlan) && c.IsSet(flagResume) && c.String(flagResume) != resumeAuto:
		return usagef("give one of them, or --resume auto", "--%s and --%s contradict each other", flagPlan, flagResume)
	case c.String(flagResume) == resumeAuto && !c.IsSet(flagPlan):
		return usagef("give --plan FILE, too, or the id of a run", "--%s %s goes on with the run of a plan", flagResume, resumeAuto)
	case (c.IsSet(flagPlan) || c.IsSet(flagResume)) && !sel.Empty():
		return usagef("drop the names and selecting flags", "--%s and --%s say themselves which clusters are meant", flagPlan, flagResume)
	case (c.IsSet(flagPlan) || c.IsSet(flagResume)) && anySet(c, flagProvider, flagPatch, flagBinDir, flagProviderConfig, flagProviderAPI, flagReplaceArg, flagMerge):
		return usagef("drop them, or plan anew", "--%s and --%s say themselves what is changed", flagPlan, flagResume)
	case c.IsSet(flagChecksum) && !c.IsSet(flagPlan):
		return usagef("give --plan FILE, too", "--%s belongs to --%s", flagChecksum, flagPlan)
	case c.IsSet(flagPlan) || c.IsSet(flagResume):
		return nil
	}
	_, err := mustSelect(c)
	return err
}

func (a *app) checkRunFlags(c *cli.Context) error {
	if c.Duration(flagTimeout) <= 0 || c.Duration(flagPoll) <= 0 {
		return usagef("rkepatch "+c.Command.Name+" --help shows the defaults", "--%s and --%s must be positive", flagTimeout, flagPoll)
	}
	if !c.Bool(flagYes) && !a.streams.Terminal {
		return usagef("look first, then say --yes", "there is no terminal to ask on")
	}
	return nil
}

// source fills in the plans: from a plan file, a run to resume, or Rancher.
func (a *app) source(c *cli.Context, j *job, dir string) error {
	if id := c.String(flagResume); id != "" {
		record, err := fleet.LoadRun(dir, id)
		if err != nil {
			return err
		}
		if record.Head.Kind != kindApply {
			did := map[string]string{kindRollback: "is a rollback", fleet.KindNodeTemplates: "changed node templates"}[record.Head.Kind]
			return usagef("run the same command again instead", "run %s %s and cannot be resumed", id, did)
		}
		file, err := record.Plan()
		if err != nil {
			return err
		}
		j.earlier, j.selection = record, "the clusters of run "+id
		return a.sourceFile(c, j, file, record.Dir)
	}
	if name := c.String(flagPlan); name != "" {
		file, err := a.planFile(c)
		if err != nil {
			return err
		}
		j.planFile, j.selection = file.Bytes, "the clusters of the plan "+shellWord(name)
		return a.sourceFile(c, j, file, name)
	}
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	j.selection = inWords(sel)
	j.session.planner.WideDiffs = c.IsSet(flagReport)
	if j.plans, j.totals, err = a.review(c, j.session, sel); err != nil {
		return err
	}
	j.visible = j.session.planner.Visible
	return nil
}

// sourceFile takes the plans from a plan file, which lies at place.
func (a *app) sourceFile(c *cli.Context, j *job, file *fleet.PlanFile, place string) error {
	if file.Server != j.session.head.Server {
		return fmt.Errorf("%w %s: it was made for %s, this is %s", fleet.ErrPlanFile, place, file.Server, j.session.head.Server)
	}
	j.session.planner = file.Planner(j.session.planner)
	if err := j.session.planner.Prepare(c.Context); err != nil {
		return err
	}
	j.plans, j.visible, j.checksum = file.Plans, file.Visible, file.Checksum
	text := a.reviewText(j.session)
	for _, p := range j.plans {
		j.totals.Add(p)
		text.Plan(p)
	}
	fmt.Fprintf(text.W, "%s, planned %s, checksum %s\n", j.totals, file.CreatedAt.Local().Format(time.DateTime), file.Checksum)
	return nil
}

// reviewText is where plans are shown: on stderr when stdout is to hold JSON
// only.
func (a *app) reviewText(s *session) report.Text {
	if s.json {
		return a.text(a.streams.Err)
	}
	return a.text(a.streams.Out)
}

// review plans the selected clusters and shows the plans.
func (a *app) review(c *cli.Context, s *session, sel fleet.Selection) ([]*fleet.ClusterPlan, report.Totals, error) {
	var plans []*fleet.ClusterPlan
	var totals report.Totals
	text := a.reviewText(s)
	for p, err := range s.planner.Plan(c.Context, sel) {
		if err != nil {
			return nil, totals, err
		}
		totals.Add(p)
		plans = append(plans, p)
		text.Plan(p)
	}
	if len(plans) == 0 {
		return nil, totals, noneSelected()
	}
	fmt.Fprintln(text.W, totals)
	return plans, totals, nil
}

// clustersAtOnce is how many clusters have their nodes looked at side by side.
const clustersAtOnce = 4

// checkPlans looks at the nodes of the clusters that are to be changed, and
// takes those out whose kubelets would not start. The plans as they were made
// stay what is written down: nodes may be mended before the run is resumed.
func (a *app) checkPlans(c *cli.Context, j *job) error {
	todo := slices.DeleteFunc(j.todo(), func(p *fleet.ClusterPlan) bool {
		return j.earlier != nil && j.earlier.Clusters[p.ID].Sent
	})
	if len(todo) == 0 {
		return nil
	}
	if err := a.notTooLarge(c, j); err != nil {
		return err
	}
	fmt.Fprintf(a.streams.Err, "rkepatch: looking at the nodes of %d cluster(s)\n", len(todo))
	text := a.reviewText(j.session)
	checked := map[string]*fleet.ClusterPlan{}
	err := j.look.CheckPlans(c.Context, j.session.planner, todo, clustersAtOnce, func(found fleet.Checked) {
		checked[found.Plan.ID] = found.Plan
		text.Checked(found)
	})
	if err != nil {
		return err
	}
	j.planned, j.plans, j.totals = j.plans, slices.Clone(j.plans), report.Totals{}
	for i, p := range j.plans {
		if with := checked[p.ID]; with != nil {
			j.plans[i] = with
		}
		j.totals.Add(j.plans[i])
	}
	return nil
}

func (a *app) confirm(c *cli.Context, j *job) error {
	if c.Bool(flagYes) {
		return nil
	}
	what := "Change"
	if j.revert != nil {
		what = "Roll back"
	}
	question := fmt.Sprintf("%s %d cluster(s)? Their kubelets restart, node by node.", what, j.pending())
	if j.revert != nil && c.Bool(flagDisable) {
		question += " Revisions of RKE templates that the run made are disabled afterwards."
	}
	return a.ask(c, question)
}

// ask fails unless the answer to the question is yes.
func (a *app) ask(c *cli.Context, question string) error {
	fmt.Fprintf(a.streams.Err, "\n%s Only \"yes\" is taken for an answer: ", question)
	answer, err := a.readLine(c.Context)
	if err != nil {
		return err
	}
	if answer != "yes" {
		fmt.Fprintln(a.streams.Err, "rkepatch: nothing was changed")
		return exitError(ExitError)
	}
	return nil
}

// readLine gives up when ctx ends, so that Ctrl-C at the question works.
func (a *app) readLine(ctx context.Context) (string, error) {
	type line struct {
		text string
		err  error
	}
	if a.in == nil {
		a.in = bufio.NewReader(a.streams.In)
	}
	got := make(chan line, 1)
	go func() {
		text, err := a.in.ReadString('\n')
		if err == io.EOF {
			err = nil
		}
		got <- line{strings.TrimSpace(text), err}
	}()
	select {
	case l := <-got:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (a *app) stateDir(c *cli.Context) (string, error) {
	if dir := c.String(flagStateDir); dir != "" {
		return filepath.Abs(dir)
	}
	return fleet.StateDir(a.streams.Getenv)
}
