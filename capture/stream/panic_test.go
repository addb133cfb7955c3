package stream

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/capture/testkit"
)

// spoil makes every record of a container panic while it is made, until mend.
// Its stream starts again after restart.
func (s *testSet) spoil(id string, restart time.Duration) (mend func()) {
	of := s.tasks.captured(id)
	with := func(t lines.Encoder) {
		of.all.Out.Lock()
		defer of.all.Out.Unlock()
		of.Make("", t)
	}
	of.task.RestartAfter(restart)
	with(nil)
	return func() {
		tmpl, _ := record.NewTemplate(&of.all.Records, of.container())
		with(tmpl)
	}
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
	for _, reader := range []string{File, Follow, Poll} {
		for _, place := range panicPlaces {
			t.Run(reader+"/"+place.name, func(t *testing.T) {
				t.Parallel()
				e := dockertest.Start(t)
				set := newSet(t, e.Host(), func(c *Config) { c.Reader = reader })
				set.run(t)
				sick := e.Run(dockertest.Container{Name: "sick", LogDir: t.TempDir()})
				well := e.Run(dockertest.Container{Name: "well", LogDir: t.TempDir()})
				sick.Stdout(testkit.Sequence("out", 0, 10)...)
				well.Stdout(testkit.Sequence("out", 0, 10)...)
				set.waitTexts(t, sick.ID, 10)
				set.waitTexts(t, well.ID, 10)

				mend := set.spoil(sick.ID, supervise.MinRestart)
				place.write(sick)
				set.waitLog(t, "a panic was caught, the task is started again")
				mend()
				well.Stdout(testkit.Sequence("out", 10, 20)...)
				set.waitTexts(t, well.ID, 20)
				sick.Start()
				sick.Stdout(testkit.Sequence("out", 10, 20)...)

				set.waitTexts(t, sick.ID, 21)
				want := append(append(testkit.Sequence("out", 0, 10), place.text), testkit.Sequence("out", 10, 20)...)
				testkit.CheckSequence(t, "sick", want, set.texts(sick.ID))
				testkit.CheckSequence(t, "well", testkit.Sequence("out", 0, 20), set.texts(well.ID))
				if n := set.tasks.Out.Outstanding(); n != 0 {
					t.Errorf("%d records are outstanding", n)
				}
			})
		}
	}
}

// A record that panics each time is left out, counted and said; what follows
// it comes.
func TestRecordThatPanicsIsLeftOut(t *testing.T) {
	for _, reader := range []string{File, Follow, Poll} {
		for _, place := range panicPlaces {
			t.Run(reader+"/"+place.name, func(t *testing.T) {
				t.Parallel()
				e := dockertest.Start(t)
				set := newSet(t, e.Host(), func(c *Config) { c.Reader = reader })
				set.run(t)
				sick := e.Run(dockertest.Container{Name: "sick", LogDir: t.TempDir()})
				sick.Stdout(testkit.Sequence("out", 0, 10)...)
				set.waitTexts(t, sick.ID, 10)

				mend := set.spoil(sick.ID, time.Millisecond)
				place.write(sick)
				set.waitLog(t, "gap: a record was left out")
				mend()
				sick.Start()
				sick.Stdout(testkit.Sequence("out", 10, 20)...)

				set.waitTexts(t, sick.ID, 20)
				testkit.CheckSequence(t, "sick", testkit.Sequence("out", 0, 20), set.texts(sick.ID))
				if n := testutil.ToFloat64(set.tasks.Metrics.Gaps); n != 1 {
					t.Errorf("%v gaps", n)
				}
			})
		}
	}
}

// A run that has been replaced delivers nothing any more.
func TestReplacedRunIsFenced(t *testing.T) {
	s := benchStream(t)
	log := s.readerLog()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(supervise.ErrStalled)
	w := decode.NewWindow(nil, false)
	_, err := w.Fill(bytes.NewReader(bytes.Repeat(benchFrame, 10)))
	testkit.Must(t, err)
	err = log.DeliverWindow(ctx, w, false, func(e *decode.Entry) error { s.Accept(e); return nil })
	if !errors.Is(err, supervise.ErrStalled) || s.Consumed() != 0 {
		t.Errorf("%d records were consumed, error %v", s.Consumed(), err)
	}
	if err := s.EndRun(ctx, false); !errors.Is(err, supervise.ErrStalled) {
		t.Errorf("endRun: %v", err)
	}
	if err := log.DeliverWindow(t.Context(), w, false, func(e *decode.Entry) error { s.Accept(e); return nil }); err != nil || s.Consumed() == 0 {
		t.Errorf("the run in charge: %d records, %v", s.Consumed(), err)
	}
}

// A stream that was stopped in the pause before its restart, and is wanted
// again, goes on where it was.
func TestStreamStoppedInItsRestartPause(t *testing.T) {
	e := dockertest.Start(t)
	set := newSet(t, e.Host())
	set.run(t)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	set.waitTexts(t, c.ID, 1)
	mend := set.spoil(c.ID, time.Hour)
	c.Stdout("two")
	waitFor(t, "the pause", func() bool {
		n, _ := set.tasks.Supervisor.Running(TaskKind)
		return n == 0
	})
	mend()
	c.Rename("web-old")
	waitFor(t, "the stream to be stopped", func() bool { return set.tasks.runningCount() == 0 })
	c.Rename("web")
	c.Restart()
	set.waitTexts(t, c.ID, 2)
	testkit.CheckSequence(t, "lines", []string{"one", "two"}, set.texts(c.ID))
}
