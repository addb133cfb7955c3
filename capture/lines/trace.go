package lines

import (
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// trace is a stack trace of one std stream that is joined line by line, and may
// go on. The position stays before its first line until it is emitted: it is to
// lines what an incomplete line is to partials.
type trace struct {
	state    traceState // noTrace: there is none
	ts, last int64      // times of its first and last line
	text     []byte
	lines    int
	records  uint32    // consumed since its first that belong to it, or to a line that may
	breaks   uint32    // met when it began
	read     time.Time // when its last line was read
	began    time.Time // when its first line was read
}

// tracing is whose stack traces of a log are joined, and those that are open.
type tracing struct {
	multi   Languages
	traces  *[3]trace // by std; nil without multi
	watched bool      // it is among the open traces
}

// Bounds of a trace, besides Max_Line_Size for its text.
const (
	maxTraceLines = 4096
	// tracePause is how much younger than the line before a line of a trace may
	// be, and how long the next one is waited for where the log is read to its end.
	tracePause = 2 * time.Second
	// maxTrace is how much younger than the first line it may be, and how long the
	// next one is waited for while the log cannot be read: the position waits, too.
	maxTrace = time.Minute
	// traceTick is how often it is looked for traces that nothing more comes of.
	traceTick = 500 * time.Millisecond
)

// JoinTraces says whose stack traces are joined.
func (w *Writer) JoinTraces(l Languages) {
	w.multi = l
	if l != 0 && w.traces == nil {
		w.traces = new([3]trace)
	}
}

// whole takes a complete line, which e ended; nil if what is incomplete ends so.
// It is emitted, or becomes part of a stack trace. The outbox is locked.
func (w *Writer) whole(std uint8, e *decode.Entry, ts int64, text []byte, truncated bool) {
	if w.multi == 0 || !w.isWanted(std) { // the way of most lines
		w.emit(std, ts, text, truncated)
		return
	}
	t := &w.traces[std]
	fits := !truncated && ts != decode.Undated
	if t.state != noTrace {
		next := noTrace
		if fits && t.hasRoom(ts, len(text), w.maxLine) && t.breaks == w.broken {
			next = t.state.next(text)
		}
		if next != noTrace {
			t.state, t.last, t.read = next, ts, time.Now()
			t.text = append(append(t.text, '\n'), text...)
			t.lines++
			return
		}
		w.endTrace(std)
	}
	if fits {
		if state := w.multi.begins(text); state != noTrace {
			w.beginTrace(std, e, ts, text, state)
			return
		}
	}
	w.emit(std, ts, text, truncated)
}

// hasRoom says whether a line of so many bytes may belong to the trace.
func (t *trace) hasRoom(ts int64, size, most int) bool {
	return t.lines < maxTraceLines && len(t.text)+1+size <= most && ts-t.last <= int64(tracePause) && ts-t.ts <= int64(maxTrace)
}

func (w *Writer) beginTrace(std uint8, e *decode.Entry, ts int64, text []byte, state traceState) {
	t, i, l := &w.traces[std], traceBase(std), &w.lines[std]
	if l.pending { // it began with its first partial
		w.setBase(i, w.bases[std].pos)
		*w.bases[i] = *w.bases[std]
		t.records = l.partial
	} else {
		w.setBase(i, w.pos)
		if w.pos.Kind != position.FromAnchor {
			w.bases[i].pos.Next = position.MarkOf(e)
		}
	}
	now := time.Now()
	t.state, t.ts, t.last, t.lines, t.breaks, t.began, t.read = state, ts, ts, 1, w.broken, now, now
	t.text = append(w.out.LineBuffer(), text...)
	w.open.watch(w)
}

// endTrace emits a trace as it is by now. The outbox is locked.
func (w *Writer) endTrace(std uint8) {
	t := &w.traces[std]
	w.emit(std, t.ts, t.text, false)
	w.count.joined += t.lines - 1
	w.out.FreeLine(t.text)
	*t = trace{}
	w.done(traceBase(std))
	w.settle()
}

// endTraces emits all that are open. The outbox is locked.
func (w *Writer) endTraces() {
	for std := range uint8(3) {
		if w.isTracing(std) {
			w.endTrace(std)
		}
	}
}

// isTracing says whether a std stream has a trace that may go on.
func (w *Writer) isTracing(std uint8) bool { return w.traces != nil && w.traces[std].state != noTrace }

// dropTrace forgets a trace, which is to be read again or to be left out.
func (w *Writer) dropTrace(std uint8) {
	if w.traces != nil {
		w.traces[std] = trace{}
		w.done(traceBase(std))
	}
}

// held is how many of the last records of a std stream are not delivered,
// because they belong to what is not complete.
func (w *Writer) held(std uint8) uint32 {
	if w.isTracing(std) {
		return w.traces[std].records
	}
	return w.lines[std].partial
}

// openTraces are the writers with traces that may go on. Guarded by outbox.mu.
type openTraces struct {
	writers []*Writer
	timer   *time.Timer // runs while there are any
	armed   time.Time   // when it was set
	closed  bool
}

func (o *openTraces) watch(w *Writer) {
	if w.watched || o.closed {
		return
	}
	w.watched = true
	if o.writers = append(o.writers, w); len(o.writers) == 1 {
		o.arm()
	}
}

func (o *openTraces) arm() {
	o.armed = time.Now()
	o.timer.Reset(traceTick)
}

// endIdle emits the traces that nothing more comes of, and looks again later where
// there are others.
func (c *Shared) endIdle() {
	o := &c.open
	c.out.Lock()
	all := slices.Clone(o.writers)
	late := time.Since(o.armed) > 2*traceTick
	c.out.Unlock()
	for _, w := range all {
		w.endIdle(late)
	}
	c.out.Lock()
	defer c.out.Unlock()
	open := o.writers[:0]
	for _, w := range o.writers {
		if w.watched = w.isTracing(decode.Stdout) || w.isTracing(decode.Stderr); w.watched {
			open = append(open, w)
		}
	}
	clear(o.writers[len(open):])
	if o.writers = open; len(open) > 0 && !o.closed {
		o.arm()
	}
}

// Close has traces end for good only as lines come.
func (c *Shared) Close() {
	c.out.Lock()
	defer c.out.Unlock()
	c.open.closed = true
	c.open.timer.Stop()
}

// Course is how a log is being read. By it a writer knows whether more may come.
type Course struct {
	Replaced bool      // another writer has taken the place of this one
	Runs     bool      // it is being read, or will be
	Follows  bool      // what is written comes by itself
	Since    time.Time // it does so
	Polls    bool      // it is asked for now and then
	Polled   time.Time // when that was begun last and has come to its end; zero if it has not
}

// idle says whether nothing more is to be expected of a trace.
func (r *Course) idle(t *trace, now time.Time) bool {
	switch {
	case now.Sub(t.began) >= maxTrace:
		return true
	case r.Polls:
		return r.Runs && !r.Polled.Before(t.read.Add(tracePause))
	}
	return r.Runs && r.Follows && min(now.Sub(t.read), now.Sub(r.Since)) >= tracePause
}

// endIdle emits those of the writer; late says that this comes late, as what is
// read may, too.
func (w *Writer) endIdle(late bool) {
	reading := w.reading()
	w.out.Lock()
	defer w.out.Unlock()
	now := time.Now()
	defer func() {
		if v := recover(); v != nil { // the next record will meet it again, where that is dealt with
			w.metrics.Panics.Inc()
			w.log.Error("a panic was caught while a stack trace was emitted, it is tried again with the next line", "error", supervise.NewPanicError(v))
			w.CutBack()
			for std := range w.traces {
				w.traces[std].read, w.traces[std].began = now.Add(time.Hour), now.Add(time.Hour)
			}
		}
		w.publish()
	}()
	for std := range uint8(len(w.traces)) {
		t := &w.traces[std]
		switch {
		case t.state == noTrace:
		case reading.Replaced:
			w.dropTrace(std) // the other one reads it again
			w.settle()
		case late, w.out.Filled(): // what follows was not read yet
			t.read = now
		case reading.idle(t, now):
			w.endTrace(std)
		}
	}
}
