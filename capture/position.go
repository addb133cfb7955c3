package capture

import (
	"math"
	"time"

	"fluent-bit-docker-logs/capture/decode"
)

// posKind says how a position is to be found in a log.
type posKind uint8

const (
	fromBeginning posKind = iota // before the first record
	fromTime                     // before the first record at or after a time
	fromTail                     // before the last so many records
	fromAnchor                   // behind the anchor
)

// position is a place in a container's log. It is a value: a copy is a
// snapshot.
type position struct {
	kind   posKind
	ts     int64 // fromTime: nanoseconds since 1970
	tail   int   // fromTail: stored records
	lost   bool  // fromTime: the anchor was delivered, and could not be found again
	anchor anchor
	spot   decode.Place // of the anchor's newest record, if that was read from a file
	// skip is how many records of each std stream behind this place were
	// delivered already, while an older line of the other one was still
	// incomplete; index 0 is unused.
	skip [3]uint32
	// next is the record behind this place, where no anchor tells whether the log
	// holds it still.
	next mark
	// cutTS is the timestamp of the line of each std stream whose beginning
	// was delivered cut and whose rest is to be discarded; 0 if none.
	cutTS [3]int64
}

// advance moves the position behind a record that was just consumed.
func (p *position) advance(m mark) {
	p.kind, p.next = fromAnchor, mark{}
	p.anchor.push(m)
	p.spot = decode.Place{}
}

// before says whether a log whose last record is e has records behind p.
func (p *position) before(e *decode.Entry) bool {
	switch m, newest := markOf(e), p.anchor.newest(); p.kind {
	case fromAnchor:
		return !m.same(&newest)
	case fromTime:
		return e.TS >= p.ts
	}
	return true
}

// everything is the tail that asks the Engine for the whole log.
const everything = math.MaxInt

// firstTail is how many records back a log is opened at first, further is
// how many times more it is after that did not reach far enough. Each
// attempt costs the Engine in proportion to its size (about 0.4 ms for 64),
// so finding n new records back costs O(n). Beyond longestTail the whole log
// is read.
const (
	firstTail   = 64
	further     = 4
	furthest    = 1 << 10
	longestTail = 1 << 20
)

// inversion is by how much a record may be older than one before it while the
// clock does not step: std streams are stamped each on its own.
const inversion = int64(time.Second)

// resync finds a position in the records that an opened log begins with.
// Records are fed to it until it is found; they are delivered from there on.
type resync struct {
	target *position
	limit  int  // the tail that the log was opened with
	whole  bool // the log was opened at its first record: there is nothing before
	// longest says that what is further back cannot be read: then it is read to
	// its end, whatever its times seem to tell.
	longest bool

	depth  uint8  // marks of the anchor that must agree
	best   uint8  // marks that agreed at most so far
	replay anchor // what was fed
	runs   int    // of equal records that were fed
	seen   int    // records fed
	found  bool
	before int // records fed before the one by which it was found

	stepped bool // the clock is known to have stepped back in this log, or the records fed show it

	firstTS, lastTS int64 // of what was fed and has a time
}

func newResync(target *position, limit int) *resync {
	r := &resync{target: target, limit: limit, whole: limit == everything, depth: target.anchor.n}
	switch target.kind {
	case fromBeginning:
		r.found = true
	case fromTail:
		r.found = true
	}
	return r
}

// feed takes the next record and says whether it is to be delivered, or that
// the log was opened too short for the position to be in view.
func (r *resync) feed(e *decode.Entry) (deliver, short bool) {
	r.seen++
	if r.found {
		return true, false
	}
	first := r.firstTS == 0
	if e.TS != decode.Undated {
		r.stepped = r.stepped || !first && e.TS < r.lastTS-inversion
		if r.lastTS = e.TS; first {
			r.firstTS = e.TS
		}
	}
	if r.target.kind == fromTime {
		if e.TS >= r.target.ts {
			// Only a record before it proves that none in between is missing.
			if first && !r.whole && !r.longest {
				return false, true
			}
			r.found = true
			return true, false
		}
		return false, false
	}
	m, before := markOf(e), r.replay.newest()
	if r.runs == 0 || !m.same(&before) {
		r.runs++
	}
	r.replay.push(m)
	agreed := r.replay.agree(&r.target.anchor)
	r.best = max(r.best, agreed)
	if agreed >= r.depth && !r.begunBefore(&m) {
		r.found, r.before = true, r.seen-1
		return false, false
	}
	// A log that begins well after the anchor's time does not reach back to it,
	// unless the clock has stepped back in between.
	at := r.target.anchor.time()
	late := r.seen == firstTail/2 && !r.whole && !r.longest && !r.stepped && at != 0 && r.firstTS > at+inversion
	return false, late || r.seen >= r.limit
}

// begunBefore says that the run of the newest record may have begun before the
// log as it was opened: then its length proves nothing. Only the pieces of a
// long line are equal to the last byte.
func (r *resync) begunBefore(m *mark) bool {
	return r.runs == 1 && !r.whole && !r.longest && m.Size >= decode.ChunkSize
}

// estimate is how many records back the position is if records came at an
// even rate, with a margin; 0 if nothing can be said.
func (r *resync) estimate() int {
	want := r.target.ts
	if r.target.kind == fromAnchor {
		want = r.target.anchor.time()
	}
	span, dist := r.lastTS-r.firstTS, r.lastTS-want
	if r.seen < 2 || span <= 0 || dist <= 0 || want == 0 {
		return 0
	}
	guess := float64(r.seen) * float64(dist) / float64(span) * 1.25
	return int(min(guess, longestTail+1))
}

// inView says that the position will be found in what is still to come, or
// was found already: the log reaches back far enough.
func (r *resync) inView() bool {
	return r.found || r.whole || (r.target.kind == fromTime && r.seen > 0)
}
