package lines

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	must          = testkit.Must
	checkSequence = testkit.CheckSequence
)

// newMetrics makes counters that nobody asks.
func newMetrics() *Metrics {
	n := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{}) }
	return &Metrics{Lines: n(), Bytes: n(), Partials: n(), Truncated: n(), Doubles: n(), Undated: n(), Joined: n(), Damaged: n(), Gaps: n(), Panics: n()}
}

// newTestShared makes what writers have in common, with an outbox of their own.
func newTestShared(tb testing.TB) *Shared {
	out := outbox.New(256<<10, 16<<20, func() {})
	c := NewShared(out, 1<<20, [3]bool{decode.Stdout: true, decode.Stderr: true}, func() int64 { return 1e18 }, newMetrics())
	tb.Cleanup(func() {
		out.Close()
		c.Close()
	})
	return c
}

// newTestWriter makes a writer that nothing is read for but what the test gives it.
func newTestWriter(c *Shared) *Writer {
	w := &Writer{}
	w.SetUp(c, w, slog.New(slog.DiscardHandler), func() Course { return Course{} }, position.Position{})
	w.Describe(&container.Container{Driver: container.JSONFile})
	w.Make("", plain{})
	return w
}

// plain makes records that the test reads back.
type plain struct{}

const plainHead = 8 + 1 + 1 + 4

func (plain) Size(n int) int { return plainHead + n }

func (plain) Append(dst []byte, ts int64, std uint8, text []byte, truncated bool) []byte {
	flag := byte(0)
	if truncated {
		flag = 1
	}
	dst = append(binary.BigEndian.AppendUint64(dst, uint64(ts)), std, flag)
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(text))), text...)
}

// record is one of them.
type record struct {
	ts        int64
	std       uint8
	truncated bool
	text      string
}

func recordsOf(tb testing.TB, b []byte) (rs []record) {
	tb.Helper()
	for len(b) > 0 {
		if len(b) < plainHead || len(b)-plainHead < int(binary.BigEndian.Uint32(b[10:])) {
			tb.Fatalf("%d bytes are no record", len(b))
		}
		r := record{ts: int64(binary.BigEndian.Uint64(b)), std: b[8], truncated: b[9] != 0}
		n := int(binary.BigEndian.Uint32(b[10:]))
		r.text, b = string(b[plainHead:plainHead+n]), b[plainHead+n:]
		rs = append(rs, r)
	}
	return rs
}

// takeSome takes batches as Fluent Bit does, and acknowledges them.
func takeSome(tb testing.TB, w *Writer, batches int) (rs []record, more bool) {
	tb.Helper()
	for range batches {
		b := w.out.Next()
		if b == nil {
			return rs, false
		}
		rs = append(rs, recordsOf(tb, b.Buf)...)
		n := b.Records
		w.out.Appended()
		_, acked, _ := w.out.Totals()
		w.out.Ack(acked + uint64(n))
	}
	return rs, true
}

func takeAll(tb testing.TB, w *Writer) []record {
	tb.Helper()
	rs, _ := takeSome(tb, w, 1<<10)
	return rs
}

// A writer keeps no buffer of the long lines that it had, and all of them
// together few.
func TestLongLinesLeaveNoMemory(t *testing.T) {
	c := newTestShared(t)
	piece := []byte(strings.Repeat("x", decode.ChunkSize))
	for range 20 {
		w := newTestWriter(c)
		c.out.Lock()
		for std := range uint8(3) {
			for range 2 {
				w.Accept(&decode.Entry{Std: std, TS: 1, Text: piece})
			}
		}
		for std := range uint8(3) {
			w.Accept(&decode.Entry{Std: std, TS: 1, Text: piece[:100], Newline: true})
			if cap(w.lines[std].text) > 0 {
				t.Errorf("a writer keeps %d bytes", cap(w.lines[std].text))
			}
		}
		c.out.Unlock()
	}
	const most = 8 * 64 << 10 // as package outbox keeps of them
	if size := c.out.SpareLines(); size == 0 || size > most {
		t.Errorf("%d bytes are kept in all", size)
	}
}

// discard makes no records at all.
type discard struct{}

func (discard) Size(n int) int { return n }
func (discard) Append(dst []byte, _ int64, _ uint8, b []byte, _ bool) []byte {
	return append(dst, b...)
}

// A line costs the writer no allocation, whole or in pieces.
func TestWriterDoesNotAllocate(t *testing.T) {
	w := newTestWriter(newTestShared(t))
	w.Make("", discard{})
	text := bytes.Repeat([]byte("x"), 130)
	piece := bytes.Repeat([]byte("x"), decode.ChunkSize)
	e := decode.Entry{Std: decode.Stdout, TS: 1e18}
	whole := func() error {
		for range 400 {
			e.TS, e.Text, e.Newline = e.TS+1, text, true
			w.Accept(&e)
		}
		return nil
	}
	pieces := func() error {
		for range 4 {
			e.TS, e.Text, e.Newline = e.TS+1, piece, false
			w.Accept(&e)
			e.Newline = true
			w.Accept(&e)
		}
		return nil
	}
	for name, f := range map[string]func() error{"whole": whole, "pieces": pieces} {
		round := func() {
			if err := w.Deliver(t.Context(), nil, f); err != nil {
				panic(err)
			}
			for b := w.out.Next(); b != nil; b = w.out.Next() {
				w.out.Appended()
			}
			w.out.Ack(w.emitted)
		}
		for range 20 {
			round()
		}
		if n := testing.AllocsPerRun(100, round); n >= 4 { // of batches, of hundreds of lines
			t.Errorf("%s: %v allocations a round", name, n)
		}
	}
}
