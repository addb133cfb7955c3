package stream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// tasks is the streams of all containers that are captured, each with a
// task that runs while its container runs.
type tasks struct {
	*shared
	count atomic.Int64 // that run

	mu   sync.Mutex
	byID map[string]*streamTask // by container id; guarded by mu
	gone []*streamTask          // of removed containers, longest ago first; guarded by mu
}

func newTasks(all *shared) *tasks {
	return &tasks{shared: all, byID: make(map[string]*streamTask)}
}

// GoneGrace is how long streams of removed containers keep their position. A list may
// be wrong, and records may still be on their way into Fluent Bit.
const GoneGrace = 10 * time.Minute

// maxGone is how many of them do.
const maxGone = 1000

// streamTask is a stream and what is to be done with it. Its fields are
// guarded by tasks.mu.
type streamTask struct {
	stream *stream
	cancel context.CancelFunc // of the present run; nil while none runs
	launch func()             // begins another run
	ending <-chan struct{}    // closed when the present run is to end
	again  bool               // it is to run once more after the present run
	gone   bool               // the container was removed
	goneAt time.Time          // when its stream ended after that
	ranTo  time.Time          // when its last run ended; zero before the first did
	dead   bool               // its log cannot be read: not started again
}

// start makes the container's stream run, as look does. It makes the stream
// when there is none yet. inspected says that ctr is as good as a new
// inspect.
func (c *tasks) start(ctx context.Context, ctr *container.Container, inspected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.byID[ctr.ID]
	if t == nil {
		t = &streamTask{stream: newStream(c.shared, ctr, c.Store.Begin(ctr))}
		t.stream.fate = c.fateOf(t.stream)
		t.stream.task.Do = func(ctx context.Context) error { return c.runStream(ctx, t) }
		t.stream.task.Dropped = func() { c.dropped(t) }
		c.byID[ctr.ID] = t
	}
	t.gone = false
	if t.cancel == nil && inspected {
		t.stream.known()
	}
	c.runTask(ctx, t)
}

// fateOf tells a stream what has become of it.
func (c *tasks) fateOf(s *stream) func() (runs, replaced bool) {
	return func() (runs, replaced bool) {
		return c.settled(s.id), c.captured(s.id) != s
	}
}

// look makes the stream of a captured container run, once more if it runs
// already: its log may have gained a run that is over by now. A stream that
// finds no such run reads nothing. It says whether the container is captured.
func (c *tasks) look(ctx context.Context, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.byID[id]
	if t == nil || t.gone {
		return false
	}
	c.runTask(ctx, t)
	return true
}

// runTask is look with c.mu held.
func (c *tasks) runTask(ctx context.Context, t *streamTask) {
	if t.dead || ctx.Err() != nil {
		return
	}
	if t.cancel != nil {
		t.again = true
		t.stream.lookAgain()
		return
	}
	t.launch = func() {
		if ctx.Err() == nil {
			var run context.Context
			run, t.cancel = context.WithCancel(ctx)
			t.ending = run.Done()
			c.count.Add(1)
			c.Supervisor.Start(run, t.stream.task)
		}
	}
	t.launch()
}

// runStream runs the stream until it is done and nobody asked for more.
func (c *tasks) runStream(ctx context.Context, t *streamTask) error {
	for {
		err := t.stream.run(ctx)
		var p supervise.PanicError
		if errors.Is(context.Cause(ctx), supervise.ErrStalled) || errors.As(err, &p) {
			return err // the supervisor starts another run, or has done so
		}
		t.stream.log.Debug("the stream ended", "reason", err)
		if !c.runAgain(ctx, t, err) {
			return err
		}
	}
}

// runAgain notes that a run of the stream ended, and says whether another is
// asked for.
func (c *tasks) runAgain(ctx context.Context, t *streamTask, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := errors.Is(err, engine.ErrGone)
	t.dead = t.dead || errors.Is(err, engine.ErrUnreadable)
	if t.again && ctx.Err() == nil && !gone && !t.dead {
		t.again = false
		return true
	}
	c.ended(t, gone)
	return false
}

