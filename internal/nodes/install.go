package nodes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
)

// InstallQuery says what to install where the check finds that it is needed.
// Its Parallel counts nodes that are changed at a time.
type InstallQuery struct {
	Query
	// Script is what nodescript.Write gives.
	Script []byte
	// URL is a mirror of the provider binary, "" for the script's own.
	URL string
	// FromImage and FromImagePath name an image that holds the binary, and where
	// in it, for clusters that cannot download. The image needs a cp.
	FromImage, FromImagePath string
	// Proxy are the proxy variables that the script runs with: HTTPS_PROXY,
	// HTTP_PROXY, NO_PROXY. Everybody who can read pods sees them, so they may hold
	// no credentials.
	Proxy map[string]string
	// Registry is whose provider is installed, Merge adds it to a config that is
	// there already. Others is filled in.
	Registry kubelet.Registry
	Merge    bool
	Others   bool // a node has other providers in its config
	// Replace lets the script put its files in the place of different ones.
	Replace bool
}

const (
	// installTimeout is how long one node may take, with a slow download.
	installTimeout = 10 * time.Minute
	// scriptMost is what still fits into one argument of a program (128 KiB on
	// Linux), with room for the doubled dollars.
	scriptMost = 100 << 10
)

// The codes of what can come of an installation.
const (
	installed         = "installed"
	installFailed     = "install-failed"
	installUsage      = "install-refused"
	installConflict   = "install-conflict"
	installNotReached = "install-not-reached"
)

var installCatalogue = []Finding{
	{installed, kubelet.Note, "the provider and its config were installed on the node",
		"nodes that join later need them, too: put `rkepatch nodes script` into their image or template"},
	{installFailed, kubelet.Fatal, "the installation failed; what was on the node is there still",
		"look at the message, then run it again"},
	{installUsage, kubelet.Fatal, "the script of the installation does not take what it was told",
		"look at the message; this is a mistake of the program, report it"},
	{installConflict, kubelet.Fatal, "another provider or another config is in the way, and was left there",
		"see what it is for; --replace puts the new one in its place and keeps the old one beside it"},
	{installNotReached, kubelet.Caution, "the installation stopped at another node before it came to this one",
		"mend what went wrong there, then run it again"},
}

// Install checks every node and runs the script on those that need it, then
// checks them again. A node that is right, or that could not be looked at, is not
// touched; after the first failure no further node is begun. Reports and errors
// are as those of Check.
func (c *Checker) Install(ctx context.Context, q InstallQuery) ([]NodeReport, error) {
	timeout := q.Timeout
	var err error
	if q.Query, err = q.normal(1); err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = installTimeout
	}
	if err := q.possible(); err != nil {
		return nil, fmt.Errorf("installing the provider: %w", err)
	}
	nodes, err := c.nodes(ctx)
	if err != nil {
		return nil, err
	}
	c.sweep(ctx, q.Namespace)
	w := c.crew(ctx, q.Namespace)
	defer w.stop()
	reports := reportsOf(nodes)
	each(ctx, DefaultParallel, nodes, reports, func(n *corev1.Node, r *NodeReport) { c.checkNode(ctx, w, q.Query, "check", n, r) })
	if err := interrupted(ctx); err != nil {
		return reports, err
	}
	q.Others = q.hasOthers(reports)
	var failed atomic.Bool
	each(ctx, q.Parallel, nodes, reports, func(n *corev1.Node, r *NodeReport) {
		switch {
		case !needsInstall(*r): // never touched
		case failed.Load():
			r.Findings = append(r.Findings, finding(installNotReached, "nothing was installed on this node: the installation stopped before it"))
		case !c.installNode(ctx, w, q, timeout, n, r):
			failed.Store(true)
		}
	})
	return reports, interrupted(ctx)
}

// possible says what keeps the installation from being tried at all.
func (q InstallQuery) possible() error {
	switch {
	case len(q.Script) == 0 || len(q.Script) > scriptMost:
		return fmt.Errorf("a script of %d bytes cannot be run in a pod", len(q.Script))
	case q.onHost(q.BinDir) == "" || q.onHost(q.ConfigPath) == "":
		return errors.New("the bin dir or the provider config lies under no mount of the kubelet's container; patch with binds for them, or use /var/lib/rancher/credentialprovider")
	case q.FromImage != "" && !path.IsAbs(q.FromImagePath):
		return errors.New("with an image that holds the provider, its absolute path in there is needed")
	}
	return q.properProxy()
}

