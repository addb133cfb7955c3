package main

import "time"

// calmTime is how long the counter must agree until it is trusted again.
const calmTime = time.Minute

// byDrain is the ledger for a counter that counts other records than ours,
// because of processors or conditional routes. Of one append at a time it is
// known what became of it: it came into the ring or was dropped before, and it
// has left the ring for a chunk when the counter moves, by whatever. It is done
// with when the engine's thread rests.
//
// Where writes into the ring are not counted, several are under way, and it
// looks only when the ring was emptied: if the counter moved since, Fluent Bit
// took the appends. That it refused some of several cannot be seen.
type byDrain struct {
	at    counters // when the ring was empty last, at from
	from  mark
	mixed bool // at is not of a moment when the ring was empty

	agrees time.Time // since when the counter has agreed; zero: it does not
}

// restart implements ledger.
func (d *byDrain) restart(now counters, at mark) { d.at, d.from, d.mixed = now, at, false }

// judge implements ledger.
func (d *byDrain) judge(s *sight, f *flight) (safe mark, v verdict) {
	if len(f.marks) == 0 {
		return f.acked, verdict{}
	}
	moved := s.records != d.at.records || d.mixed
	dropped := s.writes-d.at.writes < f.last.appends-d.from.appends // by a processor: nothing came to the ring
	taken := moved || dropped || !s.known || !s.hasWrites
	switch {
	case taken && f.drained():
	case f.drained() && f.surely(s):
		return f.acked, verdict{kind: refused}
	case f.drained():
		return f.acked, verdict{kind: doubtful}
	case len(f.marks) > 1 || d.mixed || !s.known || !s.hasWrites:
		return f.acked, verdict{}
	case moved && f.rests, !moved && dropped:
	default:
		return f.acked, verdict{}
	}
	exact := s.known && !d.mixed && s.records-d.at.records == f.last.records-d.from.records
	switch {
	case !exact:
		d.agrees = time.Time{}
	case d.agrees.IsZero():
		d.agrees = s.at
	case s.at.Sub(d.agrees) >= calmTime:
		v.kind = calm
	}
	d.restart(s.counters, f.last)
	return f.last, v
}
