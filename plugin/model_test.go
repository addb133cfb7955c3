package main

import (
	"log/slog"
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
