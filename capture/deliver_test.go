package capture

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/supervise"
)

// spoil makes every record of a container panic while it is made, until mend.
// Its stream starts again after restart.
func (a *agent) spoil(c *dockertest.Ctr, restart time.Duration) (mend func()) {
	s := a.col.captured(c.ID)
	set := func(t encoder) encoder {
		s.col.out.Lock()
		defer s.col.out.Unlock()
		old := s.tmpl
		s.tmpl = t
		return old
	}
	s.task.RestartAfter(restart)
	old := set(nil)
	return func() { set(old) }
}

// panicPlaces are where a record is made: of a line, of the pieces of a long
// one, of what a container leaves without a line's end when it stops.
var panicPlaces = []struct {
	name  string
	write func(c *dockertest.Ctr)
	text  string
}{
	{"line", func(c *dockertest.Ctr) { c.Stdout("the bad one") }, "the bad one"},
	{"long line", func(c *dockertest.Ctr) { c.Stdout(strings.Repeat("x", 40_000)) }, strings.Repeat("x", 40_000)},
	{"end of a run", func(c *dockertest.Ctr) {
		c.Write(dockertest.Stdout, []byte(strings.Repeat("y", decode.ChunkSize)))
		c.Stop()
	}, strings.Repeat("y", decode.ChunkSize)},
}

// A panic while a record is made concerns that stream alone, and the record
// comes once when it can be made.
func TestPanicWhileARecordIsMade(t *testing.T) {
	for _, r := range readerCases {
		for _, place := range panicPlaces {
			t.Run(r.name+"/"+place.name, func(t *testing.T) {
				t.Parallel()
				e := dockertest.Start(t)
				a := r.agent(t, e, nil)
				sick := r.run(t, e, dockertest.Container{Name: "sick"})
				well := r.run(t, e, dockertest.Container{Name: "well"})
				sick.Stdout(sequence("out", 0, 10)...)
				well.Stdout(sequence("out", 0, 10)...)
				a.waitTexts(sick.ID, "", 10)
				a.waitTexts(well.ID, "", 10)

				mend := a.spoil(sick, supervise.MinRestart)
				place.write(sick)
				a.waitLog("a panic was caught, the task is started again")
				mend()
				well.Stdout(sequence("out", 10, 20)...)
				a.waitTexts(well.ID, "", 20)
				sick.Start()
				sick.Stdout(sequence("out", 10, 20)...)

				a.waitTexts(sick.ID, "", 21)
				want := append(append(sequence("out", 0, 10), place.text), sequence("out", 10, 20)...)
				checkSequence(t, "sick", want, a.texts(sick.ID, ""))
				checkSequence(t, "well", sequence("out", 0, 20), a.texts(well.ID, ""))
				a.stop()
				if a.col.out.Outstanding() != 0 {
					t.Errorf("%d records are outstanding", a.col.out.Outstanding())
				}
			})
		}
	}
}

// A record that panics each time is left out, counted and said; what follows
// it comes.
func TestRecordThatPanicsIsLeftOut(t *testing.T) {
	for _, r := range readerCases {
		for _, place := range panicPlaces {
			t.Run(r.name+"/"+place.name, func(t *testing.T) {
				t.Parallel()
				e := dockertest.Start(t)
				a := r.agent(t, e, nil)
				sick := r.run(t, e, dockertest.Container{Name: "sick"})
				sick.Stdout(sequence("out", 0, 10)...)
				a.waitTexts(sick.ID, "", 10)

				mend := a.spoil(sick, time.Millisecond)
				place.write(sick)
				a.waitLog("gap: a record was left out")
				mend()
				sick.Start()
				sick.Stdout(sequence("out", 10, 20)...)

				a.waitTexts(sick.ID, "", 20)
				checkSequence(t, "sick", sequence("out", 0, 20), a.texts(sick.ID, ""))
				if n := a.col.Totals().Gaps; n != 1 {
					t.Errorf("%v gaps", n)
				}
			})
		}
	}
}

