package capture

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// A stream whose reads fail again and again lags as long as they do, although
// it tries all the time, and is named by /readyz; it is well again once it reads.
func TestStreamThatOnlyFailsShows(t *testing.T) {
	for _, r := range []readerCase{{name: readerFollow}, {name: readerPoll}} {
		t.Run(r.name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := r.agent(t, e, nil)
			a.connected()
			c := e.Run(dockertest.Container{Name: "web"})
			c.Stdout("first")
			a.waitTexts(c.ID, "", 1)
			s := a.col.captured(c.ID)
			undo := e.Override(dockertest.Logs, c, dockertest.Answer{Status: 500, Message: "no such thing"})
			c.CutFollowers()
			last := 0.0
			a.waitFor("the lag to grow over many attempts", func() bool {
				lag := s.status("").Lag
				if last > 0.5 && lag < last {
					t.Fatalf("the lag fell from %v to %v", last, lag)
				}
				last = lag
				return lag > 3
			})
			if h := a.col.Health(); !h.Ready {
				t.Errorf("not ready after %v s: %q", last, h.Problems)
			}
			a.col.out.Lock()
			s.movedAt = s.movedAt.Add(-3 * failingTime)
			a.col.out.Unlock()
			s.meta.Lock()
			s.failing = s.failing.Add(-2 * failingTime)
			s.meta.Unlock()
			if h := a.col.Health(); h.Ready || !strings.Contains(strings.Join(h.Problems, " "), "web") {
				t.Errorf("ready is %v: %q", h.Ready, h.Problems)
			}
			undo()
			c.Stdout("second")
			a.waitTexts(c.ID, "", 2)
			a.waitFor("the stream to be well", func() bool { return s.status("").Lag < 3 && a.col.Health().Ready })
		})
	}
}

// A read that goes on for a while is well, also where nothing was written.
func TestQuietStreamIsNotFailing(t *testing.T) {
	s := benchStream(t)
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, c := range []struct {
		what             string
		doing            string
		synced, lastPoll time.Time
		moved            time.Time
		want             bool
	}{
		{"retries", streamRetrying, time.Time{}, time.Time{}, time.Time{}, true},
		{"opens, which may take long", streamReading, time.Time{}, time.Time{}, time.Time{}, true},
		{"reads", streamReading, ago(time.Minute), time.Time{}, time.Time{}, false},
		{"is polled", streamReading, time.Time{}, ago(time.Second), time.Time{}, false},
		{"has delivered", streamRetrying, time.Time{}, time.Time{}, ago(time.Second), false},
	} {
		s.failing, s.doing, s.doingSince, s.synced, s.lastPoll = ago(time.Hour), c.doing, ago(time.Minute), c.synced, c.lastPoll
		if have := s.failingFor(c.moved) > 0; have != c.want {
			t.Errorf("one that %s: %v", c.what, have)
		}
	}
}
