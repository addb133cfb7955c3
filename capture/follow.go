package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// followReader reads a log through the Engine's API: one request that stays
// open. It finds the stream's position by asking for the last records, more
// and more of them until the position is in view. A plain since= would cost
// the Engine time in proportion to the whole log, and would lose or repeat
// records, whose timestamps are neither unique nor in order.
type followReader struct {
	api     *dockerAPI
	doubles *doubleFilter // only for an Engine that needs it
	rate    rateMeter     // of rotate alone

	mu   sync.Mutex
	open *openLog // the one that is followed; guarded by mu
	next *openLog // the one that is to take its place; guarded by mu
}

var (
	errTooShort  = errors.New("the position is further back in the log")
	errNotInView = errors.New("the position is not in what the Engine sent")
	errInView    = errors.New("the position is in what the Engine sent")
	errStalled   = errors.New("the Engine sent nothing in time")
)

const (
	// quiet is how long the Engine may pause in sending what it has stored
	// before it is taken to have sent it all. A wrong guess costs a second
	// request, never a record.
	quiet = 500 * time.Millisecond
	// patience is how long one append to a full outbox may block before the
	// log is closed.
	patience = time.Second
)

// read implements reader.
func (f *followReader) read(ctx context.Context, s *stream, follow bool) error {
	return f.search(ctx, s, follow, firstTail)
}

// search is read, looking for the position in the last so many records first.
func (f *followReader) search(ctx context.Context, s *stream, follow bool, tail int) error {
	defer f.dropNext()
	f.useDoubles(follow)
	limit, depth := tail, uint8(0)
	for tries := 0; ; tries++ {
		target := s.position()
		next := f.takeNext()
		switch {
		case next != nil:
			limit = next.limit
		case target.kind == fromBeginning:
			limit = everything
		case target.kind == fromTail:
			limit = target.tail
		}
		r := newResync(&target, limit)
		if depth > 0 {
			r.depth = depth
		}
		err := f.attempt(ctx, s, r, next, follow)
		if errors.Is(err, errRotated) {
			s.rotated()
			tries, limit, depth = -1, tail, 0
			continue
		}
		if !errors.Is(err, errTooShort) && !errors.Is(err, errNotInView) {
			return err
		}
		if tries == maxTries {
			return errStalled
		}
		short := errors.Is(err, errTooShort)
		if !short && follow {
			// Whether the log is that short or the Engine that slow only a
			// request with an end can tell.
			if r, err = f.scan(ctx, s, &target, limit); err != nil {
				return err
			}
			if r.inView() {
				continue
			}
		}
		switch {
		case short || r.seen >= limit:
			limit = longer(limit, r)
		case target.kind == fromTime:
			limit = everything
		case r.best > 0:
			// The log begins behind the oldest marks of the anchor.
			limit, depth = everything, r.best
		default:
			if err := s.reportGap(ctx, &target.anchor); err != nil {
				return err
			}
			limit, depth = everything, 0
		}
	}
}

// useDoubles prepares for an Engine whose follow sends records twice.
func (f *followReader) useDoubles(follow bool) {
	switch needed := follow && f.api.olderThan(followDoublesBelow); {
	case !needed:
		f.doubles = nil
	case f.doubles == nil:
		f.doubles = newDoubleFilter()
	}
}

// maxTries bounds the requests of one read: the tails from firstTail to
// longestTail, then everything, some of them twice.
const maxTries = 30

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

// scan reads a log that is not followed, to see whether the position is in
// its last limit records.
func (f *followReader) scan(ctx context.Context, s *stream, target *position, limit int) (*resync, error) {
	r := newResync(target, limit)
	log, err := f.request(ctx, s, false, limit)
	if err != nil {
		return nil, err
	}
	defer log.close()
	s.task.beat()
	log.w.expect(&r.target.anchor)
	err = f.records(s, log, r, false, func(e *entry) error {
		if r.feed(e); r.inView() {
			return errInView
		}
		return nil
	})
	if errors.Is(err, errInView) {
		err = nil
	}
	return r, err
}

// attempt reads the log once, from what was opened already or a request of its
// own, and delivers what follows the position.
func (f *followReader) attempt(ctx context.Context, s *stream, r *resync, log *openLog, follow bool) (err error) {
	if log == nil {
		if log, err = f.request(ctx, s, follow, r.limit); err != nil {
			return err
		}
	}
	defer log.close()
	s.task.beat()
	log.w.expect(&r.target.anchor)
	if follow {
		f.setOpen(log)
		defer f.setOpen(nil)
	}
	err = f.records(s, log, r, follow, func(e *entry) error {
		deliver, short := r.feed(e)
		switch {
		case short:
			return errTooShort
		case !deliver:
		case f.doubles != nil && f.doubles.drop(e):
			s.count.doubles++
		default:
			s.accept(e)
		}
		return nil
	})
	if empty := !follow && r.seen == 0 && r.target.kind == fromTime; err == nil && !r.inView() && !empty {
		return errNotInView
	}
	if err == nil || errors.Is(err, errNotInView) {
		s.tailWasEmpty(log.ctx)
	}
	return err
}

// records calls each for the records of a log, with the outbox locked. With
// follow it ends with errNotInView when the Engine has sent what it had and
// the position was not in it.
func (f *followReader) records(s *stream, log *openLog, r *resync, follow bool, each func(*entry) error) error {
	patience, late := callTimeout, errStalled
	if follow {
		patience, late = quiet, errNotInView
	}
	silence := time.AfterFunc(patience, func() { log.cut(late) })
	defer silence.Stop()
	synced := false
	for {
		if follow && !synced && r.inView() {
			synced = true
			silence.Stop()
			s.inSync()
		}
		n, err := log.fill()
		eof := errors.Is(err, io.EOF)
		if n > 0 || eof {
			if err := s.deliverWindow(log.ctx, log.w, eof, each); err != nil {
				return err
			}
			s.opened() // not before: the Engine may answer and then find no log
		}
		switch {
		case eof:
			return nil
		case err != nil:
			return cause(log.ctx, fmt.Errorf("reading the log: %w", classify(err)))
		case !synced:
			silence.Reset(patience)
		}
	}
}

// cause is why a request of ours failed: our own reason if we cancelled it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// waitRoom waits a moment for room in the outbox.
func (s *stream) waitRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errBackpressure)
	defer cancel()
	s.is(streamBlocked)
	if err := s.col.out.waitRoom(ctx); err != nil {
		return err
	}
	s.is(streamReading)
	return nil
}

// deliverWindow calls each for all whole records in w, with the outbox locked.
func (s *stream) deliverWindow(ctx context.Context, w *window, eof bool, each func(*entry) error) error {
	if s.col.out.full() {
		if err := s.waitRoom(ctx); err != nil {
			return err
		}
	}
	err := s.deliver(ctx, &w.e, func() error {
		before := s.seen
		err := w.each(eof, each)
		s.noteDamage(w, before)
		return err
	})
	s.task.beat()
	return err
}
