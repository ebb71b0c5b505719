// Package kubelet holds the kubelet's own rules about image credential
// providers (KEP-2133): which flags turn them on, which feature gates and API
// versions a kubelet of a given version knows, which in-tree provider still
// answers beside them, whether it starts with the config and the binaries that
// stand on a node (Start), what it accepts although it is of no use or will be
// fatal later (Foresee), and which images it asks a provider about (Matches).
//
// Everything here is a pure function of its arguments. The rules were read in
// kubernetes/kubernetes v1.20.15 to v1.35.0; each row of a table names the
// version at which it begins or ends. Start and Matches are held to verdicts of
// real kubelets (testdata/verdicts.json) and, by oracle/run.sh, to the kubelets'
// own code with random cases.
package kubelet
