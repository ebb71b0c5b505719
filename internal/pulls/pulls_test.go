package pulls

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/internal/kubelet"
)

const ecrHost = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"

// pod and workload make objects as an API server would send them.
func pod(namespace string, secrets []string, images ...string) map[string]any {
	return map[string]any{"metadata": map[string]any{"namespace": namespace}, "spec": spec(secrets, images...), "status": map[string]any{"phase": "Running"}}
}

func spec(secrets []string, images ...string) map[string]any {
	var containers, refs []any
	for _, image := range images {
		containers = append(containers, map[string]any{"image": image})
	}
	for _, name := range secrets {
		refs = append(refs, map[string]any{"name": name})
	}
	return map[string]any{"containers": containers, "imagePullSecrets": refs}
}

func workload(status map[string]any, images ...string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"namespace": "shop"},
		"spec":     map[string]any{"template": map[string]any{"spec": spec(nil, images...)}},
		"status":   status,
	}
}

func pullSecret(kind, namespace, name, config string) map[string]any {
	key := map[string]string{"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}[kind]
	return map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": name}, "type": kind, "data": map[string][]byte{key: []byte(config)},
	}
}

func read(t *testing.T, api *fakeAPI) *Use {
	t.Helper()
	r := &Reader{Base: "https://rancher.example.com/k8s/clusters/c-1", Transport: api}
	use, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return use
}

// An image is counted for the registry that it is pulled from, whatever it looks
// like.
func TestImagesAreCountedPerRegistry(t *testing.T) {
	for _, tt := range []struct {
		image, host string
		kind        kubelet.Kind
	}{
		{"nginx", "docker.io", ""},
		{"nginx:1.25", "docker.io", ""},
		{"library/nginx@sha256:" + strings.Repeat("0", 64), "docker.io", ""},
		{"docker.io/team/app:1", "docker.io", ""},
		{"index.docker.io/team/app", "docker.io", ""},
		{"localhost/app", "localhost", ""},
		{"localhost:5000/app", "localhost:5000", ""},
		{"registry.example.com:8443/team/app:1@sha256:" + strings.Repeat("a", 64), "registry.example.com:8443", ""},
		{"quay.io/a/b/c/d:x", "quay.io", ""},
		{ecrHost + "/shop/web:1", ecrHost, kubelet.ECR},
		{ecrHost + "/shop/web@sha256:" + strings.Repeat("a", 64), ecrHost, kubelet.ECR},
		{"123456789012.DKR.ECR.eu-central-1.amazonaws.com/shop/web", ecrHost, kubelet.ECR},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/a", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", kubelet.ECR},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", kubelet.ECR},
		{ecrHost + ":443/a", ecrHost + ":443", ""}, // no kubelet ever logged in there: the port is not that of a pattern
		{"public.ecr.aws/lambda/go:1", "public.ecr.aws", ""},
		{"team.azurecr.io/app", "team.azurecr.io", kubelet.ACR},
		{"europe-docker.pkg.dev/p/r/app", "europe-docker.pkg.dev", kubelet.GCP},
		{"gcr.io/p/app", "gcr.io", kubelet.GCP},
		// Hostile ones are counted somewhere, and do no harm.
		{"/", "docker.io", ""},
		{":::@@@", "docker.io", ""},
		{"a\x00b/\x1b[31m", "docker.io", ""},
		{"\xff\xfe.example.com/a", "\ufffd\ufffd.example.com", ""},
		{strings.Repeat("x", 5000) + ".example.com/a", strings.Repeat("x", maxHostName) + "…", ""},
	} {
		use := read(t, &fakeAPI{lists: map[string][]any{"/api/v1/pods": {pod("shop", nil, tt.image)}}})
		if len(use.Registries) != 1 || use.Registries[0].Host != tt.host || use.Registries[0].Kind != tt.kind || use.Registries[0].Pods != 1 {
			t.Errorf("%.80q: %+v, want %q %q", tt.image, use.Registries, tt.host, tt.kind)
		}
	}
}

