package outbox

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

// writer is a source whose position is how many records it has written.
type writer struct {
	seat Seat
	out  *Outbox
	n    int64
}

func newWriter(o *Outbox) *writer {
	w := &writer{out: o}
	w.seat.Source = w
	return w
}

func (w *writer) Snapshot() position.Position {
	p := position.Position{}
	p.Advance(position.Mark{TS: w.n, Count: 1})
	return p
}

// write appends a record of ten bytes.
func (w *writer) write(tag string) {
	w.out.Lock()
	defer w.out.Unlock()
	b := w.out.Batch(tag, &w.seat, 10)
	w.n++
	b.Buf = append(b.Buf, byte('a'+w.n%26), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	w.out.Added(b, 10)
}

// committed is up to which record a restart would go on.
func (w *writer) committed() int64 { return w.seat.Committed.Anchor.Newest().TS }

// appendAll takes so many batches at most, and says what was in them and how many
// records those are.
func appendAll(o *Outbox, most int) (texts []string, records uint64) {
	for b := o.Next(); b != nil && most > 0; b = o.Next() {
		texts = append(texts, string(b.Buf))
		records += uint64(b.Records)
		o.Appended()
		most--
	}
	return texts, records
}

// Next is the same batch until Appended, and positions are committed by whole
// batches, no further than Ack says.
func TestNextAppendedAck(t *testing.T) {
	told := 0
	o := New(100, 1<<20, func() { told++ })
	defer o.Close()
	if o.Next() != nil {
		t.Fatal("a batch out of nothing")
	}
	w := newWriter(o)
	for range 25 {
		w.write("")
	}
	if told == 0 {
		t.Error("nobody was woken")
	}
	first := o.Next()
	if o.Next() != first || first.Records != 10 || len(first.Buf) != 100 {
		t.Fatalf("%d records, %d bytes", first.Records, len(first.Buf))
	}
	o.Appended()
	o.Ack(9)
	if w.committed() != 0 || !w.seat.Waits() {
		t.Errorf("committed up to %d before the whole batch was acknowledged", w.committed())
	}
	o.Ack(10)
	if w.committed() != 10 {
		t.Errorf("committed up to record %d, not 10", w.committed())
	}
	if _, n := appendAll(o, 100); n != 15 || o.Outstanding() != 15 || o.Size() != 0 {
		t.Errorf("%d records, %d outstanding, %d bytes left", n, o.Outstanding(), o.Size())
	}
	o.Ack(25)
	if o.Outstanding() != 0 || w.committed() != 25 || w.seat.Waits() {
		t.Errorf("%d outstanding, committed up to %d, waits %v", o.Outstanding(), w.committed(), w.seat.Waits())
	}
}

// A source whose tag changes has its batches sealed in the order of its records.
func TestTagChanges(t *testing.T) {
	o := New(1000, 1<<20, func() {})
	defer o.Close()
	w := newWriter(o)
	for _, tag := range []string{"a", "a", "b", "a"} {
		w.write(tag)
	}
	var tags []string
	for b := o.Next(); b != nil; b = o.Next() {
		tags = append(tags, b.Tag)
		o.Appended()
		o.Ack(uint64(w.n))
	}
	testkit.CheckSequence(t, "tags", []string{"a", "b", "a"}, tags)
	if w.committed() != 4 {
		t.Errorf("committed up to %d", w.committed())
	}
}

// What Fluent Bit did not keep comes again, before everything else and in the
// same order; nothing of it is committed before it is acknowledged, and it is
// counted.
func TestRefusedComesAgain(t *testing.T) {
	o := New(50, 1<<20, func() {})
	defer o.Close()
	w := newWriter(o)
	for range 30 {
		w.write("")
	}
	first, total := appendAll(o, 3)
	o.Ack(total)
	acked, committed, size := total, w.committed(), o.Size()
	refused, inFlight := appendAll(o, 3)
	if n := o.Refuse(); n != inFlight || o.Outstanding() != 0 || !o.IsRefusing() || o.Size() != size {
		t.Fatalf("%d refused, want %d; %d outstanding, refusing %v, %d bytes, not %d", n, inFlight, o.Outstanding(), o.IsRefusing(), o.Size(), size)
	}
	if w.committed() != committed {
		t.Error("a refusal committed something")
	}
	again, n := appendAll(o, 1<<10)
	if !slices.Equal(again[:3], refused) || len(first) != 3 || acked+n != 30 {
		t.Errorf("%d records, want 30\n%q came again as\n%q", acked+n, refused, again[:3])
	}
	o.Ack(30)
	if appended, ackedNow, back := o.Totals(); appended != 30+inFlight || ackedNow != 30 || back != inFlight {
		t.Errorf("%d appended, %d acknowledged, %d refused", appended, ackedNow, back)
	}
	if o.IsRefusing() || w.committed() != 30 || o.Size() != 0 {
		t.Errorf("refusing %v, committed %d, %d bytes", o.IsRefusing(), w.committed(), o.Size())
	}
}

// Half a record is cut off the batch, what was whole before it stays. Without an
// acknowledgement its source is among those whose records nobody holds.
func TestHalfARecordIsCutBack(t *testing.T) {
	o := New(1000, 1<<20, func() {})
	defer o.Close()
	w := newWriter(o)
	w.write("")
	o.Lock()
	b := o.Batch("", &w.seat, 10)
	b.Buf = append(b.Buf, "half"...)
	w.seat.CutBack()
	o.Unlock()
	if b := o.Next(); len(b.Buf) != 10 || b.Records != 1 {
		t.Errorf("%q, %d records", b.Buf, b.Records)
	}
	if left := o.Untaken(); len(left) != 1 || left[0] != w {
		t.Errorf("untaken: %v", left)
	}
}

// What was committed is told once, with the position of that moment.
func TestCommittedIsToldOnce(t *testing.T) {
	o := New(1000, 1<<20, func() {})
	defer o.Close()
	o.Journaled = make(chan struct{}, 1)
	w := newWriter(o)
	w.write("")
	_, n := appendAll(o, 1)
	o.Ack(n)
	if all := o.TakeCommitted(); len(all) != 1 || all[0].Seat != &w.seat || all[0].Pos.Anchor.Newest().TS != 1 {
		t.Errorf("%v", all)
	}
	if all := o.TakeCommitted(); len(all) != 0 {
		t.Errorf("again: %v", all)
	}
	w.write("")
	_, more := appendAll(o, 1)
	o.Ack(n + more)
	if all := o.TakeCommitted(); len(all) != 1 || all[0].Pos.Anchor.Newest().TS != 2 {
		t.Errorf("what was committed since: %v", all)
	}
}

// Fluent Bit's thread is woken at once after a silence, for more lines that fill no batch after calmPace, and for a
// batch that is full after pace.
func TestWakeUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		o := New(100, 1<<20, func() { at = append(at, time.Since(began)) })
		defer o.Close()
		w := newWriter(o)
		lines := func(n int) {
			for range n {
				w.write("")
			}
			time.Sleep(time.Second)
			synctest.Wait()
			appendAll(o, 100)
			appendAll(o, 100)
		}
		lines(1)
		lines(1)
		took := func(n int) { // and there is more before the next one
			w.write("")
			appendAll(o, 100)
			appendAll(o, 100)
			lines(n)
		}
		took(1)
		took(11)
		want := []time.Duration{0, time.Second, 2 * time.Second, 2*time.Second + calmPace, 3 * time.Second, 3*time.Second + pace}
		if !slices.Equal(at, want) {
			t.Errorf("woken at %v, not %v", at, want)
		}
	})
}

// In a long catch-up batches are made once, of their full size, and used again.
func TestBatchesAreUsedAgain(t *testing.T) {
	o := New(64<<10, 1<<20, func() {})
	defer o.Close()
	w := newWriter(o)
	var acked uint64
	round := func() {
		for o.Size() < o.Limit {
			w.write("")
		}
		_, n := appendAll(o, 1<<10)
		acked += n
		o.Ack(acked)
	}
	round()
	small := 0 // the last one of a round may be
	for _, b := range o.batches {
		if cap(b.Buf) != 64<<10 {
			small++
		}
	}
	if small > 1 {
		t.Errorf("%d batches are small", small)
	}
	spare := len(o.batches)
	for range 3 {
		round()
	}
	if spare < 16 || len(o.batches) != spare {
		t.Errorf("%d batches, %d before", len(o.batches), spare)
	}
	// A few lines of each of many tags take little.
	for tag := range 1000 {
		w := newWriter(o)
		w.write(string(rune('a' + tag)))
	}
	most := 0
	for _, b := range o.order {
		most += cap(b.Buf)
	}
	if most -= spare * 64 << 10; most > 1000<<10 {
		t.Errorf("%d bytes for 1000 lines of 1000 tags", most)
	}
}
