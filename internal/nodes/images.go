package nodes

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// imagePages bounds how many pages of pods are read to find an image for a
// rehearsal, imagePage how many pods are on one.
const (
	imagePages = 10
	imagePage  = 500
)

// images gives the images of the cluster's running pods, each once, in the order
// in which they come. What cannot be listed is left out: a rehearsal without an
// image says so.
func (c *Checker) images(ctx context.Context) []string {
	seen := map[string]bool{}
	var images []string
	opts := metav1.ListOptions{Limit: imagePage, FieldSelector: "status.phase=Running"}
	for range imagePages {
		pods, err := retry(ctx, func(ctx context.Context) (*corev1.PodList, error) {
			return c.Core.Pods(metav1.NamespaceAll).List(ctx, opts)
		})
		if err != nil {
			return images
		}
		for _, pod := range pods.Items {
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				if !seen[container.Image] {
					seen[container.Image] = true
					images = append(images, container.Image)
				}
			}
		}
		if opts.Continue = pods.Continue; opts.Continue == "" {
			break
		}
	}
	return images
}