// Who pulls, and who does not any more.
func TestWhoPulls(t *testing.T) {
	image := ecrHost + "/shop/web:1"
	ownedBy := func(apiVersion, kind string, controller bool) map[string]any {
		o := workload(map[string]any{}, image)
		o["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": apiVersion, "kind": kind, "controller": controller}}
		return o
	}
	cronJob := map[string]any{"metadata": map[string]any{"namespace": "shop"}, "spec": map[string]any{
		"suspend": true, "jobTemplate": map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec(nil, image)}}},
	}}
	phase := func(p string) map[string]any {
		o := pod("shop", nil, image)
		o["status"] = map[string]any{"phase": p}
		return o
	}
	inits := pod("shop", nil, "nginx")
	inits["spec"].(map[string]any)["initContainers"] = []any{map[string]any{"image": image}}
	debugged := pod("shop", nil, "nginx")
	debugged["spec"].(map[string]any)["ephemeralContainers"] = []any{map[string]any{"image": image}}
	finished := workload(map[string]any{"conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}, image)
	failed := workload(map[string]any{"conditions": []any{map[string]any{"type": "Failed", "status": "True"}}}, image)
	for name, tt := range map[string]struct {
		path                 string
		object               map[string]any
		pods, idle, cronJobs int
	}{
		"a running pod":                              {"/api/v1/pods", pod("shop", nil, image), 1, 0, 0},
		"two containers of one registry":             {"/api/v1/pods", pod("shop", nil, image, ecrHost+"/other"), 1, 0, 0},
		"a pod that waits for its image":             {"/api/v1/pods", phase("Pending"), 1, 0, 0},
		"a pod that is done":                         {"/api/v1/pods", phase("Succeeded"), 0, 0, 0},
		"a pod that failed":                          {"/api/v1/pods", phase("Failed"), 0, 0, 0},
		"an init container":                          {"/api/v1/pods", inits, 1, 0, 0},
		"an ephemeral container":                     {"/api/v1/pods", debugged, 1, 0, 0},
		"a deployment scaled to zero":                {"/apis/apps/v1/deployments", workload(map[string]any{}, image), 0, 1, 0},
		"a deployment with pods":                     {"/apis/apps/v1/deployments", workload(map[string]any{"replicas": 2}, image), 0, 0, 0},
		"a stateful set scaled to zero":              {"/apis/apps/v1/statefulsets", workload(map[string]any{"replicas": 0}, image), 0, 1, 0},
		"a daemon set without a node":                {"/apis/apps/v1/daemonsets", workload(map[string]any{"currentNumberScheduled": 0}, image), 0, 1, 0},
		"a daemon set with nodes":                    {"/apis/apps/v1/daemonsets", workload(map[string]any{"currentNumberScheduled": 3}, image), 0, 0, 0},
		"the history of a deployment":                {"/apis/apps/v1/replicasets", ownedBy("apps/v1", "Deployment", true), 0, 0, 0},
		"one that a deployment does not control":     {"/apis/apps/v1/replicasets", ownedBy("apps/v1", "Deployment", false), 0, 1, 0},
		"of another group's deployment":              {"/apis/apps/v1/replicasets", ownedBy("example.com/v1", "Deployment", true), 0, 1, 0},
		"of another kind":                            {"/apis/apps/v1/replicasets", ownedBy("apps/v1", "Other", true), 0, 1, 0},
		"a replica set of somebody else's":           {"/apis/apps/v1/replicasets", ownedBy("argoproj.io/v1alpha1", "Rollout", true), 0, 1, 0},
		"a replication controller scaled to zero":    {"/api/v1/replicationcontrollers", workload(map[string]any{}, image), 0, 1, 0},
		"a suspended job":                            {"/apis/batch/v1/jobs", workload(map[string]any{}, image), 0, 1, 0},
		"a running job, whose pod is counted":        {"/apis/batch/v1/jobs", workload(map[string]any{"active": 1}, image), 0, 0, 0},
		"a finished job":                             {"/apis/batch/v1/jobs", finished, 0, 0, 0},
		"a failed job":                               {"/apis/batch/v1/jobs", failed, 0, 0, 0},
		"a CronJob, suspended too":                   {"/apis/batch/v1/cronjobs", cronJob, 0, 0, 1},
		"a workload without a template":              {"/apis/apps/v1/deployments", map[string]any{}, 0, 0, 0},
		"a template that leaves the image to others": {"/apis/apps/v1/deployments", workload(map[string]any{}, ""), 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := Registry{}
			for _, r := range read(t, &fakeAPI{lists: map[string][]any{tt.path: {tt.object}}}).Registries {
				if r.Host == ecrHost {
					got = r
				}
			}
			if got.Pods != tt.pods || got.Idle != tt.idle || got.CronJobs != tt.cronJobs || got.Needs() != tt.pods+tt.idle+tt.cronJobs {
				t.Errorf("%+v, want %d pods, %d idle, %d CronJobs", got, tt.pods, tt.idle, tt.cronJobs)
			}
		})
	}
}

