package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/clusterfile"
	"rkepatch/internal/fleet"
	"rkepatch/internal/report"
	"rkepatch/internal/wholefile"
)

const (
	flagInPlace = "in-place"
	flagCheck   = "check"
	flagHCL     = "hcl"
)

func (a *app) fileCommand() *cli.Command {
	return &cli.Command{
		Name:      "file",
		Usage:     "the same patch on a cluster.yml or on YAML from the Rancher UI, comments kept",
		ArgsUsage: "FILE",
		Description: "Patches a cluster.yml of the rke command, YAML from the Rancher UI's \"Edit as YAML\" or from exportYaml; which of\n" +
			"them it is, is seen by looking at it. The patched file goes to stdout, findings and diff to stderr. Only the lines\n" +
			"of the patch change. It talks to no Rancher. FILE - is stdin.\n\n" +
			"Examples:\n" +
			"  rkepatch file --check cluster.yml       what would change; exit code 2 when anything would\n" +
			"  rkepatch file --in-place cluster.yml\n" +
			"  rkepatch file -o new.yml cluster.yml\n" +
			"  rkepatch file --hcl cluster.yml         what a Terraform rancher2_cluster needs besides",
		Flags: concat([]cli.Flag{
			&cli.StringFlag{Name: flagOut, Aliases: []string{"o"}, Usage: "write the patched file to `OUT` instead of stdout"},
			&cli.BoolFlag{Name: flagInPlace, Usage: "put the patched file in the place of FILE"},
			&cli.BoolFlag{Name: flagCheck, Usage: "write no file; exit with 2 when there are changes"},
			&cli.BoolFlag{Name: flagHCL, Usage: "print what to add to a Terraform rancher2_cluster instead of the file"},
		}, patchFlags()),
		Action: a.file,
	}
}

func (a *app) file(c *cli.Context) error {
	name, err := fileArguments(c)
	if err != nil {
		return err
	}
	planner, err := a.planner(c, nil)
	if err != nil {
		return err
	}
	target := ""
	if c.Bool(flagInPlace) {
		if target, err = inPlaceTarget(name); err != nil {
			return err
		}
	}
	src, err := a.readConfig(name)
	if err != nil {
		return err
	}
	f, err := clusterfile.Read(src)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	result, err := f.Patch(planner.Patch, clusterfile.Options{ReplaceArgs: planner.ReplaceArgs, API: planner.API, Provider: planner.Provider})
	if err != nil {
		return fmt.Errorf("patching %s: %w", name, err)
	}
	result.Add(fleet.DocumentFindings(result.Document))
	a.sayResult(name, f, result)
	switch {
	case result.Blocked():
		return exitError(ExitBlocked)
	case c.Bool(flagCheck) && result.Changed():
		return exitError(ExitChanges)
	case c.Bool(flagCheck):
		return nil
	case c.Bool(flagHCL):
		_, err = fmt.Fprint(a.streams.Out, clusterfile.HCLHead, clusterfile.HCL(f.Cluster, result.Document))
	case target != "" && result.Changed():
		err = a.replaceFile(target, src, result.Text)
	case target != "":
	case c.String(flagOut) != "":
		if err = wholefile.Write(c.String(flagOut), result.Text, modeOf(c.String(flagOut))); err != nil {
			err = fmt.Errorf("writing the patched file: %w", err)
		}
	default:
		_, err = a.streams.Out.Write(result.Text)
	}
	return err
}

// modeOf gives the permissions of a file that is to be replaced; a new one is for
// its owner only, as configs hold passwords.
func modeOf(name string) fs.FileMode {
	if info, err := os.Stat(name); err == nil {
		return info.Mode().Perm()
	}
	return 0o600
}

