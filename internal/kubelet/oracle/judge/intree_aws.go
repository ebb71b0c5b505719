//go:build until126

package main

// Providers that this version's kubelet has built in.
import (
	_ "k8s.io/kubernetes/pkg/credentialprovider/aws"
)
