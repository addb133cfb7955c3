#!/usr/bin/env bash
# make run: prints the records of all containers as JSON lines until Ctrl-C, or for DURATION (e.g. 10s).
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "run: $*" >&2; }

helpers=()
scratch=$(mktemp -d)
# A signal has to end the helpers too: they were started with interrupts ignored, as background jobs are.
cleanup() {
	local p
	for p in "${helpers[@]}"; do kill "$p" 2>/dev/null || true; done
	for p in "${helpers[@]}"; do wait "$p" 2>/dev/null || true; done
	rm -rf "$scratch"
}
trap cleanup EXIT
trap ':' INT TERM

if host=$(docker/engine.sh up); then
	engine="Engine at $host"
	go build -o build/demo ./docker/enginetest/cmd/demo
	build/demo -host "$host" &
	helpers+=($!)
else
	[ $? = 3 ] || exit 1
	go build -o build/fakeengine ./capture/dockertest/cmd/fakeengine
	host=unix://$scratch/engine.sock
	engine="no Docker Engine here, so a FAKE one with a few chatty containers"
	build/fakeengine -socket "$scratch/engine.sock" >/dev/null &
	helpers+=($!)
	for _ in $(seq 100); do [ -S "$scratch/engine.sock" ] && break; sleep 0.05; done
fi

if fluent_bit=$(command -v fluent-bit); then
	say "$(fluent-bit --version | head -n 1) ($fluent_bit), $engine"
	command=("$fluent_bit" -f 1 -e build/in_docker_logs.so
		-i docker_logs -p "Docker_Host=$host" -t docker -o stdout -m '*' -p format=json_lines)
else
	say "no fluent-bit on the PATH, so the project's host; $engine"
	command=(build/flbhost -o stdout -t docker build/in_docker_logs.so "Docker_Host=$host")
fi
say "records follow on standard output; Ctrl-C ends it"

# timeout gives 124 at the end of DURATION; --foreground keeps Ctrl-C with the agent and SIGCONT, which makes Fluent Bit
# dump its state, away from it. The host reads commands from its standard input and ends with it.
mkfifo "$scratch/stdin"
exec 3<>"$scratch/stdin"
status=0
timeout --foreground -s TERM "${DURATION:-0}" "${command[@]}" <&3 || status=$?
case $status in 0 | 124 | 130 | 143) ;; *) exit "$status" ;; esac
