package rancher_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

const (
	plainTemplate = "cattle-global-nt:nt-plain"
	recordedNT    = "cattle-global-nt:nt-v8rkg"
	mirrorURL     = "https://mirror.example/install_docker_and_ecr.sh"
)

func template(t *testing.T, c *rancher.Client, id string) *rancher.NodeTemplate {
	t.Helper()
	nt, err := c.NodeTemplate(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return nt
}

// Either field is set in the simulated Rancher, which merges as norman does: every
// other byte that is stored stays, the hidden keys included.
func TestSetTemplateField(t *testing.T) {
	for _, tt := range []struct {
		field  rancher.TemplateField
		values []string
	}{
		{rancher.FieldDockerInstallURL, []string{mirrorURL, "", "none"}},
		{rancher.FieldUserData, []string{"#!/bin/sh\nid", "#cloud-config\nruncmd: [a]", ""}},
	} {
		sim, c := demo(t, rancher.Options{})
		sim.EditNodeTemplate(plainTemplate, func(nt map[string]any) {
			nt["engineLabel"] = map[string]any{"a": "b"}
			nt["amazonec2Config"].(map[string]any)["sshKeyContents"] = "a-private-key"
		})
		want := sim.StoredNodeTemplate(plainTemplate)
		for _, value := range tt.values {
			now, err := c.SetTemplateField(t.Context(), template(t, c, plainTemplate), tt.field, value)
			if err != nil {
				t.Fatalf("%s: %v", tt.field, err)
			}
			if now.Get(tt.field) != value {
				t.Errorf("%s is read back as %q, want %q", tt.field, now.Get(tt.field), value)
			}
			if tt.field == rancher.FieldUserData {
				want["amazonec2Config"].(map[string]any)["userdata"] = value
			} else {
				want["engineInstallURL"] = value
			}
			stored := sim.StoredNodeTemplate(plainTemplate)
			if d := cmp.Diff(want, stored); d != "" {
				t.Errorf("%s to %q has changed more:\n%s", tt.field, value, d)
			}
			config := stored["amazonec2Config"].(map[string]any)
			if config["secretKey"] != simrancher.DriverSecret || config["sshKeyContents"] != "a-private-key" {
				t.Error("a hidden key is lost")
			}
		}
	}
}

// What Rancher 2.9.1 answered to such a PUT is taken for what it was: stored, and
// nothing else changed.
func TestSetTemplateFieldOfTheRecording(t *testing.T) {
	var sent map[string]any
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		answer := recorded("nodetemplate-amazonec2.json")
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			sent = object(t, string(body))
		}
		if sent != nil {
			answer = recorded("put-200-nodetemplate.json")
		}
		_, _ = io.WriteString(w, answer)
	})
	before := template(t, c, recordedNT)
	if before.Driver != "amazonec2" || before.Name != "ec2-worker" || !before.CanUpdate || !before.HasConfig || before.UserData != "" ||
		before.DockerInstallURL != "https://releases.rancher.com/install-docker/20.10.sh" {
		t.Errorf("%+v", *before)
	}
	if _, err := c.SetTemplateField(t.Context(), before, rancher.FieldDockerInstallURL, mirrorURL); err != nil {
		t.Fatal(err)
	}
	whole := object(t, recorded("nodetemplate-amazonec2.json"))
	want := map[string]any{"engineInstallURL": mirrorURL, "amazonec2Config": whole["amazonec2Config"]}
	if d := cmp.Diff(want, sent); d != "" {
		t.Errorf("the body is not the driver's config and the edit:\n%s", d)
	}
}

