package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// Follow reads a log by one API request that stays open. It finds the stream's
// position by asking for the last records; what is further back is read by
// requests with an end (catchup.go). A plain since= would cost the Engine time
// in proportion to the whole log, and would lose or repeat records, whose
// timestamps are neither unique nor in order.
//
// What a follow sends is compared with the log at each stream rotation, and
// sooner where the log is short-lived: see trail.
type Follow struct {
	*asker
	sound    soundness
	turnover turnover
	openings openings
	trail    position.Trail
	rate     rateMeter // between two openings

	repeats  bool          // the Engine's follow sends records twice
	suspect  bool          // the log is known to hold more than a read has shown
	stepped  bool          // the clock has stepped back in the log: times say nothing of places
	all      bool          // it takes the whole log to find the position
	depth    uint8         // marks of the anchor that the log holds still, 0: all
	loose    bool          // what is written now is lost if the container is removed
	patience time.Duration // that a follow is given in addition, because it needed it
	alone    bool          // the log does not hold any more what it would be asked about the next record
	silences int           // of the follow, since it has delivered anything
	slow     bool          // a follow is of no use here
	held     heldNotes
}

// NewFollow makes the reader of one run of a log's stream.
func NewFollow(log *reader.Log, host Host, shared *Shared, memory *Memory) *Follow {
	k := &asker{Log: log, host: host, shared: shared, memory: memory, api: shared.Client}
	return &Follow{asker: k, sound: soundness{asker: k}, trail: memory.takeTrail()}
}

// Leave ends the run. What was not compared with the log is left to the next one.
func (f *Follow) Leave() { f.memory.leave(f.trail) }

// leftOut is what is said of lines that are lost for that reason.
const leftOut = "gap: lines were lost, the Engine left them out while the log was followed and does not keep them any more"

const (
	// pause is how long the Engine may take in sending what it has stored
	// before it is taken to have sent it all. A wrong guess costs more
	// requests, never a record.
	pause = 100 * time.Millisecond
	// surelyOpen is after what time an Engine that has sent nothing has opened the
	// log. It answers before it does, and ends the answer where it finds none.
	surelyOpen = time.Second
	// maxPatience is up to where that time grows where it was too short, and
	// maxSilences how often a follow may be silent while its log grows, before
	// the log is polled.
	maxPatience = 20 * time.Second
	maxSilences = 3
)

// Read implements reader.Reader.
func (f *Follow) Read(ctx context.Context, follow bool) error {
	if !follow {
		f.suspect = true // it is the last look
		err := f.catchUp(ctx, position.FirstTail)
		if f.sound.isEnd(err) {
			return f.ReportDamage(ctx)
		}
		return err
	}
	f.sound.begin()
	err := f.follow(ctx, position.FirstTail)
	switch {
	case engine.IsNoFollow(err):
		f.slow = true
		f.Said.Do("no follow", func() { f.Say.Info("the log cannot be followed, it is polled instead", "reason", err) })
		return reader.ErrMoved
	case !errors.Is(err, reader.ErrSilent):
	case f.silences >= maxSilences:
		return f.giveUp("it is silent while the log grows, each time it is opened")
	default:
		f.silences++
		f.suspect = true
	}
	return err
}

// follow follows the log, looking for the position in its last tail records.
func (f *Follow) follow(ctx context.Context, tail int) error {
	defer f.openings.dropNext()
	f.aim()
	limit, behind := tail, f.suspect || f.trail.Unconfirmed() > 0
	f.loose = false
	f.depth = 0
	for tries := 0; tries < maxTries; tries++ {
		if behind {
			if err := f.catchUp(ctx, tail); err != nil && (!f.openings.opened() || !errors.Is(err, engine.ErrGone)) {
				if f.loose && errors.Is(err, engine.ErrGone) {
					f.host.CutOff()
				}
				return err
			}
			f.loose = true
			if f.all {
				limit = position.Everything
			}
		}
		err := f.attempt(ctx, limit)
		if f.loose && errors.Is(err, engine.ErrGone) { // and so nothing was opened
			f.host.CutOff()
		}
		switch {
		case errors.Is(err, errRotated):
			f.Rotated()
			tries, limit, behind = -1, tail, f.trail.Unconfirmed() > 0 && !f.turnover.outrun()
		case errors.Is(err, errCompare), errors.Is(err, errDoubtful), errors.Is(err, errTorn):
			tries, limit, behind = -1, tail, true
		case errors.Is(err, errTooShort):
			limit, behind = min(limit*position.Further, maxTurnTail), true
		case errors.Is(err, reader.ErrNotInView):
			if behind { // and so it should have been in view
				if err := f.bePatient(); err != nil {
					return err
				}
			}
			behind = true
		default:
			var refusal decode.SystemError
			f.suspect = errors.As(err, &refusal) // and next time it begins with a look at the log
			return err
		}
		if behind && f.Position().Kind == position.FromTime {
			limit = position.Everything // it begins with what is yet to come
		}
	}
	return reader.ErrStalled
}

