package fleet

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// revise edits what a revision says of the cluster's config.
func (r *rig) revise(id string, edit func(config map[string]any)) {
	r.sim.EditObject("clusterTemplateRevision", id, func(m map[string]any) {
		edit(m["clusterConfig"].(map[string]any)[rkeConfig].(map[string]any))
	})
}

// configure edits the config of a cluster, as somebody with kubectl would.
func (r *rig) configure(id string, edit func(config map[string]any)) {
	r.sim.Edit(id, func(m map[string]any) { edit(m[rkeConfig].(map[string]any)) })
}

// finding gives a finding of a plan by its code; the zero Finding when there is none.
func finding(p *ClusterPlan, code string) Finding {
	if i := slices.IndexFunc(p.Findings, func(f Finding) bool { return f.Code == code }); i >= 0 {
		return p.Findings[i]
	}
	return Finding{}
}

// openRegistry is one that needs no password; Rancher makes a secret for it all the same.
var openRegistry = []any{map[string]any{"url": "registry.example", "isDefault": true}}

// Clusters share the next revision also where Rancher says that it has a secret for the registries, and where somebody
// did as he was told and entered the passwords that the old one has.
func TestRevisionWithASecretIsFoundAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(r *rig)
		edit   func(revision map[string]any)
		posted int
	}{
		{"a registry", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["privateRegistries"] = openRegistry })
			for _, id := range []string{"c-one", "c-two"} {
				r.configure(id, func(m map[string]any) { m["privateRegistries"] = openRegistry })
			}
		}, nil, 1},
		{"passwords as the old revision has them", func(r *rig) {
			r.sim.EditObject("clusterTemplateRevision", stdR1, func(m map[string]any) { m["weavePasswordSecret"] = "cattle-global-data:w" })
		}, func(m map[string]any) { m["weavePasswordSecret"] = "cattle-global-data:w2" }, 1},
		{"passwords that the old revision has no place for", func(*rig) {}, func(m map[string]any) { m["weavePasswordSecret"] = "cattle-global-data:w2" }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			tt.set(r)
			r.settle()
			if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
				t.Fatal(o)
			}
			if tt.edit != nil {
				r.sim.EditObject("clusterTemplateRevision", r.revisionOf("c-one"), tt.edit)
			}
			if o := r.applyOne(r.planOf("c-two", ActionPatch)); o.Status != StatusPatched || r.posted() != tt.posted {
				t.Errorf("%s, %d revisions were made", o, r.posted())
			}
		})
	}
}

// The run knows where it moved a cluster, also when somebody took the annotation away; without what the run kept, the
// annotation says it.
func TestWayBackIsKnownTwice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lose   func(r *rig)
		status Status
	}{
		{"the annotation is gone", func(r *rig) {
			r.sim.EditObject("clusterTemplateRevision", r.revisionOf("c-one"), func(m map[string]any) { m["annotations"] = map[string]any{} })
		}, StatusPatched},
		{"an older program kept no revision", func(r *rig) { r.forget("c-one") }, StatusPatched},
		{"neither", func(r *rig) {
			r.forget("c-one")
			r.sim.EditObject("clusterTemplateRevision", r.revisionOf("c-one"), func(m map[string]any) { m["annotations"] = map[string]any{} })
		}, StatusBlocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
				t.Fatal(o)
			}
			tt.lose(r)
			r.planner.templates = nil
			if _, outcomes := r.revertAll("c-one"); outcomes[0].Status != tt.status || (r.revisionOf("c-one") == stdR1) != (tt.status == StatusPatched) {
				t.Errorf("%s, on %s", outcomes[0], r.revisionOf("c-one"))
			}
		})
	}
}

// forget makes the pre-image as programs wrote it that did not keep where the cluster was moved.
func (r *rig) forget(id string) {
	r.t.Helper()
	image, err := r.run.LoadPreImage(id)
	if err != nil || image.MovedTo != r.revisionOf(id) {
		r.t.Fatalf("kept %q, the cluster is on %s (%v)", image.MovedTo, r.revisionOf(id), err)
	}
	was := image.TemplateRevision
	cl := &rancher.Cluster{ID: image.ID, UUID: image.UUID, Name: image.Name, Config: image.Config, TemplateRevisionID: &was}
	if err := r.run.SavePreImage(image.Server, cl, "", image.TakenAt); err != nil {
		r.t.Fatal(err)
	}
}

