package capture

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// Bounds of the wait between two attempts to read a log.
const (
	minRetry = 100 * time.Millisecond
	maxRetry = 30 * time.Second
	// steady is how long a read must have gone well for the next failure to
	// be said as the first. Its retry is soon also if it has brought anything.
	steady = 10 * time.Second
)

// run captures one run of the container, to its end or to that of ctx. It
// returns errGone when the container was removed, errUnreadable when its log
// cannot be read at all, nil when it merely stopped.
func (s *stream) run(ctx context.Context) error {
	retry := &backoff.ExponentialBackOff{InitialInterval: minRetry, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: maxRetry}
	retry.Reset()
	r := newReaders(s.col)
	r.follow.trail = s.takeTrail()
	defer func() { s.leaveTrail(r.follow.trail) }()
	defer s.col.slots.give(s)
	defer s.failsNot()
	for {
		if err := s.waitEngine(ctx); err != nil {
			return err
		}
		began, before := time.Now(), s.consumed()
		done, err := s.readOnce(ctx, r)
		s.rough.Store(errors.Is(err, decode.ErrBadFrame) && s.consumed() == before)
		var p supervise.PanicError
		if done || ctx.Err() != nil || errors.As(err, &p) {
			return err
		}
		if time.Since(began) > steady || s.consumed() > before {
			retry.Reset()
		}
		if time.Since(began) > steady {
			s.trouble.Forget()
		}
		if err := s.backOff(ctx, err, retry, s.failed(began, before)); err != nil {
			return err
		}
	}
}

// backOff follows a read that ended early, for a reason: it waits until it is
// worth while to read again. failing is since when reads have failed.
func (s *stream) backOff(ctx context.Context, reason error, retry backoff.BackOff, failing time.Time) error {
	if errors.Is(reason, errMoved) {
		s.failsNot()
		return nil
	}
	s.col.metrics.reconnects.WithLabelValues(reconnectReason(reason)).Inc()
	switch {
	case errors.Is(reason, errSilent), errors.Is(reason, errRecycled): // which both are seldom
		return nil
	case errors.Is(reason, errBackpressure):
		s.failsNot()
		return s.waitSink(ctx)
	case reason == nil:
	case !errors.Is(reason, engine.ErrDown) || time.Since(failing) > failingTime:
		s.trouble.Report(s.log, reason)
	}
	return s.pause(ctx, retry.NextBackOff())
}

// waitEngine waits until the Engine answers.
func (s *stream) waitEngine(ctx context.Context) error {
	if up, _ := s.col.conn.Get(); !up {
		s.failsNot()
		s.is(streamWaiting)
	}
	defer s.task.Beat()
	s.task.Rest()
	return s.col.conn.WaitUp(ctx)
}

// waitSink waits until the outbox has room again.
func (s *stream) waitSink(ctx context.Context) error {
	s.is(streamBlocked)
	defer s.task.Beat()
	s.task.Rest()
	return s.col.out.WaitRoom(ctx)
}

// pause waits before the next attempt, less when there is news.
func (s *stream) pause(ctx context.Context, d time.Duration) error {
	s.is(streamRetrying)
	s.retriesAt(time.Now().Add(d))
	defer s.task.Beat()
	s.task.Rest()
	_, changed := s.col.conn.Get()
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

// readOnce reads the log once, to its end if the container does not run.
// done says that there is no more to read.
func (s *stream) readOnce(ctx context.Context, r *readers) (done bool, err error) {
	c, err := s.inspect(ctx)
	s.task.Beat() // each answer is given its own time
	if err == nil && s.isOver(c) {
		return true, nil
	}
	if err == nil {
		err = s.readLog(ctx, r, c.Running)
	}
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, engine.ErrGone):
		s.removed.Store(true)
		if err := s.endRun(ctx, s.reportMissed()); err != nil {
			return false, err
		}
		return true, engine.ErrGone
	case errors.Is(err, engine.ErrUnreadable):
		s.log.Warn("the log of this container cannot be read, it is left out until it is created anew", "driver", c.Driver, "error", err)
		return true, engine.ErrUnreadable
	case err == nil && !c.Running:
		return s.endOf(ctx, c)
	case err != nil:
		s.isCutOff()
	}
	return false, err
}

// endOf follows a read to the end of the log of a run that is over. What stands
// there incomplete may be the next run's, which goes on with it.
func (s *stream) endOf(ctx context.Context, c *container.Container) (done bool, err error) {
	if s.incomplete() {
		later, err := s.inspect(ctx)
		if err != nil && !errors.Is(err, engine.ErrGone) || err == nil && later.LastRun != c.LastRun {
			return false, err
		}
	}
	if err := s.endRun(ctx, false); err != nil {
		return true, err
	}
	s.over(c)
	return true, nil
}

// inspect returns the container as it is now. What discovery has just learned
// of it will do: a container may live for milliseconds only.
func (s *stream) inspect(ctx context.Context) (c *container.Container, err error) {
	s.meta.Lock()
	c, fresh := s.ctr, s.fresh
	s.fresh = false
	s.meta.Unlock()
	if fresh {
		return c, nil
	}
	s.task.Rest()
	release, err := s.col.looks.acquire(ctx)
	s.task.Beat()
	if err != nil {
		return nil, err
	}
	defer release()
	err = apart(func() error {
		c, err = s.col.api.Inspect(ctx, s.id)
		return err
	})
	if err == nil {
		s.describe(c)
	}
	return c, err
}

// reportMissed counts and says that a container was removed before its log
// could be opened, or while it was not open. It says whether what was read of it
// may be torn.
func (s *stream) reportMissed() (torn bool) {
	s.meta.Lock()
	defer s.meta.Unlock()
	switch {
	case !s.read:
		s.col.reportMissed(s.log, s.ctr)
	case !s.lastPoll.IsZero():
		s.col.metrics.unpolled.Inc()
		s.log.Warn("the container was removed while it was polled: what it wrote after its last poll, if anything, is lost", "last_poll", s.lastPoll.UTC())
		s.lastPoll = time.Time{}
	case !s.cutOff.IsZero():
		s.col.metrics.unpolled.Inc()
		s.log.Warn("the container was removed while its log could not be read: what it wrote meanwhile, if anything, is lost", "not_read_since", s.cutOff.UTC())
		s.cutOff = time.Time{}
	default:
		return false
	}
	return true
}

func (c *Collector) reportMissed(log *slog.Logger, ctr *container.Container) {
	if !c.missed.Add(ctr.ID) {
		return
	}
	c.metrics.missed.Inc()
	log.Warn("gap: the container was removed before its log could be opened, its lines are lost", "image", ctr.Image)
}

// readLog has the log read, in one way, until that ends or cut is called.
func (s *stream) readLog(ctx context.Context, r *readers, follow bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.meta.Lock()
	s.cancel, s.synced, s.opening = cancel, time.Time{}, time.Now()
	s.meta.Unlock()
	s.is(streamReading)
	return s.readBy(ctx, r, follow)
}
