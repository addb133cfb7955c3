package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// maxSoundings is how often one catchUp looks for what can be read of a damaged
// log: it may grow while it is looked for.
const maxSoundings = 8

// catchUp delivers what the log holds behind the confirmed place and was not
// delivered before, by reads with an end: of tail records at first.
func (f *followReader) catchUp(ctx context.Context, s *stream, tail int) error {
	c := &catchingUp{f: f, s: s, limit: tail, doubted: f.suspect, began: s.consumed()}
	f.suspect = false
	for range maxTries {
		if done, err := c.read(ctx); done || err != nil {
			f.depth = c.depth
			return err
		}
	}
	return errStalled
}

// catchingUp is what one catchUp knows from one read to the next.
type catchingUp struct {
	f       *followReader
	s       *stream
	began   uint64 // records consumed before it
	doubted bool   // the log is known to hold more than was read of it

	limit  int   // the tail to ask for
	capped bool  // it is as long as can be read of a damaged log
	depth  uint8 // marks of the anchor that must agree, 0: all
	blind  bool  // the confirmed place cannot be reached any more
	asked  bool  // the last record was asked for
	// preceded says that the log holds something before the first record that was
	// consumed, which was to be that of the log.
	preceded bool
	wholly   bool                 // all of the log was asked for that can be read
	hole     bool                 // something in the log cannot be read
	holed    bool                 // a read had it in its middle
	refused  bool                 // the Engine has reported an error
	again    bool                 // it was read once more, because it may have grown
	waited   time.Duration        // for others to let go of the log
	oneLog   bool                 // nobody has it open
	byTime   bool                 // they do not: what is newer than all before is delivered
	sounded  int                  // how often it was looked for what can be read of the log
	shown    []position.TrailMark // what a read is to show, for it to be whole
	last     []position.TrailMark // of the log, if it was asked for
	first    position.TrailMark   // of the longest tail
}

// read reads once; done says that nothing is left to be read.
func (c *catchingUp) read(ctx context.Context) (done bool, err error) {
	a := c.aim()
	err = c.f.compare(ctx, c.s, a)
	c.f.stepped = c.f.stepped || a.Stepped
	switch {
	case a.byTime && err == nil:
		c.passOver(a)
		return true, nil
	case errors.Is(err, errGoesBack):
		again, err := c.f.showsAgain(ctx, c.s, a.Target.Anchor.Newest())
		c.oneLog = !again
		c.byTime = again && !c.heldBack(ctx)
		return false, err
	case !a.byTime && a.hidden(err):
		c.byTime = !c.heldBack(ctx)
		return false, nil
	}
	var refusal decode.SystemError
	switch {
	case errors.Is(err, errHole):
		c.hole, c.holed = true, true
		return false, c.shorten(ctx, a, errStalled)
	case errors.As(err, &refusal) && !c.refused:
		c.refused = true // that may be over
		return false, nil
	case errors.As(err, &refusal):
		return false, c.shorten(ctx, a, refusal)
	case errors.Is(err, errTooShort):
		return false, c.lengthen(ctx, a)
	case err != nil && !errors.Is(err, errNotInView):
		return false, err
	}
	if c.f.trail.Untold() && !c.preceded && a.Before > 0 {
		c.preceded = true
		return false, nil
	}
	doubted := c.doubted && c.s.consumed() == c.began
	switch broken, err := c.f.broken(ctx, c.s, a, doubted); {
	case err != nil:
		return false, err
	case broken && doubted && a.complete() && !c.again:
		c.again = true // the log may have grown since it was read
		return false, nil
	case broken:
		c.hole = c.hole || a.Found && a.taken > 0
		return false, c.shorten(ctx, a, errStalled)
	case !a.Found && !a.blind && (a.Seen > 0 || a.Target.Kind == position.FromAnchor):
		return c.lookElsewhere(ctx, a)
	}
	if c.hole && !a.blind && a.late == 0 {
		// What was left out is further back than the trail.
		if err := c.s.reportDamage(ctx); err != nil {
			return false, err
		}
	}
	return true, c.f.settle(ctx, c.s, a)
}

// A read that finds the log held is done again every heldStep, in all for heldTime:
// most requests are short. After that it is not waited again for heldPause.
const (
	heldStep  = 250 * time.Millisecond
	heldTime  = 2 * time.Second
	heldPause = time.Minute
)

// heldBack waits a moment for others to let go of the log, and says whether it is
// worth while to read it once more.
func (c *catchingUp) heldBack(ctx context.Context) bool {
	f := c.f
	if !f.heldAt.IsZero() && time.Since(f.heldAt) < heldPause {
		return false
	}
	if c.waited >= heldTime {
		f.heldAt = time.Now()
		c.s.notes.sayOnce(&c.s.notes.saidHeld, func() { c.s.log.Warn(heldText) })
		return false
	}
	c.waited += heldStep
	c.s.task.Beat()
	return supervise.Sleep(ctx, heldStep)
}

