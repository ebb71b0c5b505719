package cli

import (
	"context"
	"flag"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodescript"
	"rkepatch/internal/report"
	"rkepatch/rancher"
)

// suggestion is a word that may stand where the cursor is.
type suggestion struct{ word, about string }

// suggestions are what may stand where the cursor is.
type suggestions struct {
	words   []suggestion
	files   bool // the name of a file may stand there
	partial bool // a word is not whole yet: more of it is to be typed
}

// safeWord fits the words that are suggested: names come from a server, and what
// a shell could take for more than a word never reaches it.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9-][A-Za-z0-9._:=,/%-]*$`)

// safeName fits the names of clusters, servers and runs that are suggested. One
// that begins with a dash would be taken for a flag.
var safeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

// flagValues are the values of flags that take one of a few.
var flagValues = map[string][]string{
	flagOutput:      {"text", "json"},
	flagProviderAPI: {string(kubelet.APIv1), string(kubelet.APIv1alpha1)},
	flagOrder:       {"given", "name", "label:"},
	flagPause:       {"ask"},
	flagRelease:     releaseTags(),
	"provider":      {"ecr", "acr", "gcp"},
}

func releaseTags() []string {
	var tags []string
	for _, r := range nodescript.Releases {
		tags = append(tags, r.Tag)
	}
	return tags
}

// onNodes are flags whose file or directory lies on the nodes, not here.
var onNodes = []string{flagBinDir, flagProviderConfig, flagFromImagePath}

// typed is a command line as far as it was typed.
type typed struct {
	command *cli.Command
	flags   map[string]string // by the first name of each
	names   []string
	pending cli.Flag // waits for its value
	current string
}

// suggest says what may stand at the end of a command line: words are those
// before the cursor, current is what was typed of the last one.
func (a *app) suggest(c *cli.Context, words []string, current string) suggestions {
	t := typed{command: &cli.Command{Subcommands: c.App.Commands, Flags: c.App.Flags}, flags: map[string]string{}, current: current}
	for _, word := range words {
		t.take(word)
	}
	var out suggestions
	switch {
	case t.command == nil:
	case t.pending != nil:
		out = a.flagSuggestions(c, &t, t.pending)
	case strings.HasPrefix(current, "-") && strings.Contains(current, "=") && len(t.names) == 0:
		name, value, _ := strings.Cut(current, "=")
		if f := t.flag(name); f != nil {
			t.current = value
			out = a.flagSuggestions(c, &t, f)
			for i := range out.words {
				out.words[i].word = name + "=" + out.words[i].word
			}
		}
	case strings.HasPrefix(current, "-") && len(t.names) == 0:
		out.words = t.flagNames()
	case strings.HasPrefix(current, "-"): // behind a name a flag would be refused
	case len(t.command.Subcommands) > 0:
		for _, sub := range t.command.Subcommands {
			if !sub.Hidden {
				out.words = append(out.words, suggestion{sub.Name, sub.Usage})
			}
		}
	default:
		out = a.nameSuggestions(c, &t)
	}
	out.words = slices.DeleteFunc(out.words, func(s suggestion) bool {
		return !strings.HasPrefix(s.word, current) || !safeWord.MatchString(s.word)
	})
	out.partial = len(out.words) == 1 && strings.HasSuffix(out.words[0].word, ":")
	return out
}

// take reads a word that stands before the cursor.
func (t *typed) take(word string) {
	switch {
	case t.command == nil:
	case t.pending != nil:
		t.flags[t.pending.Names()[0]] = word
		t.pending = nil
	case len(word) > 1 && word[0] == '-' && len(t.names) == 0:
		name, value, with := strings.Cut(word, "=")
		f := t.flag(name)
		switch doc, ok := f.(cli.DocGenerationFlag); {
		case f == nil:
		case with:
			t.flags[f.Names()[0]] = value
		case ok && doc.TakesValue():
			t.pending = f
		default:
			t.flags[f.Names()[0]] = "true"
		}
	case len(t.command.Subcommands) > 0:
		i := slices.IndexFunc(t.command.Subcommands, func(sub *cli.Command) bool { return sub.HasName(word) })
		if i < 0 {
			t.command = nil // nothing is known of what follows
			return
		}
		t.command = t.command.Subcommands[i]
	default:
		t.names = append(t.names, word)
	}
}

