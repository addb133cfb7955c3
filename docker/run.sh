#!/usr/bin/env bash
# make run: prints the records of all containers as JSON lines until Ctrl-C, or for DURATION (e.g. 10s) from the first one on.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "run: $*" >&2; }

DURATION=${DURATION:-0} # 0 is for ever, as with timeout
[[ $DURATION =~ ^[0-9]+(\.[0-9]+)?[smhd]?$ ]] || { say "DURATION is '$DURATION'; a time such as 10s is needed"; exit 2; }

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
trap 'exit 130' INT
trap 'exit 143' HUP TERM
mkfifo "$scratch"/{stdin,cast,records,first}

say "looking for a Docker Engine"
status=0
host=$(docker/engine.sh up) || status=$?
case $status in
0)
	engine="Engine at $host"
	say "building the demonstration's container, in case that no other runs"
	go build -o build/demo ./docker/enginetest/cmd/demo
	cast=(build/demo -host "$host")
	;;
3)
	host=unix://$scratch/engine.sock
	engine="no Docker Engine here, so a FAKE one with a few chatty containers"
	say "no Docker Engine can be had here; building a fake one"
	go build -o build/fakeengine ./capture/dockertest/cmd/fakeengine
	cast=(build/fakeengine -socket "$scratch/engine.sock")
	;;
*) exit "$status" ;;
esac

# Its first line says that there are containers, and of the demonstration whose they are.
"${cast[@]}" >"$scratch/cast" &
helpers+=($!)
exec 4<"$scratch/cast"
read -r -u 4 whose || exit 1

if fluent_bit=$(docker/debian/fluent-bit.sh); then
	say "$("$fluent_bit" --version | head -n 1) ($fluent_bit), $engine"
	command=("$fluent_bit" -f 1 -e build/in_docker_logs.so
		-i docker_logs -p "Docker_Host=$host" -t docker -o stdout -m '*' -p format=json_lines)
else
	say "no fluent-bit on the PATH or in /opt/fluent-bit, so the project's host; $engine"
	command=(build/flbhost -o stdout -t docker build/in_docker_logs.so "Docker_Host=$host")
fi
say "records follow on standard output; Ctrl-C ends it"

# show passes the records on, and says once that the first one is out, or that none will come.
show() {
	local record
	if IFS= read -r record; then printf '%s\n' "$record"; fi
	echo >&5
	exec cat
}
exec 5<>"$scratch/first"
show <"$scratch/records" &
shown=$!

# The host reads commands from its standard input and ends with it. In a session of its own the agent is told to end once, from
# here, and not by Ctrl-C as well.
exec 3<>"$scratch/stdin"
setsid "${command[@]}" <&3 >"$scratch/records" 3<&- 4<&- 5<&- &
agent=$!
stop() { kill "$agent" 2>/dev/null || true; }
trap stop INT HUP TERM

status=0
if [ "$DURATION" != 0 ]; then
	patience=120
	if [ "$whose" = theirs ]; then patience=10; fi # they may have nothing to say
	if read -r -t "$patience" -u 5 || [ "$whose" = theirs ]; then
		sleep "$DURATION" &
		helpers+=($!)
		wait -n "$agent" $! || true # or a signal ends it
	elif kill -0 "$agent" 2>/dev/null; then
		say "no record came in $patience s"
		status=1
	fi
	stop
fi
while kill -0 "$agent" 2>/dev/null; do wait "$agent" || true; done
wait "$agent" || status=$?
wait "$shown" || true
case $status in 0 | 130 | 143) ;; *) exit "$status" ;; esac
