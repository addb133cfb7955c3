package capture

import (
	"context"
	"time"
)

// line is an incomplete line of one std stream.
type line struct {
	pending bool
	ts      int64 // of its first partial
	text    []byte
	partial uint32 // partials so far
}

// accept takes the next record of the log. out.mu is held. A record is
// emitted before the position moves on: emitting may seal a batch, which
// notes the position.
func (s *stream) accept(e *entry) {
	s.half = true
	std := e.std
	s.seen++
	if s.skip[std] > 0 {
		s.skip[std]--
		s.since[std]++
		s.advance(e)
		s.half = false
		return
	}
	l, cutTS := &s.lines[std], &s.pos.cutTS[std]
	if s.lineTimes {
		// A container that exits in the middle of a line leaves it without an
		// end; the next line has a timestamp of its own.
		if l.pending && l.ts != e.ts {
			s.endLine(std, false)
		}
		if *cutTS != e.ts {
			*cutTS = 0
		}
	}
	ends := e.newline || len(e.text) < chunkSize
	switch {
	case *cutTS != 0:
		if ends {
			*cutTS = 0
		}
		s.since[std]++
	case ends && !l.pending:
		text := s.trimTerminal(e.text, e.newline)
		s.emit(std, e.ts, text, len(text) > s.col.cfg.MaxLineSize)
		s.since[std]++
	default:
		s.joinPartial(e, ends)
	}
	s.advance(e)
	s.half = false
}

// joinPartial adds a partial to the line of its std stream.
func (s *stream) joinPartial(e *entry, ends bool) {
	l := &s.lines[e.std]
	if !l.pending {
		if !s.based {
			s.setBase(s.pos)
			s.since = [3]uint32{}
		}
		l.pending, l.ts, l.text = true, e.ts, s.col.out.lineBuffer()
	}
	s.count.partials++
	l.partial++
	room := s.col.cfg.MaxLineSize - len(l.text)
	l.text = append(l.text, e.text[:min(room, len(e.text))]...)
	switch {
	case len(e.text) > room:
		s.endLine(e.std, true)
		if !ends {
			s.pos.cutTS[e.std] = e.ts
			if e.ts == 0 {
				s.pos.cutTS[e.std] = 1
			}
		}
	case ends:
		l.text = s.trimTerminal(l.text, e.newline)
		s.endLine(e.std, false)
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

// endLine emits the incomplete line of a std stream.
func (s *stream) endLine(std uint8, cut bool) {
	l := &s.lines[std]
	s.emit(std, l.ts, l.text, cut)
	s.since[std] += l.partial
	s.col.out.freeLine(l.text)
	*l = line{}
	s.settle()
}

// setBase notes where the oldest line begins that is incomplete.
func (s *stream) setBase(p position) {
	if s.base == nil { // most containers never need it
		s.base = new(position)
	}
	*s.base, s.based = p, true
}

// settle forgets the base when nothing depends on it any more.
func (s *stream) settle() {
	if s.based && !s.lines[stdout].pending && !s.lines[stderr].pending && s.skip == [3]uint32{} {
		s.based = false
	}
}

func (s *stream) advance(e *entry) {
	s.pos.advance(markOf(e))
	s.pos.spot = e.spot
	s.settle()
}

// emit appends a record to the outbox.
func (s *stream) emit(std uint8, ts int64, text []byte, cut bool) {
	if (std == stdout && !s.col.cfg.Stdout) || (std == stderr && !s.col.cfg.Stderr) {
		s.col.out.moved = true // as if it were delivered
		return
	}
	if cut {
		text = text[:min(len(text), s.col.cfg.MaxLineSize)]
		s.count.cut++
	}
	if ts == undated {
		ts = s.date()
	}
	b := s.col.out.batch(s.tag, s, s.tmpl.size(len(text)))
	before := len(b.Buf)
	b.Buf = s.tmpl.append(b.Buf, ts, std, text, cut)
	s.col.out.added(b, len(b.Buf)-before)
	s.count.lines++
	s.count.bytes += len(text)
}

// incomplete says whether a line is.
func (s *stream) incomplete() bool {
	s.col.out.mu.Lock()
	defer s.col.out.mu.Unlock()
	return s.lines[stdout].pending || s.lines[stderr].pending
}

// date is the time of a line that has none of its own: that of the line before,
// or the present if there is none.
func (s *stream) date() int64 {
	s.count.undated++
	switch at := s.pos.anchor.time(); {
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

// endRun emits what the container left without a line end when it stopped.
func (s *stream) endRun(ctx context.Context) error {
	return s.deliver(ctx, nil, func() error {
		s.half = true
		for std := range uint8(len(s.lines)) {
			if s.lines[std].pending {
				s.endLine(std, false)
			}
			s.pos.cutTS[std] = 0
		}
		s.half = false
		return nil
	})
}