// A PUT whose answer, or what is read afterwards, shows anything else is not a
// success.
func TestSetTemplateFieldNotStored(t *testing.T) {
	for name, edit := range map[string]func(nt map[string]any){
		"not stored at all":      func(nt map[string]any) { nt["engineInstallURL"] = "https://old" },
		"a driver field is gone": func(nt map[string]any) { delete(nt["amazonec2Config"].(map[string]any), "region") },
		"a driver field changed": func(nt map[string]any) { nt["amazonec2Config"].(map[string]any)["securityGroup"] = []any{"all"} },
		"a driver field came":    func(nt map[string]any) { nt["amazonec2Config"].(map[string]any)["tags"] = "x" },
		"a list got longer": func(nt map[string]any) {
			nt["amazonec2Config"].(map[string]any)["securityGroup"] = []any{"rancher-nodes", "b"}
		},
		"the config is no object": func(nt map[string]any) { nt["amazonec2Config"] = "gone" },
		"the config is gone":      func(nt map[string]any) { nt["amazonec2Config"] = nil },
		"another template's uuid": func(nt map[string]any) { nt["uuid"] = "x" },
		"a label is gone":         func(nt map[string]any) { nt["labels"] = nil },
		"the name changed":        func(nt map[string]any) { nt["name"] = "x" },
	} {
		for _, when := range []string{"in the answer", "read back"} {
			t.Run(name+" "+when, func(t *testing.T) {
				puts := 0
				c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					file := "nodetemplate-amazonec2.json"
					if r.Method == http.MethodPut {
						puts++
					}
					if puts > 0 {
						file = "put-200-nodetemplate.json"
					}
					nt := object(t, recorded(file))
					if puts > 0 && (r.Method == http.MethodPut) == (when == "in the answer") {
						edit(nt)
					}
					_ = json.NewEncoder(w).Encode(nt)
				})
				_, err := c.SetTemplateField(t.Context(), template(t, c, recordedNT), rancher.FieldDockerInstallURL, mirrorURL)
				if errors.Is(err, rancher.ErrUnknownOutcome) && strings.Contains(err.Error(), "in the field") {
					return // it was not even read
				}
				wantError(t, err, rancher.ErrNotStored, "updating node template "+recordedNT)
				if puts != 1 {
					t.Errorf("%d PUTs", puts)
				}
			})
		}
	}
}

// Where it is open what was stored, nothing is repeated and the error says so.
func TestSetTemplateFieldUnknown(t *testing.T) {
	for name, fault := range map[string]simrancher.Fault{
		"answer lost":             {Lost: true},
		"connection reset":        {Reset: true},
		"conflict":                {Status: 409},
		"stored, then 500":        {Status: 500, AfterStore: true},
		"a gateway's 502":         {Status: 502, AfterStore: true, Body: "<html>hunter2</html>"},
		"answer cut":              {CutAt: 40},
		"answer garbled":          {Garble: true},
		"answer about another":    {Status: 200, Body: `{"id":"cattle-global-nt:nt-other"}`, AfterStore: true},
		"answer is no object":     {Status: 200, Body: `[]`, AfterStore: true},
		"answer has wrong fields": {Status: 200, Body: `{"id":"` + plainTemplate + `","name":{"a":1}}`, AfterStore: true},
	} {
		t.Run(name, func(t *testing.T) {
			sim, c := demo(t, rancher.Options{})
			nt := template(t, c, plainTemplate)
			fault.Method, fault.Path, fault.Count = http.MethodPut, "/v3/nodeTemplates/", 1
			sim.Inject(fault)
			_, err := c.SetTemplateField(t.Context(), nt, rancher.FieldDockerInstallURL, mirrorURL)
			wantError(t, err, rancher.ErrUnknownOutcome)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a foreign page is in %v", err)
			}
			if n := len(putsOf(sim)); n != 1 {
				t.Errorf("%d PUTs", n)
			}
		})
	}
}

func putsOf(sim *simrancher.Server) []simrancher.Request {
	return slices.DeleteFunc(sim.Requests(), func(r simrancher.Request) bool { return r.Method != http.MethodPut })
}