// flag gives the command's flag that is typed as name, with its dashes.
func (t *typed) flag(name string) cli.Flag {
	name = strings.TrimLeft(name, "-")
	for _, f := range t.command.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func (t *typed) flagNames() []suggestion {
	out := []suggestion{{"--help", "show help"}}
	for _, f := range t.command.Flags {
		about := ""
		if doc, ok := f.(cli.DocGenerationFlag); ok {
			_, about = placeholder(doc.GetUsage())
		}
		if v, ok := f.(cli.VisibleFlag); !ok || v.IsVisible() {
			out = append(out, suggestion{"--" + f.Names()[0], about})
		}
	}
	return out
}

// placeholder gives what stands for a flag's value in its usage, between
// backquotes, and the usage without them.
func placeholder(usage string) (value, plain string) {
	parts := strings.SplitN(usage, "`", 3)
	if len(parts) < 3 {
		return "", usage
	}
	return parts[1], strings.Join(parts, "")
}

// flagSuggestions gives the values of a flag.
func (a *app) flagSuggestions(c *cli.Context, t *typed, f cli.Flag) suggestions {
	name := f.Names()[0]
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return suggestions{}
	}
	value, _ := placeholder(doc.GetUsage())
	switch {
	case flagValues[name] != nil:
		return named(flagValues[name], "")
	case name == flagExclude:
		return named(a.clusterNames(c, t), "cluster")
	case name == flagServer:
		return named(a.serverNames(), "server of the Rancher CLI")
	case name == flagResume:
		out := a.runIDs(t, func(r *fleet.Record) bool { return r.Head.Kind == kindApply })
		out.words = append(out.words, suggestion{resumeAuto, "the run of --plan, or begin it"})
		return out
	case slices.Contains(onNodes, name):
		return suggestions{}
	}
	return suggestions{files: slices.Contains([]string{"FILE", "DIR", "OUT"}, value)}
}

// nameSuggestions gives what a command takes besides flags; its ArgsUsage says
// what that is.
func (a *app) nameSuggestions(c *cli.Context, t *typed) suggestions {
	first := len(t.names) == 0
	switch usage := t.command.ArgsUsage; {
	case usage == "SHELL" && first:
		return named(slices.Sorted(maps.Keys(shells)), "")
	case usage == "FILE":
		return suggestions{files: first}
	case strings.HasPrefix(usage, "[show RUN]") && first:
		return named([]string{"show"}, "print one run")
	case strings.HasPrefix(usage, "[show RUN]") && len(t.names) == 1:
		return a.runIDs(t, func(*fleet.Record) bool { return true })
	case strings.HasPrefix(usage, "RUN") && first:
		return a.runIDs(t, func(r *fleet.Record) bool { return r.Head.Kind == kindApply })
	case strings.HasPrefix(usage, "RUN [NAME"):
		return a.clustersOfRun(t)
	case strings.HasPrefix(usage, "[NAME"):
		return named(a.clusterNames(c, t), "cluster")
	}
	return suggestions{}
}

func named(words []string, about string) (out suggestions) {
	for _, word := range words {
		out.words = append(out.words, suggestion{word, about})
	}
	return out
}

// runIDs gives the runs of the state directory, newest first.
func (a *app) runIDs(t *typed, fits func(*fleet.Record) bool) (out suggestions) {
	dir, err := a.typedStateDir(t)
	if err != nil {
		return out
	}
	records, err := fleet.Runs(dir, func(string) {})
	if err != nil {
		return out
	}
	for _, r := range records {
		if fits(r) && safeName.MatchString(r.ID) {
			out.words = append(out.words, suggestion{r.ID, r.Head.Kind + ", " + report.Clean(r.Count())})
		}
	}
	return out
}

func (a *app) typedStateDir(t *typed) (string, error) {
	if dir := t.flags[flagStateDir]; dir != "" {
		return dir, nil
	}
	return fleet.StateDir(a.streams.Getenv)
}

// clustersOfRun gives the clusters that a run changed.
func (a *app) clustersOfRun(t *typed) suggestions {
	dir, err := a.typedStateDir(t)
	if err != nil {
		return suggestions{}
	}
	record, err := fleet.LoadRun(dir, t.names[0])
	if err != nil {
		return suggestions{}
	}
	ids, err := record.Changed(nil)
	if err != nil {
		return suggestions{}
	}
	var names []string
	for _, id := range ids {
		if name := record.Clusters[id].Name; safeName.MatchString(name) && !slices.Contains(t.names[1:], name) {
			names = append(names, name)
		}
	}
	return named(names, "cluster")
}

func (a *app) serverNames() []string {
	file, err := a.cliConfigFile()
	if err != nil {
		return nil
	}
	config, err := rancher.ReadCLIConfig(file)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(config.Names(), func(name string) bool { return !safeName.MatchString(name) })
}

// answerTime is how long Rancher has for the names of its clusters. Those that it
// has told by then are suggested.
const answerTime = 1500 * time.Millisecond

// clusterNames asks Rancher for the names of RKE1 clusters, by the flags that
// were typed, the environment or the Rancher CLI's file.
func (a *app) clusterNames(c *cli.Context, t *typed) (names []string) {
	set := flag.NewFlagSet("typed", flag.ContinueOnError)
	for _, f := range t.command.Flags {
		// Not the log: nothing is written by looking.
		if name := f.Names()[0]; slices.Contains(append(slices.Clone(rancherFlags), flagToken), name) {
			if f.Apply(set) != nil {
				return nil
			}
			if value, ok := t.flags[name]; ok && set.Set(name, value) != nil {
				return nil
			}
		}
	}
	flags := cli.NewContext(c.App, set, c)
	flags.Command = t.command
	client, err := a.connect(flags)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, answerTime)
	defer cancel()
	for cl, err := range client.Clusters(ctx, rancher.ClusterQuery{}) {
		if err != nil {
			break
		}
		if safeName.MatchString(cl.Name) && !slices.Contains(t.names, cl.Name) {
			names = append(names, cl.Name)
		}
	}
	return names
}