// dropped notes that the stream does not run again after a stall or a panic.
func (c *tasks) dropped(t *streamTask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-t.ending: // not that of a run that was begun since then
		c.ended(t, false)
	default:
	}
}

// ended notes that the stream does not run any more; gone says that its
// container was removed. Where it was stopped and is wanted again, another run
// begins. c.mu is held.
func (c *tasks) ended(t *streamTask, gone bool) {
	if t.cancel == nil {
		return
	}
	t.cancel()
	t.cancel, t.ranTo = nil, time.Now()
	c.count.Add(-1)
	switch again := t.again; {
	case gone || t.gone:
		c.forget(t)
	case again && !t.dead:
		t.launch()
	}
	t.again = false
	c.dropGone(0)
}

// removed says that the container is gone; its stream ends by itself when it
// has read what is left.
func (c *tasks) removed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.byID[id]
	if t != nil {
		t.stream.removed.Store(true)
	}
	switch {
	case t == nil:
	case t.cancel != nil:
		t.gone = true
		t.stream.lookAgain() // each time that it is told: the Engine may not have answered the last one
	case !t.gone:
		c.forget(t)
	}
}

// stop ends the capture of a container that is no longer wanted.
func (c *tasks) stop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byID[id]; t != nil && !t.gone {
		t.gone = true
		if t.cancel == nil {
			c.forget(t)
			return
		}
		t.cancel()
	}
}

// forget drops a task that does not run, after a while. c.mu is held.
func (c *tasks) forget(t *streamTask) {
	t.gone, t.goneAt = true, time.Now()
	c.gone = append(c.gone, t)
	c.dropGone(len(c.gone) - maxGone)
}

// dropGone drops the tasks of containers that have been gone for long, and
// the n that have been for longest. c.mu is held.
func (c *tasks) dropGone(n int) {
	for len(c.gone) > 0 {
		t := c.gone[0]
		if n <= 0 && t.gone && (time.Since(t.goneAt) < GoneGrace || c.mayComeBack(t)) {
			return
		}
		n--
		c.gone = c.gone[1:]
		if t.gone && t.cancel == nil { // it did not come back
			delete(c.byID, t.stream.id)
			if _, exists := c.Store.LeftOut(t.stream.id); exists { // and may be wanted again
				c.Out.Lock()
				p := t.stream.Committed
				c.Out.Unlock()
				c.Store.End(t.stream.id, t.stream.container().Name, &p)
			}
			c.Store.Change()
		}
	}
}

// mayComeBack says whether a stream that was ended has records on their way to
// Fluent Bit, and a container that may be wanted again: another stream of it would
// read them once more. c.mu is held.
func (c *tasks) mayComeBack(t *streamTask) bool {
	if _, exists := c.Store.LeftOut(t.stream.id); !exists || t.cancel != nil {
		return false
	}
	c.Out.Lock()
	defer c.Out.Unlock()
	return t.stream.Waits()
}

// running returns the streams that run.
func (c *tasks) running() (all []*stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.byID {
		if t.cancel != nil {
			all = append(all, t.stream)
		}
	}
	return all
}

// runningCount is the number of streams that run.
func (c *tasks) runningCount() int { return int(c.count.Load()) }

// settled says whether the stream of a container that is captured runs, or never
// will.
func (c *tasks) settled(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.byID[id]
	return t != nil && !t.gone && (t.cancel != nil || t.dead)
}

// capturedIDs returns the ids of all containers that have a stream.
func (c *tasks) capturedIDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.byID))
}

// captured returns the stream of a container, nil if there is none.
func (c *tasks) captured(id string) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byID[id]; t != nil {
		return t.stream
	}
	return nil
}

// sayUntaken says which containers that were removed had lines that Fluent Bit does
// not hold: nobody can read them again.
func (c *shared) sayUntaken() {
	for _, from := range c.Out.Untaken() {
		if s := from.(*stream); s.removed.Load() {
			c.Metrics.Gaps.Inc()
			s.log.Error("gap: Fluent Bit ended before it held the last lines of this container, which was removed: they are lost")
		}
	}
}