// aim has the trail lead to the position.
func (f *Follow) aim() (target position.Position) {
	target = f.Position()
	f.repeats = f.api.OlderThan(followDoublesBelow)
	f.trail.Start(&target)
	return target
}

// bePatient follows an opening of the log in which the position did not come
// into view although it is there.
func (f *Follow) bePatient() error {
	f.patience = max(2*f.patience, pause, 2*f.firstByte)
	if f.patience > maxPatience {
		return f.giveUp("the Engine, or what is in between, sends nothing in time")
	}
	return nil
}

// Slow says that the log is to be polled. A follow is of no use here.
func (f *Follow) Slow() bool { return f.slow }

// giveUp has the log polled for the rest of the container's run.
func (f *Follow) giveUp(reason string) error {
	f.slow = true
	f.Say.Warn("the log cannot be followed, it is polled instead", "reason", reason)
	return reader.ErrMoved
}

// attempt follows the log once, from what was opened already or a request of
// its own, and delivers what comes behind the position.
func (f *Follow) attempt(ctx context.Context, limit int) (err error) {
	target, log := f.aim(), f.openings.takeNext()
	f.loose = f.sound.await(ctx, &target) || f.loose
	if log != nil {
		limit = log.limit + int(f.Consumed()-log.had) // it goes on being read while the other is opened
	} else {
		capped := false
		switch target.Kind {
		case position.FromBeginning:
			limit, capped = f.sound.readable(position.Everything)
		case position.FromTail:
			limit = target.Tail
		default:
			limit, capped = f.sound.readable(limit)
		}
		if log, err = f.request(ctx, true, limit, &target); err != nil {
			return err
		}
		log.capped = capped
	}
	defer log.close()
	f.openings.setOpen(log)
	defer f.openings.setOpen(nil)
	defer f.memory.sentPart(false, false)
	defer func(asked time.Time) {
		if time.Since(asked) >= surelyOpen {
			f.Opened()
		}
	}(log.asked)
	r := position.NewResync(&target, limit)
	r.Stepped, r.Longest = f.stepped, log.capped
	if f.depth > 0 {
		r.Depth = f.depth
	}
	f.Task.Beat()
	log.w.Expect(&target.Anchor)
	err = f.records(ctx, log, r, func(e *decode.Entry) error {
		switch deliver, short := r.Feed(e); {
		case short:
			return errTooShort
		case !deliver:
			return nil
		}
		if f.repeats {
			switch f.trail.See(e) {
			case position.DoubledRecord:
				f.SentTwice()
				return nil
			case position.PieceOfLine:
				// Where the Engine has left a piece out, the log tells.
				if !f.alone && f.turnover.mayDoubt(f.memory.keeps.Load()) {
					return errDoubtful
				}
			case position.DoubtfulRecord:
				if !f.alone {
					return errDoubtful
				}
			}
		}
		torn := f.LeavesOpen(e)
		switch {
		case torn && (f.alone || f.turnover.outrun()):
			f.Broke()
			f.Lost(slog.LevelError, leftOut)
		case torn, !f.alone && f.LooksHeadless(e) && f.turnover.mayDoubt(f.memory.keeps.Load()):
			return errTorn
		case !f.alone && f.turnover.mayLook() && f.LooksHeadless(e):
			return errHeadless
		}
		f.alone = false
		if f.sound.passed(e) {
			return errCompare
		}
		f.take(e)
		return nil
	})
	if err == nil || errors.Is(err, reader.ErrNotInView) {
		f.WasEmpty(log.ctx)
	}
	f.loose = err != nil // else the Engine has sent the log to its end
	if !r.Found && target.Kind == position.FromAnchor {
		last := r.Replay.Newest()
		newest := target.Anchor.Newest()
		f.loose = f.loose || r.Seen > 0 && !last.Same(&newest) // which may be new
		if err == nil {
			return reader.ErrNotInView // it has ended, and who knows what it has sent
		}
	}
	return err
}

// take has a record delivered that is new.
func (f *Follow) take(e *decode.Entry) {
	f.Accept(e)
	m := f.Newest()
	f.trail.Push(&m)
	if f.turnover.add(int64(m.Size)+position.RecordOverhead, f.memory.keeps.Load()) && f.mayBeHeld() {
		f.turnover.pass(m.Single())
	}
}