// fileArguments gives FILE and refuses what contradicts itself.
func fileArguments(c *cli.Context) (string, error) {
	if c.NArg() != 1 || c.Args().First() == "" {
		return "", usagef("rkepatch file [flags] FILE; - is stdin", "file takes one FILE, got %d", c.NArg())
	}
	name, out := c.Args().First(), c.String(flagOut)
	given := 0
	for _, flag := range []string{flagOut, flagInPlace, flagCheck, flagHCL} {
		if c.IsSet(flag) {
			given++
		}
	}
	switch {
	case given > 1:
		return "", usagef("leave all but one of them out", "only one of --%s, --%s, --%s and --%s can be given", flagOut, flagInPlace, flagCheck, flagHCL)
	case name == "-" && c.Bool(flagInPlace):
		return "", usagef("leave it out: the patched file goes to stdout", "--%s needs a FILE, not stdin", flagInPlace)
	case name == "-" && c.String(flagPatch) == "-":
		return "", usagef("put one of them into a file", "both FILE and --%s are stdin", flagPatch)
	case c.IsSet(flagOut) && out == "":
		return "", usagef("name a file", "--%s is empty", flagOut)
	case out == "":
		return name, nil
	}
	if err := checkTarget(flagOut, out); err != nil {
		return "", err
	}
	in, errIn := os.Stat(name)
	there, errOut := os.Stat(out)
	if errIn == nil && errOut == nil && os.SameFile(in, there) {
		return "", usagef("use --"+flagInPlace, "--%s %s is FILE itself", flagOut, out)
	}
	return name, nil
}

func (a *app) readConfig(name string) ([]byte, error) {
	in := a.streams.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("name a cluster.yml, or YAML from the Rancher UI", "reading the file: %s", err)
		}
		defer f.Close()
		in = f
	}
	src, err := readAtMost(in, clusterfile.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return src, nil
}

// sayResult tells what was found and what changes, on stderr.
func (a *app) sayResult(name string, f *clusterfile.File, r clusterfile.Result) {
	w := a.streams.Err
	what := string(f.Format)
	if f.Cluster != "" {
		what += ", cluster " + f.Cluster
	}
	if v := r.Document.KubernetesVersion(); v != "" {
		what += ", " + v
	}
	fmt.Fprintf(w, "%s  %s\n", report.Clean(name), report.Clean(what))
	switch {
	case r.Blocked():
		fmt.Fprintln(w, "  blocked: this file is left alone")
	case !r.Changed():
		fmt.Fprintln(w, "  nothing to do: already as wanted")
	}
	text := a.text(w)
	for _, finding := range r.Findings {
		text.Finding(finding)
	}
	text.Diff(r.Diff)
}

// inPlaceTarget gives the file that --in-place replaces: what a symbolic link
// leads to, so that the link stays one.
func inPlaceTarget(name string) (string, error) {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", usagef("name a cluster.yml, or YAML from the Rancher UI", "reading the file: %s", err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", usagef("name a cluster.yml, or YAML from the Rancher UI", "reading the file: %s", err)
	}
	if !info.Mode().IsRegular() {
		return "", usagef("name a file", "--%s %s: that is not a regular file", flagInPlace, name)
	}
	if n := hardLinks(target, info); n > 1 {
		return "", usagef("use -o with another name, or remove the hard links first", "--%s %s: the file has %d names (hard links), and only this one would get the patched file", flagInPlace, name, n)
	}
	return target, nil
}

// replaceFile puts text in the place of a file that held old: at once or not at
// all, with the mode, and as far as the system allows the owner, that it has.
func (a *app) replaceFile(target string, old, text []byte) error {
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("writing the patched file: %w", err)
	}
	f, err := wholefile.Create(target, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("writing the patched file: %w", err)
	}
	defer f.Abort()
	lost, err := keepOwner(f.File, info)
	if err != nil {
		return fmt.Errorf("keeping the owner of %s: %w", target, err)
	}
	if lost != "" {
		a.warn(fmt.Sprintf("%s belonged to %s; the patched file is yours", target, lost))
	}
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("writing the patched file: %w", err)
	}
	now, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(now, old) {
		return fmt.Errorf("%s was changed while it was being patched; nothing was written, run it again", target)
	}
	if err := f.Replace(); err != nil {
		return fmt.Errorf("writing the patched file: %w", err)
	}
	return nil
}
