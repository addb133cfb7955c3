package capture

import (
	"context"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// acceptLate takes a record that is older than others that were consumed: the
// Engine had left it out. It does not move the position. torn says that the
// beginning of its line was delivered before. out.mu is held.
func (s *stream) acceptLate(e *decode.Entry, torn bool) {
	s.half = true
	s.seen++
	if s.late == nil {
		s.late = new([3]line)
	}
	l := &s.late[e.Std]
	if l.pending && l.ts != e.TS {
		s.emitLate(e.Std, true)
	}
	if !l.pending {
		l.pending, l.ts, l.torn = true, e.TS, torn
	}
	room := s.col.cfg.MaxLineSize - len(l.text)
	l.text = append(l.text, e.Text[:min(room, len(e.Text))]...)
	l.torn = l.torn || len(e.Text) > room
	if !e.GoesOn() {
		l.text = s.trimTerminal(l.text, e.Newline || s.loose && len(l.text) > len(e.Text))
		s.emitLate(e.Std, l.torn)
	}
	s.half = false
}

func (s *stream) emitLate(std uint8, torn bool) {
	l := &s.late[std]
	s.emit(std, l.ts, l.text, torn)
	*l = line{text: l.text[:0]}
}

// goesOnLate says whether a record goes on with a line whose beginning was delivered
// late. out.mu is held.
func (s *stream) goesOnLate(e *decode.Entry) bool {
	return s.late != nil && s.late[e.Std].pending && s.late[e.Std].ts == e.TS && !s.lines[e.Std].pending
}

// passedBy follows a record that was delivered before: a late line of its std
// stream that is not complete by then never will be. out.mu is held.
func (s *stream) passedBy(e *decode.Entry) {
	if s.late != nil && s.late[e.Std].pending {
		s.emitLate(e.Std, true)
	}
}

// endLate ends the delivery of late records, after which the position is behind
// the last record of the log.
func (s *stream) endLate(ctx context.Context, end position.Anchor) error {
	return s.deliver(ctx, nil, func() error {
		if s.late != nil {
			for std := range uint8(len(s.late)) {
				if s.late[std].pending {
					s.emitLate(std, true)
				}
			}
			s.late = nil
		}
		s.setAnchor(end)
		return nil
	})
}

// goOnBehind has a position found again by these records alone.
func (s *stream) goOnBehind(ctx context.Context, end position.Anchor) error {
	return s.deliver(ctx, nil, func() error { s.setAnchor(end); return nil })
}

// setAnchor moves the position. out.mu is held.
func (s *stream) setAnchor(a position.Anchor) {
	s.pos.Kind, s.pos.Anchor, s.pos.Place = position.FromAnchor, a, decode.Place{}
	s.col.out.Moved()
}