func TestSetTemplateFieldRefused(t *testing.T) {
	const vsphere = "cattle-global-nt:nt-vsph1"
	sim, c := demo(t, rancher.Options{})
	sim.AddNodeTemplate(simrancher.NodeTemplate{ID: vsphere, Driver: "vmwarevsphere"})
	_, err := c.SetTemplateField(t.Context(), template(t, c, vsphere), rancher.FieldUserData, "#!/bin/sh\n")
	wantError(t, err, rancher.ErrNotUpdatable, "driver vmwarevsphere take no user data")
	if _, err := c.SetTemplateField(t.Context(), template(t, c, vsphere), rancher.FieldDockerInstallURL, mirrorURL); err != nil {
		t.Errorf("its Docker install URL can be set: %v", err)
	}

	nt := template(t, c, plainTemplate)
	sim.DeleteNodeTemplate(plainTemplate) // the pools still name it
	_, err = c.SetTemplateField(t.Context(), nt, rancher.FieldDockerInstallURL, mirrorURL)
	wantError(t, err, rancher.ErrNotFound)
	if _, err = c.NodeTemplate(t.Context(), plainTemplate); !errors.Is(err, rancher.ErrNotFound) {
		t.Errorf("%v", err)
	}

	for nt, err := range c.NodeTemplates(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.SetTemplateField(t.Context(), nt, rancher.FieldDockerInstallURL, mirrorURL)
		wantError(t, err, rancher.ErrOption, "was not read on its own")
	}

	_, c = demo(t, rancher.Options{})
	_, err = c.SetTemplateField(t.Context(), template(t, c, plainTemplate), rancher.FieldUserData, strings.Repeat("x", rancher.MaxBodyBytes))
	wantError(t, err, rancher.ErrTooLarge)

	// Seen by one user, who may not change it.
	c = newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		nt := object(t, recorded("nodetemplate-amazonec2.json"))
		delete(nt["links"].(map[string]any), "update")
		_ = json.NewEncoder(w).Encode(nt)
	})
	_, err = c.SetTemplateField(t.Context(), template(t, c, recordedNT), rancher.FieldDockerInstallURL, mirrorURL)
	wantError(t, err, rancher.ErrNotUpdatable, "may not update")

	// Without the driver's config there is nothing to send along.
	c = newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		nt := object(t, recorded("nodetemplate-amazonec2.json"))
		delete(nt, "amazonec2Config")
		_ = json.NewEncoder(w).Encode(nt)
	})
	_, err = c.SetTemplateField(t.Context(), template(t, c, recordedNT), rancher.FieldDockerInstallURL, mirrorURL)
	wantError(t, err, rancher.ErrNotUpdatable, "does not show the config of its driver")
}

