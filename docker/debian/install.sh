#!/bin/sh
# install.sh PACKAGE...: installs packages of Debian where root and apt-get are here. Else, or where that fails, it says so and
# exits with 3.
set -eu

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "needed, and not to be installed here (that takes root and apt-get): $*" >&2
	exit 3
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
exec 9</var/lib/apt # apt-get update does not wait for another one
flock 9
echo "installing Debian's $* (about a minute)" >&2
# RUNLEVEL=1 keeps a machine without systemd from starting a service that comes with the package.
export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"; } >"$log" 2>&1 9<&-; then
	echo "apt-get failed to install $*; the end of what it said:" >&2
	tail -n 5 "$log" >&2
	exit 3
fi
