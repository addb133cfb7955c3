package stream

import (
	"math"
	"sync"
)

// slots bounds how many logs are followed by Reader auto, Max_Streams, and
// gives the slots to the containers that write most.
type slots struct {
	max int

	mu   sync.Mutex
	held map[rival]float64 // by whom, and records per second when last measured; guarded by mu
}

func newSlots(n int) *slots { return &slots{max: n, held: make(map[rival]float64)} }

// rival is who may have a slot.
type rival interface {
	// fleeting says that it is of a container that is removed when it stops.
	fleeting() bool
	// hasSlot tells it that it has one, or has one no more. The slots are locked.
	hasSlot(yes bool)
}

// beyond is how many times as many slots there are for containers that are
// removed when they stop.
const beyond = 2

// take gives s a slot if one is free, or held by a stream that is much quieter:
// that one is moved to polling. A container that is removed when it stops takes
// its last lines with it, before the next poll: for it any other will do, and
// where there is none the slots become more, up to a limit.
func (l *slots) take(s rival, rate float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[s]; !ok && len(l.held) >= l.max {
		fleeting := s.fleeting()
		least := rate / 2 // or two streams that are alike would take turns
		if fleeting {
			least = math.Inf(1)
		}
		switch quietest := l.quietest(least); {
		case quietest != nil:
			delete(l.held, quietest)
			quietest.hasSlot(false)
		case !fleeting || len(l.held) >= beyond*l.max:
			return false
		}
	}
	l.held[s] = rate
	s.hasSlot(true)
	return true
}

// quietest is the stream that writes least, less than so much, among those that
// may be polled; nil if there is none. mu is held.
func (l *slots) quietest(least float64) (quietest rival) {
	for o, r := range l.held {
		if r < least && !o.fleeting() {
			quietest, least = o, r
		}
	}
	return quietest
}

// give takes the slot of s back, if it has one.
func (l *slots) give(s rival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, s)
}

// holds says whether s has a slot; its rate is noted.
func (l *slots) holds(s rival, rate float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[s]; !ok {
		return false
	}
	l.held[s] = rate
	return true
}
