package capture

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// inquiries are the containers that are to be inspected. Some goroutines do so,
// each container by one at a time; one that waits for long makes room for
// another, so that containers whose inspect hangs hold up no other.
type inquiries struct {
	byID  map[string]*inquiry // that wait or are under way
	queue []*inquiry
	busy  int // goroutines that do not wait for long
	all   int // goroutines
	idle  chan struct{}
}

// inquiry is one container that is to be inspected.
type inquiry struct {
	seen   *container.Container // what is known of it
	ran    bool                 // it did run
	listed bool                 // it runs, by the list alone
	again  bool                 // something happened during the inspect
	slow   bool                 // another goroutine has taken its place
}

const (
	maxInspects = 16
	// slowInspect is how long an inspect may take before it counts as hanging,
	// and how long a connect waits for those of the first list.
	slowInspect = 2 * time.Second
)

// inquire has a container inspected and done what its state asks for. ran says
// that one that is gone by now did run, listed that it runs though no event said
// so.
func (d *discovery) inquire(ctx context.Context, seen *container.Container, ran, listed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.asking.byID[seen.ID]
	if q == nil {
		q = &inquiry{}
		d.asking.byID[seen.ID] = q
		d.asking.queue = append(d.asking.queue, q)
	}
	q.seen, q.ran, q.listed, q.again = seen, q.ran || ran, q.listed || listed, true
	d.employ(ctx)
}

// employ starts goroutines for what waits. d.mu is held.
func (d *discovery) employ(ctx context.Context) {
	for n := min(maxInspects-d.asking.busy, len(d.asking.queue)); n > 0; n-- {
		d.asking.busy++
		d.asking.all++
		go d.work(ctx)
	}
}

// work inspects containers until none waits or ctx is done.
func (d *discovery) work(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.asking
	slow := false
	for len(a.queue) > 0 && !slow {
		q := a.queue[0]
		a.queue = a.queue[1:]
		for q.again && ctx.Err() == nil {
			q.again = false
			seen, ran, listed := q.seen, q.ran, q.listed
			d.mu.Unlock()
			late := time.AfterFunc(slowInspect, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				if a.byID[seen.ID] == q && !q.slow {
					q.slow = true
					a.busy--
					d.employ(ctx)
				}
			})
			err := supervise.Catch(func() error { d.refresh(ctx, seen, ran, listed); return nil })
			late.Stop()
			d.mu.Lock()
			var p supervise.PanicError
			if errors.As(err, &p) {
				d.col.metrics.panics.Inc()
				d.log.Error("a panic was caught, the task is started again", "task", taskDiscovery, "panic", p.Value, "stack", p.Stack)
			}
		}
		delete(a.byID, q.seen.ID)
		slow = q.slow
	}
	if !slow {
		a.busy--
	}
	if a.all--; a.all == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// done is closed when no inspect waits or is under way; nil if that is so. The
// lock of the inquiries is held.
func (a *inquiries) done() <-chan struct{} {
	if a.all == 0 {
		return nil
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	return a.idle
}

// wait waits for all of them, when their context is done.
func (a *inquiries) wait(mu *sync.Mutex) {
	mu.Lock()
	done := a.done()
	a.queue = nil
	clear(a.byID)
	mu.Unlock()
	if done != nil {
		<-done
	}
	mu.Lock()
	clear(a.byID)
	mu.Unlock()
}

// settle waits for the inspects of the first list, but not for one that hangs.
func (d *discovery) settle(ctx context.Context) {
	d.mu.Lock()
	done := d.asking.done()
	d.mu.Unlock()
	if done == nil {
		return
	}
	late := time.NewTimer(slowInspect)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	case <-ctx.Done():
	}
}

