package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/newnodes"
)

// rancherFlags are those that another command needs to reach the same Rancher.
// The token is none of them: it is not written down anywhere.
var rancherFlags = []string{flagURL, flagServer, flagCAFile, flagInsecure}

// given gives the flags that were given, with their values. A path is made
// absolute: what is made of it may be typed in another directory.
func given(c *cli.Context, names ...string) map[string]string {
	flags := map[string]string{}
	for _, name := range names {
		if !c.IsSet(name) {
			continue
		}
		value := fmt.Sprint(c.Value(name))
		switch name {
		case flagStateDir, flagCAFile, flagPatch:
			if abs, err := filepath.Abs(value); err == nil && value != "-" {
				value = abs
			}
		}
		flags[name] = value
	}
	return flags
}

// words writes those of the named flags that are among flags as they are typed,
// each with a space before it.
func words(flags map[string]string, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		switch value, ok := flags[name]; {
		case !ok:
		case (name == flagInsecure || name == flagMerge) && value == "true":
			b.WriteString(" --" + name)
		case name == flagInsecure, name == flagMerge:
		default:
			b.WriteString(" --" + name + " " + shellWord(value))
		}
	}
	return b.String()
}

// runWords are the flags with which a later command finds the run again.
func runWords(c *cli.Context) string {
	names := append(slices.Clone(rancherFlags), flagStateDir)
	return words(given(c, names...), names...)
}

// planWords are the flags with which plan and clusters judge by what p plans.
func planWords(c *cli.Context, p *fleet.Planner) string {
	flags := given(c, append(slices.Clone(rancherFlags), flagPatch)...)
	binDir, config := p.Patch.Args[kubelet.FlagProviderBinDir], p.Patch.Args[kubelet.FlagProviderConfig]
	provider := fleet.ProviderPatch(binDir, config)
	switch {
	case flags[flagPatch] != "":
	case !maps.Equal(p.Patch.Args, provider.Args) || !slices.Equal(p.Patch.Binds, provider.Binds):
		flags[flagPatch] = "FILE" // the snippet of a plan file lies nobody knows where
	default:
		registry, ok := kubelet.RegistryByKind(p.Provider)
		if !ok {
			registry, _ = kubelet.RegistryByKind(kubelet.ECR)
		}
		if binDir != registry.BinDir {
			flags[flagBinDir] = binDir
		}
		if config != registry.Config {
			flags[flagProviderConfig] = config
		}
	}
	if p.Provider != "" && p.Provider != kubelet.ECR {
		flags[flagProvider] = string(p.Provider)
	}
	if p.MergeConfig {
		flags[flagMerge] = "true"
	}
	if p.API != kubelet.APIv1 {
		flags[flagProviderAPI] = string(p.API)
	}
	text := words(flags, append(slices.Clone(rancherFlags), flagProvider, flagPatch, flagBinDir, flagProviderConfig, flagProviderAPI, flagMerge)...)
	for _, name := range p.ReplaceArgs {
		text += words(map[string]string{flagReplaceArg: name}, flagReplaceArg)
	}
	return text
}

// commandLine is the call without what may be secret.
func commandLine(c *cli.Context) string {
	parts := []string{"rkepatch", c.Command.Name}
	for _, name := range c.LocalFlagNames() {
		if name == flagToken || name == flagURL || len(name) == 1 { // a short name stands for a long one
			continue
		}
		switch value := c.Value(name).(type) {
		case bool:
			if value {
				parts = append(parts, "--"+name)
			}
		case cli.StringSlice:
			for _, v := range value.Value() {
				parts = append(parts, "--"+name, shellWord(v))
			}
		case string:
			if name == flagSetURL {
				value = newnodes.ShownURL(value)
			}
			if value != "" || name != flagResume { // --resume auto, when there was nothing to resume
				parts = append(parts, "--"+name, shellWord(value))
			}
		default:
			parts = append(parts, "--"+name, shellWord(fmt.Sprint(value)))
		}
	}
	for _, name := range c.Args().Slice() {
		parts = append(parts, shellWord(name))
	}
	return strings.Join(parts, " ")
}

// shellWord writes s so that a POSIX shell takes it for one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./-_", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
