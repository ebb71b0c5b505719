package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
	"rkepatch/internal/wholefile"
)

const flagReport = "report"

func reportFlag() cli.Flag {
	return &cli.StringFlag{Name: flagReport, Usage: "write the review page to `FILE`.html, .md or .json"}
}

// pageFile is a review page on its way to its file: it appears there when it is
// whole.
type pageFile struct {
	*report.Page
	file *wholefile.File
}

// checkReport finds out ahead of a run whether its page can be written.
func checkReport(c *cli.Context) error {
	name := c.String(flagReport)
	if name == "" {
		return nil
	}
	if _, err := report.FormatOf(name); err != nil {
		return usagef("name it .html, .md or .json", "--%s: %s", flagReport, err)
	}
	return checkTarget(flagReport, name)
}

// newReport begins the file that --report asks for, nil when it does not.
func (a *app) newReport(c *cli.Context) (file *wholefile.File, format string, err error) {
	name := c.String(flagReport)
	if name == "" {
		return nil, "", nil
	}
	if err := checkReport(c); err != nil {
		return nil, "", err
	}
	if format, err = report.FormatOf(name); err != nil {
		return nil, "", err
	}
	if file, err = wholefile.Create(name, 0o600); err != nil {
		return nil, "", fmt.Errorf("writing the report: %w", err)
	}
	return file, format, nil
}

// newPage begins the page that --report asks for, nil when it does not.
func (a *app) newPage(c *cli.Context, d report.PageData) (*pageFile, error) {
	file, format, err := a.newReport(c)
	if file == nil {
		return nil, err
	}
	d.GeneratedAt = a.clock.Now()
	page, err := report.NewPage(file, format, d)
	if err != nil {
		file.Abort()
		return nil, err
	}
	return &pageFile{page, file}, nil
}

// finish ends the page and puts it in its place.
func (p *pageFile) finish(t report.Totals, failure error) error {
	return endReport(p.file, p.Close(t, failure))
}

// endReport puts a report in its place unless writing it has failed.
func endReport(file *wholefile.File, err error) error {
	defer file.Abort()
	if err == nil {
		err = file.Replace()
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// writeRunPage writes the page of a run that is over.
func (a *app) writeRunPage(c *cli.Context, j *job, outcomes []fleet.Outcome) error {
	d := report.PageData{Head: j.session.head, Kind: "Run", RunKind: j.kind, Selection: j.selection, Command: commandLine(c), Waves: waves(outcomes)}
	if j.run != nil {
		d.Run = j.run.ID
	}
	if j.revert != nil {
		d.Of = j.earlier.ID
	} else if j.run != nil {
		d.Undo = "rkepatch rollback" + runWords(c) + " " + j.run.ID
	}
	page, err := a.newPage(c, d)
	if page == nil {
		return err
	}
	for i, p := range j.plans {
		if err := page.Add(p, &outcomes[i]); err != nil {
			return page.finish(j.totals, err)
		}
	}
	return page.finish(j.totals, nil)
}

// waves gives the ids of the clusters wave by wave, as they had their turns.
func waves(outcomes []fleet.Outcome) [][]string {
	var out [][]string
	for _, o := range outcomes {
		for len(out) < o.Wave {
			out = append(out, nil)
		}
		if o.Wave > 0 {
			out[o.Wave-1] = append(out[o.Wave-1], o.ID)
		}
	}
	return out
}
