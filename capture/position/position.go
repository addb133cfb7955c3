package position

import (
	"math"
	"time"

	"fluent-bit-docker-logs/capture/decode"
)

// Kind says how a position is to be found in a log.
type Kind uint8

// The kinds of positions.
const (
	FromBeginning Kind = iota // before the first record
	FromTime                  // before the first record at or after a time
	FromTail                  // before the last so many records
	FromAnchor                // behind the anchor
)

// Position is a place in a container's log. It is a value: a copy is a
// snapshot.
type Position struct {
	Kind   Kind
	TS     int64 // FromTime: nanoseconds since 1970
	Tail   int   // FromTail: stored records
	Lost   bool  // FromTime: the anchor was delivered, and could not be found again
	Anchor Anchor
	Place  decode.Place // of the anchor's newest record, if that was read from a file
	// Skip is how many records of each std stream behind this place were
	// delivered already, while an older line of the other one was still
	// incomplete; index 0 is unused.
	Skip [3]uint32
	// Next is the record behind this place, where no anchor tells whether the log
	// holds it still.
	Next Mark
	// CutTS is the timestamp of the line of each std stream whose beginning
	// was delivered cut and whose rest is to be discarded; 0 if none.
	CutTS [3]int64
}

// ToBegin says whether a first look at the log is to come.
func (p *Position) ToBegin() bool { return p.Kind == FromTime || p.Kind == FromTail }

// Advance moves the position behind a record that was just consumed.
func (p *Position) Advance(m Mark) {
	first := p.Kind == FromBeginning
	if p.Kind != FromAnchor { // as a rule it is, and this is on the way of each line
		p.Kind, p.Next = FromAnchor, Mark{}
	}
	p.Anchor.Push(m)
	if first {
		p.Anchor.Nth = 1
	}
	p.Place = decode.Place{}
}

// Before says whether the log has records behind p. Its last one is e.
func (p *Position) Before(e *decode.Entry) bool {
	switch m, newest := MarkOf(e), p.Anchor.Newest(); p.Kind {
	case FromAnchor:
		return !m.Is(&newest)
	case FromTime:
		return e.TS >= p.TS
	}
	return true
}

const (
	// Everything is the tail that asks the Engine for the whole log.
	Everything = math.MaxInt
	// ByTime is the tail of what is as new as the anchor. It may be any number of
	// records.
	ByTime = math.MaxInt / 2
)

// FirstTail is how many records back a log is opened at first. Further is how
// many times more it is after that did not reach far enough, Furthest the most
// of that. Each attempt costs the Engine in proportion to its size (about 0.4
// ms for 64), so finding n new records back costs O(n). Beyond LongestTail the
// whole log is read.
const (
	FirstTail   = 64
	Further     = 4
	Furthest    = 1 << 10
	LongestTail = 1 << 20
)

// Inversion is by how much records may be older than others before. Std streams
// are stamped each on its own; what is more than that is a step of the clock.
const Inversion = int64(time.Second)

// Resync finds a position in a log that was opened anew. Records are fed to it
// until it is found; they are delivered from there on.
type Resync struct {
	Target *Position
	Limit  int  // the tail that the log was opened with
	whole  bool // the log was opened at its first record: there is nothing before
	byTime bool // the log was opened at the first record of a second
	// Longest says that what is further back cannot be read: then it is read to
	// its end, whatever its times seem to tell.
	Longest bool

	Depth  uint8  // marks of the anchor that must agree
	Best   uint8  // marks that agreed at most so far
	Replay Anchor // what was fed
	runs   int    // of equal records that were fed
	Seen   int    // records fed
	vague  bool   // the position may be where the log as it was opened begins
	Found  bool
	Before int // records fed before the one by which it was found

	Stepped bool // the clock is known to have stepped back in this log, or the records fed show it

	times struct{ first, last int64 } // of what was fed and has a time
}

// NewResync looks for target among at most limit records of a log.
func NewResync(target *Position, limit int) *Resync {
	r := &Resync{Target: target, Limit: limit, whole: limit == Everything, byTime: limit >= ByTime && limit != Everything, Depth: target.Anchor.N}
	switch target.Kind {
	case FromBeginning:
		r.Found = true
	case FromTail:
		r.Found = true
	}
	return r
}

