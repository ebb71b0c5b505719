// Package nodes looks at the nodes of one cluster, over Rancher's proxy: what a
// kubelet that is told of an image credential provider will find there, what
// the provider answers, and with which flags the kubelets really run.
//
// Looking means a short-lived pod on each node that reads the node's file system
// through a read-only mount and hands back a few lines through its termination
// message. Nothing is pulled, nothing is written, and neither keys nor
// credentials leave a node: the scripts in scripts/ take them out first.
//
// It knows the kubelet's rules from package kubelet and prints nothing itself.
package nodes
