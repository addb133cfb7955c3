package capture

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// supervised runs tasks in a bubble of time until the test's end.
type supervised struct {
	*supervisor
	t    *testing.T
	ctx  context.Context //nolint:containedctx // of the test
	stop context.CancelFunc
	done chan struct{}
	text *bytes.Buffer
	log  *slog.Logger
}

func supervise(t *testing.T, timeout time.Duration) *supervised {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &supervised{supervisor: newSupervisor(timeout, benchStream(t).col.metrics), t: t, ctx: ctx, stop: cancel, done: make(chan struct{}), text: &bytes.Buffer{}}
	s.log = slog.New(slog.NewTextHandler(s.text, nil))
	go func() {
		defer close(s.done)
		s.watch(ctx)
	}()
	return s
}

// end ends the capture and waits for watch.
func (s *supervised) end() {
	s.stop()
	<-s.done
}

// restarts and stalls are what was counted of the tasks of kind test.
func (s *supervised) restarts() float64 {
	return testutil.ToFloat64(s.metrics.taskRestarts.WithLabelValues("test"))
}

func (s *supervised) stalls() float64 {
	return testutil.ToFloat64(s.metrics.taskStalls.WithLabelValues("test"))
}

// A task that beats lives for ever; one that rests needs no beats.
func TestTaskThatBeatsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		var beating *task
		beating = newTask("test", s.log, func(ctx context.Context) error {
			for sleep(ctx, 50*time.Second) {
				beating.beat()
			}
			return nil
		})
		var idle *task
		idle = newTask("test", s.log, func(ctx context.Context) error {
			idle.rest()
			<-ctx.Done()
			return nil
		})
		s.start(s.ctx, beating)
		s.start(s.ctx, idle)
		time.Sleep(24 * time.Hour)
		if s.stalls() != 0 || s.restarts() != 0 {
			t.Errorf("%v stalls, %v restarts", s.stalls(), s.restarts())
		}
		s.end()
	})
}

// A silent task is cancelled, waited for and started again, with pauses that
// grow, while another is not held up.
func TestSilentTaskIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		var runs, together atomic.Int32
		s.start(s.ctx, newTask("test", s.log, func(ctx context.Context) error {
			runs.Add(1)
			if together.Add(1) > 1 {
				t.Error("two runs at the same time")
			}
			<-ctx.Done()
			time.Sleep(returnGrace / 2)
			together.Add(-1)
			return context.Cause(ctx)
		}))
		other := 0
		s.start(s.ctx, newTask("other", s.log, func(context.Context) error {
			if other++; other == 3 {
				return nil
			}
			panic("other")
		}))
		time.Sleep(10 * time.Minute)
		n := runs.Load()
		if n < 4 || n > 9 {
			t.Errorf("%d runs in ten minutes of one each", n)
		}
		if got := s.stalls(); int32(got) < n-1 {
			t.Errorf("%v stalls counted of %d runs", got, n)
		}
		if other != 3 {
			t.Errorf("the other task ran %d times", other)
		}
		if stalled, leaked := s.state(); stalled > 1 || leaked != 0 {
			t.Errorf("%d stalled, %d leaked", stalled, leaked)
		}
		s.end()
		if !strings.Contains(s.text.String(), "a task gives no sign of progress") || !strings.Contains(s.text.String(), "panic=other") {
			t.Errorf("log: %s", s.text)
		}
	})
}

// A task that does not return is counted and replaced, a few times, and comes
// off the account when it returns after all.
func TestTaskThatHangsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		release := make(chan struct{})
		var runs atomic.Int32
		s.start(s.ctx, newTask("test", s.log, func(ctx context.Context) error {
			if n := runs.Add(1); n > maxLeft {
				<-ctx.Done() // well behaved from now on
				return context.Cause(ctx)
			}
			<-release
			return errors.New("late")
		}))
		time.Sleep(time.Hour)
		if _, leaked := s.state(); leaked != maxLeft || runs.Load() != maxLeft {
			t.Errorf("%d left behind after %d runs, not %d", leaked, runs.Load(), maxLeft)
		}
		close(release)
		synctest.Wait()
		if _, leaked := s.state(); leaked != 0 {
			t.Errorf("%d are still counted as left behind", leaked)
		}
		time.Sleep(time.Second)
		if runs.Load() != maxLeft+1 {
			t.Errorf("%d runs: it was not started again when one had come back", runs.Load())
		}
		s.end()
	})
}

