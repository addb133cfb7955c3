#!/usr/bin/env bash
# A real Loki and a real Kafka for `make e2e`, on the loopback interface.
#
#   docker/backends.sh up             build what is missing (once), start both; prints the two addresses
#   docker/backends.sh down           stop both, and remove what they wrote
#   docker/backends.sh stop NAME      loki or kafka alone
#   docker/backends.sh start NAME     again, on the data that it had
#   docker/backends.sh status         one line each; exit 0 when both answer
#   docker/backends.sh missing        what this machine lacks to build and run them; exit 3 when there is something
#
# Loki is built with Go from its module into $CACHE. Kafka comes from Maven Central into $CACHE and runs in KRaft mode, one
# broker that is its own controller. What they write is in $STATE.
set -euo pipefail

cmd=${1:-} name=${2:-}
case "$cmd $name" in "up " | "down " | "status " | "missing " | "start loki" | "start kafka" | "stop loki" | "stop kafka") ;; *)
	sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

STATE=${XDG_STATE_HOME:-/var/lib}/docker-logs-test/backends
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/docker-logs-test/backends
LOKI_PORT=${LOKI_PORT:-33100}   # and the next one
KAFKA_PORT=${KAFKA_PORT:-33092} # and the next one

LOKI=v3.7.8
KAFKA=4.1.1

# shellcheck source=docker/daemon.sh
. "$(dirname "$0")/daemon.sh"

missing() {
	local program none=0
	for program in curl $([ -x "$CACHE/loki-$LOKI" ] || echo go) java $([ -f "$CACHE/kafka-$KAFKA/complete" ] || echo mvn); do
		command -v "$program" >/dev/null && continue
		none=3
		case "$program" in
		java) say "java is missing, Kafka runs on it (Debian: default-jre-headless)" ;;
		mvn) say "mvn is missing, it fetches Kafka (Debian: maven)" ;;
		*) say "$program is missing" ;;
		esac
	done
	return $none
}

# As a dependency Loki's replace directives are void, so they are taken over into the module that it is built in; those
# that name a directory are of Loki's own modules, whose published versions will do.
build_loki() {
	[ -x "$CACHE/loki-$LOKI" ] && return
	local module=github.com/grafana/loki/v3 dir=$CACHE/src/loki start=$SECONDS
	say "building Loki $LOKI (once; about ten minutes)"
	mkdir -p "$dir"
	rm -f "$dir/go.mod" "$dir/go.sum"
	(
		cd "$dir"
		export GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0
		go mod init tool
		grep -E '^replace .* => [^.]' "$(go mod download -json $module@$LOKI | sed -n 's/.*"GoMod": "\(.*\)",*/\1/p')" >>go.mod
		go get -tool $module/cmd/loki@$LOKI
		go build -trimpath -ldflags "-s -w" -o loki $module/cmd/loki
		mv loki "$CACHE/loki-$LOKI"
	) >"$dir/build.log" 2>&1 || { tail -n 15 "$dir/build.log" >&2; return 1; }
	say "  $((SECONDS - start)) s"
}

fetch_kafka() {
	local dir=$CACHE/kafka-$KAFKA
	[ -f "$dir/complete" ] && return
	say "fetching Kafka $KAFKA (once; 43 MB)"
	mkdir -p "$dir"
	cat >"$dir/pom.xml" <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>local</groupId> <artifactId>kafka</artifactId> <version>1</version> <packaging>pom</packaging>
		  <dependencies>
		    <dependency> <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>$KAFKA</version> </dependency>
		    <dependency> <groupId>org.apache.logging.log4j</groupId> <artifactId>log4j-slf4j-impl</artifactId> <version>2.24.3</version> </dependency>
		  </dependencies>
		</project>
	END
	mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/lib" \
		>"$dir/fetch.log" 2>&1 || { tail -n 15 "$dir/fetch.log" >&2; return 1; }
	touch "$dir/complete"
}

answers_loki() { curl -sf -m 5 "http://127.0.0.1:$LOKI_PORT/ready"; }
answers_kafka() { (: <"/dev/tcp/127.0.0.1/$KAFKA_PORT") 2>/dev/null; }

# Loki with its own limits, as a user meets them, but more time between its parts: on a busy machine it would else refuse
# what it has taken, and get it again.
start_loki() {
	mkdir -p "$STATE/loki"
	cat >"$STATE/loki.yaml" <<-END
		auth_enabled: false
		server: {http_listen_address: 127.0.0.1, http_listen_port: $LOKI_PORT, grpc_listen_address: 127.0.0.1, grpc_listen_port: $((LOKI_PORT + 1)), log_level: warn}
		common:
		  path_prefix: $STATE/loki
		  instance_addr: 127.0.0.1
		  replication_factor: 1
		  ring: {kvstore: {store: inmemory}}
		  storage: {filesystem: {chunks_directory: $STATE/loki/chunks, rules_directory: $STATE/loki/rules}}
		ingester_client: {remote_timeout: 30s}
		schema_config:
		  configs: [{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
		analytics: {reporting_enabled: false}
	END
	start loki "$CACHE/loki-$LOKI" -config.file="$STATE/loki.yaml"
}

start_kafka() {
	local run=(java -Xmx512m -cp "$CACHE/kafka-$KAFKA/lib/*")
	mkdir -p "$STATE"
	cat >"$STATE/kafka.properties" <<-END
		process.roles=broker,controller
		node.id=1
		listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$((KAFKA_PORT + 1))
		advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT
		controller.listener.names=CONTROLLER
		controller.quorum.voters=1@127.0.0.1:$((KAFKA_PORT + 1))
		log.dirs=$STATE/kafka
		num.partitions=3
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
	END
	if [ ! -d "$STATE/kafka" ]; then
		"${run[@]}" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$STATE/kafka.properties" >"$STATE/format.log" 2>&1 ||
			{ cat "$STATE/format.log" >&2; return 1; }
	fi
	start kafka "${run[@]}" kafka.Kafka "$STATE/kafka.properties"
}

up_one() {
	ours "$1" >/dev/null || "start_$1"
	PATIENCE=1200 await "$1" "$1" "answers_$1"
}

down_one() {
	local pid
	if pid=$(ours "$1"); then stop "$pid"; fi
	rm -f "$STATE/$1.pid"
}

# what NAME ADDRESS: one line of status.
what() {
	local pid
	if pid=$(ours "$1") && "answers_$1" >/dev/null; then echo "$1 answers at $2 (pid $pid)"; else
		echo "$1 does not run"
		return 1
	fi
}

[ "$cmd" != down ] || [ -d "$STATE" ] || exit 0 # nothing was started here
mkdir -p "$STATE" "$CACHE"
exec 9>"$STATE/lock"
flock 9
case "$cmd" in
missing) missing ;;
up)
	missing || exit $?
	build_loki
	fetch_kafka
	up_one loki
	up_one kafka
	echo "http://127.0.0.1:$LOKI_PORT 127.0.0.1:$KAFKA_PORT"
	;;
down)
	down_one kafka
	down_one loki
	rm -rf "$STATE/loki" "$STATE/kafka"
	;;
start) up_one "$name" ;;
stop) down_one "$name" ;;
status)
	status=0
	what loki "http://127.0.0.1:$LOKI_PORT" || status=1
	what kafka "127.0.0.1:$KAFKA_PORT" || status=1
	exit $status
	;;
esac
