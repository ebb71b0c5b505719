package rancher_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// revisions serves two recorded revisions of one template, and the cluster made from the first.
func recordedTemplate(t *testing.T, also http.HandlerFunc) *rancher.Client {
	t.Helper()
	return newClient(t, func(w http.ResponseWriter, r *http.Request) {
		for path, name := range map[string]string{
			"/v3/clusterTemplates/cattle-global-data:ct-s6476":          "clustertemplate-created.json",
			"/v3/clusterTemplateRevisions/cattle-global-data:ctr-5gqcx": "clustertemplaterevision.json",
			"/v3/clusterTemplateRevisions/cattle-global-data:ctr-jqc2s": "clustertemplaterevision-created.json",
			"/v3/clusters/c-h2p54": "cluster-rke1-templated.json",
		} {
			if r.Method == http.MethodGet && r.URL.Path == path {
				answer(200, recorded(name))(w, r)
				return
			}
		}
		also(w, r)
	})
}

func TestRecordedTemplate(t *testing.T) {
	c := recordedTemplate(t, answer(404, `{"code":"NotFound"}`))
	template, err := c.Template(t.Context(), "cattle-global-data:ct-s6476")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&rancher.Template{ID: "cattle-global-data:ct-s6476", Name: "std", CanUpdate: true}, template); diff != "" {
		t.Error(diff)
	}
	r, err := c.Revision(t.Context(), "cattle-global-data:ctr-5gqcx")
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "r1" || r.TemplateID != template.ID || !r.Enabled || r.Config == nil || len(r.Secrets) != 0 || len(r.Questions) != 0 {
		t.Errorf("read %v: %+v", r, *r)
	}
	if text := strings.Join([]string{r.String(), r.GoString()}, " "); strings.Contains(text, "AKIAKUBELET") {
		t.Errorf("a revision prints its config: %s", text)
	}
}

// What a real Rancher stored when the cluster was moved is what Move foresees.
func TestMoveForeseesTheRecordedAnswer(t *testing.T) {
	c := recordedTemplate(t, answer(404, "{}"))
	cl, err := c.Cluster(t.Context(), "c-h2p54")
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.Revision(t.Context(), "cattle-global-data:ctr-jqc2s")
	if err != nil {
		t.Fatal(err)
	}
	m, err := to.Move(cl, object(t, string(to.Config)), false)
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Config json.RawMessage `json:"rancherKubernetesEngineConfig"`
	}
	if err := json.Unmarshal([]byte(recorded("put-200-template-cluster-new-revision.json")), &stored); err != nil {
		t.Fatal(err)
	}
	foreseen, err := json.Marshal(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	if paths, err := differences(foreseen, stored.Config); err != nil || len(paths) > 0 {
		t.Errorf("foreseen and stored differ at %v (%v)", paths, err)
	}
	if paths, err := differences(jsonOf(t, m.Before), jsonOf(t, m.After)); err != nil || len(paths) > 0 {
		t.Errorf("beside the config, %v would change (%v)", paths, err)
	}
}

// The move itself, against the recorded answer of a real Rancher: what is sent, and that it counts as done.
func TestMoveAgainstTheRecordings(t *testing.T) {
	var sent string
	moved := false
	c := recordedTemplate(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v3/schemas/cluster":
			answer(200, recorded("schema-cluster.json"))(w, r)
		case r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body)
			sent, moved = string(body), true
			answer(200, recorded("put-200-template-cluster-new-revision.json"))(w, r)
		default:
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
	})
	cl, err := c.Cluster(t.Context(), "c-h2p54")
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.Revision(t.Context(), "cattle-global-data:ctr-jqc2s")
	if err != nil {
		t.Fatal(err)
	}
	m, err := to.Move(cl, object(t, string(to.Config)), false)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := c.MoveToRevision(t.Context(), cl, to.ID, m.Config, differences, false)
	if err != nil || !moved {
		t.Fatalf("sent %v: %v", moved, err)
	}
	if !stored.On(to.ID) {
		t.Errorf("stored on %v", *stored.TemplateRevisionID)
	}
	if want := `{"name":"templated","clusterTemplateRevisionId":"cattle-global-data:ctr-jqc2s","description":""}`; sent != want {
		t.Errorf("sent %s\nwant %s", sent, want)
	}
}

