package capture

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// rotate has the stream opened anew if it is due, and returns the time to the
// next look: Rotate_Interval after the stream had found its position, since one
// that is turned while it catches up may never come to an end; for the first
// time earlier, at a moment of its own.
func (s *stream) rotate(ctx context.Context, r openReader) time.Duration {
	interval := s.col.cfg.RotateInterval
	due := interval
	if !s.turned.Load() {
		due = s.spread(interval)
	}
	switch age := s.age(); {
	case age == 0: // not yet in sync
		return due
	case age < due-due/moments:
		return due - age
	}
	s.turned.Store(true)
	if s.fileAppeared() {
		s.cut(errMoved)
	} else if err := r.rotate(ctx, s); err != nil && ctx.Err() == nil {
		s.col.metrics.rotationErrors.Inc()
		s.log.Debug("the stream was not rotated, it goes on as it is", "error", err)
	}
	return nearGrid(interval)
}

// rotated counts and says that what was open of the log was closed and another
// opening has taken its place.
func (s *stream) rotated() {
	age := s.age()
	s.meta.Lock()
	s.synced, s.opening = time.Time{}, time.Now()
	s.turns, s.ages = s.turns+1, s.ages+age.Seconds()
	s.meta.Unlock()
	s.col.metrics.ages.Observe(age.Seconds())
	s.task.Beat()
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