// mayBeHeld says whether the log may be shown as it was when somebody else opened it.
// Engines before 23 unpack the rotated files of a compressed log for a request, and
// share them with all other requests by their numbers until the last one that uses a
// number has let it go. So as long as somebody has such a log open, and be it "docker
// logs NAME | less", everybody is shown the files of then in the place of those of now:
// old records come again between newer ones, and what was rotated since not at all.
func (f *followReader) mayBeHeld(s *stream) bool {
	c := s.container()
	return f.repeats && c.Compressed && c.MaxFile != 1
}

// showsAgain says whether the log is shown with records behind the last one that was
// delivered that were delivered before it.
func (f *followReader) showsAgain(ctx context.Context, s *stream, last position.Mark) (again bool, err error) {
	log, err := f.request(ctx, s, false, position.Everything, &position.Position{})
	if err != nil {
		return false, err
	}
	defer log.close()
	met := false
	err = f.untilEnd(log, func(eof bool) error {
		s.task.Beat()
		return log.w.Each(eof, func(e *decode.Entry) error {
			full := position.MarkOf(e)
			m := full.Single()
			again = again || met && (m == last.Single() || slices.Contains(f.passed, m))
			met = met || m == last.Single()
			return nil
		})
	})
	return again, err
}

// passOver follows a read of a log that somebody else has open, which delivered what
// is newer than all before: what is hidden before that may be lost.
func (c *catchingUp) passOver(a *audit) {
	if a.taken > 0 || c.f.trail.Unconfirmed() > 0 {
		c.s.lost(slog.LevelError, hidden)
	}
	c.f.trail.Confirm()
}

// heldText is said once of a log, hidden of lines that may be lost for that reason.
const (
	heldText = "somebody else has this log open, meanwhile the Engine shows old files of it in the place of newer ones"
	hidden   = "gap: lines may be lost, the Engine shows old files of the log in the place of newer ones while somebody has it open"
)

// aim is what the next read is to find.
func (c *catchingUp) aim() *audit {
	target := c.f.aim(c.s)
	untold := c.f.trail.Untold()
	if untold && c.preceded {
		target = position.Position{}
	}
	c.capped = false
	switch target.Kind {
	case position.FromBeginning:
		c.limit, c.capped = c.f.readable(c.s, position.Everything)
	case position.FromTail:
		c.limit = target.Tail
	case position.FromTime:
		c.limit, c.capped = c.f.readable(c.s, c.limit)
	case position.FromAnchor:
		if n := c.f.trail.Unconfirmed(); n > 0 {
			if target.Anchor = c.f.trail.Confirmed(); untold {
				target.Anchor = c.f.trail.UpTo(1)
			}
			c.limit = max(c.limit, min(n+position.FirstTail, maxTurnTail))
		}
		if c.sounded > 0 {
			c.limit = position.Everything // that can be read
		}
		c.limit, c.capped = c.f.readable(c.s, c.limit)
	}
	if c.byTime {
		c.limit = position.Everything
	}
	a := newAudit(&target, &c.f.trail, c.limit, c.blind)
	if untold && !c.preceded {
		a.next = 1
	}
	a.expect, a.last, a.Stepped, a.holes = c.shown, c.last, c.f.stepped, !c.holed && c.f.repeats
	a.Longest = c.capped
	a.newest, a.byTime, a.oneLog = c.f.trail.Newest(), c.byTime, c.oneLog
	a.held = c.f.mayBeHeld(c.s) && slices.Max(a.newest[:]) <= c.s.col.engineNow()+decode.ClockSlack
	if c.capped && c.sounded < maxSoundings && (c.blind || target.Kind == position.FromBeginning) {
		a.from = c.f.soundFrom
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
		c.f.sound = 0
		return reason
	case c.limit != position.Everything && (within || a.beginsBehind()):
		c.limit, c.f.checked = longer(c.limit, a.Resync), false
		return nil
	case within && a.Best < a.Depth: // the log begins behind the oldest marks of the anchor
		c.depth, c.f.checked = a.Best, false
		return nil
	}
	if err := c.f.findSound(ctx, c.s, 0, c.limit); err != nil {
		return err
	}
	if c.f.sound == 0 {
		return reason
	}
	p := c.s.position()
	c.shown, c.last, c.hole = nil, nil, c.hole || p.Kind == position.FromBeginning
	return nil
}

