package capture

import (
	"errors"
	"slices"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// audit compares a read with an end, which shows the log as it is, with what
// was delivered behind the last confirmed place. What the trail does not hold
// is delivered: what lies before its end late, the rest in its turn.
type audit struct {
	*position.Resync
	trail *position.Trail
	blind bool // the log as it was opened begins behind the confirmed place
	held  bool // others may have the log open, see mayBeHeld
	// oneLog: where it goes on behind the position with what is older, the clock was
	// set back.
	oneLog bool
	// byTime: what is newer than newest, by std, is new, and nothing else.
	byTime bool
	newest [3]int64
	holes  bool // a read of this log may leave records out in its middle
	next   int  // index of the record of the trail that comes next in the log
	live   bool // all records of the trail have been passed
	met    bool // records of the trail came before the confirmed place
	taken  int  // records delivered in their turn
	late   int  // records delivered late
	// lost: the first record of a log that does not reach back was not
	// delivered before, nor can those before it have been.
	lost bool
	// from is the record that a log has to begin with that does not reach back, for
	// all to be read that can be; the zero mark: any.
	from position.TrailMark

	first position.TrailMark
	begun [3]bool  // records of the std stream were seen
	open  [3]int64 // the time of a line, by std, whose beginning was delivered

	shown  []position.TrailMark // what a read shows whose beginning is too late
	expect []position.TrailMark // what such a read has shown before
	passed int                  // of expect
	last   []position.TrailMark // the last record of the log, which must be shown; empty where that is not known
}

type verdict uint8

const (
	skipRecord verdict = iota
	newInTurn
	newLate
	tooShort
	goesBack   // it is older than what was delivered, and may have been
	behindHole // records of the trail that come before it were not shown
)

func newAudit(target *position.Position, t *position.Trail, limit int, blind bool) *audit {
	return &audit{Resync: position.NewResync(target, limit), trail: t, blind: blind, next: t.Verified}
}

// judge says what is to be done with the next record of the log.
func (a *audit) judge(e *decode.Entry) verdict {
	if a.byTime {
		if a.Seen++; e.TS == decode.Undated || e.TS <= a.newest[e.Std] {
			return skipRecord
		}
		return newInTurn
	}
	if a.Seen == 0 {
		m := position.MarkOf(e)
		a.first = m.Single()
		a.expect = stillHeld(a.expect, a.first)
		if a.from.TS != 0 && a.from != a.first {
			return tooShort
		}
	}
	if a.passed < len(a.expect) && a.expect[a.passed].TS == e.TS {
		if m := position.MarkOf(e); a.expect[a.passed] == m.Single() {
			a.passed++
		}
	}
	if len(a.last) > 0 && a.last[0].TS == e.TS {
		if m := position.MarkOf(e); a.last[0] == m.Single() {
			a.last = nil
		}
	}
	switch {
	case a.Found || a.blind:
		a.Seen++
	default:
		switch deliver, short := a.Feed(e); {
		case short && a.Seen < a.Limit && a.trail.Unconfirmed() > 0:
			return skipRecord // what was delivered may still come
		case short:
			a.show(e)
			return tooShort
		case deliver:
			a.live = true
		case a.Found:
			a.shown = nil
			return skipRecord
		default:
			a.show(e)
			if i := a.trail.Place(a.first); a.Seen == 1 && i >= 0 && a.Limit != position.ByTime {
				a.Found, a.next = true, i+1 // the log begins within what was delivered
			}
			return skipRecord
		}
	}
	a.live = a.live || a.next == len(a.trail.Marks)
	if a.held && !a.oneLog && (a.live || a.blind) && e.TS != decode.Undated && e.TS < a.newest[e.Std] {
		return goesBack
	}
	if a.live {
		return newInTurn
	}
	m := position.MarkOf(e)
	if i := a.trail.Find(m.Single(), a.next); i >= 0 {
		a.next = i + 1
		a.open[e.Std] = 0
		if e.GoesOn() {
			a.open[e.Std] = e.TS
		}
		return skipRecord
	}
	if a.holes && !a.Stepped && e.TS != decode.Undated && e.TS > a.trail.LastTS[e.Std] {
		return behindHole
	}
	a.lost = a.lost || a.blind && a.Seen == 1
	a.trail.Insert(a.next, &m)
	a.next++
	a.late++
	return newLate
}

// hidden says, of a read that has ended with err, that somebody else has the log open,
// and that what was looked for was not shown for that reason: what is older is there,
// and what is newer, or a part of what was delivered is not.
func (a *audit) hidden(err error) bool {
	switch {
	case !a.held:
		return false
	case errors.Is(err, errHole):
		return true
	case err != nil && !errors.Is(err, errNotInView) && !errors.Is(err, errTooShort):
		return false
	}
	return a.Around() || err == nil && a.Found && !a.complete()
}

// headless says whether a late record may be the rest of a line whose beginning
// was delivered, or is lost. out.mu is held.
func (a *audit) headless(s *stream, e *decode.Entry) bool {
	first := a.blind && !a.begun[e.Std]
	a.begun[e.Std] = true
	return a.open[e.Std] == e.TS || first && s.wasLong(e.Std)
}

// show notes a record before the confirmed place is found.
func (a *audit) show(e *decode.Entry) {
	full := position.MarkOf(e)
	m := full.Single()
	a.met = a.met || a.trail.Find(m, a.trail.Verified) >= 0
	if len(a.shown) < position.FirstTail {
		a.shown = append(a.shown, m)
	}
}

// beginsBehind says whether what was read begins behind the place that was looked
// for, as far as times tell.
func (a *audit) beginsBehind() bool {
	if a.Found || a.blind || a.first.TS == 0 || a.first.TS == decode.Undated {
		return false
	}
	switch a.Target.Kind {
	case position.FromAnchor:
		return a.first.TS > a.Target.Anchor.Time()
	case position.FromTime:
		return a.first.TS > a.Target.TS
	}
	return false
}

// complete says whether a read that has ended held all that was known to be
// in the log.
func (a *audit) complete() bool {
	return a.passed == len(a.expect) && len(a.last) == 0 && (a.blind || !a.Found || a.live || a.next == len(a.trail.Marks))
}

// stillHeld is the part of what a log has shown that it holds still if it begins with
// first: the rest was rotated away.
func stillHeld(shown []position.TrailMark, first position.TrailMark) []position.TrailMark {
	if i := slices.Index(shown, first); i >= 0 {
		return shown[i:]
	}
	for len(shown) > 0 && shown[0].TS < first.TS {
		shown = shown[1:]
	}
	return shown
}

// before is what a longer tail has shown of its beginning and then what a
// shorter one has, each record once.
func before(longer, shorter []position.TrailMark) []position.TrailMark {
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
