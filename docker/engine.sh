#!/usr/bin/env bash
# A Docker Engine for the tests and for `make run`.
#
#   docker/engine.sh up     [--version V]   find or start an Engine; the last line is its DOCKER_HOST
#   docker/engine.sh down   [--version V]   stop what `up` started, and nothing else
#   docker/engine.sh restart [--version V]  stop and start the dockerd that `up` started, and its containers with it
#   docker/engine.sh status [--version V]   one line; exit 0 when an Engine answers
#   docker/engine.sh host   [--version V]   only the DOCKER_HOST; exit 1 when none answers
#   docker/engine.sh built  [--version V]   exit 0 when the binaries are there
#   docker/engine.sh versions               the versions that there are, one a line
#
# Without --version: the Engine that answers on $DOCKER_HOST or /var/run/docker.sock, else (as root) Debian's docker.io,
# started here. With --version 20.10: Debian's, started here. With one of the others: that Engine, built once with the Go
# client into a cache, beside any other; all but 29 run on Debian's containerd and runc. 24 is left out: no buildkit that
# can be had fits it.
# What is started here has its own socket, data root and containerd in $STATE and never touches another daemon.
# With ENGINE_OWN=1 only an Engine that was started here will do, e.g. one with its own $XDG_STATE_HOME for a test that
# restarts it.
# Exit 3: no Engine can be had on this machine (not root, or no docker.io to install).
set -euo pipefail

cmd=${1:-}
version=debian
[ "${2:-}" = --version ] && version=${3:?--version needs a number}
case "$cmd" in up | down | restart | status | host | built | versions) ;; *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac

MODULES=$(cd "$(dirname "$0")/engines" && pwd) # a module for each Engine that is built as a tool of one
versions() {
	echo 20.10
	basename -a "$MODULES"/*/
	echo 29
}
known=$(versions | paste -sd ' ')
if [ "$version" != debian ] && [[ " $known " != *" $version "* ]]; then
	echo "engine: --version knows $known" >&2
	exit 2
fi
if [ "$version" = 20.10 ]; then
	version=debian
	export ENGINE_OWN=1
fi

STATE=${XDG_STATE_HOME:-/var/lib}/docker-logs-test/$version
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/docker-logs-test/engine-$version
SOCK=$STATE/docker.sock
CTRD=$STATE/containerd.sock
STANDARD=unix:///var/run/docker.sock

# The modules of the current Engine. Each is built in a module of its own: as a dependency its replace directives are void,
# and one tool's requirements do not move another's.
MOBY=v2.0.0-beta.24
CONTAINERD=v2.4.2
RUNC=v1.5.2

# shellcheck source=docker/daemon.sh
. "$(dirname "$0")/daemon.sh"

# version_of HOST prints the Engine's version when one answers there.
version_of() {
	case "$1" in unix://*) [ -S "${1#unix://}" ] || return 1 ;; esac
	if command -v docker >/dev/null; then
		DOCKER_HOST=$1 timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null
	elif command -v curl >/dev/null && [ "${1#unix://}" != "$1" ]; then
		curl -sf -m 10 --unix-socket "${1#unix://}" http://engine/version | sed 's/.*"Version":"\([^"]*\)".*/\1/'
	else
		return 1
	fi
}

# find_host prints the first DOCKER_HOST that answers.
find_host() {
	local candidates=("unix://$SOCK") h
	[ "$version" = debian ] && [ -z "${ENGINE_OWN:-}" ] && candidates=(${DOCKER_HOST:+"$DOCKER_HOST"} "$STANDARD" "unix://$SOCK")
	for h in "${candidates[@]}"; do
		if version_of "$h" >/dev/null; then echo "$h"; return; fi
	done
	return 1
}

install_debian() {
	command -v dockerd >/dev/null && command -v containerd >/dev/null && return
	"$(dirname "$0")/debian/install.sh" docker.io curl
}

# complete names the file that stands for a whole build of what is asked for now.
complete() {
	if [ "$version" = 29 ]; then
		echo "$CACHE/bin/complete-$MOBY-$CONTAINERD-$RUNC"
	else
		echo "$CACHE/bin/complete-$(sha256sum "$MODULES/$version/go.mod" | cut -c1-12)"
	fi
}

built() { [ "$version" = debian ] || [ -f "$(complete)" ]; }

# build_tool MODULE@VERSION TAGS PACKAGE...
build_tool() {
	local module=$1 tags=$2 dir start=$SECONDS
	shift 2
	dir=$CACHE/src/$(basename "${module%@*}")
	say "building $module"
	mkdir -p "$dir"
	rm -f "$dir/go.mod" "$dir/go.sum"
	(
		cd "$dir"
		export GOFLAGS=-buildvcs=false GOWORK=off GOBIN=$CACHE/bin
		go mod init tool
		go get -tool "${@/%/@${module##*@}}" && go install -tags "$tags" -ldflags "${LDFLAGS:-}" "$@"
	) >"$dir/build.log" 2>&1 || { tail -n 15 "$dir/build.log" >&2; return 1; }
	say "  $((SECONDS - start)) s"
}

build() {
	built && return
	say "building Engine $version into $CACHE (once; several minutes)"
	mkdir -p "$CACHE/bin"
	if [ "$version" = 29 ]; then build_current; else build_module; fi
	touch "$(complete)"
}

