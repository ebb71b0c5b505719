package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fatih/color"

	"rkepatch/internal/fleet"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/nodes"
)

// verdicts say what a level means for a node, in one word.
var verdicts = map[kubelet.Level]struct {
	word  string
	color color.Attribute
}{kubelet.Note: {"ok", color.FgGreen}, kubelet.Caution: {"warn", color.FgYellow}, kubelet.Fatal: {"bad", color.FgRed}}

// Nodes writes what a look at the nodes of one cluster has shown: a line per
// node, then the findings, each once, with the nodes that it is about.
func (t Text) Nodes(c *fleet.ClusterNodes) {
	facts := []string{c.ID}
	if c.KubernetesVersion != "" {
		facts = append(facts, c.KubernetesVersion)
	}
	facts = append(facts, plural(len(c.Nodes), "node"))
	if c.ForVersion != "" {
		facts = append(facts, "judged up to "+c.ForVersion)
	}
	fmt.Fprintf(t.W, "%s  %s\n", t.paint(Clean(c.Name), color.Bold), t.paint(Clean(strings.Join(facts, ", ")), color.Faint))
	table := tabwriter.NewWriter(t.W, 0, 0, 2, ' ', 0)
	for _, n := range c.Nodes {
		v := verdicts[n.Worst()]
		// The word is padded, so that a colour does not count for the width.
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", t.paint(fmt.Sprintf("%-4s", v.word), v.color), Clean(n.Name), Clean(n.Version), Clean(nodeWords(n)))
	}
	_ = table.Flush()
	for _, f := range c.Findings {
		t.Finding(f)
	}
	fmt.Fprintln(t.W)
}

// Checked writes what the look at the nodes of a cluster that is to be changed
// has come to.
func (t Text) Checked(c fleet.Checked) {
	verdict := t.paint("its nodes are ready for the change", color.FgGreen)
	switch {
	case !c.Looked:
		verdict = "its nodes were not looked at: it cannot be read, is no longer to be changed, or the patch sets no provider"
	case c.Plan.Action == fleet.ActionBlocked:
		verdict = t.paint("blocked by what is on its nodes: this cluster is left alone", color.FgRed)
	}
	fmt.Fprintf(t.W, "%s  %s\n", t.paint(Clean(c.Plan.Name), color.Bold), verdict)
	for _, f := range c.Found {
		if f.Severity != fleet.Info {
			t.Finding(f)
		}
	}
}

// nodeWords say in a few words what was seen on a node.
func nodeWords(n nodes.NodeReport) string {
	var parts []string
	if p := n.Provider; p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.Binaries)) {
			b := p.Binaries[name]
			text := name + " " + string(b.State)
			if b.State == kubelet.PathRegular {
				text = name + " " + strings.Join(speaks(b), "+")
			}
			parts = append(parts, text)
		}
		if p.ConfigState != kubelet.PathRegular {
			parts = append(parts, "config "+string(p.ConfigState))
		}
	}
	if r := n.Running; r != nil && !r.Started.IsZero() {
		parts = append(parts, "kubelet since "+r.Started.UTC().Format(time.DateTime)+"Z")
	}
	if r := n.Rehearsal; r != nil {
		parts = append(parts, rehearsalWords(r))
	}
	return strings.Join(parts, ", ")
}

func speaks(b kubelet.Binary) []string {
	if len(b.Speaks) == 0 {
		return []string{"speaks nothing known"}
	}
	var out []string
	for _, api := range b.Speaks {
		out = append(out, string(api))
	}
	return out
}

// NodesJSON writes one JSON document of kind Nodes.
type NodesJSON struct {
	Head
	Clusters []clusterNodesJSON `json:"clusters"`
	ExitCode int                `json:"exitCode"`
}

type clusterNodesJSON struct {
	ID                string          `json:"id"`
	Name              string          `json:"name"`
	KubernetesVersion string          `json:"kubernetesVersion"`
	ForVersion        string          `json:"forVersion,omitempty"`
	Blocked           bool            `json:"blocked"`
	Nodes             []nodeJSON      `json:"nodes"`
	Findings          []fleet.Finding `json:"findings"`
}

type nodeJSON struct {
	Name      string             `json:"name"`
	Version   string             `json:"version"`
	OS        string             `json:"os"`
	Arch      string             `json:"arch"`
	Ready     bool               `json:"ready"`
	Verdict   string             `json:"verdict"` // ok, warn or bad
	Provider  *providerJSON      `json:"provider,omitempty"`
	Running   *runningJSON       `json:"running,omitempty"`
	Rehearsal *rehearsalJSON     `json:"rehearsal,omitempty"`
	Findings  []nodeFindingsJSON `json:"findings"`
}