// A cluster whose update fails is moved back by the run itself.
func TestRollbackOnFailureOfATemplateCluster(t *testing.T) {
	for id, revision := range map[string]string{"c-one": stdR1, "c-other": stdR2} {
		r := newTemplateRig(t)
		p := r.planOf(id, ActionPatch)
		r.sim.Script(id, simrancher.Fail{Message: "not healthy"})
		a := &Applier{
			Planner: r.planner, Run: r.run, Clock: r.clock.clock(), Parallel: 1, Timeout: r.timeout, Poll: r.poll,
			Say: func(_, _, _ string) {}, Done: func(Outcome) {}, RollbackOnFailure: true,
		}
		outcomes, err := a.Apply(t.Context(), []*ClusterPlan{p})
		if err != nil {
			t.Fatal(err)
		}
		if o := outcomes[0]; o.Status != StatusFailed || o.Stored || !strings.Contains(o.Message, "the change was taken back") || r.revisionOf(id) != revision || r.holdsPatch(id) {
			t.Errorf("%s, on %s", o, r.revisionOf(id))
		}
	}
}

// Where the way back would be blocked, that is said before the way there.
func TestOneWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(r *rig)
		says string
	}{
		{"backups that Rancher added when the cluster was made", func(r *rig) {
			r.revise(stdR2, func(m map[string]any) {
				delete(m["services"].(map[string]any)["etcd"].(map[string]any), "backupConfig")
			})
			r.configure("c-other", func(m map[string]any) {
				put(m, map[string]any{"enabled": true, "intervalHours": 12, "retention": 6}, "services", "etcd", "backupConfig")
			})
		}, "backupConfig"},
		{"environment of the agents", func(r *rig) {
			r.sim.Edit("c-other", func(m map[string]any) {
				m["agentEnvVars"] = []any{map[string]any{"name": "HTTP_PROXY", "value": "http://p"}}
			})
		}, "agentEnvVars"},
		{"the pod security template", func(r *rig) {
			r.sim.Edit("c-other", func(m map[string]any) {
				m["defaultPodSecurityAdmissionConfigurationTemplateName"] = "rancher-restricted"
			})
		}, "defaultPodSecurityAdmissionConfigurationTemplateName"},
		{"the name of the authorized endpoint", func(r *rig) {
			r.sim.Edit("c-other", func(m map[string]any) { put(m, "ep.example.com", "localClusterAuthEndpoint", "fqdn") })
		}, "localClusterAuthEndpoint"},
		{"nothing", func(*rig) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			tt.set(r)
			r.settle()
			p := r.planOf("c-other", ActionPatch)
			if f := finding(p, "template-one-way"); (f.Code != "") != (tt.says != "") || !strings.Contains(f.Message, tt.says) || f.Code != "" && (f.Severity != Warn || f.Todo == "") {
				t.Errorf("findings %+v", p.Findings)
			}
			before := r.sim.Stored("c-other")
			if o := r.applyOne(p); o.Status != StatusPatched {
				t.Fatal(o)
			}
			plans, outcomes := r.revertAll("c-other")
			r.settle()
			if tt.says == "" {
				if outcomes[0].Status != StatusPatched {
					t.Errorf("%s", outcomes[0])
				}
				return
			}
			if f := finding(plans[0], "template-differs"); outcomes[0].Status != StatusBlocked || !strings.Contains(f.Message, tt.says) {
				t.Errorf("%s, %+v", outcomes[0], plans[0].Findings)
			}
			for _, name := range []string{"agentEnvVars", "defaultPodSecurityAdmissionConfigurationTemplateName", "localClusterAuthEndpoint"} {
				if changed := changedPaths(before, r.sim.Stored("c-other")); slices.Contains(changed, name) {
					t.Errorf("%s was lost", name)
				}
			}
		})
	}
}

