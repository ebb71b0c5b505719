package nodes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leftAfter is how old a pod without a deadline of its own is when nobody can
// be waiting for it any more.
const leftAfter = 10 * time.Minute

// sweep removes the pods of earlier runs that were killed before they could do
// it. A pod that another run may still wait for stays. What goes wrong here is
// no news about any node: the next run tries again.
func (c *Checker) sweep(ctx context.Context, namespace string) {
	pods := c.Core.Pods(namespace)
	left, err := retry(ctx, func(ctx context.Context) (*corev1.PodList, error) {
		return pods.List(ctx, metav1.ListOptions{LabelSelector: labelManagedBy + "=" + managedBy + "," + labelRun, Limit: 1000})
	})
	if err != nil {
		return
	}
	for i := range left.Items {
		pod := &left.Items[i]
		if !c.abandoned(pod) {
			continue
		}
		c.say(pod.Spec.NodeName, "removing the pod of an earlier run")
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		now := int64(0)
		err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
		cancel()
		if ignoreNotFound(err) != nil {
			return
		}
	}
}

// abandoned says that nobody waits for the pod any more: its run was a process
// of this machine that is gone, or would have removed the pod before its
// deadline.
func (c *Checker) abandoned(pod *corev1.Pod) bool {
	if dead(pod.Labels[labelHolder]) {
		return true
	}
	life := leftAfter
	if d := pod.Spec.ActiveDeadlineSeconds; d != nil && *d >= 0 && *d < 3600 {
		life = time.Duration(*d)*time.Second + time.Minute
	}
	return c.now().Sub(pod.CreationTimestamp.Time) > life
}

// holder names this process among those of all machines.
func holder() string { return fmt.Sprintf("%s-%d", machine(), os.Getpid()) }

func machine() string {
	host, _ := os.Hostname() // machines without a name are told apart by age only
	sum := sha256.Sum256([]byte(host))
	return hex.EncodeToString(sum[:4])
}

// dead says that a holder was a process of this machine and is no more. Of
// another machine's nothing is known, and a process of another user counts as
// alive.
func dead(holder string) bool {
	on, number, _ := strings.Cut(holder, "-")
	pid, err := strconv.Atoi(number)
	if on != machine() || err != nil || pid <= 0 {
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil { // on Windows; elsewhere every number is found
		return !errors.Is(err, os.ErrPermission)
	}
	err = process.Signal(syscall.Signal(0))
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH)
}
