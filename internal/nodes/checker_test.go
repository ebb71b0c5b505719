package nodes

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	ktesting "k8s.io/client-go/testing"

	"rkepatch/internal/kubelet"
)

func packed(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// A large cluster is checked with a create and a delete per node, some nodes at
// a time, and nothing is left behind.
func TestCheckManyNodes(t *testing.T) {
	c := newCluster(t, many(300)...)
	reports := c.check(t.Context())
	if len(reports) != 300 || !slices.IsSortedFunc(reports, func(a, b NodeReport) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("%d reports, or out of order", len(reports))
	}
	for _, r := range reports {
		if r.Worst() != kubelet.Note || r.Provider == nil {
			t.Fatalf("%+v", r)
		}
	}
	n := c.requests()
	if n["create pods"] != 300 || n["delete pods"] != 300 || n["get pods"] != 0 || n["list pods"] > 3 || n["watch pods"] > 3 {
		t.Errorf("requests: %v", n)
	}
	if total := len(c.Actions()); total > 3*300 {
		t.Errorf("%d requests for 300 nodes", total)
	}
	if c.most > DefaultParallel {
		t.Errorf("%d pods at a time", c.most)
	}
	if left := c.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func BenchmarkCheck300(b *testing.B) {
	for b.Loop() {
		c := newCluster(nil, many(300)...)
		if reports, err := c.checker().Check(b.Context(), query()); err != nil || len(reports) != 300 {
			b.Fatal(err, len(reports))
		}
	}
}

// Whatever goes wrong with one node is a finding about that node: no hang, no
// error, and the others are looked at.
func TestCheckTroubles(t *testing.T) {
	refuse := func(err error) func(*corev1.Pod) (corev1.PodStatus, error) {
		return func(*corev1.Pod) (corev1.PodStatus, error) { return corev1.PodStatus{}, err }
	}
	status := func(s corev1.PodStatus) func(*corev1.Pod) (corev1.PodStatus, error) {
		return func(*corev1.Pod) (corev1.PodStatus, error) { return s, nil }
	}
	tests := []struct {
		name string
		node *corev1.Node
		does func(*corev1.Pod) (corev1.PodStatus, error)
		code string
		says string
	}{
		{name: "windows", node: linux("x", func(n *corev1.Node) { n.Status.NodeInfo.OperatingSystem = "windows" }), code: windowsNode},
		{name: "windows by label", node: linux("x", func(n *corev1.Node) {
			n.Status.NodeInfo.OperatingSystem, n.Labels = "", map[string]string{"kubernetes.io/os": "windows"}
		}), code: windowsNode},
		{name: "not ready", node: linux("x", func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "Kubelet stopped posting node status."}}
		}), code: nodeNotReady, says: "Kubelet stopped posting"},
		{name: "no conditions", node: linux("x", func(n *corev1.Node) { n.Status.Conditions = nil }), code: nodeNotReady},
		{name: "no hyperkube image", node: linux("x", func(n *corev1.Node) { n.Status.Images = nil }), code: imageUnknown},
		{name: "odd version", node: linux("x", func(n *corev1.Node) { n.Status.NodeInfo.KubeletVersion = "\x1b[31mnew" }), code: versionUnknown},
		{name: "image vanished", does: status(waiting("ErrImageNeverPull", "Container image is not present")), code: imageMissing, says: "ErrImageNeverPull"},
		{name: "image cannot be pulled", does: status(waiting("ImagePullBackOff", "Back-off pulling image")), code: imageMissing},
		{name: "not allowed", does: refuse(forbidden(`User "u-x" cannot create resource "pods" in API group "" in the namespace "kube-system"`)), code: podForbidden},
		{name: "pod security", does: refuse(forbidden(`violates PodSecurity "restricted:latest": host namespaces, hostPath volumes`)), code: podRefused, says: "PodSecurity"},
		{name: "pod security policy", does: refuse(forbidden("unable to validate against any pod security policy: []")), code: podRefused},
		{name: "a long refusal", does: refuse(forbidden("%s", strings.Repeat("no\n\x1b[2J", 5000))), code: podRefused},
		{name: "no namespace", does: refuse(apierrors.NewNotFound(podsResource.GroupResource(), "kube-system")), code: podNotCreated},
		{name: "server always fails", does: refuse(apierrors.NewInternalError(errors.New("etcdserver: no leader"))), code: podNotCreated, says: "no leader"},
		{name: "stuck", does: status(waiting("ContainerCreating", "")), code: podStuck, says: "ContainerCreating"},
		{name: "never seen by the node", does: status(corev1.PodStatus{Phase: corev1.PodPending}), code: podStuck, says: "Pending"},
		{name: "evicted", does: status(corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node had condition: [DiskPressure]."}), code: podEnded, says: "DiskPressure"},
		{name: "no room", does: status(corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfpods"}), code: podEnded, says: "OutOfpods"},
		{name: "out of memory", does: status(exited(137, "OOMKilled", "")), code: podEnded, says: "OOMKilled"},
		{name: "no shell in the image", does: status(exited(128, "ContainerCannotRun", `exec: "/bin/sh": no such file`)), code: podEnded, says: "/bin/sh"},
		{name: "no answer", does: status(answering("")), code: podEnded},
		{name: "a garbled answer", does: status(answering("\x00\xff\x1b[31m lies")), code: answerGarbled},
		{name: "a cut answer", does: status(answering(seeing("v1")[:200])), code: answerGarbled},
		{name: "a huge answer", does: status(answering("rkepatch/1\n" + strings.Repeat("x=1\n", 1<<20) + "end\n")), code: answerGarbled},
		{name: "an answer of another release", does: status(answering(strings.Replace(seeing("v1"), "rkepatch/1", "rkepatch/2", 1))), code: answerGarbled},
		{name: "a state that nobody knows", does: status(answering(strings.Replace(seeing("v1"), "state=regular", "state=fine", 1))), code: answerGarbled},
		{name: "two configs", does: status(answering(seeing("v1", "config=state=regular"))), code: answerGarbled},
		{name: "nothing installed", does: status(answering(bare)), code: kubeletRefuses},
		{name: "wrong API", does: status(answering(seeing("v1alpha1"))), code: "binary-api"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				node := tt.node
				if node == nil {
					node = linux("x")
				}
				c := newCluster(t, node, linux("fine"))
				c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
					if p.Spec.NodeName == "x" && tt.does != nil {
						return tt.does(p)
					}
					return answering(seeing("v1")), nil
				}
				start := time.Now()
				reports := byName(c.check(t.Context()))
				if fine := reports["fine"]; fine.Worst() != kubelet.Note || fine.Provider == nil {
					t.Errorf("the other node: %+v", fine)
				}
				r := reports["x"]
				if !slices.Contains(codes(r.Findings), tt.code) {
					t.Fatalf("findings %+v, want %s", r.Findings, tt.code)
				}
				for _, f := range r.Findings {
					if f.Code == tt.code && !strings.Contains(f.Message, tt.says) {
						t.Errorf("%q does not say %q", f.Message, tt.says)
					}
					if len(f.Message) > 700 || strings.ContainsFunc(f.Message, func(r rune) bool { return r < ' ' }) {
						t.Errorf("not fit to be shown: %q", f.Message)
					}
				}
				if took := time.Since(start); took > DefaultTimeout+time.Minute {
					t.Errorf("it took %s", took)
				}
				if left := c.left(); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// A node that is taken away while its pod runs takes the pod with it, which is
// noticed with a watch and without.
func TestCheckNodeVanishes(t *testing.T) {
	for _, watched := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, linux("x"))
			if !watched {
				c.PrependWatchReactor("pods", func(ktesting.Action) (bool, watch.Interface, error) { return true, nil, errors.New("unexpected EOF") })
			}
			c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
				time.AfterFunc(time.Second, func() { _ = c.Tracker().Delete(podsResource, p.Namespace, p.Name) })
				return corev1.PodStatus{Phase: corev1.PodRunning}, nil
			}
			if got := codes(c.check(t.Context())[0].Findings); !slices.Equal(got, []string{podGone}) {
				t.Errorf("watched %t: findings %v", watched, got)
			}
		})
	}
}

