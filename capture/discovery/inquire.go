package discovery

import (
	"context"
	"errors"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
)

// refresh inspects a container and does what its state asks for.
//
//	state            known                         not known
//	runs             start its stream              start one
//	stopped          start its stream, which       read it if it ran since we began
//	                 reads what the log gained
//	removed          its stream ends itself        it is missed if it ran
//	no answer        its stream finds out          start one if it runs, which finds out
func (d *Discovery) refresh(ctx context.Context, seen *container.Container, ran, listed bool) {
	id, at := seen.ID, d.store.Now()
	c, err := d.engine.Inspect(ctx, id)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, engine.ErrGone):
		if ran && d.opts.Choice.Wanted(seen) {
			d.missed(seen)
		}
		d.forget(id)
		return
	case err != nil:
		d.unanswered(seen, ran, err)
		return
	}
	d.memory.answers(id)
	d.opts.Choice.Recognise(c)
	wanted := d.opts.Choice.Wanted(c)
	if d.memory.wants(c, wanted); !wanted {
		d.streams.Stop(id)
		d.store.LeaveOut(id, checkpoint.Other{Unwanted: at})
		return
	}
	if _, stream := d.streams.Stream(id); stream != None {
		d.streams.Describe(c)
		d.streams.Start(c, true)
		return
	}
	if !c.Running && !d.store.RanSince(c) {
		d.store.LeaveOut(id, checkpoint.Other{Stopped: true, Last: c.LastRun})
		if c.StartedAt == 0 {
			d.memory.waits(c)
		}
		return
	}
	d.memory.started(id, func(*container.Container) bool { return true })
	if listed {
		d.opts.Counts.ResyncFinds.Inc()
	}
	d.streams.Start(c, true)
}

// unanswered says, not too often, that a container could not be inspected. Where
// its capture begins is noted if it runs, or ran: that may be known no more once it
// can be inspected. Of one that runs enough is known to begin with: its stream asks
// again, in its own time.
func (d *Discovery) unanswered(seen *container.Container, ran bool, err error) {
	c := *seen
	_, stream := d.streams.Stream(c.ID)
	owed := (c.Running || ran) && stream == None && d.opts.Choice.Wanted(&c)
	tell := d.memory.asksAgain(&c, owed, err)
	d.opts.Counts.Errors.WithLabelValues("inspect").Inc()
	if tell {
		d.log.Warn("a container could not be inspected, it is tried again", "container", c.Name, "id", container.ShortID(c.ID), "error", err)
	}
	if !owed {
		return
	}
	d.store.Reserve(&c)
	if errors.Is(err, context.DeadlineExceeded) && c.Running {
		d.streams.Start(&c, false)
	}
}

// missed says that a container was removed, if it had no stream.
func (d *Discovery) missed(c *container.Container) {
	if _, stream := d.streams.Stream(c.ID); stream == None {
		d.opts.Choice.Missed(c)
	}
}
