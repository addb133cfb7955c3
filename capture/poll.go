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
	if !follow {
		return p.follow.search(ctx, s, false, pollTail)
	}
	plan := newPollPlan(s)
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
		if err := p.poll(ctx, s); err != nil {
			return err
		}
		wait, err := plan.next()
		if err != nil {
			return err
		}
		t.Reset(wait)
	}
}

// poll asks once. It does so in a goroutine of its own: the deep calls of a
// request would make the stack of one that waits most of its life, and of
// which there may be thousands, several times as large. For the same reason
// what lies between that goroutine's start and its wait is kept shallow.
func (p *pollReader) poll(ctx context.Context, s *stream) error {
	err := apart(func() error { return p.follow.search(ctx, s, false, pollTail) })
	if err == nil {
		s.task.beat()
	}
	return err
}

// pollPlan is when a log is polled, by what the polls have brought.
type pollPlan struct {
	s        *stream
	interval time.Duration
	seen     uint64    // records consumed before the last poll
	at       time.Time // of the last poll, zero before the first
	looked   time.Time // when it was last looked for the log's file
}

func newPollPlan(s *stream) *pollPlan {
	return &pollPlan{s: s, interval: s.col.cfg.PollMin, seen: s.consumed(), looked: time.Now()}
}

// next follows a poll and returns the time to the next one; errMoved if the log
// is to be read in another way from now on.
func (p *pollPlan) next() (time.Duration, error) {
	s, cfg := p.s, p.s.col.cfg
	now, n := time.Now(), s.consumed()
	// The first poll may bring what was written in hours.
	if rate := float64(n-p.seen) / now.Sub(p.at).Seconds(); !p.at.IsZero() && rate >= cfg.ActiveRate && s.wakesUp(rate) {
		return 0, errMoved
	}
	if now.Sub(p.looked) > cfg.RotateInterval {
		if p.looked = now; s.fileAppeared() {
			return 0, errMoved
		}
	}
	p.interval = min(2*p.interval, cfg.PollMax)
	if n > p.seen {
		p.interval = cfg.PollMin
	}
	p.seen, p.at = n, now
	return onGrid(p.interval - p.interval/8 + s.spread(p.interval/8)), nil
}

// maxGrid bounds how long a poll waits for others.
const maxGrid = time.Second

// onGrid shortens a wait so that it ends at the same moment as others of about
// its length: polls that are done in one go cost a third of what they cost when
// a processor is woken for each.
func onGrid(d time.Duration) time.Duration {
	grid := min(d/12, maxGrid)
	if grid <= 0 {
		return d
	}
	end := sinceStart() + d
	return d - end%grid
}

// apart runs f in a goroutine of its own.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guard(f) }()
	return <-done
}
