package backends

import (
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// configuration is what users get, and what is tested.
const configuration = "loki-kafka.conf"

// ten containers are a case's.
func ten(lines int, rate float64) volume { return volume{10, lines, rate} }

// begin starts Fluent Bit and a load of containers.
func begin(t *testing.T, what, short string, v volume, more ...setting) (*fluentBit, *load) {
	t.Helper()
	needsE2E(t)
	reader, err := readKafka(kafkaAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.close)
	e := enginetest.First(t)
	env := append(theLogs.env(), "KAFKA_BROKERS="+kafkaAddress)
	f := newFluentBit(t, e.Host, configuration, shortPrefix(short), env, append(more, theLogs.settings...)...)
	f.start()
	return f, startLoad(t, e, what, short, v, theLogs.pace, theLogs.backend, reader)
}

// TestCalm: nothing happens.
func TestCalm(t *testing.T) {
	_, l := begin(t, "calm", "calm", ten(10000, 100))
	l.judge(exact, exact)
}

// TestLogsDown: where the logs go is stopped for a minute.
func TestLogsDown(t *testing.T) {
	needsOurs(t)
	_, l := begin(t, theLogs.name()+" down for a minute", "down", ten(5000, 50))
	time.Sleep(10 * time.Second)
	pause(t, theLogs.script, time.Minute)
	l.judge(complete, complete)
}

// TestLogsRestarted: where the logs go is stopped and started at once, three times.
func TestLogsRestarted(t *testing.T) {
	needsOurs(t)
	_, l := begin(t, theLogs.name()+" restarted 3 times", "again", ten(3000, 80))
	for range 3 {
		time.Sleep(10 * time.Second)
		pause(t, theLogs.script, 0)
	}
	l.judge(complete, complete)
}

// TestKafkaRestarted: Kafka's only broker is stopped and started.
func TestKafkaRestarted(t *testing.T) {
	_, l := begin(t, "Kafka restarted", "kafka", ten(5000, 80))
	time.Sleep(10 * time.Second)
	pause(t, "kafka", 10*time.Second)
	l.judge(complete, complete)
}

// TestKafkaQueueFull: Kafka is away for longer than the queue of its client has room.
func TestKafkaQueueFull(t *testing.T) {
	_, l := begin(t, "Kafka away, its client's queue full", "queue", ten(4000, 80), setting{"rdkafka.queue.buffering.max.messages", "10000", ""})
	time.Sleep(5 * time.Second)
	pause(t, "kafka", 10*time.Second)
	l.judge(complete, complete)
}

// TestFluentBitRestarted: Fluent Bit is stopped and started, three times.
func TestFluentBitRestarted(t *testing.T) {
	f, l := begin(t, "Fluent Bit restarted 3 times", "agent", ten(5000, 80))
	for range 3 {
		time.Sleep(10 * time.Second)
		say("  Fluent Bit is stopped")
		took := f.end(syscall.SIGTERM)
		say("  Fluent Bit is started again, after %v for the stop and 3 s", took)
		time.Sleep(3 * time.Second)
		f.start()
	}
	l.judge(complete, complete)
}

// TestFluentBitKilled: Fluent Bit is killed three times. What it handed to Kafka's client is gone with it: out_kafka calls a
// chunk delivered when that queue has it.
func TestFluentBitKilled(t *testing.T) {
	f, l := begin(t, "Fluent Bit killed 3 times", "killed", ten(4000, 80))
	for range 3 {
		time.Sleep(10 * time.Second)
		f.end(syscall.SIGKILL)
		say("  Fluent Bit was killed, and is started again")
		f.start()
	}
	l.judge(complete, shown)
}

// TestStoppedWithoutKafka: Fluent Bit is stopped while Kafka is away. What waits in the queue of Kafka's client is given up
// after Grace.
func TestStoppedWithoutKafka(t *testing.T) {
	f, l := begin(t, "Fluent Bit stopped while Kafka is away", "grace", ten(4000, 80), setting{"Grace", "5", ""})
	time.Sleep(5 * time.Second)
	say("  Kafka is stopped")
	if _, err := script("stop", "kafka"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	say("  Fluent Bit is stopped, which took %v", f.end(syscall.SIGTERM))
	if _, err := script("start", "kafka"); err != nil {
		t.Fatal(err)
	}
	say("  Kafka is there again, and Fluent Bit is started again")
	f.start()
	l.judge(complete, shown)
}

// needsE2E skips the test where `make e2e` does not run it.
func needsE2E(t *testing.T) {
	t.Helper()
	if !asked {
		t.Skip("make e2e runs this")
	}
}

// needsOurs skips the test also where the logs go to what somebody else runs.
func needsOurs(t *testing.T) {
	t.Helper()
	needsE2E(t)
	if theLogs.script == "" {
		t.Skip("Loki of LOKI_URL is its user's: it is not stopped")
	}
}

// pause stops a backend and starts it again later.
func pause(t *testing.T, name string, d time.Duration) {
	t.Helper()
	say("  %s is stopped", name)
	if _, err := script("stop", name); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	if _, err := script("start", name); err != nil {
		t.Fatal(err)
	}
	say("  %s is there again", name)
}
