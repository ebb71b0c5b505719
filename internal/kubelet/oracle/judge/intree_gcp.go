//go:build until130

package main

import (
	_ "k8s.io/kubernetes/pkg/credentialprovider/gcp"
)
