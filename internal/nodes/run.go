package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// requestTimeout bounds one request; Rancher's proxy itself may take 30 s to
	// find out that a cluster's agent is away.
	requestTimeout = 45 * time.Second
	// attempts is how often one request is sent when the connection or the
	// server fails.
	attempts = 4
)

// crew runs errands under one run label.
type crew struct {
	namespace string
	pods      corev1client.PodInterface
	run       string
	lookout   *lookout
	stop      context.CancelFunc
}

// crew gets ready to run pods: the lookout stands when it returns. The caller
// calls its stop.
func (c *Checker) crew(ctx context.Context, namespace string) *crew {
	run := newRun()
	pods := c.Core.Pods(namespace)
	ctx, stop := context.WithCancel(ctx)
	w := &crew{namespace: namespace, pods: pods, run: run, lookout: newLookout(pods, run), stop: stop}
	ready := make(chan struct{})
	go w.lookout.keep(ctx, sync.OnceFunc(func() { close(ready) }))
	select {
	case <-ready:
	case <-ctx.Done():
	}
	return w
}

// answer is what an errand came back with.
type answer struct {
	message string // untrusted
	exit    int32
	reason  string // the runtime's, such as "Error" or "OOMKilled"
}

// do runs one errand and removes its pod, whatever happens. When there is no
// answer, the findings say why.
func (w *crew) do(ctx context.Context, e errand) (*answer, []Finding) {
	pod := e.pod(w.namespace, w.run)
	sights := w.lookout.expect(pod.Name)
	defer w.lookout.forget(pod.Name)
	within, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	perhaps, err := w.create(within, pod)
	var found *answer
	var findings []Finding
	if err != nil {
		findings = []Finding{notCreated(ctx, err)}
	} else {
		w.lookout.created(pod.Name)
		a, f := wait(ctx, within, e, sights)
		found = a
		if f != nil {
			findings = append(findings, *f)
		}
	}
	if perhaps {
		if err := w.remove(ctx, pod.Name); err != nil {
			findings = append(findings, finding(podLeft, "the pod %s/%s is still there: %s", w.namespace, pod.Name, oneLine(err.Error())))
		}
	}
	return found, findings
}

// create creates the pod. perhaps says that it may exist even so there was an
// error.
func (w *crew) create(ctx context.Context, pod *corev1.Pod) (perhaps bool, err error) {
	_, err = retry(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := w.pods.Create(ctx, pod, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			err = nil // an answer was lost on the way
		}
		perhaps = perhaps || err == nil || !permanent(err)
		return struct{}{}, err
	})
	return perhaps, err
}

// remove deletes the pod, also when ctx has ended.
func (w *crew) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	_, err := retry(ctx, func(ctx context.Context) (struct{}, error) {
		now := int64(0)
		err := w.pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return struct{}{}, ignoreNotFound(err)
	})
	return err
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// wait waits for the end of the errand's pod. within is ctx with the errand's
// time-out.
func wait(ctx, within context.Context, e errand, sights <-chan sight) (*answer, *Finding) {
	var last *corev1.Pod
	for {
		select {
		case s := <-sights:
			if a, f := outcome(s); a != nil || f != nil {
				return a, f
			}
			last = s.pod
		case <-within.Done():
			f := stuck(e, last)
			if ctx.Err() != nil {
				f = finding(checkInterrupted, "the check was interrupted while its pod ran")
			}
			return nil, &f
		}
	}
}

// outcome says how a pod ended; nothing while it has not.
func outcome(s sight) (*answer, *Finding) {
	if s.pod != nil {
		if a, f := ended(s.pod); a != nil || f != nil {
			return a, f
		}
	}
	if s.gone {
		f := finding(podGone, "its pod was deleted while it ran: somebody did that, or the node was removed")
		return nil, &f
	}
	return nil, nil
}

func ended(pod *corev1.Pod) (*answer, *Finding) {
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if t := status.State.Terminated; t != nil && status.Name == containerName {
			return &answer{message: t.Message, exit: t.ExitCode, reason: t.Reason}, nil
		}
		if t := status.State.Terminated; t != nil && t.ExitCode != 0 {
			f := finding(podEnded, "the step %s of its pod ended with exit code %d: %s", oneLine(status.Name), t.ExitCode, oneLine(t.Reason+" "+t.Message))
			return nil, &f
		}
		if wait := status.State.Waiting; wait != nil && noImage[wait.Reason] {
			f := finding(imageMissing, "the node cannot run the image %s: %s", oneLine(status.Image), oneLine(wait.Reason+" "+wait.Message))
			return nil, &f
		}
	}
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		f := finding(podEnded, "the node ended its pod without an answer: %s", oneLine(pod.Status.Reason+" "+pod.Status.Message))
		return nil, &f
	}
	return nil, nil
}

// noImage are the reasons to wait that more time does not mend.
var noImage = map[string]bool{
	"ErrImageNeverPull": true, "ErrImagePull": true, "ImagePullBackOff": true,
	"InvalidImageName": true, "ImageInspectError": true, "RegistryUnavailable": true,
}

func stuck(e errand, pod *corev1.Pod) Finding {
	state := "the node has not said anything of it"
	if pod != nil {
		state = "it is " + string(pod.Status.Phase)
		for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if w := status.State.Waiting; w != nil {
				state = oneLine(w.Reason + " " + w.Message)
			}
		}
	}
	return finding(podStuck, "its pod did not finish within %s: %s", e.timeout, state)
}

// notCreated says why the pod was not created.
func notCreated(ctx context.Context, err error) Finding {
	switch text := oneLine(err.Error()); {
	case ctx.Err() != nil:
		return finding(checkInterrupted, "the check was interrupted before its pod was created")
	case apierrors.IsForbidden(err) && strings.Contains(text, "cannot create resource"):
		return finding(podForbidden, "the token may not create pods there: %s", text)
	case apierrors.IsForbidden(err):
		return finding(podRefused, "the cluster refuses the pod: %s", text)
	case errors.Is(err, context.DeadlineExceeded):
		return finding(podNotCreated, "creating its pod took too long: %s", text)
	default:
		return finding(podNotCreated, "creating its pod: %s", text)
	}
}

// permanent says that asking again would give the same answer.
func permanent(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests
}

// retry asks again a few times, with growing pauses, until op succeeds, fails
// for good, or ctx ends. Each time op gets requestTimeout.
func retry[T any](ctx context.Context, op func(context.Context) (T, error)) (T, error) {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 300*time.Millisecond, 5*time.Second
	got, err := backoff.Retry(ctx, func() (T, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		got, err := op(ctx)
		if err != nil && permanent(err) {
			err = backoff.Permanent(err)
		}
		return got, err
	}, backoff.WithBackOff(pace), backoff.WithMaxTries(attempts))
	var p *backoff.PermanentError
	if errors.As(err, &p) {
		err = p.Unwrap()
	}
	return got, err
}

// longest is how much of another's words a message quotes.
const longest = 240

// oneLine makes another's words fit to be shown: one line, no control
// characters, not long.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if cut := []rune(s); len(cut) > longest {
		s = fmt.Sprintf("%s…", string(cut[:longest]))
	}
	return s
}

// lastWords is oneLine for a text whose end matters most.
func lastWords(s string) string {
	if r := []rune(s); len(r) > longest {
		s = string(r[len(r)-longest:])
		if _, rest, ok := strings.Cut(s, " "); ok {
			s = "… " + rest
		}
	}
	return oneLine(s)
}
