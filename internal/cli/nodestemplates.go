package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/newnodes"
	"rkepatch/internal/report"
	"rkepatch/rancher"
)

const (
	flagSetURL      = "set-docker-install-url"
	flagSetUserData = "set-userdata"
)

func (a *app) nodesTemplatesCommand() *cli.Command {
	return &cli.Command{
		Name:      "templates",
		Usage:     "node templates in use, and whether a node made from one tomorrow would come up",
		ArgsUsage: "[NAME...]",
		Description: "Lists every node template that a node pool of the selected clusters uses: prepared, unprepared, or unknown, and why.\n" +
			"Prepared is a template whose user data, or Docker install script, is one of `rkepatch nodes script` for these paths.\n" +
			"With one of the --set flags it shows what would change, asks, keeps what the template was in the state directory,\n" +
			"changes that field and reads it back; rkepatch rollback RUN takes it back. Nodes that are there are not touched.\n\n" +
			"Examples:\n" +
			"  rkepatch nodes templates prod-us\n" +
			"  rkepatch nodes templates --set-userdata provider.yaml prod-us",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagSetURL, Usage: "make new nodes install Docker with the script at `URL`, such as one of rkepatch nodes script --docker-install"},
			&cli.StringFlag{Name: flagSetUserData, Usage: "merge `FILE` into the user data, such as one of rkepatch nodes script --user-data cloud-config; - is stdin"},
			&cli.BoolFlag{Name: flagYes, Aliases: []string{"y"}, Usage: "do not ask"},
			stateDirFlag(),
		}, newNodeFlags(), selectFlags(), patchFlags(), connectFlags(), []cli.Flag{outputFlag()}),
		Action: a.nodesTemplates,
	}
}

// templateJob is a change of node templates in the making.
type templateJob struct {
	session *session
	edits   []*fleet.NodeTemplateEdit
	file    string        // merged into user data
	earlier *fleet.Record // run that is taken back
	doc     *report.TemplatesJSON
}

func (a *app) nodesTemplates(c *cli.Context) error {
	sel, err := mustSelect(c)
	if err != nil {
		return err
	}
	j := &templateJob{}
	field, value, err := a.wantedField(c, j)
	if err != nil {
		return err
	}
	if field != "" && !c.Bool(flagYes) && !a.streams.Terminal {
		return usagef("look first with rkepatch nodes templates, then say --yes", "there is no terminal to ask on")
	}
	if j.session, err = a.open(c); err != nil {
		return err
	}
	found, err := j.session.planner.NodeTemplates(c.Context, sel)
	if err != nil {
		return err
	}
	j.doc = &report.TemplatesJSON{Head: j.session.head, Templates: found}
	if field == "" {
		return a.listTemplates(c, j, found)
	}
	if len(found.Uses) == 0 {
		why := firstOf(found.Unseen, "the selected clusters have no node pools")
		return fmt.Errorf("changing node templates: %s; put the provider into the image of the machines (rkepatch nodes script)", why)
	}
	if j.edits, err = j.session.planner.PlanNodeTemplates(c.Context, found.Uses, field, value); err != nil {
		return err
	}
	return a.changeTemplates(c, j, found)
}

// wantedField reads the --set flags; no field when there is none.
func (a *app) wantedField(c *cli.Context, j *templateJob) (rancher.TemplateField, fleet.NewValue, error) {
	switch {
	case c.IsSet(flagSetURL) && c.IsSet(flagSetUserData):
		return "", nil, usagef("do one after the other", "--%s and --%s cannot be given together", flagSetURL, flagSetUserData)
	case c.IsSet(flagSetURL):
		address := strings.TrimSpace(c.String(flagSetURL))
		if err := newnodes.CheckURL(address); err != nil {
			return "", nil, usagef(hintFor(err), "--%s: %s", flagSetURL, err)
		}
		return rancher.FieldDockerInstallURL, fleet.NewInstallURL(address), nil
	case c.IsSet(flagSetUserData):
		src, err := readFile(a.streams, c.String(flagSetUserData))
		if err != nil {
			return "", nil, usagef("rkepatch nodes script --user-data cloud-config writes one", "reading the user data: %s", err)
		}
		if _, err := newnodes.Merge("", string(src)); err != nil {
			return "", nil, usagef(hintFor(err), "--%s %s: %s", flagSetUserData, c.String(flagSetUserData), err)
		}
		j.file = string(src)
		return rancher.FieldUserData, fleet.NewUserData(j.file), nil
	}
	return "", nil, nil
}

func (a *app) listTemplates(c *cli.Context, j *templateJob, found *fleet.NodeTemplates) error {
	code := ExitOK
	if c.Bool(flagStrict) && (found.Unseen != "" || slices.ContainsFunc(found.Uses, func(u *fleet.NodeTemplateUse) bool { return u.Verdict.State != newnodes.Prepared })) {
		code = ExitBlocked
	}
	if j.session.json {
		j.doc.ExitCode = code
		if err := j.doc.Write(a.streams.Out); err != nil {
			return err
		}
	} else {
		a.text(a.streams.Out).NodeTemplates(found)
	}
	if code != ExitOK {
		return exitError(code)
	}
	return nil
}

