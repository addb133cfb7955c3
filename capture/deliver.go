package capture

import (
	"context"
	"time"
)

// deliver runs f, which makes records of the stream, with the outbox locked.
// at is where f keeps the record that it consumes, nil for none.
//
// The lock is that of all streams. So a panic in f gives it back, leaves
// nothing of half a record in the batch, and returns as a panicError; the next
// run of the stream goes on as from DB and meets the same record again.
func (s *stream) deliver(ctx context.Context, at *entry, f func() error) (err error) {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.col.out.unlock()
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
			s.undo(at)
		}
		s.publish()
	}()
	return f()
}

// poison is a record that caused a panic, by itself and the one before it.
type poison struct {
	behind, record mark
	panics         int
}

// maxPanics is at how many panics a record is left out: it would stop its
// container for good.
const maxPanics = 3

// undo puts the stream back behind the last whole record after a panic. out.mu
// is held.
func (s *stream) undo(at *entry) {
	if s.inBatch != nil {
		s.inBatch.cutBack()
	}
	if s.half {
		bad := poison{behind: s.pos.anchor.newest()}
		if at != nil {
			bad.record = markOf(at)
		}
		if p := s.poison; p != nil && p.behind == bad.behind && p.record == bad.record {
			bad.panics = p.panics
		}
		if bad.panics++; bad.panics == maxPanics {
			s.leaveOut(at, bad.record)
		}
		s.poison, s.half = &bad, false
	}
	s.goOn(s.snapshot())
}

// leaveOut drops a record and the incomplete line and trace that it belongs to, or
// at the end of a run (nil) all that are. out.mu is held.
func (s *stream) leaveOut(at *entry, m mark) {
	for std := range uint8(len(s.lines)) {
		if at == nil || at.std == std {
			s.lines[std] = line{}
			s.dropTrace(std)
		}
	}
	if at != nil {
		s.pass(&m)
	}
	s.settle()
	s.col.metrics.gaps.Inc()
	s.log.Error("gap: a record was left out, it made the capture panic each time it was read", "at", time.Unix(0, s.pos.anchor.time()).UTC())
}

// goOn makes p the place from which the stream reads next. out.mu is held.
func (s *stream) goOn(p position) {
	s.skip, p.skip = p.skip, [3]uint32{}
	s.pos, s.based, s.lines = p, false, [3]line{}
	for std := range uint8(len(s.lines)) {
		s.dropTrace(std)
	}
	if s.needs(restored) {
		s.setBase(restored, p)
	}
}
