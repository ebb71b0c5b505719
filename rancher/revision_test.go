package rancher_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"rkepatch/rancher"
)

// Which secrets a revision has without anybody having entered a password.
func TestImpliedSecrets(t *testing.T) {
	for config, want := range map[string]string{
		`{}`: "",
		`{"privateRegistries":[{"url":"r.example"}]}`:                                             "privateRegistrySecret",
		`{"privateRegistries":[{"ecrCredentialPlugin":{"awsAccessKeyId":"x"}}]}`:                  "privateRegistryECRSecret privateRegistrySecret",
		`{"services":{"kubelet":{"extraEnv":["A=1","AWS_SECRET_ACCESS_KEY=x=y"]}}}`:               "kubeletExtraEnvSecret",
		`{"privateRegistries":"none","services":[]}`:                                              "",
		`{"privateRegistries":[],"services":{"kubelet":{"extraEnv":["AWS_ACCESS_KEY_ID=AKIA"]}}}`: "",
	} {
		if got := strings.Join(rancher.Implied(json.RawMessage(config)), " "); got != want {
			t.Errorf("%s: got %q, want %q", config, got, want)
		}
	}
}

// Rancher trims what is posted: that is no reason to take the revision for another one.
func TestCreatedRevisionIsTrimmed(t *testing.T) {
	c, _, r := answeredRevision(t, nil, map[string]any{"variable": rkePath + "addonJobTimeout", "type": "int", "default": "45", "description": "how long \n"})
	config := object(t, string(r.Config))
	config["addons"] = "kind: A\n"
	made, err := c.CreateRevision(t.Context(), r, rancher.NewRevision{Name: "next", Config: config}, differences)
	if err != nil {
		t.Fatal(err)
	}
	if got := object(t, string(made.Config))["addons"]; got != "kind: A" {
		t.Errorf("kept %q", got)
	}
}

// A revision that does not say whether it is enabled is.
func TestRevisionWithoutEnabled(t *testing.T) {
	for body, want := range map[string]bool{``: true, `,"enabled":null`: true, `,"enabled":true`: true, `,"enabled":false`: false} {
		r, err := newClient(t, answer(200, `{"id":"cattle-global-data:ctr-abc12"`+body+`}`)).Revision(t.Context(), "cattle-global-data:ctr-abc12")
		if err != nil || r.Enabled != want {
			t.Errorf("%q: %v, %v", body, r, err)
		}
	}
}

// The action answers 204 with nothing in it; what counts is how the revision is afterwards.
func TestDisableRevision(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		works  bool
		kind   error
	}{
		{"204", 204, true, nil},
		{"still enabled", 204, false, rancher.ErrNotStored},
		{"refused", 403, false, rancher.ErrForbidden},
		{"broken", 502, false, rancher.ErrUnknownOutcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			enabled := "true"
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					if tt.works {
						enabled = "false"
					}
					w.Header().Set("X-API-Schemas", "https://x/v3/schemas")
					w.WriteHeader(tt.status)
					return
				}
				answer(200, `{"id":"cattle-global-data:ctr-1","name":"x","enabled":`+enabled+`,"actions":{"disable":"x"}}`)(w, r)
			})
			r, err := c.Revision(t.Context(), "cattle-global-data:ctr-1")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.DisableRevision(t.Context(), r); !errors.Is(err, tt.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Rancher itself says whether a cluster uses a revision, as recorded.
func TestRevisionInUse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		used   bool
		kind   error
	}{
		{"recorded", answer(422, recorded("error-422-put-revision-in-use.json")), true, nil},
		{"not used", answer(200, `{}`), false, nil},
		{"another refusal", answer(422, `{"type":"error","code":"MissingRequired","status":422}`), false, rancher.ErrValidation},
		{"no right", answer(403, `{"type":"error","code":"Forbidden","status":403}`), false, rancher.ErrForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var body string
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				sent, _ := io.ReadAll(r.Body)
				body = string(sent)
				tt.answer(w, r)
			})
			used, err := c.RevisionInUse(t.Context(), &rancher.Revision{ID: "cattle-global-data:ctr-1"})
			if used != tt.used || !errors.Is(err, tt.kind) || body != `{"clusterConfig":{}}` {
				t.Errorf("used %v, %v; sent %s", used, err, body)
			}
		})
	}
}
