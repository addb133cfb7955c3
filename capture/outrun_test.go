package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// A log that its Engine replaces within seconds is followed through stream
// rotations. It is looked at beside that, ten times a second at most, and it is said
// that not all that is left out may be found.
func TestLogReplacedWithinSeconds(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, quick)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web", MaxSize: 20_000, MaxFile: 2})
	n := 0
	write := func() {
		c.Stdout(sequence("out", n, n+500)...)
		n += 500
		a.waitTexts(c.ID, "", n)
	}
	const said = "replaces this log so fast that what it leaves out may not be found"
	a.waitFor("the log to say so", func() bool {
		write()
		return strings.Contains(a.log.String(), said)
	})
	before, turns, began := len(c.LogQueries()), a.col.Totals().Rotations, time.Now()
	a.waitFor("five rotations", func() bool {
		write()
		return a.col.Totals().Rotations >= turns+5
	})
	looks := 0
	for _, q := range c.LogQueries()[before:] {
		if !q.Follow && q.Tail != "1" { // the heartbeat asks for one
			looks++
		}
	}
	if most := 3 + int(time.Since(began)/(100*time.Millisecond)); looks > most { // a rotation on a busy machine may read it, too
		t.Errorf("the log was read %d times in five rotations, at most %d were due", looks, most)
	}
	checkSequence(t, "lines", sequence("out", 0, n), a.texts(c.ID, ""))
	if n := strings.Count(a.log.String(), said); n != 1 {
		t.Errorf("said %d times", n)
	}
	if s := a.col.Streams(); len(s) != 1 || !s[0].Outrun {
		t.Errorf("%+v", s)
	}
}

// What is open of a log is sent what was rotated away meanwhile: it is read up to
// where the next opening begins before that takes its place.
func TestRotatedAwayWhileFollowed(t *testing.T) {
	for _, tty := range []bool{false, true} {
		e := dockertest.Start(t)
		a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, quick)
		a.connected()
		c := e.Run(dockertest.Container{Name: "web", TTY: tty})
		c.Stdout(sequence("out", 0, 100)...)
		a.waitRecords(100)
		must(t, c.WaitFollowers(testContext(t), 1))
		c.Throttle(100_000)
		c.Stdout(sequence("out", 100, 6000)...)
		c.RotateAway(5990)
		a.waitRecords(6000)
		c.Throttle(0)
		turns := a.col.Totals().Rotations
		a.waitFor("a rotation", func() bool { return a.col.Totals().Rotations > turns })
		c.Stdout(sequence("out", 6000, 6100)...)
		a.waitRecords(6100)
		checkSequence(t, "lines", sequence("out", 0, 6100), a.texts(c.ID, ""))
		if n := a.col.Totals().Gaps; n != 0 {
			t.Errorf("%v gaps", n)
		}
	}
}
