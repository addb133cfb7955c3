package api

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// maxOutdated is how often the last record is asked for again because it is older
// than the first.
const maxOutdated = 3

// catchUp delivers what the log holds behind the confirmed place and was not
// delivered before, by reads with an end: of tail records at first.
func (f *Follow) catchUp(ctx context.Context, tail int) error {
	c := &catchingUp{f: f, limit: tail, doubted: f.suspect, began: f.Consumed()}
	f.suspect = false
	err := reader.ErrStalled
	for range maxTries {
		done, failed := c.read(ctx)
		if done || failed != nil {
			f.depth, err = c.depth, failed
			break
		}
	}
	if c.late > 0 { // a read that was not the last one has brought them
		if no := f.endLate(ctx, c.late); err == nil {
			err = no
		}
	}
	return err
}

// catchingUp is what one catchUp knows from one read to the next.
type catchingUp struct {
	f       *Follow
	began   uint64 // records consumed before it
	doubted bool   // the log is known to hold more than was read of it
	damageNotes

	late   int   // records delivered late, of which nothing was said yet
	limit  int   // the tail to ask for
	capped bool  // it is as long as can be read of a damaged log
	depth  uint8 // marks of the anchor that must agree, 0: all
	blind  bool  // the confirmed place cannot be reached any more
	asked  bool  // the last record was asked for
	// preceded says that the log holds something before the first record that was
	// consumed, which was to be that of the log.
	preceded bool
	wholly   bool // all of the log was asked for that can be read
	refused  bool // the Engine has reported an error
	again    bool // it was read once more, because it may have grown
	patience heldPatience
	outdated int                  // how often the last record was older than the first
	shown    []position.TrailMark // what a read is to show, for it to be whole
	last     []position.TrailMark // of the log, if it was asked for
	first    position.TrailMark   // of the longest tail
}

// read reads once; done says that nothing is left to be read.
func (c *catchingUp) read(ctx context.Context) (done bool, err error) {
	a := c.aim()
	err = c.f.compare(ctx, a)
	c.late = a.late
	c.f.stepped = c.f.stepped || a.Stepped
	switch {
	case a.byTime && err == nil:
		c.passOver(a)
		return true, nil
	case errors.Is(err, errGoesBack):
		again, err := c.f.showsAgain(ctx, a.Target.Anchor.Newest(), a.back)
		c.patience.oneLog = !again
		c.patience.byTime = again && !c.heldBack(ctx)
		return false, err
	case errors.Is(err, errTorn) && !c.patience.torn:
		c.patience.torn = true
		_, _ = c.f.Inspect(ctx) // it may have been started again; if that fails, it is what is known of it
		c.f.Task.Beat()
		return false, nil
	case !a.byTime && a.hidden(err):
		c.patience.byTime = !c.heldBack(ctx)
		return false, nil
	}
	var refusal decode.SystemError
	switch {
	case errors.Is(err, errHole):
		c.hole, c.holed = true, true
		return false, c.shorten(ctx, a, reader.ErrStalled)
	case errors.As(err, &refusal) && !c.refused:
		c.refused = true // that may be over
		return false, nil
	case errors.As(err, &refusal):
		return false, c.shorten(ctx, a, refusal)
	case errors.Is(err, errTooShort):
		return false, c.lengthen(ctx, a)
	case err != nil && !errors.Is(err, reader.ErrNotInView):
		return false, err
	}
	if c.f.trail.Untold() && !c.preceded && a.Before > 0 {
		c.preceded = true
		return false, nil
	}
	if a.outdated && !a.Found && c.outdated < maxOutdated {
		c.outdated++
		now, err := c.f.last(ctx)
		c.f.stepped = c.f.stepped || slices.Equal(now, c.last) // it was not rotated away
		c.last = now
		return false, err
	}
	if c.f.sound.toCheck(a.Target) {
		c.doubted, c.began, c.f.sound.fresh = true, c.f.Consumed(), false
	}
	doubted := c.doubted && c.f.Consumed() == c.began
	switch broken, err := c.f.sound.broken(ctx, a, doubted, c.f.stepped); {
	case err != nil:
		return false, err
	case broken && doubted && a.complete() && !c.again:
		c.again = true // the log may have grown since it was read
		return false, nil
	case broken && c.depth > 0 && a.endsWithTrail():
		c.f.sayOutrun()
		c.f.trail.Forget(0)
		return true, c.f.GoOnBehind(ctx, a.Replay)
	case broken:
		c.hole = c.hole || a.Found && a.taken > 0
		return false, c.shorten(ctx, a, reader.ErrStalled)
	case !a.Found && !a.blind && (a.Seen > 0 || a.Target.Kind == position.FromAnchor):
		return c.lookElsewhere(ctx, a)
	}
	if c.hole && !a.blind && a.late == 0 {
		// What was left out is further back than the trail.
		if err := c.f.ReportDamage(ctx); err != nil {
			return false, err
		}
	}
	return true, c.settle(ctx, a)
}

