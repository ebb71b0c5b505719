package nodes

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"rkepatch/internal/kubelet"
)

// running is the answer of a node whose kubelet runs for so many seconds.
func running(age string, lines ...string) string {
	return "rkepatch/1\nprocess=pid=42 age=" + age + "\n" +
		"flag=name=image-credential-provider-config value=" + packed(configPath) + "\n" +
		"flag=name=image-credential-provider-bin-dir value=" + packed(binDir) + "\n" + strings.Join(append(lines, "end\n"), "\n")
}

var bothFlags = map[string]string{kubelet.FlagProviderConfig: configPath, kubelet.FlagProviderBinDir: binDir}

// What a running kubelet may not be like is found; what is as it should be is
// not complained of.
func TestVerify(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name    string
		answer  string
		node    *corev1.Node
		version kubelet.Version
		code    string
		says    string
	}{
		{name: "as it should be", answer: running("60")},
		{name: "with gates", answer: running("60", "flag=name=feature-gates value="+packed("A=true"))},
		{name: "the right version", answer: running("60"), version: kubelet.Version{Major: 1, Minor: 26}},
		{name: "another version", answer: running("60"), version: kubelet.Version{Major: 1, Minor: 27}, code: versionDiffers},
		{name: "since before the change", answer: running("3600"), code: kubeletNotRestarted, says: "2026-01-02T02:04:05Z"},
		{name: "a config that is older", answer: running("60", "config=age=61")},
		{name: "a config of the same moment", answer: running("60", "config=age=58")},
		{name: "a config that it has not read", answer: running("600", "config=age=60"), code: configNewer, says: "since 2026-01-02T02:54:05Z, " + configPath + " was written at 2026-01-02T03:03:05Z"},
		{name: "a config from the future", answer: running("60", "config=age=-9")},
		{name: "two configs", answer: running("60", "config=age=1", "config=age=2"), code: answerGarbled},
		{name: "restarting", answer: running("2", "restarted=yes"), code: kubeletRestarting},
		{name: "no kubelet", answer: "rkepatch/1\nend\n", code: kubeletNotFound},
		{name: "two kubelets", answer: running("60", "process=pid=43 age=5"), code: kubeletMany},
		{name: "without flags", answer: "rkepatch/1\nprocess=pid=42 age=60\nend\n", code: flagsDiffer, says: "without --image-credential-provider-config"},
		{name: "another path", answer: running("60", "flag=name=image-credential-provider-bin-dir value="+packed("/opt/other\x1b[31m")), code: flagsDiffer, says: "=/opt/other [31m, not"},
		{name: "a flag nobody asked for", answer: running("60", "flag=name=token value=eA=="), code: answerGarbled},
		{name: "an impossible age", answer: running("-5"), code: answerGarbled},
		{name: "no age", answer: running(""), code: answerGarbled},
		{name: "not base64", answer: running("60", "flag=name=feature-gates value=%"), code: answerGarbled},
		{name: "not Ready", node: linux("x", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }), code: nodeNotReady},
		{name: "windows", node: linux("x", func(n *corev1.Node) { n.Status.NodeInfo.OperatingSystem = "windows" }), code: windowsNode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node := tt.node
			if node == nil {
				node = linux("x")
			}
			c := newCluster(t, node)
			c.node = func(*corev1.Pod) (corev1.PodStatus, error) { return answering(tt.answer), nil }
			checker := c.checker()
			checker.Clock = func() time.Time { return now }
			reports, err := checker.Verify(t.Context(), VerifyQuery{Query: query(), Flags: bothFlags, ChangedAfter: now.Add(-10 * time.Minute), Version: tt.version})
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(codes(reports[0].Findings), func(code string) bool { return code == metricsNotRead })
			if tt.code == "" {
				if len(got) > 0 {
					t.Errorf("%+v", reports[0].Findings)
				}
				return
			}
			if len(got) == 0 || slices.IndexFunc(reports[0].Findings, func(f Finding) bool { return f.Code == tt.code && strings.Contains(f.Message, tt.says) }) < 0 {
				t.Errorf("%+v, want %s", reports[0].Findings, tt.code)
			}
		})
	}
}

// core is a fake core API whose requests beyond the typed ones, such as for a
// kubelet's metrics, go through rt.
type core struct {
	clientcore.CoreV1Interface
	raw rest.Interface
}

func (c core) RESTClient() rest.Interface { return c.raw }

// roundTrip is a transport made of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(code int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}
}

