package capture

import (
	"context"
	"fmt"
	"maps"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/supervise"
)

// journalPace is the shortest time between two writes of the journal, while it
// is full the time between two attempts to begin it anew.
// After a write there is a pause of journalShare times what it took: with very
// many containers that write at once it has megabytes.
const (
	journalShare = 3
	journalPace  = 10 * time.Millisecond
	journalRetry = time.Second
)

// savePace is how many times longer than a save the pause after it is at
// least: with ten thousand containers the file has megabytes.
const savePace = 20

// saveLoop saves the positions while they change, until ctx is done, and at
// once when the Engine was found: what the first start was like must outlive
// an agent that is killed a moment later. In between it keeps the journal.
func (c *Collector) saveLoop(ctx context.Context, t *supervise.Task) error {
	due := time.NewTimer(c.cfg.DBSync)
	defer due.Stop()
	var written time.Time // no line of the journal before
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		t.Rest()
		select {
		case <-due.C:
		case <-c.saveNow:
		case <-c.committed:
			pause.Reset(time.Until(written))
			continue
		case <-pause.C:
			began := time.Now()
			t.Beat()
			c.disks.look(c.log)
			c.journalCommits()
			if !c.db.Full() {
				written = began.Add(max(journalPace, journalShare*time.Since(began)))
				continue
			}
			written = began.Add(journalRetry)
		case <-ctx.Done():
			return nil
		}
		t.Beat()
		c.disks.look(c.log)
		began := time.Now()
		c.saveGuarded()
		due.Reset(max(c.cfg.DBSync, savePace*time.Since(began)))
	}
}

// saveGuarded saves what changed and says, throttled, what goes wrong.
func (c *Collector) saveGuarded() {
	err := supervise.Catch(c.save)
	if err != nil {
		c.metrics.checkpointErrors.Inc()
		c.db.Trouble.Report(c.log, fmt.Errorf("option DB: %s: %w", c.cfg.DB, err))
		return
	}
	c.savedAt.Store(time.Now().UnixNano())
	c.db.Trouble.Over(c.log)
}

// save writes the committed positions of all containers, if any changed.
func (c *Collector) save() error {
	cp := c.snapshot()
	if cp == nil {
		return nil
	}
	if err := c.db.Save(cp); err != nil {
		c.mu.Lock()
		c.unsaved = true
		c.mu.Unlock()
		return err
	}
	return nil
}

// snapshot collects the committed positions; nil if none changed since the
// last time.
func (c *Collector) snapshot() *checkpoint.Content {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.startAt == 0 {
		return nil // no Engine yet, so no container either
	}
	c.out.Lock()
	defer c.out.Unlock()
	changed := c.out.TakeMoved() || c.unsaved
	c.unsaved = false
	if !changed {
		return nil
	}
	cp := &checkpoint.Content{
		Version:    checkpoint.Version,
		Saved:      time.Now().UTC(),
		FirstStart: time.Unix(0, c.startAt).UTC(),
		Containers: make(map[string]checkpoint.Entry, len(c.streams.byID)+len(c.loaded)),
	}
	for id, saved := range c.loaded {
		cp.Containers[id] = saved
	}
	if c.listed {
		cp.Others = maps.Clone(c.others)
		for id, o := range cp.Others {
			if o.Unwanted != 0 { // and is not up to now
				o.Unwanted = c.engineNow()
				cp.Others[id] = o
			}
		}
	}
	for id, t := range c.streams.byID {
		if !t.stream.Waits() { // what was consumed since was not for delivery
			t.stream.Committed = t.stream.Snapshot()
		}
		cp.Containers[id] = checkpoint.Entry{Name: t.stream.container().Name, Position: checkpoint.PositionOf(&t.stream.Committed)}
	}
	return cp
}

// dropUnmet drops what the checkpoint has of containers that do not exist any
// more, when a list has not shown them for a while after the start.
func (c *Collector) dropUnmet(listed map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.began) < goneGrace {
		return
	}
	for id := range c.loaded {
		if !listed[id] {
			delete(c.loaded, id)
			c.unsaved = true
		}
	}
	for id, o := range c.others {
		if !listed[id] && time.Since(o.Listed) > goneGrace {
			delete(c.others, id)
			c.unsaved = true
		}
	}
}

// journalCommits writes down what was committed since the last time. That it
// fails is said with the checkpoint, which is saved for all the same.
func (c *Collector) journalCommits() {
	commits := c.out.TakeCommitted()
	if len(commits) == 0 {
		return
	}
	entries := make([]checkpoint.Commit, len(commits))
	for i, m := range commits {
		s := m.Seat.Source.(*stream)
		entries[i] = checkpoint.Commit{ID: s.id, Name: s.container().Name, Pos: m.Pos}
	}
	if err := supervise.Catch(func() error { return c.db.Write(entries) }); err != nil {
		c.metrics.checkpointErrors.Inc()
		c.db.Trouble.Report(c.log, fmt.Errorf("option DB: %w", err))
	}
}
