package capture

import (
	"context"
	"log/slog"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// line is an incomplete line of one std stream.
type line struct {
	pending bool
	ts      int64 // of its first partial
	text    []byte
	partial uint32 // partials so far that the position is behind
	torn    bool   // of a late one: it is not whole
	breaks  uint32 // of the stream, when it began
}

// base is a place that is to be read from again after a restart, because
// something behind it is not delivered yet: an incomplete line, or a trace.
type base struct {
	pos  position.Position
	seen [3]uint32 // records consumed behind it, by std
}

// accept takes the next record of the log. out.mu is held. A record is
// emitted before the position moves on: emitting may seal a batch, which
// notes the position.
func (s *stream) accept(e *decode.Entry) {
	s.half = true
	std := e.Std
	s.seen++
	if s.pos.Kind != position.FromAnchor && s.pos.Next != (position.Mark{}) {
		s.begins(e)
	}
	if s.skip[std] > 0 {
		s.skip[std]--
		s.advance(e)
		s.half = false
		return
	}
	l, cutTS := &s.lines[std], &s.pos.CutTS[std]
	if s.lineTimes {
		// A container that exits in the middle of a line leaves it without an
		// end; the next line has a timestamp of its own.
		if l.pending && l.ts != e.TS {
			broken := l.breaks != s.breaks
			s.endLine(std, s.leavesOpen(e))
			s.headless[std] = broken // it may be what is left of another long one
		}
		if *cutTS != e.TS {
			*cutTS = 0
		}
	}
	ends := !e.GoesOn()
	switch {
	case *cutTS != 0:
		if ends {
			*cutTS = 0
		}
	case ends && !l.pending:
		text := s.trimTerminal(e.Text, e.Newline || s.loose && s.headless[std])
		s.whole(std, e, e.TS, text, len(text) > s.col.cfg.MaxLineSize || s.headless[std])
		s.headless[std], s.long[std] = false, s.headless[std] // it may have been the end of a long one
	default:
		s.joinPartial(e, ends)
	}
	s.advance(e)
	s.half = false
}

// begins looks at the first record of a log that no anchor was found in: if it is
// not the one that is known to be, all that was to be skipped is gone. out.mu is held.
func (s *stream) begins(e *decode.Entry) {
	m, next := position.MarkOf(e), s.pos.Next
	if s.tty && m.TS == next.TS { // what has no end yet may be cut elsewhere
		return
	}
	if !m.Same(&next) {
		s.skip, s.longs[next.Std] = [3]uint32{}, s.longs[next.Std] || next.Size >= decode.ChunkSize
		s.settle()
		s.mayBeHeadless()
		s.lost(slog.LevelError, noLongerKept)
	}
}

// leavesOpen says that a record shows that the Engine has left out the rest of
// the line before: within a run of the container each line has an end. out.mu
// is held.
func (s *stream) leavesOpen(e *decode.Entry) bool {
	l := &s.lines[e.Std]
	return l.pending && l.ts != e.TS && s.lineTimes && e.Place == (decode.Place{}) && s.startedAt != 0 && l.ts >= s.startedAt
}

// looksHeadless says whether a record that a follow sends may be the rest of a
// line whose beginning the Engine has left out: it ends a line that is no longer
// than itself, and the line before was longer. out.mu is held.
func (s *stream) looksHeadless(e *decode.Entry) bool {
	return s.long[e.Std] && !s.lines[e.Std].pending && !e.GoesOn()
}

// mayBeHeadless follows a gap: where long lines are written, the first record
// behind it may be the rest of one. out.mu is held.
func (s *stream) mayBeHeadless() { s.headless = s.longs }

// broke follows a place where records are missing: what is incomplete there is
// a fragment. out.mu is held.
func (s *stream) broke() {
	s.breaks++
	s.mayBeHeadless()
}

// joinPartial adds a partial to the line of its std stream.
func (s *stream) joinPartial(e *decode.Entry, ends bool) {
	l := &s.lines[e.Std]
	if !l.pending {
		s.setBase(e.Std, s.pos)
		if s.pos.Kind != position.FromAnchor {
			s.bases[e.Std].pos.Next = position.MarkOf(e)
		}
		l.pending, l.ts, l.text, l.breaks = true, e.TS, s.col.out.LineBuffer(), s.breaks
	}
	s.count.partials++
	room := s.col.cfg.MaxLineSize - len(l.text)
	l.text = append(l.text, e.Text[:min(room, len(e.Text))]...)
	switch {
	case len(e.Text) > room:
		s.endLine(e.Std, true)
		if !ends {
			s.pos.CutTS[e.Std] = e.TS
			if e.TS == 0 {
				s.pos.CutTS[e.Std] = 1
			}
		}
	case ends:
		l.text = s.trimTerminal(l.text, e.Newline || s.loose)
		s.endLine(e.Std, false)
	}
}

// trimTerminal takes off the CR that a terminal, and not the container, put
// before the newline.
func (s *stream) trimTerminal(text []byte, newline bool) []byte {
	if k := len(text) - 1; s.tty && newline && k >= 0 && text[k] == '\r' {
		return text[:k]
	}
	return text
}

// endLine takes the incomplete line of a std stream for complete.
func (s *stream) endLine(std uint8, cut bool) {
	l := &s.lines[std]
	s.whole(std, nil, l.ts, l.text, cut || s.headless[std] || l.breaks != s.breaks)
	s.headless[std], s.long[std], s.longs[std] = false, true, true
	s.col.out.FreeLine(l.text)
	*l = line{}
	s.settle()
}

// restored is the index of the base that a restart gave, beside those of the
// std streams' lines and traces.
const restored = 0

// setBase notes the place before an incomplete line of a std stream, or the
// place of a restart.
func (s *stream) setBase(i uint8, p position.Position) {
	if s.bases[i] == nil { // most containers never need it
		s.bases[i] = new(base)
	}
	*s.bases[i], s.based = base{pos: p}, true
}

// needs says whether a base is one still.
func (s *stream) needs(i uint8) bool {
	switch {
	case i == restored:
		return s.skip != [3]uint32{}
	case i > decode.Stderr:
		return s.isTracing(i - decode.Stderr)
	}
	return s.lines[i].pending
}

// settle forgets the bases when nothing depends on any of them.
func (s *stream) settle() {
	for i := range uint8(len(s.bases)) {
		if !s.based || s.needs(i) {
			return
		}
	}
	s.based = false
}

// oldest is the base that is furthest back, nil if there is none.
func (s *stream) oldest() (b *base) {
	for i := range uint8(len(s.bases)) {
		switch {
		case !s.needs(i):
		case i == restored:
			return s.bases[i]
		case b == nil, b.seen[decode.Stdout]+b.seen[decode.Stderr] < s.bases[i].seen[decode.Stdout]+s.bases[i].seen[decode.Stderr]:
			b = s.bases[i]
		}
	}
	return b
}

func (s *stream) advance(e *decode.Entry) {
	m := position.MarkOf(e)
	s.pass(&m)
	s.pos.Place = e.Place
}

// pass moves the position behind a record that was consumed.
func (s *stream) pass(m *position.Mark) {
	s.pos.Advance(*m)
	if !s.based {
		return
	}
	for i := range uint8(len(s.bases)) {
		if s.needs(i) {
			s.bases[i].seen[m.Std]++
		}
	}
	if l := &s.lines[m.Std]; l.pending {
		l.partial++
	}
	if s.isTracing(m.Std) {
		s.traces[m.Std].records++
	}
	s.settle()
}

// emit appends a record to the outbox.
func (s *stream) emit(std uint8, ts int64, text []byte, cut bool) {
	if !s.isWanted(std) {
		s.col.out.Moved() // as if it were delivered
		return
	}
	if cut {
		text = text[:min(len(text), s.col.cfg.MaxLineSize)]
		s.count.cut++
	}
	if ts == decode.Undated {
		ts = s.date()
	}
	b := s.col.out.Batch(s.tag, &s.Seat, s.tmpl.size(len(text)))
	before := len(b.Buf)
	b.Buf = s.tmpl.append(b.Buf, ts, std, text, cut)
	s.col.out.Added(b, len(b.Buf)-before)
	s.count.lines++
	s.count.bytes += len(text)
}

// isWanted says whether a std stream becomes records.
func (s *stream) isWanted(std uint8) bool {
	return std == decode.Stdout && s.col.cfg.Stdout || std == decode.Stderr && s.col.cfg.Stderr
}

// incomplete says whether a line is.
func (s *stream) incomplete() bool {
	s.col.out.Lock()
	defer s.col.out.Unlock()
	return s.lines[decode.Stdout].pending || s.lines[decode.Stderr].pending
}

// date is the time of a line that has none of its own: that of the line before,
// or the present if there is none.
func (s *stream) date() int64 {
	s.count.undated++
	switch at := s.pos.Anchor.Time(); {
	case at != 0:
		s.dated = at
	case s.dated == 0:
		s.dated = time.Now().UnixNano() + s.col.ahead.Load()
	}
	s.notes.sayOnce(&s.notes.saidUndated, func() {
		s.log.Warn("lines have no time, or one outside of 1970 to 2105; they come with that of the line before, and are counted")
	})
	return s.dated
}

// endRun emits what the container left without a line end when it stopped; torn
// says that the log was not read to its end.
func (s *stream) endRun(ctx context.Context, torn bool) error {
	return s.deliver(ctx, nil, func() error {
		s.half = true
		for std := range uint8(len(s.lines)) {
			if s.lines[std].pending {
				s.endLine(std, torn)
			}
			s.pos.CutTS[std] = 0
		}
		s.endTraces()
		s.half = false
		return nil
	})
}
