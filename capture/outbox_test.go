package capture

import (
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
)

// While Fluent Bit takes nothing, memory is bounded, the log is not left open
// unread, and nothing is lost.
func TestBackPressure(t *testing.T) {
	const limit = 1 << 20
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Buffer_Limit": "1M"})
	a.connected()
	a.pause(true)
	c := e.Run(dockertest.Container{Name: "web"})
	line := strings.Repeat("x", 500)
	c.Flood(dockertest.Stdout, 20000, func(dst []byte, i int) []byte { return append(dst, line...) })
	c.Stdout("last")
	a.waitFor("a full outbox", func() bool { return a.col.out.Size() >= limit })
	must(t, c.WaitFollowers(testContext(t), 0))
	if n := a.col.out.Size(); n > limit+(decode.MaxWindow*2) {
		t.Errorf("%d bytes wait for Fluent Bit, Buffer_Limit is %d", n, limit)
	}
	other := e.Run(dockertest.Container{Name: "other"})
	other.Stdout("line")
	a.pause(false)
	a.waitTexts(c.ID, "", 20001)
	a.waitTexts(other.ID, "", 1)
	have := a.texts(c.ID, "")
	if len(have) != 20001 || have[20000] != "last" {
		t.Errorf("%d lines, the last is %.20q", len(have), have[len(have)-1])
	}
}

// Next is the same batch until Appended, and positions are committed by whole
// batches, no further than Ack says.
func TestNextAppendedAck(t *testing.T) {
	o := outbox.New(1<<10, 1<<20, func() {})
	col := &Collector{cfg: &Config{Stdout: true, Stderr: true, MaxLineSize: 1 << 20, LogKey: "log"}, out: o}
	s := &stream{col: col, tmpl: newRecordTemplate(col.cfg, &container.Container{ID: "id"}, "host")}
	s.Seat.Source = s
	write := func(n int) {
		for range n {
			s.accept(&decode.Entry{Std: decode.Stdout, Newline: true, TS: s.pos.Anchor.Newest().TS + 1, Text: []byte("line")})
		}
	}
	if o.Next() != nil {
		t.Fatal("a batch out of nothing")
	}
	write(30)
	first := o.Next()
	if o.Next() != first || first.Records == 0 || len(first.Buf) > 1<<10 {
		t.Fatalf("%d records, %d bytes", first.Records, len(first.Buf))
	}
	n := uint64(first.Records)
	o.Appended()
	o.Ack(n - 1)
	if s.Committed.Kind == position.FromAnchor {
		t.Error("committed before the whole batch was acknowledged")
	}
	o.Ack(n)
	if got := s.Committed.Anchor.Newest().TS; got != int64(n) {
		t.Errorf("committed up to record %d, not %d", got, n)
	}
	for o.Next() != nil {
		n += uint64(o.Next().Records)
		o.Appended()
	}
	if n != 30 || o.Outstanding() != 30-s.committedRecords() || o.Size() != 0 {
		t.Errorf("%d records, %d outstanding, %d bytes left", n, o.Outstanding(), o.Size())
	}
	o.Ack(n)
	if o.Outstanding() != 0 || s.Committed.Anchor.Newest().TS != 30 {
		t.Errorf("%d outstanding, committed up to %d", o.Outstanding(), s.Committed.Anchor.Newest().TS)
	}
}

// What Fluent Bit did not keep comes again, before everything else and in the
// same order; nothing of it is committed before it is acknowledged, and it is
// counted.
func TestRefusedComesAgain(t *testing.T) {
	o := outbox.New(200, 1<<20, func() {})
	col := &Collector{cfg: &Config{Stdout: true, Stderr: true, MaxLineSize: 1 << 20, LogKey: "log"}, out: o}
	s := &stream{col: col, tmpl: newRecordTemplate(col.cfg, &container.Container{ID: "id"}, "host")}
	s.Seat.Source = s
	for i := range 30 {
		s.accept(&decode.Entry{Std: decode.Stdout, Newline: true, TS: s.pos.Anchor.Newest().TS + 1, Text: []byte{byte('a' + i)}})
	}
	var order []string
	var total uint64
	appendAll := func(most int) (texts []string) {
		for b := o.Next(); b != nil && most > 0; b = o.Next() {
			texts = append(texts, string(b.Buf))
			total += uint64(b.Records)
			o.Appended()
			most--
		}
		return texts
	}
	order = appendAll(3)
	o.Ack(total)
	acked, committed := total, s.committedRecords()
	order = append(order, appendAll(3)...)
	inFlight := total - acked
	size := o.Size()
	if n := o.Refuse(); n != inFlight || o.Outstanding() != 0 || !o.IsRefusing() || o.Size() <= size {
		t.Fatalf("%d refused, want %d; %d outstanding, refusing %v, %d bytes, before %d", n, inFlight, o.Outstanding(), o.IsRefusing(), o.Size(), size)
	}
	if s.committedRecords() != committed {
		t.Error("a refusal committed something")
	}
	total = acked
	again := appendAll(1 << 10)
	if !slices.Equal(again[:3], order[3:]) || total != 30 {
		t.Errorf("%d records, want 30\n%q came again as\n%q", total, order[3:], again[:3])
	}
	o.Ack(total)
	if appended, ackedNow, refused := o.Totals(); appended != 30+inFlight || ackedNow != 30 || refused != inFlight {
		t.Errorf("%d appended, %d acknowledged, %d refused", appended, ackedNow, refused)
	}
	if o.IsRefusing() || s.committedRecords() != 30 || o.Size() != 0 {
		t.Errorf("refusing %v, committed %d, %d bytes", o.IsRefusing(), s.committedRecords(), o.Size())
	}
}

func (s *stream) committedRecords() uint64 { return uint64(s.Committed.Anchor.Newest().TS) }
