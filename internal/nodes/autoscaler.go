package nodes

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// autoscalerStatus is the ConfigMap into which the Kubernetes cluster autoscaler
// writes how it is doing, wherever it runs and whatever its deployment is called,
// unless it was told not to (kubernetes/autoscaler, --status-config-map-name).
const autoscalerStatus = "cluster-autoscaler-status"

// Autoscaler reports whether a cluster autoscaler has been at work in the cluster.
// One that writes no status, or to another namespace, is not seen. An error says
// why nobody knows, without the words of the server.
func (c *Checker) Autoscaler(ctx context.Context) (bool, error) {
	_, err := c.Core.ConfigMaps("kube-system").Get(ctx, autoscalerStatus, metav1.GetOptions{})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return false, errors.New("the token may not read ConfigMaps in kube-system")
	}
	return false, errors.New("the cluster's API gave no answer to go by")
}
