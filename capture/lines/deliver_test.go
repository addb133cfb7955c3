package lines

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/supervise"
)

// What a panic leaves of a record is taken off the batch, and a stream that
// is in the middle of a line goes on before it.
func TestPanicLeavesNoHalfRecord(t *testing.T) {
	w := newTestWriter(newTestShared(t))
	o := w.out
	records := []decode.Entry{
		{Std: decode.Stdout, TS: 1e9, Newline: true, Text: []byte("first")},
		{Std: decode.Stderr, TS: 2e9, Text: []byte(strings.Repeat("z", decode.ChunkSize))},
		{Std: decode.Stdout, TS: 3e9, Newline: true, Text: []byte("second")},
	}
	accept := func() error {
		for i := range records {
			w.Accept(&records[i])
		}
		return nil
	}
	must(t, w.Deliver(t.Context(), nil, accept))
	before := w.Snapshot()
	err := w.Deliver(t.Context(), nil, func() error {
		b := o.Batch(w.tag, &w.Seat, 100)
		b.Buf = append(b.Buf, "half a reco"...)
		panic("in the middle")
	})
	var p supervise.PanicError
	if !errors.As(err, &p) || p.Value != "in the middle" || !strings.Contains(p.Stack, "TestPanicLeavesNoHalfRecord") {
		t.Fatalf("the panic came back as %v", err)
	}
	if after := w.Snapshot(); after != before {
		t.Errorf("the position moved from %+v to %+v", before, after)
	}
	b := o.Next()
	if rs := recordsOf(t, b.Buf); len(rs) != 2 || b.Records != 2 || o.Size() != len(b.Buf) {
		t.Errorf("the batch of %d records, %d bytes of %d, holds %d", b.Records, len(b.Buf), o.Size(), len(rs))
	}
	o.Appended()

	// From there on the same records are read again: only what is missing comes.
	records = append(records[1:], decode.Entry{Std: decode.Stderr, TS: 2e9, Newline: true, Text: []byte("end")})
	must(t, w.Deliver(t.Context(), nil, accept))
	rs := recordsOf(t, o.Next().Buf)
	if len(rs) != 1 || rs[0].text != strings.Repeat("z", decode.ChunkSize)+"end" {
		t.Errorf("%d records after it: %.200v", len(rs), rs)
	}
}

// A run that was replaced delivers nothing, and the lock is free after it.
func TestCancelledRunDeliversNothing(t *testing.T) {
	w := newTestWriter(newTestShared(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Deliver(ctx, nil, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("deliver: %v", err)
	}
	free := make(chan struct{})
	go func() {
		defer close(free)
		w.out.Lock()
		defer w.out.Unlock()
		if w.out.Filled() {
			t.Error("the outbox is full")
		}
	}()
	select {
	case <-free:
	case <-time.After(time.Minute):
		t.Fatal("the outbox is locked")
	}
}

// What is incomplete where a log has a gap comes, and is counted at once.
func TestIncompleteAtAGapIsCounted(t *testing.T) {
	w := newTestWriter(newTestShared(t))
	e := &decode.Entry{TS: 1e18, Std: decode.Stdout, Text: bytes.Repeat([]byte("x"), decode.ChunkSize)}
	must(t, w.Deliver(t.Context(), e, func() error { w.Accept(e); return nil }))
	p := w.Position()
	other, err := w.GapBehind(t.Context(), &p.Anchor)
	must(t, err)
	if n := testutil.ToFloat64(w.metrics.Lines); !other || n != 1 {
		t.Errorf("%v lines are counted, it is another gap: %v", n, other)
	}
	if rs := takeAll(t, w); len(rs) != 1 || !rs[0].truncated {
		t.Errorf("%d records came", len(rs))
	}
}
