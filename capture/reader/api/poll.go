package api

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// Poll reads a log through the Engine's API now and then. It keeps nothing open in
// between. It finds the stream's position each time as a follow does, so that nothing
// is lost or read twice; a log without news costs the Engine a request for its last
// records.
type Poll struct{ follow *Follow }

// pollTail is how many records back a poll looks at first: as many as an
// anchor has, and some that may be new.
const pollTail = 2 * position.AnchorDepth

// rarely is how many times the time that the Engine needs for the first byte
// pass between two polls at least.
const rarely = 20

// NewPoll makes one of a reader that follows, which does the reading.
func NewPoll(f *Follow) *Poll { return &Poll{follow: f} }

// Read implements reader.Reader.
func (p *Poll) Read(ctx context.Context, follow bool) error {
	if !follow {
		return p.follow.Read(ctx, false)
	}
	p.follow.sound.begin()
	plan := newPollPlan(p.follow)
	plan.stays = p.follow.slow
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		p.follow.Task.Rest() // until it is its turn
		select {
		case <-t.C:
		case <-p.follow.Poke:
			return reader.ErrMoved // the container may have stopped
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var wait time.Duration
		if err := p.follow.shared.Pollers.do(ctx, func() (err error) {
			p.follow.Task.Beat()
			wait, err = p.poll(ctx, plan)
			return err
		}); err != nil {
			return err
		}
		t.Reset(wait)
	}
}

// poll asks once, and returns the time to the next poll.
func (p *Poll) poll(ctx context.Context, plan *pollPlan) (time.Duration, error) {
	f := p.follow
	before, held := f.Consumed(), f.turnover.came
	// What a poll shows of a damaged log may end too early: as often as the
	// heartbeat of a follow does, a poll without news asks for the last record.
	f.suspect = time.Since(plan.moved) >= f.shared.Heartbeat
	if f.suspect {
		plan.moved = time.Now()
	}
	began := time.Now()
	f.host.Asks(began)
	err := p.Ask(ctx)
	f.host.Asks(time.Time{})
	if err != nil {
		return 0, err
	}
	f.trail.Leave()
	if f.Consumed() > before {
		plan.moved = time.Now()
	}
	f.Task.Beat()
	f.host.PolledAt(began)
	// One late answer is an Engine that was busy, two are how it is.
	slow := min(f.firstByte, plan.firstByte)
	plan.firstByte = f.firstByte
	spare := plan.spare(slow, f.turnover.came-held)
	wait, err := plan.next()
	return max(wait, spare), err
}

// Ask reads what is new in the log, to its end.
func (p *Poll) Ask(ctx context.Context) error { return p.follow.catchUp(ctx, pollTail) }

// pollPlan is when a log is polled, by what the polls have brought.
type pollPlan struct {
	firstByte time.Duration // that the poll before needed
	f         *Follow
	interval  time.Duration
	seen      uint64    // records consumed before the last poll
	at        time.Time // of the last poll, zero before the first
	stays     bool      // it cannot be followed
	spaced    bool      // polls at Poll_Max were given moments of their own
	looked    time.Time // when it was last looked for the log's file
	moved     time.Time // when there was news, or it was made sure that there is none
}

func newPollPlan(f *Follow) *pollPlan {
	return &pollPlan{f: f, interval: f.shared.PollMin, seen: f.Consumed(), looked: time.Now(), moved: time.Now()}
}

// spare is how long to wait so that an Engine that needs firstByte for each answer
// is not kept busy by them, and yet nothing is replaced that was not read, if so
// many bytes come from one poll to the next as they did to this one. A log of one
// file may be gone at any moment; one that the Engine has compressed may be hidden
// (mayBeHeld), so that each is to be met while it is the newest.
func (p *pollPlan) spare(firstByte time.Duration, bytes int64) time.Duration {
	wait, keeps := rarely*firstByte, p.f.memory.keeps.Load()
	switch {
	case keeps == 0:
		return wait
	case p.at.IsZero() || p.f.Container().MaxFile <= 1:
		return 0
	case bytes == 0:
		return wait
	}
	lasts := float64(time.Since(p.at)) * float64(keeps) / float64(bytes)
	parts := 4
	if c := p.f.Container(); c.Compressed {
		parts = 2 * c.MaxFile
	}
	return time.Duration(min(float64(wait), lasts/float64(parts)))
}

// next follows a poll and returns the time to the next one; reader.ErrMoved if the log
// is to be read in another way from now on.
func (p *pollPlan) next() (time.Duration, error) {
	f, cfg := p.f, p.f.shared
	now, n := time.Now(), f.Consumed()
	// The first poll may bring what was written in hours.
	rate := float64(n-p.seen) / now.Sub(p.at).Seconds()
	if !p.at.IsZero() && !p.stays && (rate >= cfg.ActiveRate || f.Container().AutoRemove) && f.host.WakesUp(rate) {
		return 0, reader.ErrMoved
	}
	if now.Sub(p.looked) > cfg.Rotate {
		if p.looked = now; f.host.FileAppeared() {
			return 0, reader.ErrMoved
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
		wait, p.spaced = supervise.Spread(f.ID, wait), true
	}
	return supervise.OnGrid(wait), nil
}