// A token sees the templates of its user, all pools of its clusters, and no more.
func TestNodeTemplatesOfOthers(t *testing.T) {
	sim, c := demo(t, rancher.Options{Token: simrancher.OwnerToken})
	sim.AddNodeTemplate(simrancher.NodeTemplate{ID: "cattle-global-nt:nt-owned", Creator: "user-w8kx2"})
	all, err := collect(c.NodeTemplates(t.Context()))
	if err != nil || len(all) != 1 || all[0].ID != "cattle-global-nt:nt-owned" || !all[0].CanUpdate {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := c.NodeTemplate(t.Context(), plainTemplate); !errors.Is(err, rancher.ErrForbidden) {
		t.Errorf("%v", err)
	}
	if _, err := c.SetTemplateField(t.Context(), template(t, c, "cattle-global-nt:nt-owned"), rancher.FieldDockerInstallURL, mirrorURL); err != nil {
		t.Error(err)
	}
	pools, err := collect(c.NodePools(t.Context()))
	if err != nil || len(pools) != 3 {
		t.Errorf("%v, %v", pools, err)
	}
}

func TestNodePools(t *testing.T) {
	c := newClient(t, answer(200, `{"type":"collection","data":[`+recorded("nodepool-created.json")+`,
		{"id":"c-2:np-2","clusterId":"c-2","quantity":"many","nodeTemplateId":"cattle-global-nt:nt-x"}]}`))
	pools, err := collect(c.NodePools(t.Context()))
	if err != nil || len(pools) != 2 {
		t.Fatalf("%v, %v", pools, err)
	}
	want := &rancher.NodePool{ID: "c-6wjgc:np-f8zjk", ClusterID: "c-6wjgc", HostnamePrefix: "w-", NodeTemplateID: recordedNT, Worker: true}
	if d := cmp.Diff(want, pools[0]); d != "" {
		t.Error(d)
	}
	if pools[1].ClusterID != "c-2" || !strings.Contains(pools[1].Problem, "quantity") {
		t.Errorf("%+v: an odd pool must not hide the others, nor pass for a good one", pools[1])
	}
}

// Hostile lists and objects end in an error or in a Problem, never in a panic or
// in user data in a text.
func TestHostileNodeTemplates(t *testing.T) {
	const secret = "hunter2-user-data"
	for name, item := range map[string]string{
		"user data is an object":  `{"id":"n:t","driver":"amazonec2","amazonec2Config":{"userdata":{"a":"` + secret + `"}}}`,
		"user data is a number":   `{"id":"n:t","driver":"amazonec2","amazonec2Config":{"userdata":7}}`,
		"the config is a list":    `{"id":"n:t","driver":"amazonec2","amazonec2Config":["` + secret + `"]}`,
		"the driver is an object": `{"id":"n:t","driver":{"a":1}}`,
		"the name is a list":      `{"id":"n:t","name":["a"],"driver":"amazonec2"}`,
		"the links are text":      `{"id":"n:t","links":"x"}`,
	} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/nodeTemplates") {
				item := `{"type":"collection","data":[` + item + `,{"id":"n:good","driver":"x"}]}`
				_, _ = io.WriteString(w, item)
				return
			}
			_, _ = io.WriteString(w, item)
		})
		all, err := collect(c.NodeTemplates(t.Context()))
		if err != nil || len(all) != 2 || all[0].Problem == "" || all[1].Problem != "" {
			t.Errorf("%s: %v, %v", name, all, err)
			continue
		}
		_, err = c.NodeTemplate(t.Context(), "n:t")
		wantError(t, err, rancher.ErrBadAnswer)
		if strings.Contains(fmt.Sprint(all[0].Problem, err), secret) {
			t.Errorf("%s: user data in a text: %v %v", name, all[0].Problem, err)
		}
	}
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	c := newClient(t, answer(200, `{"id":"n:t","driver":"amazonec2","amazonec2Config":`+deep+`}`))
	if _, err := c.NodeTemplate(t.Context(), "n:t"); err == nil {
		t.Error("nested twenty thousand deep, and taken")
	}
	for _, id := range []string{"", "nt-plain", "../clusters/c-prod1", "a:b:c", "cattle-global-nt:nt-x?y", "cattle-global-nt:nt/x"} {
		if _, err := c.NodeTemplate(t.Context(), id); !errors.Is(err, rancher.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// However it is printed, a template shows no user data.
func TestNodeTemplatePrintsNoUserData(t *testing.T) {
	sim, c := demo(t, rancher.Options{})
	sim.EditNodeTemplate(plainTemplate, func(nt map[string]any) {
		nt["amazonec2Config"].(map[string]any)["userdata"] = "password: hunter2"
	})
	nt := template(t, c, plainTemplate)
	for _, text := range []string{fmt.Sprint(nt), fmt.Sprintf("%+v %#v %v", nt, *nt, *nt), nt.LogValue().String()} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "eu-worker-plain") {
			t.Error(text)
		}
	}
}

func TestTakesUserData(t *testing.T) {
	_, c := demo(t, rancher.Options{})
	for driver, want := range map[string]bool{"amazonec2": true, "vmwarevsphere": false, "unheard-of": false, "": false} {
		if got, err := c.TakesUserData(t.Context(), driver); got != want || err != nil {
			t.Errorf("%q: %v, %v", driver, got, err)
		}
	}
	// A driver whose field of that name is something else, or cannot be changed.
	for _, field := range []string{`{"type":"int","update":true}`, `{"type":"string","update":false}`} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/nodeTemplate") {
				_, _ = io.WriteString(w, `{"id":"nodeTemplate","resourceFields":{"oddConfig":{"type":"oddconfig"}}}`)
				return
			}
			_, _ = io.WriteString(w, `{"id":"oddconfig","resourceFields":{"userdata":`+field+`}}`)
		})
		if got, err := c.TakesUserData(t.Context(), "odd"); got || err != nil {
			t.Errorf("%s: %v, %v", field, got, err)
		}
	}
}
