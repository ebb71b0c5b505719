// Package report shows results: as text for a person and as JSON for a
// program. What comes from a cluster is hostile: control characters never
// reach a terminal.
package report
