package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"
)

// supervisor keeps one stream for each container that is captured, and its
// task running while the container runs.
//
// A task's run ends by itself when its container stops; start runs it again.
// A panic ends a run like an error and starts another after a pause: it never
// leaves this package.
type supervisor struct {
	tasks map[string]*task // by container id; guarded by Collector.mu
	gone  []*task          // of removed containers, longest ago first; guarded by Collector.mu
}

// Streams of removed containers keep their position for a while: a list may
// be wrong, and records may still be on their way into Fluent Bit.
const (
	goneGrace = 10 * time.Minute
	maxGone   = 1000
)

type task struct {
	stream *stream
	cancel context.CancelFunc // of the present run; nil while none runs
	again  bool               // start was called during the run
	gone   bool               // the container was removed
	goneAt time.Time          // when its stream ended after that
	dead   bool               // its log cannot be read: not started again
}

// start makes the container's stream run, unless it runs already. It makes
// the stream when there is none yet.
func (c *Collector) start(ctx context.Context, ctr *container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.sup.tasks[ctr.ID]
	if t == nil {
		t = &task{stream: newStream(c, ctr, c.startPosition(ctr))}
		c.sup.tasks[ctr.ID] = t
		delete(c.loaded, ctr.ID)
		c.unsaved = true
	}
	t.gone = false
	if t.dead || ctx.Err() != nil {
		return
	}
	if t.cancel != nil {
		t.again = true
		t.stream.lookAgain()
		return
	}
	var runCtx context.Context
	runCtx, t.cancel = context.WithCancel(ctx)
	c.wg.Go(func() { c.runTask(runCtx, t) })
}

// runTask runs the stream until it is done and nobody asked for more.
func (c *Collector) runTask(ctx context.Context, t *task) {
	for {
		err := c.runGuarded(ctx, t.stream)
		t.stream.log.Debug("the stream ended", "reason", err)
		c.mu.Lock()
		gone := errors.Is(err, errGone)
		t.dead = t.dead || errors.Is(err, errUnreadable)
		if t.again && ctx.Err() == nil && !gone && !t.dead {
			t.again = false
			c.mu.Unlock()
			continue
		}
		t.cancel()
		t.cancel = nil
		if gone || t.gone {
			c.forget(t)
		}
		c.dropGone(0)
		c.mu.Unlock()
		return
	}
}

// panicPause is the wait before a task that panicked runs again.
const panicPause = 5 * time.Second

// runGuarded runs the stream, again after a panic.
func (c *Collector) runGuarded(ctx context.Context, s *stream) error {
	for {
		err := guard(func() error { return s.run(ctx) })
		var p panicError
		if !errors.As(err, &p) {
			return err
		}
		c.metrics.panics.Inc()
		s.log.Error("a panic was caught, the stream starts again", "panic", p.value, "stack", p.stack)
		select {
		case <-time.After(panicPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// panicError is a panic turned into an error.
type panicError struct {
	value any
	stack string
}

func (p panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError{v, string(debug.Stack())}
		}
	}()
	return f()
}

// removed says that the container is gone; its stream ends by itself when it
// has read what is left.
func (c *Collector) removed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.sup.tasks[id]
	if t == nil || t.gone {
		return
	}
	t.gone = true
	if t.cancel == nil {
		c.forget(t)
		return
	}
	t.stream.lookAgain()
}

// stop ends the capture of a container that is no longer wanted.
func (c *Collector) stop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.sup.tasks[id]; t != nil && !t.gone {
		t.gone = true
		if t.cancel == nil {
			c.forget(t)
			return
		}
		t.cancel()
	}
}

// forget drops a task that does not run, after a while. c.mu is held.
func (c *Collector) forget(t *task) {
	t.gone, t.goneAt = true, time.Now()
	c.sup.gone = append(c.sup.gone, t)
	c.dropGone(len(c.sup.gone) - maxGone)
}

// dropGone drops the tasks of containers that have been gone for long, and
// the n that have been for longest. c.mu is held.
func (c *Collector) dropGone(n int) {
	for len(c.sup.gone) > 0 {
		t := c.sup.gone[0]
		if n <= 0 && t.gone && time.Since(t.goneAt) < goneGrace {
			return
		}
		n--
		c.sup.gone = c.sup.gone[1:]
		if t.gone && t.cancel == nil { // it did not come back
			delete(c.sup.tasks, t.stream.id)
			c.unsaved = true
		}
	}
}

// running is the number of streams that run.
func (c *Collector) running() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.sup.tasks {
		if t.cancel != nil {
			n++
		}
	}
	return n
}

// isRunning says whether the container's stream runs, or never will.
func (c *Collector) isRunning(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.sup.tasks[id]
	return t != nil && (t.cancel != nil || t.dead)
}

// capturedIDs returns the ids of all containers that have a stream.
func (c *Collector) capturedIDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.sup.tasks))
}

// captured returns the stream of a container, nil if there is none.
func (c *Collector) captured(id string) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.sup.tasks[id]; t != nil {
		return t.stream
	}
	return nil
}
