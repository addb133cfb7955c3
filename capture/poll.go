package capture

import (
	"context"
	"time"
)

// pollReader reads a log through the Engine's API now and then, and keeps
// nothing open in between. It finds the stream's position each time as a
// follow does, so that nothing is lost or read twice; a log without news costs
// the Engine a request for its last records.
type pollReader struct{ follow *followReader }

// pollTail is how many records back a poll looks at first: as many as an
// anchor has, and some that may be new.
const pollTail = 2 * anchorDepth

// read implements reader.
func (p *pollReader) read(ctx context.Context, s *stream, follow bool) error {
	cfg := s.col.cfg
	interval, seen, at, looked := cfg.PollMin, s.consumed(), time.Time{}, time.Now()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.poke:
			return errMoved // the container may have stopped
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := apart(func() error { return p.follow.search(ctx, s, false, pollTail) }); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		s.task.beat()
		now, n := time.Now(), s.consumed()
		// The first poll may bring what was written in hours.
		if rate := float64(n-seen) / now.Sub(at).Seconds(); !at.IsZero() && rate >= cfg.ActiveRate && s.wakesUp(rate) {
			return errMoved
		}
		if now.Sub(looked) > cfg.RotateInterval {
			if looked = now; s.fileAppeared() {
				return errMoved
			}
		}
		interval = min(2*interval, cfg.PollMax)
		if n > seen {
			interval = cfg.PollMin
		}
		seen, at = n, now
		t.Reset(interval - interval/8 + s.spread(interval/8)) // not all at once
	}
}

// apart runs f in a goroutine of its own: the deep calls of a request would
// make the stack of one that waits most of its life several times as large.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guard(f) }()
	return <-done
}
