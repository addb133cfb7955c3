package capture_test

import (
	"fmt"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// Between two polls nothing is open, and the longer there is no news the rarer
// they are.
func TestPollKeepsNothingOpen(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll"}, func(c *capture.Config) { c.PollMin, c.PollMax = 10*time.Millisecond, 160*time.Millisecond })
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitRecords(1)
	before := len(c.LogQueries())
	a.waitFor("ten polls", func() bool { return len(c.LogQueries()) >= before+10 })
	qs := c.LogQueries()
	for _, q := range qs {
		if q.Follow {
			t.Fatal("a log is followed")
		}
	}
	if last := qs[before+9].At.Sub(qs[before+8].At); last < 100*time.Millisecond {
		t.Errorf("the tenth poll without news came %v after the ninth", last)
	}
	must(t, c.WaitFollowers(testContext(t), 0))
	a.waitFor("at most three open connections", func() bool { return e.OpenConns() <= 3 })
	c.Stdout("two")
	a.waitRecords(2)
}

// Containers that write now and then go from poll to follow and back, and each
// line comes once.
func TestHybrid(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil, fast)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	n := 0
	for range 8 {
		a.waitFor("the log to be polled", func() bool {
			return a.stream(c.ID).Reader == readerPoll
		})
		followed := func() bool { return a.stream(c.ID).Reader == readerFollow }
		for !followed() {
			c.Stdout(sequence("out", n, n+5)...)
			n += 5
			time.Sleep(time.Millisecond)
		}
	}
	a.waitRecords(n)
	checkSequence(t, "lines", sequence("out", 0, n), a.texts(c.ID, ""))
}

// Max_Streams bounds the follow streams, and the busiest have them.
func TestMaxStreams(t *testing.T) {
	const most = 4
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Max_Streams": fmt.Sprint(most)}, fast, func(c *capture.Config) { c.RotateInterval = time.Hour })
	a.connected()
	var cs []*dockertest.Ctr
	for range 5 * most {
		cs = append(cs, e.Run(dockertest.Container{}))
	}
	busy := cs[len(cs)-1]
	n := 0
	isFollowed := func() bool { return a.stream(busy.ID).Reader == readerFollow }
	for i := 0; i < 20 || !isFollowed(); i++ {
		for _, c := range cs[:len(cs)-1] {
			c.Stdout(fmt.Sprint("out ", i))
		}
		busy.Stdout(sequence("out", n, n+100)...)
		n += 100
		a.waitTexts(busy.ID, "", n)
		// Those whose end the Engine has not seen yet are not too many: one that is would stay.
		a.waitFor("at most Max_Streams follow streams", func() bool { return e.Followers() <= most })
		for _, c := range cs[:len(cs)-1] {
			a.waitTexts(c.ID, "", i+1)
		}
	}
	checkSequence(t, "busy", sequence("out", 0, n), a.texts(busy.ID, ""))
}

// The event that a removal by force begins with has the log read at once.
func TestPollBeforeRemoval(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll"}, func(c *capture.Config) { c.PollMin, c.PollMax = time.Hour, time.Hour })
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	a.waitFor("the first poll", func() bool { return len(c.LogQueries()) > 0 })
	c.Stdout("last")
	e.Emit(dockertest.Event{Action: "kill", ID: c.ID})
	a.waitRecords(1)
}
