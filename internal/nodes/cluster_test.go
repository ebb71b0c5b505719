package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

var podsResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// cluster is a fake one whose nodes do with a pod what node says.
type cluster struct {
	*fake.Clientset
	t *testing.T
	// node is what a node makes of a pod that was created for it: an error
	// refuses the pod, a status is reported. nil: it answers as a node where all
	// is well.
	node func(*corev1.Pod) (corev1.PodStatus, error)

	mu       sync.Mutex
	inFlight int
	most     int
}

func newCluster(t *testing.T, objects ...runtime.Object) *cluster {
	c := &cluster{Clientset: fake.NewClientset(objects...), t: t}
	c.PrependReactor("create", "pods", func(a ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, c.create(a.(ktesting.CreateAction).GetObject().(*corev1.Pod))
	})
	c.PrependReactor("delete", "pods", func(a ktesting.Action) (bool, runtime.Object, error) {
		c.mu.Lock()
		c.inFlight--
		c.mu.Unlock()
		return false, nil, nil
	})
	return c
}

// create takes a pod and reports its status in the next moment.
func (c *cluster) create(pod *corev1.Pod) error {
	status, err := answering(seeing("v1")), error(nil)
	if c.node != nil {
		status, err = c.node(pod)
	}
	if err != nil {
		return err
	}
	if err := c.Tracker().Create(podsResource, pod.DeepCopy(), pod.Namespace); err != nil {
		return err
	}
	c.mu.Lock()
	c.inFlight++
	c.most = max(c.most, c.inFlight)
	c.mu.Unlock()
	pod = pod.DeepCopy()
	pod.Status = status
	return c.Tracker().Update(podsResource, pod, pod.Namespace)
}

func (c *cluster) checker() *Checker { return &Checker{Core: c.CoreV1()} }

// check checks the cluster with the query of most tests.
func (c *cluster) check(ctx context.Context) []NodeReport {
	c.t.Helper()
	reports, err := c.checker().Check(ctx, query())
	if err != nil {
		c.t.Fatal(err)
	}
	return reports
}

// left are the pods of the program that were not removed.
func (c *cluster) left() []string {
	c.t.Helper()
	pods, err := c.Tracker().List(podsResource, corev1.SchemeGroupVersion.WithKind("Pod"), "")
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, p := range pods.(*corev1.PodList).Items {
		if strings.HasPrefix(p.Name, podPrefix) {
			names = append(names, p.Name)
		}
	}
	return names
}

// requests counts what was asked of the API server, by verb and resource.
func (c *cluster) requests() map[string]int {
	counts := map[string]int{}
	for _, a := range c.Actions() {
		counts[a.GetVerb()+" "+a.GetResource().Resource]++
	}
	return counts
}

// linux is a node that runs what it is given.
func linux(name string, edit ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1.26.15", OperatingSystem: "linux", Architecture: "amd64"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Images:     []corev1.ContainerImage{{Names: []string{"rancher/hyperkube@sha256:1234", "rancher/hyperkube:v1.26.15-rancher1"}}},
		},
	}
	for _, e := range edit {
		e(n)
	}
	return n
}

// seeing is the answer of a node with a provider that speaks api.
func seeing(api string, lines ...string) string {
	other := map[string]string{"v1": "v1alpha1", "v1alpha1": "v1"}[api]
	return strings.Join(append([]string{
		"rkepatch/1",
		"config=state=regular mode=644 owner=0:0 size=400 host=L2M=",
		"bin=state=directory mode=755 owner=0:0 size=4096 host=L2I=",
		"binary=name=ZWNyLWNyZWRlbnRpYWwtcHJvdmlkZXI= state=regular mode=755 owner=0:0 size=2121890 format=elf machine=amd64 exec=yes " + api + "=keyless " + other + "=refused",
		"body=plain:" + packed(goodConfig),
	}, append(lines, "end", "")...), "\n")
}

// bare is the answer of a node with nothing installed.
const bare = "rkepatch/1\nconfig=state=missing\nbin=state=missing\nbinary=name=ZWNyLWNyZWRlbnRpYWwtcHJvdmlkZXI= state=missing\nend\n"

// answering is the status of a pod that ended with a message.
func answering(message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
		Name:  containerName,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", Message: message}},
	}}}
}

// exited is the status of a pod whose program failed.
func exited(code int32, reason, message string) corev1.PodStatus {
	s := answering(message)
	s.Phase = corev1.PodFailed
	s.ContainerStatuses[0].State.Terminated.ExitCode = code
	s.ContainerStatuses[0].State.Terminated.Reason = reason
	return s
}

// waiting is the status of a pod that does not get on.
func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: containerName, Image: "rancher/hyperkube:v1.26.15-rancher1",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func forbidden(format string, args ...any) error {
	return errors.NewForbidden(podsResource.GroupResource(), "rkepatch-probe", fmt.Errorf(format, args...))
}

func codes(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return out
}

func byName(reports []NodeReport) map[string]NodeReport {
	out := map[string]NodeReport{}
	for _, r := range reports {
		out[r.Name] = r
	}
	return out
}

func many(n int) []runtime.Object {
	var nodes []runtime.Object
	for i := range n {
		nodes = append(nodes, linux(fmt.Sprintf("node-%03d", i)))
	}
	return nodes
}
