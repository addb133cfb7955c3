package capture

import "context"

// acceptLate takes a record that is older than others that were consumed: the
// Engine had left it out. It does not move the position. torn says that the
// beginning of its line was delivered before. out.mu is held.
func (s *stream) acceptLate(e *entry, torn bool) {
	s.half = true
	s.seen++
	if s.late == nil {
		s.late = new([3]line)
	}
	l := &s.late[e.std]
	if l.pending && l.ts != e.ts {
		s.emitLate(e.std, true)
	}
	if !l.pending {
		l.pending, l.ts, l.torn = true, e.ts, torn
	}
	room := s.col.cfg.MaxLineSize - len(l.text)
	l.text = append(l.text, e.text[:min(room, len(e.text))]...)
	l.torn = l.torn || len(e.text) > room
	if e.newline || len(e.text) < chunkSize {
		l.text = s.trimTerminal(l.text, e.newline || s.loose && len(l.text) > len(e.text))
		s.emitLate(e.std, l.torn)
	}
	s.half = false
}

func (s *stream) emitLate(std uint8, torn bool) {
	l := &s.late[std]
	s.emit(std, l.ts, l.text, torn)
	*l = line{text: l.text[:0]}
}

// passedBy follows a record that was delivered before: a late line of its std
// stream that is not complete by then never will be. out.mu is held.
func (s *stream) passedBy(e *entry) {
	if s.late != nil && s.late[e.std].pending {
		s.emitLate(e.std, true)
	}
}

// endLate ends the delivery of late records, after which the position is behind
// the last record of the log.
func (s *stream) endLate(ctx context.Context, end anchor) error {
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
func (s *stream) goOnBehind(ctx context.Context, end anchor) error {
	return s.deliver(ctx, nil, func() error { s.setAnchor(end); return nil })
}

// setAnchor moves the position. out.mu is held.
func (s *stream) setAnchor(a anchor) {
	s.pos.kind, s.pos.anchor, s.pos.spot = fromAnchor, a, spot{}
	s.col.out.moved = true
}
