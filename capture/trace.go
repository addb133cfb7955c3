package capture

import (
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
	breaks   uint32    // of the stream, when it began
	read     time.Time // when its last line was read
	began    time.Time // when its first line was read
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

// traceBase is the index of the base of a std stream's trace.
func traceBase(std uint8) uint8 { return decode.Stderr + std }

// joinsTraces makes the stream join, or not join, stack traces.
func (s *stream) joinsTraces(l languages) {
	s.multi = l
	if l != 0 && s.traces == nil {
		s.traces = new([3]trace)
	}
}

// whole takes a complete line, which e ended; nil if what is incomplete ends so.
// It is emitted, or becomes part of a stack trace. out.mu is held.
func (s *stream) whole(std uint8, e *decode.Entry, ts int64, text []byte, cut bool) {
	if s.multi == 0 || !s.isWanted(std) { // the way of most lines
		s.emit(std, ts, text, cut)
		return
	}
	t := &s.traces[std]
	fits := !cut && ts != decode.Undated
	if t.state != noTrace {
		next := noTrace
		if fits && t.hasRoom(ts, len(text), s.col.cfg.MaxLineSize) && t.breaks == s.breaks {
			next = t.state.next(text)
		}
		if next != noTrace {
			t.state, t.last, t.read = next, ts, time.Now()
			t.text = append(append(t.text, '\n'), text...)
			t.lines++
			return
		}
		s.endTrace(std)
	}
	if fits {
		if state := s.multi.begins(text); state != noTrace {
			s.beginTrace(std, e, ts, text, state)
			return
		}
	}
	s.emit(std, ts, text, cut)
}

// hasRoom says whether a line of so many bytes may belong to the trace.
func (t *trace) hasRoom(ts int64, size, most int) bool {
	return t.lines < maxTraceLines && len(t.text)+1+size <= most && ts-t.last <= int64(tracePause) && ts-t.ts <= int64(maxTrace)
}

func (s *stream) beginTrace(std uint8, e *decode.Entry, ts int64, text []byte, state traceState) {
	t, i, l := &s.traces[std], traceBase(std), &s.lines[std]
	if l.pending { // it began with its first partial
		s.setBase(i, s.bases[std].pos)
		*s.bases[i] = *s.bases[std]
		t.records = l.partial
	} else {
		s.setBase(i, s.pos)
		if s.pos.Kind != position.FromAnchor {
			s.bases[i].pos.Next = position.MarkOf(e)
		}
	}
	now := time.Now()
	t.state, t.ts, t.last, t.lines, t.breaks, t.began, t.read = state, ts, ts, 1, s.breaks, now, now
	t.text = append(s.col.out.LineBuffer(), text...)
	s.col.traces.watch(s)
}

// endTrace emits a trace as it is by now. out.mu is held.
func (s *stream) endTrace(std uint8) {
	t := &s.traces[std]
	s.emit(std, t.ts, t.text, false)
	s.count.joined += t.lines - 1
	s.col.out.FreeLine(t.text)
	*t = trace{}
	s.settle()
}

// endTraces emits all that are open. out.mu is held.
func (s *stream) endTraces() {
	for std := range uint8(3) {
		if s.isTracing(std) {
			s.endTrace(std)
		}
	}
}

// isTracing says whether a std stream has a trace that may go on.
func (s *stream) isTracing(std uint8) bool { return s.traces != nil && s.traces[std].state != noTrace }

// dropTrace forgets a trace, which is to be read again or to be left out.
func (s *stream) dropTrace(std uint8) {
	if s.traces != nil {
		s.traces[std] = trace{}
	}
}

// held is how many of the last records of a std stream are not delivered,
// because they belong to what is not complete.
func (s *stream) held(std uint8) uint32 {
	if s.isTracing(std) {
		return s.traces[std].records
	}
	return s.lines[std].partial
}

// openTraces are the streams with traces that may go on. Guarded by outbox.mu.
type openTraces struct {
	streams []*stream
	timer   *time.Timer // runs while there are any
	armed   time.Time   // when it was set
	closed  bool
}

func (o *openTraces) watch(s *stream) {
	if s.watched || o.closed {
		return
	}
	s.watched = true
	if o.streams = append(o.streams, s); len(o.streams) == 1 {
		o.arm()
	}
}

func (o *openTraces) arm() {
	o.armed = time.Now()
	o.timer.Reset(traceTick)
}

// endIdleTraces emits the traces that nothing more comes of, and looks again
// later where there are others.
func (c *Collector) endIdleTraces() {
	c.out.Lock()
	all := append([]*stream(nil), c.traces.streams...)
	late := time.Since(c.traces.armed) > 2*traceTick
	c.out.Unlock()
	for _, s := range all {
		s.endIdleTraces(late)
	}
	c.out.Lock()
	defer c.out.Unlock()
	open := c.traces.streams[:0]
	for _, s := range c.traces.streams {
		if s.watched = s.isTracing(decode.Stdout) || s.isTracing(decode.Stderr); s.watched {
			open = append(open, s)
		}
	}
	clear(c.traces.streams[len(open):])
	if c.traces.streams = open; len(open) > 0 && !c.traces.closed {
		c.traces.arm()
	}
}

// closeTraces ends that for good.
func (c *Collector) closeTraces() {
	c.out.Lock()
	defer c.out.Unlock()
	c.traces.closed = true
	c.traces.timer.Stop()
}

// endIdleTraces emits those of the stream; late says that this comes late, as
// what is read may, too.
func (s *stream) endIdleTraces(late bool) {
	polled := s.notes.now() == readerPoll
	_, running := s.col.present(s.id)
	s.meta.Lock()
	reading, since, polledSince := running && s.doing == streamReading && !s.synced.IsZero(), s.doingSince, s.asked
	if s.lastPoll.IsZero() || !s.asking.IsZero() {
		polledSince = time.Time{}
	}
	s.meta.Unlock()
	present := s.col.captured(s.id) == s
	out, now := s.col.out, time.Now()
	out.Lock()
	defer out.Unlock()
	defer func() {
		if v := recover(); v != nil { // the next record will meet it again, where that is dealt with
			s.col.metrics.panics.Inc()
			s.log.Error("a panic was caught while a stack trace was emitted, it is tried again with the next line", "error", supervise.NewPanicError(v))
			s.CutBack()
			for std := range s.traces {
				s.traces[std].read, s.traces[std].began = now.Add(time.Hour), now.Add(time.Hour)
			}
		}
		s.publish()
	}()
	for std := range uint8(len(s.traces)) {
		t := &s.traces[std]
		switch {
		case t.state == noTrace:
		case !present:
			s.dropTrace(std) // another stream has taken its place, and reads it again
			s.settle()
		case late, out.Filled(): // what follows was not read yet
			t.read = now
		case running && polled && !polledSince.Before(t.read.Add(tracePause)), !polled && reading && min(now.Sub(t.read), now.Sub(since)) >= tracePause, now.Sub(t.began) >= maxTrace:
			s.endTrace(std)
		}
	}
}
