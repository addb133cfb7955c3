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

// failingStreams are the names of the containers whose logs have failed to be
// read for failingTime.
func (c *Collector) failingStreams() (names []string) {
	for _, s := range c.running() {
		_, movedAt, _ := s.progress()
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
