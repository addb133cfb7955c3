package supervise

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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// supervised runs tasks in a bubble of time until the test's end.
type supervised struct {
	*Supervisor
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
	s := &supervised{Supervisor: New(timeout, Counts{
		Panics:   prometheus.NewCounter(prometheus.CounterOpts{}),
		Stalls:   prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"task"}),
		Restarts: prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"task"}),
	}), t: t, ctx: ctx, stop: cancel, done: make(chan struct{}), text: &bytes.Buffer{}}
	s.log = slog.New(slog.NewTextHandler(s.text, nil))
	go func() {
		defer close(s.done)
		s.Watch(ctx)
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
	return testutil.ToFloat64(s.counts.Restarts.WithLabelValues("test"))
}

func (s *supervised) stalls() float64 {
	return testutil.ToFloat64(s.counts.Stalls.WithLabelValues("test"))
}

// A task that beats lives for ever; one that rests needs no beats.
func TestTaskThatBeatsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		var beating *Task
		beating = NewTask("test", s.log, func(ctx context.Context) error {
			for Sleep(ctx, 50*time.Second) {
				beating.Beat()
			}
			return nil
		})
		var idle *Task
		idle = NewTask("test", s.log, func(ctx context.Context) error {
			idle.Rest()
			<-ctx.Done()
			return nil
		})
		s.Start(s.ctx, beating)
		s.Start(s.ctx, idle)
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
		s.Start(s.ctx, NewTask("test", s.log, func(ctx context.Context) error {
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
		s.Start(s.ctx, NewTask("other", s.log, func(context.Context) error {
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
		if stalled, leaked := s.State(); stalled > 1 || leaked != 0 {
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
		s.Start(s.ctx, NewTask("test", s.log, func(ctx context.Context) error {
			if n := runs.Add(1); n > maxLeft {
				<-ctx.Done() // well behaved from now on
				return context.Cause(ctx)
			}
			<-release
			return errors.New("late")
		}))
		time.Sleep(time.Hour)
		if _, leaked := s.State(); leaked != maxLeft || runs.Load() != maxLeft {
			t.Errorf("%d left behind after %d runs, not %d", leaked, runs.Load(), maxLeft)
		}
		close(release)
		synctest.Wait()
		if _, leaked := s.State(); leaked != 0 {
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
		s.Start(s.ctx, NewTask("test", s.log, func(context.Context) error {
			<-release
			return nil
		}))
		synctest.Wait()
		began := time.Now()
		s.end()
		if d := time.Since(began); d < stopGrace || d > 2*stopGrace {
			t.Errorf("the end took %v", d)
		}
		if _, leaked := s.State(); leaked != 1 {
			t.Errorf("%d left behind", leaked)
		}
		close(release)
		synctest.Wait()
	})
}

// A task that is not started again, because it was stopped in the pause before
// that, says so, and so does one that comes back when it is no longer wanted.
func TestDroppedTaskIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise(t, time.Minute)
		ctx, stop := context.WithCancel(s.ctx)
		release := make(chan struct{})
		var panicked, hung atomic.Int32
		panics := NewTask("test", s.log, func(context.Context) error { panic("at once") })
		panics.Dropped = func() { panicked.Add(1) }
		hangs := NewTask("test", s.log, func(context.Context) error { <-release; return nil }) // maxLeft times
		hangs.Dropped = func() { hung.Add(1) }
		s.Start(ctx, panics)
		s.Start(ctx, hangs)
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