// What a panic leaves of a record is taken off the batch, and a stream that
// is in the middle of a line goes on before it.
func TestPanicLeavesNoHalfRecord(t *testing.T) {
	s := benchStream(t)
	o := s.col.out
	records := []decode.Entry{
		{Std: decode.Stdout, TS: 1e9, Newline: true, Text: []byte("first")},
		{Std: decode.Stderr, TS: 2e9, Text: []byte(strings.Repeat("z", decode.ChunkSize))},
		{Std: decode.Stdout, TS: 3e9, Newline: true, Text: []byte("second")},
	}
	accept := func() error {
		for i := range records {
			s.accept(&records[i])
		}
		return nil
	}
	must(t, s.deliver(t.Context(), nil, accept))
	before := s.Snapshot()
	err := s.deliver(t.Context(), nil, func() error {
		b := o.Batch(s.tag, &s.Seat, 100)
		b.Buf = append(b.Buf, "half a reco"...)
		panic("in the middle")
	})
	var p supervise.PanicError
	if !errors.As(err, &p) || p.Value != "in the middle" || !strings.Contains(p.Stack, "TestPanicLeavesNoHalfRecord") {
		t.Fatalf("the panic came back as %v", err)
	}
	if after := s.Snapshot(); after != before {
		t.Errorf("the position moved from %+v to %+v", before, after)
	}
	b := o.Next()
	if rs, err := decodeRecords("", b.Buf); err != nil || len(rs) != 2 || b.Records != 2 || o.Size() != len(b.Buf) {
		t.Errorf("the batch of %d records, %d bytes of %d, holds %d: %v", b.Records, len(b.Buf), o.Size(), len(rs), err)
	}
	o.Appended()

	// From there on the same records are read again: only what is missing comes.
	records = append(records[1:], decode.Entry{Std: decode.Stderr, TS: 2e9, Newline: true, Text: []byte("end")})
	must(t, s.deliver(t.Context(), nil, accept))
	rs, err := decodeRecords("", o.Next().Buf)
	must(t, err)
	if len(rs) != 1 || rs[0].Fields["log"] != strings.Repeat("z", decode.ChunkSize)+"end" {
		t.Errorf("%d records after it: %.200v", len(rs), rs)
	}
}

// A run that was replaced delivers nothing, and the lock is free after it.
func TestCancelledRunDeliversNothing(t *testing.T) {
	s := benchStream(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.deliver(ctx, nil, func() error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("deliver: %v", err)
	}
	free := make(chan struct{})
	go func() {
		defer close(free)
		s.col.out.Lock()
		defer s.col.out.Unlock()
		if s.col.out.Filled() {
			t.Error("the outbox is full")
		}
	}()
	select {
	case <-free:
	case <-time.After(waitTime):
		t.Fatal("the outbox is locked")
	}
}

// The process counts as alive while Fluent Bit's thread comes by, or has
// nothing to take.
func TestHealthzKnowsThatFluentBitStaysAway(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	healthz := func() (int, string) { return ask(t, "GET", "http://"+addr+"/healthz") }
	longAgo := int64(supervise.SinceStart() - mayStayAway - time.Second)
	a.col.cameAt.Store(longAgo)
	if code, body := healthz(); code != 200 {
		t.Errorf("with nothing to take: %d %s", code, body)
	}
	a.pause(true)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitFor("a record", func() bool { return a.col.out.Size() > 0 })
	a.col.out.Lock() // whatever happens inside, the answer comes
	code, body := healthz()
	a.col.out.Unlock()
	if code != 503 || !strings.Contains(body, "docker_logs.0: Fluent Bit has not come by for 1m") {
		t.Errorf("with a record to take: %d %s", code, body)
	}
	a.col.CameBy()
	if code, body := healthz(); code != 200 {
		t.Errorf("after it has come by: %d %s", code, body)
	}
	a.col.cameAt.Store(longAgo)
	a.pause(false)
	a.waitRecords(1)
	if code, body := healthz(); code != 200 {
		t.Errorf("with the record taken: %d %s", code, body)
	}
}