# build_module builds a dockerd as the tool of the module that has the requirements of its vendor.mod.
build_module() {
	local release start=$SECONDS
	release=$(cd "$MODULES/$version" && GOWORK=off GOFLAGS=-mod=readonly go list -m -f '{{.Version}}' github.com/docker/docker)
	release=${release#v}
	(
		cd "$MODULES/$version"
		GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0 go build -trimpath -tags "exclude_graphdriver_devicemapper exclude_graphdriver_btrfs exclude_graphdriver_zfs" \
			-ldflags "-s -w -X github.com/docker/docker/dockerversion.Version=${release%+incompatible}" \
			-o "$CACHE/bin/dockerd" github.com/docker/docker/cmd/dockerd
	) >"$CACHE/build.log" 2>&1 || { tail -n 15 "$CACHE/build.log" >&2; return 1; }
	say "  $((SECONDS - start)) s"
}

build_current() {
	# The Engine's version is set by the linker; left alone it says "library-import".
	LDFLAGS="-X github.com/moby/moby/v2/dockerversion.Version=$version-$MOBY" \
		build_tool github.com/moby/moby/v2@$MOBY "" github.com/moby/moby/v2/cmd/dockerd
	build_tool github.com/containerd/containerd/v2@$CONTAINERD "no_btrfs no_devmapper no_zfs no_cri" \
		github.com/containerd/containerd/v2/cmd/containerd github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	build_tool github.com/opencontainers/runc@$RUNC "" github.com/opencontainers/runc
}

up() {
	local host
	if host=$(find_host); then
		say "using Engine $(version_of "$host") at $host"
		echo "$host"
		return
	fi
	[ "$(id -u)" = 0 ] || { say "no Engine answers on ${DOCKER_HOST:-$STANDARD}, and starting one needs root"; exit 3; }
	mkdir -p "$STATE"
	exec 9>"$STATE/lock"
	flock 9
	# Another `up` may have finished while this one waited; an installation may have started the system's daemon.
	if ! host=$(find_host); then
		if [ "$version" != 29 ]; then install_debian; fi # for all but 29 run on its containerd
		if [ "$version" != debian ]; then build; fi
		if ! host=$(find_host); then
			launch
			host=unix://$SOCK
			say "started Engine $(version_of "$host") (pid $(ours dockerd)); stop it with: docker/engine.sh down$([ "$version" = debian ] || echo " --version $version")"
		fi
	fi
	say "DOCKER_HOST=$host"
	echo "$host"
}

launch() {
	if [ "$version" != debian ]; then export PATH=$CACHE/bin:$PATH; fi
	mkdir -p "$STATE/exec"
	# Without a file of our own dockerd would read /etc/docker/daemon.json. The runc of 29 is built without libseccomp.
	if [ "$version" = 29 ]; then echo '{"seccomp-profile": "unconfined"}'; else echo '{}'; fi >"$STATE/daemon.json"
	printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$STATE/containerd.toml"
	if ! ours containerd >/dev/null; then
		rm -f "$CTRD" # of one that was killed: it would be taken for this one's, and Engine 29 does not wait
		start containerd containerd --config "$STATE/containerd.toml" --log-level warn \
			--address "$CTRD" --root "$STATE/containerd" --state "$STATE/exec/containerd"
	fi
	await containerd containerd test -S "$CTRD"
	if ! ours dockerd >/dev/null; then
		rm -f "$STATE/dockerd-self.pid"
		# Test containers have no network, so nothing here needs bridge or iptables rights.
		start dockerd dockerd --host "unix://$SOCK" --containerd "$CTRD" --data-root "$STATE/data" \
			--exec-root "$STATE/exec/docker" --pidfile "$STATE/dockerd-self.pid" --config-file "$STATE/daemon.json" \
			--bridge=none --iptables=false --ip-forward=false --userland-proxy=false --shutdown-timeout 5 --log-level warn
	fi
	await dockerd dockerd version_of "unix://$SOCK"
}

restart() {
	local pid
	exec 9>"$STATE/lock"
	flock 9
	pid=$(ours dockerd) || { say "no dockerd was started here"; exit 1; }
	stop "$pid"
	launch
}

down() {
	[ -d "$STATE" ] || { say "nothing was started here"; return; }
	exec 9>"$STATE/lock"
	flock 9
	local pid name stopped=
	for name in dockerd containerd; do
		if pid=$(ours "$name"); then stop "$pid"; stopped="$stopped $name ($pid)"; fi
		rm -f "$STATE/$name.pid"
	done
	# Shims survive a daemon that was killed; their command line names our containerd.
	for pid in $(grep -lsaF "$CTRD" /proc/[0-9]*/cmdline | tr -dc '0-9\n'); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = containerd-shim ] && stop "$pid"
	done
	awk -v s="$STATE/" 'index($2, s) == 1 { print $2 }' /proc/mounts | sort -r | while read -r m; do umount "$m" || true; done
	rm -f "$SOCK" "$CTRD"
	say "stopped:${stopped:- nothing was running}"
}

case "$cmd" in
up) up ;;
down) down ;;
restart) restart ;;
host) find_host || { say "no Engine answers"; exit 1; } ;;
built) built ;;
versions) versions ;;
status)
	if h=$(find_host); then
		by="not started by this script"
		if [ "$h" = "unix://$SOCK" ] && ours dockerd >/dev/null; then by="started by this script"; fi
		echo "Engine $(version_of "$h") at $h, $by"
	else
		echo "no Engine answers"
		exit 1
	fi
	;;
esac
