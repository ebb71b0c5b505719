package nodes

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rkepatch/internal/kubelet"
)

// What others have in a config stays on its node: the check sees it masked, the
// place of the new entry is worked out for what was seen, and the script on the
// node compares the masked form before it inserts.

//go:embed scripts/keyless.sh
var keylessSh string

// maskedView is a shell program that prints the config $1 as the check shows it.
var maskedView = keylessSh + "awk -v mode=mask '" + strings.ReplaceAll(configAwk, "'", `'\''`) + `' <"$1" | tail -n +2 | keyless`

// The codes of what can come of a merge.
const (
	merged          = "provider-merged"
	mergeImpossible = "merge-impossible"
)

var mergeCatalogue = []Finding{
	{merged, kubelet.Caution, "the provider was added to the config that was there; a kubelet reads its config only when it starts, and nothing restarts it, because its arguments stay",
		"restart the kubelets one node at a time (`docker restart kubelet` on the node), or let the next upgrade of Kubernetes do it; then rkepatch verify"},
	{mergeImpossible, kubelet.Fatal, "the provider cannot be added safely to the config that is on the node, which was left as it is",
		"add the entry by hand, or give `rkepatch nodes script --existing-config` a copy of the file"},
}

// merging says whether the node has a config to which the provider is to be added,
// with the flags for the script that does it, and whether that adds an entry, or why it
// cannot be.
func (q InstallQuery) merging(r NodeReport) (flags []string, adds bool, f *Finding) {
	impossible := func(format string, args ...any) ([]string, bool, *Finding) {
		f := finding(mergeImpossible, format, args...)
		return nil, false, &f
	}
	p := r.Provider
	if !q.Merge {
		return nil, false, nil
	}
	switch p.ConfigState {
	case kubelet.PathRegular:
	case kubelet.PathMissing, kubelet.PathDangling:
		if q.Others {
			return impossible("the node has no %s, but other nodes have other providers in theirs", q.ConfigPath)
		}
		return nil, false, nil
	case kubelet.PathDirectory:
		return impossible("%s is a directory, not one file", q.ConfigPath)
	default:
		return impossible("%s cannot be read", q.ConfigPath)
	}
	if p.Config == nil {
		return impossible("%s cannot be read from here without showing what may be a secret", q.ConfigPath)
	}
	m, err := kubelet.MergeConfig(p.Config, q.Registry, q.ProviderAPI, q.Replace)
	if err != nil {
		return impossible("%s: %s", q.ConfigPath, err)
	}
	if why := q.refuses(r, m.Config); why != "" {
		return impossible("%s", why)
	}
	sum := sha256.Sum256(p.Config)
	return []string{
		"--merge-sum", hex.EncodeToString(sum[:]), "--merge-line", fmt.Sprint(m.Edit.Line), "--merge-drop", fmt.Sprint(m.Edit.Drop),
		"--merge-tail", m.Edit.Tail, "--merge-text", m.Edit.Text, "--merge-view", maskedView,
	}, !m.Edit.IsZero(), nil
}

// refuses says why the node's kubelet, or a later one that counts, would not start
// with a merged config, the new binary being there; "" if they all would.
func (q InstallQuery) refuses(r NodeReport, config []byte) string {
	own, err := kubelet.ParseVersion(r.Version)
	if err != nil {
		return fmt.Sprintf("the node says its kubelet has version %q", r.Version)
	}
	p := *r.Provider
	p.Config, p.BinDirState = config, kubelet.PathDirectory
	p.Binaries = maps.Clone(p.Binaries)
	delete(p.Binaries, q.Registry.Provider) // what is not known counts as right
	for _, v := range judgeable(own, q.ForVersion) {
		if refusal := kubelet.Start(v, p); refusal != nil {
			return fmt.Sprintf("a %s kubelet would exit with %d with the merged config: %s", v, refusal.ExitCode, oneLine(refusal.Reason))
		}
	}
	return ""
}

// hasOthers says that a node's config names providers of other registries.
func (q InstallQuery) hasOthers(reports []NodeReport) bool {
	return slices.ContainsFunc(reports, func(r NodeReport) bool {
		return r.Provider != nil && slices.ContainsFunc(kubelet.ProviderNames(r.Provider.Config), func(name string) bool { return name != q.Registry.Provider })
	})
}
