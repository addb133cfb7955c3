package lines

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// Deliver runs f, which makes records, with the outbox locked. at is where f
// keeps the record that it consumes, nil for none.
//
// The lock is that of all streams. So a panic in f gives it back, leaves
// nothing of half a record in the batch, and returns as a PanicError; the next
// run of the stream goes on as from DB and meets the same record again.
func (w *Writer) Deliver(ctx context.Context, at *decode.Entry, f func() error) (err error) {
	if err := w.lock(ctx); err != nil {
		return err
	}
	defer w.out.Unlock()
	defer func() {
		if v := recover(); v != nil {
			err = supervise.NewPanicError(v)
			w.undo(at)
		}
		w.publish()
	}()
	return f()
}

// trial is a record that is being consumed, and what became of the one before.
type trial struct {
	half   bool    // one is being consumed
	poison *poison // where the last panic was, nil before the first
}

// poison is a record that caused a panic, by itself and the one before it.
type poison struct {
	behind, record position.Mark
	panics         int
}

// maxPanics is at how many panics a record is left out: it would stop its
// container for good.
const maxPanics = 3

// undo puts the writer back behind the last whole record after a panic. The
// outbox is locked.
func (w *Writer) undo(at *decode.Entry) {
	w.CutBack()
	if w.half {
		bad := poison{behind: w.pos.Anchor.Newest()}
		if at != nil {
			bad.record = position.MarkOf(at)
		}
		if p := w.poison; p != nil && p.behind == bad.behind && p.record == bad.record {
			bad.panics = p.panics
		}
		if bad.panics++; bad.panics == maxPanics {
			w.leaveOut(at, bad.record)
		}
		w.poison, w.half = &bad, false
	}
	w.goOn(w.Snapshot())
}

// leaveOut drops a record and the incomplete line and trace that it belongs to, or
// at the end of a run (nil) all that are. The outbox is locked.
func (w *Writer) leaveOut(at *decode.Entry, m position.Mark) {
	for std := range uint8(len(w.lines)) {
		if at == nil || at.Std == std {
			w.lines[std] = line{}
			w.done(std)
			w.dropTrace(std)
		}
	}
	if at != nil {
		w.pass(&m)
	}
	w.settle()
	w.metrics.Gaps.Inc()
	w.log.Error("gap: a record was left out, it made the capture panic each time it was read", "at", time.Unix(0, w.pos.Anchor.Time()).UTC())
}

// goOn makes p the place from which the log is read next. The outbox is locked.
func (w *Writer) goOn(p position.Position) {
	w.nothing()
	w.skip, p.Skip = p.Skip, [3]uint32{}
	w.pos, w.lines = p, [3]line{}
	for std := range uint8(len(w.lines)) {
		w.dropTrace(std)
	}
	if w.needs(restored) {
		w.setBase(restored, p)
	}
}

// DeliverRecords calls each for all whole records in log. The outbox is locked
// meanwhile.
func (w *Writer) DeliverRecords(ctx context.Context, log *decode.Window, eof bool, each func(*decode.Entry) error) error {
	return w.Deliver(ctx, &log.Entry, func() error {
		before := w.seen
		err := log.Each(eof, each)
		w.noteDamage(log, before)
		return err
	})
}

// noteDamage counts and says what was left out of log since the last time, if
// records were consumed, so that what is read again is not counted again.
// The outbox is locked.
func (w *Writer) noteDamage(log *decode.Window, before uint64) {
	if log.Damaged == 0 || w.seen == before {
		return
	}
	w.metrics.Damaged.Add(float64(log.Damaged))
	log.Damaged = 0
	w.warnOnce(&w.saidSkipped, "the Engine sent what is no record, which is left out and counted")
}
