package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

// benchLine is a line of 130 bytes as the Engine stores it, its text, and the
// frame it comes in.
var (
	benchText  = []byte(fmt.Sprintf("%-129s", `{"level":"info","msg":"GET /api/v1/items/4711 200","took":"3.2ms"}`))
	benchFrame = append(append([]byte{decode.Stdout, 0, 0, 0, 0, 0, 0, decode.TimeSize + 1 + 130}, testkit.Stamp+" "...), append(benchText, '\n')...)
)

const benchLines = 400 // frames in a read of about 64 KiB

func benchStream(tb testing.TB) *stream {
	cfg := testConfig(tb, "unix:///nowhere", nil)
	c, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func() {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return newStream(c, &container.Container{ID: string(bytes.Repeat([]byte("ab"), 32)), Name: "shop-web-1", Image: "nginx:1.27",
		Labels: map[string]string{labelComposeProject: "shop", labelComposeService: "web"}}, position.Position{})
}

// ackedOf is how many records were acknowledged.
func ackedOf(o *outbox.Outbox) uint64 {
	_, acked, _ := o.Totals()
	return acked
}

func drainOutbox(o *outbox.Outbox) {
	for b := o.Next(); b != nil; b = o.Next() {
		n := b.Records
		o.Appended()
		o.Ack(ackedOf(o) + uint64(n))
	}
}

func BenchmarkFrame(b *testing.B) {
	b.SetBytes(int64(len(benchFrame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, n, err := decode.CutFrame(benchFrame); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	s := benchStream(b)
	buf := make([]byte, 0, 1<<20)
	b.SetBytes(int64(len(benchText) + 1))
	b.ReportAllocs()
	for b.Loop() {
		buf = s.tmpl.Append(buf[:0], 1, decode.Stdout, benchText, false)
	}
}

func BenchmarkAnchor(b *testing.B) {
	var a position.Anchor
	e := decode.Entry{Std: decode.Stdout, Text: benchText}
	b.SetBytes(int64(len(benchText) + 1))
	b.ReportAllocs()
	for b.Loop() {
		e.TS++
		a.Push(position.MarkOf(&e))
	}
}

// wholePath takes reads of about 64 KiB from frames to acknowledged batches.
func wholePath(tb testing.TB) (read func()) {
	s := benchStream(tb)
	data := bytes.Repeat(benchFrame, benchLines)
	w := decode.NewWindow(nil, false)
	r := bytes.NewReader(data)
	deliver := func(e *decode.Entry) error { s.accept(e); return nil }
	return func() {
		r.Reset(data)
		for {
			n, err := w.Fill(r)
			if n > 0 {
				if err := s.deliverWindow(context.Background(), w, false, deliver); err != nil {
					tb.Fatal(err)
				}
				drainOutbox(s.col.out)
			}
			if errors.Is(err, io.EOF) {
				return
			}
		}
	}
}

func BenchmarkWholePath(b *testing.B) {
	read := wholePath(b)
	b.SetBytes(benchLines * 130)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		read()
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*benchLines), "ns/line")
}

// A line costs no allocation: what is left is a few per batch of hundreds.
func TestLinesDoNotAllocate(t *testing.T) {
	read := wholePath(t)
	for range 20 {
		read()
	}
	if perRead := testing.AllocsPerRun(200, read); perRead/benchLines >= 0.05 {
		t.Errorf("%.1f allocations for %d lines", perRead, benchLines)
	}
	s := benchStream(t)
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		e, _, _ := decode.CutFrame(benchFrame)
		buf = s.tmpl.Append(buf[:0], e.TS, e.Std, e.Text, false)
		s.pos.Advance(position.MarkOf(&e))
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}
