package peers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	look     = 20 * time.Millisecond // between two looks at an agent
	patience = 8 * time.Second       // without a line, after which no other is expected
	settled  = 3 * time.Second       // behind the first lines, after which an agent has found everything
	behind   = 2 * time.Second       // the last line, for which everybody is watched: some know at once that it came, some at their next flush
	most     = 10 * time.Minute      // for one agent at one work
)

// state is what was measured at a moment.
type state struct {
	at          time.Time
	cpu, engine float64
}

// measure looks at the agent and the Engine.
func (r *run) measure() (s state, err error) {
	s.at = time.Now()
	if s.cpu, _, err = r.took(); err != nil {
		return s, err
	}
	s.engine, err = r.host.cpu()
	return s, err
}

// arrived is how many lines came so far, and how many are still to come of those that are awaited: of those that are only
// counted, want.
func (r *run) arrived(ctx context.Context, want int) (n, left int, err error) {
	if r.tally != nil {
		err = r.read()
		n, left, _ = r.tally.count()
		return n, left, err
	}
	n, err = r.count(ctx)
	return n, max(0, want-n), err
}

// once has an agent do a work. With keep its lines are known by their numbers, which costs it more.
func (b *bench) once(ctx context.Context, w *work, p *Peer, keep bool) (f figures, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it was given up after %s", most))
	defer cancel()
	if w.fresh {
		defer func() { err = errors.Join(err, b.host.empty(context.WithoutCancel(ctx))) }()
		if err := b.host.fill(ctx, w); err != nil {
			return f, err
		}
	}
	if err := b.host.warm(); err != nil {
		return f, err
	}
	first, last := 1, w.backlog
	if w.backlog == 0 {
		first, last = b.host.last+1, b.host.last+w.lines
	}
	var t *tally
	if keep {
		t = newTally(w.containers, w.stds(), first, last)
	}
	r, err := b.begin(w, p, t)
	if err != nil {
		return f, err
	}
	defer r.end()
	engine, err := b.host.cpu()
	if err != nil {
		return f, err
	}
	from := state{at: time.Now(), engine: engine}
	if err := r.start(); err != nil {
		return f, err
	}
	before := 0
	if w.backlog == 0 {
		if before, err = r.ready(ctx); err != nil {
			return f, err
		}
		if from, err = r.measure(); err != nil {
			return f, err
		}
	}
	if w.idle > 0 {
		if err := pause(ctx, w.idle); err != nil {
			return f, err
		}
		to, err := r.measure()
		if err != nil {
			return f, err
		}
		return r.figures(from, to, 0)
	}
	if w.lines > 0 {
		if err := b.host.write(w); err != nil {
			return f, err
		}
		if err := r.restart(ctx, from.at); err != nil {
			return f, err
		}
	}
	to, came, err := r.finish(ctx, from.at.Add(w.span()), before+w.written())
	if err != nil {
		return f, err
	}
	return r.figures(from, to, came-before)
}

// ready waits until a started agent has read what is there, and settled. It returns how many lines those are.
func (r *run) ready(ctx context.Context) (n int, err error) {
	want := r.host.each * r.host.last
	for began := time.Now(); !r.now && n < want; {
		if err := errors.Join(pause(ctx, 5*look), r.alive()); err != nil {
			return n, err
		}
		if n, _, err = r.arrived(ctx, want); err != nil {
			return n, err
		}
		if time.Since(began) > 5*patience {
			return n, fmt.Errorf("%d of %d lines that were there came within %s", n, want, 5*patience)
		}
	}
	if err := pause(ctx, settled); err != nil {
		return n, err
	}
	n, _, err = r.arrived(ctx, want)
	return n, err
}

// restart stops and starts the agent while the containers write.
func (r *run) restart(ctx context.Context, began time.Time) error {
	n := r.work.restarts
	for i := range n {
		due := began.Add(r.work.span() * time.Duration(i+1) / time.Duration(n+1))
		if err := pause(ctx, max(time.Until(due), time.Until(r.began.Add(aged)))); err != nil {
			return err
		}
		if err := errors.Join(r.alive(), r.stop()); err != nil {
			return err
		}
		if err := pause(ctx, away); err != nil {
			return err
		}
		if err := r.start(); err != nil {
			return err
		}
	}
	return nil
}

// finish waits until all lines came, or no other comes, and says how many did. The moment of the state is that of the last
// line, or, where the agent counts late and had everything before it, that at which it had all but done its work.
func (r *run) finish(ctx context.Context, written time.Time, want int) (s state, came int, err error) {
	var samples []state
	grew, left := time.Now(), 1
	until := written
	if r.work.rate > 0 {
		until = written.Add(behind)
	}
	for n := 0; left > 0 || time.Now().Before(until); n++ {
		if err := errors.Join(pause(ctx, look), r.alive()); err != nil {
			return s, came, err
		}
		if s, err = r.measure(); err != nil {
			return s, came, err
		}
		samples = append(samples, s)
		if n%5 > 0 {
			continue
		}
		before := came
		if came, left, err = r.arrived(ctx, want); err != nil {
			return s, came, err
		}
		if came != before {
			grew = s.at
		}
		if left > 0 && s.at.Sub(written) > patience && s.at.Sub(grew) > patience {
			break
		}
	}
	s.at = grew
	if r.tally == nil && r.work.rate == 0 {
		for _, x := range samples {
			if x.cpu >= s.cpu-almost {
				s.at = x.at
				break
			}
		}
	}
	// Is anything too much?
	if err := pause(ctx, time.Second); err != nil {
		return s, came, err
	}
	came, _, err = r.arrived(ctx, want)
	return s, came, err
}

// almost is how much CPU time, in seconds, an agent may take for nothing while its count is awaited.
const almost = 0.03

// figures are those between two states, with so many lines between them.
func (r *run) figures(from, to state, came int) (figures, error) {
	_, peak, err := r.took()
	f := figures{CPU: to.cpu - from.cpu, Engine: to.engine - from.engine, Wall: to.at.Sub(from.at).Seconds(), Peak: peak, Load: load()}
	if r.tally != nil {
		_, f.Lost, f.Doubled = r.tally.count()
	} else if r.work.written() > 0 {
		f.Lost, f.Doubled = max(0, r.work.written()-came), max(0, came-r.work.written())
	}
	return f, err
}

// pause lets time pass.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
