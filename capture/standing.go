package capture

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// standing is what a stream does and since when, and what is known of its container.
type standing struct {
	removed atomic.Bool // the container was
	// partSince is since when a part of a record has been there that a follow is sent,
	// on the clock of sinceStart, 0: none is.
	partSince atomic.Int64
	// heard is when the log was last read to its end, or sent, on the clock of
	// sinceStart; 0: never.
	heard atomic.Int64

	meta     sync.Mutex
	ctr      *container.Container    // guarded by meta
	fresh    bool                    // ctr is as good as a new inspect; guarded by meta
	read     bool                    // the log was opened once; guarded by meta
	ended    container.LastRun       // whose log was read to its end; guarded by meta
	cancel   context.CancelCauseFunc // of the present read; guarded by meta
	synced   time.Time               // when the present opening of the log had found its position, zero before; guarded by meta
	opening  time.Time               // since when that is looked for; guarded by meta
	asking   time.Time               // since when a poll is under way, zero while none is; guarded by meta
	asked    time.Time               // when the last poll began; guarded by meta
	lastPoll time.Time               // of a log that was polled since it was last open or read to its end; guarded by meta
	cutOff   time.Time               // when reading ended early, since when the log was not read to its position; guarded by meta
	failing  time.Time               // since when reading has failed, zero if it did not; guarded by meta
	retryAt  time.Time               // when reading is tried next, while the stream is retrying; guarded by meta
	perSec   float64                 // records per second as last measured; guarded by meta
	filePath string                  // of the log file that is or was read; guarded by meta
	fileEnd  decode.Place            // how far it was read; guarded by meta
	trail    position.Trail          // of the run before, if there is something to be compared still; guarded by meta
	turns    uint64                  // rotations; guarded by meta
	ages     float64                 // seconds, at its rotations in all; guarded by meta
	doing    string                  // guarded by meta
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
	s.fresh = true
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

// opened says that the log could be opened.
func (s *standing) opened() {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.read = true
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
	if s.read && s.cutOff.IsZero() {
		s.cutOff = time.Now()
	}
}

// sentPart says whether a part of a record is there, and whether whole ones came
// before it.
func (s *standing) sentPart(part, moved bool) {
	switch {
	case !part:
		s.partSince.Store(0)
	case moved || s.partSince.Load() == 0:
		s.partSince.Store(int64(supervise.SinceStart()))
	}
}

// heardAt notes when the log was last read to its end, or sent.
func (s *standing) heardAt(t time.Time) { s.heard.Store(int64(supervise.SinceStart() - time.Since(t))) }

// asks says since when a poll is under way; zero, that none is.
func (s *standing) asks(since time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.asking = since; !since.IsZero() {
		s.asked = since
	}
}

// polledAt says when the log was read to its end while its container could
// still write; zero, that it was read to its last line.
func (s *standing) polledAt(t time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.lastPoll, s.cutOff = t, time.Time{}
}

// retriesAt notes when reading is tried next.
func (s *standing) retriesAt(t time.Time) {
	s.meta.Lock()
	defer s.meta.Unlock()
	s.retryAt = t
}

// is notes what the stream is doing from now on.
func (s *standing) is(doing string) {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.doing != doing {
		s.doing, s.doingSince = doing, time.Now()
	}
}

// cut ends the present read, if there is one, for a reason that run acts on.
func (s *standing) cut(reason error) {
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
	if s.failing.IsZero() || movedAt.After(s.failing) || (s.doing == streamReading && s.wentWell(s.doingSince)) {
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

// takeTrail is what the run before has left that was not compared with the log.
func (s *standing) takeTrail() (t position.Trail) {
	s.meta.Lock()
	defer s.meta.Unlock()
	t, s.trail = s.trail, position.Trail{}
	return t
}

// leaveTrail leaves to the next run what was not compared with the log. A container
// that was removed has none. Of records without a time others may be equal, further
// back: then less is looked at.
func (s *standing) leaveTrail(t position.Trail) {
	if end := t.End(); s.removed.Load() || t.Unconfirmed() == 0 || end.Time() == 0 {
		return
	}
	s.meta.Lock()
	defer s.meta.Unlock()
	s.trail = t
}