// records calls each for the records of a log that is followed, with the outbox
// locked. It ends with reader.ErrNotInView when the Engine has sent what it had and
// the position was not in it, with errCompare when that is due.
func (f *Follow) records(ctx context.Context, log *openLog, r *position.Resync, each func(*decode.Entry) error) error {
	patience := max(pause, f.patience)
	silence := time.AfterFunc(patience, func() { log.interrupt(reader.ErrNotInView) })
	defer silence.Stop()
	synced, opened := false, false
	for {
		if !synced && r.InView() {
			synced = true
			silence.Stop()
			f.InSync()
		}
		n, err := log.fill()
		eof := errors.Is(err, io.EOF)
		if n > 0 || eof {
			f.memory.hears()
			before := f.Consumed()
			err := f.DeliverWindow(log.ctx, log.w, eof, each)
			for errors.Is(err, errTorn) || errors.Is(err, errDoubtful) || errors.Is(err, errHeadless) {
				if errors.Is(err, errHeadless) {
					if err := f.lookBefore(ctx, &log.w.Entry); err != nil {
						return err
					}
					f.alone = true
				} else {
					no := f.openAnother(ctx) // what is open is closed behind it
					if f.alone = errors.Is(no, errLags) || no != nil && errors.Is(err, errTorn); !f.alone {
						break
					}
				}
				err = f.DeliverWindow(log.ctx, log.w, eof, each)
			}
			if err != nil {
				return err
			}
			moved, part := f.Consumed() > before, log.w.Rest() > 0
			if moved {
				f.silences = 0
			}
			if n > 0 && !opened {
				opened = true
				f.Opened() // not before: the Engine may answer and then find no log
			}
			f.memory.sentPart(part, moved)
			log.midway.Store(!synced && !r.InView() || part)
		}
		switch {
		case eof:
			return nil
		case err != nil:
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		case !synced:
			silence.Reset(patience)
		case f.compareDue() && f.openAnother(ctx) == nil:
			return errCompare
		case f.turnover.lookDue() && !f.mayBeHeld() && f.trail.Unconfirmed() > 0:
			if _, err := f.look(ctx, position.TrailMark{}); err != nil {
				return err
			}
		}
	}
}

// compareDue says whether what was sent is to be compared with the log now.
func (f *Follow) compareDue() bool {
	keeps := f.memory.keeps.Load()
	if keeps == 0 {
		return false
	}
	if f.turnover.measure(keeps) {
		f.memory.outrun.Store(f.turnover.measured.UnixNano())
		f.sayOutrun()
	}
	return f.turnover.compareDue(keeps, &f.trail)
}

// sayOutrun says, once, that what the Engine leaves out of the log may not be
// found, because it may not be in the log any more when that is read.
func (f *Follow) sayOutrun() {
	f.Said.Do("outrun", func() {
		f.Say.Warn("the Engine replaces this log so fast that what it leaves out may not be found", "bytes", f.memory.keeps.Load())
	})
}

// look compares what was sent of a log that is replaced too fast to be compared
// between two openings: it reads the log's end beside the follow, which goes on
// behind it. What the Engine has left out between two records that it has sent comes
// late. next is the record that is about to be delivered, the zero mark if none
// is: hole says that something was left out right before that.
func (f *Follow) look(ctx context.Context, next position.TrailMark) (hole bool, err error) {
	defer f.turnover.hasLooked(time.Now())
	held := f.mayBeHeld() // then what was delivered long ago may look like what was left out
	c, from := &catchingUp{f: f, limit: position.FirstTail}, position.TrailMark{}
	var a *audit
	for again := true; again; c.late = a.late {
		a = c.aim()
		a.beside, a.from = &beside{next: next, dry: held}, from
		err = f.compare(ctx, a)
		switch again = false; {
		case c.blind:
		case errors.Is(err, errTooShort):
			c.limit, again = a.Limit*position.Further, a.Limit <= maxTurnTail && !c.capped // then there is no longer one
		case (err == nil || errors.Is(err, reader.ErrNotInView)) && !held && a.beginsWithAHole():
			// What the log holds still of that comes late, if it begins there still.
			c.blind, from, again = true, a.first, true
		}
	}
	if a.late > 0 {
		if err := f.endLate(ctx, a.late); err != nil {
			return false, err
		}
	}
	if c.blind {
		if err := f.Deliver(ctx, nil, func() error { f.Lost(slog.LevelError, leftOut); return nil }); err != nil {
			return false, err
		}
	}
	if !held && (a.live || c.blind || a.Found && a.next == len(f.trail.Marks)) {
		f.trail.Confirm()
	}
	var panicked *supervise.PanicError
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.As(err, &panicked), errors.Is(err, reader.ErrBackpressure):
		return false, err
	} // any other error the follow will meet, or the log was replaced meanwhile
	return a.beside.shown && a.beside.before > 0, nil
}

// lookBefore looks whether something was left out before a record that may be a line's
// end alone. Then that is one, and counted.
func (f *Follow) lookBefore(ctx context.Context, e *decode.Entry) error {
	m := position.MarkOf(e)
	hole, err := f.look(ctx, m.Single())
	if err != nil || !hole {
		return err
	}
	return f.Deliver(ctx, nil, func() error {
		f.Broke()
		f.Lost(slog.LevelError, leftOut)
		return nil
	})
}

// Behind implements reader.Open: it asks for the last record.
func (f *Follow) Behind(ctx context.Context) (bool, error) {
	return f.asker.behind(ctx)
}
