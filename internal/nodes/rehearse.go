package nodes

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"rkepatch/internal/kubelet"
)

// Rehearsal is what came of running a node's provider as its kubelet would: in
// the host's network, with the kubelet's environment, as its config says, and, if
// the running kubelet sees the provider, among the kubelet's files. The
// credentials themselves never left the node.
type Rehearsal struct {
	Image    string        // asked for, without tag
	Provider string        // its name in the config
	OK       bool          // credentials came back that the kubelet would take
	ExitCode int           // of the provider; 124 or 137 when it was stopped after a minute
	Took     time.Duration // to 10 ms
	API      string        // of the answer, such as "v1"
	KeyType  string        // "Registry", "Image", "Global"
	Cached   string        // for how long, such as "6h0m0s"; "none" when the provider leaves it to the config
	// Registries are those that credentials came for, as far as they are made of
	// parts of Image and wildcards; Others counts the rest.
	Registries []string
	Others     int
	// Said is what the provider printed on standard error, reduced to words that
	// cannot be a secret.
	Said string
}

// pluginTimeout is how long a kubelet waits for a provider (kubernetes v1.26.15
// pkg/credentialprovider/plugin/plugin.go:395).
const pluginTimeout = time.Minute

// rehearse adds a rehearsal to every report whose provider can be run.
func (c *Checker) rehearse(ctx context.Context, w *crew, q Query, nodes []*corev1.Node, reports []NodeReport) {
	images := []string{q.RehearseImage}
	if q.RehearseImage == "" {
		images = c.images(ctx)
	}
	each(ctx, q.Parallel, nodes, reports, func(n *corev1.Node, r *NodeReport) { c.rehearseNode(ctx, w, q, n, images, r) })
}

func (c *Checker) rehearseNode(ctx context.Context, w *crew, q Query, n *corev1.Node, images []string, r *NodeReport) {
	if r.Provider == nil {
		return // a finding says why
	}
	if r.Provider.Config == nil || r.Worst() == kubelet.Fatal {
		r.Findings = append(r.Findings, finding(rehearsalSkipped, "the provider was not rehearsed: what the check found comes first"))
		return
	}
	p, image := choose(readConfig(r.Provider.Config), q.registry().Kind, images)
	if image == "" {
		r.Findings = append(r.Findings, finding(rehearsalNoImage, "the provider was not rehearsed: none of the %d images looked at matches a pattern of the config", len(images)))
		return
	}
	e, f := c.errand(q, n)
	if f != nil {
		r.Findings = append(r.Findings, *f)
		return
	}
	e = rehearseErrand(e, rehearseArgs(q, r, p, image))
	c.say(n.Name, "rehearsing with "+oneLine(image))
	a, findings := w.do(ctx, e)
	r.Findings = append(r.Findings, findings...)
	if a == nil {
		return
	}
	rehearsal, f, err := readRehearsal(a.message, p, image)
	if err != nil {
		r.Findings = append(r.Findings, garbled(a, err))
		return
	}
	r.Rehearsal = rehearsal
	if f != nil {
		r.Findings = append(r.Findings, *f)
	}
}

// rehearseErrand makes e one that may read another process's environment, and
// run a program in its file system.
func rehearseErrand(e errand, args []string) errand {
	e.command, e.purpose = script(modeRehearse, args...), modeRehearse
	e.hostPID, e.unconfined, e.capabilities = true, true, []corev1.Capability{"SYS_CHROOT", "SYS_PTRACE"}
	e.timeout = max(e.timeout, pluginTimeout+30*time.Second)
	return e
}

// choose gives the first entry of the config and the first image that match, and
// the image's name as the kubelet passes it on. The wanted registry's entries are
// tried before all others.
func choose(config []provider, wanted kubelet.Kind, images []string) (provider, string) {
	ours := slices.DeleteFunc(slices.Clone(config), func(p provider) bool {
		r, ok := kubelet.RegistryOfProvider(p.Name)
		return !ok || r.Kind != wanted
	})
	if p, image := matching(ours, images); image != "" {
		return p, image
	}
	return matching(config, images)
}