// The kubelet's own count of failed provider runs is read where it may be, and
// its absence is said where not.
func TestVerifyMetrics(t *testing.T) {
	metrics := strings.Join([]string{
		"# HELP kubelet_credential_provider_plugin_errors [ALPHA] Number of errors from credential provider plugin",
		"# TYPE kubelet_credential_provider_plugin_errors counter",
		`kubelet_credential_provider_plugin_errors{plugin_name="ecr-credential-provider"} 3`,
		`kubelet_credential_provider_plugin_errors{plugin_name="a b"} 2e+00`,
		`kubelet_credential_provider_plugin_errors_total{plugin_name="no"} 100`,
		`kubelet_credential_provider_plugin_errors{plugin_name="odd"} NaN`, "",
	}, "\n")
	for name, tt := range map[string]struct {
		answer func() (*http.Response, error)
		count  int64
		code   string
	}{
		"errors":      {func() (*http.Response, error) { return respond(200, "text/plain", metrics), nil }, 5, pluginErrors},
		"none":        {func() (*http.Response, error) { return respond(200, "text/plain", "go_goroutines 5\n"), nil }, 0, ""},
		"not allowed": {func() (*http.Response, error) { return respond(403, "text/plain", "no"), nil }, -1, metricsNotRead},
		"cut":         {func() (*http.Response, error) { return nil, errors.New("unexpected EOF") }, -1, metricsNotRead},
		"endless line": {func() (*http.Response, error) {
			return respond(200, "text/plain", strings.Repeat("x", 3<<20)), nil
		}, -1, metricsNotRead},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, linux("x"))
				c.node = func(*corev1.Pod) (corev1.PodStatus, error) { return answering(running("60")), nil }
				real, err := Connect("https://rancher.example/k8s/clusters/c-1", roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path != "/k8s/clusters/c-1/api/v1/nodes/x/proxy/metrics" {
						t.Errorf("asked for %s", r.URL.Path)
					}
					return tt.answer()
				}))
				if err != nil {
					t.Fatal(err)
				}
				checker := Checker{Core: core{c.CoreV1(), real.RESTClient()}}
				reports, err := checker.Verify(t.Context(), VerifyQuery{Query: query(), Flags: bothFlags})
				if err != nil {
					t.Fatal(err)
				}
				r := reports[0]
				if got := codes(r.Findings); (tt.code == "") != (len(got) == 0) || tt.code != "" && !slices.Equal(got, []string{tt.code}) {
					t.Errorf("%+v", r.Findings)
				}
				if tt.count < 0 != (r.Running.PluginErrors == nil) || tt.count >= 0 && *r.Running.PluginErrors != tt.count {
					t.Errorf("count %v", r.Running.PluginErrors)
				}
			})
		})
	}
}

// A check with a rehearsal asks for an image that the cluster runs, and reports
// what came of it; a node that the check found wrong is not rehearsed.
func TestRehearse(t *testing.T) {
	app := &corev1.Pod{}
	app.Name, app.Namespace = "app", "team"
	app.Spec.Containers = []corev1.Container{{Image: "nginx"}, {Image: ecrImage + ":1"}}
	ok := "rkepatch/1\ntook=420\nresponse=ok\napi=v1\nkeytype=Registry\nduration=6h0m0s\nregistry=123456789012.dkr.ecr.eu-central-1.amazonaws.com\nkept=0\nfull=1\nsaid=\nexit=0\nend\n"
	for name, tt := range map[string]struct {
		objects []runtime.Object
		image   string
		answer  string
		codes   []string
		ok      bool
	}{
		"found":          {[]runtime.Object{app}, "", ok, nil, true},
		"given":          {nil, ecrImage, ok, nil, true},
		"none":           {nil, "", ok, []string{rehearsalNoImage}, false},
		"does not match": {nil, "nginx:1", ok, []string{rehearsalNoImage}, false},
		"fails":          {nil, ecrImage, "rkepatch/1\ntook=9\nresponse=none\nsaid=no EC2 IMDS role found\nexit=1\nend\n", []string{rehearsalNoRole}, false},
		"garbled":        {nil, ecrImage, "x", []string{answerGarbled}, false},
		"odd numbers":    {nil, ecrImage, "rkepatch/1\ntook=x\nexit=9999\nend\n", []string{rehearsalFailed}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, append(tt.objects, linux("x"), linux("y"))...)
			c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
				switch {
				case p.Spec.HostPID:
					if p.Spec.NodeName != "x" {
						t.Errorf("%s was rehearsed", p.Spec.NodeName)
					}
					return answering(tt.answer), nil
				case p.Spec.NodeName == "y":
					return answering(bare), nil
				}
				return answering(seeing("v1")), nil
			}
			q := query()
			q.Rehearse, q.RehearseImage = true, tt.image
			reports, err := c.checker().Check(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			x, y := reports[0], reports[1]
			if got := codes(x.Findings); !slices.Equal(got, tt.codes) {
				t.Errorf("%+v", x.Findings)
			}
			if tt.ok != (x.Rehearsal != nil && x.Rehearsal.OK) {
				t.Errorf("%+v", x.Rehearsal)
			}
			if y.Rehearsal != nil || !slices.Contains(codes(y.Findings), rehearsalSkipped) {
				t.Errorf("%+v", y)
			}
		})
	}
}

// A verification with a rehearsal looks at the files as well.
func TestVerifyRehearses(t *testing.T) {
	c := newCluster(t, linux("x"))
	c.node = func(p *corev1.Pod) (corev1.PodStatus, error) {
		command := strings.Join(p.Spec.Containers[0].Command, " ")
		switch {
		case strings.Contains(command, " rkepatch running "):
			return answering(running("60")), nil
		case strings.Contains(command, " rkepatch rehearse "):
			return answering("rkepatch/1\ntook=9\nresponse=bad\nsaid=\nexit=0\nend\n"), nil
		}
		return answering(seeing("v1")), nil
	}
	q := query()
	q.Rehearse, q.RehearseImage = true, ecrImage
	reports, err := c.checker().Verify(t.Context(), VerifyQuery{Query: q, Flags: bothFlags})
	if err != nil {
		t.Fatal(err)
	}
	r := reports[0]
	if r.Running == nil || r.Provider == nil || r.Rehearsal == nil || !slices.Equal(codes(r.Findings), []string{metricsNotRead, rehearsalBadAnswer}) {
		t.Errorf("%+v", r)
	}
}

func TestCountPluginErrorsBounded(t *testing.T) {
	if _, err := countPluginErrors(bytes.NewReader(bytes.Repeat([]byte("a"), 2<<20))); err == nil {
		t.Error("a line of 2 MiB was read")
	}
}
