package supervise

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// Supervisor keeps tasks running until the capture ends.
//
// A task is a function that works until it is done or its context is, and
// gives a heartbeat whenever it has proof that it can move. One that panics is
// started again after a pause, and so is one that is silent for too long,
// after it was cancelled and has returned: each with a backoff of its own, so
// that a task that fails again and again holds up no other. A task that does
// not return is left behind: counted, reported for as long as it is away, and
// replaced by another run, which is why what a task shares with others must be
// of use only to a run whose context is not done.
type Supervisor struct {
	timeout time.Duration // Task_Timeout
	counts  Counts

	mu     sync.Mutex
	runs   map[*taskRun]struct{} // that have not returned; guarded by mu
	keep   int                   // goroutines of keepRunning that are not left behind; guarded by mu
	leaked int                   // runs left behind; guarded by mu
	back   chan struct{}         // capacity 1: one of keep ended
}

// Counts is what a supervisor counts. The vectors are by the kind of the task.
type Counts struct {
	Panics           prometheus.Counter
	Stalls, Restarts *prometheus.CounterVec
}

// Task is what the supervisor keeps running.
type Task struct {
	kind string
	log  *slog.Logger
	Do   func(ctx context.Context) error
	// Dropped is called, if it is set, when the task was to be started again
	// after a panic or a stall and will not, because its context is done.
	Dropped func()

	beatAt atomic.Int64 // when the last heartbeat was, on the clock of SinceStart; resting while none is due
	retry  *backoff.ExponentialBackOff
	left   int // runs left behind; guarded by Supervisor.mu
}

// taskRun is one run of a task.
type taskRun struct {
	task    *Task
	ctx     context.Context //nolint:containedctx // the parent's, for the run that may take its place
	cancel  context.CancelCauseFunc
	stalled time.Time // when it was cancelled for its silence, zero if it was not
	left    bool
}

// ErrStalled cancels a run that was silent for too long.
var ErrStalled = errors.New("the task gave no sign of progress for Task_Timeout")

const (
	resting = math.MaxInt64
	// MinRestart and maxRestart bound the pause before a new run. The task has
	// panicked or stalled.
	MinRestart = time.Second
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

// SinceStart is a clock that never steps.
func SinceStart() time.Duration { return time.Since(processStart) }

// New makes one whose tasks may be silent for timeout.
func New(timeout time.Duration, c Counts) *Supervisor {
	return &Supervisor{timeout: timeout, counts: c, runs: make(map[*taskRun]struct{}), back: make(chan struct{}, 1)}
}

// NewTask makes a task that runs do. Metrics name its kind.
func NewTask(kind string, log *slog.Logger, do func(ctx context.Context) error) *Task {
	return &Task{kind: kind, log: log, Do: do, retry: NewRetry(MinRestart, maxRestart)}
}

// Beat is a heartbeat: the task can move.
func (t *Task) Beat() { t.beatAt.Store(int64(SinceStart())) }

// Rest says that no heartbeat is due until the next beat. The task waits for
// something of its own process.
func (t *Task) Rest() { t.beatAt.Store(resting) }

// age is the time since the last heartbeat, 0 while none is due.
func (t *Task) age() time.Duration {
	at := t.beatAt.Load()
	if at == resting {
		return 0
	}
	return SinceStart() - time.Duration(at)
}

// RestartAfter sets the first pause before it runs again.
func (t *Task) RestartAfter(d time.Duration) {
	t.retry.InitialInterval, t.retry.MaxInterval = d, max(d, maxRestart)
	t.retry.Reset()
}

func (t *Task) drop() {
	if t.Dropped != nil {
		t.Dropped()
	}
}

// Start keeps t running until it is done or ctx is. It does so in a goroutine
// of its own.
func (v *Supervisor) Start(ctx context.Context, t *Task) {
	v.mu.Lock()
	v.keep++
	v.mu.Unlock()
	go v.keepRunning(ctx, t)
}

func (v *Supervisor) keepRunning(ctx context.Context, t *Task) {
	defer Poke(v.back)
	for {
		began := time.Now()
		again, left := v.runOnce(ctx, t)
		if left {
			return
		}
		if !again {
			break
		}
		v.counts.Restarts.WithLabelValues(t.kind).Inc()
		if time.Since(began) > maxRestart {
			t.retry.Reset()
		}
		t.Rest()
		if !Sleep(ctx, t.retry.NextBackOff()) {
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
func (v *Supervisor) runOnce(parent context.Context, t *Task) (again, left bool) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r := &taskRun{task: t, ctx: parent, cancel: cancel}
	t.Beat()
	v.mu.Lock()
	v.runs[r] = struct{}{}
	v.mu.Unlock()

	return v.ended(r, Catch(func() error { return t.Do(ctx) }), errors.Is(context.Cause(ctx), ErrStalled))
}

// ended takes note of the end of a run.
func (v *Supervisor) ended(r *taskRun, err error, stalled bool) (again, left bool) {
	v.mu.Lock()
	delete(v.runs, r)
	dropped := r.left && v.cameBack(r)
	v.mu.Unlock()
	if dropped {
		r.task.drop()
	}
	var p PanicError
	if errors.As(err, &p) {
		v.counts.Panics.Inc()
		r.task.log.Error("a panic was caught, the task is started again", "task", r.task.kind, "panic", p.Value, "stack", p.Stack)
		return true, r.left
	}
	return stalled, r.left
}

// cameBack takes a run that was left behind off the account. dropped says that
// no other has taken its place, and none will. v.mu is held.
func (v *Supervisor) cameBack(r *taskRun) (dropped bool) {
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

// Watch looks after the tasks until ctx is done. It returns when all of them
// have returned or are left behind.
func (v *Supervisor) Watch(ctx context.Context) {
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
func (v *Supervisor) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		switch {
		case r.left:
		case r.stalled.IsZero() && r.task.age() > v.timeout:
			r.stalled = time.Now()
			v.counts.Stalls.WithLabelValues(r.task.kind).Inc()
			r.task.log.Error("a task gives no sign of progress, it is cancelled and started again", "task", r.task.kind, "silent", r.task.age().Round(time.Millisecond))
			r.cancel(ErrStalled)
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
func (v *Supervisor) leave(r *taskRun) {
	r.left = true
	r.task.left++
	v.leaked++
	v.keep--
	r.task.log.Error("a task does not return after it was cancelled, it is left behind with what it holds open",
		"task", r.task.kind, "left_behind", r.task.left)
}

// returned says whether all tasks are back after the end of the capture; in the
// end those that are not are left behind.
func (v *Supervisor) returned(ended time.Time) bool {
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

// State counts the runs that are stalled and those left behind.
func (v *Supervisor) State() (stalled, leaked int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for r := range v.runs {
		if !r.stalled.IsZero() && !r.left {
			stalled++
		}
	}
	return stalled, v.leaked
}

// Ages is the greatest age of a heartbeat, by kind. They are the kinds of which
// a task runs.
func (v *Supervisor) Ages() map[string]time.Duration {
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

// Running is how many tasks of a kind run, and rest.
func (v *Supervisor) Running(kind string) (n, rest int) {
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