// refresh inspects a container and does what its state asks for.
//
//	state            known                         not known
//	runs             start its stream              start one
//	stopped          start its stream, which       read it if it ran since we began
//	                 reads what the log gained
//	removed          its stream ends itself        it is missed if it ran
//	no answer        its stream finds out          start one if it runs, which finds out
func (d *discovery) refresh(ctx context.Context, seen *container.Container, ran, listed bool) {
	id, at := seen.ID, d.col.engineNow()
	c, err := d.col.api.Inspect(ctx, id)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, engine.ErrGone):
		if ran && d.col.captured(id) == nil && d.col.wanted(seen) {
			d.missed(seen)
		}
		d.forget(id)
		return
	case err != nil:
		d.unanswered(seen, ran, err)
		return
	}
	d.notMute(id)
	d.mu.Lock()
	delete(d.unwanted, id)
	d.mu.Unlock()
	d.col.recognise(c)
	if !d.col.wanted(c) {
		d.mu.Lock()
		d.unwanted[id] = c
		d.mu.Unlock()
		d.col.stop(id)
		d.col.leaveOut(id, checkpoint.Other{Unwanted: at})
		return
	}
	if s := d.col.captured(id); s != nil {
		s.describe(c)
		d.start(c)
		return
	}
	if !c.Running && !d.col.ranSince(c) {
		d.col.leaveOut(id, checkpoint.Other{Stopped: true, Last: c.LastRun})
		if c.StartedAt == 0 {
			d.mu.Lock()
			d.created[id] = c
			d.mu.Unlock()
		}
		return
	}
	d.mu.Lock()
	delete(d.created, id)
	d.mu.Unlock()
	if listed {
		d.col.metrics.resyncFinds.Inc()
	}
	d.start(c)
}

// notMute follows an inspect that was answered, or is not needed any more.
func (d *discovery) notMute(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.mute, id)
	d.col.unanswered.drop(id)
}

// unanswered are containers that could not be inspected.
type unanswered struct {
	mu   sync.Mutex
	byID map[string]unansweredOne // guarded by mu
}

// unansweredOne is a container that could not be inspected, as the list names it.
type unansweredOne struct {
	id, name string
	since    time.Time
	why      error // of the last inspect
}

func (u *unanswered) note(c *container.Container, why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = make(map[string]unansweredOne)
	}
	one, known := u.byID[c.ID]
	if !known {
		one = unansweredOne{id: c.ID, name: c.Name, since: time.Now()}
	}
	one.why = why
	u.byID[c.ID] = one
}

func (u *unanswered) drop(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.byID, id)
}

// all returns them, by name.
func (u *unanswered) all() []unansweredOne {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.SortedFunc(maps.Values(u.byID), func(a, b unansweredOne) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id)) })
}

// unanswered says, not too often, that a container could not be inspected. Where
// its capture begins is noted if it runs, or ran: that may be known no more once it
// can be inspected. Of one that runs enough is known to begin with: its stream asks
// again, in its own time.
func (d *discovery) unanswered(seen *container.Container, ran bool, err error) {
	c := *seen
	owed := (c.Running || ran) && d.col.captured(c.ID) == nil && d.col.wanted(&c)
	d.mu.Lock()
	m := d.mute[c.ID]
	tell := time.Since(m.said) >= say.Again
	if tell {
		m.said = time.Now()
	}
	if owed {
		m.owed = &c
	}
	d.mute[c.ID] = m
	d.col.unanswered.note(seen, err)
	d.mu.Unlock()
	d.col.metrics.discoveryErrors.WithLabelValues("inspect").Inc()
	if tell {
		d.log.Warn("a container could not be inspected, it is tried again", "container", c.Name, "id", container.ShortID(c.ID), "error", err)
	}
	if !owed {
		return
	}
	d.col.reserve(&c)
	if errors.Is(err, context.DeadlineExceeded) && c.Running {
		d.begin(&c)
	}
}

// missed says that a container was removed that had no stream.
func (d *discovery) missed(c *container.Container) {
	d.col.reportMissed(d.log.With("container", c.Name, "id", container.ShortID(c.ID)), c)
}
