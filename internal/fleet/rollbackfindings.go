package fleet

// What is said about clusters on which a run cannot be taken back; with what
// went wrong on a cluster for a message.
var (
	unseenFinding = Finding{Code: "cluster-unseen", Severity: Block,
		Message: "the cluster that a run changed is no more, or the token may not see it",
		Todo:    "use an API key of a user who owns the cluster; there is nothing to do when it was deleted"}
	preImageFinding = Finding{Code: "pre-image-unusable", Severity: Block,
		Message: "what the cluster was before the run cannot be read, or was kept of another cluster",
		Todo:    "undo the change by hand in the Rancher UI"}
)

// about gives f with what went wrong on a cluster.
func about(f Finding, err error) Finding {
	f.Message = err.Error()
	return f
}
