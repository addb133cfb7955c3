package capture

import (
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/position"
)

// What a container is to the capture: known, left out, or new. Only at the
// very first list, and with a DB that does not say, clocks decide.

// clockStep is from where on a difference of clocks is a step.
const clockStep = 2 * time.Second

// noteClock fixes, the first time, when the capture began by the Engine's
// clock, which is ahead of ours, and dates that anew when the clock was set.
func (c *Collector) noteClock(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead.Store(int64(ahead))
	// By the Engine's clock, at our beginning, as it is set now.
	began := time.Now().Round(0).Add(ahead - time.Since(c.began)).UnixNano()
	if step := time.Duration(began - c.nowAt); c.nowAt == 0 {
		c.nowAt = began
	} else if step.Abs() >= clockStep {
		c.log.Warn("the clock was set: what is dated by it is dated anew", "by", step.Round(time.Millisecond))
		c.nowAt, c.startAt, c.unsaved = began, c.startAt+int64(step), true
	}
	switch first := time.Unix(0, c.startAt).UTC(); {
	case c.startAt == 0:
		c.startAt, c.unsaved = c.nowAt, true
	case c.startAt > c.nowAt+int64(clockStep):
		c.log.Warn("option DB: its first start lies in the future, the clock was wrong then or is now; this start takes its place", "first_start", first)
		c.startAt, c.unsaved = c.nowAt, true
	}
}

// beganAt is when this run of the agent began, by the Engine's clock.
func (c *Collector) beganAt() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowAt
}

// leaveOut notes why a container is not captured.
func (c *Collector) leaveOut(id string, o checkpoint.Other) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.Listed = time.Now()
	before, ok := c.others[id]
	if before.Stopped { // the first look is what counts
		o.Stopped, o.Last = true, before.Last
	}
	c.unsaved = c.unsaved || !ok || before.Last != o.Last
	c.others[id] = o
}

// existed notes of a container that the first list shows, before it is looked
// at, that it is not new.
func (c *Collector) existed(ctr *container.Container) {
	c.mu.Lock()
	_, there := c.others[ctr.ID]
	first := !c.listed && ctr.Created < c.startAt && !there && c.streams.byID[ctr.ID] == nil
	c.mu.Unlock()
	if first {
		c.leaveOut(ctr.ID, checkpoint.Other{})
	}
}

// leftOut is what is known of a container that is not captured.
func (c *Collector) leftOut(id string) checkpoint.Other {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.others[id]
}

// listAgain notes that a list shows the container, if it is left out.
func (c *Collector) listAgain(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.others[id]; ok {
		o.Listed = time.Now()
		c.others[id] = o
	}
}

// allListed notes that a whole list was taken in: what comes now and is neither
// captured nor left out is new.
func (c *Collector) allListed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsaved = c.unsaved || !c.listed
	c.listed = true
}

// isNew says whether a container that is not captured was created since the
// first start. c.mu is held.
func (c *Collector) isNew(ctr *container.Container) bool {
	_, there := c.others[ctr.ID]
	return !there && (c.listed || ctr.Created >= c.startAt)
}

// ranSince says whether a container that does not run, and is not captured, has
// run since the first start, or has a position in the checkpoint.
func (c *Collector) ranSince(ctr *container.Container) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, saved := c.loaded[ctr.ID]; saved {
		return true
	}
	if before := c.others[ctr.ID]; before.Stopped {
		return before.Last != ctr.LastRun
	}
	return ctr.StartedAt != 0 && (c.isNew(ctr) || ctr.StartedAt >= c.startAt)
}

// startPosition is where the capture of a container begins: where the
// checkpoint says, else by when the container came.
//
//	left out until now                  when that was last so
//	created since the first start       at its beginning
//	stopped then, and started since     behind the run before, or with Start_From
//	                                    beginning at its beginning
//	ran already                         where Start_From says
//
// c.mu is held.
func (c *Collector) startPosition(ctr *container.Container) position.Position {
	if saved, ok := c.loaded[ctr.ID]; ok {
		if p, err := saved.Position.Restore(); err == nil {
			return p
		}
	}
	before := c.others[ctr.ID]
	switch {
	case before.Unwanted != 0:
		return position.Position{Kind: position.FromTime, TS: before.Unwanted}
	case c.isNew(ctr), c.cfg.StartFrom.Kind == StartBeginning, before.Stopped && before.Last.StartedAt == 0:
		return position.Position{Kind: position.FromBeginning}
	case before.Stopped && before.Last != ctr.LastRun:
		// Its lines are dated by one clock; what that has done in between, a run
		// that begins before the end of the one before tells.
		from := max(before.Last.StartedAt, before.Last.FinishedAt) + 1
		if ctr.StartedAt != 0 { // which a list does not tell
			from = min(from, ctr.StartedAt)
		}
		return position.Position{Kind: position.FromTime, TS: from}
	case ctr.StartedAt >= c.startAt:
		return position.Position{Kind: position.FromTime, TS: c.startAt}
	}
	switch from := c.cfg.StartFrom; from.Kind {
	case StartTail:
		return position.Position{Kind: position.FromTail, Tail: from.Tail}
	case StartSince:
		return position.Position{Kind: position.FromTime, TS: c.nowAt - int64(from.Since)}
	}
	return position.Position{Kind: position.FromTime, TS: c.nowAt}
}

// reserve notes where the capture of a container begins that is wanted, and cannot
// be begun yet.
func (c *Collector) reserve(ctr *container.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.loaded[ctr.ID]
	if p := c.startPosition(ctr); !ok && p.Kind != position.FromTail { // the end of a log is where it is then
		c.loaded[ctr.ID] = checkpoint.Entry{Name: ctr.Name, Position: checkpoint.PositionOf(&p)}
		c.unsaved = true
	}
}

// engineNow is the time by the Engine's clock.
func (c *Collector) engineNow() int64 { return time.Now().UnixNano() + c.ahead.Load() }