func matching(config []provider, images []string) (provider, string) {
	for _, image := range images {
		repository := kubelet.Repository(image)
		for _, p := range config {
			for _, pattern := range p.MatchImages {
				if ok, err := kubelet.Matches(pattern, repository); err == nil && ok {
					return p, repository
				}
			}
		}
	}
	return provider{}, ""
}

func rehearseArgs(q Query, r *NodeReport, p provider, image string) []string {
	request, _ := json.Marshal(map[string]string{"kind": "CredentialProviderRequest", "apiVersion": p.APIVersion, "image": image}) // strings always marshal
	environment := "kubelet"
	// Older kubelets pass on the config's env only (kubernetes v1.22.17
	// pkg/credentialprovider/plugin/plugin.go:388).
	if v, err := kubelet.ParseVersion(r.Version); err == nil && v.Before(1, 23) {
		environment = "config"
	}
	return append(pathArgs(q), "--provider", p.Name, "--request", string(request), "--environment", environment, "--node", r.Name,
		"--config-awk", configAwk, "--response-awk", responseAwk, "--words-awk", wordsAwk, "--words", strings.Join(strings.Fields(words), " "),
		"--run-timeout", "60")
}

// obstacles say why the script did not run the provider.
var obstacles = map[string]string{
	"untooled":    "the image of the check has no timeout command",
	"config":      "the config is written so that its env and args cannot be read for certain with simple means",
	"kubelet":     "no kubelet process was found on the node",
	"environment": "the kubelet's environment cannot be read, or is very large",
	"files":       "its env or args name files, and the provider cannot be run where the running kubelet sees its files: no kubelet was found, or its container does not have the provider yet",
}

// readRehearsal reads the answer of modeRehearse and says what is wrong with
// what came of it; nil when all is well.
func readRehearsal(text string, p provider, image string) (*Rehearsal, *Finding, error) {
	m, err := readMessage(text)
	if err != nil {
		return nil, nil, err
	}
	one := map[string]string{}
	for _, key := range []string{"obstacle", "took", "exit", "said", "response", "api", "keytype", "duration", "kept", "full"} {
		if one[key], err = m.one(key); err != nil {
			return nil, nil, err
		}
	}
	if obstacle := one["obstacle"]; obstacle != "" {
		f := finding(rehearsalImpossible, "the provider was not rehearsed: %s", orUnknown(obstacles[obstacle]))
		return nil, &f, nil
	}
	exit := count(one["exit"])
	if exit < 0 || exit > 255 || count(one["took"]) < 0 {
		exit = 255
	}
	r := &Rehearsal{
		Image: image, Provider: p.Name, ExitCode: int(exit), Took: time.Duration(max(0, count(one["took"]))) * time.Millisecond,
		API: oneLine(one["api"]), KeyType: oneLine(one["keytype"]), Cached: oneLine(one["duration"]), Said: lastWords(one["said"]),
		Others: int(max(0, min(count(one["kept"]), 1000))),
	}
	for _, registry := range m["registry"] {
		r.Registries = append(r.Registries, oneLine(registry))
	}
	if r.ExitCode != 0 {
		f := finding(classify(p.Name, one["said"], r.ExitCode, r.Took), "the provider %s failed with exit code %d after %s, asked for %s; it said: %s",
			oneLine(p.Name), r.ExitCode, r.Took, oneLine(image), orUnknown(r.Said))
		return r, &f, nil
	}
	var wrong string
	switch {
	case one["response"] != "ok":
		wrong = "it printed no CredentialProviderResponse"
	case r.API != path.Base(p.APIVersion):
		wrong = "it answers in API version " + r.API + ", the config says " + oneLine(path.Base(p.APIVersion))
	case !slices.Contains([]string{"Registry", "Image", "Global"}, r.KeyType):
		wrong = "its cacheKeyType is none that the kubelet knows"
	case count(one["full"]) <= 0:
		wrong = "it holds no password"
	default:
		r.OK = true
		return r, nil, nil
	}
	f := finding(rehearsalBadAnswer, "the provider %s answered for %s, but %s", oneLine(p.Name), oneLine(image), wrong)
	return r, &f, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "nothing that can be shown"
	}
	return s
}
