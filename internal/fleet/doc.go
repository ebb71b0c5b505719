// Package fleet takes many clusters from a plan to a verified outcome: it
// selects them, computes what would change and what stands in the way, writes
// the change one PUT per cluster, follows Rancher's reconcile to its real end
// and keeps what is needed to undo it.
//
// It brings together what the other packages know: rancher the API, rkeconfig
// the config document, internal/kubelet the kubelet's rules.
package fleet