// heldBack waits a moment for others to let go of the log, and says whether it is
// worth while to read it once more.
func (c *catchingUp) heldBack(ctx context.Context) bool {
	f := c.f
	if f.openings.opened() { // which may be ourselves
		f.openings.dropNext()
		return true
	}
	if !f.held.at.IsZero() && time.Since(f.held.at) < heldPause {
		return false
	}
	if c.patience.waited >= heldTime {
		f.held.at = time.Now()
		f.Said.Do("held", func() { c.f.Say.Warn(heldText) })
		return false
	}
	c.patience.waited += heldStep
	c.f.Task.Beat()
	return supervise.Sleep(ctx, heldStep)
}

// passOver follows a read of a log that somebody else has open, which delivered what
// is newer than all before: what is hidden before that may be lost.
func (c *catchingUp) passOver(a *audit) {
	if a.taken > 0 || c.f.trail.Unconfirmed() > 0 {
		c.f.Lost(slog.LevelError, hidden)
	}
	c.f.trail.Confirm()
}

// aim is what the next read is to find.
func (c *catchingUp) aim() *audit {
	target := c.f.aim()
	untold := c.f.trail.Untold()
	if untold && c.preceded {
		target = position.Position{}
	}
	c.capped = false
	switch target.Kind {
	case position.FromBeginning:
		c.limit, c.capped = c.f.sound.readable(position.Everything)
	case position.FromTail:
		c.limit = target.Tail
	case position.FromTime:
		c.limit, c.capped = c.f.sound.readable(c.limit)
	case position.FromAnchor:
		if n := c.f.trail.Unconfirmed(); n > 0 {
			if target.Anchor = c.f.trail.Confirmed(); untold {
				target.Anchor = c.f.trail.UpTo(1)
			}
			// What is written while the log is asked for is to find room, too.
			c.limit = max(c.limit, min(n+n/2+position.FirstTail, maxTurnTail))
		}
		if c.sounded > 0 {
			c.limit = position.Everything // that can be read
		}
		c.limit, c.capped = c.f.sound.readable(c.limit)
	}
	if c.patience.byTime {
		c.limit = position.Everything
	}
	a := newAudit(&target, &c.f.trail, c.limit, c.blind)
	if untold && !c.preceded {
		a.next = 1
	}
	a.expect, a.last, a.Stepped, a.holes = c.shown, c.last, c.f.stepped, !c.holed && c.f.repeats
	a.Longest, a.late = c.capped, c.late
	a.heldView = heldView{newest: c.f.trail.Newest(), byTime: c.patience.byTime, oneLog: c.patience.oneLog, step: c.f.held.step}
	a.held = c.f.mayBeHeld() && slices.Max(a.newest[:]) <= c.f.shared.now()+decode.ClockSlack
	a.mayTear = c.patience.torn && !a.hidden(errTorn)
	if c.capped && c.sounded < maxSoundings {
		a.sound = c.f.sound.from
	}
	if c.capped && c.sounded < maxSoundings && (c.blind || target.Kind == position.FromBeginning) {
		a.from = c.f.sound.from
	}
	if c.depth > 0 {
		a.Depth = c.depth
	}
	return a
}