// changeTemplates shows the edits, asks, and carries them out.
func (a *app) changeTemplates(c *cli.Context, j *templateJob, found *fleet.NodeTemplates) error {
	text := a.reviewText(j.session)
	if found != nil {
		text.Custom(found)
	}
	todo := 0
	for _, e := range j.edits {
		text.NodeTemplateEdit(e)
		if e.Todo() {
			todo++
		}
	}
	// A way back notes, too, that there is nothing to take back.
	if todo == 0 && (j.earlier == nil || !slices.ContainsFunc(j.edits, func(e *fleet.NodeTemplateEdit) bool { return e.Refused == nil })) {
		return a.templatesDone(c, j, nil, nil)
	}
	if todo > 0 {
		if err := a.confirmTemplates(c, j, todo); err != nil {
			return err
		}
	}
	dir, err := a.stateDir(c)
	if err != nil {
		return err
	}
	release, err := fleet.Lock(dir)
	if err != nil {
		return err
	}
	defer release()
	applier := fleet.NodeTemplateApplier{
		Rancher: j.session.planner.Rancher, Clock: a.clock, Poll: templatePoll, File: j.file,
		Again: "the same command again does what is left", Done: a.logs.outcome,
	}
	head := fleet.Head{Kind: fleet.KindNodeTemplates, Server: j.session.head.Server, Program: a.build.Version, Clusters: todo, Flags: given(c, rancherFlags...)}
	if j.earlier != nil {
		head.Kind, head.Of = kindRollback, j.earlier.ID
		if applier.Earlier, err = a.reopen(j, dir); err != nil {
			return err
		}
		defer applier.Earlier.Close()
	}
	run, err := fleet.NewRun(dir, a.clock.Now())
	if err != nil {
		return err
	}
	defer run.Close()
	if err := run.BeginNodeTemplates(head); err != nil {
		return err
	}
	a.logs.run.Store(&run.ID)
	applier.Run = run
	return a.templatesDone(c, j, run, applier.Apply(c.Context, j.edits))
}

// reopen opens the run that is taken back, under the lock: somebody may have taken
// it back while the question stood.
func (a *app) reopen(j *templateJob, dir string) (*fleet.Run, error) {
	record, err := fleet.LoadRun(dir, j.earlier.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range j.edits {
		if by := record.Clusters[e.ID].RolledBack; by != "" {
			return nil, fmt.Errorf("%s was rolled back by run %s meanwhile; nothing was changed, call rollback again for the others", e.Name, by)
		}
	}
	return record.Open()
}

func (a *app) confirmTemplates(c *cli.Context, j *templateJob, todo int) error {
	if c.Bool(flagYes) {
		return nil
	}
	what := "Change"
	if j.earlier != nil {
		what = "Roll back"
	}
	others := ""
	if names := fleet.OtherClusters(j.edits); len(names) > 0 {
		others = fmt.Sprintf(" This changes new nodes of clusters that were not selected, too: %s.", report.Clean(strings.Join(names, ", ")))
	}
	fmt.Fprintf(a.streams.Err, "\n%s %d node template(s)?%s Only nodes made later get it. Only \"yes\" is taken for an answer: ", what, todo, others)
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

// templatesDone shows what came of it; a nil run changed nothing.
func (a *app) templatesDone(c *cli.Context, j *templateJob, run *fleet.Run, outcomes []fleet.Outcome) error {
	if run == nil {
		for _, e := range j.edits {
			o := fleet.Outcome{ID: e.ID, Name: e.Name, Status: fleet.StatusUnchanged, Message: "already as wanted"}
			if e.Refused != nil {
				o.Status, o.Message = fleet.StatusBlocked, e.Refused.Error()
			}
			outcomes = append(outcomes, o)
		}
	}
	if j.earlier != nil {
		for i, o := range outcomes {
			outcomes[i] = report.OfRollback(o)
		}
	}
	code := applyCode(c.Context, outcomes)
	var unnoted error
	if run != nil && c.Context.Err() == nil {
		unnoted = run.Note(fleet.Entry{Event: fleet.EventEnded, Text: report.CountOutcomes(outcomes)})
	}
	if j.session.json {
		j.doc.Edits, j.doc.Outcomes, j.doc.ExitCode = report.NodeTemplateEdits(j.edits), outcomes, code
		if run != nil {
			j.doc.Run = run.ID
		}
		if err := j.doc.Write(a.streams.Out); err != nil {
			return err
		}
	} else {
		a.text(a.streams.Out).Outcomes(outcomes)
		fmt.Fprintln(a.streams.Out, report.CountOutcomes(outcomes))
	}
	if run != nil {
		fmt.Fprintf(a.streams.Err, "rkepatch: run %s; what the templates were before lies in %s\n", run.ID, run.Dir)
	}
	if unnoted != nil {
		return unnoted
	}
	if code != ExitOK {
		return exitError(code)
	}
	return nil
}

// rollbackTemplates takes a run that changed node templates back.
func (a *app) rollbackTemplates(c *cli.Context, record *fleet.Record, ids []string) error {
	s, err := a.open(c)
	if err != nil {
		return err
	}
	if record.Head.Server != s.head.Server {
		return usagef("name that Rancher", "run %s was on %s, this is %s", record.ID, record.Head.Server, s.head.Server)
	}
	j := &templateJob{session: s, earlier: record, doc: &report.TemplatesJSON{Head: s.head, Of: record.ID}}
	if j.edits, err = s.planner.RevertNodeTemplates(c.Context, record.Place(), ids); err != nil {
		return err
	}
	return a.changeTemplates(c, j, nil)
}
