package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// supervisor keeps tasks running until the capture ends.
//
// A task is a function that works until it is done or its context is, and
// gives a heartbeat whenever it has proof that it can move. One that panics is
// started again after a pause, and so is one that is silent for too long,
// after it was cancelled and has returned: each with a backoff of its own, so
// that a task that fails again and again holds up no other. A task that does
// not return is left behind: counted, reported for as long as it is away, and
// replaced by another run, which is why what a task shares with others must be
// of use only to a run whose context is not done.
type supervisor struct {
	timeout time.Duration // Task_Timeout
	counts  counts

	mu     sync.Mutex
	runs   map[*taskRun]struct{} // that have not returned; guarded by mu
	keep   int                   // goroutines of keepRunning that are not left behind; guarded by mu
	leaked int                   // runs left behind; guarded by mu
	back   chan struct{}         // capacity 1: one of keep ended
}

// counts is what a supervisor counts; the vectors by the kind of the task.
type counts struct {
	panics           prometheus.Counter
	stalls, restarts *prometheus.CounterVec
}

// task is what the supervisor keeps running.
type task struct {
	kind string
	log  *slog.Logger
	do   func(ctx context.Context) error
	// dropped is called, if it is set, when the task was to be started again
	// after a panic or a stall and will not, because its context is done.
	dropped func()

	beatAt atomic.Int64 // when the last heartbeat was, on the clock of sinceStart; resting while none is due
	retry  backoff.ExponentialBackOff
	left   int // runs left behind; guarded by supervisor.mu
}

// taskRun is one run of a task.
type taskRun struct {
	task    *task
	ctx     context.Context //nolint:containedctx // the parent's, for the run that may take its place
	cancel  context.CancelCauseFunc
	stalled time.Time // when it was cancelled for its silence, zero if it was not
	left    bool
}

// errTaskStalled is why a run was cancelled that was silent for too long.
var errTaskStalled = errors.New("the task gave no sign of progress for Task_Timeout")

const (
	resting = math.MaxInt64
	// minRestart and maxRestart bound the pause before a task that panicked or
	// stalled runs again.
	minRestart = time.Second
	maxRestart = 5 * time.Minute
	// looksPerTimeout is how often the supervisor looks at its tasks within
	// Task_Timeout: with thousands of them it shows in what an idle agent uses.
	looksPerTimeout = 60
	// returnGrace is how long a cancelled run may take to return.
	returnGrace = 10 * time.Second
	// stopGrace is the same when the capture ends: Fluent Bit waits for it.
	stopGrace = 5 * time.Second
	// maxLeft is how many runs of one task may be left behind before it is not
	// started again until one of them is back.
	maxLeft = 3
)

var processStart = time.Now()

// sinceStart is a clock that never steps.
func sinceStart() time.Duration { return time.Since(processStart) }

// newSupervisor makes one whose tasks may be silent for timeout.
func newSupervisor(timeout time.Duration, c counts) *supervisor {
	return &supervisor{timeout: timeout, counts: c, runs: make(map[*taskRun]struct{}), back: make(chan struct{}, 1)}
}

// newTask makes a task of a kind, which metrics name, that runs do.
func newTask(kind string, log *slog.Logger, do func(ctx context.Context) error) *task {
	t := &task{kind: kind, log: log, do: do, retry: backoff.ExponentialBackOff{
		InitialInterval: minRestart, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: maxRestart,
	}}
	t.retry.Reset()
	return t
}

// beat is a heartbeat: the task can move.
func (t *task) beat() { t.beatAt.Store(int64(sinceStart())) }

// rest says that the task waits for something of its own process, so that no
// heartbeat is due until the next beat.
func (t *task) rest() { t.beatAt.Store(resting) }

// age is the time since the last heartbeat, 0 while none is due.
func (t *task) age() time.Duration {
	at := t.beatAt.Load()
	if at == resting {
		return 0
	}
	return sinceStart() - time.Duration(at)
}

// restartAfter sets the first pause before it runs again.
func (t *task) restartAfter(d time.Duration) {
	t.retry.InitialInterval, t.retry.MaxInterval = d, max(d, maxRestart)
	t.retry.Reset()
}

func (t *task) drop() {
	if t.dropped != nil {
		t.dropped()
	}
}

// start keeps t running in a goroutine of its own until it is done or ctx is.
func (v *supervisor) start(ctx context.Context, t *task) {
	v.mu.Lock()
	v.keep++
	v.mu.Unlock()
	go v.keepRunning(ctx, t)
}

func (v *supervisor) keepRunning(ctx context.Context, t *task) {
	defer poke(v.back)
	for {
		began := time.Now()
		again, left := v.runOnce(ctx, t)
		if left {
			return
		}
		if !again {
			break
		}
		v.counts.restarts.WithLabelValues(t.kind).Inc()
		if time.Since(began) > maxRestart {
			t.retry.Reset()
		}
		t.rest()
		if !sleep(ctx, t.retry.NextBackOff()) {
			t.drop()
			break
		}
	}
	v.mu.Lock()
	v.keep--
	v.mu.Unlock()
}

