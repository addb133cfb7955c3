package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

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
