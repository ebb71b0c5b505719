package nodes

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/pager"

	"rkepatch/internal/kubelet"
)

// Checker looks at the nodes of one cluster.
type Checker struct {
	Core  corev1client.CoreV1Interface
	Clock func() time.Time        // nil is time.Now
	Say   func(node, text string) // progress; nil is silence. Called from several goroutines
}

// Permissions lists what the token must be allowed in the cluster, in words for
// messages and documentation.
func Permissions() []string {
	return []string{
		"list nodes",
		"create, list, watch and delete pods in the namespace of the check (kube-system)",
		"list pods in all namespaces, to find an image for a rehearsal",
		"get nodes/proxy, to read the kubelets' metrics after a roll-out",
	}
}

// Check looks at every node of the cluster and judges what it sees for the
// node's own kubelet and every later one up to q.ForVersion. It gives one report
// per node, sorted by name. There is an error only when q is wrong or the nodes
// cannot be listed, or, together with the reports, when ctx ended: the rest is
// findings.
func (c *Checker) Check(ctx context.Context, q Query) ([]NodeReport, error) {
	q, err := q.normal(DefaultParallel)
	if err != nil {
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
	each(ctx, q.Parallel, nodes, reports, func(n *corev1.Node, r *NodeReport) { c.checkNode(ctx, w, q, "check", n, r) })
	if q.Rehearse && ctx.Err() == nil {
		c.rehearse(ctx, w, q, nodes, reports)
	}
	return reports, interrupted(ctx)
}

// checkNode probes one node and judges what the probe saw. purpose sets the pod
// apart from others of the same run on the node.
func (c *Checker) checkNode(ctx context.Context, w *crew, q Query, purpose string, n *corev1.Node, r *NodeReport) {
	e, f := c.errand(q, n)
	if f != nil {
		r.Findings = append(r.Findings, *f)
		return
	}
	if found := q.shifts(n.Status.NodeInfo.OSImage); len(found) > 0 {
		// What stands where the check would look is not what the kubelet sees.
		r.Findings = append(r.Findings, found...)
		return
	}
	e.purpose = purpose
	e.command = script(modeCheck, checkArgs(q)...)
	c.say(n.Name, "looking at the provider")
	a, findings := w.do(ctx, e)
	r.Findings = append(r.Findings, findings...)
	if a == nil {
		return
	}
	seen, err := readSeen(a.message)
	if err != nil {
		r.Findings = append(r.Findings, garbled(a, err))
		return
	}
	r.Provider = seen.provider(q, r.Arch)
	r.Findings = append(r.Findings, seen.findings(q)...)
	r.Findings = append(r.Findings, judge(q, *r, seen)...)
}

// errand prepares what every errand to a node has in common, or says why there
// cannot be one.
func (c *Checker) errand(q Query, n *corev1.Node) (errand, *Finding) {
	e := errand{node: n, image: q.ProbeImage, pull: corev1.PullIfNotPresent, timeout: q.Timeout}
	var f Finding
	switch {
	case isWindows(n):
		f = finding(windowsNode, "this is a Windows node; it is left out")
	case !isReady(n):
		f = finding(nodeNotReady, "the node is not Ready%s", whyNotReady(n))
	case e.image == "":
		e.image, e.pull = hyperkube(n), corev1.PullNever
		if e.image == "" {
			f = finding(imageUnknown, "none of the %d images that the node lists is a hyperkube image", len(n.Status.Images))
		}
	}
	if f.Code != "" {
		return errand{}, &f
	}
	return e, nil
}

// nodes lists the cluster's nodes, sorted by name.
func (c *Checker) nodes(ctx context.Context) ([]*corev1.Node, error) {
	var nodes []*corev1.Node
	list := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return retry(ctx, func(ctx context.Context) (*corev1.NodeList, error) {
			return c.Core.Nodes().List(ctx, opts)
		})
	})
	list.PageSize = 200
	err := list.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error {
		if n, ok := o.(*corev1.Node); ok {
			nodes = append(nodes, n)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the cluster's nodes, which takes a token that may %q there: %w", Permissions()[0], err)
	}
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, nil
}

// each calls look for every node and its report, some at a time.
func each(ctx context.Context, parallel int, nodes []*corev1.Node, reports []NodeReport, look func(*corev1.Node, *NodeReport)) {
	turns := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, n := range nodes {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if ctx.Err() != nil {
				reports[i].Findings = append(reports[i].Findings, finding(checkInterrupted, "the check was interrupted before it came to this node"))
				return
			}
			look(n, &reports[i])
		})
	}
	all.Wait()
}

func reportsOf(nodes []*corev1.Node) []NodeReport {
	reports := make([]NodeReport, len(nodes))
	for i, n := range nodes {
		info := n.Status.NodeInfo
		reports[i] = NodeReport{Name: n.Name, Version: oneLine(info.KubeletVersion), OS: oneLine(info.OperatingSystem), Arch: oneLine(info.Architecture), Ready: isReady(n)}
	}
	return reports
}

// isWindows believes the node itself; anybody can set a label.
func isWindows(n *corev1.Node) bool {
	system := n.Status.NodeInfo.OperatingSystem
	if system == "" {
		system = n.Labels[corev1.LabelOSStable]
	}
	return system == "windows"
}

func isReady(n *corev1.Node) bool {
	c := readyCondition(n)
	return c != nil && c.Status == corev1.ConditionTrue
}

func readyCondition(n *corev1.Node) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c
		}
	}
	return nil
}

func whyNotReady(n *corev1.Node) string {
	if c := readyCondition(n); c != nil && c.Message != "" {
		return ": " + oneLine(c.Message)
	}
	return ""
}

func (c *Checker) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}

func (c *Checker) say(node, text string) {
	if c.Say != nil {
		c.Say(node, text)
	}
}

func interrupted(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("checking nodes: %w", err)
	}
	return nil
}

// newRun gives a label that no other run has.
func newRun() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// judgeable gives the versions that must accept what is on a node: its own and
// every later minor up to target.
func judgeable(own, target kubelet.Version) []kubelet.Version {
	versions := []kubelet.Version{own}
	for v := own; v.Major == target.Major && v.Minor < target.Minor && len(versions) < 50; {
		v.Minor++
		versions = append(versions, v)
	}
	return versions
}
