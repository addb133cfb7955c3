package capture_test

import (
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/stream"
)

// What waits by plan needs no heartbeat, however long that is.
func TestPlannedWaitsRest(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll", "DB": t.TempDir() + "/db"}, fast, func(c *capture.Config) {
		c.PollMax, c.DBSync, c.HeartbeatInterval = time.Hour, time.Hour, time.Hour
	})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("line")
	a.waitRecords(1)
	for _, kind := range []string{stream.TaskKind, checkpoint.TaskKind, fdguard.TaskKind} {
		a.waitFor("a "+kind+" that rests", func() bool {
			_, rest := a.col.Tasks().Running(kind)
			return rest > 0
		})
	}
}
