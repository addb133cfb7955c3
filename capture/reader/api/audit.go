package api

import (
	"errors"
	"slices"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
)

// audit compares a read with an end, which shows the log as it is, with what
// was delivered behind the last confirmed place. What the trail does not hold
// is delivered: what lies before its end late, the rest in its turn.
type audit struct {
	*position.Resync
	heldView
	trail  *position.Trail
	blind  bool // the log as it was opened begins behind the confirmed place
	holes  bool // a read of this log may leave records out in its middle
	next   int  // index of the record of the trail that comes next in the log
	live   bool // all records of the trail have been passed
	met    bool // records of the trail came before the confirmed place
	byMark bool // the confirmed place is among records without a time, like which others are: what came behind it tells
	within bool // it begins behind the confirmed place, within what was delivered
	taken  int  // records delivered in their turn
	late   int  // records delivered late
	// lost: the first record of a log that does not reach back was not
	// delivered before, nor can those before it have been.
	lost bool
	// from is the record that a log has to begin with that does not reach back, for
	// all to be read that can be; the zero mark: any.
	from position.TrailMark

	// sound is the record from which on a damaged log can be read, if a longer tail is to
	// be asked for that begins with it.
	sound position.TrailMark

	beside *beside // what is behind the trail is left to a follow that is open

	first position.TrailMark
	begun [3]bool  // records of the std stream were seen
	open  [3]int64 // the time of a line, by std, whose beginning was delivered

	shown  []position.TrailMark // what a read shows whose beginning is too late
	expect []position.TrailMark // what such a read has shown before and this one has not yet
	last   []position.TrailMark // the last record of the log, which must be shown; empty where that is not known
	// outdated says that it is older than the first one shown: it was rotated away, or
	// the clock was set back.
	outdated bool
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
	a := &audit{Resync: position.NewResync(target, limit), trail: t, blind: blind, next: t.Verified}
	a.byMark = target.Kind == position.FromAnchor && target.Anchor.Time() == 0 && slices.ContainsFunc(t.Marks[t.Verified:], func(m position.TrailMark) bool { return m.TS != decode.Undated })
	return a
}

// judge says what is to be done with the next record of the log.
func (a *audit) judge(e *decode.Entry) verdict {
	if a.byTime {
		if a.Seen++; e.TS == decode.Undated || e.TS <= a.newest[e.Std] || a.showsAgain(e) {
			return skipRecord
		}
		return newInTurn
	}
	if a.Seen == 0 {
		m := position.MarkOf(e)
		a.first = m.Single()
		a.expect = stillHeld(a.expect, a.first)
		if !a.Stepped && len(stillHeld(a.last, a.first)) == 0 {
			a.outdated, a.last = len(a.last) > 0, nil
		}
		if a.from.TS != 0 && a.from != a.first {
			return tooShort
		}
	}
	if len(a.expect) > 0 && a.expect[0].TS == e.TS {
		if m := position.MarkOf(e); a.expect[0] == m.Single() {
			a.expect = a.expect[1:]
		}
	}
	if len(a.last) > 0 && a.last[0].TS == e.TS {
		if m := position.MarkOf(e); a.last[0] == m.Single() {
			a.last = nil
		}
	}
	older := a.goesBack(e)
	switch {
	case a.Found || a.blind:
		a.Seen++
	case a.byMark:
		a.Seen++
		m := position.MarkOf(e)
		if i := a.trail.Find(m.Single(), a.trail.Verified); i >= 0 && e.TS != decode.Undated {
			a.Found, a.next = true, i+1
			return skipRecord
		}
		if a.show(e); a.Seen >= a.Limit {
			return tooShort
		}
		return skipRecord
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
				a.within = i >= a.trail.Verified
			}
			return skipRecord
		}
	}
	a.live = a.live || a.next == len(a.trail.Marks)
	if (a.live || a.blind) && (older || a.isOld(e)) {
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
	if a.holes && !a.Stepped && e.TS != decode.Undated && e.TS > slices.Max(a.trail.LastTS[:]) {
		return behindHole
	}
	if a.beside != nil && a.beside.dry {
		return skipRecord
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
	case errors.Is(err, errTorn):
		return !a.oneLog
	case err != nil && !errors.Is(err, reader.ErrNotInView) && !errors.Is(err, errTooShort):
		return false
	}
	return a.Around() || err == nil && a.Found && !a.complete()
}

// beginsLate says, of a read of so many records, that a longer tail would have shown
// what comes right behind the confirmed place: that may have been left out.
func (a *audit) beginsLate(records int) bool {
	if a.Longest { // it may have grown since it was looked for what can be read
		return a.within && a.sound.TS != 0 && a.sound != a.first
	}
	return a.within && records >= a.Limit
}

// headless says whether a late record may be the rest of a line whose beginning
// was delivered, or is lost. The outbox is locked.
func (a *audit) headless(w *lines.Writer, e *decode.Entry) bool {
	first := a.blind && !a.begun[e.Std]
	a.begun[e.Std] = true
	return a.open[e.Std] == e.TS || first && w.WasLong(e.Std)
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

// holdsAnchor says whether what was read holds some of the records before the place
// that was looked for. They may be all that can be read of them.
func (a *audit) holdsAnchor() bool {
	newest := a.Replay.Newest()
	return a.Best > 0 || a.met || a.Target.Anchor.Holds(&newest)
}

// complete says whether a read that has ended held all that was known to be
// in the log.
func (a *audit) complete() bool {
	return len(a.expect) == 0 && len(a.last) == 0 && (a.blind || !a.Found || a.live || a.next == len(a.trail.Marks))
}

// endsWithTrail says whether the record that was taken for the confirmed place is the
// log's last, and equal to the last that was delivered: of the equal pieces of a line
// the log has lost all but the last, which is both.
func (a *audit) endsWithTrail() bool {
	newest := a.Replay.Newest()
	return a.Found && a.Seen == a.Before+1 && a.trail.Unconfirmed() > 0 && a.trail.Marks[len(a.trail.Marks)-1] == newest.Single()
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

// beginsWithAHole says whether a log that does not hold the confirmed place any more
// begins with what was left out: behind that comes what was sent.
func (a *audit) beginsWithAHole() bool {
	return !a.Found && a.met && a.Best == 0 && a.first.TS != decode.Undated && a.trail.Find(a.first, 0) < 0
}

// beside is what a look at a log shows behind all that was delivered of it.
type beside struct {
	next   position.TrailMark // what the follow delivers next, the zero mark where that is not known
	dry    bool               // nothing is delivered late
	shown  bool               // the log holds it
	before int                // records before it
}

// passes takes the next of these records.
func (b *beside) passes(e *decode.Entry) error {
	m := position.MarkOf(e)
	if b.shown = m.Single() == b.next; b.shown || b.next == (position.TrailMark{}) {
		return errEnough
	}
	b.before++
	return nil
}
