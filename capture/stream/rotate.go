package stream

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

const (
	// maxSilence is how long a stream that delivers nothing goes without rotation
	// at most, and maxLeftOut is as many of Rotate_Interval: its heartbeats prove
	// already that there is nothing to deliver.
	maxSilence = 5 * time.Minute
	maxLeftOut = 10
)

// silence is what a stream delivered up to its last rotation, and how many it has
// left out since, because it delivered nothing.
type silence struct {
	consumed uint64
	leftOut  int
}

// leavesOut says whether the rotation that is due is one too many.
func (q *silence) leavesOut(consumed uint64, interval time.Duration) bool {
	if consumed == q.consumed && q.leftOut+1 < min(maxLeftOut, int(maxSilence/interval)) {
		q.leftOut++
		return true
	}
	*q = silence{consumed: consumed}
	return false
}

// rotate has the stream opened anew if it is due, and returns the time to the
// next look: Rotate_Interval after the stream had found its position, since one
// that is turned while it catches up may never come to an end; for the first
// time earlier, at a moment of its own.
func (s *stream) rotate(ctx context.Context, r reader.Open, q *silence) time.Duration {
	interval := s.all.Rotate
	due := interval
	if !s.turned.Load() {
		due = supervise.Spread(s.id, interval)
	}
	switch age := s.age(); {
	case age == 0: // not yet in sync
		return due
	case age < due-due/supervise.Moments:
		return due - age
	}
	first := !s.turned.Swap(true)
	if s.fileAppeared() {
		s.interrupt(reader.ErrMoved)
	} else if !first && !s.all.TurnsSilent && q.leavesOut(s.Consumed(), interval) {
		s.log.Debug("the stream was silent since it was rotated, it is left as it is")
	} else if err := r.Rotate(ctx); err != nil && ctx.Err() == nil {
		s.all.Metrics.RotationErrors.Inc()
		s.log.Debug("the stream was not rotated, it goes on as it is", "error", err)
	}
	return supervise.NearGrid(interval)
}

// rotated counts and says that what was open of the log was closed and another
// opening has taken its place.
func (s *stream) rotated() {
	age := s.age()
	s.meta.Lock()
	if s.doing == status.Reading && s.wentWell(s.doingSince) {
		s.failing = time.Time{} // while the next opening is not in sync it shows no more that it does not
	}
	if !s.synced.IsZero() { // else it is still looked for
		s.synced, s.opening = time.Time{}, time.Now()
	}
	s.turns, s.ages = s.turns+1, s.ages+age.Seconds()
	s.meta.Unlock()
	s.all.Metrics.Ages.Observe(age.Seconds())
	s.task.Beat()
	s.all.Metrics.Rotations.Inc()
	s.all.turns.note(s.log, age)
}
