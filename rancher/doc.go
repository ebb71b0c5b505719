// Package rancher is a client for the part of Rancher's v3 (norman) API that patching RKE1 clusters
// takes: connect, list clusters and nodes, read one cluster, update its
// rancherKubernetesEngineConfig, and read back what was stored.
//
// It knows how Rancher 2.8 to 2.11 treats what it is sent, and nothing of kubelets or credential
// providers. Three rules hold everywhere: only GETs are ever repeated; credentials go to the configured
// address and to no other; an answer of 200 is compared with the intent before it counts as success.
//
// norman's own client (norman/clientbase) is left aside: it knows no context, overwrites the transport
// it is given, returns a nil error and no client for a bad PEM, and puts whole response bodies into its
// errors. norman's types, schemas and error codes are used where they fit.
package rancher
