package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/supervise"
)

// The process counts as alive while Fluent Bit's thread comes by, or has
// nothing to take.
func TestHealthzKnowsThatFluentBitStaysAway(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	healthz := func() (int, string) { return ask(t, "GET", "http://"+addr+"/healthz") }
	longAgo := int64(supervise.SinceStart() - capture.MayStayAway - time.Second)
	a.col.CameAt().Store(longAgo)
	if code, body := healthz(); code != 200 {
		t.Errorf("with nothing to take: %d %s", code, body)
	}
	a.pause(true)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitFor("a record", func() bool { return a.col.View().Outbox.Bytes > 0 })
	a.col.Outbox().Lock() // whatever happens inside, the answer comes
	code, body := healthz()
	a.col.Outbox().Unlock()
	if code != 503 || !strings.Contains(body, "docker_logs.0: Fluent Bit has not come by for 1m") {
		t.Errorf("with a record to take: %d %s", code, body)
	}
	a.col.CameBy()
	if code, body := healthz(); code != 200 {
		t.Errorf("after it has come by: %d %s", code, body)
	}
	a.col.CameAt().Store(longAgo)
	a.pause(false)
	a.waitRecords(1)
	if code, body := healthz(); code != 200 {
		t.Errorf("with the record taken: %d %s", code, body)
	}
}
