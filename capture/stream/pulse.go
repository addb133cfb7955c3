package stream

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// settleTime is how long a stream may take to deliver what a probe has seen.
const settleTime = time.Second

// readOpen has r read while the stream's heartbeat goes on: a read that waits
// for its log to be written to gives no sign by itself.
func (s *stream) readOpen(ctx context.Context, r reader.Open) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := supervise.Catch(func() error { s.pulse(ctx, r); return nil }); err != nil {
			s.interrupt(err)
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	return r.Read(ctx, true)
}

// pulse sends the stream's heartbeats, rotates it and gives up the open log of
// one that became quiet, until ctx is done.
func (s *stream) pulse(ctx context.Context, r reader.Open) {
	beat := time.NewTimer(supervise.Spread(s.id, s.all.Heartbeat))
	defer beat.Stop()
	turn := time.NewTimer(supervise.Spread(s.id, s.all.Rotate))
	defer turn.Stop()
	idle := time.NewTicker(s.all.IdleAfter)
	defer idle.Stop()
	atBeat, atIdle := s.Consumed(), s.Consumed()
	silent := silence{consumed: atBeat}
	for {
		select {
		case <-beat.C:
			atBeat = s.heartbeat(ctx, r, atBeat)
			beat.Reset(supervise.OnGrid(s.all.Heartbeat))
		case <-turn.C:
			turn.Reset(s.rotate(ctx, r, &silent))
		case <-idle.C:
			now := s.Consumed()
			s.measured(float64(now-atIdle) / s.all.IdleAfter.Seconds())
			atIdle = now
		case <-ctx.Done():
			return
		}
	}
}

// heartbeat makes sure that the stream can move: it has moved since before,
// when it had consumed so many records, or there is nothing to be read, or
// nobody to take it. A stream that merely stands still is opened again.
func (s *stream) heartbeat(ctx context.Context, r reader.Open, before uint64) (now uint64) {
	now = s.Consumed()
	if now != before || s.all.Out.Full() {
		s.task.Beat()
		return now
	}
	ctx, cancel := context.WithTimeoutCause(ctx, engine.ProbeTimeout, reader.ErrStalled)
	defer cancel()
	behind, err := r.Behind(ctx)
	switch {
	case err != nil:
		// No heartbeat then: the Engine does not answer, or not for this log.
		s.log.Debug("the heartbeat's probe failed", "error", err)
		return now
	case behind && supervise.Sleep(ctx, min(settleTime, s.all.Heartbeat)) && s.stuck(now):
		s.all.Metrics.Stalls.Inc()
		s.log.Warn("the stream is silent while its log grows, it is opened again")
		s.interrupt(reader.ErrSilent)
		return now
	}
	s.task.Beat()
	return s.Consumed()
}

// stuck says whether a stream that has found its position stands where it
// stood, while it could go on.
func (s *stream) stuck(before uint64) bool {
	s.meta.Lock()
	synced := !s.synced.IsZero()
	s.meta.Unlock()
	return synced && s.Consumed() == before && !s.all.Out.Full()
}
