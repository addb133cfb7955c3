package main

import (
	"testing"
	"time"
)

// A pause by a limit stops the draining before the word of it comes; one for a
// stop does not.
func TestPauses(t *testing.T) {
	m := newModel(t, true)
	m.routes = 2
	m.append(10)
	m.settle()
	m.append(10)
	m.limited = true
	m.look(time.Minute) // the engine rests, the ring does not drain, nobody has said so yet
	m.want(10, true)
	m.a.pause(m.count)
	for range 10 {
		m.look(time.Minute)
	}
	m.want(10, true)
	m.limited = false
	m.now = m.now.Add(time.Hour)
	m.a.resume(m.now)
	m.settle()
	m.want(20, true)

	m.append(10)
	m.a.pause(m.count) // for a stop
	m.drain()
	m.look(drainTime)
	m.look(ackEvery)
	m.look(ackEvery)
	m.want(30, true)
}

// At an orderly stop all that left the ring is acknowledged, also where the
// counter counts something else; not what a limit holds back there, nor what
// nobody took out in a time that was too short.
func TestStopIsExact(t *testing.T) {
	routes := func(m *model) { m.routes = 2 }
	none := func(*model) {}
	for _, c := range []struct {
		name    string
		set     func(*model)
		before  func(*model) // when the stop comes
		grace   int          // looks until its end
		limitAt int
		left    bool
	}{
		{"counter", none, none, 3, -1, false},
		{"counter, no time", none, none, 0, -1, true},
		{"routes", routes, none, 1, -1, false},
		{"routes, no time", routes, none, 0, -1, true},
		{"routes, ring empty", routes, (*model).drain, 0, -1, false},
		{"processor", func(m *model) { m.processor = func(n int) int { return n - n/10 } }, none, 1, -1, false},
		{"limit before", routes, func(m *model) { m.limited = true; m.a.pause(m.count) }, 10, -1, true},
		{"limit in between", routes, func(m *model) { m.slow = true }, 10, 2, false},
	} {
		m := newModel(t, true)
		m.name = c.name + ": "
		c.set(m)
		for range 5 {
			m.append(10)
			m.settle()
		}
		if m.a.underWay() > 0 {
			t.Fatalf("%s: %d records are left", c.name, m.a.underWay())
		}
		for range 3 {
			m.append(10)
		}
		c.before(m)
		m.stop(c.grace, c.limitAt)
		if left := m.a.underWay() > 0; left != c.left {
			t.Errorf("%s: %d records are not acknowledged", c.name, m.a.underWay())
		}
	}
}

// What was in the ring while the input was paused is as good as appended when
// that is over: it is not taken to be refused before it can have been drained.
func TestResumeIsAnAppend(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	m.append(10)
	m.a.pause(m.count) // before it was drained
	m.now = m.now.Add(time.Hour)
	m.a.resume(m.now)
	for range 10 {
		m.look(drainTime)
	}
	m.settle()
	if m.refusals != 0 {
		t.Errorf("%d refusals", m.refusals)
	}
	m.want(11, false)
}

// After a pause by a limit the ring waits for the next look into it: that is
// no refusal.
func TestResumeIsNoRefusal(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	m.append(10)
	m.append(10)
	m.limited = true
	m.look(toldTime)
	m.a.pause(m.count)
	m.look(time.Second)
	m.a.resume(m.now)
	for range 9 {
		m.look(toldTime) // the engine rests, and has not looked yet
	}
	if m.refusals > 0 {
		t.Fatal("taken for a refusal")
	}
	m.limited = false
	m.settle()
	m.want(21, false)
}

// The word of a pause comes behind looks at which the ring seemed to be empty,
// and the pause lasts: that is no refusal, nor is anything acknowledged that is
// in the ring.
func TestLateWordOfAPause(t *testing.T) {
	for _, routes := range []int{1, 2} {
		m := newModel(t, true)
		m.routes = routes
		m.append(1)
		m.settle()
		for _, late := range []int{0, 1, 2, 5} {
			m.now = m.now.Add(time.Second)
			m.append(10)
			m.append(10)
			m.limited = true
			safe, sent := m.safe, m.a.underWay()
			if routes > 1 {
				late = min(late, 2) // what the event loop may put before it
			}
			for range late {
				m.look(toldTime)
			}
			m.a.pause(m.count)
			for range 100 {
				m.look(ackEvery)
			}
			m.a.resume(m.now) // for a moment: nothing was drained
			m.look(drainEvery)
			m.a.pause(m.count)
			for range 100 {
				m.look(ackEvery)
			}
			m.limited = false
			m.a.resume(m.now)
			m.settle()
			m.want(safe+sent, routes > 1)
			if m.refusals > 0 {
				t.Fatalf("routes %d, word %d looks late: taken for a refusal", routes, late)
			}
		}
	}
}
