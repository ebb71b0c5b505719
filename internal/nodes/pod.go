package nodes

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How the pods are known again.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "rkepatch"
	labelRun       = "rkepatch/run"
	labelHolder    = "rkepatch/holder" // the process that waits for the pod

	podPrefix     = "rkepatch-probe-"
	containerName = "probe"
	// hostDir is where the node's root file system is mounted.
	hostDir = "/host"
)

// errand is a script to be run once, in one pod, on one node.
type errand struct {
	node    *corev1.Node
	image   string
	pull    corev1.PullPolicy
	command []string // the program and its arguments, taken literally
	timeout time.Duration
	purpose string // part of the pod's name, when a node gets more than one

	writable     bool                // the host's file system is mounted for writing
	hostPID      bool                // the node's processes are seen
	capabilities []corev1.Capability // besides reading files of other owners
	unconfined   bool                // not held by AppArmor, which hides other processes' environment
	env          []corev1.EnvVar
	prepare      *corev1.Container // runs first
}

// workDir is an empty directory of a pod that may write, shared with what runs
// first in it.
const workDir = "/tmp"

// pod gives the pod of the errand. Its name is the same for the same run and
// node, so that creating it twice creates it once.
//
// The host's root is mounted, never the directory that is looked for: the
// runtime would create a missing one, and a missing one is what must be found.
func (e errand) pod(namespace, run string) *corev1.Pod {
	no, root, zero := false, int64(0), int64(0)
	deadline := int64(math.Ceil(e.timeout.Seconds())) + 30
	propagation := corev1.MountPropagationNone
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      podName(run, e.purpose, e.node.Name),
			Namespace: namespace,
			Labels:    map[string]string{labelManagedBy: managedBy, labelRun: run, labelHolder: holder()},
		},
		Spec: corev1.PodSpec{
			NodeName:                      e.node.Name,
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &zero,
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no,
			// The host's network needs no CNI plugin and no address, and is the
			// one that the kubelet and its provider are in.
			HostNetwork: true,
			DNSPolicy:   corev1.DNSDefault,
			HostPID:     e.hostPID,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name:            containerName,
				Image:           e.image,
				ImagePullPolicy: e.pull,
				Command:         literally(e.command),
				Env:             e.env,
				Resources:       small(),
				SecurityContext: confined(root, e.capabilities),
				VolumeMounts: []corev1.VolumeMount{
					{Name: "host", MountPath: hostDir, ReadOnly: !e.writable, MountPropagation: &propagation},
				},
				TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}},
			Volumes: []corev1.Volume{{
				Name:         "host",
				VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}},
			}},
		},
	}
	if e.unconfined {
		pod.Annotations = map[string]string{corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + containerName: corev1.DeprecatedAppArmorBetaProfileNameUnconfined}
	}
	if e.writable {
		e.mayWrite(&pod.Spec)
	}
	return pod
}

// mayWrite gives the pod workDir, the end of its log as its message when it
// fails, and, if there is one, the step that runs first.
func (e errand) mayWrite(spec *corev1.PodSpec) {
	limit := resource.MustParse("256Mi")
	spec.Volumes = append(spec.Volumes, corev1.Volume{
		Name:         "work",
		VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}},
	})
	spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	mount := corev1.VolumeMount{Name: "work", MountPath: workDir}
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, mount)
	if e.prepare == nil {
		return
	}
	first := *e.prepare
	first.Command = literally(first.Command)
	first.Resources = small()
	first.SecurityContext = confined(0, nil)
	first.VolumeMounts = []corev1.VolumeMount{mount}
	spec.InitContainers = []corev1.Container{first}
}

// confined is root that may read files of any owner and nothing more. spc_t is
// the SELinux type that may look at the host's files.
func confined(root int64, more []corev1.Capability) *corev1.SecurityContext {
	no, yes := false, true
	return &corev1.SecurityContext{
		RunAsUser:                &root,
		AllowPrivilegeEscalation: &no,
		ReadOnlyRootFilesystem:   &yes,
		Capabilities: &corev1.Capabilities{
			Drop: []corev1.Capability{"ALL"},
			Add:  append([]corev1.Capability{"DAC_OVERRIDE"}, more...),
		},
		SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// small asks for next to nothing, so that a full node still admits the pod, and
// leaves a Go program room to run.
func small() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("8Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
}

// literally keeps Kubernetes from expanding $(NAME) and $$ in a command.
func literally(command []string) []string {
	out := make([]string, len(command))
	for i, s := range command {
		out[i] = strings.ReplaceAll(s, "$", "$$")
	}
	return out
}

func podName(run, purpose, node string) string {
	sum := sha256.Sum256([]byte(purpose + "/" + node))
	return podPrefix + run + "-" + hex.EncodeToString(sum[:6])
}