// proxyVariables are those that curl and wget know. Some read only the lower
// case, so that the script gets both.
var proxyVariables = []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}

// properProxy says what is wrong with the proxy variables, without their values.
func (q InstallQuery) properProxy() error {
	for name, value := range q.Proxy {
		switch {
		case !slices.Contains(proxyVariables, name):
			return fmt.Errorf("%q is no proxy variable; there are %s", name, strings.Join(proxyVariables, ", "))
		case strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value):
			return fmt.Errorf("%s holds control characters", name)
		case name != "NO_PROXY" && strings.Contains(value, "@"):
			return fmt.Errorf("%s holds credentials, and everybody who can read pods could read them; use a proxy without, a mirror, or an image that holds the provider", name)
		}
	}
	return nil
}

// needsInstall says that a node was looked at, and is not right.
func needsInstall(r NodeReport) bool {
	return r.Provider != nil && r.Worst() == kubelet.Fatal
}

// installNode runs the script on one node and checks it again; false when the
// node is still not right.
func (c *Checker) installNode(ctx context.Context, w *crew, q InstallQuery, timeout time.Duration, n *corev1.Node, r *NodeReport) bool {
	e, f := c.errand(q.Query, n)
	if f != nil {
		r.Findings = append(r.Findings, *f)
		return false
	}
	merge, adds, f := q.merging(*r)
	if f != nil {
		r.Findings = append(r.Findings, *f)
		return false
	}
	e = q.errand(e, timeout)
	e.command = append(e.command, merge...)
	c.say(n.Name, "installing the provider")
	a, findings := w.do(ctx, e)
	if a == nil {
		r.Findings = append(r.Findings, findings...)
		return false
	}
	if code, ok := scriptCodes[a.exit]; !ok || code != installed {
		if !ok {
			code = installFailed
		}
		r.Findings = append(append(r.Findings, findings...), finding(code, "the script ended with exit code %d: %s", a.exit, orUnknown(lastLine(a.message))))
		return false
	}
	c.say(n.Name, "installed; looking again")
	again := reportsOf([]*corev1.Node{n})[0]
	again.Findings = append(findings, finding(installed, "the provider was installed on this node"))
	if adds {
		again.Findings = append(again.Findings, finding(merged, "%s was added to %s; the running kubelet has not read that", q.Registry.Provider, q.ConfigPath))
	}
	c.checkNode(ctx, w, q.Query, "again", n, &again)
	*r = again
	return r.Worst() < kubelet.Fatal
}

// errand makes e one that changes the node.
func (q InstallQuery) errand(e errand, timeout time.Duration) errand {
	e.command, e.timeout, e.purpose, e.writable = q.command(), timeout, "install", true
	e.capabilities = []corev1.Capability{"CHOWN", "FOWNER"}
	for _, name := range proxyVariables {
		if value := q.Proxy[name]; value != "" {
			value = literally([]string{value})[0]
			e.env = append(e.env, corev1.EnvVar{Name: name, Value: value}, corev1.EnvVar{Name: strings.ToLower(name), Value: value})
		}
	}
	if q.FromImage != "" {
		e.prepare = &corev1.Container{Name: "copy", Image: q.FromImage, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"cp", q.FromImagePath, fromFile}}
	}
	return e
}

// fromFile is where a prepare step leaves the binary.
const fromFile = workDir + "/provider"

// command runs the script in its pod. Where the kubelet sees the two paths is
// where the script must write.
func (q InstallQuery) command() []string {
	command := []string{"/bin/sh", "-c", string(q.Script), "rkepatch", "--root", hostDir,
		"--bin-dir", q.onHost(q.BinDir), "--config", q.onHost(q.ConfigPath)}
	if q.URL != "" {
		command = append(command, "--url", q.URL)
	}
	if q.FromImage != "" {
		command = append(command, "--from", fromFile)
	}
	if q.Replace {
		command = append(command, "--replace")
	}
	return command
}

// scriptCodes are the exit codes of the script of package nodescript.
var scriptCodes = map[int32]string{0: installed, 1: installFailed, 2: installUsage, 3: installConflict}

// lastLine gives the last line that says something.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return oneLine(lines[len(lines)-1])
}
