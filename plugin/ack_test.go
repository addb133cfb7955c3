package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"
)

// model is Fluent Bit as far as records go through it: what it does, step by
// step, and what it counts. Time is its own.
type model struct {
	t     *testing.T
	name  string
	now   time.Time
	a     acker
	count counters // as read

	processor func(records int) int // how many it leaves
	routes    int                   // how often the counter rises for each append
	refuses   bool                  // no chunk is to be had
	slow      bool                  // an append stays in the filters until done
	limited   bool                  // paused by a limit, whether told or not
	blind     bool                  // the engine's thread cannot be seen

	sent     []int // records of each append since the start, refused ones taken out
	ring     []int // indexes into sent
	filter   int   // index + 1 of the append in the filters
	held     map[int]bool
	safe     uint64
	refusals int
}

func newModel(t *testing.T, hasWrites bool) *model {
	m := &model{t: t, now: time.Unix(1e9, 0), routes: 1, held: map[int]bool{}}
	m.count = counters{records: 1000, bytes: 5000, known: true, hasWrites: hasWrites}
	m.a = newAcker(m.count, slog.New(slog.DiscardHandler))
	return m
}

// append appends if there is room, and says whether there was.
func (m *model) append(records int) bool {
	if m.a.paused || !m.a.room(m.now) {
		return false
	}
	m.sent = append(m.sent, records)
	m.a.add(records, 10*records, m.now)
	left := records
	if m.processor != nil {
		left = m.processor(records)
	}
	if left == 0 {
		m.held[len(m.sent)-1] = true // nothing is to be held of it
		return true
	}
	m.count.writes++
	m.ring = append(m.ring, len(m.sent)-1)
	return true
}

// drain has the engine's thread work until it has nothing to do, or stays in a
// filter.
func (m *model) drain() {
	if m.filter > 0 && m.slow {
		return
	}
	m.done()
	for len(m.ring) > 0 && !m.limited {
		i := m.ring[0]
		m.ring = m.ring[1:]
		if m.refuses {
			continue
		}
		n := m.sent[i]
		if m.processor != nil {
			n = m.processor(n)
		}
		m.count.records += uint64(n * m.routes)
		m.count.bytes += uint64(10 * n * m.routes)
		m.filter = i + 1
		if m.slow {
			return
		}
		m.done()
	}
}

func (m *model) done() {
	if m.filter > 0 {
		m.held[m.filter-1] = true
		m.filter = 0
	}
}

// look has the acker look after some time, and checks that nothing is
// acknowledged that is not held.
func (m *model) look(after time.Duration) uint64 {
	m.t.Helper()
	m.now = m.now.Add(after)
	return m.check(&sight{counters: m.count, at: m.now, waits: !m.blind && m.filter == 0 && (len(m.ring) == 0 || m.limited)})
}

// check has the acker make something of a look, and fails where that is wrong.
func (m *model) check(s *sight) uint64 {
	m.t.Helper()
	safe, lost := m.a.look(s)
	n, i := uint64(0), 0
	for ; n < safe; i++ {
		if !m.held[i] {
			m.t.Fatalf("%s%d records are acknowledged, append %d of them is not held; careful %v", m.name, safe, i, m.a.careful)
		}
		n += uint64(m.sent[i])
	}
	if n != safe || safe < m.safe {
		m.t.Fatalf("%d records acknowledged, %d before; appends end at %d", safe, m.safe, n)
	}
	m.safe = safe
	if lost {
		m.refusals++
		m.sent = m.sent[:i]
		for k := range m.held {
			if k >= i {
				delete(m.held, k)
			}
		}
	}
	return safe
}

// settle looks until everything is acknowledged or a minute is over.
func (m *model) settle() (took time.Duration) {
	m.t.Helper()
	for began := m.now; m.a.underWay() > 0 && took < time.Minute; took = m.now.Sub(began) {
		m.drain()
		m.look(ackEvery)
	}
	return took
}

func (m *model) want(safe uint64, careful bool) {
	m.t.Helper()
	if m.safe != safe || m.a.careful != careful {
		m.t.Fatalf("%d acknowledged, careful %v; want %d, %v", m.safe, m.a.careful, safe, careful)
	}
}

// prove makes the first append, which goes alone.
func (m *model) prove() {
	m.t.Helper()
	m.append(1)
	if m.append(1) {
		m.t.Fatal("room for a second append before the first was counted")
	}
	m.settle()
	m.want(1, false)
}

