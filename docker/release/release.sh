#!/usr/bin/env bash
# release.sh VERSION: what people download, into build/release/; `make release` runs it. Both plugins are linked by zig, whose C
# library is as old as is asked for. What was made is then tested, the one for arm64 under qemu.
set -euo pipefail
cd "$(dirname "$0")/../.."

NFPM=v2.45.2 CYCLONEDX=v1.10.0
GLIBC=2.17

version=${1:-}
if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
	echo "release: VERSION is '$version'; one such as 1.2.3 or 1.2.3-rc.1 is needed" >&2
	exit 2
fi
if [ "$(uname -m)" != x86_64 ]; then
	echo "release: this is a machine for $(uname -m); one for amd64 is needed, to try what is made for it" >&2
	exit 2
fi
say() { echo "release: $*" >&2; }

missing=()
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
[ -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ] || missing+=(libc6-arm64-cross)
[ ${#missing[@]} = 0 ] || docker/debian/install.sh "${missing[@]}"

zig=$PWD/build/tools/zig
if ! cmp -s docker/release/zig.txt "$zig/ready"; then
	say "fetching zig (once)"
	python3 -m venv --clear "$zig"
	"$zig/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement docker/release/zig.txt
	cp docker/release/zig.txt "$zig/ready"
fi
export ZIG_GLOBAL_CACHE_DIR=$zig/cache ZIG_LOCAL_CACHE_DIR=$zig/cache CGO_ENABLED=1
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

out=build/release work=build/release.work
rm -rf "$out" "$work"
mkdir -p "$out" "$work"
trap 'rm -rf "$work"' EXIT

say "collecting the licenses of what is linked in"
go run ./docker/release -zig "$zig" >"$work/THIRD-PARTY.txt"

for arch in amd64 arm64; do
	case $arch in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; esac
	cc=("$zig/bin/python" -m ziglang cc -target "$machine-linux-gnu.$GLIBC")
	so=$out/in_docker_logs-$version-linux-$arch.so

	say "building $so (minutes, the first time)"
	GOARCH=$arch CC="${cc[*]}" go build -trimpath -buildmode=c-shared -o "$work/in_docker_logs.so" \
		-ldflags "-s -w -extldflags=-s -X fluent-bit-docker-logs/capture.version=$version" ./plugin
	cp "$work/in_docker_logs.so" "$so"
	"${cc[@]}" -O2 -Wall -Wextra -Werror -pthread -rdynamic plugin/host/*.c -ldl -o "build/flbhost-$arch"

	CGO_ENABLED=0 go run "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$CYCLONEDX" bin \
		-json -std -noserial -notimestamp -version "$version" -output "${so%.so}.cdx.json" "$so"

	name=in_docker_logs-$version-linux-$arch
	mkdir -p "$work/$name/conf"
	cp "$work/in_docker_logs.so" "$work/THIRD-PARTY.txt" LICENSE README.md CHANGELOG.md "$work/$name"
	cp conf/*.conf conf/*.yaml conf/README.md "$work/$name/conf"
	tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" \
		-cf - "$name" | gzip -n -9 >"$out/$name.tar.gz"

	# A package puts nothing below /usr/local.
	rm -rf "$work/conf" && cp -r "$work/$name/conf" "$work/conf"
	sed -i 's|/usr/local/lib/|/usr/lib/|' "$work"/conf/*
	for packager in deb rpm; do
		VERSION=$version ARCH=$arch CGO_ENABLED=0 go run "github.com/goreleaser/nfpm/v2/cmd/nfpm@$NFPM" \
			package --config docker/release/nfpm.yaml --packager $packager --target "$out/" >&2
	done
done
cp "$work/THIRD-PARTY.txt" "$out"
(cd "$out" && sha256sum -- *) >"$work/SHA256SUMS"
mv "$work/SHA256SUMS" "$out"

say "testing what was made"
RELEASE=$version go test -count=1 -run 'TestRelease' ./docker
ls -l "$out" >&2
