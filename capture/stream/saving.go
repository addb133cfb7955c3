package stream

import (
	"slices"

	"fluent-bit-docker-logs/capture/checkpoint"
)

// saving tells what is to be saved of a set of streams.
type saving struct{ *tasks }

// content is what is to be saved: the committed positions of all containers; nil if
// none changed since the last time.
func (c saving) content() *checkpoint.Content {
	c.mu.Lock()
	defer c.mu.Unlock() // a container is known by its stream or to the store
	c.Out.Lock()
	moved := c.Out.TakeMoved()
	c.Out.Unlock()
	cp := c.Store.Content(moved)
	if cp == nil {
		return nil
	}
	all := make([]*stream, 0, len(c.byID))
	for _, t := range c.byID {
		all = append(all, t.stream)
	}
	for some := range slices.Chunk(all, atOnce) {
		c.positions(some, cp.Containers)
	}
	return cp
}

// atOnce bounds for how many streams the lock on the way of a line is held at a
// time.
const atOnce = 16

// positions notes up to where streams are to be read again.
func (c saving) positions(some []*stream, into map[string]checkpoint.Entry) {
	c.Out.Lock()
	defer c.Out.Unlock()
	for _, s := range some {
		if !s.Waits() { // what was consumed since was not for delivery
			s.Committed = s.Snapshot()
		}
		into[s.id] = checkpoint.Entry{Name: s.container().Name, Position: checkpoint.PositionOf(&s.Committed)}
	}
}

// commits are the positions that were committed since the last time.
func (c saving) commits() []checkpoint.Commit {
	taken := c.Out.TakeCommitted()
	all := make([]checkpoint.Commit, len(taken))
	for i, m := range taken {
		s := m.Seat.Source.(*stream)
		all[i] = checkpoint.Commit{ID: s.id, Name: s.container().Name, Pos: m.Pos}
	}
	return all
}
