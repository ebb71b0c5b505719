package fleet

import (
	"slices"
	"strings"

	"rkepatch/rancher"
)

// What is said about the changes that Rancher makes by itself.
var (
	rewritesFinding = Finding{Code: "rancher-rewrites", Severity: Info,
		Message: "Rancher changes more by itself on any update of this cluster", Todo: "read it in the diff"}
	dropsPlugin = Finding{Code: "ecr-plugin-dropped", Severity: Warn,
		Message: "Rancher removes an ecr_credential_plugin without keys on any update: RKE's own pulls from that registry lose its login",
		Todo:    "when RKE pulls system images from there, give the registry keys or a user first"}
	dropsPluginFatal = Finding{Code: "ecr-plugin-crash", Severity: Block,
		Message: "Rancher would remove an ecr_credential_plugin while its secret exists, which crashes every later reconcile of this cluster",
		Todo:    "give the plugin its access key id again in the Rancher UI first"}
	switchesDocker = Finding{Code: "cri-dockerd-switched", Severity: Warn,
		Message: "Rancher turns enable_cri_dockerd on with any update of this cluster",
		Todo:    "when that is not wanted, set the annotation io.cattle.cluster.cridockerd.enable to false first"}
	checksBucket = Finding{Code: "s3-checked", Severity: Block,
		Message: "Rancher would trim the S3 backup config, take it for changed, and check the bucket without its key: it answers 500",
		Todo:    "remove the white space around the values of s3_backup_config in the Rancher UI first"}
	pinsFinding = Finding{Code: "rancher-pinned", Severity: Info,
		Message: "Rancher would change a setting by itself; the update writes today's value down so that it stays",
		Todo:    "nothing: absent and written down count as equal, so the diff does not show it"}
)

// dangerousRewrites picks those of Rancher's own changes that need more than a
// look at the diff.
func dangerousRewrites(cl *rancher.Cluster, rewrites []rancher.Rewrite) []Finding {
	var out []Finding
	for _, r := range rewrites {
		f := Finding{}
		switch {
		case r.Pinned:
		case strings.HasSuffix(r.Path, ".ecrCredentialPlugin") && cl.ClusterSecrets["privateRegistryECRSecret"] != "":
			f = dropsPluginFatal
		case strings.HasSuffix(r.Path, ".ecrCredentialPlugin"):
			f = dropsPlugin
		case r.Path == "enableCriDockerd":
			f = switchesDocker
		case strings.Contains(r.Path, ".s3BackupConfig"):
			f = checksBucket
		}
		if f.Code != "" && !slices.ContainsFunc(out, func(o Finding) bool { return o.Code == f.Code }) {
			out = append(out, f)
		}
	}
	return out
}