// shorten follows a read that was broken off: what is behind the damage can be
// read. But first a tail that begins before the position is: it shows what stands
// before the damage. It fails with reason where there is nothing.
func (c *catchingUp) shorten(ctx context.Context, a *audit, reason error) error {
	switch within := !a.Found && a.Best > 0; {
	case c.capped: // there is more damage
		c.f.sound.found(0, 0)
		return reason
	case c.limit != position.Everything && (within || a.beginsBehind() || a.Seen == 0): // or it begins within the damage
		c.limit, c.f.sound.checked = longer(c.limit, a.Resync), false
		return nil
	case within && a.Best < a.Depth: // the log begins behind the oldest marks of the anchor
		c.depth, c.f.sound.checked = a.Best, false
		return nil
	}
	c.passed = c.limit == position.Everything && a.beginsBehind() && !a.holdsAnchor()
	switch err := c.f.sound.find(ctx, 0, c.limit); {
	case err != nil:
		return err
	case c.f.sound.known() > 0:
	case c.isGone(a):
		return c.f.Gap(ctx, &a.Target.Anchor)
	case a.Seen > 0:
		return endsDamaged{reason}
	default:
		return reason
	}
	p := c.f.Position()
	c.shown, c.last, c.hole = nil, nil, c.hole || p.Kind == position.FromBeginning
	return nil
}

// isGone says whether the confirmed place is on neither side of a damage: the log was
// rotated, and what stands before the damage is new, too.
func (c *catchingUp) isGone(a *audit) bool { return c.passed && !a.met && !c.f.openings.opened() }

// lengthen follows a read that did not reach back to the confirmed place.
func (c *catchingUp) lengthen(ctx context.Context, a *audit) error {
	switch {
	case c.capped && a.Best > 0 && a.Best < a.Depth:
		c.depth = a.Best // the oldest marks lie before the damage
	case c.capped:
		// There may be more new records than the sound tail had when it was
		// looked for.
		known := c.f.sound.known()
		if c.sounded++; c.sounded <= maxSoundings {
			if err := c.f.sound.find(ctx, known, position.Everything); err != nil {
				return err
			}
		}
		if c.f.sound.known() > known && c.sounded <= maxSoundings || c.blind || a.Target.Kind == position.FromBeginning {
			return nil
		}
		if c.isGone(a) {
			c.f.sound.found(0, 0) // what stands before the damage was not delivered
			return c.f.Gap(ctx, &a.Target.Anchor)
		}
		if err := c.f.ReportDamage(ctx); err != nil {
			return err
		}
		c.f.trail.PassOver(a.met)
		c.blind = true
	case a.met:
		// The Engine left out more than there is room for in this tail.
		if c.blind = c.limit == position.Everything; !c.blind {
			c.limit = longer(c.limit, a.Resync)
		}
	default:
		// A longer tail does not begin earlier, as far as times tell.
		whole := c.first.TS != 0 && a.first.TS >= c.first.TS && c.first.TS != decode.Undated
		c.shown, c.first = before(a.shown, c.shown), a.first
		if c.limit = longer(c.limit, a.Resync); whole {
			c.limit = position.Everything
		}
	}
	return nil
}

// lookElsewhere follows a read that went from where it was to begin to the end
// of the log, and did not show the confirmed place.
func (c *catchingUp) lookElsewhere(ctx context.Context, a *audit) (done bool, err error) {
	switch {
	case a.Best > 0 && (a.Best < a.Depth || c.limit != position.Everything):
		// The log begins behind the oldest marks of the anchor, or within a run
		// of equal records that only the whole log can tell the length of.
		if c.limit, c.wholly = position.Everything, true; a.Best < a.Depth { // else the anchor that a follow looks for is to agree as a whole
			c.depth = a.Best
		}
	case a.met:
		c.blind = true // the log begins within what was left out
	case a.Target.Kind == position.FromAnchor && !c.asked:
		// A log that is broken off does not show its last record.
		c.asked = true
		c.last, err = c.f.last(ctx)
	case a.Target.Kind == position.FromTime:
		return true, c.settle(ctx, a) // nothing is as new as that
	case c.f.openings.opened():
		// What was opened for the rotation holds the position still, but of what
		// was sent before the log shows nothing any more.
		c.f.sayOutrun()
		c.f.trail.Confirm()
		return true, nil
	case !c.wholly:
		// The log is shorter than what was asked for; or a part of that was left out.
		c.limit, c.wholly = position.Everything, true
	case c.capped:
		return false, c.lengthen(ctx, a)
	default:
		return true, c.f.Gap(ctx, &a.Target.Anchor)
	}
	return false, err
}

