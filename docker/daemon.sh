# shellcheck shell=bash
# Sourced by engine.sh and backends.sh: programs that run in the background and are known again by their pid file in $STATE.

say() { echo "$(basename "$0" .sh): $*" >&2; }

# ours NAME: prints the pid of the NAME (e.g. dockerd) that was started here, if it lives. The command line is compared
# because a pid file may outlive its process and the number be given to another.
ours() {
	local pid
	pid=$(cat "$STATE/$1.pid" 2>/dev/null) || return 1
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$STATE/" && echo "$pid"
}

# start NAME COMMAND...: in a session of its own, without the lock's descriptor.
start() {
	local name=$1
	shift
	setsid "$@" >"$STATE/$name.log" 2>&1 </dev/null 9>&- &
	echo $! >"$STATE/$name.pid"
}

# await WHAT NAME TEST...: until the test passes or NAME is gone; shows the end of its log then.
await() {
	local what=$1 name=$2 i
	shift 2
	for ((i = 0; i < ${PATIENCE:-1200}; i++)); do
		if "$@" >/dev/null 2>&1; then return; fi
		kill -0 "$(cat "$STATE/$name.pid")" 2>/dev/null || break
		sleep 0.1
	done
	say "$what did not come up; the end of $STATE/$name.log:"
	tail -n 15 "$STATE/$name.log" >&2
	return 1
}

# stop PID: TERM, then KILL after 20 s.
stop() {
	local i
	kill "$1" 2>/dev/null || return 0
	for ((i = 0; i < 200; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null || true
}
