package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rkepatch/internal/kubelet"
	"rkepatch/internal/newnodes"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// What is said about nodes that do not exist yet. The first two block with
// Planner.Strict.
var (
	unpreparedFinding = Finding{Code: "new-nodes-unprepared", Severity: Warn,
		Message: "nothing puts the provider on the nodes that a node pool makes: the kubelet of a new one would not start",
		Todo:    "prepare the node template (rkepatch nodes templates) or put the provider into the machines' image; --strict blocks here"}
	newUnknownFinding = Finding{Code: "new-nodes-unknown", Severity: Warn,
		Message: "whether new nodes come up with the provider is not known",
		Todo:    "look at rkepatch nodes templates; when in doubt put the provider into the machines' image; --strict blocks here"}
	customFinding = Finding{Code: "new-nodes-custom", Severity: Info,
		Message: "no node pools: each new node needs the provider before it is registered",
		Todo:    "put ecr-credential-provider and its config into the machines' image: rkepatch nodes script"}
)

// newNodes is how new nodes of all clusters are made. It is read once and then
// only looked at, but for the verdicts.
type newNodes struct {
	pools           map[string][]*rancher.NodePool // by cluster id
	templates       map[string]*rancher.NodeTemplate
	poolsUnseen     string // why the pools are not known
	templatesUnseen string
	installURL      string            // Rancher's setting, for templates without one
	scripts         map[string]script // by URL; empty where they are not read

	mu       sync.Mutex
	verdicts map[verdictKey]newnodes.Verdict
}

// script is what was read from a Docker install URL.
type script struct {
	text []byte
	err  error
}

type verdictKey struct {
	template string
	version  kubelet.Version
}

// unseen reports whether an error only says that the token may not look.
func unseen(err error) bool {
	return errors.Is(err, rancher.ErrForbidden) || errors.Is(err, rancher.ErrNotFound) || errors.Is(err, rancher.ErrUnauthorized)
}

// seeNewNodes reads the node pools and, when there are any, the node templates.
func (p *Planner) seeNewNodes(ctx context.Context) error {
	p.newNodes = nil
	if !setsProvider(p.Patch) {
		return nil
	}
	n := &newNodes{
		pools: map[string][]*rancher.NodePool{}, templates: map[string]*rancher.NodeTemplate{},
		scripts: map[string]script{}, verdicts: map[verdictKey]newnodes.Verdict{},
	}
	p.newNodes = n
	used := map[string]bool{}
	for pool, err := range p.Rancher.NodePools(ctx) {
		if unseen(err) {
			n.poolsUnseen = "Rancher refuses to list node pools to this token"
			return nil
		}
		if err != nil {
			return err
		}
		n.pools[pool.ClusterID] = append(n.pools[pool.ClusterID], pool)
		used[pool.NodeTemplateID] = true
	}
	if len(used) == 0 {
		return nil
	}
	return n.seeTemplates(ctx, p, used)
}

func (n *newNodes) seeTemplates(ctx context.Context, p *Planner, used map[string]bool) error {
	setting := false
	for t, err := range p.Rancher.NodeTemplates(ctx) {
		if unseen(err) {
			n.templatesUnseen = "Rancher refuses to list node templates to this token"
			return nil
		}
		if err != nil {
			return err
		}
		if !used[t.ID] {
			continue
		}
		if !t.HasConfig && t.Problem == "" {
			// A list may lack what a driver adds to the object.
			whole, err := p.Rancher.NodeTemplate(ctx, t.ID)
			switch {
			case err == nil:
				t = whole
			case !unseen(err) && !errors.Is(err, rancher.ErrBadAnswer):
				return err
			}
		}
		n.templates[t.ID] = t
		setting = setting || t.DockerInstallURL == ""
	}
	if setting {
		var err error
		if n.installURL, err = p.Rancher.Setting(ctx, "engine-install-url"); err != nil && !unseen(err) {
			return err
		}
	}
	return n.readScripts(ctx, p.ReadScript)
}

// readScripts reads each Docker install URL that is in use, once, when there is
// something to read with.
func (n *newNodes) readScripts(ctx context.Context, read func(context.Context, string) ([]byte, error)) error {
	if read == nil {
		return nil
	}
	for _, t := range n.templates {
		address := n.urlOf(t)
		if _, done := n.scripts[address]; done || address == "" || address == "none" {
			continue
		}
		text, err := read(ctx, address)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n.scripts[address] = script{text, err}
	}
	return nil
}

func (n *newNodes) urlOf(t *rancher.NodeTemplate) string {
	return orElse(t.DockerInstallURL, n.installURL)
}

