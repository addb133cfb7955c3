package say

import (
	"sync"
	"time"
)

// Seldom says what happens again and again once in a while.
type Seldom struct {
	mu sync.Mutex
	n  int       // times since then; guarded by mu
	at time.Time // when it was said last; guarded by mu
}

// Tell calls say, unless it did so within every. say is told how often Tell was
// called since.
func (s *Seldom) Tell(every time.Duration, say func(times int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; time.Since(s.at) < every {
		return
	}
	say(s.n)
	s.n, s.at = 0, time.Now()
}
