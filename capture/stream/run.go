package stream

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

// Bounds of the wait between two attempts to read a log.
const (
	minRetry = 100 * time.Millisecond
	maxRetry = 30 * time.Second
)

// run captures one run of the container, to its end or to that of ctx. It
// returns engine.ErrGone when the container was removed, ErrUnreadable when its log
// cannot be read at all, nil when it merely stopped.
func (s *stream) run(ctx context.Context) error {
	retry := supervise.NewRetry(minRetry, maxRetry)
	r := newReaders(s)
	defer func() {
		if !s.removed.Load() {
			r.follow.Leave()
		}
	}()
	defer s.all.slots.give(s)
	defer s.failsNot()
	for {
		if err := s.waitEngine(ctx); err != nil {
			return err
		}
		began, before := time.Now(), s.Consumed()
		done, err := s.readOnce(ctx, r)
		s.ofAPI.Rough(errors.Is(err, decode.ErrBadFrame) && s.Consumed() == before)
		var p supervise.PanicError
		if done || ctx.Err() != nil || errors.As(err, &p) {
			return err
		}
		if time.Since(began) > steady || s.Consumed() > before {
			retry.Reset()
		}
		if time.Since(began) > steady {
			s.trouble.Forget()
		}
		if err := s.backOff(ctx, err, retry, s.failed(began, s.Consumed() > before)); err != nil {
			return err
		}
	}
}

// backOff follows a read that ended early, for a reason: it waits until it is
// worth while to read again. failing is since when reads have failed.
func (s *stream) backOff(ctx context.Context, reason error, retry backoff.BackOff, failing time.Time) error {
	if errors.Is(reason, reader.ErrMoved) {
		s.failsNot()
		return nil
	}
	s.all.Metrics.Reconnects.WithLabelValues(reasonOf(reason)).Inc()
	switch {
	case errors.Is(reason, reader.ErrSilent), errors.Is(reason, reader.ErrRecycled): // which both are seldom
		return nil
	case errors.Is(reason, reader.ErrBackpressure):
		s.failsNot()
		return s.waitSink(ctx)
	case reason == nil:
	case !errors.Is(reason, engine.ErrDown) || time.Since(failing) > status.FailingTime:
		s.trouble.Report(s.log, reason)
	}
	return s.pause(ctx, retry.NextBackOff())
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
		if err = s.readLog(ctx, r, c.Running); err == nil && c.Running {
			s.proven((*proof).cameToEnd)
		}
	}
	if err == nil && !c.Running && ctx.Err() == nil {
		if done, err = s.endOf(ctx, c); !errors.Is(err, engine.ErrGone) {
			return done, err
		}
	}
	switch {
	case ctx.Err() != nil:
		s.isCutOff() // another run may follow, of a container that is wanted again or behind a stall
		return false, context.Cause(ctx)
	case errors.Is(err, engine.ErrGone):
		s.removed.Store(true)
		if err := s.EndRun(ctx, s.reportMissed()); err != nil {
			return false, err
		}
		return true, engine.ErrGone
	case errors.Is(err, engine.ErrUnreadable):
		s.log.Warn("the log of this container cannot be read, it is left out until it is created anew", "driver", c.Driver, "error", err)
		return true, engine.ErrUnreadable
	case err != nil:
		s.isCutOff()
	}
	return false, err
}

// endOf follows a read to the end of the log of a run that is over. What stands
// there incomplete may be the next run's, which goes on with it. Where nothing stands
// there, the log may have been removed before it was opened; that is ErrGone.
func (s *stream) endOf(ctx context.Context, c *container.Container) (done bool, err error) {
	open := s.proven(func(*proof) {})
	if !open || s.Incomplete() {
		later, err := s.inspect(ctx)
		if err != nil && (!open || !errors.Is(err, engine.ErrGone)) || err == nil && later.LastRun != c.LastRun {
			return false, err
		}
	}
	if err := s.EndRun(ctx, false); err != nil {
		return true, err
	}
	s.over(c)
	return true, nil
}

// inspect returns the container as it is now. What discovery has just learned
// of it will do: a container may live for milliseconds only.
func (s *stream) inspect(ctx context.Context) (c *container.Container, err error) {
	s.meta.Lock()
	c, inspected := s.ctr, s.inspected
	s.inspected = false
	s.meta.Unlock()
	if inspected {
		return c, nil
	}
	s.task.Rest()
	release, err := s.all.looks.Acquire(ctx)
	s.task.Beat()
	if err != nil {
		return nil, err
	}
	defer release()
	err = supervise.Apart(func() error {
		c, err = s.ask(ctx)
		return err
	})
	if err == nil {
		s.proven((*proof).exists)
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
	case !s.proof.open:
		s.all.reportMissed(s.log, s.ctr)
	case !s.lastPoll.IsZero():
		s.all.Metrics.Unpolled.Inc()
		s.log.Warn("the container was removed while it was polled: what it wrote after its last poll, if anything, is lost", "last_poll", s.lastPoll.UTC())
		s.lastPoll = time.Time{}
	case !s.cutOff.IsZero():
		s.all.Metrics.Unpolled.Inc()
		s.log.Warn("the container was removed while its log could not be read: what it wrote meanwhile, if anything, is lost", "not_read_since", s.cutOff.UTC())
		s.cutOff = time.Time{}
	default:
		return false
	}
	return true
}

// readLog has the log read, in one way, until that ends or is interrupted.
func (s *stream) readLog(ctx context.Context, r *readers, follow bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.meta.Lock()
	s.cancel, s.synced, s.opening = cancel, time.Time{}, time.Now()
	s.meta.Unlock()
	s.setState(status.Reading)
	return s.readBy(ctx, r, follow)
}
