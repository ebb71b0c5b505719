package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
)

// resumeAuto is --resume for a caller who does not know whether he called
// before: a Job whose pod was started anew.
const resumeAuto = "auto"

// resumed gives the run to be resumed, nil for one that is still to begin. It
// puts the run's id in the place of auto.
func (a *app) resumed(c *cli.Context) (*fleet.Record, error) {
	id := c.String(flagResume)
	if id == "" {
		return nil, nil
	}
	dir, err := a.stateDir(c)
	if err != nil {
		return nil, err
	}
	if id != resumeAuto {
		return fleet.LoadRun(dir, id)
	}
	file, err := a.planFile(c)
	if err != nil {
		return nil, err
	}
	record, err := fleet.RunOfPlan(dir, file.Checksum)
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, c.Set(flagResume, "")
	}
	return record, c.Set(flagResume, record.ID)
}

// planFile reads the file of --plan, which must have the checksum of --checksum.
func (a *app) planFile(c *cli.Context) (*fleet.PlanFile, error) {
	name := c.String(flagPlan)
	file, err := fleet.OpenPlan(name)
	if err != nil {
		return nil, err
	}
	if want := c.String(flagChecksum); want != "" && want != file.Checksum {
		return nil, fmt.Errorf("%w %s: its checksum is %s, reviewed was %s", fleet.ErrPlanFile, name, file.Checksum, want)
	}
	return file, nil
}

// alreadyDone says what came of a run that is over, and ends as it did: what
// failed then is for a person to look at, not for the next try.
func (a *app) alreadyDone(c *cli.Context, record *fleet.Record) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	outcomes, rolledBack := record.Outcomes()
	code := applyCode(c.Context, outcomes)
	if rolledBack > 0 {
		code = max(code, ExitError)
	}
	fmt.Fprintf(a.streams.Err, "rkepatch: run %s carried this plan out already (%s); nothing was changed now\n", record.ID, report.Clean(record.Count()))
	if asJSON {
		doc := report.RunJSON{Head: report.Head{Server: record.Head.Server}, Run: record.ID, RunKind: kindApply, Plans: []*fleet.ClusterPlan{}, Outcomes: outcomes, ExitCode: code}
		if err := doc.Write(a.streams.Out); err != nil {
			return err
		}
	} else {
		a.text(a.streams.Out).Outcomes(outcomes)
	}
	if code == ExitOK {
		return nil
	}
	return exitError(code)
}