// compare reads a log that is not followed, and delivers what is new in it.
func (f *Follow) compare(ctx context.Context, a *audit) error {
	log, err := f.request(ctx, false, a.Limit, a.Target)
	if err != nil {
		return err
	}
	defer log.close()
	f.Task.Beat()
	log.w.Expect(&a.Target.Anchor)
	err = f.untilEnd(log, func(eof bool) error {
		err := f.DeliverWindow(log.ctx, log.w, eof, func(e *decode.Entry) error {
			switch a.judge(e) {
			case tooShort:
				return errTooShort
			case behindHole:
				return errHole
			case goesBack:
				return errGoesBack
			case newLate:
				f.AcceptLate(e, a.headless(f.Writer, e), len(f.trail.Marks)-a.next)
			case newInTurn:
				if a.beside != nil {
					return a.beside.passes(e)
				}
				torn := !a.byTime && f.LeavesOpen(e)
				if torn && !a.mayTear {
					return errTorn
				}
				if a.taken++; torn || a.byTime && a.taken == 1 {
					f.Broke()
				}
				if torn {
					f.Lost(slog.LevelError, leftOut)
				}
				if f.GoesOnLate(e) {
					m := position.MarkOf(e)
					f.trail.Push(&m)
					f.AcceptLate(e, false, 0)
					break
				}
				f.take(e)
			case skipRecord:
				f.PassedBy(e)
			}
			return nil
		})
		if err == nil && (!eof || a.Seen+log.w.Damaged > 0) {
			f.Opened() // an empty answer may be that of a log that was removed
		}
		return err
	})
	if err == nil {
		f.memory.heardAt(log.asked)
		f.WasEmpty(log.ctx)
		switch {
		case a.beginsLate(a.Seen + log.w.Damaged):
			return errTooShort
		case a.Found || a.blind || a.byTime || a.Target.Kind != position.FromAnchor:
		case a.Seen+log.w.Damaged >= a.Limit, // which the tail has, too
			a.Seen > 0 && a.Limit <= position.LongestTail && f.hidesEmpty():
			return errTooShort
		default:
			return reader.ErrNotInView
		}
	}
	return err
}

// settle follows a read that went to the end of the log: what it has shown is
// confirmed.
func (c *catchingUp) settle(ctx context.Context, a *audit) error {
	f := c.f
	if c.late = 0; a.late > 0 {
		if !a.live && a.next < len(f.trail.Marks) {
			// What was delivered before is older than all that the log holds.
			f.trail.Marks = f.trail.Marks[:a.next]
			a.lost = true
		}
		if err := f.endLate(ctx, a.late); err != nil {
			return err
		}
		if a.lost {
			f.shared.Gaps.Inc()
			f.Say.Error(leftOut)
		}
	}
	if a.blind && a.late == 0 && a.taken > 0 {
		// What lies before cannot be read together with what comes behind.
		f.trail.Forget(a.taken)
		if err := f.GoOnBehind(ctx, f.trail.End()); err != nil {
			return err
		}
	}
	if a.Limit != position.Everything {
		f.sound.grew(a.Seen)
	}
	f.trail.Confirm()
	f.all = a.Limit == position.Everything && a.Target.Kind == position.FromAnchor
	return nil
}

// endLate follows the delivery of late records: the position is behind the last record
// of the trail, and it is counted and said.
func (f *Follow) endLate(ctx context.Context, records int) error {
	f.shared.Late.Add(float64(records))
	f.Say.Warn("the Engine had left out records while the log was followed, they were delivered late", "records", records)
	return f.EndLate(ctx, &f.trail)
}
