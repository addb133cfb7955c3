package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// maxTries bounds the requests of one read: the tails from FirstTail to
// LongestTail, then everything, some of them twice.
const maxTries = 30

// A rotation reads the records of the last turnTail again, at least FirstTail
// and at most maxTurnTail of them: what the stream may lag behind.
const (
	turnTail    = 250 * time.Millisecond
	maxTurnTail = 4096
)

// followDoublesBelow is the first API version whose follow sends nothing
// twice (Engine 23).
const followDoublesBelow = "1.42"

// asker asks the Engine for the log of one container.
type asker struct {
	*reader.Log
	host      Host
	shared    *Shared
	memory    *Memory
	api       *engine.Client
	firstByte time.Duration // that the Engine needed at most, of late
}

// tailsLie says whether a tail shows fewer records than the log holds of it. Podman
// joins those of a long line.
func (k *asker) tailsLie() bool { return k.api.IsPodman() || k.hidesEmpty() }

// hidesEmpty says whether the Engine shows no empty lines, which it counts in a tail:
// 20.10 does so of journald.
func (k *asker) hidesEmpty() bool {
	return k.Container().Driver == "journald" && k.api.OlderThan(followDoublesBelow)
}

// request asks for a log in which target is to be found, from the limit-th record
// from its end on.
func (k *asker) request(ctx context.Context, follow bool, limit int, target *position.Position) (*openLog, error) {
	ctx, interrupt := context.WithCancelCause(ctx)
	late := time.AfterFunc(engine.CallTimeout, func() { interrupt(reader.ErrStalled) })
	defer late.Stop()
	release, err := k.shared.Opens.Acquire(ctx)
	if err != nil {
		interrupt(nil)
		return nil, err
	}
	defer release()
	asked, had := time.Now(), k.Consumed()
	tail, since := k.span(limit, target)
	body, err := k.api.Logs(ctx, k.ID, follow, tail, since)
	if err != nil {
		err = engine.Cause(ctx, err)
		interrupt(nil)
		return nil, err
	}
	return &openLog{ctx: ctx, interrupt: interrupt, body: body, asked: asked, limit: limit, had: had, w: k.window()}, nil
}

// localKeepsEndsFrom is the first API version whose local driver keeps the
// newline of a line that it stores in partials (Engine 23).
const localKeepsEndsFrom = "1.42"

// window makes one for a log of the stream that is being opened.
func (k *asker) window() *decode.Window {
	c := k.Container()
	if !c.TTY {
		w := decode.NewWindow(nil, k.memory.rough.Load())
		w.Pieces = k.api.IsPodman()
		return w
	}
	ahead := k.shared.Ahead.Load()
	tty := &decode.TTY{
		Loose: c.Driver == "local" && k.api.OlderThan(localKeepsEndsFrom),
		Exact: c.Driver == "journald" && !k.api.IsPodman(),
		Now:   func() int64 { return time.Now().UnixNano() + ahead },
	}
	if c.Running && c.StartedAt != 0 {
		tty.From, tty.To = c.StartedAt, c.SeenAt+ahead-decode.ClockSlack
	}
	return decode.NewWindow(tty, k.memory.rough.Load())
}

// clockSlack is by how much a record may be older, in seconds, than the moment at
// which it was not there yet.
const clockSlack = 2

// span is what to ask for so that target is found: the tail, and where that is
// position.ByTime the time: a tail of Podman's is no end of its log, because it
// joins the pieces of a long line to the line before. What was written since the
// log was last heard of is asked for whatever the clock did meanwhile; one that was
// set back before that leaves nothing to go by.
func (k *asker) span(limit int, target *position.Position) (tail int, since int64) {
	if limit < position.ByTime || limit == position.Everything {
		return limit, 0
	}
	since = target.Since()
	now := k.shared.now()
	if since == 0 || now/int64(time.Second) < since {
		return position.Everything, 0
	}
	if heard := time.Duration(k.memory.heard.Load()); heard > 0 {
		unheard := now - int64(supervise.SinceStart()-heard)
		since = min(since, unheard/int64(time.Second)-clockSlack)
	}
	return position.ByTime, max(1, since)
}

