// Package rkeconfig reads, merges, compares and shows one cluster's
// rancher_kubernetes_engine_config.
//
// A Document is the JSON object Rancher sent. It is never written back through
// rke's Go types: those drop unknown fields and invent zero values. They only
// say what a field is called in YAML and which JSON type it takes.
//
// The package does no I/O and reads no clock. It knows RKE, not credential
// providers: what it must know about arguments that belong together is handed
// in as a Group.
package rkeconfig
