package kubelet

import "slices"

// Serves reports whether a kubelet that is given this provider config asks one
// of its providers for credentials for image, which is written as in a pod. A
// config that no kubelet takes serves nothing.
func Serves(config []byte, image string) bool {
	doc, err := lenient.decode(config)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(doc.entries, func(e entry) bool {
		return slices.ContainsFunc(e.matchImages, func(pattern string) bool {
			ok, _ := Matches(pattern, image)
			return ok
		})
	})
}
