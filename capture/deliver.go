package capture

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// deliver runs f, which makes records of the stream, with the outbox locked.
// at is where f keeps the record that it consumes, nil for none.
//
// The lock is that of all streams. So a panic in f gives it back, leaves
// nothing of half a record in the batch, and returns as a panicError; the next
// run of the stream goes on as from DB and meets the same record again.
func (s *stream) deliver(ctx context.Context, at *decode.Entry, f func() error) (err error) {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.col.out.Unlock()
	defer func() {
		if v := recover(); v != nil {
			err = supervise.NewPanicError(v)
			s.undo(at)
		}
		s.publish()
	}()
	return f()
}

// poison is a record that caused a panic, by itself and the one before it.
type poison struct {
	behind, record position.Mark
	panics         int
}

// maxPanics is at how many panics a record is left out: it would stop its
// container for good.
const maxPanics = 3

// undo puts the stream back behind the last whole record after a panic. out.mu
// is held.
func (s *stream) undo(at *decode.Entry) {
	s.CutBack()
	if s.half {
		bad := poison{behind: s.pos.Anchor.Newest()}
		if at != nil {
			bad.record = position.MarkOf(at)
		}
		if p := s.poison; p != nil && p.behind == bad.behind && p.record == bad.record {
			bad.panics = p.panics
		}
		if bad.panics++; bad.panics == maxPanics {
			s.leaveOut(at, bad.record)
		}
		s.poison, s.half = &bad, false
	}
	s.goOn(s.Snapshot())
}

// leaveOut drops a record and the incomplete line and trace that it belongs to, or
// at the end of a run (nil) all that are. out.mu is held.
func (s *stream) leaveOut(at *decode.Entry, m position.Mark) {
	for std := range uint8(len(s.lines)) {
		if at == nil || at.Std == std {
			s.lines[std] = line{}
			s.dropTrace(std)
		}
	}
	if at != nil {
		s.pass(&m)
	}
	s.settle()
	s.col.metrics.gaps.Inc()
	s.log.Error("gap: a record was left out, it made the capture panic each time it was read", "at", time.Unix(0, s.pos.Anchor.Time()).UTC())
}

// goOn makes p the place from which the stream reads next. out.mu is held.
func (s *stream) goOn(p position.Position) {
	s.skip, p.Skip = p.Skip, [3]uint32{}
	s.pos, s.based, s.lines = p, false, [3]line{}
	for std := range uint8(len(s.lines)) {
		s.dropTrace(std)
	}
	if s.needs(restored) {
		s.setBase(restored, p)
	}
}

// localKeepsEndsFrom is the first API version whose local driver keeps the
// newline of a line that it stores in partials (Engine 23).
const localKeepsEndsFrom = "1.42"

// window makes one for a log of the stream that is being opened.
func (s *stream) window() *decode.Window {
	c := s.container()
	if !c.TTY {
		w := decode.NewWindow(nil, s.rough.Load())
		w.Pieces = s.col.api.IsPodman()
		return w
	}
	ahead := s.col.ahead.Load()
	tty := &decode.TTY{
		Loose: c.Driver == "local" && s.col.api.OlderThan(localKeepsEndsFrom),
		Now:   func() int64 { return time.Now().UnixNano() + ahead },
	}
	if c.Running && c.StartedAt != 0 {
		tty.From, tty.To = c.StartedAt, c.SeenAt+ahead-decode.ClockSlack
	}
	return decode.NewWindow(tty, s.rough.Load())
}

// noteDamage counts and says what was left out of w since the last time, if
// records were consumed, so that what is read again is not counted again.
// out.mu is held.
func (s *stream) noteDamage(w *decode.Window, before uint64) {
	if w.Damaged == 0 || s.seen == before {
		return
	}
	s.col.metrics.damaged.Add(float64(w.Damaged))
	w.Damaged = 0
	s.notes.sayOnce(&s.notes.saidSkipped, func() {
		s.log.Warn("the Engine sent what is no record, which is left out and counted")
	})
}