// A lost answer to a create is asked again under the same name, so that there is
// one pod, not two.
func TestCheckLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, linux("x"))
		lost := 0
		c.PrependReactor("create", "pods", func(a ktesting.Action) (bool, runtime.Object, error) {
			if lost++; lost > 1 {
				return false, nil, nil
			}
			if err := c.create(a.(ktesting.CreateAction).GetObject().(*corev1.Pod)); err != nil {
				t.Error(err)
			}
			return true, nil, errors.New("unexpected EOF")
		})
		r := c.check(t.Context())[0]
		if r.Worst() != kubelet.Note || r.Provider == nil {
			t.Errorf("%+v", r)
		}
		if n := c.requests(); n["create pods"] != 2 || n["delete pods"] != 1 {
			t.Errorf("requests %v", n)
		}
	})
}

// A pod that was created although every answer said otherwise is removed.
func TestCheckLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, linux("x"))
		asked := 0
		c.PrependReactor("create", "pods", func(a ktesting.Action) (bool, runtime.Object, error) {
			if asked++; asked == 1 {
				if err := c.create(a.(ktesting.CreateAction).GetObject().(*corev1.Pod)); err != nil {
					t.Error(err)
				}
			}
			return true, nil, errors.New("unexpected EOF")
		})
		r := c.check(t.Context())[0]
		if !slices.Equal(codes(r.Findings), []string{podNotCreated}) || len(c.left()) > 0 {
			t.Errorf("%+v, left %v", r, c.left())
		}
	})
}

