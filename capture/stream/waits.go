package stream

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/status"
)

// waitEngine waits until the Engine answers.
func (s *stream) waitEngine(ctx context.Context) error {
	if up, _ := s.all.State.Get(); !up {
		s.failsNot()
		s.setState(status.Waiting)
	}
	defer s.task.Beat()
	s.task.Rest()
	return s.all.State.WaitUp(ctx)
}

// waitSink waits until the outbox has room again.
func (s *stream) waitSink(ctx context.Context) error {
	s.setState(status.Blocked)
	defer s.task.Beat()
	s.task.Rest()
	return s.all.Out.WaitRoom(ctx)
}

// patience is how long one append to a full outbox may block before the
// log is closed.
const patience = time.Second

// waitRoom waits a moment for room in the outbox.
func (s *stream) waitRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, reader.ErrBackpressure)
	defer cancel()
	s.setState(status.Blocked)
	if err := s.all.Out.WaitRoom(ctx); err != nil {
		return err
	}
	s.setState(status.Reading)
	return nil
}

// pause waits before the next attempt, less when there is news.
func (s *stream) pause(ctx context.Context, d time.Duration) error {
	s.setState(status.Retrying)
	s.retriesAt(time.Now().Add(d))
	defer s.task.Beat()
	s.task.Rest()
	_, changed := s.all.State.Get()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-s.poke:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