// runOnce runs the task once. again says that it did not end as it should;
// left, that another run has taken its place meanwhile.
func (v *supervisor) runOnce(parent context.Context, t *task) (again, left bool) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r := &taskRun{task: t, ctx: parent, cancel: cancel}
	t.beat()
	v.mu.Lock()
	v.runs[r] = struct{}{}
	v.mu.Unlock()

	return v.ended(r, guard(func() error { return t.do(ctx) }), errors.Is(context.Cause(ctx), errTaskStalled))
}

// ended takes note of the end of a run.
func (v *supervisor) ended(r *taskRun, err error, stalled bool) (again, left bool) {
	v.mu.Lock()
	delete(v.runs, r)
	dropped := r.left && v.cameBack(r)
	v.mu.Unlock()
	if dropped {
		r.task.drop()
	}
	var p panicError
	if errors.As(err, &p) {
		v.counts.panics.Inc()
		r.task.log.Error("a panic was caught, the task is started again", "task", r.task.kind, "panic", p.value, "stack", p.stack)
		return true, r.left
	}
	return stalled, r.left
}

// cameBack takes a run that was left behind off the account. dropped says that
// no other has taken its place, and none will. v.mu is held.
func (v *supervisor) cameBack(r *taskRun) (dropped bool) {
	v.leaked--
	if r.task.left--; r.task.left == maxLeft-1 {
		if dropped = r.ctx.Err() != nil; !dropped {
			v.keep++
			go v.keepRunning(r.ctx, r.task)
		}
	}
	r.task.log.Warn("a task that was left behind has returned after all", "task", r.task.kind, "left_behind", r.task.left)
	return dropped
}

// watch looks after the tasks until ctx is done and all of them have returned
// or are left behind.
func (v *supervisor) watch(ctx context.Context) {
	tick := time.NewTicker(v.timeout / looksPerTimeout)
	defer tick.Stop()
	done, ended := ctx.Done(), time.Time{}
	for {
		select {
		case <-tick.C:
		case <-v.back:
		case <-done:
			done, ended = nil, time.Now()
			tick.Reset(time.Second)
		}
		if done != nil {
			v.check()
		} else if v.returned(ended) {
			return
		}
	}
}

// check cancels the runs that are silent for too long, and leaves those behind
// that do not return.
func (v *supervisor) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		switch {
		case r.left:
		case r.stalled.IsZero() && r.task.age() > v.timeout:
			r.stalled = time.Now()
			v.counts.stalls.WithLabelValues(r.task.kind).Inc()
			r.task.log.Error("a task gives no sign of progress, it is cancelled and started again", "task", r.task.kind, "silent", r.task.age().Round(time.Millisecond))
			r.cancel(errTaskStalled)
		case !r.stalled.IsZero() && time.Since(r.stalled) > returnGrace:
			v.leave(r)
			if r.task.left < maxLeft {
				go v.keepRunning(r.ctx, r.task)
				v.keep++
			}
		}
	}
}

// leave leaves a run behind. v.mu is held.
func (v *supervisor) leave(r *taskRun) {
	r.left = true
	r.task.left++
	v.leaked++
	v.keep--
	r.task.log.Error("a task does not return after it was cancelled, it is left behind with what it holds open",
		"task", r.task.kind, "left_behind", r.task.left)
}

// returned says whether all tasks are back after the end of the capture; in the
// end those that are not are left behind.
func (v *supervisor) returned(ended time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keep > 0 && time.Since(ended) > stopGrace {
		for r := range v.runs {
			if !r.left {
				v.leave(r)
			}
		}
	}
	return v.keep == 0
}

// state counts the runs that are silent for too long and those left behind.
func (v *supervisor) state() (stalled, leaked int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		if !r.stalled.IsZero() && !r.left {
			stalled++
		}
	}
	return stalled, v.leaked
}

// ages is the greatest age of a heartbeat for each kind of task that runs.
func (v *supervisor) ages() map[string]time.Duration {
	ages := make(map[string]time.Duration)
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		if !r.left {
			ages[r.task.kind] = max(ages[r.task.kind], r.task.age())
		}
	}
	return ages
}

// running is how many tasks of a kind run, and how many of these rest.
func (v *supervisor) running(kind string) (n, rest int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		if r.task.kind == kind {
			n++
			if r.task.beatAt.Load() == resting {
				rest++
			}
		}
	}
	return n, rest
}

// panicError is a panic turned into an error.
type panicError struct {
	value any
	stack string
}

// newPanicError is called where the panic was recovered, on its stack.
func newPanicError(value any) panicError { return panicError{value, string(debug.Stack())} }

func (p panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// guard turns a panic of f into a panicError.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return f()
}

// sleep waits and says whether ctx is not done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// poke sends to c if there is room.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