// answeredRevision is one with questions, of a template in the simulated Rancher.
func answeredRevision(t *testing.T, answers map[string]any, questions ...map[string]any) (*rancher.Client, *rancher.Cluster, *rancher.Revision) {
	t.Helper()
	sim, c := demo(t, rancher.Options{})
	sim.AddRevision(simrancher.Revision{ID: "cattle-global-data:ctr-ask01", Template: "cattle-global-data:ct-std00", Question: questions})
	sim.AddCluster(simrancher.Cluster{ID: "c-asked", Name: "asked", Revision: "cattle-global-data:ctr-ask01", Answers: answers, Status: map[string]any{"description": "the shop"}})
	cl, err := c.Cluster(t.Context(), "c-asked")
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Revision(t.Context(), "cattle-global-data:ctr-ask01")
	if err != nil {
		t.Fatal(err)
	}
	return c, cl, r
}

const rkePath = "rancherKubernetesEngineConfig."

func TestAnswersOverwriteTheConfig(t *testing.T) {
	question := func(variable, kind string, more ...any) map[string]any {
		q := map[string]any{"variable": rkePath + variable, "type": kind}
		for i := 0; i < len(more); i += 2 {
			q[more[i].(string)] = more[i+1]
		}
		return q
	}
	for _, tt := range []struct {
		name     string
		question map[string]any
		answer   any
		path     []string
		want     any // nil: refused
	}{
		{"text", question("services.kubelet.clusterDomain", "string"), "shop.local", []string{"services", "kubelet", "clusterDomain"}, "shop.local"},
		{"a number", question("addonJobTimeout", "int"), "60", []string{"addonJobTimeout"}, int64(60)},
		{"a default", question("services.kubelet.clusterDomain", "string", "default", "d.local"), nil, []string{"services", "kubelet", "clusterDomain"}, "d.local"},
		{"the version stays when its answer does", question("kubernetesVersion", "string"), "v1.26.x", []string{"kubernetesVersion"}, "v1.26.15-rancher1-1"},
		{"no answer to a required one", question("services.kubelet.clusterDomain", "string", "required", true), nil, nil, nil},
		{"a hidden password", question("network.weaveNetworkProvider.password", "password", "default", "x"), nil, nil, nil},
		{"no number", question("addonJobTimeout", "int"), "soon", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := map[string]any{}
			if tt.answer != nil {
				answers[tt.question["variable"].(string)] = tt.answer
			}
			_, cl, r := answeredRevision(t, nil, tt.question)
			cl.Answers = map[string]string{}
			for variable, text := range answers {
				cl.Answers[variable] = text.(string)
			}
			cl.Config = json.RawMessage(strings.Replace(string(cl.Config), `"v1.26.x"`, `"v1.26.15-rancher1-1"`, 1))
			m, err := r.Move(cl, object(t, string(r.Config)), false)
			if tt.want == nil {
				if !errors.Is(err, rancher.ErrAnswer) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var at any = m.Config
			for _, key := range tt.path {
				at = at.(map[string]any)[key]
			}
			if at != tt.want {
				t.Errorf("got %v (%T)", at, at)
			}
		})
	}
}

