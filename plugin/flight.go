package main

import "time"

const (
	// drainTime is how long an append may lie in the ring although the engine's
	// thread has nothing to do: it looks into rings every 250 ms, whatever it
	// was told.
	drainTime = 300 * time.Millisecond
	// sureTime is how long nothing must have been appended, and sureLooks at how
	// many looks in a row the ring must be empty by all that is seen, until what
	// is not counted is taken to be refused. A refusal that is seen late costs
	// time, a wrong one doubles lines; looks are not had by a process that was
	// frozen, or a clock that leapt.
	sureTime  = 5 * time.Second
	sureLooks = 20
	// toldTime is how long it takes to look where it is told of each append. One
	// in very many is left to those 250 ms: what is written into the ring just
	// when the thread has found it empty.
	toldTime = 20 * time.Millisecond
	// settleTime is how long nothing must move, where the engine's thread
	// cannot be watched, until it is taken to have nothing to do.
	settleTime = 20 * time.Second
	// hangTime takes its place where the thread was seen to wait before: then it
	// is in a filter, or other inputs keep it from ever resting.
	hangTime = 5 * time.Minute
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
	// watched says that the engine's thread can be: it was seen to wait.
	watched bool

	seen    counters
	changed time.Time // last append, resume or move of a counter
	// hints were seen to have left, the oldest first, unless a pause by a limit is
	// being told: that stops the draining before the word of it comes. The word
	// waits in the event loop of our thread then, at most one of our own events
	// before it; so two looks later it has come.
	hints  [2]mark
	still  int // looks in a row at which all had left and nothing moved
	paused bool
	drains bool // although it is paused
	burst  burst
	// resumed is when it went on: what lies in the ring then is told to nobody.
	resumed time.Time
}

// add says that another append was made, of so many records and bytes.
func (f *flight) add(records, bytes int, now time.Time) {
	f.last.records += uint64(records)
	f.last.bytes += uint64(bytes)
	f.last.appends++
	f.last.at, f.changed, f.still = now, now, 0
	f.marks = append(f.marks, f.last)
	f.burst.add(now)
}

// pause says that the input is paused. The counters are as of now: those of a
// limit do not move any more. What was thought to have left since the last
// that is acknowledged may be in the ring: nothing tells how late the word is.
func (f *flight) pause(c counters) {
	f.paused, f.drains, f.seen = true, false, c
	f.leftTo(f.acked)
}

// leftTo says that no more has left than what is up to m.
func (f *flight) leftTo(m mark) { f.left, f.hints, f.still = m, [2]mark{m, m}, 0 }

// resume says that a pause is over.
func (f *flight) resume(now time.Time) {
	f.paused, f.changed, f.resumed = false, now, now
	f.burst.resume(now)
	f.leftTo(f.left)
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
		f.seen, f.changed, f.still = s.counters, s.at, 0
	}
	f.watched = f.watched || s.waits
	f.rests = s.waits || s.at.Sub(f.changed) > f.settleTime()
	if f.paused && !f.drains {
		return
	}
	f.left, f.hints[0] = f.hints[0], f.hints[1]
	if !f.rests || s.at.Sub(f.resumed) <= drainTime {
		f.still = 0
		return
	}
	for _, m := range f.marks {
		if s.at.Sub(m.at) >= f.drainTime() {
			f.hints[1] = m
		}
	}
	if f.drained() {
		f.still++
	}
}

func (f *flight) settleTime() time.Duration {
	if f.watched {
		return hangTime
	}
	return settleTime
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
	f.left = later(f.left, m)
	for i := range f.hints {
		f.hints[i] = later(f.hints[i], m)
	}
}

// forget takes back all appends that were not acknowledged.
func (f *flight) forget() {
	f.marks = f.marks[:0]
	f.burst.forget()
	f.last = f.acked
	f.leftTo(f.acked)
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
func (f *flight) surely(s *sight) bool {
	return f.drained() && f.still >= sureLooks && s.at.Sub(f.last.at) > sureTime
}

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
