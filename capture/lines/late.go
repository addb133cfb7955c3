package lines

import (
	"context"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// AcceptLate takes a record that the Engine had left out. It is older than
// others that were consumed: behind it, in the log, stand so many of them. It does not
// move the position. torn says that the beginning of its line was delivered before.
// The outbox is locked.
func (w *Writer) AcceptLate(e *decode.Entry, torn bool, behind int) {
	w.half = true
	w.seen++
	if w.skip[e.Std] > 0 { // nothing that is behind what is to be skipped came yet
		w.skip[e.Std]--
		w.passedLate(e.Std, behind)
		w.delivered(e.Std)
		w.settle()
		w.half = false
		return
	}
	if w.isTracing(e.Std) && w.bases[traceBase(e.Std)].total() > behind {
		w.endTrace(e.Std) // what is within it could not be skipped after a restart
	}
	if l := &w.lines[e.Std]; l.pending && w.bases[e.Std].total() > behind {
		l.partial++ // it is one of its pieces
	}
	w.passedLate(e.Std, behind)
	if w.late == nil {
		w.late = new([3]line)
	}
	l := &w.late[e.Std]
	if l.pending && l.ts != e.TS {
		w.emitLate(e.Std, true)
	}
	if !l.pending {
		l.pending, l.ts, l.torn = true, e.TS, torn
	}
	room := w.maxLine - len(l.text)
	l.text = append(l.text, e.Text[:min(room, len(e.Text))]...)
	l.torn = l.torn || len(e.Text) > room
	if !e.GoesOn() {
		l.text = w.trimTerminal(l.text, e.Newline || w.loose && len(l.text) > len(e.Text))
		w.emitLate(e.Std, l.torn)
	}
	w.half = false
}

func (w *Writer) emitLate(std uint8, torn bool) {
	l := &w.late[std]
	w.emit(std, l.ts, l.text, torn)
	w.delivered(std)
	*l = line{text: l.text[:0]}
}

// GoesOnLate says whether a record belongs to a line that came late. The outbox is
// locked.
func (w *Writer) GoesOnLate(e *decode.Entry) bool {
	return w.late != nil && w.late[e.Std].pending && w.late[e.Std].ts == e.TS && !w.lines[e.Std].pending
}

// PassedBy follows a record that was delivered before. A late line of its std
// stream that is not complete by then never will be. The outbox is locked.
func (w *Writer) PassedBy(e *decode.Entry) {
	if w.late != nil && w.late[e.Std].pending {
		w.emitLate(e.Std, true)
	}
}

// EndLate ends the delivery of late records. The position is behind the last record
// of the log then, and what is before an incomplete line is where the trail has it.
func (w *Writer) EndLate(ctx context.Context, t *position.Trail) error {
	return w.Deliver(ctx, nil, func() error {
		if w.late != nil {
			for std := range uint8(len(w.late)) {
				if w.late[std].pending {
					w.emitLate(std, true)
				}
			}
			w.late = nil
		}
		for i := range uint8(len(w.bases)) {
			if w.needs(i) {
				w.bases[i].pos.Rebase(t, w.bases[i].total())
			}
		}
		w.setAnchor(t.End())
		return nil
	})
}

// GoOnBehind has a position found again by these records alone.
func (w *Writer) GoOnBehind(ctx context.Context, end position.Anchor) error {
	return w.Deliver(ctx, nil, func() error { w.setAnchor(end); return nil })
}

// setAnchor moves the position. The outbox is locked.
func (w *Writer) setAnchor(a position.Anchor) {
	w.pos.Kind, w.pos.Anchor, w.pos.Place = position.FromAnchor, a, decode.Place{}
	w.out.Moved()
}