// What Rancher rewrites in any update of the cluster is not held against its revision; where the two differ otherwise,
// the same path is no excuse.
func TestRewritesExcuseOnlyThemselves(t *testing.T) {
	for _, tt := range []struct {
		name     string
		set      func(r *rig)
		action   Action
		code     string // that must be there; with -, must not
		rewrites []string
	}{
		{"other addons that end in a newline", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["addons"] = "kind: New\n" })
			r.configure("c-one", func(m map[string]any) { m["addons"] = "kind: Old" })
		}, ActionBlocked, "template-differs", nil},
		{"another strategy than the default that Rancher writes down", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { delete(m["upgradeStrategy"].(map[string]any), "maxUnavailableWorker") })
			r.configure("c-one", func(m map[string]any) { put(m, "3", "upgradeStrategy", "maxUnavailableWorker") })
		}, ActionBlocked, "template-differs", nil},
		{"the same addons, with a newline in both", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["addons"] = "kind: A\n" })
			r.configure("c-one", func(m map[string]any) { m["addons"] = "kind: A\n" })
		}, ActionPatch, "template-cluster", []string{"addons"}},
		{"cri-dockerd is on in the cluster already", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["enableCriDockerd"] = false })
			r.configure("c-one", func(m map[string]any) { m["enableCriDockerd"] = true })
		}, ActionPatch, "-cri-dockerd-switched", nil},
		{"cri-dockerd is off in both", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["enableCriDockerd"] = false })
			r.configure("c-one", func(m map[string]any) { m["enableCriDockerd"] = false })
		}, ActionPatch, "cri-dockerd-switched", []string{"enableCriDockerd"}},
		{"cri-dockerd is off in the cluster only", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { m["enableCriDockerd"] = true })
			r.configure("c-one", func(m map[string]any) { m["enableCriDockerd"] = false })
		}, ActionPatch, "cri-dockerd-switched", []string{"enableCriDockerd"}},
		{"the revision leaves the strategy to the cluster", func(r *rig) {
			r.revise(stdR1, func(m map[string]any) { delete(m, "upgradeStrategy") })
			r.configure("c-one", func(m map[string]any) { put(m, "3", "upgradeStrategy", "maxUnavailableWorker") })
		}, ActionPatch, "template-cluster", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newTemplateRig(t)
			tt.set(r)
			r.settle()
			p := r.plan(Selection{Names: []string{"c-one"}})[0]
			code, absent := strings.CutPrefix(tt.code, "-")
			if p.Action != tt.action || (finding(p, code).Code != "") == absent || !slices.Equal(rewritePaths(p.Rewrites, false), tt.rewrites) {
				t.Errorf("%s, %+v, rewrites %v\n%s", p.Action, p.Findings, p.Rewrites, p.Diff)
			}
			if tt.action != ActionPatch {
				return
			}
			if o := r.applyOne(p); o.Status != StatusPatched || r.posted() != 1 {
				t.Errorf("%s, %d revisions were made", o, r.posted())
			}
		})
	}
}

// The finding that blocks is quoted, not the one that comes first.
func TestRevisionRefusesThePatchForAReason(t *testing.T) {
	if f := firstBlock([]Finding{{Code: "a", Severity: Warn}, {Code: "b", Severity: Block}, {Code: "c", Severity: Block}}); f.Code != "b" {
		t.Errorf("got %s", f.Code)
	}
	if f := firstBlock(nil); f.Code != "" {
		t.Errorf("got %s", f.Code)
	}
}

// A cluster that was patched past its revision loses the change with the next save.
func TestPatchedClusterWhoseRevisionIsNot(t *testing.T) {
	r := newTemplateRig(t)
	r.edit("c-other", []string{"extraArgs"}, map[string]any{"image-credential-provider-bin-dir": "/opt/aws/bin", "image-credential-provider-config": "/opt/aws/config/config.yaml"})
	r.edit("c-other", []string{"extraBinds"}, []any{"/opt/aws/bin:/opt/aws/bin:ro", "/opt/aws/config:/opt/aws/config:ro"})
	for flag, value := range r.planner.Patch.Args {
		r.edit("c-other", []string{"extraArgs", flag}, value)
	}
	var binds []any
	for _, b := range r.planner.Patch.Binds {
		binds = append(binds, b)
	}
	r.edit("c-other", []string{"extraBinds"}, binds)
	r.settle()
	if f := finding(r.planOf("c-other", ActionNone), "template-behind"); f.Severity != Warn || !strings.Contains(f.Message, "r2") {
		t.Errorf("got %+v", f)
	}
	if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
		t.Fatal(o)
	}
	if f := finding(r.planOf("c-one", ActionNone), "template-behind"); f.Code != "" {
		t.Errorf("got %+v", f)
	}
}

// One failed look at a template does not stick to the run.
func TestTemplateIsReadAgainAfterAFailure(t *testing.T) {
	r := newTemplateRig(t)
	if err := r.planner.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	cl, err := r.planner.Rancher.Cluster(t.Context(), "c-one")
	if err != nil {
		t.Fatal(err)
	}
	r.sim.Inject(simrancher.Fault{Method: http.MethodGet, Path: "/v3/clusterTemplates/", Count: 1, Status: 503, Body: `{"type":"error","status":503,"message":"x"}`})
	if p := r.planner.judge(t.Context(), cl); p.Action != ActionBlocked || finding(p, "template-unseen").Code == "" {
		t.Fatalf("first: %s %v", p.Action, codes(p))
	}
	if p := r.planner.judge(t.Context(), cl); p.Action != ActionPatch {
		t.Errorf("second: %s %v", p.Action, codes(p))
	}
	r.sim.ResetRequests()
	r.planner.judge(t.Context(), cl)
	if n := len(r.sim.Requests()); n != 0 {
		t.Errorf("the third took %d requests", n)
	}
}

