package nodes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
)

// VerifyQuery says how the kubelets must be running. With Rehearse set, the
// check and the rehearsal of the Query are done as well.
type VerifyQuery struct {
	Query
	// Flags are the flags that every kubelet must have, by name without dashes.
	// Only the two provider flags and feature-gates are ever read.
	Flags map[string]string
	// ChangedAfter is when the change was made: a kubelet that started earlier
	// does not have it. Zero: not looked at.
	ChangedAfter time.Time
	// Version is the kubelet version that the cluster is meant to run; zero: any.
	Version kubelet.Version
}

// Running is how a node's kubelet runs.
type Running struct {
	Flags     map[string]string // the two provider flags and feature-gates, as far as set
	Started   time.Time         // by this machine's clock; at the latest
	Processes int               // kubelets that were found; 1 unless something is odd
	// ConfigWritten is when the provider config was last written, by this machine's
	// clock; zero when that is not known.
	ConfigWritten time.Time
	// PluginErrors is the kubelet's own count of failed provider runs since it
	// started; nil when its metrics could not be read.
	PluginErrors *int64
}

// observeSeconds is how long a kubelet is watched: one that is told of what is
// not there lives for a fraction of that.
const observeSeconds = 5

// The codes of what can be found of running kubelets.
const (
	kubeletNotFound     = "kubelet-not-found"
	kubeletMany         = "kubelet-several"
	flagsDiffer         = "kubelet-flags-differ"
	kubeletNotRestarted = "kubelet-not-restarted"
	configNewer         = "config-newer-than-kubelet"
	kubeletRestarting   = "kubelet-restarting"
	versionDiffers      = "kubelet-version-differs"
	pluginErrors        = "provider-errors"
	metricsNotRead      = "metrics-not-read"
)

var runningCatalogue = []Finding{
	{kubeletNotFound, kubelet.Fatal, "no kubelet process runs on the node",
		"on the node: docker ps -a, docker logs kubelet"},
	{kubeletMany, kubelet.Caution, "more than one kubelet process runs on the node",
		"see which of them belongs to this cluster; only the first was looked at"},
	{flagsDiffer, kubelet.Fatal, "the running kubelet does not have the flags that are configured",
		"see whether Rancher has finished with the node: `rkepatch clusters`, then docker inspect kubelet on the node"},
	{kubeletNotRestarted, kubelet.Caution, "the kubelet has run since before the change: it had the flags already, or does not have all of the change",
		"see whether Rancher has finished with the node; its agent may be away"},
	{configNewer, kubelet.Caution, "the provider config was written after the kubelet started, and a kubelet reads it only when it starts",
		"restart the kubelet (`docker restart kubelet` on the node), one node at a time, unless the next upgrade is near"},
	{kubeletRestarting, kubelet.Fatal, "the kubelet was restarted while it was watched",
		"on the node: docker logs kubelet; undo the change if it does not stay up: `rkepatch rollback`"},
	{versionDiffers, kubelet.Caution, "the kubelet has another version than the cluster is meant to have",
		"wait until the upgrade is done, then verify again"},
	{pluginErrors, kubelet.Caution, "the kubelet counts failed runs of the provider",
		"on the node: docker logs kubelet, look for \"credential provider plugin\"; or `rkepatch nodes check --rehearse`"},
	{metricsNotRead, kubelet.Note, "the kubelet's metrics could not be read, so its count of provider errors is not known",
		"use a token that may get nodes/proxy, or look at the metrics in the cluster's monitoring"},
}

// Verify looks at the running kubelet of every node and compares it with q.
// Reports and errors are as those of Check.
func (c *Checker) Verify(ctx context.Context, q VerifyQuery) ([]NodeReport, error) {
	var err error
	if q.Query, err = q.normal(DefaultParallel); err != nil {
		return nil, err
	}
	nodes, err := c.nodes(ctx)
	if err != nil {
		return nil, err
	}
	c.sweep(ctx, q.Namespace)
	w := c.crew(ctx, q.Namespace)
	defer w.stop()
	reports := reportsOf(nodes)
	each(ctx, q.Parallel, nodes, reports, func(n *corev1.Node, r *NodeReport) { c.verifyNode(ctx, w, q, n, r) })
	if q.Rehearse && ctx.Err() == nil {
		each(ctx, q.Parallel, nodes, reports, func(n *corev1.Node, r *NodeReport) {
			if r.Running != nil {
				c.checkNode(ctx, w, q.Query, "check", n, r)
			}
		})
		c.rehearse(ctx, w, q.Query, nodes, reports)
	}
	return reports, interrupted(ctx)
}

