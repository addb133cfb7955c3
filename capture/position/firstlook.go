package position

import (
	"time"

	"fluent-bit-docker-logs/capture/decode"
)

// FirstLook finds where the capture of a log begins. It is given the records
// that the log holds when it is first looked at, or looked at again after a
// gap. Only these are judged by their time or counted from the end: what is
// written from then on is new, whatever a clock says. So the place becomes the
// anchor of the record before it, or the beginning of the log.
type FirstLook struct {
	target *Position
	whole  bool // what is fed begins with the first record of the log
	now    func() int64

	seen  int
	first Mark     // the oldest record fed
	past  Position // behind the newest record fed
	open  [3]int64 // by std: the time of the line whose end was not fed yet, 0 if there is none
	at    Position // where the capture begins, once found or at the end
	found bool

	skip  int    // FromTail: so many records are known to be before the first that counts
	heads []head // FromTail: the first records fed
	piece [3]int // FromTail: by std, the first piece of the open line

	known, timed bool     // after a gap: at is behind a record that was delivered; there is one as new as those
	byTime       Position // behind the last record with a time before that: what has none may be new
}

// head is one of the first records fed.
type head struct {
	mark  Mark
	place decode.Place
	first int // which of them its line begins with
	open  bool
}

// future is by how much a record may be newer than the present, by clocks of
// two machines.
const future = int64(10 * time.Second)

// MoreHeads is how many records more than asked for are read. Among them is the
// beginning of a long line.
const MoreHeads = 64

// NewFirstLook makes a look for target; whole: at all of the log. Then the records
// begin with the first of the log. now is the Engine's present, in nanoseconds since
// 1970: where all that was written before it is to be left out, so are records from
// the future, because the clock was set back since then; nil: they are not.
func NewFirstLook(target *Position, whole bool, now func() int64) *FirstLook {
	return &FirstLook{target: target, whole: whole, now: now}
}

// SkipFirst says how many records are before the first that counts.
func (l *FirstLook) SkipFirst(n int) { l.skip = n }

// AskedFor says that a read of so many records has ended. They were the last ones:
// if there were fewer, these are all.
func (l *FirstLook) AskedFor(limit int) { l.whole = l.whole || l.seen < limit }

// Complete says that no more records need to be fed.
func (l *FirstLook) Complete() bool { return l.found && l.now == nil }

// Feed takes the next record. short says that the log must be read from further
// back.
func (l *FirstLook) Feed(e *decode.Entry) (short bool) {
	m := MarkOf(e)
	if l.skip > 0 {
		l.skip--
		l.pass(e, m)
		return false
	}
	if l.seen++; l.seen == 1 {
		l.first = m
	}
	switch {
	case l.target.Kind == FromTail:
		l.remember(e, m)
		return false
	case l.target.Lost:
		if l.target.Anchor.Holds(&m) {
			l.pass(e, m)
			l.known, l.at = true, l.past
			return false
		}
		l.timed = l.timed || e.TS >= l.target.TS
		l.pass(e, m)
		if !l.timed && e.TS != decode.Undated {
			l.byTime = l.past
		}
		return false
	case l.now != nil && e.TS > l.target.TS+future && e.TS > l.now()+future:
		l.found = false // all before it is older still
	case !l.found && e.TS >= l.target.TS:
		// Only a record before it, one with a time, proves that none in between
		// is missing.
		if l.past.Anchor.Time() == 0 && !l.whole {
			return true
		}
		l.found, l.at, l.at.CutTS = true, l.past, l.open
	}
	l.pass(e, m)
	return false
}

// pass moves on behind a record.
func (l *FirstLook) pass(e *decode.Entry, m Mark) {
	l.past.Advance(m)
	l.past.Place = e.Place
	l.open[e.Std] = 0
	if e.GoesOn() {
		l.open[e.Std] = e.TS
	}
}

// End returns where the capture begins. It follows the last record of the log.
func (l *FirstLook) End() Position {
	switch {
	case l.found:
	case l.target.Kind == FromTail:
		l.at = l.fromEnd()
	case !l.target.Lost:
		l.at, l.at.CutTS = l.past, l.open
	case l.known:
	case l.timed:
		l.at = l.byTime
	default:
		// All is older than the last record that was delivered, and none of it
		// was: the clock has stepped back.
		l.at = Position{}
	}
	if !l.whole { // others may have come before what was fed
		l.at.Anchor.Nth = 0
	}
	if l.at.Kind == FromBeginning {
		l.at.Next = l.first // it may be rotated away before it is read
	}
	return l.at
}

func (l *FirstLook) remember(e *decode.Entry, m Mark) {
	if len(l.heads) > MoreHeads {
		return
	}
	i := len(l.heads)
	if l.open[e.Std] != e.TS {
		l.piece[e.Std] = i
	}
	h := head{mark: m, place: e.Place, first: l.piece[e.Std], open: e.GoesOn()}
	l.open[e.Std] = 0
	if h.open {
		l.open[e.Std] = e.TS
	}
	l.heads = append(l.heads, h)
}

// fromEnd is the position before the last records that target asks for, and
// before the beginning of a line that they would begin in the middle of.
func (l *FirstLook) fromEnd() (p Position) {
	start := min(max(0, l.seen-l.target.Tail), len(l.heads))
	for again := true; again; {
		open := [3]int{-1, -1, -1}
		for _, h := range l.heads[:start] {
			open[h.mark.Std] = -1
			if h.open {
				open[h.mark.Std] = h.first
			}
		}
		again = false
		for _, first := range open {
			if first >= 0 && first < start {
				start, again = first, true
			}
		}
	}
	if start == 0 && !l.whole { // it began before what was read
		start = min(1, len(l.heads))
	}
	p = l.past
	for _, h := range l.heads[:start] {
		p.Advance(h.mark)
		p.Place = h.place
		p.CutTS[h.mark.Std] = 0
		if h.open {
			p.CutTS[h.mark.Std] = h.mark.TS
		}
	}
	return p
}
