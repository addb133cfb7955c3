#!/usr/bin/env bash
# A VictoriaLogs and a Kafka for `make e2e` and the tests, on the loopback interface.
#
#   docker/backends.sh up [NAME]       build or fetch what is missing (once) and start it; prints the address of each
#   docker/backends.sh down            stop both, and remove what they wrote
#   docker/backends.sh stop NAME       victorialogs or kafka alone
#   docker/backends.sh start NAME      again, on the data that it had
#   docker/backends.sh status          one line each; exit 0 when both answer
#   docker/backends.sh missing [NAME]  what this machine lacks to build and run them; exit 3 when there is something
#
# VictoriaLogs is built with Go from its module into $CACHE. Kafka comes from Maven Central into $CACHE and runs in KRaft
# mode, one broker that is its own controller. What they write is in $STATE.
set -euo pipefail

cmd=${1:-} name=${2:-}
case "$cmd $name" in
"up " | "down " | "status " | "missing ") ;;
"up "* | "missing "* | "start "* | "stop "*) case "$name" in victorialogs | kafka) ;; *) cmd= ;; esac ;;
*) cmd= ;;
esac
if [ -z "$cmd" ]; then
	sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
# shellcheck disable=SC2206 # one word, or both
names=(${name:-victorialogs kafka})

STATE=${XDG_STATE_HOME:-/var/lib}/docker-logs-test/backends
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/docker-logs-test/backends
VICTORIALOGS_PORT=${VICTORIALOGS_PORT:-33100}
KAFKA_PORT=${KAFKA_PORT:-33092} # and the next one

VICTORIALOGS=v1.52.1
KAFKA=4.1.1

# shellcheck source=docker/daemon.sh
. "$(dirname "$0")/daemon.sh"

missing() {
	local wanted program none=0
	for wanted in "$@"; do
		for program in $("needs_$wanted"); do
			command -v "$program" >/dev/null && continue
			none=3
			case "$program" in
			java) say "java is missing, Kafka runs on it (Debian: default-jre-headless)" ;;
			mvn) say "mvn is missing, it fetches Kafka (Debian: maven)" ;;
			*) say "$program is missing" ;;
			esac
		done
	done
	return $none
}

needs_victorialogs() { echo curl; [ -x "$CACHE/victorialogs-$VICTORIALOGS" ] || echo go; }
needs_kafka() { echo java; [ -f "$CACHE/kafka-$KAFKA/complete" ] || echo mvn; }

# In a module of its own: its requirements and ours do not move each other.
get_victorialogs() {
	[ -x "$CACHE/victorialogs-$VICTORIALOGS" ] && return
	local module=github.com/VictoriaMetrics/VictoriaLogs dir=$CACHE/src/victorialogs start=$SECONDS
	say "building VictoriaLogs $VICTORIALOGS (once; less than a minute)"
	mkdir -p "$dir"
	rm -f "$dir/go.mod" "$dir/go.sum"
	(
		cd "$dir"
		export GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0
		go mod init tool
		go get -tool $module/app/victoria-logs@$VICTORIALOGS
		go build -trimpath -ldflags "-s -w" -o victoria-logs $module/app/victoria-logs
		mv victoria-logs "$CACHE/victorialogs-$VICTORIALOGS"
	) >"$dir/build.log" 2>&1 || { tail -n 15 "$dir/build.log" >&2; return 1; }
	say "  $((SECONDS - start)) s"
}

get_kafka() {
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

answers_victorialogs() { curl -sf -m 5 "http://127.0.0.1:$VICTORIALOGS_PORT/health"; }
answers_kafka() { (: <"/dev/tcp/127.0.0.1/$KAFKA_PORT") 2>/dev/null; }

address_victorialogs() { echo "http://127.0.0.1:$VICTORIALOGS_PORT"; }
address_kafka() { echo "127.0.0.1:$KAFKA_PORT"; }

# Its own defaults, as a user meets them, but less memory for its caches than 60 % of the machine's.
start_victorialogs() {
	mkdir -p "$STATE/victorialogs"
	start victorialogs "$CACHE/victorialogs-$VICTORIALOGS" -storageDataPath="$STATE/victorialogs" \
		-httpListenAddr="127.0.0.1:$VICTORIALOGS_PORT" -memory.allowedBytes=256MB -loggerLevel=WARN
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

# what NAME: one line of status.
what() {
	local pid
	if pid=$(ours "$1") && "answers_$1" >/dev/null; then echo "$1 answers at $("address_$1") (pid $pid)"; else
		echo "$1 does not run"
		return 1
	fi
}

# Earlier versions of this script built Loki, which is under the AGPL.
forget_loki() {
	down_one loki
	rm -rf "$STATE"/loki* "$CACHE"/loki-* "$CACHE/src/loki"
}

if [ "$cmd" = missing ]; then
	missing "${names[@]}"
	exit
fi
[ "$cmd" != down ] || [ -d "$STATE" ] || exit 0 # nothing was started here
mkdir -p "$STATE" "$CACHE"
exec 9>"$STATE/lock"
flock 9
case "$cmd" in
up)
	missing "${names[@]}" || exit $?
	forget_loki
	# The cache is shared with those whose $STATE is another.
	exec 8>"$CACHE/lock"
	flock 8
	for name in "${names[@]}"; do "get_$name"; done
	exec 8>&-
	for name in "${names[@]}"; do up_one "$name"; done
	for name in "${names[@]}"; do "address_$name"; done
	;;
down)
	forget_loki
	for name in "${names[@]}"; do
		down_one "$name"
		rm -rf "${STATE:?}/$name"
	done
	;;
start) up_one "$name" ;;
stop) down_one "$name" ;;
status)
	status=0
	for name in "${names[@]}"; do what "$name" || status=1; done
	exit $status
	;;
esac