// What is counted is acknowledged when a later append is counted, or when the
// engine's thread rests, or when it was still for long where it cannot be seen.
func TestCountedIsNotYetStored(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	m.slow = true
	m.append(10)
	m.append(20)
	m.drain()
	m.look(time.Hour)
	for range 10 {
		m.look(settleTime + ackEvery) // a filter may hang
	}
	m.want(1, false)
	m.slow = false
	m.drain()
	m.slow = true
	m.look(ackEvery)
	m.want(31, false)

	m.blind = true
	m.append(10)
	m.append(20)
	m.drain()
	m.filter, m.slow = 0, false // the first is written, the second waits for the next tick
	m.held[len(m.sent)-2] = true
	m.look(ackEvery)
	m.want(31, false)
	m.drain()
	m.look(ackEvery)
	m.want(41, false)
	m.look(hangTime + ackEvery)
	m.want(61, false)
}

// What Fluent Bit has no chunk for is not acknowledged and comes again: one
// batch now and then, all when it keeps them.
func TestRefusals(t *testing.T) {
	for _, hasWrites := range []bool{true, false} {
		m := newModel(t, hasWrites)
		m.prove()
		m.refuses = true
		m.append(10)
		m.append(10)
		m.settle()
		m.want(1, false)
		if m.refusals != 1 || !m.a.refusing || m.append(5) {
			t.Fatalf("%d refusals, refusing %v, or appended at once", m.refusals, m.a.refusing)
		}
		for range 5 {
			m.now = m.now.Add(probeEvery)
			for m.append(10) {
			}
			if n := len(m.a.marks); hasWrites && n != 1 {
				t.Fatalf("%d appends to try it", n)
			}
			m.settle()
		}
		m.want(1, false)
		if m.refusals != 6 {
			t.Fatalf("%d refusals", m.refusals)
		}
		m.refuses = false
		m.now = m.now.Add(probeEvery)
		m.append(10)
		m.settle()
		m.want(11, false)
		if m.a.refusing || !m.append(1) || !m.append(1) {
			t.Fatal("still held back")
		}
	}
}

// A refusal of some among others is found by what is missing in bytes, even
// where the number of records fits.
func TestRefusalInBetween(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	m.append(10)
	m.a.flight.last.bytes += 7 // the records of the second are longer
	m.append(10)
	m.append(10)
	m.drain()
	m.count.records -= 10 // the second was refused
	m.count.bytes -= 107
	delete(m.held, 2)
	m.look(ackEvery)
	m.want(1, false)
	m.look(drainTime)
	m.look(ackEvery)
	m.look(ackEvery)
	if m.refusals != 0 {
		t.Fatal("it was taken to be refused before that was sure")
	}
	m.look(sureTime)
	if m.refusals != 0 {
		t.Fatal("it was taken to be refused since the clock went on")
	}
	for range sureLooks + 2 {
		m.look(drainEvery)
	}
	if m.refusals != 1 || m.safe != 1 {
		t.Fatalf("%d refusals, %d acknowledged", m.refusals, m.safe)
	}
}

// A gap in a row is told from a processor.
func TestGaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var f flight
		f.add(1+r.IntN(20), 1+r.IntN(1000), time.Time{})
		f.ack(f.last)
		for range 1 + r.IntN(maxInRing) {
			f.add(1+r.IntN(20), 20+r.IntN(1000), time.Time{})
		}
		k := r.IntN(len(f.marks))
		from := r.IntN(k + 1)
		to := from + r.IntN(k+1-from)
		n, b := f.marks[k].records, f.marks[k].bytes
		before := f.acked
		if from > 0 {
			before = f.marks[from-1]
		}
		n -= f.marks[to].records - before.records
		b -= f.marks[to].bytes - before.bytes
		if !f.hasGap(n, b) {
			t.Fatalf("%d to %d of %d is not found", from, to, k)
		}
		if f.hasGap(n, b-1) && f.hasGap(n, b+1) && f.hasGap(n, b-2) {
			t.Fatal("anything is a gap")
		}
	}
}