// Feed takes a record and says whether it is to be delivered. short says that
// the log was opened too short for the position to be in view.
func (r *Resync) Feed(e *decode.Entry) (deliver, short bool) {
	r.Seen++
	if r.Found {
		return true, false
	}
	first := r.times.first == 0
	if e.TS != decode.Undated {
		r.Stepped = r.Stepped || !first && e.TS < r.times.last-Inversion
		if r.times.last = e.TS; first {
			r.times.first = e.TS
		}
	}
	if r.Target.Kind == FromTime {
		if e.TS >= r.Target.TS {
			// Only a record before it proves that none in between is missing.
			if first && !r.whole && !r.Longest {
				return false, true
			}
			r.Found = true
			return true, false
		}
		return false, false
	}
	m, before := MarkOf(e), r.Replay.Newest()
	if r.runs == 0 || !m.Same(&before) {
		r.runs++
	}
	r.Replay.Push(m)
	if r.Seen == 1 && (r.whole || r.byTime) {
		r.Replay.Nth = 1
	}
	agreed := r.Replay.Agree(&r.Target.Anchor)
	r.Best = max(r.Best, agreed)
	if agreed >= r.Depth {
		// Where one place may be meant, another that is like it proves nothing.
		r.vague = r.vague || r.begunBefore(&m)
		if !r.vague {
			r.Found, r.Before = true, r.Seen-1
			return false, false
		}
	}
	// A log that begins well after the anchor's time does not reach back to it,
	// unless the clock has stepped back in between.
	at := r.Target.Anchor.Time()
	late := r.Seen == FirstTail/2 && !r.whole && !r.Longest && !r.Stepped && at != 0 && r.times.first > at+Inversion
	return false, late || r.Seen >= r.Limit
}

// begunBefore says that the run of the newest record may have begun before the
// log as it was opened: then its length proves nothing. Only the pieces of a
// long line, and lines without a time, are equal to the last byte.
func (r *Resync) begunBefore(m *Mark) bool {
	return r.runs == 1 && !r.whole && !r.Longest && (m.Size >= decode.ChunkSize || m.TS == decode.Undated)
}

// Since is the second from which on p is surely found. All that is newer is to
// be asked for; seconds are since 1970, and 0 says that times tell nothing of
// its place.
func (p *Position) Since() int64 {
	oldest := int64(0)
	switch p.Kind {
	case FromTime:
		oldest = p.TS
	case FromAnchor:
		for i := range p.Anchor.N {
			if ts := p.Anchor.At(i).TS; ts != decode.Undated && (oldest == 0 || ts < oldest) {
				oldest = ts
			}
		}
	}
	return max(0, oldest/second-1) // what is exactly as old is not sent
}

// Estimate is about how many records back the position is. It takes them to
// come at an even rate, with a margin; 0 if nothing can be said.
func (r *Resync) Estimate() int {
	want := r.Target.TS
	if r.Target.Kind == FromAnchor {
		want = r.Target.Anchor.Time()
	}
	span, dist := r.times.last-r.times.first, r.times.last-want
	if r.Seen < 2 || span <= 0 || dist <= 0 || want == 0 {
		return 0
	}
	guess := float64(r.Seen) * float64(dist) / float64(span) * 1.25
	return int(min(guess, LongestTail+1))
}

// Around says whether the anchor should have been in what was fed. There are records
// that are older, the last one is newer, and there is nothing of the anchor.
func (r *Resync) Around() bool {
	at := r.Target.Anchor.Time()
	return !r.Found && r.Best == 0 && r.Target.Kind == FromAnchor && at != 0 && r.times.first != 0 && r.times.first < at && r.times.last > at
}

// InView says whether the log reaches back to the position. It was found
// already, or will be in what is still to come.
func (r *Resync) InView() bool {
	return r.Found || r.whole || (r.Target.Kind == FromTime && r.Seen > 0)
}