// lengthen follows a read that did not reach back to the confirmed place.
func (c *catchingUp) lengthen(ctx context.Context, a *audit) error {
	switch {
	case c.capped && a.Best > 0 && a.Best < a.Depth:
		c.depth = a.Best // the oldest marks lie before the damage
	case c.capped:
		// There may be more new records than the sound tail had when it was
		// looked for.
		known := c.f.sound
		if c.sounded++; c.sounded <= maxSoundings {
			if err := c.f.findSound(ctx, c.s, known, position.Everything); err != nil {
				return err
			}
		}
		if c.f.sound > known && c.sounded <= maxSoundings || c.blind || a.Target.Kind == position.FromBeginning {
			return nil
		}
		if err := c.s.reportDamage(ctx); err != nil {
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
		whole := c.first.TS != 0 && a.first.TS >= c.first.TS // a longer tail does not begin earlier
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
		c.limit, c.wholly, c.depth = position.Everything, true, min(a.Best, a.Depth)
	case a.met:
		c.blind = true // the log begins within what was left out
	case a.Target.Kind == position.FromAnchor && !c.asked:
		// A log that is broken off does not show its last record.
		c.asked = true
		c.last, err = c.f.last(ctx, c.s)
	case a.Target.Kind == position.FromTime:
		return true, c.f.settle(ctx, c.s, a) // nothing is as new as that
	case c.f.opened():
		// What was opened for the rotation holds the position still, but of what
		// was sent before the log shows nothing any more.
		c.s.sayOutrun()
		c.f.trail.Confirm()
		return true, nil
	case !c.wholly:
		// The log is shorter than what was asked for; or a part of that was left out.
		c.limit, c.wholly = position.Everything, true
	case c.capped:
		return false, c.lengthen(ctx, a)
	default:
		return true, c.s.reportGap(ctx, &a.Target.Anchor)
	}
	return false, err
}

// longer is the tail to ask for after limit did not reach far enough: what the
// rate of the records seen suggests, within bounds.
func longer(limit int, r *position.Resync) int {
	if limit > position.LongestTail { // which was a place in time
		return position.Everything
	}
	next := limit * position.Further
	if guess := r.Estimate(); guess > next {
		next = min(guess, limit*position.Furthest)
	}
	if next > position.LongestTail {
		return position.Everything
	}
	return next
}

// compare reads a log that is not followed, and delivers what is new in it.
func (f *followReader) compare(ctx context.Context, s *stream, a *audit) error {
	log, err := f.request(ctx, s, false, a.Limit, a.Target)
	if err != nil {
		return err
	}
	defer log.close()
	s.task.Beat()
	log.w.Expect(&a.Target.Anchor)
	err = f.untilEnd(log, func(eof bool) error {
		err := s.deliverWindow(log.ctx, log.w, eof, func(e *decode.Entry) error {
			switch a.judge(e) {
			case tooShort:
				return errTooShort
			case behindHole:
				return errHole
			case goesBack:
				return errGoesBack
			case newLate:
				s.acceptLate(e, a.headless(s, e))
			case newInTurn:
				if a.taken++; a.byTime && a.taken == 1 {
					s.broke()
				}
				if s.goesOnLate(e) {
					m := position.MarkOf(e)
					f.trail.Push(&m)
					s.acceptLate(e, false)
					break
				}
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
		s.heardAt(log.asked)
		s.tailWasEmpty(log.ctx)
		switch {
		case a.Found || a.blind || a.byTime || a.Target.Kind != position.FromAnchor:
		case a.Seen+log.w.Damaged >= a.Limit: // which the tail has, too
			return errTooShort
		default:
			return errNotInView
		}
	}
	return err
}

// untilEnd reads a log to its end and calls each after every part of it.
func (f *followReader) untilEnd(log *openLog, each func(eof bool) error) error {
	silence := time.AfterFunc(engine.CallTimeout, func() { log.cut(errStalled) })
	defer silence.Stop()
	for first := true; ; first = false {
		_, err := log.fill()
		if first {
			f.firstByte = time.Since(log.asked)
		}
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		}
		if err := each(eof); err != nil || eof {
			return err
		}
		silence.Reset(engine.CallTimeout)
	}
}

// settle follows a read that went to the end of the log: what it has shown is
// confirmed.
func (f *followReader) settle(ctx context.Context, s *stream, a *audit) error {
	if a.late > 0 {
		s.col.metrics.late.Add(float64(a.late))
		if !a.live && a.next < len(f.trail.Marks) {
			// What was delivered before is older than all that the log holds.
			f.trail.Marks = f.trail.Marks[:a.next]
			a.lost = true
		}
		if err := s.endLate(ctx, f.trail.End()); err != nil {
			return err
		}
		s.log.Warn("the Engine had left out records while the log was followed, they were delivered late", "records", a.late)
		if a.lost {
			s.col.metrics.gaps.Inc()
			s.log.Error(leftOut)
		}
	}
	if a.blind && a.late == 0 && a.taken > 0 {
		// What lies before cannot be read together with what comes behind.
		f.trail.Forget(a.taken)
		if err := s.goOnBehind(ctx, f.trail.End()); err != nil {
			return err
		}
	}
	if f.sound > 0 && a.Limit != position.Everything {
		f.sound, f.soundAt = max(f.sound, a.Seen), s.consumed()
	}
	f.trail.Confirm()
	f.all = a.Limit == position.Everything && a.Target.Kind == position.FromAnchor
	return nil
}
