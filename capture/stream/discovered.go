package stream

import (
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/engine"
)

// discovered does what discovery asks for.
type discovered struct {
	*tasks
	begin func(c *container.Container, inspected bool) // tasks.start, for as long as streams run
	again func(id string) bool                         // tasks.look, for as long as streams run
}

// IDs are the ids of all containers that have a stream.
func (d *discovered) IDs() []string { return d.capturedIDs() }

// Stream is what is known of a container by its stream.
func (d *discovered) Stream(id string) (*container.Container, discovery.State) {
	d.mu.Lock()
	t := d.byID[id]
	state := discovery.None
	switch {
	case t == nil:
	case t.gone:
		state = discovery.Gone
	case t.cancel != nil || t.dead:
		state = discovery.Settled
	default:
		state = discovery.Idle
	}
	d.mu.Unlock()
	if t == nil {
		return nil, state
	}
	return t.stream.container(), state
}

// Start makes a container's stream run.
func (d *discovered) Start(c *container.Container, inspected bool) { d.begin(c, inspected) }

// Look makes a stream read what its log has gained.
func (d *discovered) Look(id string) bool { return d.again(id) }

// Hear tells a stream of its container's start or end.
func (d *discovered) Hear(a engine.Event) {
	if s := d.captured(a.Container.ID); s != nil {
		s.proven(func(p *proof) { p.hear(a.Name == "start", a.At, s.ctr, s.notes.now() == File) })
	}
}

// Poke makes a stream look at its container soon.
func (d *discovered) Poke(id string, polled bool) {
	if s := d.captured(id); s != nil && (!polled || s.notes.now() == Poll) {
		s.lookAgain()
	}
}

// Describe gives a stream what is newly known of its container.
func (d *discovered) Describe(c *container.Container) {
	if s := d.captured(c.ID); s != nil {
		s.describe(c)
	}
}

// Stop ends the capture of a container.
func (d *discovered) Stop(id string) { d.stop(id) }

// Remove says that a container is gone.
func (d *discovered) Remove(id string) { d.removed(id) }