type nodeFindingsJSON struct {
	Code    string `json:"code"`
	Verdict string `json:"verdict"`
	Message string `json:"message"`
	Todo    string `json:"todo"`
}

type providerJSON struct {
	ConfigPath  string                `json:"configPath"`
	ConfigState kubelet.PathState     `json:"configState"`
	BinDir      string                `json:"binDir"`
	BinDirState kubelet.PathState     `json:"binDirState"`
	Binaries    map[string]binaryJSON `json:"binaries"`
}

type binaryJSON struct {
	State      kubelet.PathState `json:"state"`
	Executable bool              `json:"executable"`
	Format     string            `json:"format"`
	Arch       string            `json:"arch,omitempty"`
	Speaks     []kubelet.API     `json:"speaks"`
	Owner      string            `json:"owner,omitempty"`
	Mode       string            `json:"mode,omitempty"`
}

type runningJSON struct {
	Flags        map[string]string `json:"flags"`
	Started      time.Time         `json:"started,omitzero"`
	PluginErrors *int64            `json:"pluginErrors,omitempty"`
}

// Add takes one cluster in.
func (d *NodesJSON) Add(c *fleet.ClusterNodes) {
	out := clusterNodesJSON{
		ID: c.ID, Name: c.Name, KubernetesVersion: c.KubernetesVersion, ForVersion: c.ForVersion,
		Blocked: c.Blocked(), Nodes: []nodeJSON{}, Findings: append([]fleet.Finding{}, c.Findings...),
	}
	for _, n := range c.Nodes {
		j := nodeJSON{Name: n.Name, Version: n.Version, OS: n.OS, Arch: n.Arch, Ready: n.Ready, Verdict: verdicts[n.Worst()].word, Findings: []nodeFindingsJSON{}}
		for _, f := range n.Findings {
			j.Findings = append(j.Findings, nodeFindingsJSON{f.Code, verdicts[f.Level].word, f.Message, f.Todo})
		}
		if p := n.Provider; p != nil {
			j.Provider = &providerJSON{p.ConfigPath, p.ConfigState, p.BinDir, p.BinDirState, map[string]binaryJSON{}}
			for name, b := range p.Binaries {
				j.Provider.Binaries[name] = binaryJSON{b.State, b.Executable, b.Format, b.Arch, append([]kubelet.API{}, b.Speaks...), b.Owner, b.Mode}
			}
		}
		if r := n.Running; r != nil {
			j.Running = &runningJSON{r.Flags, r.Started, r.PluginErrors}
		}
		if n.Rehearsal != nil {
			j.Rehearsal = newRehearsalJSON(n.Rehearsal)
		}
		out.Nodes = append(out.Nodes, j)
	}
	d.Clusters = append(d.Clusters, out)
}

// Write writes the document.
func (d *NodesJSON) Write(w io.Writer) error {
	d.APIVersion, d.Kind = APIVersion, "Nodes"
	if d.Clusters == nil {
		d.Clusters = []clusterNodesJSON{}
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func rehearsalWords(r *nodes.Rehearsal) string {
	took := r.Took.Round(10 * time.Millisecond).String()
	if !r.OK {
		return fmt.Sprintf("rehearsed: no credentials after %s", took)
	}
	return fmt.Sprintf("rehearsed: credentials for %s after %s, cached for %s", strings.Join(r.Registries, ", "), took, r.Cached)
}

type rehearsalJSON struct {
	Image      string   `json:"image"`
	Provider   string   `json:"provider"`
	OK         bool     `json:"ok"`
	ExitCode   int      `json:"exitCode"`
	TookMS     int64    `json:"tookMilliseconds"`
	API        string   `json:"api,omitempty"`
	KeyType    string   `json:"cacheKeyType,omitempty"`
	Cached     string   `json:"cached,omitempty"`
	Registries []string `json:"registries"`
	Others     int      `json:"otherRegistries,omitempty"`
}

func newRehearsalJSON(r *nodes.Rehearsal) *rehearsalJSON {
	return &rehearsalJSON{r.Image, r.Provider, r.OK, r.ExitCode, r.Took.Milliseconds(), r.API, r.KeyType, r.Cached, append([]string{}, r.Registries...), r.Others}
}
