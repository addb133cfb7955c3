package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// audit compares a read with an end, which shows the log as it is, with what
// was delivered behind the last confirmed place. What the trail does not hold
// is delivered: what lies before its end late, the rest in its turn.
type audit struct {
	*resync
	trail *trail
	blind bool // the log as it was opened begins behind the confirmed place
	next  int  // index of the record of the trail that comes next in the log
	live  bool // all records of the trail have been passed
	met   bool // records of the trail came before the confirmed place
	taken int  // records delivered in their turn
	late  int  // records delivered late
	// lost: the first record of a log that does not reach back was not
	// delivered before, nor can those before it have been.
	lost bool

	first trailMark
	begun [3]bool  // records of the std stream were seen
	open  [3]int64 // the time of a line, by std, whose beginning was delivered

	shown  []trailMark // what a read shows whose beginning is too late
	expect []trailMark // what such a read has shown before
	passed int         // of expect
}

type verdict uint8

const (
	skipRecord verdict = iota
	newInTurn
	newLate
	tooShort
)

func newAudit(target *position, t *trail, limit int, blind bool) *audit {
	return &audit{resync: newResync(target, limit), trail: t, blind: blind, next: t.verified}
}

// judge says what is to be done with the next record of the log.
func (a *audit) judge(e *entry) verdict {
	if a.seen == 0 {
		m := markOf(e)
		a.first = m.single()
		// The log may begin within what it is to show: the rest was rotated away.
		a.passed = max(0, slices.Index(a.expect, a.first))
	}
	if a.passed < len(a.expect) && a.expect[a.passed].ts == e.ts {
		if m := markOf(e); a.expect[a.passed] == m.single() {
			a.passed++
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
		a.open[e.std] = 0
		if !e.newline && len(e.text) >= chunkSize {
			a.open[e.std] = e.ts
		}
		return skipRecord
	}
	a.lost = a.lost || a.blind && a.seen == 1
	a.trail.insert(a.next, &m)
	a.next++
	a.late++
	return newLate
}

// headless says whether a late record may be the rest of a line whose beginning
// was delivered, or is lost. out.mu is held.
func (a *audit) headless(s *stream, e *entry) bool {
	first := a.blind && !a.begun[e.std]
	a.begun[e.std] = true
	return a.open[e.std] == e.ts || first && s.long[e.std]
}

// show notes a record before the confirmed place is found.
func (a *audit) show(e *entry) {
	full := markOf(e)
	m := full.single()
	a.met = a.met || a.trail.find(m, a.trail.verified) >= 0
	if len(a.shown) < firstTail {
		a.shown = append(a.shown, m)
	}
}

// complete says whether a read that has ended held all that was known to be
// in the log.
func (a *audit) complete() bool {
	n := len(a.expect)
	shown := a.passed == n || a.passed == 0 && a.seen > 0 && a.first.ts > a.expect[n-1].ts
	return shown && (a.blind || !a.found || a.live || a.next == len(a.trail.marks))
}

// maxSoundings is how often one catchUp looks for what can be read of a damaged log.
const maxSoundings = 3

// catchUp delivers what the log holds behind the confirmed place and was not
// delivered before, by reads with an end: of tail records at first.
func (f *followReader) catchUp(ctx context.Context, s *stream, tail int) error {
	began, suspect := s.consumed(), f.suspect
	f.suspect = false
	limit, depth, blind, asked, hole, looked := tail, uint8(0), false, false, false, 0
	var shown []trailMark
	for range maxTries {
		target, capped := f.aim(s), false
		switch target.kind {
		case fromBeginning:
			limit = everything
		case fromTail:
			limit = target.tail
		case fromAnchor:
			if n := f.trail.unconfirmed(); n > 0 {
				target.anchor = f.trail.confirmed()
				limit = max(limit, min(n+firstTail, maxTurnTail))
			}
			if looked > 0 {
				limit = everything // that can be read
			}
			limit, capped = f.readable(s, limit)
		}
		a := newAudit(&target, &f.trail, limit, blind)
		a.expect = shown
		if depth > 0 {
			a.depth = depth
		}
		err := f.compare(ctx, s, a)
		var refusal systemError
		refused, short := errors.As(err, &refusal), errors.Is(err, errTooShort)
		if err != nil && !refused && !short && !errors.Is(err, errNotInView) {
			return err
		}
		broken := refused
		if err == nil || errors.Is(err, errNotInView) {
			if broken, err = f.broken(ctx, s, a, suspect && s.consumed() == began); err != nil {
				return err
			}
		}
		switch {
		case broken && capped:
			return orStalled(refusal)
		case broken:
			if err := f.findSound(ctx, s, limit); err != nil {
				return err
			}
			if f.sound == 0 {
				return orStalled(refusal)
			}
			shown, hole = nil, hole || a.found && a.taken > 0
		case short && capped && looked < maxSoundings:
			// There may be more new records than the sound tail had when it was
			// looked for.
			looked++
			known := f.sound
			if err := f.findSound(ctx, s, everything); err != nil {
				return err
			}
			if f.sound <= known {
				looked = maxSoundings
			}
		case short && capped:
			if err := s.reportDamage(ctx); err != nil {
				return err
			}
			f.trail.passOver(a.met)
			blind = true
		case short && a.met:
			// The Engine left out more than there is room for in this tail.
			if blind = limit >= maxTurnTail; !blind {
				limit = maxTurnTail
			}
		case short:
			shown, limit = before(a.shown, shown), longer(limit, a.resync)
		case a.found || a.blind || a.seen == 0 && target.kind != fromAnchor:
			if hole && !a.blind && a.late == 0 {
				// What was left out is further back than the trail.
				if err := s.reportDamage(ctx); err != nil {
					return err
				}
			}
			return f.settle(ctx, s, a)
		case a.met:
			blind = true // the log begins within what was left out
		case a.best > 0 && (a.best < a.depth || limit != everything):
			// The log begins behind the oldest marks of the anchor, or within a run
			// of equal records that only the whole log can tell the length of.
			limit, depth = everything, min(a.best, a.depth)
		case target.kind == fromAnchor && !asked:
			// A log that is broken off does not show its last record.
			if shown, err = f.last(ctx, s); err != nil {
				return err
			}
			asked = true
		case target.kind == fromTime:
			return f.settle(ctx, s, a) // nothing is as new as that
		case f.opened():
			// What was opened for the rotation holds the position still.
			f.trail.confirm()
			return nil
		default:
			return s.reportGap(ctx, &target.anchor)
		}
	}
	return errStalled
}

// before is what a longer tail has shown of its beginning and then what a
// shorter one has, each record once.
func before(longer, shorter []trailMark) []trailMark {
	if len(shorter) > 0 {
		if i := slices.Index(longer, shorter[0]); i >= 0 {
			longer = longer[:i]
		}
	}
	return append(longer, shorter...)
}

func orStalled(refusal systemError) error {
	if refusal != "" {
		return refusal
	}
	return errStalled
}

// longer is the tail to ask for after limit did not reach far enough: what the
// rate of the records seen suggests, within bounds.
func longer(limit int, r *resync) int {
	next := limit * further
	if guess := r.estimate(); guess > next {
		next = min(guess, limit*furthest)
	}
	if next > longestTail {
		return everything
	}
	return next
}

// compare reads a log that is not followed, and delivers what is new in it.
func (f *followReader) compare(ctx context.Context, s *stream, a *audit) error {
	log, err := f.request(ctx, s, false, a.limit)
	if err != nil {
		return err
	}
	defer log.close()
	s.task.beat()
	log.w.expect(&a.target.anchor)
	err = f.untilEnd(log, func(eof bool) error {
		err := s.deliverWindow(log.ctx, log.w, eof, func(e *entry) error {
			switch a.judge(e) {
			case tooShort:
				return errTooShort
			case newLate:
				s.acceptLate(e, a.headless(s, e))
			case newInTurn:
				a.taken++
				f.accept(s, e)
			case skipRecord:
				s.passedBy(e)
			}
			return nil
		})
		if err == nil {
			s.opened() // not before: the Engine may answer and then find no log
		}
		return err
	})
	if err == nil {
		s.tailWasEmpty(log.ctx)
		if !a.found && !a.blind && a.target.kind == fromAnchor {
			return errNotInView
		}
	}
	return err
}

// untilEnd reads a log to its end and calls each after every part of it.
func (f *followReader) untilEnd(log *openLog, each func(eof bool) error) error {
	silence := time.AfterFunc(callTimeout, func() { log.cut(errStalled) })
	defer silence.Stop()
	for first := true; ; first = false {
		_, err := log.fill()
		if first {
			f.firstByte = time.Since(log.asked)
		}
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			return cause(log.ctx, fmt.Errorf("reading the log: %w", classify(err)))
		}
		if err := each(eof); err != nil || eof {
			return err
		}
		silence.Reset(callTimeout)
	}
}