// What pull secrets cover, and what they do not.
func TestPullSecrets(t *testing.T) {
	const auth = `"auth":"QVdTOmh1c2gtaHVzaA=="`
	config := func(at, entry string) string { return fmt.Sprintf(`{"auths":{%q:{%s}}}`, at, entry) }
	const json2, legacy = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"
	image := ecrHost + "/shop/web:1"
	for name, tt := range map[string]struct {
		secrets         []string // of the pod
		images          []string
		secret          map[string]any
		covered, unsure int
		forbid          string
	}{
		"no pull secret":                      {nil, nil, nil, 0, 0, ""},
		"for the registry":                    {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, auth)), 1, 0, ""},
		"with user and password":              {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, `"username":"AWS","password":"hush-hush"`)), 1, 0, ""},
		"as a URL":                            {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config("https://"+ecrHost+"/v1/", auth)), 1, 0, ""},
		"for a pattern":                       {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config("*.dkr.ecr.*.amazonaws.com", auth)), 1, 0, ""},
		"for its repository":                  {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost+"/shop", auth)), 1, 0, ""},
		"for another repository":              {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost+"/other", auth)), 0, 0, ""},
		"for one of two repositories":         {[]string{"s"}, []string{image, ecrHost + "/other/x"}, pullSecret(json2, "shop", "s", config(ecrHost+"/shop", auth)), 0, 0, ""},
		"for another registry":                {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config("registry.example.com", auth)), 0, 0, ""},
		"without credentials":                 {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, `"auth":""`)), 0, 0, ""},
		"with a user alone":                   {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, `"username":"AWS"`)), 0, 0, ""},
		"of the old kind":                     {[]string{"s"}, nil, pullSecret(legacy, "shop", "s", fmt.Sprintf(`{%q:{%s}}`, ecrHost, auth)), 1, 0, ""},
		"of another namespace":                {[]string{"s"}, nil, pullSecret(json2, "other", "s", config(ecrHost, auth)), 0, 0, ""},
		"one of two":                          {[]string{"gone", "s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, auth)), 1, 0, ""},
		"that is no Docker config":            {[]string{"s"}, nil, pullSecret(json2, "shop", "s", `hush-hush`), 0, 0, ""},
		"that does not exist":                 {[]string{"gone"}, nil, nil, 0, 0, ""},
		"that the token may not read":         {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config(ecrHost, auth)), 0, 1, "/api/v1/secrets"},
		"with an entry that is no URL at all": {[]string{"s"}, nil, pullSecret(json2, "shop", "s", config("%zz:::", auth)), 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			images := tt.images
			if images == nil {
				images = []string{image}
			}
			api := &fakeAPI{lists: map[string][]any{"/api/v1/pods": {pod("shop", tt.secrets, images...)}}}
			if tt.secret != nil {
				api.lists["/api/v1/secrets"] = []any{tt.secret}
			}
			if tt.forbid != "" {
				api.refuse = map[string]int{tt.forbid: 403}
			}
			use := read(t, api)
			got := use.Registries[0]
			if got.Covered != tt.covered || got.Unsure != tt.unsure || got.Needs() != 1-tt.covered-tt.unsure {
				t.Errorf("%+v, want %d covered, %d unsure", got, tt.covered, tt.unsure)
			}
			if (len(use.SecretGaps) > 0) != (tt.forbid != "") || len(use.Gaps) > 0 {
				t.Errorf("gaps %q, %q", use.Gaps, use.SecretGaps)
			}
			if tt.secrets == nil && api.asked("/api/v1/secrets") {
				t.Error("secrets were read, and nobody needed them")
			}
			text, err := json.Marshal(use)
			if err != nil || strings.Contains(fmt.Sprintf("%+v%s", use, text), "hush") || strings.Contains(string(text), "QVdT") {
				t.Errorf("%v: credentials are in %s", err, text)
			}
		})
	}
}

