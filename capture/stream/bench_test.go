package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/testkit"
)

// benchFrame is a line as the Engine sends it.
var benchFrame = append(append([]byte{decode.Stdout, 0, 0, 0, 0, 0, 0, decode.TimeSize + 1 + 130}, testkit.Stamp+" "...), append(testkit.Text, '\n')...)

const benchLines = 400 // frames in a read of about 64 KiB

// benchContainer is one whose records have the usual keys.
var benchContainer = container.Container{ID: string(bytes.Repeat([]byte("ab"), 32)), Name: "shop-web-1", Image: "nginx:1.27",
	Labels: map[string]string{container.LabelOf("compose_project"): "shop", container.LabelOf("compose_service"): "web"}}

// benchStream is a stream for which nothing runs.
func benchStream(tb testing.TB) *stream {
	return newStream(newSet(tb, "unix:///nowhere").tasks.shared, &benchContainer, position.Position{})
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

// wholePath takes reads of about 64 KiB from frames to acknowledged batches.
func wholePath(tb testing.TB) (read func()) {
	s := benchStream(tb)
	data := bytes.Repeat(benchFrame, benchLines)
	w := decode.NewWindow(nil, false)
	r := bytes.NewReader(data)
	log := s.readerLog()
	deliver := func(e *decode.Entry) error { s.Accept(e); return nil }
	return func() {
		r.Reset(data)
		for {
			n, err := w.Fill(r)
			if n > 0 {
				if err := log.DeliverWindow(context.Background(), w, false, deliver); err != nil {
					tb.Fatal(err)
				}
				drainOutbox(s.all.Out)
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
	opts := testConfig().Records
	tmpl, _ := record.NewTemplate(&opts, &benchContainer)
	var pos position.Position
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		e, _, _ := decode.CutFrame(benchFrame)
		buf = tmpl.Append(buf[:0], e.TS, e.Std, e.Text, false)
		pos.Advance(position.MarkOf(&e))
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// wholeFile reads a log file of n lines, from its path to acknowledged
// batches.
func wholeFile(tb testing.TB, n int) (read func()) {
	s := benchStream(tb)
	s.describe(&container.Container{ID: s.id, Name: "shop-web-1", Image: "nginx:1.27", Driver: "json-file", LogPath: testkit.JSONFile(tb, n)})
	return func() {
		if err := s.BeginAt(tb.Context(), position.Position{}); err != nil {
			tb.Fatal(err)
		}
		if err := newReaders(s).file.Read(tb.Context(), false); err != nil {
			tb.Fatal(err)
		}
		before := ackedOf(s.all.Out)
		drainOutbox(s.all.Out)
		if got := ackedOf(s.all.Out) - before; got != uint64(n) {
			tb.Fatalf("%d records of %d lines", got, n)
		}
	}
}

func BenchmarkWholeFile(b *testing.B) {
	const n = 20_000
	read := wholeFile(b, n)
	b.SetBytes(n * 130)
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/line")
}

func TestLinesOfFilesDoNotAllocate(t *testing.T) {
	const n = 20_000
	read := wholeFile(t, n)
	read()
	if perRead := testing.AllocsPerRun(5, read); perRead/n >= 0.05 {
		t.Errorf("%.0f allocations for %d lines", perRead, n)
	}
}
