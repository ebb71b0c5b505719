package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/internal/kubelet"
	"rkepatch/internal/newnodes"
	"rkepatch/internal/nodescript"
	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

const (
	readyTemplate = "cattle-global-nt:nt-ready"
	plainTemplate = "cattle-global-nt:nt-plain"
	stockURL      = "https://releases.rancher.com/install-docker/20.10.sh"
	mirrorURL     = "https://mirror.example.com/docker.sh"
)

func nodeScript(o nodescript.Options) []byte {
	config, err := kubelet.BuildConfig(kubelet.Registries()[0], kubelet.Version{Major: 1, Minor: 27}, kubelet.APIv1)
	if err != nil {
		panic(err)
	}
	o.Config = config
	var b bytes.Buffer
	if err := nodescript.Write(&b, o); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func readyUserData() string { return string(nodescript.CloudConfig(nodeScript(nodescript.Options{}))) }

// withPool gives a cluster a node pool; the templates are there already.
func withPool(cluster, template string) func(*simrancher.Server) {
	return func(s *simrancher.Server) {
		s.AddNodeTemplate(simrancher.NodeTemplate{ID: readyTemplate, Name: "ready", DockerInstallURL: stockURL, UserData: readyUserData()})
		s.AddNodeTemplate(simrancher.NodeTemplate{ID: plainTemplate, Name: "plain", DockerInstallURL: stockURL, UserData: "#cloud-config\nhostname: hunter2\n"})
		s.AddNodePool(simrancher.NodePool{ID: cluster + ":np-1", Cluster: cluster, Template: template, Prefix: "w-", Quantity: 3})
	}
}

func servers(all ...func(*simrancher.Server)) func(*simrancher.Server) {
	return func(s *simrancher.Server) {
		for _, f := range all {
			f(s)
		}
	}
}

func withTemplate(t simrancher.NodeTemplate) func(*simrancher.Server) {
	return func(s *simrancher.Server) { s.AddNodeTemplate(t) }
}

func init() {
	findingCases = append(findingCases, []findingCase{
		{code: "new-nodes-unprepared", severity: Warn, gist: []string{"pool w-, template plain", "neither runs nor writes"},
			server: servers(withPool(hasID, plainTemplate), withPool(notID, readyTemplate))},
		{code: "new-nodes-unprepared", note: "for a kubelet that does not take the config", severity: Warn, gist: []string{"a 1.25 kubelet would not start"},
			has: at(v125, simrancher.Cluster{}), not: at(v126, simrancher.Cluster{}),
			server: servers(withPool(hasID, readyTemplate), withPool(notID, readyTemplate))},
		{code: "new-nodes-unknown", note: "a Docker install URL that nobody has read", severity: Warn, gist: []string{"template mirror", "was not read"},
			server: servers(withPool(notID, readyTemplate), withPool(hasID, "cattle-global-nt:nt-mirr1"),
				withTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-mirr1", Name: "mirror", DockerInstallURL: mirrorURL}))},
		{code: "new-nodes-unknown", note: "the installer of the setting", severity: Warn, gist: []string{"was not read"},
			server: servers(withPool(notID, readyTemplate), withPool(hasID, "cattle-global-nt:nt-deflt"),
				withTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-deflt"}), func(s *simrancher.Server) { s.Setting("engine-install-url", mirrorURL) })},
		{code: "new-nodes-unknown", note: "the template is gone", severity: Warn, gist: []string{"template cattle-global-nt:nt-gone1", "or it is gone"},
			server: servers(withPool(notID, readyTemplate), withPool(hasID, "cattle-global-nt:nt-gone1"))},
		{code: "new-nodes-unknown", note: "somebody else's template", severity: Warn, gist: []string{"does not show the template to this token"},
			token:  &simrancher.Token{Key: "token-nodes:0123456789abcdef", User: "user-nodes", Owner: []string{hasID, notID}},
			server: servers(withPool(hasID, plainTemplate), withPool(notID, "cattle-global-nt:nt-mine1"), withTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-mine1", Creator: "user-nodes", DockerInstallURL: stockURL}))},
		{code: "new-nodes-unknown", note: "templates are refused", severity: Warn, gist: []string{"refuses to list node templates"}, everyone: true,
			server: servers(withPool(hasID, plainTemplate), func(s *simrancher.Server) { s.Inject(simrancher.Fault{Path: "/v3/nodeTemplates", Status: 403}) })},
		{code: "new-nodes-unknown", note: "templates are not there", severity: Warn, gist: []string{"refuses to list node templates"}, everyone: true,
			server: servers(withPool(hasID, plainTemplate), func(s *simrancher.Server) { s.Inject(simrancher.Fault{Path: "/v3/nodeTemplates", Status: 404}) })},
		{code: "new-nodes-unknown", note: "pools are refused", severity: Warn, gist: []string{"refuses to list node pools"}, everyone: true,
			server: func(s *simrancher.Server) { s.Inject(simrancher.Fault{Path: "/v3/nodePools", Status: 403}) }},
		{code: "new-nodes-unknown", note: "an odd pool", severity: Warn, gist: []string{"quantity"},
			server: servers(withPool(notID, readyTemplate), func(s *simrancher.Server) {
				s.Inject(simrancher.Fault{Path: "/v3/nodePools", Status: 200, Body: `{"type":"collection","data":[{"id":"` + hasID + `:np-1","clusterId":"` + hasID + `","nodeTemplateId":"` + readyTemplate + `","quantity":"x"}]}`})
			})},
		{code: "new-nodes-unknown", note: "an odd template", severity: Warn, gist: []string{"userdata"},
			server: servers(withPool(hasID, plainTemplate), func(s *simrancher.Server) {
				s.Inject(simrancher.Fault{Path: "/v3/nodeTemplates", Status: 200, Body: `{"type":"collection","data":[{"id":"` + plainTemplate + `","driver":"amazonec2","amazonec2Config":{"userdata":{"hunter2":1}}}]}`})
			})},
		{code: "new-nodes-unknown", note: "an autoscaler among the addons", severity: Warn, gist: []string{"addons install a cluster autoscaler"},
			has: withConfig(object{"addons": "kind: Deployment\nmetadata:\n  name: cluster-autoscaler\n"}), not: withConfig(object{"addons": "kind: Deployment\nmetadata:\n  name: metrics\n"})},
		{code: "new-nodes-unknown", note: "an autoscaler among what is included", severity: Warn, gist: []string{"addons_include install a cluster autoscaler"},
			has: withConfig(object{"addonsInclude": []any{"https://ops:hunter2@m.example/cluster-autoscaler.yaml"}})},
		{code: "new-nodes-custom", severity: Info, gist: []string{"no node pools"},
			server: withPool(notID, plainTemplate)},
	}...)
}

// With Strict, new nodes that are not known to come up block, also on a cluster
// that is patched already; without, they do not.
func TestStrict(t *testing.T) {
	patched := object{"extraArgs": args(kubelet.FlagProviderBinDir, kubelet.DefaultBinDir, kubelet.FlagProviderConfig, kubelet.DefaultProviderConfig),
		"extraBinds": []any{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"}}
	for _, tt := range []struct {
		template      string
		kubelet       object
		loose, strict Action
	}{
		{plainTemplate, nil, ActionPatch, ActionBlocked},
		{"cattle-global-nt:nt-gone1", nil, ActionPatch, ActionBlocked},
		{readyTemplate, nil, ActionPatch, ActionPatch},
		{plainTemplate, patched, ActionNone, ActionBlocked},
		{readyTemplate, patched, ActionNone, ActionNone},
	} {
		r := newRig(t, simrancher.Cluster{ID: "c-aaaaa", Kubelet: tt.kubelet})
		withPool("c-aaaaa", tt.template)(r.sim)
		r.planOf("c-aaaaa", tt.loose)
		r.planner.Strict = true
		r.planOf("c-aaaaa", tt.strict)
	}
}

// A strict plan stays strict when it is carried out from its file, and any plan
// becomes it when apply is told so.
func TestStrictPlanFile(t *testing.T) {
	for _, strict := range []bool{true, false} {
		r := newRig(t)
		r.planner.Strict = strict
		file := &PlanFile{PlanHead: PlanHead{Strict: strict}}
		if got := file.Planner(&Planner{Strict: true}).Strict; !got {
			t.Error("apply --strict is forgotten")
		}
		if got := file.Planner(&Planner{}).Strict; got != strict {
			t.Errorf("strict %v has become %v", strict, got)
		}
	}
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	withPool("c-aaaaa", readyTemplate)(r.sim)
	r.planner.Strict = true
	p := r.planOf("c-aaaaa", ActionPatch)
	r.sim.EditNodeTemplate(readyTemplate, func(nt map[string]any) { nt["amazonec2Config"].(object)["userdata"] = "" })
	if err := r.planner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := r.applyOne(p); o.Status != StatusBlocked || r.puts() != 0 {
		t.Errorf("%s, %d PUTs, although its new nodes are no longer prepared", o, r.puts())
	}
}

// A patch of something else asks nothing about new nodes.
func TestNewNodesOfAnotherPatch(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	withPool("c-aaaaa", plainTemplate)(r.sim)
	r.planner.Patch = rkeconfig.Patch{Args: map[string]string{"max-pods": "200"}}
	for _, code := range codes(r.planOf("c-aaaaa", ActionPatch)) {
		if strings.HasPrefix(code, "new-nodes") {
			t.Error(code)
		}
	}
	if r.count("GET", "/v3/nodePools", "") != 0 {
		t.Error("pools are read for nothing")
	}
}

// Pools and templates are read once for a whole fleet, templates only where there
// are pools, and a template without its driver's config in the list by its id.
func TestNewNodesAreReadOnce(t *testing.T) {
	r := newRig(t)
	for i := range 40 {
		id := fmt.Sprintf("c-%05d", i)
		r.sim.AddCluster(simrancher.Cluster{ID: id})
		withPool(id, plainTemplate)(r.sim)
	}
	r.plan(Selection{All: true})
	if pools, templates := r.count("GET", "/v3/nodePools", ""), r.count("GET", "/v3/nodeTemplates", ""); pools != 1 || templates != 1 {
		t.Errorf("%d lists of pools, %d of templates", pools, templates)
	}
	r.sim.ResetRequests()
	r.sim.Inject(simrancher.Fault{Path: "/v3/nodeTemplates", Count: 1, Status: http.StatusOK,
		Body: `{"type":"collection","data":[{"id":"` + plainTemplate + `","driver":"amazonec2"},{"id":"` + readyTemplate + `","driver":"amazonec2"}]}`})
	plans := r.plan(Selection{All: true})
	if n := len(r.sim.Requests()); n != 7 || r.count("GET", "/v3/nodeTemplates/"+plainTemplate, "") != 1 {
		t.Errorf("%v", r.sim.Requests())
	}
	if _, ok := find(plans[0].Findings, "new-nodes-unprepared"); !ok {
		t.Errorf("%v", plans[0].Findings)
	}
}

// The scripts behind Docker install URLs are read only where that was asked for,
// each once.
func TestReadScript(t *testing.T) {
	for _, tt := range []struct {
		name   string
		text   []byte
		err    error
		code   string
		says   string
		strict Action
	}{
		{"ours", nodeScript(nodescript.Options{DockerInstall: "20.10"}), nil, "", "", ActionPatch},
		{"ours for another place", nodeScript(nodescript.Options{BinDir: "/srv/bin"}), nil, "new-nodes-unprepared", "/srv/bin", ActionBlocked},
		{"somebody's", []byte("#!/bin/sh\n# hunter2\n"), nil, "new-nodes-unknown", "not one of rkepatch", ActionBlocked},
		{"unreadable", nil, errors.New("the server answered 404"), "new-nodes-unknown", "404", ActionBlocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"}, simrancher.Cluster{ID: "c-bbbbb"})
			for _, id := range []string{"c-aaaaa", "c-bbbbb"} {
				withPool(id, "cattle-global-nt:nt-mirr1")(r.sim)
			}
			r.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-mirr1", DockerInstallURL: mirrorURL})
			reads := 0
			r.planner.ReadScript = func(_ context.Context, address string) ([]byte, error) {
				if reads++; address != mirrorURL {
					t.Errorf("%s was read", address)
				}
				return tt.text, tt.err
			}
			r.planner.Strict = true
			p := r.planOf("c-aaaaa", tt.strict)
			if reads != 1 {
				t.Errorf("read %d times", reads)
			}
			if f, ok := find(p.Findings, tt.code); ok != (tt.code != "") || !strings.Contains(f.Message, tt.says) || strings.Contains(f.Message, "hunter2") {
				t.Errorf("%v", p.Findings)
			}
		})
	}
}

// A fleet whose templates have long names and reasons has short findings.
func TestNewNodeFindingsAreShort(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa"})
	for i := range 30 {
		id := fmt.Sprintf("cattle-global-nt:nt-%05d", i)
		r.sim.AddNodeTemplate(simrancher.NodeTemplate{ID: id, DockerInstallURL: stockURL})
		for k := range 10 {
			r.sim.AddNodePool(simrancher.NodePool{ID: fmt.Sprintf("c-aaaaa:np-%d-%d", i, k), Cluster: "c-aaaaa", Template: id, Prefix: fmt.Sprintf("w-%d-%d-", i, k)})
		}
	}
	f, ok := find(r.planOf("c-aaaaa", ActionPatch).Findings, "new-nodes-unprepared")
	if !ok || !strings.Contains(f.Message, "and 27 more") || !strings.Contains(f.Message, "and 5 more") || len(f.Message) > 1000 {
		t.Errorf("%d bytes: %s", len(f.Message), f.Message)
	}
}

// What is found of templates and their users.
func TestTemplates(t *testing.T) {
	r := newRig(t, simrancher.Cluster{ID: "c-aaaaa", Name: "alpha"}, simrancher.Cluster{ID: "c-bbbbb", Name: "beta", KubernetesVersion: v125},
		simrancher.Cluster{ID: "c-ccccc", Name: "gamma"}, simrancher.Cluster{ID: "c-ddddd", Name: "delta", Driver: "rke2"})
	withPool("c-aaaaa", readyTemplate)(r.sim)
	withPool("c-bbbbb", readyTemplate)(r.sim)
	r.sim.AddNodePool(simrancher.NodePool{ID: "c-aaaaa:np-2", Cluster: "c-aaaaa", Template: plainTemplate, Prefix: "cp-", ControlPlane: true, Quantity: 1})
	r.sim.AddNodePool(simrancher.NodePool{ID: "c-aaaaa:np-3", Cluster: "c-aaaaa", Template: "cattle-global-nt:nt-gone1"})
	r.sim.AddNodePool(simrancher.NodePool{ID: "c-zzzzz:np-1", Cluster: "c-zzzzz", Template: plainTemplate, Prefix: "z-"})

	got, err := r.planner.NodeTemplates(t.Context(), Selection{Names: []string{"alpha", "gamma"}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, u := range got.Uses {
		lines = append(lines, fmt.Sprintf("%s %s %s %v %d/%d %v", u.Name, u.Driver, u.Verdict.State, u.Readable(), len(u.Pools), len(u.Others), ClustersOf(u.Others)))
	}
	want := []string{
		"cattle-global-nt:nt-gone1  unknown false 1/0 []",
		"plain amazonec2 unprepared true 1/1 [c-zzzzz]",
		"ready amazonec2 prepared true 1/1 [beta]",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if names := ClustersOf(got.Custom); !slices.Equal(names, []string{"gamma"}) || got.Unseen != "" {
		t.Errorf("without pools: %v, %q", names, got.Unseen)
	}

	// The worst of the selected clusters' versions counts.
	if got, err = r.planner.NodeTemplates(t.Context(), Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	if v := got.Uses[len(got.Uses)-1].Verdict; v.State != newnodes.Unprepared || !strings.Contains(v.Reason, "1.25") {
		t.Errorf("%+v", v)
	}
	if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), "hunter2") {
		t.Errorf("user data is shown: %s, %v", text, err)
	}

	r.sim.Inject(simrancher.Fault{Path: "/v3/nodePools", Status: 403, Count: 1})
	if got, err = r.planner.NodeTemplates(t.Context(), Selection{All: true}); err != nil || got.Unseen == "" || len(got.Custom) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	r.sim.Inject(simrancher.Fault{Path: "/v3/nodePools", Status: 500, Count: 1})
	if _, err = r.planner.NodeTemplates(t.Context(), Selection{All: true}); !errors.Is(err, rancher.ErrServer) {
		t.Errorf("%v", err)
	}
}
