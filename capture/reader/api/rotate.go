package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// Rotate implements reader.Open.
func (f *Follow) Rotate(ctx context.Context) error {
	if open := f.openings.current(); open != nil && !f.atRest(ctx, open) {
		return errMidway // it would begin again, and again
	}
	next, err := f.openNext(ctx)
	if err != nil {
		return err
	}
	f.openings.mu.Lock()
	open := f.openings.open
	if open == nil { // it has ended meanwhile
		f.openings.mu.Unlock()
		if next != nil {
			next.close()
		}
		return nil
	}
	begins := int64(decode.Undated)
	if next != nil {
		begins = next.w.FirstTime()
	}
	f.openings.setNext(next)
	f.openings.mu.Unlock()
	if f.reach(ctx, open, begins) {
		open.interrupt(errRotated)
		return nil
	}
	f.openings.drop(next)
	return errLags
}

// restStep is how often it is looked whether a log has come to the end of a record.
const restStep = 20 * time.Millisecond

// atRest waits a moment for what is open of the log to be behind what was stored,
// and at the end of a record. A busy stream is, between two of its reads.
func (f *Follow) atRest(ctx context.Context, open *openLog) bool {
	for left := turnTime; open.midway.Load() && f.openings.current() == open; left -= restStep {
		if left <= 0 || !supervise.Sleep(ctx, restStep) {
			return false
		}
	}
	return true
}

const (
	turnStep = 200 * time.Millisecond
	turnTime = 2 * time.Second
)

// reach waits for what is open of the log to be read up to where the next
// opening begins: what lies between may be gone from the log, and who has it open
// still is sent it. Where nothing comes any more, that was all.
func (f *Follow) reach(ctx context.Context, open *openLog, begins int64) bool {
	for left, before := turnTime, f.Consumed(); ; left -= turnStep {
		target := f.Position()
		if begins == decode.Undated || target.Anchor.Time() >= begins || f.openings.current() != open {
			return true
		}
		if !supervise.Sleep(ctx, turnStep) {
			return true
		}
		n := f.Consumed()
		if n == before {
			return true
		}
		if left <= 0 {
			return false
		}
		before = n
	}
}

// openNext opens the log a second time; nil where no record was delivered yet,
// since then there is none to be found again.
func (f *Follow) openNext(ctx context.Context) (*openLog, error) {
	if f.Position().Kind != position.FromAnchor {
		return nil, nil
	}
	tail, capped := f.sound.readable(min(position.FirstTail+f.rate.since(f.Consumed(), turnTail), maxTurnTail))
	target := f.Position()
	next, err := f.request(ctx, true, tail, &target)
	if err != nil {
		return nil, err
	}
	next.capped = capped
	late := time.AfterFunc(engine.ProbeTimeout, func() { next.interrupt(reader.ErrStalled) })
	defer late.Stop()
	if err := next.await(); err != nil {
		next.close()
		return nil, err
	}
	return next, nil
}

// openAnother opens the log again before what is open of it is closed. It fails
// with errLags where it would begin behind the position.
func (f *Follow) openAnother(ctx context.Context) error {
	next, err := f.openNext(ctx)
	switch at := f.Position(); {
	case err != nil:
		return err
	case next == nil:
		return errLags
	case next.w.FirstTime() > at.Anchor.Time() && !hasTime(f.trail.Marks, next.w.FirstTime()) && !f.shows(ctx, next.limit, at.Anchor.Newest()): // else the clock was set back
		next.close()
		return errLags
	}
	f.openings.mu.Lock()
	defer f.openings.mu.Unlock()
	f.openings.setNext(next)
	return nil
}

// rateMeter knows how many records a stream has had of late.
type rateMeter struct {
	mu   sync.Mutex // who reads opens the log again, too
	seen uint64     // guarded by mu
	at   time.Time  // guarded by mu
}

// since is how many records a stream that has consumed so many has in a time, at the
// rate that it had since the last call; 0 at the first one.
func (m *rateMeter) since(seen uint64, d time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	n := 0.0
	if !m.at.IsZero() {
		n = float64(seen-m.seen) * d.Seconds() / now.Sub(m.at).Seconds()
	}
	m.seen, m.at = seen, now
	return int(min(n, 1e9))
}

// hasTime says whether one of the records has that time.
func hasTime(records []position.TrailMark, ts int64) bool {
	return slices.ContainsFunc(records, func(m position.TrailMark) bool { return m.TS == ts })
}
