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
func begin(t *testing.T, what, short string, lines int, rate float64) (*fluentBit, *load) {
	t.Helper()
	if !asked {
		t.Skip("make e2e runs this")
	}
	e := enginetest.First(t)
	f := newFluentBit(t, e, configuration, shortPrefix(short))
	f.start()
	return f, startLoad(t, e, what, short, lines, rate)
}

// TestCalm: nothing happens.
func TestCalm(t *testing.T) {
	_, l := begin(t, "calm", "calm", 10000, 100)
	l.exact()
}

// TestLokiDown: Loki is stopped for a minute.
func TestLokiDown(t *testing.T) {
	_, l := begin(t, "Loki down for a minute", "loki", 5000, 50)
	time.Sleep(10 * time.Second)
	pause(t, "loki", time.Minute)
	l.complete()
}

// TestKafkaRestarted: Kafka's only broker is stopped and started.
func TestKafkaRestarted(t *testing.T) {
	_, l := begin(t, "Kafka restarted", "kafka", 5000, 80)
	time.Sleep(10 * time.Second)
	pause(t, "kafka", 10*time.Second)
	l.complete()
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
	l.complete()
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
