# build, test and demo need Go, git and make. e2e and image also use a container
# engine, e2e, bench and screenshots chromium with its chromedriver; conformance
# uses the corpus in ../shared when it is there.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= oneloop:$(VERSION)
CORPUS  ?= ../shared/conformance
CERTS   ?= /etc/ssl/certs/ca-certificates.crt

# Two builds of one commit give the same bytes.
GOBUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false
LDFLAGS = -s -w -buildid= -X github.com/oneloop-dev/oneloop/pkg/cli.Version=$(VERSION)
RACED   = admission_render compare diff function_lock function_results gatekeeper_render generatingpolicy_expression \
          imagevalidatingpolicy_digest mutatingpolicy_existing render_generate render_targets test_suite verify_order
empty   =
space   = $(empty) $(empty)
TALLY   = go run ./tests/tools/tally

.PHONY: build test race e2e differential conformance bench lint generate man screenshots demo image release clean
build:
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o bin/oneloop ./fn/oneloop

test:
	$(TALLY) ./...

# Scripts take ten times as long with it: those of the ways through the program in
# which goroutines meet are enough.
race: $(RACED:%=tests/script/%.txtar)
	CGO_ENABLED=1 $(TALLY) -race ./pkg/...
	CGO_ENABLED=1 $(TALLY) -race -run 'TestScript/($(subst $(space),|,$(strip $(RACED))))$$|TestAction' ./tests

demo: build bin/kustomize
	@examples/demo.sh

e2e: build bin/kustomize bin/helm3 bin/helm4
	$(TALLY) -count=1 -tags=e2e ./tests/e2e

# Beside the upstream code, on random input; modules of their own.
differential:
	go build -o bin/tally ./tests/tools/tally
	for dir in tests/differential/*/; do (cd $$dir && ../../../bin/tally ./...) || exit 1; done

conformance: build
	go run ./tests/conformance -corpus '$(CORPUS)' bin/oneloop

bench: build
	cd tests/bench && $(GOBUILD) -ldflags '-s -w' -o ../../bin/bench .
	bin/bench -corpus '$(CORPUS)' bin/oneloop
	go run ./tests/tools/pagebench bin/oneloop

lint: bin/golangci-lint
	bin/golangci-lint run --allow-parallel-runners ./...
	cd tests/bench && ../../bin/golangci-lint run --allow-parallel-runners --config ../../.golangci.yml ./...

generate:
	go generate ./...
	go run -C tests/tools/reference . markdown ../../../docs/reference

man:
	go run -C tests/tools/reference . man ../../../dist/man

# The pictures of the docs.
screenshots: build
	go run ./tests/tools/screenshots bin/oneloop docs/images

image: build
	mkdir -p dist/image
	test -s '$(CERTS)' || { echo 'no CA certificates at $(CERTS): install ca-certificates, or set CERTS'; exit 1; }
	install -m 755 bin/oneloop dist/image/oneloop
	install -m 644 '$(CERTS)' dist/image/ca-certificates.crt
	printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' > dist/image/passwd
	TZ=UTC touch -d 1970-01-01T00:00:00 dist/image dist/image/*
	DOCKER_BUILDKIT=0 docker build --quiet --build-arg 'VERSION=$(VERSION)' --tag '$(IMAGE)' --file Dockerfile dist/image

# All platforms, checksums and SBOMs: make release VERSION=v0.1.0
release:
	go run ./tests/tools/release -version '$(VERSION)' -o dist/release

bin/kustomize: tests/tools/kustomize/go.mod
	cd tests/tools/kustomize && $(GOBUILD) -o ../../../$@ sigs.k8s.io/kustomize/kustomize/v5

bin/helm3 bin/helm4: bin/helm%: tests/tools/helm/go.mod
	cd tests/tools/helm && $(GOBUILD) -o ../../../$@ helm.sh/helm/v$*/cmd/helm

bin/golangci-lint: tests/tools/lint/go.mod
	cd tests/tools/lint && $(GOBUILD) -o ../../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

clean:
	rm -rf bin dist