// Processors and routes never stop the flow, and what they do to the counter
// acknowledges nothing that is still in the ring.
func TestForeignCounts(t *testing.T) {
	half := func(n int) int { return (n + 1) / 2 }
	for name, set := range map[string]func(*model){
		"drops half":        func(m *model) { m.processor = half },
		"drops all":         func(m *model) { m.processor = func(int) int { return 0 } },
		"drops small":       func(m *model) { m.processor = func(n int) int { return n / 20 * n } },
		"adds":              func(m *model) { m.processor = func(n int) int { return n + 1 } },
		"routes":            func(m *model) { m.routes = 3 },
		"unreadable":        func(m *model) { m.count = counters{} },
		"drops half, blind": func(m *model) { m.processor, m.blind = half, true },
	} {
		for _, hasWrites := range []bool{true, false} {
			t.Run(fmt.Sprint(name, hasWrites), func(t *testing.T) {
				m := newModel(t, hasWrites)
				set(m)
				if !m.count.known {
					m.a = newAcker(m.count, slog.New(slog.DiscardHandler))
				}
				sent := uint64(0)
				turns := 600
				if name == "drops small" && !hasWrites {
					turns = 10000 // it looks like a refusal until two batches are tried at once
				}
				for range turns {
					for _, n := range []int{10, 30} {
						if m.append(n) {
							sent += uint64(n)
						}
					}
					m.drain()
					m.look(5 * time.Millisecond)
				}
				if name == "drops all" && !hasWrites {
					return // nothing tells it from a Fluent Bit that keeps nothing
				}
				took := m.settle()
				if m.blind {
					return // it was told so: what is unseen takes settleTime
				}
				if sent < 1000 || took > 2*time.Second || !m.a.careful {
					t.Errorf("%d records in 3 s, then acknowledged in %v, careful %v, refused %d times", sent, took, m.a.careful, m.refusals)
				}
			})
		}
	}
}

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

// stop ends the model in order: there is a word of a pause unless there was one,
// then a time in which limits may be reached, and the last look.
func (m *model) stop(grace int, limitAt int) {
	m.t.Helper()
	m.a.pause(m.count)
	for i := range grace {
		m.drain()
		if i == limitAt {
			m.limited = true
			m.a.pause(m.count)
		}
		m.look(time.Duration(i) * time.Millisecond)
	}
	m.slow = false
	m.done()
	s := sight{counters: m.count, at: m.now, waits: true}
	m.blind, m.limited = false, true // the engine's thread waits for ours
	m.check(&s)
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

// When the counter has agreed for long it is trusted again.
func TestCalm(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	m.routes = 2
	m.append(10)
	m.settle()
	m.want(11, true)
	m.routes = 1
	for range 700 {
		m.append(10)
		m.settle()
	}
	m.want(7011, false)
}

func TestRingIsBounded(t *testing.T) {
	m := newModel(t, true)
	m.prove()
	n := 0
	for m.append(10) {
		n++
	}
	if n != maxInRing {
		t.Fatalf("%d appends in the ring, want %d", n, maxInRing)
	}
}

// Whatever happens, nothing is acknowledged that is not held, and in the end
// all is.
func TestAckerAtRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newModel(t, seed%4 != 0)
		m.name = fmt.Sprint("seed ", seed, ": ")
		m.blind = seed%7 == 0
		switch seed % 3 {
		case 1:
			m.routes = 1 + r.IntN(3)
		case 2:
			drop := 2 + r.IntN(9)
			m.processor = func(n int) int { return n - n/drop }
		}
		for range 400 {
			switch r.IntN(12) {
			case 0, 1, 2, 3:
				m.append(1 + r.IntN(50))
			case 4, 5:
				m.drain()
			case 6:
				m.slow = !m.slow
			case 7:
				if m.processor == nil && m.routes == 1 && m.count.hasWrites && (!m.refuses || m.a.underWay() == 0) {
					m.refuses = !m.refuses // at any time, but not for moments
				}
			case 8:
				if !m.limited {
					m.limited = true
					m.look(time.Duration(r.IntN(1000)) * time.Millisecond)
					m.a.pause(m.count)
				}
			case 9:
				if m.limited {
					m.limited = false
					m.a.resume(m.now)
				}
			default:
				m.look(time.Duration(20+r.IntN(400)) * time.Millisecond)
			}
		}
		if seed%2 == 0 && !m.refuses {
			m.stop(r.IntN(15), r.IntN(20))
			continue
		}
		m.refuses, m.slow, m.limited = false, false, false
		m.a.resume(m.now)
		for range 5 {
			m.now = m.now.Add(probeEvery)
			m.append(10)
			m.settle()
		}
		if m.a.underWay() > 0 || m.a.refusing {
			t.Errorf("seed %d: %d records are left, refusing %v", seed, m.a.underWay(), m.a.refusing)
		}
	}
}