// judge gives the verdict on a template for clusters of a version. It may be
// called by several goroutines.
func (p *Planner) judgeTemplate(id string, version kubelet.Version) newnodes.Verdict {
	n := p.newNodes
	t := n.templates[id]
	switch {
	case n.templatesUnseen != "":
		return newnodes.Verdict{State: newnodes.Unknown, Reason: n.templatesUnseen}
	case t == nil:
		return newnodes.Verdict{State: newnodes.Unknown, Reason: "Rancher does not show the template to this token, or it is gone"}
	case t.Problem != "":
		return newnodes.Verdict{State: newnodes.Unknown, Reason: t.Problem}
	case !t.HasConfig:
		return newnodes.Verdict{State: newnodes.Unknown, Reason: "Rancher does not show the config of its driver"}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := verdictKey{id, version}
	v, known := n.verdicts[key]
	if !known {
		s := n.scripts[n.urlOf(t)]
		v = newnodes.Judge(newnodes.Template{UserData: t.UserData, DockerInstallURL: n.urlOf(t), Script: s.text, ReadError: s.err},
			newnodes.Want{BinDir: p.Patch.Args[kubelet.FlagProviderBinDir], ConfigFile: p.Patch.Args[kubelet.FlagProviderConfig], Version: version})
		n.verdicts[key] = v
	}
	return v
}

// newNodeFindings says what is known of nodes that join s's cluster later.
func (p *Planner) newNodeFindings(s *subject) []Finding {
	n := p.newNodes
	if n == nil {
		return nil
	}
	if n.poolsUnseen != "" {
		return []Finding{p.strictly(newUnknownFinding, "whether node pools make its nodes is not known: "+n.poolsUnseen)}
	}
	var out []Finding
	if scaler := autoscalerIn(s.doc); scaler != "" {
		out = append(out, p.strictly(newUnknownFinding, scaler+": what its nodes are made from cannot be seen from here"))
	}
	pools := n.pools[s.cluster.ID]
	if len(pools) == 0 && len(out) == 0 {
		return []Finding{customFinding}
	}
	for _, f := range []struct {
		finding Finding
		state   newnodes.State
		says    string
	}{
		{unpreparedFinding, newnodes.Unprepared, "a new node would not start its kubelet"},
		{newUnknownFinding, newnodes.Unknown, "whether a new node would start its kubelet is not known"},
	} {
		if why := p.poolsThat(pools, f.state, s.version); len(why) > 0 {
			out = append(out, p.strictly(f.finding, f.says+": "+joinFew(why)))
		}
	}
	return out
}

// poolsThat describes the templates with that verdict, and their pools.
func (p *Planner) poolsThat(pools []*rancher.NodePool, state newnodes.State, version kubelet.Version) []string {
	byTemplate := map[string][]string{}
	var order []string
	for _, pool := range pools {
		id := pool.NodeTemplateID
		v := p.judgeTemplate(id, version)
		if pool.Problem != "" {
			id, v = pool.ID, newnodes.Verdict{State: newnodes.Unknown, Reason: pool.Problem}
		}
		if v.State != state {
			continue
		}
		text := "template " + p.newNodes.nameOf(id) + ": " + v.Reason
		if byTemplate[text] == nil {
			order = append(order, text)
		}
		byTemplate[text] = append(byTemplate[text], orElse(pool.HostnamePrefix, pool.ID))
	}
	slices.Sort(order)
	var out []string
	for _, text := range order {
		what := "pool "
		if len(byTemplate[text]) > 1 {
			what = "pools "
		}
		out = append(out, what+enumerate(byTemplate[text])+", "+text)
	}
	return out
}

func (n *newNodes) nameOf(id string) string {
	if t := n.templates[id]; t != nil && t.Name != "" {
		return t.Name
	}
	return id
}

// joinFew puts sentences in a line, the first three of them.
func joinFew(parts []string) string {
	const most = 3
	if len(parts) > most {
		parts = append(slices.Clone(parts[:most]), fmt.Sprintf("and %d more", len(parts)-most))
	}
	return strings.Join(parts, "; ")
}

// strictly gives f with what it says of a cluster; it blocks where that was asked
// for.
func (p *Planner) strictly(f Finding, message string) Finding {
	f.Message = message
	if p.Strict {
		f.Severity = Block
	}
	return f
}

// autoscaler looks whether a cluster autoscaler has been at work in the cluster
// itself, which no list of Rancher's shows.
func (l *NodeLook) autoscaler(ctx context.Context, p *Planner, cl *rancher.Cluster) []Finding {
	checker, err := l.Checker(cl)
	if err != nil {
		return nil // the look at the nodes has said so
	}
	switch found, err := checker.Autoscaler(ctx); {
	case err != nil:
		return []Finding{p.strictly(newUnknownFinding, "whether a cluster autoscaler adds nodes is not known: "+err.Error())}
	case found:
		return []Finding{p.strictly(newUnknownFinding, "a cluster autoscaler is at work: what its nodes are made from cannot be seen from here")}
	}
	return nil
}

func hasCode(findings []Finding, code string) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Code == code })
}

// autoscalerIn looks for a cluster autoscaler among what Rancher installs with the
// cluster, "" when there is none to be seen.
func autoscalerIn(doc rkeconfig.Document) string {
	const name = "cluster-autoscaler"
	addons, _ := doc.Lookup("addons")
	if text, _ := addons.(string); strings.Contains(text, name) {
		return "the cluster's addons install a cluster autoscaler"
	}
	included, _ := doc.Lookup("addonsInclude")
	list, _ := included.([]any)
	for _, address := range list {
		if text, _ := address.(string); strings.Contains(text, name) {
			return "the cluster's addons_include install a cluster autoscaler"
		}
	}
	return ""
}
