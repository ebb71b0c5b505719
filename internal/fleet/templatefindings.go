package fleet

import (
	"fmt"
	"slices"
	"strings"

	"rkepatch/rancher"
	"rkepatch/rkeconfig"
)

// templateRules are about clusters that are made from an RKE template.
var templateRules = []rule{
	{"template-cluster", Info, "the cluster comes from an RKE template: a revision of it is made with the change in it, and the cluster is moved there",
		"look at the revision that is made; new clusters of the template get the change once it is its default", templateCluster},
	{"template-unseen", Block, "the cluster comes from an RKE template that cannot be read",
		"use the token of an owner of the template or of an administrator", templateUnseen},
	{"template-not-permitted", Block, "the token may not make a revision of the cluster's RKE template",
		"use the token of an owner of the template or of an administrator", templateNotPermitted},
	{"template-revision-disabled", Warn, "the revision that the cluster comes from is disabled: a rollback could not move it back",
		"enable the revision in Rancher before the change, or be ready to do so", templateRevisionDisabled},
	{"template-passwords", Warn, "the revision may have passwords, which Rancher does not show, so that the new revision would lack them: the cluster keeps its own, new clusters made from the new revision would have none",
		"if it has, enter them in the new revision in Rancher before a new cluster is made from it", templatePasswords},
	{"template-enforced", Warn, "Rancher allows clusters without a template to administrators only: it refuses the update from anybody else",
		"use the token of an administrator", templateEnforced},
}

// What stands in the way of a move.
var (
	templateAnswers = Finding{Code: "template-answers", Severity: Block,
		Message: "the cluster's answers to the questions of its template stand in the way of the change",
		Todo:    "change the template's questions, or the cluster's answers, in Rancher first"}
	templateDiffers = Finding{Code: "template-differs", Severity: Block,
		Message: "the move to a new revision would change more than the patch: the cluster is not as its present revision has it",
		Todo:    "save the cluster once in Rancher with its present revision, which brings the two together, and look at what that changes; then plan again"}
	templateStrategy = Finding{Code: "template-strategy", Severity: Warn,
		Message: "the old revision has another authentication.strategy than the cluster: Rancher's own controller puts that of the cluster back within seconds, and the API servers may restart for it",
		Todo:    "nothing, or set the strategy in the revision as the cluster has it"}
	templateOneWay = Finding{Code: "template-one-way", Severity: Warn,
		Message: "once the cluster has left its present revision, a rollback could not move it back there: that would change more than the patch",
		Todo:    "save the cluster once in Rancher with its present revision, which brings the two together, and look at what that changes; or be ready to move it back in the Rancher UI, which makes those changes"}
	templateBehind = Finding{Code: "template-behind", Severity: Warn,
		Message: "the cluster holds the change, and the revision of the RKE template that it comes from does not: the next time that the cluster is saved in Rancher, the change is gone",
		Todo:    "make a revision of the template with the kubelet's settings in it, and move the cluster there"}
	templateNoWayBack = Finding{Code: "template-no-way-back", Severity: Block,
		Message: "the cluster cannot be moved back to the revision that it was made from: that is gone or disabled, or the cluster was moved again since",
		Todo:    "enable the revision in Rancher, or move the cluster by hand"}
)

func (out *ClusterPlan) block(f Finding, message string) { out.find(f, message) }

// find adds a finding with a message for this cluster.
func (out *ClusterPlan) find(f Finding, message string) {
	f.Message = message
	out.Findings = append(out.Findings, f)
}

// firstBlock gives the first finding that blocks, the zero Finding when none does.
func firstBlock(findings []Finding) Finding {
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Severity == Block })
	if i < 0 {
		return Finding{}
	}
	return findings[i]
}

// behind says that a cluster which holds the patch would lose it, as its revision does not hold it.
func (p *Planner) behind(out *ClusterPlan, cl *rancher.Cluster, view *templateView, patch rkeconfig.Patch) {
	if view == nil || view.err != nil || view.revision(cl) == nil || view.revision(cl).Config == nil {
		return
	}
	r := view.revision(cl)
	config, err := rkeconfig.ParseDocument(r.Config)
	if err != nil {
		return
	}
	saved, err := r.Move(cl, config.Map(), false)
	if err != nil {
		return // what a save would make of it is not known
	}
	if config, err = rkeconfig.NewDocument(saved.Config); err == nil && rkeconfig.Merge(config, patch, p.mergeOptions(cl)).State != rkeconfig.Patched {
		out.find(templateBehind, fmt.Sprintf("the cluster holds the change, and revision %s that it comes from does not: the next time that the cluster is saved in Rancher, the change is gone", r.Name))
	}
}

func templateCluster(s *subject) string {
	if s.template == nil || s.template.err != nil {
		return ""
	}
	p := s.template.plan(s.cluster)
	return fmt.Sprintf("the cluster comes from revision %s of the RKE template %s, which %d cluster(s) are made from; an edit of its own config would be answered with 200 and thrown away", orElse(p.RevisionName, p.Revision), orElse(p.Name, p.ID), len(p.Clusters))
}

func templateUnseen(s *subject) string {
	switch {
	case s.template == nil:
		return ""
	case s.template.err != nil:
		return s.template.err.Error()
	case s.template.revision(s.cluster) == nil:
		return fmt.Sprintf("revision %s of the template %s cannot be read: it is no more, or not understood", *s.cluster.TemplateRevisionID, s.template.template.Name)
	case s.template.revision(s.cluster).Config == nil:
		return fmt.Sprintf("revision %s of the template %s shows no config", *s.cluster.TemplateRevisionID, s.template.template.Name)
	}
	return ""
}

func templateNotPermitted(s *subject) string {
	if s.template == nil || s.template.err != nil || s.template.template.CanUpdate {
		return ""
	}
	return fmt.Sprintf("Rancher offers no update link for the template %s: the token may not make a revision of it", s.template.template.Name)
}

func templateRevisionDisabled(s *subject) string {
	if s.template == nil || s.template.err != nil {
		return ""
	}
	if r := s.template.revision(s.cluster); r != nil && !r.Enabled {
		return fmt.Sprintf("revision %s is disabled: once the cluster has left it, it cannot be moved back", r.Name)
	}
	return ""
}

func templatePasswords(s *subject) string {
	if s.template == nil || s.template.err != nil {
		return ""
	}
	r := s.template.revision(s.cluster)
	if r == nil || len(r.Secrets) == 0 {
		return ""
	}
	return fmt.Sprintf("revision %s may have passwords that a copy of it would lack (%s): this cluster keeps its own, a new cluster made from the new revision would have none", r.Name, strings.Join(r.Secrets, ", "))
}

func templateEnforced(s *subject) string {
	if !s.enforced || s.cluster.Templated() {
		return ""
	}
	return "the setting cluster-template-enforcement is on: Rancher refuses a config without a template from anybody but an administrator"
}
