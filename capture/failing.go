package capture

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// failingTime is how long all reads of a log must have failed for its container
// to be named by /readyz: a retry or two is nothing.
const failingTime = time.Minute

// failed takes note of a read that ended early, which began at a moment when so
// many records had been consumed. It returns since when the reads have failed
// without the stream having come on.
func (s *stream) failed(began time.Time, before uint64) (since time.Time) {
	came := s.consumed() > before
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.failing.IsZero() || came || s.wentWell(began) {
		s.failing = time.Now()
	}
	return s.failing
}

// failsNot says that reading waits for something else, or has ended.
func (s *stream) failsNot() {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.failing = time.Time{}
}

// wentWell says whether a read that began then had found its position, or
// polled, and gone on for a while. meta is held.
func (s *stream) wentWell(began time.Time) bool {
	return time.Since(began) > steady && (!s.synced.IsZero() || s.lastPoll.After(began))
}

// failingFor is for how long the reads have failed, 0 if they do not. movedAt is
// when the stream delivered its last record. meta is held.
func (s *stream) failingFor(movedAt time.Time) time.Duration {
	if s.failing.IsZero() || movedAt.After(s.failing) || (s.doing == streamReading && s.wentWell(s.doingSince)) {
		return 0
	}
	return time.Since(s.failing)
}

// failingStreams are the names of the containers whose logs have failed to be
// read for failingTime.
func (c *Collector) failingStreams() (names []string) {
	for _, s := range c.running() {
		s.col.out.Lock()
		movedAt := s.movedAt
		s.col.out.Unlock()
		s.meta.Lock()
		if s.failingFor(movedAt) >= failingTime {
			names = append(names, s.ctr.Name)
		}
		s.meta.Unlock()
	}
	slices.Sort(names)
	return names
}

// fewNames lists some of them.
func fewNames(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
