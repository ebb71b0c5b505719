package nodes

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// sight is what was last seen of a pod.
type sight struct {
	pod  *corev1.Pod
	gone bool
}

// watchPatience is how long a watch may take to begin, and how long it may be
// silent: a proxy in between may hold back what it says.
const watchPatience = 10 * time.Second

// lookoutPage is how many pods are on a page of a list; there are rarely more
// than the nodes that are looked at at a time.
const lookoutPage = 500

// lookout keeps sight of all pods of a run with one watch. Where the watch does
// not hold (a proxy cuts it, holds it back, or does not let it through), it lists
// them again, so that the worst case is a list every few seconds.
type lookout struct {
	pods     corev1client.PodInterface
	selector string

	mu    sync.Mutex
	boxes map[string]chan sight // by pod; each holds the latest sight
	there map[string]bool       // created, and not seen to be gone
}

func newLookout(pods corev1client.PodInterface, run string) *lookout {
	return &lookout{
		pods:     pods,
		selector: labelManagedBy + "=" + managedBy + "," + labelRun + "=" + run,
		boxes:    map[string]chan sight{},
		there:    map[string]bool{},
	}
}

// expect gives where the sights of the pod name come in. It must be called
// before the pod is created.
func (l *lookout) expect(name string) <-chan sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	box := make(chan sight, 1)
	l.boxes[name] = box
	return box
}

// created says that the pod exists by now: a list without it means that it is
// gone.
func (l *lookout) created(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there[name] = true
}

func (l *lookout) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.boxes, name)
	delete(l.there, name)
}

func (l *lookout) see(name string, s sight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	box, ok := l.boxes[name]
	if !ok {
		return
	}
	select {
	case <-box: // an older sight that nobody has taken yet
	default:
	}
	box <- s
}

// keep keeps watch until ctx ends. It calls ready once, when the first watch
// stands or has failed.
func (l *lookout) keep(ctx context.Context, ready func()) {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 200*time.Millisecond, 5*time.Second
	for ctx.Err() == nil {
		if at, err := l.list(ctx); err == nil {
			if l.watch(ctx, at, ready) {
				pace.Reset()
			}
		}
		ready()
		select {
		case <-ctx.Done():
		case <-time.After(pace.NextBackOff()):
		}
	}
}

// list takes sight of all pods and gives the version to watch from.
func (l *lookout) list(ctx context.Context) (string, error) {
	l.mu.Lock()
	missing := map[string]bool{}
	for name := range l.there {
		missing[name] = true
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	opts := metav1.ListOptions{LabelSelector: l.selector, Limit: lookoutPage}
	for {
		pods, err := l.pods.List(ctx, opts)
		if err != nil {
			return "", err
		}
		for i := range pods.Items {
			delete(missing, pods.Items[i].Name)
			l.see(pods.Items[i].Name, sight{pod: &pods.Items[i]})
		}
		if opts.Continue = pods.Continue; opts.Continue != "" {
			continue
		}
		for name := range missing {
			l.see(name, sight{gone: true})
		}
		return pods.ResourceVersion, nil
	}
}

// watch watches the pods from a version on, until the watch ends or says nothing
// for long, and reports whether it said anything. It calls ready when it stands.
func (l *lookout) watch(ctx context.Context, from string, ready func()) (some bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	impatience := time.AfterFunc(watchPatience, cancel)
	defer impatience.Stop()
	w, err := l.pods.Watch(ctx, metav1.ListOptions{LabelSelector: l.selector, ResourceVersion: from})
	if err != nil {
		return false
	}
	defer w.Stop()
	ready()
	for {
		impatience.Reset(watchPatience)
		select {
		case <-ctx.Done():
			return some
		case event, ok := <-w.ResultChan():
			pod, isPod := event.Object.(*corev1.Pod)
			switch {
			case !ok || event.Type == watch.Error:
				return some
			case isPod:
				l.see(pod.Name, sight{pod: pod, gone: event.Type == watch.Deleted})
			}
			some = true
		}
	}
}
