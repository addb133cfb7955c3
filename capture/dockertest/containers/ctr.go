package containers

import (
	"fmt"
	"maps"

	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/store"
	"fluent-bit-docker-logs/capture/dockertest/streams"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Ctr is a container of the fake Engine. A container that was removed stays usable as a value: it no longer runs and stores nothing.
type Ctr struct {
	*streams.Streams        // the log streams of this container
	store.Output            // what it writes
	store.Files             // what befalls its log files
	*Life                   // its changes of state
	ID               string // immutable

	set  *Set
	spec *Container // immutable
	log  *store.Log

	// Guarded by set.mu.
	is   View
	hide int // from how many lists
}

// newCtr makes one that is not in the Set yet.
func newCtr(s *Set, spec Container) *Ctr {
	log := store.New(store.Options{
		Name: spec.Name, JSON: spec.Driver == "json-file", Journal: spec.Driver == "journald", TTY: spec.TTY, Retention: s.deps.Retention, Clock: s.deps.Clock, Spoken: s.deps.Spoken,
		Files: spec.files(), OnDisk: spec.LogDir != "", Rotates: spec.Rotates,
	})
	c := &Ctr{
		Streams: streams.OfOne(spec.ID, log, s.Streams), Output: log.Output(), Files: log.Files(), ID: spec.ID,
		set: s, spec: &spec, log: log,
		is: View{Spec: &spec, Name: spec.Name, State: "created", Created: s.deps.Clock()},
	}
	c.Life = &Life{c: c, mu: wait.NewLock()}
	return c
}

// View is the container as it is.
func (c *Ctr) View() View {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	return c.is
}

// Log is its log.
func (c *Ctr) Log() *store.Log { return c.log }

// Name is the present name, without "/".
func (c *Ctr) Name() string { return c.View().Name }

// State is created, running, paused, exited or removed.
func (c *Ctr) State() string { return c.View().State }

// String is the name and the short id.
func (c *Ctr) String() string { return fmt.Sprintf("%s (%.12s)", c.Name(), c.ID) }

// LogPath is the path of the log file that inspect reports. Without a LogDir there is no such file.
func (c *Ctr) LogPath() string { return c.spec.LogPath() }

// Hide makes the next n list requests omit the container.
func (c *Ctr) Hide(n int) {
	c.set.mu.Lock()
	c.hide = n
	c.set.mu.Unlock()
}

// Untag moves the tag of the container's image to another image.
// A pull does that: the list names the image by its id from then on, the
// inspect as the container was created with.
func (c *Ctr) Untag() {
	c.change(func(is *View) { is.Untagged = true })
}

// change changes what is said of it. All changes of its state have its life locked.
func (c *Ctr) change(do func(is *View)) {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	do(&c.is)
}

func (c *Ctr) runs() bool {
	v := c.View()
	return v.Runs()
}

func (c *Ctr) emit(action string, attrs map[string]string) {
	all := maps.Clone(c.spec.Labels)
	if all == nil {
		all = map[string]string{}
	}
	all["image"], all["name"] = c.spec.Image, c.Name()
	maps.Copy(all, attrs)
	c.set.deps.Events.Emit(events.Event{Type: "container", Action: action, ID: c.ID, Attributes: all})
}
