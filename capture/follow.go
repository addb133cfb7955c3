package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
)

// followReader reads a log through the Engine's API: one request that stays
// open. It finds the stream's position by asking for the last records; what is
// further back is read by requests with an end (catchup.go). A plain since=
// would cost the Engine time in proportion to the whole log, and would lose or
// repeat records, whose timestamps are neither unique nor in order.
//
// What a follow sends is compared with the log at each stream rotation, and
// sooner where the log is short-lived: see trail.
type followReader struct {
	api   *engine.Client
	trail position.Trail
	rate  rateMeter // of rotate alone

	repeats   bool                 // the Engine's follow sends records twice
	suspect   bool                 // the log is known to hold more than a read has shown
	stepped   bool                 // the clock has stepped back in the log: times say nothing of places
	all       bool                 // it takes the whole log to find the position
	checked   bool                 // the first read of this run was looked at for damage
	sound     int                  // records at the end of the log that can be read, 0: all
	soundAt   uint64               // records consumed when that was found
	soundFrom position.TrailMark   // the first of them
	depth     uint8                // marks of the anchor that the log holds still, 0: all
	unplaced  bool                 // the last record that came may be new: the position was not found
	firstByte time.Duration        // that the Engine needed at most, of late
	patience  time.Duration        // that a follow is given in addition, because it needed it
	doubted   time.Time            // when the log was last asked about a line's beginning
	compared  time.Time            // when the log was last compared because it is short-lived, or thought to be
	measured  time.Time            // when it was last seen how fast the log is replaced
	measuredC int64                // of came, then
	outruns   bool                 // it was replaced within minTurnover then
	alone     bool                 // the log does not hold any more what it would be asked about the next record
	silences  int                  // of the follow, since it has delivered anything
	came      int64                // bytes, about as many as the log needed for them
	passed    []position.TrailMark // of what came, oldest first, at even distances
	passedAt  int64                // of came, at the last of them
	slow      bool                 // a follow is of no use here
	heldAt    time.Time            // when it was last waited in vain for others to let go of the log

	mu   sync.Mutex
	open *openLog // the one that is followed; guarded by mu
	next *openLog // the one that is to take its place; guarded by mu
}

var (
	errTooShort  = errors.New("the position is further back in the log")
	errNotInView = errors.New("the position is not in what the Engine sent")
	errStalled   = errors.New("the Engine sent nothing in time")
	errHole      = errors.New("records in the middle of the log cannot be read")
	errGoesBack  = errors.New("the log shows behind the position what is older")
	errDoubtful  = errors.New("only the log can tell what was sent twice or left out")
	errTorn      = errors.New("only the log can tell whether a part of a line was left out")
	errCompare   = errors.New("what was sent is to be compared with the log")
)

// leftOut is what is said of lines that are lost for that reason.
const leftOut = "gap: lines were lost, the Engine left them out while the log was followed and does not keep them any more"

const (
	// quiet is how long the Engine may pause in sending what it has stored
	// before it is taken to have sent it all. A wrong guess costs more
	// requests, never a record.
	quiet = 100 * time.Millisecond
	// maxPatience is up to where that time grows where it was too short, and
	// maxSilences how often a follow may be silent while its log grows, before
	// the log is polled.
	maxPatience = 20 * time.Second
	maxSilences = 3
	// patience is how long one append to a full outbox may block before the
	// log is closed.
	patience = time.Second
)

// maxTries bounds the requests of one read: the tails from firstTail to
// longestTail, then everything, some of them twice.
const maxTries = 30

// followDoublesBelow is the first API version whose follow sends nothing
// twice (Engine 23).
const followDoublesBelow = "1.42"

// read implements reader.
func (f *followReader) read(ctx context.Context, s *stream, follow bool) error {
	if !follow {
		f.suspect = true // it is the last look
		return f.catchUp(ctx, s, position.FirstTail)
	}
	err := f.follow(ctx, s, position.FirstTail)
	switch {
	case engine.IsNoFollow(err):
		f.slow = true
		s.notes.sayOnce(&s.notes.saidNoFollow, func() { s.log.Info("the log cannot be followed, it is polled instead", "reason", err) })
		return errMoved
	case !errors.Is(err, errSilent):
	case f.silences >= maxSilences:
		return f.giveUp(s, "it is silent while the log grows, each time it is opened")
	default:
		f.silences++
		f.suspect = true
	}
	return err
}

