package readiness

import (
	"slices"

	"rkepatch/internal/fleet"
)

// place says to which check a finding belongs, and what it makes of it.
type place struct {
	check  string
	status Status
	// onlyPatch: it hinders the patch and not the upgrade, so that it counts only
	// for a cluster that is still to be patched.
	onlyPatch bool
}

// places is the table of findings by code. A finding that blocks a change and is
// not in it counts as not ready, see placeOf; those that only warn and are not in
// it are of no matter for an upgrade.
var places = map[string]place{
	// What the cluster is and what Rancher says of it. An upgrade is an update
	// like any other.
	"not-rke1":                {checkRancher, NotReady, false},
	"answer-not-understood":   {checkRancher, Unknown, false},
	"config-not-understood":   {checkRancher, Unknown, false},
	"body-too-large":          {checkRancher, NotReady, false},
	"no-update-permission":    {checkRancher, NotReady, false},
	"name-refused":            {checkRancher, NotReady, false},
	"not-provisioned":         {checkRancher, NotReady, false},
	"last-update-failed":      {checkRancher, NotReady, false},
	"already-updating":        {checkRancher, NotReady, false},
	"cluster-unreachable":     {checkRancher, Unknown, false},
	"state-not-understood":    {checkRancher, Unknown, false},
	"secrets-not-migrated":    {checkRancher, NotReady, false},
	"transient-flags":         {checkRancher, NotReady, false},
	"nodes-not-ready":         {checkRancher, NotReady, false},
	"nodes-perhaps-not-ready": {checkRancher, Unknown, false},
	"nodes-unseen":            {checkRancher, Unknown, false},
	"nodes-cordoned":          {checkRancher, Ready, false},
	"registry-without-user":   {checkRancher, Ready, false},
	"ecr-plugin-crash":        {checkRancher, NotReady, false},
	"s3-checked":              {checkRancher, NotReady, false},
	"cluster-unseen":          {checkRancher, Unknown, false},
	"pre-image-unusable":      {checkRancher, Unknown, false}, // of rollbacks only, as is changed-since

	"version-not-understood": {checkVersion, Unknown, false},
	"deprecated-version":     {checkVersion, NotReady, true},

	"template-cluster":           {checkTemplate, Ready, false},
	"template-unseen":            {checkTemplate, Unknown, false},
	"template-not-permitted":     {checkTemplate, NotReady, true},
	"template-answers":           {checkTemplate, NotReady, true},
	"template-differs":           {checkTemplate, NotReady, true},
	"template-no-way-back":       {checkTemplate, NotReady, true}, // of rollbacks only
	"template-revision-disabled": {checkTemplate, Ready, false},
	"template-passwords":         {checkTemplate, Ready, false},
	"template-one-way":           {checkTemplate, Ready, false},
	"template-behind":            {checkTemplate, NotReady, false}, // the upgrade saves the cluster
	"template-enforced":          {checkTemplate, Ready, false},
	"template-revision-empty":    {checkTemplate, NotReady, false},

	"windows-inherits": {checkWindows, NotReady, false},
	"windows-node":     {checkWindows, Ready, false},

	"cloud-provider-aws":         {checkCloud, NotReady, false},
	"cloud-provider-aws-refused": {checkCloud, NotReady, false},

	"gate-credential-providers": {checkFlags, NotReady, false},
	"gate-gone-in-1.28":         {checkFlags, Ready, false}, // the check itself asks for the target version
	"gate-disable-in-tree":      {checkFlags, Ready, false},
	"gate-in-tree-refused":      {checkFlags, NotReady, false},
	"azure-flag-refused":        {checkFlags, NotReady, false},
	"azure-flag-gone-in-1.30":   {checkFlags, Ready, false}, // the check itself asks for the target version

	"kubelet-too-old": {checkOrder, NotReady, false},
	"provider-api":    {checkOrder, NotReady, true},

	// The patch.
	"changed-since":               {checkPatched, Unknown, false},
	"half-configured":             {checkPatched, NotReady, false},
	"in-tree-gone":                {checkPatched, Ready, true}, // the check itself knows whether anybody needs it
	"arg-conflict":                {checkPatched, NotReady, true},
	"arg-in-array":                {checkPatched, NotReady, true},
	"arg-misspelt":                {checkPatched, NotReady, true},
	"bind-conflict":               {checkPatched, NotReady, true},
	"bind-duplicate":              {checkPatched, NotReady, false},
	"bind-not-understood":         {checkPatched, NotReady, false},
	"bind-shadows":                {checkPatched, NotReady, true},
	"not-understood":              {checkPatched, Unknown, false},
	"provider-incomplete":         {checkPatched, NotReady, false},
	"provider-already-configured": {checkPatched, NotReady, true},
	"provider-not-mounted":        {checkPatched, NotReady, false},
	"rancher-not-applied":         {checkPatched, NotReady, false},
	"node-plan-behind":            {checkPatched, NotReady, false},
	"node-plans-unread":           {checkPatched, Unknown, false},

	"new-nodes-unprepared": {checkNewNodes, NotReady, false},
	"new-nodes-unknown":    {checkNewNodes, Unknown, false},
	"new-nodes-custom":     {checkNewNodes, Ready, false},

	// What keeps a node from being looked at is not known to be wrong.
	"nodes-unreadable":         {checkNodes, Unknown, false},
	"nodes-missing":            {checkNodes, Unknown, false},
	"node-not-ready":           {checkNodes, Unknown, false},
	"node-version-unknown":     {checkNodes, Unknown, false},
	"probe-image-unknown":      {checkNodes, Unknown, false},
	"probe-image-missing":      {checkNodes, Unknown, false},
	"pod-forbidden":            {checkNodes, Unknown, false},
	"pod-refused":              {checkNodes, Unknown, false},
	"pod-not-created":          {checkNodes, Unknown, false},
	"pod-stuck":                {checkNodes, Unknown, false},
	"pod-ended":                {checkNodes, Unknown, false},
	"pod-gone":                 {checkNodes, Unknown, false},
	"check-interrupted":        {checkNodes, Unknown, false},
	"answer-garbled":           {checkNodes, Unknown, false},
	"config-not-shown":         {checkNodes, Unknown, false},
	"path-shifts":              {checkNodes, Unknown, false},
	"binary-not-seen":          {checkNodes, Unknown, false},
	"binary-not-asked":         {checkNodes, Unknown, false},
	"other-provider-not-asked": {checkNodes, Ready, false}, // ECR's is looked at by itself
	"kubelet-unknown":          {checkNodes, Unknown, false},
	"provider-unseen":          {checkNodes, Unknown, false},
	"rehearsal-no-image":       {checkNodes, Unknown, false},
	"rehearsal-impossible":     {checkNodes, Unknown, false},
	"patterns-lose-registries": {checkNodes, Ready, false}, // what is really pulled is a check of its own
	"kubelet-several":          {checkNodes, Ready, false},

	// What is known to be wrong on a node.
	"path-not-visible":           {checkNodes, NotReady, false},
	"empty-directory":            {checkNodes, NotReady, false},
	"kubelet-refuses":            {checkNodes, NotReady, false},
	"kubelet-will-refuse":        {checkNodes, NotReady, false},
	"rehearsal-no-role":          {checkNodes, NotReady, false},
	"rehearsal-imds-unreachable": {checkNodes, NotReady, false},
	"rehearsal-no-region":        {checkNodes, NotReady, false},
	"rehearsal-access-denied":    {checkNodes, NotReady, false},
	"rehearsal-keys-refused":     {checkNodes, NotReady, false},
	"rehearsal-ecr-unreachable":  {checkNodes, NotReady, false},
	"rehearsal-wrong-api":        {checkNodes, NotReady, false},
	"rehearsal-timeout":          {checkNodes, NotReady, false},
	"rehearsal-not-executable":   {checkNodes, NotReady, false},
	"rehearsal-answer-useless":   {checkNodes, NotReady, false},
	"kubelet-not-found":          {checkNodes, NotReady, false},
	"kubelet-flags-differ":       {checkNodes, NotReady, false},
	"kubelet-restarting":         {checkNodes, NotReady, false},
	"install-failed":             {checkNodes, NotReady, false},
	"install-refused":            {checkNodes, NotReady, false},
	"install-conflict":           {checkNodes, NotReady, false},
	"provider-name-empty":        {checkNodes, NotReady, false},
	"binary-not-executable":      {checkNodes, NotReady, false},
	"binary-not-a-program":       {checkNodes, NotReady, false},
	"binary-truncated":           {checkNodes, NotReady, false},
	"binary-arch":                {checkNodes, NotReady, false},
	"binary-not-a-plugin":        {checkNodes, NotReady, false},
	"binary-api":                 {checkNodes, NotReady, false},
	"api-v1beta1":                {checkNodes, NotReady, false},
	"args-verbosity":             {checkNodes, NotReady, false},
	"pattern-brackets":           {checkNodes, NotReady, false},
	"provider-never-asked":       {checkNodes, NotReady, false},
	"provider-not-in-config":     {checkNodes, NotReady, false},
	"args-missing":               {checkNodes, NotReady, false},
	"merge-impossible":           {checkNodes, NotReady, false}, // of nodes install only
	"config-newer-than-kubelet":  {checkNodes, Unknown, false},

	"rehearsal-failed": {checkNodes, NotReady, false},

	"no-provider-flags": {checkNodes, Ready, false},
}