// A revision is copied with its questions, and the cluster moved with its answers and its description.
func TestRevisionIsCopiedAndTheClusterMoved(t *testing.T) {
	variable := rkePath + "services.kubelet.clusterDomain"
	c, cl, r := answeredRevision(t, map[string]any{variable: "shop.local"}, map[string]any{"variable": variable, "type": "string", "required": true, "options": []any{"shop.local", "x.local"}})
	config := object(t, string(r.Config))
	config["services"].(map[string]any)["kubelet"].(map[string]any)["extraArgs"] = map[string]any{"v": "4"}
	made, err := c.CreateRevision(t.Context(), r, rancher.NewRevision{Name: "next", Config: config, Annotations: map[string]string{"mine": "yes"}}, differences)
	if err != nil {
		t.Fatal(err)
	}
	if !made.Enabled || made.Name != "next" || made.Annotations["mine"] != "yes" || len(made.Questions) != 1 || made.Questions[0] != r.Questions[0] {
		t.Errorf("made %+v", *made)
	}
	m, err := made.Move(cl, object(t, string(made.Config)), false)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := c.MoveToRevision(t.Context(), cl, made.ID, m.Config, differences, false)
	if err != nil {
		t.Fatal(err)
	}
	if !stored.On(made.ID) || stored.Description != "the shop" || stored.Answers[variable] != "shop.local" || !strings.Contains(string(stored.Config), `"shop.local"`) {
		t.Errorf("stored %q, %v", stored.Description, stored.Answers)
	}
	// And back, which empties extraArgs.
	old, err := r.Move(stored, object(t, string(r.Config)), true)
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.MoveToRevision(t.Context(), stored, r.ID, old.Config, differences, true)
	if err != nil {
		t.Fatal(err)
	}
	if !back.On(r.ID) || strings.Contains(string(back.Config), `"v":"4"`) || back.Description != "the shop" {
		t.Errorf("back on %s: %s", *back.TemplateRevisionID, back.Config)
	}
	if err := c.DisableRevision(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if now, err := c.Revision(t.Context(), made.ID); err != nil || now.Enabled {
		t.Errorf("still enabled: %v", err)
	}
	if err := c.DisableRevision(t.Context(), &rancher.Revision{ID: made.ID}); !errors.Is(err, rancher.ErrNotUpdatable) {
		t.Errorf("disabled without the action: %v", err)
	}
}

// Without _replace, a map that the old revision does not have would stay: Rancher says 200 and keeps it. The
// comparison finds that out.
func TestMoveBackWithoutReplaceIsFoundOut(t *testing.T) {
	c, cl, r := answeredRevision(t, nil)
	config := object(t, string(r.Config))
	config["services"].(map[string]any)["kubelet"].(map[string]any)["extraBinds"] = []any{"/a:/a"}
	made, err := c.CreateRevision(t.Context(), r, rancher.NewRevision{Name: "next", Config: config}, differences)
	if err != nil {
		t.Fatal(err)
	}
	there, err := made.Move(cl, config, false)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := c.MoveToRevision(t.Context(), cl, made.ID, there.Config, differences, false)
	if err != nil {
		t.Fatal(err)
	}
	back, err := r.Move(stored, object(t, string(r.Config)), false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.MoveToRevision(t.Context(), stored, r.ID, back.Config, differences, false)
	if !errors.Is(err, rancher.ErrNotStored) || !strings.Contains(err.Error(), "extraBinds") {
		t.Errorf("got %v", err)
	}
}

// None of these moves is ever sent.
func TestMovesThatAreNotSent(t *testing.T) {
	revision := "cattle-global-data:ctr-abc12"
	for _, tt := range []struct {
		name, to string
		edit     func(*rancher.Cluster)
		expected map[string]any
		kind     error
	}{
		{"not a template's", revision, func(cl *rancher.Cluster) { cl.TemplateRevisionID = nil }, nil, rancher.ErrNotUpdatable},
		{"an empty revision id stored", revision, func(cl *rancher.Cluster) { cl.TemplateRevisionID = new(string) }, nil, rancher.ErrNotUpdatable},
		{"to the empty revision", "", func(*rancher.Cluster) {}, nil, rancher.ErrOption},
		{"to a path", "cattle-global-data:../clusters", func(*rancher.Cluster) {}, nil, rancher.ErrOption},
		{"no right", revision, func(cl *rancher.Cluster) { cl.CanUpdate = false }, nil, rancher.ErrNotUpdatable},
		{"the revision asks for a restore", revision, func(*rancher.Cluster) {}, map[string]any{"restore": map[string]any{"restore": true}}, rancher.ErrNotUpdatable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
			cl := updatable()
			old := "cattle-global-data:ctr-old01"
			cl.TemplateRevisionID = &old
			tt.edit(cl)
			if tt.expected == nil {
				tt.expected = object(t, config126)
			}
			_, err := c.MoveToRevision(t.Context(), cl, tt.to, tt.expected, differences, false)
			wantError(t, err, tt.kind, "")
		})
	}
}

// Answers about templates that no Rancher gives.
func TestBrokenTemplateAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		kind       error
	}{
		{"another one", `{"id":"cattle-global-data:ctr-other","clusterTemplateId":"x"}`, rancher.ErrBadAnswer},
		{"questions are text", `{"id":"cattle-global-data:ctr-abc12","questions":"none"}`, rancher.ErrBadAnswer},
		{"config is a list", `{"id":"cattle-global-data:ctr-abc12","clusterConfig":[1]}`, rancher.ErrBadAnswer},
		{"a page of HTML", `<html>`, rancher.ErrNotRancher},
		{"cut", `{"id":"cattle-glo`, rancher.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, answer(200, tt.body)).Revision(t.Context(), "cattle-global-data:ctr-abc12")
			wantError(t, err, tt.kind, "")
		})
	}
	for _, id := range []string{"", "ctr-abc12", "cattle-global-data:../x", "a:b/c", "a:\x1b[2J"} {
		c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%q was asked for", r.URL) })
		if _, err := c.Revision(t.Context(), id); !errors.Is(err, rancher.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := c.Template(t.Context(), id); !errors.Is(err, rancher.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Rancher lists what one may see; a revision of another template is none of this one's, whatever the filter said.
func TestRevisionsOfOneTemplate(t *testing.T) {
	c := newClient(t, answer(200, `{"type":"collection","data":[
		{"id":"cattle-global-data:ctr-1","clusterTemplateId":"cattle-global-data:ct-1","name":"one"},
		{"id":"cattle-global-data:ctr-2","clusterTemplateId":"cattle-global-data:ct-2","name":"two"},
		{"id":"cattle-global-data:ctr-3","clusterTemplateId":"cattle-global-data:ct-1","questions":"broken"},
		{"id":"cattle-global-data:ctr-4","clusterTemplateId":"cattle-global-data:ct-1","enabled":"yes"}]}`))
	var names []string
	for r, err := range c.Revisions(t.Context(), "cattle-global-data:ct-1") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"one"}, names); diff != "" {
		t.Error(diff)
	}
}

// A revision that Rancher keeps otherwise than it was sent must not be used.
func TestRevisionKeptOtherwise(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		kind       error
	}{
		{"another config", `{"id":"cattle-global-data:ctr-n","clusterTemplateId":"cattle-global-data:ct-s6476","enabled":true,"clusterConfig":{"rancherKubernetesEngineConfig":{"kubernetesVersion":"v1"}}}`, rancher.ErrNotStored},
		{"disabled", `{"id":"cattle-global-data:ctr-n","clusterTemplateId":"cattle-global-data:ct-s6476","enabled":false,"clusterConfig":{"rancherKubernetesEngineConfig":{"a":"b"}}}`, rancher.ErrNotStored},
		{"without a config", `{"id":"cattle-global-data:ctr-n","clusterTemplateId":"cattle-global-data:ct-s6476","enabled":true}`, rancher.ErrUnknownOutcome},
		{"cut", `{"id":"cattle`, rancher.ErrUnknownOutcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := recordedTemplate(t, answer(201, tt.body))
			of, err := c.Revision(t.Context(), "cattle-global-data:ctr-5gqcx")
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.CreateRevision(t.Context(), of, rancher.NewRevision{Name: "n", Config: map[string]any{"a": "b"}}, differences)
			wantError(t, err, tt.kind, "")
		})
	}
}

func jsonOf(t testing.TB, v any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