// follow follows the log, looking for the position in its last tail records.
func (f *followReader) follow(ctx context.Context, s *stream, tail int) error {
	defer f.dropNext()
	f.aim(s)
	limit, behind, doubtful := tail, f.suspect || f.trail.Unconfirmed() > 0, false
	f.depth = 0
	for tries := 0; tries < maxTries; tries++ {
		if behind {
			if err := f.catchUp(ctx, s, tail); err != nil && (!f.opened() || !errors.Is(err, engine.ErrGone)) {
				if doubtful && errors.Is(err, engine.ErrGone) {
					s.isCutOff() // what was doubtful may have been new
				}
				return err
			}
			if f.all {
				limit = position.Everything
			}
		}
		err := f.attempt(ctx, s, limit)
		doubtful = errors.Is(err, errDoubtful) || errors.Is(err, errNotInView) && f.unplaced
		switch {
		case errors.Is(err, errRotated):
			s.rotated()
			tries, limit, behind = -1, tail, f.trail.Unconfirmed() > 0 && !f.outrun()
		case errors.Is(err, errCompare), errors.Is(err, errDoubtful), errors.Is(err, errTorn):
			tries, limit, behind = -1, tail, true
		case errors.Is(err, errTooShort):
			limit, behind = min(limit*position.Further, maxTurnTail), true
		case errors.Is(err, errNotInView):
			if behind { // and so it should have been in view
				if err := f.bePatient(s); err != nil {
					return err
				}
			}
			behind = true
		default:
			var refusal decode.SystemError
			f.suspect = errors.As(err, &refusal) // and next time it begins with a look at the log
			return err
		}
		if behind && s.position().Kind == position.FromTime {
			limit = position.Everything // it begins with what is yet to come
		}
	}
	return errStalled
}

// aim has the trail lead to the position.
func (f *followReader) aim(s *stream) (target position.Position) {
	target = s.position()
	f.repeats = f.api.OlderThan(followDoublesBelow)
	f.trail.Start(&target)
	return target
}

// bePatient follows an opening of the log in which the position did not come
// into view although it is there.
func (f *followReader) bePatient(s *stream) error {
	f.patience = max(2*f.patience, quiet, 2*f.firstByte)
	if f.patience > maxPatience {
		return f.giveUp(s, "the Engine, or what is in between, sends nothing in time")
	}
	return nil
}

// giveUp has the log polled for the rest of the container's run.
func (f *followReader) giveUp(s *stream, reason string) error {
	f.slow = true
	s.log.Warn("the log cannot be followed, it is polled instead", "reason", reason)
	return errMoved
}

// attempt follows the log once, from what was opened already or a request of
// its own, and delivers what comes behind the position.
func (f *followReader) attempt(ctx context.Context, s *stream, limit int) (err error) {
	target, log := f.aim(s), f.takeNext()
	if log != nil {
		limit = log.limit + int(s.consumed()-log.had) // it goes on being read while the other is opened
	} else {
		capped := false
		switch target.Kind {
		case position.FromBeginning:
			limit, capped = f.readable(s, position.Everything)
		case position.FromTail:
			limit = target.Tail
		default:
			limit, capped = f.readable(s, limit)
		}
		if log, err = f.request(ctx, s, true, limit, &target); err != nil {
			return err
		}
		log.capped = capped
	}
	defer log.close()
	f.setOpen(log)
	defer f.setOpen(nil)
	defer s.sentPart(false, false)
	r := position.NewResync(&target, limit)
	r.Stepped, r.Longest = f.stepped, log.capped
	if f.depth > 0 {
		r.Depth = f.depth
	}
	s.task.Beat()
	log.w.Expect(&target.Anchor)
	err = f.records(ctx, s, log, r, func(e *decode.Entry) error {
		switch deliver, short := r.Feed(e); {
		case short:
			return errTooShort
		case !deliver:
			return nil
		}
		if f.repeats {
			switch f.trail.See(e) {
			case position.DoubledRecord:
				s.sentTwice()
				return nil
			case position.PieceOfLine:
				// Where the Engine has left a piece out, the log tells.
				if !f.alone && f.mayDoubt(s) {
					return errDoubtful
				}
			case position.DoubtfulRecord:
				if !f.alone {
					return errDoubtful
				}
			}
		}
		torn := s.leavesOpen(e)
		switch {
		case torn && (f.alone || f.outrun()):
			s.broke()
			s.lost(slog.LevelError, leftOut)
		case torn, !f.alone && s.looksHeadless(e) && f.mayDoubt(s):
			return errTorn
		}
		f.alone = false
		f.accept(s, e)
		return nil
	})
	if err == nil || errors.Is(err, errNotInView) {
		s.tailWasEmpty(log.ctx)
	}
	f.unplaced = false
	if !r.Found && target.Kind == position.FromAnchor {
		last := r.Replay.Newest()
		newest := target.Anchor.Newest()
		f.unplaced = r.Seen > 0 && !last.Same(&newest)
		if err == nil {
			return errNotInView // it has ended, and who knows what it has sent
		}
	}
	return err
}