// A revision that Rancher keeps otherwise than it was sent is disabled and named.
func TestRevisionKeptOtherwiseIsDisabled(t *testing.T) {
	r := newTemplateRig(t)
	p := r.planOf("c-one", ActionPatch)
	made := "cattle-global-data:ctr-wrong"
	r.sim.Inject(simrancher.Fault{Method: http.MethodPost, Path: "/v3/clusterTemplateRevisions", Count: 1, Status: 201, Before: func() {
		r.sim.AddRevision(simrancher.Revision{ID: made, Template: std, Name: "r1-rkepatch"})
	}, Body: `{"id":"` + made + `","type":"clusterTemplateRevision","name":"r1-rkepatch","clusterTemplateId":"` + std + `","enabled":true,"actions":{"disable":"x"},` +
		`"clusterConfig":{"rancherKubernetesEngineConfig":{"kubernetesVersion":"v1"}}}`})
	o := r.applyOne(p)
	if o.Status != StatusFailed || o.Stored || r.revisionOf("c-one") != stdR1 || !strings.Contains(o.Message, "creating template revision") || !strings.Contains(o.Message, "revision r1-rkepatch ("+made+") was disabled again") {
		t.Errorf("%s", o)
	}
	if now, err := r.planner.Rancher.Revision(t.Context(), made); err != nil || now.Enabled {
		t.Errorf("%v, %v", now, err)
	}
}

// Somebody moves or edits the cluster while its revision is made: nothing of his is overwritten.
func TestMovedWhileTheRevisionIsMade(t *testing.T) {
	for name, edit := range map[string]func(cluster map[string]any){
		"moved":  func(m map[string]any) { m["clusterTemplateRevisionId"] = stdR2 },
		"edited": func(m map[string]any) { put(m, "7", rkeConfig, "upgradeStrategy", "maxUnavailableWorker") },
	} {
		r := newTemplateRig(t)
		p := r.planOf("c-one", ActionPatch)
		r.sim.Inject(simrancher.Fault{Method: http.MethodPost, Path: "/v3/clusterTemplateRevisions", Count: 1, Before: func() { r.sim.Edit("c-one", edit) }})
		if o := r.applyOne(p); o.Status != StatusFailed || o.Stored || !strings.Contains(o.Message, "in this very moment") || r.count(http.MethodPut, "/v3/clusters/c-one", "") != 0 {
			t.Errorf("%s: %s", name, o)
		}
	}
}

// Where Rancher itself says that it failed, nobody waits for what may still come.
func TestWaitingOnlyForAnswersThatMayCome(t *testing.T) {
	for status, waits := range map[int]bool{500: false, 409: false, 502: true, 504: true} {
		r := newTemplateRig(t)
		p := r.planOf("c-one", ActionPatch)
		r.sim.Inject(simrancher.Fault{Method: http.MethodPost, Path: "/v3/clusterTemplateRevisions", Count: 1, Status: status, Body: `{"type":"error","code":"ServerError","message":"x"}`})
		o := r.applyOne(p)
		if o.Status != StatusFailed || (r.clock.sleeps >= looks-1) != waits || !waits && r.clock.sleeps > 0 {
			t.Errorf("%d: %s after %d pauses", status, o, r.clock.sleeps)
		}
	}
}

// A revision is disabled only when no cluster uses it, whoever may see that cluster.
func TestDisableRevisions(t *testing.T) {
	r := newTemplateRig(t)
	if o := r.applyOne(r.planOf("c-one", ActionPatch)); o.Status != StatusPatched {
		t.Fatal(o)
	}
	made := r.revisionOf("c-one")
	key := "token-share:" + strings.Repeat("k", 20)
	r.sim.AddToken(simrancher.Token{Key: key, User: "user-share", Owner: []string{"c-two"}, Templates: []string{std}})
	share := r.client(r.planner.Rancher.URL(), key)
	var said []string
	say := func(text string) { said = append(said, text) }
	for c, says := range map[*rancher.Client]string{r.planner.Rancher: "in use by c-one", share: "cannot see"} {
		if err := DisableRevisions(t.Context(), c, []string{made}, say); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	r.sim.Edit("c-one", func(m map[string]any) { m["driver"] = "" })
	if err := DisableRevisions(t.Context(), r.planner.Rancher, []string{made}, say); err == nil || !strings.Contains(err.Error(), "in use by c-one") {
		t.Errorf("without a driver: %v", err)
	}
	if now, err := r.planner.Rancher.Revision(t.Context(), made); err != nil || !now.Enabled || len(said) > 0 {
		t.Errorf("%v, %v, said %q", now, err, said)
	}
	r.sim.Edit("c-one", func(m map[string]any) { m["clusterTemplateRevisionId"] = stdR1 })
	for _, want := range []string{"is disabled", "is disabled already"} {
		if err := DisableRevisions(t.Context(), share, []string{made}, say); err != nil || !strings.HasSuffix(said[len(said)-1], want) {
			t.Errorf("%v, said %q", err, said)
		}
	}
}
