package capture

import (
	"context"
	"maps"
	"regexp"
	"slices"
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
func (d *discovery) list(ctx context.Context) (l listing) {
	l.err = supervise.Catch(func() (err error) {
		l.before, l.at = d.known(), d.col.engineNow()
		l.all, err = d.col.api.List(ctx)
		return err
	})
	return l
}

// known are the ids of all containers that something is remembered of.
func (d *discovery) known() []string {
	ids := d.col.capturedIDs()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range []map[string]*container.Container{d.created, d.unwanted} {
		ids = slices.AppendSeq(ids, maps.Keys(m))
	}
	return slices.AppendSeq(ids, maps.Keys(d.mute))
}

// compare compares the list of containers with the streams. A container that
// does not run may have run since it was looked at: those whose last run is
// long over are asked only with all.
func (d *discovery) compare(ctx context.Context, l listing, all bool) {
	d.selectors.Do(func() { d.col.sayUnmatched(l.all) })
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
	d.col.dropUnmet(listed)
	d.col.allListed()
}

// compareOne compares one container of a list, with what is best known of it: the
// list names an image as it is called now, and by its id once the name stands for
// another.
func (d *discovery) compareOne(ctx context.Context, c *container.Container, at int64, first, all bool) {
	d.mu.Lock()
	best := d.unwanted[c.ID]
	_, mute := d.mute[c.ID]
	d.mu.Unlock()
	stream, running := d.col.present(c.ID)
	if s := d.col.captured(c.ID); s != nil {
		best = s.container()
	}
	switch {
	case best == nil && d.col.cfg.byImage() && isImageID(c.Image):
		d.col.existed(c)
		d.inquire(ctx, c, c.Running, c.Running && !first)
		return
	case best == nil:
		best = c
	case c.Name != "" && c.Name != best.Name:
		renamed := *best
		renamed.Name = c.Name
		best = &renamed
	}
	if !d.col.wanted(best) {
		d.notMute(c.ID) // nothing is to be known of it
		d.col.stop(c.ID)
		d.col.leaveOut(c.ID, checkpoint.Other{Unwanted: at})
		return
	}
	switch mayHaveRun := all || c.Running || !c.LongOver; {
	case mute:
		d.inquire(ctx, c, c.Running, false)
	case stream != nil && running:
		if !c.Running { // its end was not announced
			stream.lookAgain()
		}
	case stream != nil && mayHaveRun:
		if c.Running {
			d.col.metrics.resyncFinds.Inc()
		}
		d.look(c.ID)
	case stream != nil, !mayHaveRun && d.col.leftOut(c.ID).Stopped:
		d.col.listAgain(c.ID)
	default:
		d.col.existed(c)
		d.inquire(ctx, c, c.Running, c.Running && !first)
	}
}

var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// isImageID says whether an image is named by its id, as the list does once the
// name that a container was created with stands for another image.
func isImageID(image string) bool { return imageID.MatchString(image) }

// forget drops what is remembered of a container that was removed.
func (d *discovery) forget(id string) {
	d.mu.Lock()
	delete(d.created, id)
	delete(d.unwanted, id)
	owed := d.mute[id].owed
	delete(d.mute, id)
	d.col.unanswered.drop(id)
	d.mu.Unlock()
	if owed != nil && d.col.captured(id) == nil {
		d.missed(owed)
	}
	d.col.removed(id)
}

// act does what an event asks for. The Engine is asked only where that is
// needed: an inspect of a container that is being removed may take long.
func (d *discovery) act(ctx context.Context, a engine.Event) {
	id := a.Container.ID
	switch a.Name {
	case "start":
		if d.startCreated(id) || d.look(id) {
			return
		}
	case "kill":
		// A removal by force begins with it, and ends before the next poll.
		if s := d.col.captured(id); s != nil && s.notes.now() == readerPoll {
			s.lookAgain()
		}
		return
	case "die":
		if s, running := d.col.present(id); running {
			s.lookAgain()
			return
		}
		if d.look(id) {
			return
		}
	case "rename":
		if s, _ := d.col.present(id); s != nil && a.Container.Name != "" {
			renamed := *s.container()
			renamed.Name = a.Container.Name
			if !d.col.wanted(&renamed) {
				d.col.stop(id)
				d.col.leaveOut(id, checkpoint.Other{Unwanted: d.col.engineNow()})
				return
			}
			s.describe(&renamed)
			return
		}
	case "destroy":
		d.forget(id)
		return
	}
	// What was over before this run of the agent may have been read by the one before.
	d.inquire(ctx, a.Container, (a.Name == "start" || a.Name == "die") && a.At >= d.col.beganAt(), false)
}

// startCreated starts the stream of a container whose first start was just
// announced, if it is known from its creation.
func (d *discovery) startCreated(id string) bool {
	d.mu.Lock()
	c := d.created[id]
	if c == nil || !d.col.wanted(c) {
		d.mu.Unlock()
		return false
	}
	delete(d.created, id)
	d.mu.Unlock()
	started := *c
	started.Running, started.StartedAt = true, max(c.Created, time.Now().UnixNano())
	d.start(&started)
	return true
}
