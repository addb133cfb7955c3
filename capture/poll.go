package capture

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// pollReader reads a log through the Engine's API now and then, and keeps
// nothing open in between. It finds the stream's position each time as a
// follow does, so that nothing is lost or read twice; a log without news costs
// the Engine a request for its last records.
type pollReader struct{ follow *followReader }

// pollTail is how many records back a poll looks at first: as many as an
// anchor has, and some that may be new.
const pollTail = 2 * position.AnchorDepth

// rarely is how many times the time that the Engine needs for the first byte
// pass between two polls at least.
const rarely = 20

// read implements reader.
func (p *pollReader) read(ctx context.Context, s *stream, follow bool) error {
	if !follow {
		return p.follow.read(ctx, s, false)
	}
	plan := newPollPlan(s)
	plan.stays = p.follow.slow
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		s.task.Rest() // until it is its turn
		select {
		case <-t.C:
		case <-s.poke:
			return errMoved // the container may have stopped
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var wait time.Duration
		if err := s.col.pollers.do(ctx, func() (err error) {
			s.task.Beat()
			wait, err = p.poll(ctx, s, plan)
			return err
		}); err != nil {
			return err
		}
		t.Reset(wait)
	}
}

// poll asks once, and returns the time to the next poll.
func (p *pollReader) poll(ctx context.Context, s *stream, plan *pollPlan) (time.Duration, error) {
	f, before, held := p.follow, s.consumed(), p.follow.came
	// What a poll shows of a damaged log may end too early: as often as the
	// heartbeat of a follow does, a poll without news asks for the last record.
	f.suspect = time.Since(plan.moved) >= s.col.cfg.HeartbeatInterval
	if f.suspect {
		plan.moved = time.Now()
	}
	s.asks(time.Now())
	err := f.catchUp(ctx, s, pollTail)
	s.asks(time.Time{})
	if err != nil {
		return 0, err
	}
	f.trail.Leave()
	if s.consumed() > before {
		plan.moved = time.Now()
	}
	s.task.Beat()
	s.polledAt(time.Now())
	// One late answer is an Engine that was busy, two are how it is.
	slow := min(f.firstByte, plan.firstByte)
	plan.firstByte = f.firstByte
	spare := plan.spare(slow, f.came-held)
	wait, err := plan.next()
	return max(wait, spare), err
}

// pollPlan is when a log is polled, by what the polls have brought.
type pollPlan struct {
	firstByte time.Duration // that the poll before needed
	s         *stream
	interval  time.Duration
	seen      uint64    // records consumed before the last poll
	at        time.Time // of the last poll, zero before the first
	stays     bool      // it cannot be followed
	spaced    bool      // polls at Poll_Max were given moments of their own
	looked    time.Time // when it was last looked for the log's file
	moved     time.Time // when there was news, or it was made sure that there is none
}

func newPollPlan(s *stream) *pollPlan {
	return &pollPlan{s: s, interval: s.col.cfg.PollMin, seen: s.consumed(), looked: time.Now(), moved: time.Now()}
}

// spare is how long to wait so that an Engine that needs firstByte for each answer
// is not kept busy by them, and yet nothing is replaced that was not read, if so
// many bytes come from one poll to the next as they did to this one. A log of one
// file may be gone at any moment; one that the Engine has compressed may be hidden
// (mayBeHeld), so that each is to be met while it is the newest.
func (p *pollPlan) spare(firstByte time.Duration, bytes int64) time.Duration {
	wait, keeps := rarely*firstByte, p.s.logKeeps.Load()
	switch {
	case keeps == 0:
		return wait
	case p.at.IsZero() || p.s.container().MaxFile <= 1:
		return 0
	case bytes == 0:
		return wait
	}
	lasts := float64(time.Since(p.at)) * float64(keeps) / float64(bytes)
	parts := 4
	if c := p.s.container(); c.Compressed {
		parts = 2 * c.MaxFile
	}
	return time.Duration(min(float64(wait), lasts/float64(parts)))
}

// next follows a poll and returns the time to the next one; errMoved if the log
// is to be read in another way from now on.
func (p *pollPlan) next() (time.Duration, error) {
	s, cfg := p.s, p.s.col.cfg
	now, n := time.Now(), s.consumed()
	// The first poll may bring what was written in hours.
	rate := float64(n-p.seen) / now.Sub(p.at).Seconds()
	if !p.at.IsZero() && !p.stays && (rate >= cfg.ActiveRate || s.container().AutoRemove) && s.wakesUp(rate) {
		return 0, errMoved
	}
	if now.Sub(p.looked) > cfg.RotateInterval {
		if p.looked = now; s.fileAppeared() {
			return 0, errMoved
		}
	}
	p.interval = min(2*p.interval, cfg.PollMax)
	if n > p.seen {
		p.interval, p.spaced = cfg.PollMin, false
	}
	p.seen, p.at = n, now
	wait := p.interval
	if p.interval == cfg.PollMax && !p.spaced {
		// From now on it keeps its distance to the others.
		wait, p.spaced = s.spread(wait), true
	}
	return onGrid(wait), nil
}

// moments is how many there are within a time at which something is done that
// all streams do at about that interval.
const moments = 14

// onGrid shortens a wait so that it ends at the same moment as others of about
// its length: what is done in one go costs a third of what it costs when a
// processor is woken for each.
func onGrid(d time.Duration) time.Duration {
	// A little shorter than d, which must not be exceeded when it is their turn.
	grid := d * 98 / 100 / moments
	if grid <= 0 {
		return d
	}
	end := supervise.SinceStart() + d
	return d - end%grid
}

// nearGrid moves the end of a wait to the nearest such moment, so that one wait
// after the other is of length d.
func nearGrid(d time.Duration) time.Duration {
	grid := d / moments
	if grid <= 0 {
		return d
	}
	end := supervise.SinceStart() + d + grid/2
	return d + grid/2 - end%grid
}
