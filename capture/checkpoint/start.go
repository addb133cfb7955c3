package checkpoint

import (
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/position"
)

// What a container is to the capture: known, left out, or new. Only at the
// very first list, and with a DB that does not say, clocks decide.

// Start says where the capture begins of a container that already ran. That is
// one that did so when the plugin was started for the first time.
type Start struct {
	Kind  StartKind
	Since time.Duration // for StartSince: how far back
	Tail  int           // for StartTail: how many stored log records
}

// StartKind is the kind of a Start.
type StartKind int

// The kinds of a Start.
const (
	StartNow StartKind = iota
	StartBeginning
	StartSince
	StartTail
)

// clockStep is from where on a difference of clocks is a step.
const clockStep = 2 * time.Second

// NoteClock notes how far the Engine's clock is ahead of ours. The first time
// that fixes when the capture began; when a clock was set, it dates that anew.
func (s *Store) NoteClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead.Store(int64(ahead))
	// By the Engine's clock, at our beginning, as it is set now.
	began := time.Now().Round(0).Add(ahead - time.Since(s.began)).UnixNano()
	if step := time.Duration(began - s.nowAt); s.nowAt == 0 {
		s.nowAt = began
	} else if step.Abs() >= clockStep {
		s.log.Warn("the clock was set: what is dated by it is dated anew", "by", step.Round(time.Millisecond))
		s.nowAt, s.startAt, s.unsaved = began, s.startAt+int64(step), true
	}
	switch first := time.Unix(0, s.startAt).UTC(); {
	case s.startAt == 0:
		s.startAt, s.unsaved = s.nowAt, true
	case s.startAt > s.nowAt+int64(clockStep):
		s.log.Warn("option DB: its first start lies in the future, the clock was wrong then or is now; this start takes its place", "first_start", first)
		s.startAt, s.unsaved = s.nowAt, true
	}
}

// BeganAt is when this run began, by the Engine's clock.
func (s *Store) BeganAt() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nowAt
}

// isNew says whether a container that is not captured was created since the
// first start. s.mu is held.
func (s *Store) isNew(c *container.Container) bool {
	_, there := s.others[c.ID]
	return !there && (s.listed || c.Created >= s.startAt)
}

// RanSince says whether a container has run since the first start. It is one
// that does not run and is not captured; a position in the checkpoint says so
// too.
func (s *Store) RanSince(c *container.Container) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, saved := s.loaded[c.ID]; saved {
		return true
	}
	if before := s.others[c.ID]; before.Stopped {
		return before.Last != c.LastRun
	}
	return c.StartedAt != 0 && (s.isNew(c) || c.StartedAt >= s.startAt)
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
// s.mu is held.
func (s *Store) startPosition(c *container.Container) position.Position {
	if saved, ok := s.loaded[c.ID]; ok {
		if p, err := saved.Position.Restore(); err == nil {
			return p
		}
	}
	before := s.others[c.ID]
	switch {
	case before.Unwanted != 0:
		return position.Position{Kind: position.FromTime, TS: before.Unwanted}
	case s.isNew(c), s.start.Kind == StartBeginning, before.Stopped && before.Last.StartedAt == 0:
		return position.Position{Kind: position.FromBeginning}
	case before.Stopped && before.Last != c.LastRun:
		// Its lines are dated by one clock; what that has done in between, a run
		// that begins before the end of the one before tells.
		from := max(before.Last.StartedAt, before.Last.FinishedAt) + 1
		if c.StartedAt != 0 { // which a list does not tell
			from = min(from, c.StartedAt)
		}
		return position.Position{Kind: position.FromTime, TS: from}
	case c.StartedAt >= s.startAt:
		return position.Position{Kind: position.FromTime, TS: s.startAt}
	}
	switch from := s.start; from.Kind {
	case StartTail:
		return position.Position{Kind: position.FromTail, Tail: from.Tail}
	case StartSince:
		return position.Position{Kind: position.FromTime, TS: s.nowAt - int64(from.Since)}
	}
	return position.Position{Kind: position.FromTime, TS: s.nowAt}
}

// Now is the time by the Engine's clock, in nanoseconds since 1970.
func (s *Store) Now() int64 { return time.Now().UnixNano() + s.ahead.Load() }
