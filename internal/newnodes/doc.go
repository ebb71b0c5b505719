// Package newnodes knows what a node that is made tomorrow comes up with: it
// judges a node template by its user data and its Docker install URL, and merges
// user data. Pure: no I/O, no clock.
//
// # What counts as prepared
//
// Only what was seen: the script of `rkepatch nodes script`, whole and unedited,
// for the paths that the kubelets are told, with a config that the cluster's
// kubelet takes, and in a place where it is run. Everything that is not
// understood is unknown. A Docker install URL is judged by the script behind it
// where the caller has read that; what Rancher and Docker publish themselves is
// known to hold no provider.
//
// # What is merged
//
// Nothing that is there is lost, or the merge is refused:
//
//   - a cloud-config and a cloud-config become one text, list by list. They are
//     not put into two parts of a multipart file: there cloud-init replaces a key
//     of the first part with the same key of the second (its default for merging
//     is dict(replace)+list()+str()), and the first runcmd would be gone;
//   - a shell script and anything become parts of a multipart file: cloud-init
//     runs each script, and merges none of them;
//   - a multipart file gets another part, or its one cloud-config is merged into.
//
// The script of an earlier merge is replaced, so doing it twice changes nothing.
package newnodes
