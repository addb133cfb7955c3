package capture

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/supervise"
)

// A run that has been replaced delivers nothing any more.
func TestReplacedRunIsFenced(t *testing.T) {
	s := benchStream(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(supervise.ErrStalled)
	w := decode.NewWindow(nil, false)
	_, err := w.Fill(bytes.NewReader(bytes.Repeat(benchFrame, 10)))
	must(t, err)
	err = s.deliverWindow(ctx, w, false, func(e *decode.Entry) error { s.accept(e); return nil })
	if !errors.Is(err, supervise.ErrStalled) || s.consumed() != 0 {
		t.Errorf("%d records were consumed, error %v", s.consumed(), err)
	}
	if err := s.endRun(ctx, false); !errors.Is(err, supervise.ErrStalled) {
		t.Errorf("endRun: %v", err)
	}
	if err := s.deliverWindow(t.Context(), w, false, func(e *decode.Entry) error { s.accept(e); return nil }); err != nil || s.consumed() == 0 {
		t.Errorf("the run in charge: %d records, %v", s.consumed(), err)
	}
}

// A stream that was stopped in the pause before its restart, and is wanted
// again, goes on where it was.
func TestStreamStoppedInItsRestartPause(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Exclude": "*-old"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitTexts(c.ID, "", 1)
	mend := a.spoil(c, time.Hour)
	c.Stdout("two")
	a.waitFor("the pause", func() bool {
		n, _ := a.col.sup.Running(taskStream)
		return n == 0
	})
	mend()
	c.Rename("web-old")
	a.waitFor("the stream to be stopped", func() bool { return a.col.runningCount() == 0 })
	c.Rename("web")
	c.Restart()
	a.waitTexts(c.ID, "", 2)
	checkSequence(t, "lines", []string{"one", "two"}, a.texts(c.ID, ""))
}

// What waits by plan needs no heartbeat, however long that is.
func TestPlannedWaitsRest(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll", "DB": t.TempDir() + "/db"}, fast, func(c *Config) {
		c.PollMax, c.DBSync, c.HeartbeatInterval = time.Hour, time.Hour, time.Hour
	})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("line")
	a.waitRecords(1)
	for _, kind := range []string{taskStream, taskCheckpoint, taskGuard} {
		a.waitFor("a "+kind+" that rests", func() bool {
			_, rest := a.col.sup.Running(kind)
			return rest > 0
		})
	}
}
