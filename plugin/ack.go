package main

import (
	"log/slog"
	"time"
)

const (
	// probeEvery is how often Fluent Bit is tried that keeps nothing.
	probeEvery = 2 * time.Second
	// repeatRefusal is how often it is said again that it does.
	repeatRefusal = time.Minute
)

// acker works out how many of the appended records Fluent Bit holds in
// chunks. An append only reaches a ring, and what the engine's thread makes of
// it there is seen in counters alone. What they do at each of its steps:
//
//	processors of the input   on our thread, before the ring: what they drop is in
//	                          no counter, what they add is in all of them
//	into the ring             ring_buffer_writes_total + 1 (from 4.1 on)
//	out of the ring           nothing; not while the input is paused by a limit,
//	                          but still while it is paused for a stop
//	no chunk to be had        nothing: the append is gone (limits, disk full)
//	a chunk was found         records_total and bytes_total rise by the whole append;
//	                          with conditional routes once for each of them
//	filters                   nothing, for as long as they take
//	written into the chunk    nothing, also where it fails for want of space
//
// So counted is not yet stored: an append is in its chunk once the thread does
// something else. And losing is worse than doubling: what cannot be known is
// acknowledged late, or not at all.
type acker struct {
	log *slog.Logger
	flight
	way     ledger
	careful bool // way is byDrain
	warned  bool
	doubt   bool // appends wait until it is known what became of the others

	// While Fluent Bit keeps nothing, a few batches are appended now and then.
	refusing  bool
	since     time.Time
	probe     int // how many
	probeAt   time.Time
	refusedAt time.Time // when it was said last
}

func newAcker(c counters, log *slog.Logger) acker {
	a := acker{log: log, way: &byCounter{base: c}, flight: flight{burst: newBurst()}}
	a.seen = c
	if !c.known {
		a.beCareful(c, "the counter of records cannot be read")
	}
	return a
}

// room reports whether there may be another append.
func (a *acker) room(now time.Time) bool {
	n := len(a.marks)
	switch {
	case a.doubt:
		return false
	case a.refusing:
		return n < a.probe && !now.Before(a.probeAt)
	case a.careful && a.seen.hasWrites, !a.careful && !a.way.(*byCounter).proven:
		return n == 0
	case a.careful && n > 0 && now.Sub(a.marks[0].at) > a.drainTime():
		return false // the ring has to be empty once
	case a.careful:
		return n < maxInRing
	}
	return a.burst.room(n, now)
}

// look takes in what was seen of Fluent Bit. It returns how many of the
// appended records are safe, in all, and whether the others were refused: then
// the caller has them again, and they do not count as appended.
func (a *acker) look(s *sight) (safe uint64, lost bool) {
	a.flight.look(s)
	m, v := a.way.judge(s, &a.flight)
	if m.records > a.acked.records {
		a.ack(m)
		a.accepted(s.at)
	}
	if exact, ok := a.way.(*byCounter); ok && exact.all {
		a.burst.emptied(s.at, a.rests || !a.watched)
	}
	a.doubt = v.kind == doubtful
	switch v.kind {
	case foreign:
		a.beCareful(s.counters, v.why)
	case missing:
		a.beCareful(s.counters, v.why)
		lost = true
	case refused:
		a.refuse(s.at)
		lost = true
	case calm:
		a.careful, a.way = false, &byCounter{base: s.counters, from: a.last, proven: true}
		a.burst.forget()
		a.log.Info("Fluent Bit's counter agrees with what was appended again: positions are exact")
	}
	if lost {
		a.forget()
		a.way.restart(s.counters, a.acked)
	}
	return a.acked.records, lost
}

// beCareful goes over to drains. What is under way is judged by them.
func (a *acker) beCareful(c counters, why string) {
	d := &byDrain{at: c, from: a.acked, mixed: true}
	if exact, ok := a.way.(*byCounter); ok && len(a.marks) == 1 && exact.from == a.acked {
		d.at, d.mixed = exact.base, false
	}
	a.careful, a.way = true, d
	if !a.warned {
		a.warned = true
		a.log.Warn("Fluent Bit counts other records than were appended: positions follow later, and after a restart lines may come twice",
			"reason", why, "counted", c.records, "appended", a.last.records)
	}
}

// refuse has Fluent Bit left alone for a while. Where nothing tells a
// processor that drops whole batches from Fluent Bit, more and more of them
// are tried.
func (a *acker) refuse(now time.Time) {
	n := a.last.records - a.acked.records
	if !a.refusing {
		a.refusing, a.since, a.probe = true, now, 1
		a.refusedAt = now
		a.log.Error("Fluent Bit keeps nothing of what it is given, records are held back and tried again (look for a storage limit that is reached, or a full disk)", "records", n)
	} else if !a.seen.hasWrites {
		a.probe = min(2*a.probe, maxInRing)
	}
	if now.Sub(a.refusedAt) >= repeatRefusal {
		a.refusedAt = now
		a.log.Error("Fluent Bit still keeps nothing of what it is given", "for", now.Sub(a.since).Round(time.Second))
	}
	a.probeAt = now.Add(probeEvery)
}

// accepted says that Fluent Bit holds something new.
func (a *acker) accepted(now time.Time) {
	if a.refusing {
		a.refusing = false
		a.log.Info("Fluent Bit keeps records again", "after", now.Sub(a.since).Round(time.Second))
	}
}