// longer is the tail to ask for after limit did not reach far enough: what the
// rate of the records seen suggests, within bounds.
func longer(limit int, r *position.Resync) int {
	if limit > position.LongestTail { // which was a place in time
		return position.Everything
	}
	next := limit * position.Further
	if guess := r.Estimate(); guess > next {
		next = min(guess, limit*position.Furthest)
	}
	if next > position.LongestTail {
		return position.Everything
	}
	return next
}

// untilEnd reads a log to its end and calls each after every part of it.
func (k *asker) untilEnd(log *openLog, each func(eof bool) error) error {
	silence := time.AfterFunc(engine.CallTimeout, func() { log.interrupt(reader.ErrStalled) })
	defer silence.Stop()
	for first := true; ; first = false {
		_, err := log.fill()
		if first {
			k.firstByte = time.Since(log.asked)
		}
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		}
		if err := each(eof); err != nil || eof {
			return err
		}
		silence.Reset(engine.CallTimeout)
	}
}

// stored calls each for the last limit records that the log holds, and for
// nothing that is written later.
func (k *asker) stored(ctx context.Context, limit int, each func(*decode.Entry) error) error {
	log, err := k.request(ctx, false, limit, &position.Position{})
	if err != nil {
		return err
	}
	defer log.close()
	silence := time.AfterFunc(engine.CallTimeout, func() { log.interrupt(reader.ErrStalled) })
	defer silence.Stop()
	for {
		_, err := log.fill()
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		}
		if err := log.w.Each(eof, each); err != nil || eof {
			return err
		}
		silence.Reset(engine.CallTimeout)
	}
}

// shows says whether a record is among the last ones of the log.
func (k *asker) shows(ctx context.Context, limit int, record position.Mark) (shown bool) {
	k.Task.Beat() // each answer is given its own time
	_ = k.stored(ctx, limit, func(e *decode.Entry) error {
		m := position.MarkOf(e)
		shown = shown || m.Same(&record)
		return nil
	})
	return shown
}

// endTail is how many records back the end of a terminal's log is asked for: what
// was taken for one record, because it had no end, is cut like that again.
const endTail = 4

// atEnd calls each for the last records of the log, the last one last.
func (k *asker) atEnd(ctx context.Context, each func(*decode.Entry)) error {
	tail := 1
	if k.Container().TTY {
		tail = endTail
	}
	if k.api.IsPodman() {
		tail = position.ByTime
	}
	target := k.Position()
	log, err := k.request(ctx, false, tail, &target)
	if err != nil {
		return err
	}
	defer log.close()
	late := time.AfterFunc(engine.CallTimeout, func() { log.interrupt(reader.ErrStalled) })
	defer late.Stop()
	log.w.Expect(&target.Anchor)
	for eof := false; !eof; {
		_, err := log.w.Fill(log.body)
		if eof = errors.Is(err, io.EOF); err != nil && !eof {
			return engine.Cause(log.ctx, err)
		}
		if err := log.w.Each(eof, func(e *decode.Entry) error { each(e); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// last is the last record of the log, none if there is none.
func (k *asker) last(ctx context.Context) ([]position.TrailMark, error) {
	var all []position.TrailMark
	err := k.atEnd(ctx, func(e *decode.Entry) {
		m := position.MarkOf(e)
		all = append(all[:0], m.Single())
	})
	var refusal decode.SystemError
	if errors.As(err, &refusal) {
		return nil, nil
	}
	return all, err
}

// count reads the last n records of the log, and returns how many the Engine
// gives, with what is none and left out, and the first of them.
func (k *asker) count(ctx context.Context, n int, known *position.Anchor) (seen int, first position.TrailMark, err error) {
	log, err := k.request(ctx, false, n, &position.Position{})
	if err != nil {
		return 0, first, err
	}
	defer log.close()
	log.w.Expect(known)
	err = k.untilEnd(log, func(eof bool) error {
		return log.w.Each(eof, func(e *decode.Entry) error {
			if seen++; seen == 1 {
				m := position.MarkOf(e)
				first = m.Single()
			}
			return nil
		})
	})
	var refusal decode.SystemError
	if errors.As(err, &refusal) {
		return 0, first, nil
	}
	return seen + log.w.Damaged, first, err
}

// behind asks for the last record.
func (k *asker) behind(ctx context.Context) (behind bool, err error) {
	target := k.Position()
	err = k.atEnd(ctx, func(e *decode.Entry) { behind = target.Before(e) })
	return behind, err
}