// onNodes are the codes of what was found on nodes.
var onNodes = func() map[string]bool {
	codes := map[string]bool{}
	for _, f := range fleet.NodeCatalogue() {
		codes[f.Code] = true
	}
	return codes
}()

// placeOf finds the place of a finding. What blocks and has none counts against
// the cluster: on its nodes, or in Rancher.
func placeOf(f fleet.Finding) (place, bool) {
	if p, ok := places[f.Code]; ok {
		return p, true
	}
	switch {
	case f.Severity != fleet.Block:
		return place{}, false
	case onNodes[f.Code]:
		return place{checkNodes, NotReady, false}, true
	}
	return place{checkRancher, NotReady, false}, true
}

// placed gives the findings of one check, the worst first, and what they come to.
func (f *facts) placed(check string) (found []fleet.Finding, worst Status) {
	worst = Ready
	type placedFinding struct {
		fleet.Finding
		status Status
	}
	var all []placedFinding
	for _, one := range f.findings() {
		p, ok := placeOf(one)
		if !ok || p.check != check || p.onlyPatch && !f.toPatch() {
			continue
		}
		if p.onlyPatch && p.status == NotReady && f.perhapsToPatch() {
			p.status = Unknown // as the patch may not be needed
		}
		all = append(all, placedFinding{one, p.status})
	}
	slices.SortStableFunc(all, func(a, b placedFinding) int { return rank[b.status] - rank[a.status] })
	for i, one := range all {
		found = append(found, one.Finding)
		if i == 0 {
			worst = one.status
		}
	}
	return found, worst
}
