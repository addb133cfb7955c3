package discovery

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
)

// Streams are the streams of the containers that are captured. They are asked from
// any goroutine, and for nothing that takes long.
type Streams interface {
	// IDs are the ids of all containers that have a stream.
	IDs() []string
	// Stream is what a stream knows of its container, nil without one.
	Stream(id string) (*container.Container, State)
	// Start makes a container's stream run, and makes one if need be. It
	// does what Look does, too. inspected says that c is as good as a new inspect.
	Start(c *container.Container, inspected bool)
	// Look makes a stream read what its log has gained. It says whether the
	// container is captured.
	Look(id string) bool
	// Hear tells a stream of its container's start or end.
	Hear(a engine.Event)
	// Poke makes a stream look at its container soon. Where polled says so, it is
	// only done to one whose log is polled.
	Poke(id string, polled bool)
	// Describe gives a stream what is newly known of its container.
	Describe(c *container.Container)
	// Stop ends the capture of a container that is no longer wanted.
	Stop(id string)
	// Remove says that a container is gone. Its stream ends by itself.
	Remove(id string)
}

// State is what a stream is to discovery.
type State int

// The states of a stream.
const (
	None    State = iota // there is no stream
	Gone                 // it is that of a container that was removed, or is no longer wanted
	Idle                 // the container is captured, and its stream does not run
	Settled              // its stream runs, or never will
)

// captured says whether the container is.
func (s State) captured() bool { return s >= Idle }

// Choice says which containers are wanted.
type Choice interface {
	// Wanted says whether a container is to be captured.
	Wanted(c *container.Container) bool
	// ByImage says whether that hangs on a container's image.
	ByImage() bool
	// Recognise looks whether a container is our own. It is given each that was
	// inspected.
	Recognise(c *container.Container)
	// Unmatched says in the log which options match no container.
	Unmatched(all []*container.Container)
	// Missed counts and says that a container was removed without a stream.
	Missed(c *container.Container)
}

// Engine is what is asked: an [engine.Client].
type Engine interface {
	// Connect asks the Engine what it is.
	Connect(ctx context.Context) (engine.Info, error)
	// Watch asks for events from a time on. wait calls f for each, until they end.
	Watch(ctx context.Context, since time.Time) (wait func(f func(engine.Event)) error)
	// List returns all containers, also those that do not run.
	List(ctx context.Context) ([]*container.Container, error)
	// Inspect returns all that the Engine knows of a container.
	Inspect(ctx context.Context, id string) (*container.Container, error)
	// Probe asks whether the Engine answers.
	Probe(ctx context.Context) error
}
