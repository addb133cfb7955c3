package stream

import (
	"fluent-bit-docker-logs/capture/reader"
)

// fleeting implements rival, as hasSlot does.
func (s *stream) fleeting() bool { return s.container().AutoRemove }

func (s *stream) hasSlot(yes bool) {
	if s.quiet.Store(!yes); !yes {
		s.interrupt(reader.ErrMoved)
	}
}

// measured notes how many records per second a stream has had of late, and
// moves one that is followed and has become quiet to polling.
func (s *stream) measured(rate float64) {
	s.meta.Lock()
	s.perSec = rate
	s.meta.Unlock()
	// Half of Active_Rate, so that a stream near it does not go to and fro. A
	// container that is removed when it stops takes its last lines with it,
	// before the next poll.
	if s.all.slots.holds(s, rate) && rate < s.all.ActiveRate/2 && !s.fleeting() {
		s.all.slots.give(s)
		s.hasSlot(false)
	}
}

// wakesUp says whether a stream that is polled is to be followed, since it has
// so many records per second.
func (s *stream) wakesUp(rate float64) bool {
	return s.all.Reader == Auto && !s.parked.Load() && s.all.slots.take(s, rate)
}
