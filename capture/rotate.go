package capture

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// nextRotation is when the stream is to be rotated next: every
// Rotate_Interval, at a moment of its own.
func (s *stream) nextRotation() time.Time {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.rotateAt.IsZero() {
		s.rotateAt = time.Now().Add(s.spread(s.col.cfg.RotateInterval))
	}
	return s.rotateAt
}

// notInSync is when a rotation is tried again that came before the stream had
// found its position: cut then, it might never find it.
const notInSync = 100 * time.Millisecond

// rotate has the stream opened anew, and returns the time to the next rotation.
func (s *stream) rotate(ctx context.Context, r openReader) time.Duration {
	if s.age() == 0 {
		return notInSync
	}
	if s.fileAppeared() {
		s.cut(errMoved)
	} else if err := r.rotate(ctx, s); err != nil && ctx.Err() == nil {
		s.col.metrics.rotationErrors.Inc()
		s.log.Debug("the stream was not rotated, it goes on as it is", "error", err)
	}
	s.meta.Lock()
	defer s.meta.Unlock()
	now := time.Now()
	for !s.rotateAt.After(now) {
		s.rotateAt = s.rotateAt.Add(s.col.cfg.RotateInterval)
	}
	return s.rotateAt.Sub(now)
}

// age is how long the log has been open and in sync, 0 if it is not.
func (s *stream) age() time.Duration {
	s.meta.Lock()
	defer s.meta.Unlock()
	if s.synced.IsZero() {
		return 0
	}
	return max(1, time.Since(s.synced))
}

// rotated counts and says that what was open of the log was closed and another
// opening has taken its place.
func (s *stream) rotated() {
	age := s.age()
	s.meta.Lock()
	s.synced = time.Time{}
	s.ages.observe(age)
	s.meta.Unlock()
	s.task.beat()
	s.col.metrics.rotations.Inc()
	s.col.turns.note(s, age)
}

// manyStreams is above how many streams rotations are said together.
const manyStreams = 20

// rotationLog says rotations: each, or with many streams one line per
// Rotate_Interval for all of them.
type rotationLog struct {
	log      *slog.Logger
	level    slog.Level
	off      bool
	interval time.Duration

	mu     sync.Mutex
	since  time.Time     // guarded by mu: of the first rotation that was not said yet
	n      int           // guarded by mu: rotations that were not said yet
	oldest time.Duration // guarded by mu: the greatest age among them
}

func newRotationLog(cfg *Config, log *slog.Logger) *rotationLog {
	l := &rotationLog{log: log, interval: cfg.RotateInterval, off: cfg.RotationLogLevel == "off"}
	if !l.off {
		_ = l.level.UnmarshalText([]byte(cfg.RotationLogLevel)) // the option table allows nothing else
	}
	return l
}

func (l *rotationLog) note(s *stream, age time.Duration) {
	if l.off {
		return
	}
	age = age.Round(time.Millisecond)
	if s.col.runningCount() <= manyStreams {
		s.log.Log(context.Background(), l.level, "the stream was rotated", "age", age)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.n == 0 {
		l.since = now
	}
	l.n, l.oldest = l.n+1, max(l.oldest, age)
	if since := now.Sub(l.since); since >= l.interval {
		l.log.Log(context.Background(), l.level, "streams were rotated", "rotations", l.n, "within", since.Round(time.Second), "greatest_age", l.oldest)
		l.n, l.oldest = 0, 0
	}
}
