package capture

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// window is the part of a log that was read and not yet cut into records.
type window struct {
	buf   []byte
	r, w  int // buf[r:w] is unconsumed
	skip  int // bytes to come that are left out
	tty   *ttyCutter
	rough bool  // bytes that are no frame are left out
	lost  int   // bytes in a row that were none
	e     entry // the record at hand, here so that it is not allocated

	damaged int // places that held no record and were left out
}

const (
	minWindow = 8 << 10
	maxWindow = 128 << 10
)

// windows are used again, because polls come and go.
var windows = sync.Pool{New: func() any { return &window{buf: make([]byte, minWindow)} }}

func newWindow(c *container) *window {
	w := windows.Get().(*window)
	*w = window{buf: w.buf}
	if c.TTY {
		w.tty = &ttyCutter{now: func() int64 { return time.Now().UnixNano() }}
	}
	return w
}

// window makes one for a log of the stream that is being opened.
func (s *stream) window() *window {
	c := s.container()
	w := newWindow(c)
	w.rough = s.rough.Load()
	if w.tty != nil {
		ahead := s.col.ahead.Load()
		w.tty.rough = w.rough
		w.tty.loose = c.Driver == "local" && s.col.api.olderThan(localKeepsEndsFrom)
		w.tty.now = func() int64 { return time.Now().UnixNano() + ahead }
		if c.Running && c.StartedAt != 0 {
			w.tty.from, w.tty.to = c.StartedAt, c.SeenAt+ahead-clockSlack
		}
	}
	return w
}

// expect has the records of an anchor cut again as they were.
func (w *window) expect(a *anchor) {
	if w.tty != nil {
		w.tty.known = a
	}
}

// free gives the window back. One that has grown is left to the garbage
// collector.
func (w *window) free() {
	if len(w.buf) == minWindow {
		windows.Put(w)
	}
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
	w.leaveOut(0)
	return n, err
}

// firstTime is the time of the first record in the window, undated if it has none
// or is not there yet.
func (w *window) firstTime() int64 {
	b := w.buf[w.r:w.w]
	if w.tty == nil {
		b = b[min(frameHeaderSize, len(b)):]
	}
	ts, _, ok := cutTime(b)
	if !ok {
		return undated
	}
	return ts
}

// leaveOut takes n more bytes off the window, of which not all need to be there
// yet.
func (w *window) leaveOut(n int) {
	w.skip += n
	here := min(w.skip, w.w-w.r)
	w.r += here
	w.skip -= here
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
		switch {
		case err != nil:
			again, err := w.pastGarbage(err, eof)
			if again {
				continue
			}
			return err
		case n == 0:
			return w.unended(eof)
		case w.e.std == 0:
			w.damaged++
			w.leaveOut(n)
			continue
		}
		w.lost = 0
		if err := f(&w.e); err != nil {
			return err
		}
		w.r += n
	}
}

// pastGarbage goes on behind bytes that are no frame, if that is wanted; again
// says that a frame follows. It fails where none does for so long that this can
// hardly be a log.
func (w *window) pastGarbage(reason error, eof bool) (again bool, err error) {
	if !w.rough || !errors.Is(reason, errBadFrame) {
		return false, reason
	}
	n, found := nextFrame(w.buf[w.r:w.w], eof)
	if w.lost == 0 {
		w.damaged++
	}
	w.lost += n
	w.r += n
	if !found && (eof || w.lost > maxFrame) {
		return false, reason
	}
	return found, nil
}

// unended says, at the end of a log, whether it ended between two records.
func (w *window) unended(eof bool) error {
	switch left := w.w - w.r; {
	case !eof || left+w.skip == 0:
		return nil
	case w.tty != nil && w.tty.ended && left == 1 && w.buf[w.r] == '\n':
		w.r = w.w
		return nil
	case w.rough:
		w.damaged++
		w.r, w.skip = w.w, 0
		return nil
	default:
		return fmt.Errorf("%w: the log ended in the middle of one", errBadFrame)
	}
}

// noteDamage counts and says what was left out of w since the last time, if
// records were consumed, so that what is read again is not counted again.
// out.mu is held.
func (s *stream) noteDamage(w *window, before uint64) {
	if w.damaged == 0 || s.seen == before {
		return
	}
	s.col.metrics.damaged.Add(float64(w.damaged))
	w.damaged = 0
	s.notes.sayOnce(&s.notes.saidSkipped, func() {
		s.log.Warn("the Engine sent what is no record, which is left out and counted")
	})
}
