package nodes

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// pluginErrorsMetric counts failed runs by provider (kubernetes v1.26.15
// pkg/credentialprovider/plugin/metrics.go). It is absent until the first.
const pluginErrorsMetric = "kubelet_credential_provider_plugin_errors"

// metricsMost bounds how much of a kubelet's metrics is read.
const metricsMost = 32 << 20

// readMetrics asks a kubelet, through the API server, how often its provider
// failed.
func (c *Checker) readMetrics(ctx context.Context, node string, k *Running) []Finding {
	client := c.Core.RESTClient()
	if r, ok := client.(*rest.RESTClient); client == nil || ok && r == nil {
		return []Finding{finding(metricsNotRead, "this connection does not reach the kubelets")}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := client.Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("metrics").Stream(ctx)
	if err != nil {
		return []Finding{finding(metricsNotRead, "the kubelet's metrics were not read: %s", oneLine(err.Error()))}
	}
	defer body.Close()
	n, err := countPluginErrors(io.LimitReader(body, metricsMost))
	if err != nil {
		return []Finding{finding(metricsNotRead, "the kubelet's metrics were not read: %s", oneLine(err.Error()))}
	}
	k.PluginErrors = &n
	if n > 0 {
		return []Finding{finding(pluginErrors, "the kubelet counts %d failed runs of the provider since it started", n)}
	}
	return nil
}

// countPluginErrors adds up the metric over all providers.
func countPluginErrors(r io.Reader) (int64, error) {
	var total float64
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), pluginErrorsMetric)
		if !ok || (!strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ")) {
			continue
		}
		// A label's value may hold spaces; a timestamp after the value is not
		// written by kubelets.
		if v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64); err == nil && v > 0 && v < 1e15 {
			total += v
		}
	}
	return int64(total), lines.Err()
}
