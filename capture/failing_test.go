package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/status"
)

// A stream whose reads fail again and again lags as long as they do, although
// it tries all the time, and is named by /readyz; it is well again once it reads.
func TestStreamThatOnlyFailsShows(t *testing.T) {
	for _, reader := range []string{readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			inVirtualTime(t, map[string]string{"Reader": reader}, func(t *testing.T, e *dockertest.Engine, a *agent) {
				c := e.Run(dockertest.Container{Name: "web"})
				c.Stdout("line")
				a.waitTexts(c.ID, "", 1)
				undo := e.Override(dockertest.Logs, c, dockertest.Answer{Status: 500, Message: "no such thing"})
				c.CutFollowers()
				last := 0.0
				a.waitFor("the lag to grow over many attempts", func() bool {
					lag := a.stream(c.ID).Lag
					if last > 0.5 && lag < last {
						t.Fatalf("the lag fell from %v to %v", last, lag)
					}
					last = lag
					return lag > 30
				})
				if h := a.col.Health(); !h.Ready {
					t.Errorf("not ready after %v s: %q", last, h.Problems)
				}
				time.Sleep(status.FailingTime)
				if h := a.col.Health(); h.Ready || !strings.Contains(strings.Join(h.Problems, " "), "web") {
					t.Errorf("ready is %v: %q", h.Ready, h.Problems)
				}
				undo()
				c.Stdout("line")
				a.waitTexts(c.ID, "", 2)
				a.waitFor("the stream to be well", func() bool { return a.stream(c.ID).Lag < 3 && a.col.Health().Ready })
			})
		})
	}
}
