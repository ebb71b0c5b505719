//go:build until129

package main

import (
	_ "k8s.io/kubernetes/pkg/credentialprovider/azure"
)
