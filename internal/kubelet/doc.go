// Package kubelet holds the kubelet's own rules about image credential
// providers (KEP-2133): which flags turn them on, which feature gates and API
// versions a kubelet of a given version knows, and which in-tree provider
// still answers beside them.
//
// Everything here is a pure function of its arguments. The rules were read in
// kubernetes/kubernetes v1.20.15 to v1.35.0; each row of a table names the
// version at which it begins or ends.
package kubelet
