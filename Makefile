# Everything a developer runs. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
PKGS := ./...

# Pinned tools, built from source into bin/ so that nothing on the machine decides.
GOLANGCI_LINT_VERSION := v2.7.2
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK_VERSION := v1.1.4
GOVULNCHECK := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)
GORELEASER_VERSION := v2.12.0
GORELEASER := $(BIN)/goreleaser-$(GORELEASER_VERSION)

FUZZTIME ?= 30s

.PHONY: help build docs cross container demo test e2e oracle soak browser lint bench cover fuzz release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/rkepatch
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/rkepatch .

# The systems it is released for; .goreleaser.yaml names the same.
SYSTEMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

cross: ## build for every system it is released for, and throw that away
	@for s in $(SYSTEMS); do \
	  echo "GOOS=$${s%/*} GOARCH=$${s#*/} CGO_ENABLED=0 go build"; \
	  GOOS=$${s%/*} GOARCH=$${s#*/} CGO_ENABLED=0 go build -o /dev/null . || exit 1; \
	done

container: ## what the image of docs/deploy is to the program, without Docker; root
	CGO_ENABLED=0 go build -tags timetzdata -trimpath -o $(BIN)/container/rkepatch .
	go build -o $(BIN)/simrancher ./fixtures/simrancher/serve
	./fixtures/container.sh $(BIN)/container/rkepatch $(BIN)/simrancher

demo: build ## the whole road against a simulated Rancher, in under two minutes
	go build -o $(BIN)/simrancher ./fixtures/simrancher/serve
	CGO_ENABLED=0 go build -o $(BIN)/stand-in-provider ./fixtures/simkube/provider
	./fixtures/demo.sh $(BIN)

test: ## all tests under the race detector
	go test -race -timeout 10m $(PKGS)

e2e: build ## real etcd, containerd, kube-apiserver, kubelets and provider; root; RKEPATCH_SKIP_E2E=1 skips
	./fixtures/e2e/run.sh

MUTATIONS ?= 100000

oracle: ## the kubelet's rules against the kubelets' own code, MUTATIONS (default 100000) per version
	./internal/kubelet/oracle/run.sh $(MUTATIONS)

soak: ## kill -9 at 500 seeded points, resume and roll back from each
	RKEPATCH_SOAK=500 go test -timeout 60m -run 'TestKill' ./internal/cli

browser: ## the review page in headless Chromium
	./fixtures/browser/test.sh

# The pages that are made from the program: commands.md, rkepatch.1, findings.md.
DOC_TESTS := -run 'CommandsDoc|FindingsDoc' ./internal/cli ./internal/fleet

docs: ## write the pages that are made from the program anew
	go test $(DOC_TESTS) -update

lint: $(GOLANGCI_LINT) $(GOVULNCHECK) ## gofmt, vet, staticcheck, import arrows, generated pages, known vulnerabilities
	$(GOLANGCI_LINT) run $(PKGS)
	GOOS=windows $(GOLANGCI_LINT) run --tests=false . ./rancher/... ./rkeconfig/... ./internal/...
	go test $(DOC_TESTS)
	go run ./fixtures/vuln $(GOVULNCHECK) .
	go mod verify

bench: build ## speed and memory, as ratios from one run; writes docs/benchmarks.md
	go build -o $(BIN)/simrancher ./fixtures/simrancher/serve
	go run ./fixtures/bench -bin $(BIN) -out docs/benchmarks.md

cover: ## statement coverage of the packages; rancher and rkeconfig must hold 90 %
	go test -coverprofile=coverage.out -coverpkg=./rancher/...,./rkeconfig/...,./internal/... $(PKGS)
	go tool cover -func=coverage.out | tail -n 1
	./fixtures/coverage.sh rancher rkeconfig

fuzz: ## every fuzz target for FUZZTIME (default 30s)
	./fixtures/fuzz.sh $(FUZZTIME)

release-check: $(GORELEASER) ## is the release configuration right, and does the present commit give the same bytes twice
	$(GORELEASER) check
	./fixtures/reproducible.sh $(GORELEASER)

clean: ## remove what the other targets made
	rm -rf $(BIN) coverage.out

$(GOLANGCI_LINT):
	GOBIN=$(BIN)/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/tools/golangci-lint $@

$(GOVULNCHECK):
	GOBIN=$(BIN)/tools go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv $(BIN)/tools/govulncheck $@

$(GORELEASER):
	GOBIN=$(BIN)/tools go install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
	mv $(BIN)/tools/goreleaser $@