func (c *Checker) verifyNode(ctx context.Context, w *crew, q VerifyQuery, n *corev1.Node, r *NodeReport) {
	e, f := c.errand(q.Query, n)
	if f != nil {
		r.Findings = append(r.Findings, *f)
		return
	}
	e = runningErrand(e, q.Query)
	c.say(n.Name, "looking at the running kubelet")
	a, findings := w.do(ctx, e)
	r.Findings = append(r.Findings, findings...)
	if a == nil {
		return
	}
	running, restarted, err := readRunning(a.message, c.now())
	if err != nil {
		r.Findings = append(r.Findings, garbled(a, err))
		return
	}
	r.Running = running
	r.Findings = append(r.Findings, q.compare(r, restarted)...)
	if running.Processes > 0 {
		r.Findings = append(r.Findings, c.readMetrics(ctx, n.Name, running)...)
	}
}

// runningErrand makes e one that sees the node's processes.
func runningErrand(e errand, q Query) errand {
	e.command = script(modeRunning, append(pathArgs(q), "--node", e.node.Name, "--observe", fmt.Sprint(observeSeconds))...)
	e.hostPID, e.purpose = true, modeRunning
	return e
}

// compare says what about a running kubelet is not as q wants it.
func (q VerifyQuery) compare(r *NodeReport, restarted bool) []Finding {
	var out []Finding
	add := func(code, format string, args ...any) { out = append(out, finding(code, format, args...)) }
	k := r.Running
	if k.Processes > 1 {
		add(kubeletMany, "%d kubelet processes run on the node", k.Processes)
	}
	if restarted {
		add(kubeletRestarting, "the kubelet was restarted, or stopped, within %d seconds of being watched", observeSeconds)
	}
	if k.Processes == 0 {
		add(kubeletNotFound, "no kubelet process was found on the node")
		return out
	}
	for _, flag := range slices.Sorted(maps.Keys(q.Flags)) {
		switch have, ok := k.Flags[flag]; {
		case !ok:
			add(flagsDiffer, "the kubelet runs without --%s", flag)
		case have != q.Flags[flag]:
			add(flagsDiffer, "the kubelet runs with --%s=%s, not %s", flag, oneLine(have), oneLine(q.Flags[flag]))
		}
	}
	if !q.ChangedAfter.IsZero() && k.Started.Before(q.ChangedAfter.Add(-clockGrain)) {
		add(kubeletNotRestarted, "the kubelet has run since %s, the change was made after %s", k.Started.UTC().Format(time.RFC3339), q.ChangedAfter.UTC().Format(time.RFC3339))
	}
	if k.Started.Before(k.ConfigWritten.Add(-clockGrain)) {
		add(configNewer, "the kubelet has run since %s, %s was written at %s", k.Started.UTC().Format(time.RFC3339), q.ConfigPath, k.ConfigWritten.UTC().Format(time.RFC3339))
	}
	if have, err := kubelet.ParseVersion(r.Version); q.Version != (kubelet.Version{}) && (err != nil || have != q.Version) {
		add(versionDiffers, "the kubelet says it is %s, not %s", r.Version, q.Version)
	}
	return out
}

// clockGrain is how much earlier than it was a start may seem: nodes count in
// whole seconds.
const clockGrain = 3 * time.Second

// runningFlags are the only flags that a node tells of.
var runningFlags = []string{kubelet.FlagProviderConfig, kubelet.FlagProviderBinDir, "feature-gates"}

// mostAge is a hundred years, in seconds.
const mostAge = 100 * 365 * 24 * 3600

// readRunning reads the answer of modeRunning, which came at now.
func readRunning(text string, now time.Time) (k *Running, restarted bool, err error) {
	m, err := readMessage(text)
	if err != nil {
		return nil, false, err
	}
	k = &Running{Flags: map[string]string{}, Processes: len(m["process"])}
	for i, line := range m["process"] {
		age := count(fields(line)["age"])
		if age < 0 || age > mostAge {
			return nil, false, errors.New("it tells no age of a process")
		}
		if i == 0 {
			k.Started = now.Add(-time.Duration(age) * time.Second)
		}
	}
	config, err := m.one("config")
	if err != nil {
		return nil, false, err
	}
	if age := count(fields(config)["age"]); age >= 0 && age <= mostAge {
		k.ConfigWritten = now.Add(-time.Duration(age) * time.Second)
	}
	for _, line := range m["flag"] {
		f := fields(line)
		value, err := unpackText(f["value"])
		if err != nil {
			return nil, false, err
		}
		if !slices.Contains(runningFlags, f["name"]) {
			return nil, false, errors.New("it tells of a flag that was not asked for")
		}
		k.Flags[f["name"]] = value // the kubelet, too, takes the last
	}
	return k, len(m["restarted"]) > 0, nil
}
