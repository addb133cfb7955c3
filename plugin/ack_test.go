package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"
)

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
	m.a.burst.size = 2 // it was slow
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
	for range 10 {
		for n = 0; m.append(10); n++ {
		}
		m.settle()
	}
	if n != maxInRing {
		t.Fatalf("%d appends in the ring, want %d", n, maxInRing)
	}
}

// A filter that takes longer than lines come leaves the ring empty every now and
// then: only then Fluent Bit flushes, and hears of a stop.
func TestSlowFilterHoldsUpNothing(t *testing.T) {
	const each = 300 * time.Millisecond // for an append
	m := newModel(t, true)
	m.prove()
	m.slow = true
	emptyAt, longest, sent := m.now, time.Duration(0), 0
	for range 400 {
		for m.append(10) {
			sent++
		}
		m.done()
		if len(m.ring) == 0 {
			emptyAt = m.now
		}
		m.drain()
		m.look(each)
		if sent > maxInRing {
			longest = max(longest, m.now.Sub(emptyAt))
		}
	}
	if longest > maxInRing*each+time.Second || sent < 300 {
		t.Errorf("%d appends in 400 times what one takes, the ring was not empty for %v", sent, longest)
	}
	if m.a.burst.size > 8 {
		t.Errorf("%d appends may be under way", m.a.burst.size)
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
