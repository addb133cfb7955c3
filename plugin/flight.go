package main

import "time"

const (
	// drainTime is how long an append may lie in the ring although the engine's
	// thread has nothing to do: it looks into rings every 250 ms, whatever it
	// was told.
	drainTime = 300 * time.Millisecond
	// sureTime is how long nothing must have been appended, and the ring be empty
	// by all that is seen, until what is not counted is taken to be refused. The
	// word of a pause, which stops the draining too, may be that late on a busy
	// machine; a refusal that is seen late costs time, a wrong one doubles lines.
	sureTime = 5 * time.Second
	// toldTime is how long it takes to look where it is told of each append. One
	// in very many is left to those 250 ms: what is written into the ring just
	// when the thread has found it empty.
	toldTime = 20 * time.Millisecond
	// settleTime is how long nothing must move, where the engine's thread
	// cannot be watched, until it is taken to have nothing to do.
	settleTime = 20 * time.Second
)

// counters are those that Fluent Bit keeps of an instance.
type counters struct {
	records, bytes uint64 // of appends for which there was a chunk
	writes         uint64 // appends that got into the ring
	known          bool   // records and bytes could be read
	hasWrites      bool
}

// sight is one look at Fluent Bit.
type sight struct {
	counters
	at time.Time
	// waits says that after the counters were read the engine's thread was seen
	// to wait for events: it is in the middle of nothing.
	waits bool
}

// mark is a point in the sequence of appends. The numbers are in all up to
// there, at is when that append was made.
type mark struct {
	records, bytes, appends uint64
	at                      time.Time
}

// flight is what was appended and not acknowledged yet.
type flight struct {
	marks []mark // one behind each append, oldest first
	acked mark
	last  mark // behind the last append
	left  mark // all up to here has left the ring, whatever became of it
	rests bool // as of the last look the engine's thread had nothing to do

	seen    counters
	changed time.Time // last append, resume or move of a counter
	// hint was seen to have left, unless a pause by a limit is being told just
	// now: that stops the draining before the word of it comes.
	hint   mark
	paused bool
	drains bool // although it is paused
	// resumed is when it went on: what lies in the ring then is told to nobody.
	resumed time.Time
}

// add says that another append was made, of so many records and bytes.
func (f *flight) add(records, bytes int, now time.Time) {
	f.last.records += uint64(records)
	f.last.bytes += uint64(bytes)
	f.last.appends++
	f.last.at, f.changed = now, now
	f.marks = append(f.marks, f.last)
}

// pause says that the input is paused. The counters are as of now: those of a
// limit do not move any more.
func (f *flight) pause(c counters) {
	f.paused, f.drains, f.hint, f.seen = true, false, f.left, c
}

// resume says that a pause is over.
func (f *flight) resume(now time.Time) {
	f.paused, f.changed, f.hint, f.resumed = false, now, f.left, now
	f.last.at = now
	for i := range f.marks {
		f.marks[i].at = now // as good as appended now: nothing was drained in between
	}
}

// look finds out what has left the ring.
func (f *flight) look(s *sight) {
	if s.counters != f.seen {
		// A limit would have stopped the draining before its pause was told.
		f.drains = f.drains || f.paused && s.records > f.seen.records
		f.seen, f.changed = s.counters, s.at
	}
	f.rests = s.waits || s.at.Sub(f.changed) > settleTime
	if f.paused && !f.drains {
		return
	}
	f.left = f.hint
	if !f.rests || s.at.Sub(f.resumed) <= drainTime {
		return
	}
	for _, m := range f.marks {
		if s.at.Sub(m.at) >= f.drainTime() {
			f.hint = m
		}
	}
}

func (f *flight) drainTime() time.Duration {
	if f.seen.hasWrites { // since the same version
		return toldTime
	}
	return drainTime
}

// ack says that Fluent Bit holds all up to m, one of the marks.
func (f *flight) ack(m mark) {
	n := 0
	for n < len(f.marks) && f.marks[n].records <= m.records {
		n++
	}
	f.marks = append(f.marks[:0], f.marks[n:]...)
	f.acked = m
	f.left, f.hint = later(f.left, m), later(f.hint, m)
}

// forget takes back all appends that were not acknowledged.
func (f *flight) forget() {
	f.marks = f.marks[:0]
	f.last, f.left, f.hint = f.acked, f.acked, f.acked
}

func later(a, b mark) mark {
	if a.records < b.records {
		return b
	}
	return a
}

// underWay is how many records are not acknowledged yet.
func (f *flight) underWay() uint64 { return f.last.records - f.acked.records }

// drained reports whether all appends have left the ring.
func (f *flight) drained() bool { return f.left.appends == f.last.appends }

// surely reports whether they have, also if it was the one of very many.
func (f *flight) surely(s *sight) bool { return f.drained() && s.at.Sub(f.last.at) > sureTime }

// hasGap reports whether that many records and bytes are those behind some
// append, less what some appends before it have in a row: these were refused,
// as whole as others are counted.
func (f *flight) hasGap(records, bytes uint64) bool {
	behind := func(i int) mark {
		if i < 0 {
			return f.acked
		}
		return f.marks[i]
	}
	for k := range f.marks {
		end := f.marks[k]
		if end.records <= records || end.bytes <= bytes {
			continue
		}
		gap, size := end.records-records, end.bytes-bytes
		for from, to := -1, 0; to <= k; {
			switch a, b := behind(from), f.marks[to]; {
			case b.records-a.records < gap:
				to++
			case b.records-a.records > gap:
				from++
			case b.bytes-a.bytes == size:
				return true
			default:
				to++
			}
		}
	}
	return false
}
