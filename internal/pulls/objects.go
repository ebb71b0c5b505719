package pulls

import (
	"slices"
	"strings"
)

// object is the part that is read of everything that pulls images. Every kind
// uses a few of the fields.
type object struct {
	Metadata struct {
		Namespace       string `json:"namespace"`
		OwnerReferences []struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Controller bool   `json:"controller"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		podSpec                  // of a pod
		Template    *podTemplate `json:"template"` // of a workload
		JobTemplate struct {
			Spec struct {
				Template podTemplate `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"` // of a CronJob
	} `json:"spec"`
	Status struct {
		Phase                  string `json:"phase"`                  // of a pod
		Replicas               int    `json:"replicas"`               // pods that there are
		CurrentNumberScheduled int    `json:"currentNumberScheduled"` // the same of a DaemonSet
		Active                 int    `json:"active"`                 // the same of a Job
		Conditions             []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

type podTemplate struct {
	Spec podSpec `json:"spec"`
}

type podSpec struct {
	Containers          []container `json:"containers"`
	InitContainers      []container `json:"initContainers"`
	EphemeralContainers []container `json:"ephemeralContainers"`
	ImagePullSecrets    []secretRef `json:"imagePullSecrets"`
	ServiceAccountName  string      `json:"serviceAccountName"`
}

type container struct {
	Image string `json:"image"`
}

type secretRef struct {
	Name string `json:"name"`
}

// maxSecretNames bounds how many pull secrets of one pod are looked at. One that
// has more, and needs them, counts as not covered.
const maxSecretNames = 64

func (s *podSpec) secretNames() string { return joinNames(s.ImagePullSecrets) }

func joinNames(refs []secretRef) string {
	var names []string
	for _, r := range refs[:min(len(refs), maxSecretNames)] {
		if r.Name != "" {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n")
}

// kind is one kind of objects that pull images.
type kind struct {
	listing
	// counts gives what of an object is to be counted and as what, nil for what
	// pulls nothing any more or is counted through another object.
	counts func(*object) (*podSpec, role)
}

// lists is the table of them. Pods are what runs; the others are looked at for
// what would run: what has pods is counted by its pods.
var lists = []kind{
	{listing{"pods", "/api/v1/pods", "PodList", "status.phase!=Succeeded,status.phase!=Failed"}, func(o *object) (*podSpec, role) {
		if o.Status.Phase == "Succeeded" || o.Status.Phase == "Failed" {
			return nil, asPod
		}
		return &o.Spec.podSpec, asPod
	}},
	{listing{"deployments", "/apis/apps/v1/deployments", "DeploymentList", ""}, idle},
	{listing{"statefulsets", "/apis/apps/v1/statefulsets", "StatefulSetList", ""}, idle},
	{listing{"daemonsets", "/apis/apps/v1/daemonsets", "DaemonSetList", ""}, idle},
	{listing{"replicasets", "/apis/apps/v1/replicasets", "ReplicaSetList", ""}, func(o *object) (*podSpec, role) {
		// Those of a Deployment are its history.
		for _, owner := range o.Metadata.OwnerReferences {
			if owner.Controller && owner.Kind == "Deployment" && strings.HasPrefix(owner.APIVersion, "apps/") {
				return nil, asIdle
			}
		}
		return idle(o)
	}},
	{listing{"replicationcontrollers", "/api/v1/replicationcontrollers", "ReplicationControllerList", ""}, idle},
	{listing{"jobs", "/apis/batch/v1/jobs", "JobList", ""}, func(o *object) (*podSpec, role) {
		for _, c := range o.Status.Conditions {
			if (c.Type == "Complete" || c.Type == "Failed") && c.Status == "True" {
				return nil, asIdle // it is over
			}
		}
		return idle(o)
	}},
	{listing{"cronjobs", "/apis/batch/v1/cronjobs", "CronJobList", ""}, func(o *object) (*podSpec, role) {
		return &o.Spec.JobTemplate.Spec.Template.Spec, asCronJob
	}},
}

// idle counts a workload without pods.
func idle(o *object) (*podSpec, role) {
	if o.Spec.Template == nil || o.Status.Replicas+o.Status.CurrentNumberScheduled+o.Status.Active > 0 {
		return nil, asIdle
	}
	return &o.Spec.Template.Spec, asIdle
}