// A pod gets its service account's pull secrets when it is made: what is idle
// will have them, what runs has had its chance.
func TestPullSecretsOfServiceAccounts(t *testing.T) {
	account := func(name string, secrets ...string) map[string]any {
		return map[string]any{"metadata": map[string]any{"namespace": "shop", "name": name}, "imagePullSecrets": spec(secrets)["imagePullSecrets"]}
	}
	secret := pullSecret("kubernetes.io/dockerconfigjson", "shop", "s", `{"auths":{"`+ecrHost+`":{"auth":"QVdTOng="}}}`)
	image := ecrHost + "/shop/web"
	own := workload(map[string]any{}, image)
	own["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["serviceAccountName"] = "builder"
	for name, tt := range map[string]struct {
		path            string
		object          map[string]any
		accounts        []any
		covered, unsure int
		forbid          bool
	}{
		"an idle workload":                     {"/apis/apps/v1/deployments", workload(map[string]any{}, image), []any{account("default", "s")}, 1, 0, false},
		"an idle workload with an account":     {"/apis/apps/v1/deployments", own, []any{account("default"), account("builder", "s")}, 1, 0, false},
		"the account of another":               {"/apis/apps/v1/deployments", own, []any{account("default", "s"), account("builder")}, 0, 0, false},
		"an account that is not there":         {"/apis/apps/v1/deployments", own, nil, 0, 0, false},
		"a running pod without":                {"/api/v1/pods", pod("shop", nil, image), []any{account("default", "s")}, 0, 0, false},
		"accounts that the token may not read": {"/apis/apps/v1/deployments", own, nil, 0, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			api := &fakeAPI{lists: map[string][]any{tt.path: {tt.object}, "/api/v1/serviceaccounts": tt.accounts, "/api/v1/secrets": {secret}}}
			if tt.forbid {
				api.refuse = map[string]int{"/api/v1/serviceaccounts": 403}
			}
			use := read(t, api)
			if got := use.Registries[0]; got.Covered != tt.covered || got.Unsure != tt.unsure {
				t.Errorf("%+v, want %d covered, %d unsure; gaps %q", got, tt.covered, tt.unsure, use.SecretGaps)
			}
		})
	}
}

// The first registries are those that matter, and the others are counted.
func TestRegistriesAreSorted(t *testing.T) {
	var pods []any
	for _, image := range []string{"quay.io/a", "nginx", "gcr.io/a", ecrHost + "/a", "alpha.example.com/a"} {
		pods = append(pods, pod("shop", nil, image))
	}
	var hosts []string
	for _, r := range read(t, &fakeAPI{lists: map[string][]any{"/api/v1/pods": pods}}).Registries {
		hosts = append(hosts, r.Host)
	}
	if d := cmp.Diff([]string{ecrHost, "gcr.io", "alpha.example.com", "docker.io", "quay.io"}, hosts); d != "" {
		t.Error(d)
	}
}

// A cluster that names ever more registries, namespaces and images does not fill
// the memory, and what matters is not lost in it.
func TestTallyHasLimits(t *testing.T) {
	tally := newTally()
	for i := range 3 * maxHosts {
		tally.add("x", &podSpec{Containers: []container{{fmt.Sprintf("r%d.example.com/a", i)}}}, asPod)
	}
	tally.add("x", &podSpec{Containers: []container{{ecrHost + "/a"}}}, asPod)
	for i := range maxUses + 1000 {
		tally.add(fmt.Sprintf("ns-%d", i), &podSpec{Containers: []container{{fmt.Sprintf("%s/a-%d", ecrHost, i)}}, ImagePullSecrets: []secretRef{{"s"}}}, asPod)
	}
	use := tally.use(&logins{accountsRead: true, secretsRead: true})
	first := use.Registries[0]
	if len(use.Registries) != maxHosts+1 || use.OtherHosts != maxHosts || len(tally.uses) != maxUses {
		t.Errorf("%d registries, %d others, %d uses", len(use.Registries), use.OtherHosts, len(tally.uses))
	}
	if first.Host != ecrHost || first.Pods != maxUses+1001 || first.Needs() != first.Pods || len(first.Repositories) != maxRepositories || !first.Truncated {
		t.Errorf("%s: %d pods, %d need, %d repositories, %t", first.Host, first.Pods, first.Needs(), len(first.Repositories), first.Truncated)
	}
}
