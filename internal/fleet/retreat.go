package fleet

import "rkepatch/rancher"

// retreat is what a watch knows of a change that is taken back while Rancher was
// at it. What is stored is then what was applied last, so Rancher sees nothing
// to do (rancher v2.9.1 clusterprovisioner/provisioner.go:537-539): it may leave
// its conditions as they are, and control plane nodes that RKE had already
// given the change to keep it. Their kubelets cannot be seen through the API.
type retreat struct {
	back     bool     // what is followed is a rollback
	begun    bool     // RKE had begun with the change, and Rancher will not go over it again
	suspects []string // nodes that may keep the change
}

// goBack makes w follow a rollback; before is the cluster ahead of its PUT.
func (w *watch) goBack(before *rancher.Cluster) {
	w.back = true
	w.lookBack(before)
}

func (w *watch) lookBack(cl *rancher.Cluster) {
	switch {
	case !w.back:
	case !w.sameKubelet(cl.AppliedKubelet):
		w.begun = false // there is something to reconcile, so RKE goes over all nodes
	case !w.applied(cl):
		w.begun = true
	}
}

// suspect remembers which nodes RKE itself rolls.
func (w *watch) suspect(nodes []*rancher.Node) {
	w.suspects = nil
	for _, n := range nodes {
		if !isWorkerOnly(n) {
			w.suspects = append(w.suspects, n.Name)
		}
	}
}

// doubt says what nobody knows, and how to find out.
func (w *watch) doubt() string {
	names := "nodes of the control plane"
	if len(w.suspects) > 0 {
		names = enumerate(w.suspects)
	}
	return "the stored config is as before, but RKE had begun with the change and Rancher sees nothing left to do: " +
		names + " may still run with it, look at each with docker inspect kubelet"
}
