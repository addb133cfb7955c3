package discovery

import (
	"context"
	"regexp"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// listing is an answer of the Engine to the question for all containers.
type listing struct {
	all    []*container.Container
	before []string // what was known when it was asked: of what came since, the list says nothing
	at     int64    // when it was asked, by the Engine's clock
	err    error
}

// list asks for all containers.
func (d *Discovery) list(ctx context.Context) (l listing) {
	l.err = supervise.Catch(func() (err error) {
		l.before, l.at = d.known(), d.store.Now()
		l.all, err = d.engine.List(ctx)
		return err
	})
	return l
}

// known are the ids of all containers that something is remembered of.
func (d *Discovery) known() []string {
	return append(d.streams.IDs(), d.memory.ids()...)
}

// compare compares the list of containers with the streams. A container that
// does not run may have run since it was looked at: those whose last run is
// long over are asked only with all.
func (d *Discovery) compare(ctx context.Context, l listing, all bool) {
	d.selectors.Do(func() { d.opts.Choice.Unmatched(l.all) })
	first := d.said == ""
	listed := make(map[string]bool, len(l.all))
	for _, c := range l.all {
		listed[c.ID] = true
		d.compareOne(ctx, c, l.at, first, all)
	}
	for _, id := range l.before {
		if !listed[id] {
			d.forget(id)
		}
	}
	d.store.AllListed(listed)
}

// compareOne compares one container of a list, with what is best known of it: the
// list names an image as it is called now, and by its id once the name stands for
// another.
func (d *Discovery) compareOne(ctx context.Context, c *container.Container, at int64, first, all bool) {
	best, mute := d.memory.of(c.ID)
	known, stream := d.streams.Stream(c.ID)
	if known != nil {
		best = known
	}
	switch {
	case best == nil && d.opts.Choice.ByImage() && isImageID(c.Image):
		d.existed(c)
		d.asking.ask(ctx, c, c.Running, c.Running && !first)
		return
	case best == nil:
		best = c
	case c.Name != "" && c.Name != best.Name:
		renamed := *best
		renamed.Name = c.Name
		best = &renamed
	}
	if !d.opts.Choice.Wanted(best) {
		d.memory.answers(c.ID) // nothing is to be known of it
		d.streams.Stop(c.ID)
		d.store.LeaveOut(c.ID, checkpoint.Other{Unwanted: at})
		return
	}
	switch mayHaveRun := all || c.Running || !c.LongOver; {
	case mute:
		d.asking.ask(ctx, c, c.Running, false)
	case stream == Settled && best != known: // its new name was not announced
		d.asking.ask(ctx, best, c.Running, false)
	case stream == Settled:
		if !c.Running { // its end was not announced
			d.streams.Poke(c.ID, false)
		}
	case stream == Idle && mayHaveRun:
		if c.Running {
			d.opts.Counts.ResyncFinds.Inc()
		}
		d.streams.Look(c.ID)
	case stream == Idle, !mayHaveRun && stoppedBefore(d.store, c.ID):
	default:
		d.existed(c)
		d.asking.ask(ctx, c, c.Running, c.Running && !first)
	}
}

// existed notes of a container that a list shows, before it is looked at, that it is
// not new if the list is the first.
func (d *Discovery) existed(c *container.Container) {
	if _, stream := d.streams.Stream(c.ID); stream == None {
		d.store.Existed(c)
	}
}

// stoppedBefore says whether a container is known to be left out because it did not
// run.
func stoppedBefore(store *checkpoint.Store, id string) bool {
	o, _ := store.LeftOut(id)
	return o.Stopped
}

var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// isImageID says whether an image is named by its id, as the list does once the
// name that a container was created with stands for another image.
func isImageID(image string) bool { return imageID.MatchString(image) }

// forget drops what is remembered of a container that was removed.
func (d *Discovery) forget(id string) {
	owed := d.memory.forget(id)
	if owed != nil {
		d.missed(owed)
	}
	d.streams.Remove(id)
}

// act does what an event asks for. The Engine is asked only where that is
// needed: an inspect of a container that is being removed may take long.
func (d *Discovery) act(ctx context.Context, a engine.Event) {
	id := a.Container.ID
	switch a.Name {
	case "start":
		d.streams.Hear(a)
		if d.startCreated(id) || d.streams.Look(id) {
			return
		}
	case "kill":
		// A removal by force begins with it, and ends before the next poll.
		d.streams.Poke(id, true)
		return
	case "die":
		d.streams.Hear(a)
		if _, stream := d.streams.Stream(id); stream == Settled {
			d.streams.Poke(id, false)
			return
		}
		if d.streams.Look(id) {
			return
		}
	case "rename":
		if c, stream := d.streams.Stream(id); stream.captured() && a.Container.Name != "" {
			renamed := *c
			renamed.Name = a.Container.Name
			if !d.opts.Choice.Wanted(&renamed) {
				d.streams.Stop(id)
				d.store.LeaveOut(id, checkpoint.Other{Unwanted: d.store.Now()})
				return
			}
			d.streams.Describe(&renamed)
			d.asking.repeat(id) // what is under way may tell of the old name still
			return
		}
	case "destroy":
		d.forget(id)
		return
	}
	// What was over before this run of the agent may have been read by the one before.
	d.asking.ask(ctx, a.Container, (a.Name == "start" || a.Name == "die") && a.At >= d.store.BeganAt(), false)
}

// startCreated starts the stream of a container whose first start was just
// announced, if it is known from its creation.
func (d *Discovery) startCreated(id string) bool {
	c := d.memory.started(id, d.opts.Choice.Wanted)
	if c == nil {
		return false
	}
	started := *c
	started.Running, started.StartedAt = true, max(c.Created, time.Now().UnixNano())
	d.streams.Start(&started, true)
	return true
}
