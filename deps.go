package main

import (
	_ "github.com/aymanbagabas/go-udiff"
	_ "github.com/cenkalti/backoff/v5"
	_ "github.com/fatih/color"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/google/renameio/v2/maybe"
	_ "github.com/rancher/norman/api"
	_ "github.com/rancher/norman/store/empty"
	_ "github.com/rancher/norman/types/convert/merge"
	_ "github.com/rancher/rke/types"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/urfave/cli/v2"
	_ "github.com/gofrs/flock"
	_ "github.com/vbauerster/mpb/v8"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/term"
	_ "gopkg.in/yaml.v2"
	_ "k8s.io/apimachinery/pkg/util/version"
	_ "pgregory.net/rapid"
)
