package capture

import (
	"io"
	"sync"
)

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

// windows are used again, because polls come and go.
var windows = sync.Pool{New: func() any { return &window{buf: make([]byte, minWindow)} }}

func newWindow(c *container) *window {
	w := windows.Get().(*window)
	*w = window{buf: w.buf}
	if c.TTY {
		w.tty = &ttyCutter{startedAt: c.StartedAt}
	}
	return w
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
