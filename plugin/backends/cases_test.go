package backends

import (
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// configuration is what users get, and what is tested.
const configuration = "loki-kafka.conf"

// begin starts Fluent Bit and a load of containers.
func begin(t *testing.T, what, short string, lines int, rate float64, more ...setting) (*fluentBit, *load) {
	t.Helper()
	if !asked {
		t.Skip("make e2e runs this")
	}
	e := enginetest.First(t)
	f := newFluentBit(t, e, configuration, shortPrefix(short), more...)
	f.start()
	return f, startLoad(t, e, what, short, lines, rate)
}

// TestCalm: nothing happens.
func TestCalm(t *testing.T) {
	_, l := begin(t, "calm", "calm", 10000, 100)
	l.judge(exact, exact)
}

// TestLokiDown: Loki is stopped for a minute.
func TestLokiDown(t *testing.T) {
	_, l := begin(t, "Loki down for a minute", "loki", 5000, 50)
	time.Sleep(10 * time.Second)
	pause(t, "loki", time.Minute)
	l.judge(complete, complete)
}

// TestKafkaRestarted: Kafka's only broker is stopped and started.
func TestKafkaRestarted(t *testing.T) {
	_, l := begin(t, "Kafka restarted", "kafka", 5000, 80)
	time.Sleep(10 * time.Second)
	pause(t, "kafka", 10*time.Second)
	l.judge(complete, complete)
}

// TestKafkaQueueFull: Kafka is away for longer than the queue of its client has room.
func TestKafkaQueueFull(t *testing.T) {
	_, l := begin(t, "Kafka away, its client's queue full", "queue", 4000, 80, setting{"rdkafka.queue.buffering.max.messages", "10000"})
	time.Sleep(5 * time.Second)
	pause(t, "kafka", 10*time.Second)
	l.judge(complete, complete)
}

// TestFluentBitRestarted: Fluent Bit is stopped and started, three times.
func TestFluentBitRestarted(t *testing.T) {
	f, l := begin(t, "Fluent Bit restarted 3 times", "agent", 5000, 80)
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
	f, l := begin(t, "Fluent Bit killed 3 times", "killed", 4000, 80)
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
	f, l := begin(t, "Fluent Bit stopped while Kafka is away", "grace", 4000, 80, setting{"Grace", "5"})
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
