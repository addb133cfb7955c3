package capture

import (
	"slices"

	"fluent-bit-docker-logs/capture/decode"
)

// audit compares a read with an end, which shows the log as it is, with what
// was delivered behind the last confirmed place. What the trail does not hold
// is delivered: what lies before its end late, the rest in its turn.
type audit struct {
	*resync
	trail *trail
	blind bool // the log as it was opened begins behind the confirmed place
	holes bool // a read of this log may leave records out in its middle
	next  int  // index of the record of the trail that comes next in the log
	live  bool // all records of the trail have been passed
	met   bool // records of the trail came before the confirmed place
	taken int  // records delivered in their turn
	late  int  // records delivered late
	// lost: the first record of a log that does not reach back was not
	// delivered before, nor can those before it have been.
	lost bool
	// from is the record that a log has to begin with that does not reach back, for
	// all to be read that can be; the zero mark: any.
	from trailMark

	first trailMark
	begun [3]bool  // records of the std stream were seen
	open  [3]int64 // the time of a line, by std, whose beginning was delivered

	shown  []trailMark // what a read shows whose beginning is too late
	expect []trailMark // what such a read has shown before
	passed int         // of expect
	last   []trailMark // the last record of the log, which must be shown; empty where that is not known
}

type verdict uint8

const (
	skipRecord verdict = iota
	newInTurn
	newLate
	tooShort
	behindHole // records of the trail that come before it were not shown
)

func newAudit(target *position, t *trail, limit int, blind bool) *audit {
	return &audit{resync: newResync(target, limit), trail: t, blind: blind, next: t.verified}
}

// judge says what is to be done with the next record of the log.
func (a *audit) judge(e *decode.Entry) verdict {
	if a.seen == 0 {
		m := markOf(e)
		a.first = m.single()
		a.expect = stillHeld(a.expect, a.first)
		if a.from.ts != 0 && a.from != a.first {
			return tooShort
		}
	}
	if a.passed < len(a.expect) && a.expect[a.passed].ts == e.TS {
		if m := markOf(e); a.expect[a.passed] == m.single() {
			a.passed++
		}
	}
	if len(a.last) > 0 && a.last[0].ts == e.TS {
		if m := markOf(e); a.last[0] == m.single() {
			a.last = nil
		}
	}
	switch {
	case a.found || a.blind:
		a.seen++
	default:
		switch deliver, short := a.feed(e); {
		case short && a.seen < a.limit && a.trail.unconfirmed() > 0:
			return skipRecord // what was delivered may still come
		case short:
			a.show(e)
			return tooShort
		case deliver:
			a.live = true
		case a.found:
			a.shown = nil
			return skipRecord
		default:
			a.show(e)
			if i := a.trail.place(a.first); a.seen == 1 && i >= 0 {
				a.found, a.next = true, i+1 // the log begins within what was delivered
			}
			return skipRecord
		}
	}
	if a.live = a.live || a.next == len(a.trail.marks); a.live {
		return newInTurn
	}
	m := markOf(e)
	if i := a.trail.find(m.single(), a.next); i >= 0 {
		a.next = i + 1
		a.open[e.Std] = 0
		if !e.Newline && len(e.Text) >= decode.ChunkSize {
			a.open[e.Std] = e.TS
		}
		return skipRecord
	}
	if a.holes && !a.stepped && e.TS != decode.Undated && e.TS > a.trail.lastTS[e.Std] {
		return behindHole
	}
	a.lost = a.lost || a.blind && a.seen == 1
	a.trail.insert(a.next, &m)
	a.next++
	a.late++
	return newLate
}

// headless says whether a late record may be the rest of a line whose beginning
// was delivered, or is lost. out.mu is held.
func (a *audit) headless(s *stream, e *decode.Entry) bool {
	first := a.blind && !a.begun[e.Std]
	a.begun[e.Std] = true
	return a.open[e.Std] == e.TS || first && s.long[e.Std]
}

// show notes a record before the confirmed place is found.
func (a *audit) show(e *decode.Entry) {
	full := markOf(e)
	m := full.single()
	a.met = a.met || a.trail.find(m, a.trail.verified) >= 0
	if len(a.shown) < firstTail {
		a.shown = append(a.shown, m)
	}
}

// beginsBehind says whether what was read begins behind the place that was looked
// for, as far as times tell.
func (a *audit) beginsBehind() bool {
	if a.found || a.blind || a.first.ts == 0 || a.first.ts == decode.Undated {
		return false
	}
	switch a.target.kind {
	case fromAnchor:
		return a.first.ts > a.target.anchor.time()
	case fromTime:
		return a.first.ts > a.target.ts
	}
	return false
}

// complete says whether a read that has ended held all that was known to be
// in the log.
func (a *audit) complete() bool {
	return a.passed == len(a.expect) && len(a.last) == 0 && (a.blind || !a.found || a.live || a.next == len(a.trail.marks))
}

// stillHeld is the part of what a log has shown that it holds still if it begins with
// first: the rest was rotated away.
func stillHeld(shown []trailMark, first trailMark) []trailMark {
	if i := slices.Index(shown, first); i >= 0 {
		return shown[i:]
	}
	for len(shown) > 0 && shown[0].ts < first.ts {
		shown = shown[1:]
	}
	return shown
}

// before is what a longer tail has shown of its beginning and then what a
// shorter one has, each record once.
func before(longer, shorter []trailMark) []trailMark {
	if len(longer) > 0 {
		shorter = stillHeld(shorter, longer[0])
	}
	if len(shorter) > 0 {
		if i := slices.Index(longer, shorter[0]); i >= 0 {
			longer = longer[:i]
		}
	}
	return append(longer, shorter...)
}
