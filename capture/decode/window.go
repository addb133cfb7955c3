package decode

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Window is the part of a log that was not cut yet. It was read.
type Window struct {
	buf   []byte
	r, w  int // buf[r:w] is unconsumed
	skip  int // bytes to come that are left out
	tty   *TTY
	rough bool  // bytes that are no frame are left out
	lost  int   // bytes in a row that were none
	Entry Entry // the record at hand, here so that it is not allocated

	Damaged int // places that held no record and were left out
	// Pieces says that a record without a newline is a piece of a line, whatever its
	// size.
	Pieces bool
}

const (
	minWindow = 8 << 10
	// MaxWindow is up to where a window grows for speed.
	MaxWindow = 128 << 10
)

// windows are used again, because polls come and go.
var windows = sync.Pool{New: func() any { return &Window{buf: make([]byte, minWindow)} }}

// NewWindow makes a window; the log has frames if tty is nil. What is rough
// leaves out bytes that are no record.
func NewWindow(tty *TTY, rough bool) *Window {
	w := windows.Get().(*Window)
	*w = Window{buf: w.buf, tty: tty, rough: rough}
	if tty != nil {
		tty.rough = rough
	}
	return w
}

// Expect has records that are known cut again as they were.
func (w *Window) Expect(k Known) {
	if w.tty != nil {
		w.tty.known = k
	}
}

// Rest is how many bytes were read and not yet cut.
func (w *Window) Rest() int { return w.w - w.r }

// Free gives the window back. One that has grown is left to the garbage
// collector.
func (w *Window) Free() {
	if len(w.buf) == minWindow {
		windows.Put(w)
	}
}

// Fill reads once into the window, which grows while reads fill it.
func (w *Window) Fill(r io.Reader) (int, error) {
	if w.r > 0 {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.r = 0
	}
	if w.w == len(w.buf) {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	n, err := r.Read(w.buf[w.w:])
	w.w += n
	if w.w == len(w.buf) && len(w.buf) < MaxWindow {
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	w.leaveOut(0)
	return n, err
}

// FirstTime is the time of the first record in the window. It is Undated if that
// has none or is not there yet.
func (w *Window) FirstTime() int64 {
	b := w.buf[w.r:w.w]
	if w.tty == nil {
		b = b[min(frameHeaderSize, len(b)):]
	}
	ts, _, ok := CutTime(b)
	if !ok {
		return Undated
	}
	return ts
}

// leaveOut takes n more bytes off the window, of which not all need to be there
// yet.
func (w *Window) leaveOut(n int) {
	w.skip += n
	here := min(w.skip, w.w-w.r)
	w.r += here
	w.skip -= here
}

// Each cuts the whole records off the window.
func (w *Window) Each(eof bool, f func(*Entry) error) error {
	for {
		var n int
		var err error
		if w.tty != nil {
			w.Entry, n, err = w.tty.cut(w.buf[w.r:w.w], eof)
		} else {
			w.Entry, n, err = CutFrame(w.buf[w.r:w.w])
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
		case w.Entry.Std == 0:
			w.Damaged++
			w.leaveOut(n)
			continue
		}
		w.lost = 0
		w.Entry.Piece = w.Pieces && !w.Entry.Newline
		if err := f(&w.Entry); err != nil {
			return err
		}
		w.r += n
	}
}

// pastGarbage goes on behind bytes that are no frame, if that is wanted; again
// says that a frame follows. It fails where none does for so long that this can
// hardly be a log.
func (w *Window) pastGarbage(reason error, eof bool) (again bool, err error) {
	if !w.rough || !errors.Is(reason, ErrBadFrame) {
		return false, reason
	}
	n, found := nextFrame(w.buf[w.r:w.w], eof)
	if w.lost == 0 {
		w.Damaged++
	}
	w.lost += n
	w.r += n
	if !found && (eof || w.lost > MaxFrame) {
		return false, reason
	}
	return found, nil
}

// unended says, at the end of a log, whether it ended between two records.
func (w *Window) unended(eof bool) error {
	switch left := w.w - w.r; {
	case w.tty != nil && w.tty.ended && left > 0 && w.buf[w.r] == '\n': // it came late
		w.r, w.tty.ended = w.r+1, false
		return w.unended(eof)
	case !eof || left+w.skip == 0:
		return nil
	case w.rough:
		w.Damaged++
		w.r, w.skip = w.w, 0
		return nil
	default:
		return fmt.Errorf("%w: the log ended in the middle of one", ErrBadFrame)
	}
}
