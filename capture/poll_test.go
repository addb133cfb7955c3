package capture

import (
	"fmt"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
)

// Between two polls nothing is open, and the longer there is no news the rarer
// they are.
func TestPollKeepsNothingOpen(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll"}, func(c *Config) { c.PollMin, c.PollMax = 10*time.Millisecond, 160*time.Millisecond })
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
		a.waitFor("the log to be polled", func() bool { return a.col.captured(c.ID) != nil && a.col.captured(c.ID).notes.now() == readerPoll })
		followed := func() bool { return a.col.captured(c.ID).notes.now() == readerFollow }
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
	a := startAgent(t, e.Host(), map[string]string{"Max_Streams": fmt.Sprint(most)}, fast, func(c *Config) { c.RotateInterval = time.Hour })
	a.connected()
	var cs []*dockertest.Ctr
	for range 5 * most {
		cs = append(cs, e.Run(dockertest.Container{}))
	}
	busy := cs[len(cs)-1]
	n := 0
	isFollowed := func() bool {
		s := a.col.captured(busy.ID)
		return s != nil && s.notes.now() == readerFollow
	}
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

// A slot goes to a stream that is much busier than the quietest, and never from
// a container that takes its log with it when it stops.
func TestSlots(t *testing.T) {
	newOne := func(rm bool) *stream {
		s := benchStream(t)
		s.describe(&container.Container{ID: s.id, Name: "x", AutoRemove: rm})
		return s
	}
	a, b, c, rm := newOne(false), newOne(false), newOne(false), newOne(true)
	l := newSlots(3)
	for _, s := range []*stream{a, b, rm} {
		if !l.take(s, 1) {
			t.Fatal("no free slot")
		}
	}
	l.holds(a, 10)
	l.holds(rm, 0)
	if l.take(c, 1.5) {
		t.Error("a slot was taken from a stream that is almost as busy")
	}
	if !l.take(c, 3) || l.holds(b, 1) || !l.holds(a, 10) || !l.holds(rm, 0) {
		t.Error("the slot of the quietest was not taken")
	}
	l.give(a)
	if !l.take(b, 0) {
		t.Error("a slot that was given back is not free")
	}
}

// The event that a removal by force begins with has the log read at once.
func TestPollBeforeRemoval(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll"}, func(c *Config) { c.PollMin, c.PollMax = time.Hour, time.Hour })
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	a.waitFor("the first poll", func() bool { return len(c.LogQueries()) > 0 })
	c.Stdout("last")
	e.Emit(dockertest.Event{Action: "kill", ID: c.ID})
	a.waitRecords(1)
}
