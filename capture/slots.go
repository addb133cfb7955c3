package capture

import (
	"errors"
	"math"
	"sync"
)

// errMoved ends a read because the stream is to be read in another way, or its
// container is to be looked at again.
var errMoved = errors.New("the stream is read in another way from now on")

// slots bounds how many logs are followed by Reader auto, Max_Streams, and
// gives the slots to the containers that write most.
type slots struct {
	max int

	mu   sync.Mutex
	held map[*stream]float64 // by whom, and records per second when last measured; guarded by mu
}

func newSlots(n int) *slots { return &slots{max: n, held: make(map[*stream]float64)} }

// beyond is how many times as many slots there are for containers that are
// removed when they stop.
const beyond = 2

// take gives s a slot if one is free, or held by a stream that is much quieter:
// that one is moved to polling. A container that is removed when it stops takes
// its last lines with it, before the next poll: for it any other will do, and
// where there is none the slots become more, up to a limit.
func (l *slots) take(s *stream, rate float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[s]; !ok && len(l.held) >= l.max {
		fleeting := s.container().AutoRemove
		least := rate / 2 // or two streams that are alike would take turns
		if fleeting {
			least = math.Inf(1)
		}
		switch quietest := l.quietest(least); {
		case quietest != nil:
			delete(l.held, quietest)
			quietest.quiet.Store(true)
			quietest.cut(errMoved)
		case !fleeting || len(l.held) >= beyond*l.max:
			return false
		}
	}
	l.held[s] = rate
	s.quiet.Store(false)
	return true
}

// quietest is the stream that writes least, less than so much, among those that
// may be polled; nil if there is none. mu is held.
func (l *slots) quietest(least float64) (quietest *stream) {
	for o, r := range l.held {
		if r < least && !o.container().AutoRemove {
			quietest, least = o, r
		}
	}
	return quietest
}

// give takes the slot of s back, if it has one.
func (l *slots) give(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, s)
}

// holds says whether s has a slot; its rate is noted.
func (l *slots) holds(s *stream, rate float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[s]; !ok {
		return false
	}
	l.held[s] = rate
	return true
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
	if s.col.slots.holds(s, rate) && rate < s.col.cfg.ActiveRate/2 && !s.container().AutoRemove {
		s.col.slots.give(s)
		s.quiet.Store(true)
		s.cut(errMoved)
	}
}

// wakesUp says whether a stream that is polled is to be followed, since it has
// so many records per second.
func (s *stream) wakesUp(rate float64) bool {
	return s.col.cfg.Reader == readerAuto && !s.parked.Load() && s.col.slots.take(s, rate)
}
