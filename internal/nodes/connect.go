package nodes

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-logr/logr"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// client-go writes to standard error what it also returns. Its logger may be set
// only while nothing logs.
func init() { klog.SetLogger(logr.Discard()) }

// What one cluster's check may ask of Rancher's proxy per second. client-go's
// own 5 would make 300 nodes wait for minutes.
const (
	queriesPerSecond = 100
	queryBurst       = 200
)

// Connect gives a cluster's core API through Rancher's proxy. base is the
// cluster's address there, such as https://rancher.example/k8s/clusters/c-abc12,
// and rt is what authenticates requests. It sends nothing yet. Redirects are not
// followed: they could carry the token elsewhere.
func Connect(base string, rt http.RoundTripper) (corev1client.CoreV1Interface, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("connecting to the cluster: its address is not like https://rancher.example/k8s/clusters/c-abc12")
	}
	config := &rest.Config{ContentConfig: rest.ContentConfig{ContentType: "application/json"}, Host: base, QPS: queriesPerSecond, Burst: queryBurst, UserAgent: "rkepatch"}
	client := &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	core, err := corev1client.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return core, nil
}