// When the proxy cuts the watch, or lets none through, lists take its place.
func TestCheckWithoutWatch(t *testing.T) {
	for name, react := range map[string]ktesting.WatchReactionFunc{
		"refused": func(ktesting.Action) (bool, watch.Interface, error) { return true, nil, errors.New("unexpected EOF") },
		"cut at once": func(ktesting.Action) (bool, watch.Interface, error) {
			w := watch.NewFake()
			w.Stop()
			return true, w, nil
		},
		"too old": func(ktesting.Action) (bool, watch.Interface, error) {
			w := watch.NewFakeWithChanSize(1, false)
			w.Error(&metav1.Status{Code: http.StatusGone, Reason: metav1.StatusReasonExpired})
			return true, w, nil
		},
		"silent": func(ktesting.Action) (bool, watch.Interface, error) { return true, watch.NewFake(), nil },
		"silent for a while, then cut": func(ktesting.Action) (bool, watch.Interface, error) {
			w := watch.NewFake()
			time.AfterFunc(5*time.Second, w.Stop)
			return true, w, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, many(5)...)
				c.PrependWatchReactor("pods", react)
				for _, r := range c.check(t.Context()) {
					if r.Worst() != kubelet.Note || r.Provider == nil {
						t.Errorf("%+v", r)
					}
				}
				if n := c.requests()["list pods"]; n > 30 {
					t.Errorf("%d lists", n)
				}
			})
		})
	}
}

