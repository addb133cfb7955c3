package capture

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// openReader is a reader that keeps the log open while it follows it. What it
// is asked here comes from another goroutine than that of read.
type openReader interface {
	reader
	// rotate has the log opened anew and closed as it was, in this order: the
	// container may vanish meanwhile. It may return before that is done.
	rotate(ctx context.Context, s *stream) error
	// behind asks, in another way than by what is open, whether the log holds
	// records behind the position of s.
	behind(ctx context.Context, s *stream) (bool, error)
}

var (
	// errRotated ends what is open of a log in favour of its next opening.
	errRotated = errors.New("stream rotation")
	// errSilent ends a read that delivers nothing while the log grows.
	errSilent = errors.New("the stream is silent while its log grows")
)

// settleTime is how long a stream may take to deliver what a probe has seen.
const settleTime = time.Second

// readOpen has r read while the stream's heartbeat goes on: a read that waits
// for its log to be written to gives no sign by itself.
func (s *stream) readOpen(ctx context.Context, r openReader) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := supervise.Catch(func() error { s.pulse(ctx, r); return nil }); err != nil {
			s.cut(err)
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	return r.read(ctx, s, true)
}

// pulse sends the stream's heartbeats, rotates it and gives up the open log of
// one that became quiet, until ctx is done.
func (s *stream) pulse(ctx context.Context, r openReader) {
	cfg := s.col.cfg
	beat := time.NewTimer(s.spread(cfg.HeartbeatInterval))
	defer beat.Stop()
	turn := time.NewTimer(s.spread(cfg.RotateInterval))
	defer turn.Stop()
	idle := time.NewTicker(cfg.IdleAfter)
	defer idle.Stop()
	atBeat, atIdle := s.consumed(), s.consumed()
	for {
		select {
		case <-beat.C:
			atBeat = s.heartbeat(ctx, r, atBeat)
			beat.Reset(onGrid(cfg.HeartbeatInterval))
		case <-turn.C:
			turn.Reset(s.rotate(ctx, r))
		case <-idle.C:
			now := s.consumed()
			s.measured(float64(now-atIdle) / cfg.IdleAfter.Seconds())
			atIdle = now
		case <-ctx.Done():
			return
		}
	}
}

// spread is a part of d that differs from container to container, so that not
// all streams do the same at the same time.
func (s *stream) spread(d time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.id))
	return d/10 + time.Duration(float64(d)*0.9*float64(h.Sum32())/(1<<32))
}

// heartbeat makes sure that the stream can move: it has moved since before,
// when it had consumed so many records, or there is nothing to be read, or
// nobody to take it. A stream that merely stands still is opened again.
func (s *stream) heartbeat(ctx context.Context, r openReader, before uint64) (now uint64) {
	now = s.consumed()
	if now != before || s.col.out.Full() {
		s.task.Beat()
		return now
	}
	ctx, cancel := context.WithTimeoutCause(ctx, engine.ProbeTimeout, errStalled)
	defer cancel()
	behind, err := r.behind(ctx, s)
	switch {
	case err != nil:
		// No heartbeat then: the Engine does not answer, or not for this log.
		s.log.Debug("the heartbeat's probe failed", "error", err)
		return now
	case behind && supervise.Sleep(ctx, min(settleTime, s.col.cfg.HeartbeatInterval)) && s.stuck(now):
		s.col.metrics.stalls.Inc()
		s.log.Warn("the stream is silent while its log grows, it is opened again")
		s.cut(errSilent)
		return now
	}
	s.task.Beat()
	return s.consumed()
}

// stuck says whether a stream that has found its position stands where it
// stood, while it could go on.
func (s *stream) stuck(before uint64) bool {
	s.meta.Lock()
	synced := !s.synced.IsZero()
	s.meta.Unlock()
	return synced && s.consumed() == before && !s.col.out.Full()
}
