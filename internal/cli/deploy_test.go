package cli

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"rkepatch/fixtures/simrancher"
)

// manifest reads docs/deploy/job.yaml as strictly as an API server would with
// --validate=strict.
func manifest(t *testing.T) (corev1.PersistentVolumeClaim, batchv1.Job) {
	t.Helper()
	text, err := os.ReadFile("../../docs/deploy/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(text, []byte("\n---\n"))
	if len(documents) != 2 {
		t.Fatalf("%d documents", len(documents))
	}
	var claim corev1.PersistentVolumeClaim
	var job batchv1.Job
	if err := errors.Join(yaml.UnmarshalStrict(documents[0], &claim), yaml.UnmarshalStrict(documents[1], &job)); err != nil {
		t.Fatal(err)
	}
	return claim, job
}

func TestJobManifest(t *testing.T) {
	claim, job := manifest(t)
	pod := job.Spec.Template.Spec
	c := pod.Containers[0]
	user := *pod.SecurityContext.RunAsUser
	mounts := map[string]corev1.VolumeMount{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = m
	}
	env := map[string]corev1.EnvVar{}
	for _, e := range c.Env {
		env[e.Name] = e
	}
	for what, holds := range map[string]bool{
		"kinds":                         claim.Kind == "PersistentVolumeClaim" && job.Kind == "Job" && job.APIVersion == "batch/v1",
		"one pod at a time":             *job.Spec.Parallelism == 1 && *job.Spec.Completions == 1 && *job.Spec.PodReplacementPolicy == batchv1.Failed,
		"not root":                      *pod.SecurityContext.RunAsNonRoot && user >= 10000,
		"the volume is his":             *pod.SecurityContext.FSGroup == user && *pod.SecurityContext.FSGroupChangePolicy == corev1.FSGroupChangeOnRootMismatch,
		"seccomp":                       pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"no escalation":                 !*c.SecurityContext.AllowPrivilegeEscalation && len(c.SecurityContext.Capabilities.Drop) == 1 && c.SecurityContext.Capabilities.Drop[0] == "ALL",
		"root file system is read only": *c.SecurityContext.ReadOnlyRootFilesystem,
		"no token of this cluster":      !*pod.AutomountServiceAccountToken,
		"state on the claim":            pod.Volumes[0].PersistentVolumeClaim.ClaimName == claim.Name && mounts[env["XDG_STATE_HOME"].Value].Name == pod.Volumes[0].Name,
		"room for a report's parts":     mounts["/tmp"].Name != "",
		"token from a secret":           env["RANCHER_TOKEN_KEY"].Value == "" && env["RANCHER_TOKEN_KEY"].ValueFrom.SecretKeyRef != nil,
		"time to end a request":         *pod.TerminationGracePeriodSeconds > 60,
		"a lost pod has a successor":    pod.RestartPolicy == corev1.RestartPolicyNever && *job.Spec.BackoffLimit > 0 && job.Spec.PodFailurePolicy.Rules[0].Action == batchv1.PodFailurePolicyActionIgnore,
	} {
		if !holds {
			t.Errorf("not so: %s", what)
		}
	}
	stops := job.Spec.PodFailurePolicy.Rules[1]
	if stops.Action != batchv1.PodFailurePolicyActionFailJob || *stops.OnExitCodes.ContainerName != c.Name {
		t.Errorf("%+v", stops)
	}
	for _, code := range []int32{ExitBlocked, ExitFailed, ExitUsage} {
		if !slices.Contains(stops.OnExitCodes.Values, code) {
			t.Errorf("exit code %d does not end the Job", code)
		}
	}
}

// The container's own command line, in a pod that is killed while a cluster
// rolls out, and in its successor.
func TestJobSurvivesItsPod(t *testing.T) {
	_, job := manifest(t)
	e := newExample(t)
	e.addNodes(t, false)
	e.runs(t, "rkepatch plan --out change.plan prod-eu prod-us", ExitOK)
	var args []string
	for _, arg := range job.Spec.Template.Spec.Containers[0].Args {
		arg = strings.ReplaceAll(arg, "/plan/change.plan", filepath.Join(e.dir, "change.plan"))
		arg = strings.ReplaceAll(arg, "sha256:REPLACE-BY-WHAT-PLAN-PRINTED", e.fill(t, "sha256:0…"))
		args = append(args, shellWord(arg))
	}
	line := "exec rkepatch " + strings.Join(args, " ") + " --poll=5ms"

	e.sim.Script("c-exam0", simrancher.Hang{})
	pod := exec.CommandContext(t.Context(), "sh", "-c", line)
	pod.Dir, pod.Env = e.dir, e.env
	sent := make(chan struct{})
	e.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusters", Skip: 4, Count: 1, Before: func() { close(sent) }})
	if err := pod.Start(); err != nil {
		t.Fatal(err)
	}
	<-sent
	if err := pod.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = pod.Wait()
	if n := len(e.puts()); n != 1 {
		t.Fatalf("killed after %d PUTs, want the first one under way", n)
	}
	e.sim.Script("c-exam0", simrancher.Succeed{})
	e.sim.Edit("c-exam0", func(map[string]any) {})

	e.runs(t, line, ExitOK)
	e.runs(t, line, ExitOK)
	if puts := e.puts(); len(puts) != 2 || puts["/v3/clusters/c-exam0"] != 1 || puts["/v3/clusters/c-exam1"] != 1 {
		t.Errorf("PUTs %v", puts)
	}
	if runs, err := os.ReadDir(filepath.Join(e.dir, "rkepatch", "runs")); err != nil || len(runs) != 1 {
		t.Errorf("runs %v, %v", runs, err)
	}
}

// puts counts the PUTs by their path.
func (e *example) puts() map[string]int {
	puts := map[string]int{}
	for _, r := range e.sim.Requests() {
		if r.Method == http.MethodPut {
			puts[r.Path]++
		}
	}
	return puts
}
