package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/status"
)

// steady is how long a read must have gone well for the next failure to
// be said as the first. Its retry is soon also if it has brought anything.
const steady = 10 * time.Second

// standing is what a stream does and since when, and what is known of its container.
type standing struct {
	removed atomic.Bool // the container was

	meta      sync.Mutex
	ctr       *container.Container    // guarded by meta
	inspected bool                    // ctr is as good as a new inspect; guarded by meta
	proof     proof                   // that the log was open since the last start that was told of; guarded by meta
	ended     container.LastRun       // whose log was read to its end; guarded by meta
	cancel    context.CancelCauseFunc // of the present read; guarded by meta
	synced    time.Time               // when the present opening of the log had found its position, zero before; guarded by meta
	opening   time.Time               // since when that is looked for; guarded by meta
	asking    time.Time               // since when a poll is under way, zero while none is; guarded by meta
	lastPoll  time.Time               // of a log that was polled since it was last open or read to its end; guarded by meta
	pollTook  time.Duration           // the last poll; guarded by meta
	cutOff    time.Time               // when reading ended early, since when the log was not read to its position; guarded by meta
	failing   time.Time               // since when reading has failed, zero if it did not; guarded by meta
	retryAt   time.Time               // when reading is tried next, while the stream is retrying; guarded by meta
	perSec    float64                 // records per second as last measured; guarded by meta
	turns     uint64                  // rotations; guarded by meta
	ages      float64                 // seconds, at its rotations in all; guarded by meta
	doing     string                  // guarded by meta
	// doingSince is when it began to do so; guarded by meta.
	doingSince time.Time
}

// container returns what is known of the stream's container.
func (s *standing) container() *container.Container {
	s.meta.Lock()
	defer s.meta.Unlock()
	return s.ctr
}

// known says that what is known of the container is as good as a new inspect.
func (s *standing) known() {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.inspected = true
}

// isOver says whether the container's last run is one whose log was read to its
// end.
func (s *standing) isOver(c *container.Container) bool {
	s.meta.Lock()
	defer s.meta.Unlock()
	return !c.Running && c.FinishedAt != 0 && c.LastRun == s.ended
}

// over says that the log of the container's last run was read to its end.
func (s *standing) over(c *container.Container) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.ended = c.LastRun
}

// proven says what was just seen of the log to the proof that it was open once.
func (s *standing) proven(seen func(*proof)) (open bool) {
	s.meta.Lock()
	defer s.meta.Unlock()
	seen(&s.proof)
	return s.proof.open
}

// inSync says that the log as it is open now was read to its position.
func (s *standing) inSync() {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.synced, s.lastPoll, s.cutOff = time.Now(), time.Time{}, time.Time{}
}

// isCutOff says that reading ended early: what is written from now on is lost
// if the container is removed before its log is open again.
func (s *standing) isCutOff() {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.proof.open && s.cutOff.IsZero() {
		s.cutOff = time.Now()
	}
}

// asks says since when a poll is under way; zero, that none is.
func (s *standing) asks(since time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.asking = since
}

// polledAt says as of when the log was read to its end while its container could
// still write; zero, that it was read to its last line.
func (s *standing) polledAt(t time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.lastPoll, s.pollTook, s.cutOff = t, 0, time.Time{}
	if !t.IsZero() {
		s.pollTook = time.Since(t)
	}
	s.proof.cameToEnd()
}

// retriesAt notes when reading is tried next.
func (s *standing) retriesAt(t time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.retryAt = t
}

// setState notes what the stream is doing from now on.
func (s *standing) setState(doing string) {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.doing != doing {
		s.doing, s.doingSince = doing, time.Now()
	}
}

// interrupt ends the present read, if there is one, for a reason that run acts on.
func (s *standing) interrupt(reason error) {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.cancel != nil {
		s.cancel(reason)
	}
}

// age is how long the log has been open and in sync, 0 if it is not.
func (s *standing) age() time.Duration {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.synced.IsZero() {
		return 0
	}
	return max(1, time.Since(s.synced))
}

// failed takes note of a read that ended early, which came on or did not. It
// returns since when the reads have failed without the stream having done so.
func (s *standing) failed(began time.Time, came bool) (since time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	switch {
	case came, s.wentWell(began):
		s.failing = time.Now()
	case s.failing.IsZero() && s.opening.After(began):
		s.failing = s.opening // it may have taken long to fail, but what was open before had not
	case s.failing.IsZero():
		s.failing = began
	}
	return s.failing
}

// failsNot says that reading waits for something else, or has ended.
func (s *standing) failsNot() {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.failing = time.Time{}
}

// wentWell says whether a read that began then had found its position, or
// polled, and gone on for a while. meta is held.
func (s *standing) wentWell(began time.Time) bool {
	return time.Since(began) > steady && (!s.synced.IsZero() || s.lastPoll.After(began))
}

// failingFor is for how long the reads have failed, 0 if they do not. movedAt is
// when the stream delivered its last record. meta is held.
func (s *standing) failingFor(movedAt time.Time) time.Duration {
	if s.failing.IsZero() || movedAt.After(s.failing) || (s.doing == status.Reading && s.wentWell(s.doingSince)) {
		return 0
	}
	return time.Since(s.failing)
}

// rate is how many records per second the stream had when it was last measured.
func (s *standing) rate() float64 {
	s.meta.Lock()
	defer s.meta.Unlock()
	return s.perSec
}
