package capture_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// fast are intervals that make much happen in a short test.
func fast(c *capture.Config) {
	c.PollMin, c.PollMax = 5*time.Millisecond, 20*time.Millisecond
	c.IdleAfter = 100 * time.Millisecond
	c.HeartbeatInterval, c.TaskTimeout = 60*time.Millisecond, 10*time.Second
	c.RotateInterval = 20 * time.Millisecond
}

func (a *agent) rotations() int { return int(a.col.Totals().Rotations) }

// While a log is rotated again and again, each line comes once, and never are
// there more than three requests open for one log: the old one, the new one and
// one that compares what was sent with the log.
func TestRotation(t *testing.T) {
	for _, r := range []readerCase{{name: "follow"}, {name: "file", file: true}} {
		t.Run(r.name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := startAgent(t, e.Host(), map[string]string{"Reader": r.name}, fast)
			a.connected()
			c := r.run(t, e, dockertest.Container{Name: "web"})
			n := 0
			for a.rotations() < 30 {
				c.Stdout(sequence("out", n, n+10)...)
				if n += 10; n%200 == 0 { // so that the reader comes to the end of the log in between
					a.waitRecords(n)
				}
				// One whose end the Engine has not seen yet is not one too many: that would stay.
				a.waitFor("at most three open log requests", func() bool { return c.Followers() <= 3 })
			}
			a.waitRecords(n)
			checkSequence(t, "lines", sequence("out", 0, n), a.texts(c.ID, ""))
		})
	}
}

// The old stream is given up for nothing but a new one that stands.
func TestRotationMakesBeforeItBreaks(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web", AutoRemove: true})
	c.Stdout("one")
	a.waitRecords(1)
	e.Override(dockertest.Logs, c, dockertest.Answer{Status: http.StatusConflict, Message: "is being removed"})
	a.waitFor("rotations that fail", func() bool { return a.counted("stream_rotation_errors_total") > 2 })
	c.Stdout("two")
	a.waitRecords(2)
	c.Stdout("three")
	c.Die(0) // and it is gone, as nothing can be opened any more
	a.waitRecords(3)
	checkSequence(t, "lines", []string{"one", "two", "three"}, a.texts(c.ID, ""))
	a.waitFor("the stream to end", func() bool { return a.running() == 0 })
	if strings.Contains(a.log.String(), "gap") {
		t.Error("a gap was reported")
	}
}

// Up to twenty streams say each rotation, more say them together.
func TestRotationsAreSaid(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast)
	a.connected()
	e.Run(dockertest.Container{Name: "alone"}).Stdout("line")
	a.waitLog(`"the stream was rotated" container=alone`)
	for i := range 20 {
		e.Run(dockertest.Container{Name: fmt.Sprint("many-", i)}).Stdout("line")
	}
	a.waitLog(`"streams were rotated" rotations=`)
}

// A stream that is open and dead is found, and what was written meanwhile comes
// once.
func TestSilentStreamIsOpenedAgain(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *capture.Config) { c.RotateInterval = time.Hour })
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	quiet := e.Run(dockertest.Container{Name: "quiet"})
	c.Stdout(sequence("out", 0, 10)...)
	quiet.Stdout("line")
	a.waitRecords(11)
	for i := 1; i <= 3; i++ {
		a.waitFor("the stream to be in sync", func() bool { return a.stream(c.ID).Age > 0 })
		c.Silence(0)
		c.Stdout(sequence("out", i*10, i*10+10)...)
		a.waitRecords(11 + i*10)
	}
	checkSequence(t, "lines", sequence("out", 0, 40), a.texts(c.ID, ""))
	if n := a.col.Totals().Stalls; n != 3 {
		t.Errorf("%v streams were found silent, not 3", n)
	}
	if n := len(quiet.LogQueries()); strings.Count(a.log.String(), "container=quiet") > 1 {
		t.Errorf("the quiet stream was touched, %d requests: %s", n, a.log)
	}
}

// A heartbeat needs an answer: while the Engine hangs the capture is degraded,
// and afterwards it goes on.
func TestHangingEngineIsTold(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *capture.Config) { c.TaskTimeout = time.Hour })
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitRecords(1)
	a.waitFor("a capture without problems", func() bool { return len(a.col.Health().Problems) == 0 })
	release := e.Hang()
	a.waitFor("the health to tell", func() bool {
		h := a.col.Health()
		return len(h.Problems) == 1 && strings.Contains(h.Problems[0], "Engine")
	})
	a.waitLog("the Engine does not answer")
	release()
	c.Stdout("two")
	a.waitRecords(2)
	a.connected()
	checkSequence(t, "lines", []string{"one", "two"}, a.texts(c.ID, ""))
}
