package stream

import (
	"context"
	"errors"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
)

// host is a stream as its readers know it.
type host struct{ s *stream }

// readerLog is what a stream hands to its readers.
func (s *stream) readerLog() *reader.Log {
	return &reader.Log{ID: s.id, Host: host{s}, Writer: &s.Writer, Out: s.all.Out, Task: s.task, Say: s.log, Said: &s.said, Trouble: &s.trouble, Poke: s.poke}
}

// Container implements reader.Host, as all up to FirstLook do.
func (h host) Container() *container.Container { return h.s.container() }

// Inspect asks the Engine, whatever was learned of late.
func (h host) Inspect(ctx context.Context) (*container.Container, error) { return h.s.ask(ctx) }

func (h host) Opened()                            { h.s.proven((*proof).opened) }
func (h host) InSync()                            { h.s.inSync() }
func (h host) Rotated()                           { h.s.rotated() }
func (h host) WaitRoom(ctx context.Context) error { return h.s.waitRoom(ctx) }

func (h host) Gap(ctx context.Context, a *position.Anchor) error { return h.s.reportGap(ctx, a) }

func (h host) FirstLook(target *position.Position, whole bool) *position.FirstLook {
	return h.s.firstLook(target, whole)
}

// CutOff implements the readers' of the API host, as all up to WakesUp do.
func (h host) CutOff()                   { h.s.isCutOff() }
func (h host) Asks(since time.Time)      { h.s.asks(since) }
func (h host) PolledAt(t time.Time)      { h.s.polledAt(t) }
func (h host) FileAppeared() bool        { return h.s.fileAppeared() }
func (h host) WakesUp(rate float64) bool { return h.s.wakesUp(rate) }

// Path implements the host of the reader of files, as FromFile does.
func (h host) Path(ctx context.Context) (string, error) { return h.s.logPath(ctx) }
func (h host) FromFile(path string)                     { h.s.notes.sayFile(h.s.log, path) }

// reportGap counts and says that the log does not hold the anchor any more. It
// returns reader.ErrMoved: a first look then finds where to go on; where that was of no
// use before, reader.ErrNotInView. The log of a container that is gone by now, engine.ErrGone,
// tells nothing of what it held.
func (s *stream) reportGap(ctx context.Context, a *position.Anchor) error {
	if _, err := s.ask(ctx); errors.Is(err, engine.ErrGone) {
		return err
	}
	s.known() // what another question waits for may be rotated away
	switch other, err := s.GapBehind(ctx, a); {
	case err != nil:
		return err
	case other:
		return reader.ErrMoved
	}
	return reader.ErrNotInView
}

// firstLook makes one at a log.
func (s *stream) firstLook(target *position.Position, whole bool) *position.FirstLook {
	var now func() int64
	if target.Kind == position.FromTime && !target.Lost && target.TS >= s.all.Store.BeganAt() {
		now = s.all.Store.Now
	}
	return position.NewFirstLook(target, whole, now)
}