// An interrupt ends the check, and its pods are removed all the same.
func TestCheckInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, many(30)...)
		c.node = func(*corev1.Pod) (corev1.PodStatus, error) { return corev1.PodStatus{Phase: corev1.PodRunning}, nil }
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		reports, err := c.checker().Check(ctx, query())
		if !errors.Is(err, context.Canceled) || len(reports) != 30 {
			t.Fatalf("%d reports, %v", len(reports), err)
		}
		for _, r := range reports {
			if got := codes(r.Findings); !slices.Equal(got, []string{checkInterrupted}) {
				t.Errorf("%s: %v", r.Name, got)
			}
		}
		if left := c.left(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// The pods of a run that was killed are removed by the next one; those that
// another run may still wait for, and those of others, are not touched.
func TestCheckLeftovers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	short := int64(120)
	pod := func(name string, age time.Duration, deadline *int64, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: podPrefix + name, Namespace: DefaultNamespace, Labels: labels, CreationTimestamp: metav1.NewTime(now.Add(-age))},
			Spec:       corev1.PodSpec{ActiveDeadlineSeconds: deadline},
		}
	}
	ours := map[string]string{labelManagedBy: managedBy, labelRun: "0badcafe"}
	c := newCluster(t, linux("x"),
		pod("old", time.Hour, nil, ours), pod("overdue", 4*time.Minute, &short, ours),
		pod("young", time.Minute, nil, ours), pod("waited-for", 2*time.Minute, &short, ours),
		pod("foreign", time.Hour, nil, map[string]string{labelManagedBy: "somebody"}),
		pod("killed", time.Second, nil, map[string]string{labelManagedBy: managedBy, labelRun: "0badcafe", labelHolder: machine() + "-" + gone(t)}),
		pod("alive", time.Second, nil, map[string]string{labelManagedBy: managedBy, labelRun: "0badcafe", labelHolder: holder()}),
		pod("elsewhere", time.Second, nil, map[string]string{labelManagedBy: managedBy, labelRun: "0badcafe", labelHolder: "01234567-" + gone(t)}),
		pod("odd", time.Second, nil, map[string]string{labelManagedBy: managedBy, labelRun: "0badcafe", labelHolder: machine() + "--1"}),
		pod("without-run", time.Hour, nil, map[string]string{labelManagedBy: managedBy}),
	)
	checker := c.checker()
	checker.Clock = func() time.Time { return now }
	if _, err := checker.Check(t.Context(), query()); err != nil {
		t.Fatal(err)
	}
	left := c.left()
	slices.Sort(left)
	var want []string
	for _, name := range []string{"alive", "elsewhere", "foreign", "odd", "waited-for", "without-run", "young"} {
		want = append(want, podPrefix+name)
	}
	if !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}

// gone gives the number of a process that has ended.
func gone(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(cmd.Process.Pid)
}

// A pod that cannot be deleted is said, and does not hide what it answered.
func TestCheckPodLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, linux("x"))
		c.PrependReactor("delete", "pods", func(ktesting.Action) (bool, runtime.Object, error) {
			return true, nil, forbidden(`User "u-x" cannot delete resource "pods"`)
		})
		r := c.check(t.Context())[0]
		if r.Provider == nil || !slices.Equal(codes(r.Findings), []string{podLeft}) {
			t.Errorf("%+v", r)
		}
	})
}

// Only when the nodes cannot be listed is there an error, and it says which
// right is missing.
func TestCheckNoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, linux("x"))
		asked := 0
		c.PrependReactor("list", "nodes", func(ktesting.Action) (bool, runtime.Object, error) {
			asked++
			return true, nil, apierrors.NewForbidden(corev1.Resource("nodes"), "", errors.New("no"))
		})
		_, err := c.checker().Check(t.Context(), query())
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "list nodes") {
			t.Errorf("%v", err)
		}
		if asked != 1 {
			t.Errorf("asked %d times for what is forbidden", asked)
		}
	})
}

// Nonsense is refused before anything is asked.
func TestCheckRefusesQuery(t *testing.T) {
	for _, edit := range []func(*Query){
		func(q *Query) { q.BinDir = "" },
		func(q *Query) { q.BinDir = "opt/aws/bin" },
		func(q *Query) { q.ConfigPath = "/opt/a\nb" },
		func(q *Query) { q.ConfigPath = "/" + strings.Repeat("x", 5000) },
	} {
		c := newCluster(t, linux("x"))
		q := query()
		edit(&q)
		if _, err := c.checker().Check(t.Context(), q); err == nil || len(c.Actions()) > 0 {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