// The end of the capture does not hang on a task that does.
func TestEndDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		release := make(chan struct{})
		s.start(s.ctx, newTask("test", s.log, func(context.Context) error {
			<-release
			return nil
		}))
		synctest.Wait()
		began := time.Now()
		s.end()
		if d := time.Since(began); d < stopGrace || d > 2*stopGrace {
			t.Errorf("the end took %v", d)
		}
		if _, leaked := s.state(); leaked != 1 {
			t.Errorf("%d left behind", leaked)
		}
		close(release)
		synctest.Wait()
	})
}

// A run that has been replaced delivers nothing any more.
func TestReplacedRunIsFenced(t *testing.T) {
	s := benchStream(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTaskStalled)
	w := decode.NewWindow(nil, false)
	_, err := w.Fill(bytes.NewReader(bytes.Repeat(benchFrame, 10)))
	must(t, err)
	err = s.deliverWindow(ctx, w, false, func(e *decode.Entry) error { s.accept(e); return nil })
	if !errors.Is(err, errTaskStalled) || s.consumed() != 0 {
		t.Errorf("%d records were consumed, error %v", s.consumed(), err)
	}
	if err := s.endRun(ctx, false); !errors.Is(err, errTaskStalled) {
		t.Errorf("endRun: %v", err)
	}
	if err := s.deliverWindow(t.Context(), w, false, func(e *decode.Entry) error { s.accept(e); return nil }); err != nil || s.consumed() == 0 {
		t.Errorf("the run in charge: %d records, %v", s.consumed(), err)
	}
}

// A task that is not started again, because it was stopped in the pause before
// that, says so, and so does one that comes back when it is no longer wanted.
func TestDroppedTaskIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		ctx, stop := context.WithCancel(s.ctx)
		release := make(chan struct{})
		var panicked, hung atomic.Int32
		panics := newTask("test", s.log, func(context.Context) error { panic("at once") })
		panics.dropped = func() { panicked.Add(1) }
		hangs := newTask("test", s.log, func(context.Context) error { <-release; return nil }) // maxLeft times
		hangs.dropped = func() { hung.Add(1) }
		s.start(ctx, panics)
		s.start(ctx, hangs)
		time.Sleep(time.Hour)
		if panicked.Load()+hung.Load() != 0 {
			t.Error("told before they were stopped")
		}
		stop()
		synctest.Wait()
		if panicked.Load() != 1 || hung.Load() != 0 {
			t.Errorf("told %d times, and of the one that hangs %d times", panicked.Load(), hung.Load())
		}
		close(release)
		synctest.Wait()
		if hung.Load() != 1 {
			t.Errorf("told %d times of the one that came back", hung.Load())
		}
		s.end()
	})
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
	runs := func() (n int) {
		a.col.sup.mu.Lock()
		defer a.col.sup.mu.Unlock()
		for r := range a.col.sup.runs {
			if r.task.kind == taskStream {
				n++
			}
		}
		return n
	}
	task := a.col.captured(c.ID).task
	task.retry.InitialInterval, task.retry.MaxInterval = time.Hour, time.Hour
	task.retry.Reset()
	a.col.sup.mu.Lock()
	for r := range a.col.sup.runs {
		if r.task == task {
			r.stalled = time.Now()
			r.cancel(errTaskStalled)
		}
	}
	a.col.sup.mu.Unlock()
	a.waitFor("the pause", func() bool { return runs() == 0 })
	c.Rename("web-old")
	a.waitFor("the stream to be stopped", func() bool { return a.col.runningCount() == 0 })
	c.Rename("web")
	c.Stdout("two")
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
			a.col.sup.mu.Lock()
			defer a.col.sup.mu.Unlock()
			for r := range a.col.sup.runs {
				if r.task.kind == kind && r.task.beatAt.Load() == resting {
					return true
				}
			}
			return false
		})
	}
}
