package cli

import (
	"embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed completion
var completionScripts embed.FS

// shells are those that completion writes a script for, with the script's file.
var shells = map[string]string{"bash": "bash.sh", "zsh": "zsh.sh", "fish": "fish.fish", "powershell": "powershell.ps1"}

func (a *app) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "a script that makes the Tab key complete commands, flags, clusters and runs",
		ArgsUsage: "SHELL",
		Description: "SHELL is bash, zsh, fish or powershell. Names of clusters are asked of Rancher, which has a second and a half to\n" +
			"answer; without a token, or when it does not, there are none. Completion asks nothing and writes nothing.\n\n" +
			"In ~/.bashrc: source <(rkepatch completion bash). In ~/.zshrc, after compinit: source <(rkepatch completion zsh).\n" +
			"In PowerShell's $PROFILE: rkepatch completion powershell | Out-String | Invoke-Expression.\n\n" +
			"Examples:\n" +
			"  rkepatch completion fish >~/.config/fish/completions/rkepatch.fish\n" +
			"  rkepatch completion zsh >_rkepatch                                   in a folder of $fpath",
		Action: a.completion,
	}
}

func (a *app) completion(c *cli.Context) error {
	file, ok := shells[c.Args().First()]
	if c.NArg() != 1 || !ok {
		return usagef("rkepatch completion bash; one of "+strings.Join(slices.Sorted(maps.Keys(shells)), ", "), "completion takes the name of a shell")
	}
	script, err := completionScripts.ReadFile("completion/" + file)
	if err != nil {
		return err
	}
	_, err = a.streams.Out.Write(script)
	return err
}

// completeCommand is what the scripts of completion call:
//
//	rkepatch __complete SHELL =CURRENT WORD...   the words before the current one
//	rkepatch __complete bash =CURRENT LINE       the line up to the cursor
//
// CURRENT is what the shell will replace. Each line that it answers with is a
// word, a tab, and what it is. ":files" stands for the names of files, and
// ":nospace" says that a word is not whole yet.
func (a *app) completeCommand() *cli.Command {
	return &cli.Command{Name: completeName, Hidden: true, HideHelp: true, SkipFlagParsing: true, Action: a.complete}
}

const completeName = "__complete"

func (a *app) complete(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) < 2 || !strings.HasPrefix(args[1], "=") {
		return nil
	}
	// What is wrong here is of no interest to somebody who is still typing.
	a.streams.Err = io.Discard
	current, words := args[1][1:], args[2:]
	replaced := current
	if args[0] == "bash" {
		if len(words) != 1 {
			return nil
		}
		words = splitLine(words[0])
		if len(words) < 2 {
			return nil
		}
		words, current = words[1:len(words)-1], words[len(words)-1]
	}
	found := a.suggest(c, words, current)
	if found.files {
		fmt.Fprintln(a.streams.Out, ":files\t")
	}
	if found.partial {
		fmt.Fprintln(a.streams.Out, ":nospace\t")
	}
	for _, s := range found.words {
		// bash replaces only what comes after the last = or : of the word.
		fmt.Fprintf(a.streams.Out, "%s\t%s\n", strings.TrimPrefix(s.word, strings.TrimSuffix(current, replaced)), s.about)
	}
	return nil
}

// splitLine splits a command line into words as a shell does, at blanks outside
// of quotes, and takes the quotes off. The last word is the one that is being
// typed, "" behind a blank.
func splitLine(line string) []string {
	var words []string
	var word strings.Builder
	inWord := false
	quote := rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	return append(words, word.String())
}