// accept has a record delivered that is new.
func (f *followReader) accept(s *stream, e *decode.Entry) {
	s.accept(e)
	m := s.newest()
	f.trail.Push(&m)
	f.came += int64(m.Size) + position.RecordOverhead
	if keeps := s.logKeeps.Load(); keeps > 0 && f.came-f.passedAt >= keeps/passedInLog {
		f.passedAt = f.came
		if f.mayBeHeld(s) {
			f.passed = append(f.passed, m.Single())
		}
		if len(f.passed) > 2*passedInLog {
			f.passed = slices.Delete(f.passed, 0, passedInLog)
		}
	}
}

// passedInLog is of how many records, of those that the Engine keeps, it is known that
// they were delivered: some in each rotated file.
const passedInLog = 64

// records calls each for the records of a log that is followed, with the outbox
// locked. It ends with errNotInView when the Engine has sent what it had and
// the position was not in it, with errCompare when that is due.
func (f *followReader) records(ctx context.Context, s *stream, log *openLog, r *position.Resync, each func(*decode.Entry) error) error {
	patience := max(quiet, f.patience)
	silence := time.AfterFunc(patience, func() { log.cut(errNotInView) })
	defer silence.Stop()
	synced := false
	for {
		if !synced && r.InView() {
			synced = true
			silence.Stop()
			s.inSync()
		}
		n, err := log.fill()
		eof := errors.Is(err, io.EOF)
		if n > 0 || eof {
			s.heardAt(time.Now())
			before := s.consumed()
			err := s.deliverWindow(log.ctx, log.w, eof, each)
			for errors.Is(err, errTorn) || errors.Is(err, errDoubtful) {
				no := f.openAnother(ctx, s) // what is open is closed behind it
				if f.alone = errors.Is(no, errLags) || no != nil && errors.Is(err, errTorn); !f.alone {
					break
				}
				err = s.deliverWindow(log.ctx, log.w, eof, each)
			}
			if err != nil {
				return err
			}
			if s.consumed() > before {
				f.silences = 0
			}
			s.opened() // not before: the Engine may answer and then find no log
			part := log.w.Rest() > 0
			s.sentPart(part, s.consumed() > before)
			log.midway.Store(!synced && !r.InView() || part)
		}
		switch {
		case eof:
			return nil
		case err != nil:
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		case !synced:
			silence.Reset(patience)
		case f.compareDue(s) && f.openAnother(ctx, s) == nil:
			return errCompare
		}
	}
}

// waitRoom waits a moment for room in the outbox.
func (s *stream) waitRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errBackpressure)
	defer cancel()
	s.is(streamBlocked)
	if err := s.col.out.WaitRoom(ctx); err != nil {
		return err
	}
	s.is(streamReading)
	return nil
}

// deliverWindow calls each for all whole records in w, with the outbox locked.
func (s *stream) deliverWindow(ctx context.Context, w *decode.Window, eof bool, each func(*decode.Entry) error) error {
	if s.col.out.Full() {
		if err := s.waitRoom(ctx); err != nil {
			return err
		}
	}
	err := s.deliverRecords(ctx, w, eof, each)
	s.task.Beat()
	return err
}