// settle follows a read that went to the end of the log: what it has shown is
// confirmed.
func (f *followReader) settle(ctx context.Context, s *stream, a *audit) error {
	if a.late > 0 {
		s.col.metrics.late.Add(float64(a.late))
		if !a.live && a.next < len(f.trail.marks) {
			// What was delivered before is older than all that the log holds.
			f.trail.marks = f.trail.marks[:a.next]
			a.lost = true
		}
		if err := s.endLate(ctx, f.trail.end()); err != nil {
			return err
		}
		s.log.Warn("the Engine had left out records while the log was followed, they were delivered late", "records", a.late)
		if a.lost {
			s.col.metrics.gaps.Inc()
			s.log.Error("gap: lines were lost, the Engine left them out while the log was followed and does not keep them any more")
		}
	}
	if a.blind && a.late == 0 && a.taken > 0 {
		// What lies before cannot be read together with what comes behind.
		f.trail.forget(a.taken)
		if err := s.goOnBehind(ctx, f.trail.end()); err != nil {
			return err
		}
	}
	if f.sound > 0 && a.limit != everything {
		f.sound, f.soundAt = max(f.sound, a.seen), s.consumed()
	}
	f.trail.confirm()
	f.all = a.limit == everything && a.target.kind == fromAnchor
	return nil
}
