package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	switch old := f.api.olderThan(followDoublesBelow); {
	case !old:
		f.doubles = nil
	case f.doubles == nil:
		f.doubles = newDoubleFilter()
	}
	limit, depth := firstTail, uint8(0)
	for tries := 0; ; tries++ {
		target := s.position()
		switch target.kind {
		case fromBeginning:
			limit = everything
		case fromTail:
			limit = target.tail
		}
		r := newResync(&target, limit)
		if depth > 0 {
			r.depth = depth
		}
		err := f.attempt(ctx, s, r, follow)
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
			s.reportGap(&target.anchor)
			limit, depth = everything, 0
		}
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
	err := f.open(ctx, s, r, false, func(e *entry) error {
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

// attempt opens the log once and delivers what follows the position.
func (f *followReader) attempt(ctx context.Context, s *stream, r *resync, follow bool) error {
	err := f.open(ctx, s, r, follow, func(e *entry) error {
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
	if err == nil && !r.inView() {
		return errNotInView
	}
	if err == nil || errors.Is(err, errNotInView) {
		s.tailWasEmpty()
	}
	return err
}

// open reads a log and calls each for its records, with the outbox locked.
// With follow it ends with errNotInView when the Engine has sent what it had
// and the position was not in it.
func (f *followReader) open(ctx context.Context, s *stream, r *resync, follow bool, each func(*entry) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callTimeout, func() { cancel(errStalled) })
	defer silence.Stop()
	release, err := s.col.opens.acquire(ctx)
	if err != nil {
		return err
	}
	body, err := f.api.logs(ctx, s.id, follow, r.limit)
	release()
	if err != nil {
		return cause(ctx, err)
	}
	defer func() { _ = body.Close() }() // whatever it says, nothing more is read
	if follow {
		silence.Stop()
		if !r.inView() {
			silence = time.AfterFunc(quiet, func() { cancel(errNotInView) })
			defer silence.Stop()
		}
	}
	w := newWindow(s.container())
	synced := false
	for {
		n, err := w.fill(body)
		eof := errors.Is(err, io.EOF)
		if n > 0 || eof {
			if err := s.deliver(ctx, w, eof, each); err != nil {
				return err
			}
			s.opened() // not before: the Engine may answer and then find no log
		}
		switch {
		case eof:
			return nil
		case err != nil:
			return cause(ctx, fmt.Errorf("reading the log: %w", classify(err)))
		case synced:
		case follow && r.inView():
			synced = true
			silence.Stop()
			s.inSync()
		case follow:
			silence.Reset(quiet)
		default:
			silence.Reset(callTimeout)
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
	return s.col.out.waitRoom(ctx)
}

// deliver calls each for all whole records in w, with the outbox locked.
func (s *stream) deliver(ctx context.Context, w *window, eof bool, each func(*entry) error) error {
	o := s.col.out
	o.mu.Lock()
	if o.bytes >= o.limit {
		o.mu.Unlock()
		if err := s.waitRoom(ctx); err != nil {
			return err
		}
		o.mu.Lock()
	}
	err := w.each(eof, each)
	s.publish()
	tell := o.wakes()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
	return err
}

// window is the part of a log that was read and not yet cut into records.
type window struct {
	buf  []byte
	r, w int // buf[r:w] is unconsumed
	tty  *ttyCutter
	e    entry // the record at hand, here so that it is not allocated
}

const (
	minWindow = 8 << 10
	maxWindow = 128 << 10
)

func newWindow(c *container) *window {
	w := &window{buf: make([]byte, minWindow)}
	if c.TTY {
		w.tty = &ttyCutter{startedAt: c.StartedAt}
	}
	return w
}

// fill reads once into the window, which grows while reads fill it.
func (w *window) fill(r io.Reader) (int, error) {
	if w.r > 0 {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.r = 0
	}
	if w.w == len(w.buf) {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	n, err := r.Read(w.buf[w.w:])
	w.w += n
	if w.w == len(w.buf) && len(w.buf) < maxWindow {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	return n, err
}

// each cuts the whole records off the window.
func (w *window) each(eof bool, f func(*entry) error) error {
	for {
		var n int
		var err error
		if w.tty != nil {
			w.e, n, err = w.tty.cut(w.buf[w.r:w.w], eof)
		} else {
			w.e, n, err = cutFrame(w.buf[w.r:w.w])
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if err := f(&w.e); err != nil {
			return err
		}
		w.r += n
	}
}
