package stream

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// manyStreams is above how many streams rotations are said together.
const manyStreams = 20

// rotationLog says rotations: each, or with many streams one line per
// Rotate_Interval for all of them.
type rotationLog struct {
	log      *slog.Logger
	level    slog.Level
	off      bool
	interval time.Duration
	running  func() int // streams

	mu     sync.Mutex
	since  time.Time     // guarded by mu: of the first rotation that was not said yet
	n      int           // guarded by mu: rotations that were not said yet
	oldest time.Duration // guarded by mu: the greatest age among them
}

// newRotationLog makes what says them at a level, or not at all: off.
func newRotationLog(interval time.Duration, level string, log *slog.Logger, running func() int) *rotationLog {
	l := &rotationLog{log: log, running: running, interval: interval, off: level == "off"}
	if !l.off {
		_ = l.level.UnmarshalText([]byte(level)) // the option table allows nothing else
	}
	return l
}

func (l *rotationLog) note(of *slog.Logger, age time.Duration) {
	if l.off {
		return
	}
	age = age.Round(time.Millisecond)
	if l.running() <= manyStreams {
		of.Log(context.Background(), l.level, "the stream was rotated", "age", age)
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
