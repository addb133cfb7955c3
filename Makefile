# What a developer types. `make help` lists it. Nothing has to be done before on a Debian machine with Go, and root for the
# tests: what is missing (a C compiler, Docker, shellcheck) is installed by apt.

# What fails in the middle of a pipe has failed.
SHELL       = /bin/bash
.SHELLFLAGS = -euo pipefail -c

GOLANGCI_VERSION = v2.15.0

PLUGIN = build/in_docker_logs.so
HOST   = build/flbhost
LINT   = build/tools/golangci-lint-$(GOLANGCI_VERSION)

CFLAGS = -O2 -g -Wall -Wextra -Werror -pthread

# Files that go into the plugin: a change of a test or of another program builds nothing.
GO_SOURCES   = $(shell find plugin capture -name '*.go' ! -name '*_test.go' ! -path 'plugin/e2e/*' ! -path 'plugin/backends/*' ! -path 'capture/dockertest/*' ! -path 'capture/reader/readertest/*') $(wildcard capture/page/page.*)
C_SOURCES    = $(wildcard plugin/*.c plugin/*.h)
HOST_SOURCES = $(wildcard plugin/host/*.c)

SCRIPTS = $(shell find docker -name '*.sh') .ci/run

export CGO_ENABLED = 1

.DELETE_ON_ERROR:
.PHONY: release sim chaos bench-peers help build run check migrate test versions e2e soak lint bench up down .go .compose image-test podman-test clean

help: ## list the targets (default)
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

build: $(PLUGIN) $(HOST) ## build/in_docker_logs.so and build/flbhost

$(PLUGIN): $(GO_SOURCES) $(C_SOURCES) go.mod go.sum | .go build/.compiler
	go build -trimpath -buildmode=c-shared -o $@ ./plugin
	@rm -f $(@:.so=.h) # cgo writes a header that nobody includes
	@touch $@ # go leaves a file alone that it finds up to date

$(HOST): $(HOST_SOURCES) $(wildcard plugin/host/*.h) | build/.compiler
	$(CC) $(CFLAGS) -rdynamic $(HOST_SOURCES) -ldl -o $@

build/.compiler:
	@mkdir -p build
	@echo '#include <stdio.h>' | $(CC) -E - >/dev/null 2>&1 || docker/debian/install.sh gcc libc6-dev
	@touch $@

# A Go that is older fetches the one that go.mod names, from 1.21 on.
.go:
	$(if $(shell go list -m 2>/dev/null),,$(error Go $(shell sed -n 's/^go //p' go.mod) or newer is needed, and $(or $(shell go version 2>/dev/null),no go on the PATH) is what is here: see https://go.dev/doc/install))

run: build ## print the records of all containers as JSON lines until Ctrl-C, or DURATION=10s
	@docker/run.sh

check: | .go ## whether the values of a configuration are allowed, CONF=FILE: Fluent Bit's --dry-run does not look at them
	@go run ./conf/check $(or $(CONF),$(error CONF=FILE says which configuration))

migrate: | .go ## a DB that begins where Fluent Bit's tail has stopped in Docker's log files: TAIL=its DB, DB=FILE; CONTAINERS=DIRECTORY of the logs
	@go run ./conf/migrate -tail $(or $(TAIL),$(error TAIL=FILE says which DB of tail)) -db $(or $(DB),$(error DB=FILE says what to write)) $(if $(CONTAINERS),-containers $(CONTAINERS))

test: build ## every test with the race detector, on a real Engine and, where installed, a real Fluent Bit; ENGINE=28,29 or all
ifdef ENGINE
	go test -json -race -timeout 2h -p 1 -parallel 2 ./... | go run ./docker/enginetest/cmd/testtable
else
	@docker/engine.sh up >/dev/null || [ $$? = 3 ]
	go test -race -timeout 40m -p 2 -parallel 2 ./... # capture beside all the others
endif

versions: build ## the table of plugin/README.md: what each Fluent Bit does under load: FLUENT_BITS="PATH PATH ...", by default this machine's
	STOPS=6 RELOADS=10 KILLS=8 PAUSE=35 go test -json -count=1 -timeout 3h -parallel 4 -run 'TestVersions|TestLines' ./plugin/e2e | go run ./docker/enginetest/cmd/testtable

e2e: build ## Fluent Bit, VictoriaLogs and Kafka, all real: what came of 200,000 lines, and through faults; LOKI_URL=http://host:port for a Loki
	@docker/engine.sh up >/dev/null
	E2E=1 go test -v -count=1 -timeout 30m ./plugin/backends

sim: | .go ## plans drawn from a seed against the fake Engine in virtual time: what was not thought of; SEED=, TIME=5m, PLAN=file, REPORT=file
	@mkdir -p build
	go test -v -timeout 0 -run 'TestSimulation$$' ./capture -sim.seed $(or $(SEED),0) -sim.time $(or $(TIME),5m) -sim.plan '$(abspath $(PLAN))' -sim.report $(abspath $(or $(REPORT),build/simulation.md))

chaos: build ## plans drawn from a seed on real Engines (own ones, as root) and a real Fluent Bit; SEED=, DURATION=10m, PLANS=, ENGINE=20.10,29, READER=, PLAN=FILE, SHRINK=, OUT=
	go build -o build/chaos/chaos ./docker/chaos/cmd/chaos
	@build/chaos/chaos $(foreach v,SEED DURATION PLANS ENGINE READER PLAN SHRINK OUT,$(if $($v),-$(shell echo $v | tr A-Z a-z) $($v)))

soak: build ## half an hour of capture with checkpoints, verdict and report; DURATION=, CONTAINERS=, CHECKPOINTS=, ROTATE=, OUT=
	go build -o build/soak ./docker/soak/cmd/soak
	@build/soak $(foreach v,DURATION CONTAINERS CHECKPOINTS ROTATE OUT,$(if $($v),-$(shell echo $v | tr A-Z a-z) $($v)))

lint: $(LINT) | .go build/.compiler ## golangci-lint and shellcheck
	$(LINT) run --allow-serial-runners ./... # waits for one that runs already
	@test "$$(go list -f '{{if .CgoFiles}}{{.ImportPath}}{{end}}' ./...)" = "$$(go list ./plugin)" || { echo "cgo belongs into plugin alone"; false; } # depguard does not see it
	@command -v shellcheck >/dev/null || docker/debian/install.sh shellcheck
	shellcheck -x $(SCRIPTS)

$(LINT): | .go
	@mkdir -p build/tools
	@echo "building golangci-lint $(GOLANGCI_VERSION) (once; a few minutes)"
	GOBIN=$(CURDIR)/build/tools CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv build/tools/golangci-lint $@

bench: build ## benchmarks of the capture path: ns/line, MB/s, allocations
	go test -run '^$$' -bench . -benchmem ./...

bench-peers: build ## other agents on the same work, ours beside them: CPU, Engine, memory, lines lost and doubled; root; PEERS=tail,otelcol, WORKS=read,idle, ROUNDS=3, SCALE=0.05, OUT=
	go build -o build/peers/peers ./docker/peers/cmd/peers
	@build/peers/peers $(foreach v,PEERS WORKS ROUNDS SCALE OUT,$(if $($v),-$(shell echo $v | tr A-Z a-z) $($v)))

up: .compose ## the whole stack on this machine: Fluent Bit, Loki, Kafka, Grafana, Prometheus; needs Docker Compose and the images
	HOSTNAME=$$(hostname) docker compose -f docker/compose.yaml up --detach --build --wait

down: .compose ## stop the stack; its volumes stay
	docker compose -f docker/compose.yaml down

# Without its plugin, docker complains of the first flag.
.compose:
	@docker compose version >/dev/null 2>&1 || { echo "there is no 'docker compose' here; install Docker Compose 2 (Debian: docker-compose-plugin of Docker's packages)"; exit 1; }

image-test: build ## the image of docker/Dockerfile, compiled in stand-ins of its bases, and run; minutes, as make test does it without the compiler
	@docker/engine.sh up >/dev/null || [ $$? = 3 ]
	IMAGE_TEST=1 go test -v -count 1 -timeout 30m -run Image ./docker

podman-test: | .go ## a real Podman (Debian's, as root) by every reader and log driver, of which make test has a part; a minute or two
	PODMAN_TEST=1 go test -race -v -count 1 -timeout 30m -run Podman ./capture

release: | .go build/.compiler ## VERSION=1.2.3: plugins for glibc 2.17 and later, archives, packages, SBOMs and sums in build/release/, tried, arm64 under qemu; minutes
	@docker/release/release.sh '$(VERSION)'

clean: ## stop the Engines and backends that were started here and remove build/
	@for v in $$(docker/engine.sh versions); do docker/engine.sh down --version $$v; done; docker/backends.sh down
	rm -rf build
