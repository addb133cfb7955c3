package containers

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/store"
	"fluent-bit-docker-logs/capture/dockertest/streams"
	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Deps are what containers need of the Engine.
type Deps struct {
	Clock     func() time.Time
	Spoken    *version.Spoken
	Retention int // how many records of each are kept, 0: all
	Events    *events.Hub
	Queries   *streams.Queries
	Changes   *wait.Changes
}

// Set is the containers that exist.
type Set struct {
	*streams.Streams // the log streams of all of them
	deps             Deps

	mu          sync.Mutex
	byID        map[string]*Ctr
	byName      map[string]*Ctr
	order       []*Ctr // as created
	serial      int
	liveRestore bool
}

// NewSet is a Set without containers.
func NewSet(deps Deps) *Set {
	s := &Set{deps: deps, byID: map[string]*Ctr{}, byName: map[string]*Ctr{}}
	s.Streams = streams.OfAll(s.logs, deps.Queries, deps.Changes)
	return s
}

// Create makes a container that does not run yet, and emits create. A name that is taken goes over to the new container.
func (s *Set) Create(spec Container) *Ctr {
	if spec.ID == "" {
		var b [32]byte
		_, _ = rand.Read(b[:])
		spec.ID = hex.EncodeToString(b[:])
	}
	if spec.Image == "" {
		spec.Image = "alpine:3.20"
	}
	if spec.Driver == "" {
		spec.Driver = "json-file"
	}
	if s.deps.Spoken.Podman != "" && spec.Driver == "json-file" {
		spec.Driver = podman.Driver
	}
	spec.Labels = maps.Clone(spec.Labels)

	s.mu.Lock()
	if n := s.next(); spec.Name == "" {
		spec.Name = "container-" + strconv.Itoa(n)
	}
	c := newCtr(s, spec)
	s.byID[c.ID] = c
	s.byName[c.is.Name] = c
	s.order = append(s.order, c)
	s.mu.Unlock()

	c.emit("create", nil)
	return c
}

// Run is Create and Start.
func (s *Set) Run(spec Container) *Ctr {
	c := s.Create(spec)
	c.Start()
	return c
}

// Containers returns the containers that exist, the oldest first.
func (s *Set) Containers() []*Ctr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// Find returns the containers that an id or a name stands for.
// The first digits of an id do too: for these there may be several.
func (s *Set) Find(ref string) (found []*Ctr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.byID[ref]; c != nil {
		return []*Ctr{c}
	}
	if c := s.byName[strings.TrimPrefix(ref, "/")]; c != nil {
		return []*Ctr{c}
	}
	for _, c := range s.order {
		if strings.HasPrefix(c.ID, ref) {
			found = append(found, c)
		}
	}
	return found
}

// List returns those that are wanted, newest first. What is hidden is left out, and is less hidden after it.
func (s *Set) List(want func(*View) bool) []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]View, 0, len(s.order))
	for _, c := range slices.Backward(s.order) {
		if !want(&c.is) {
			continue
		}
		if c.hide > 0 {
			c.hide--
			continue
		}
		list = append(list, c.is)
	}
	return list
}

// SetLiveRestore sets whether containers outlive Down. Without it (the default) Down stops them; with it they run on, and no event tells of it.
func (s *Set) SetLiveRestore(on bool) {
	s.mu.Lock()
	s.liveRestore = on
	s.mu.Unlock()
}

// LiveRestore says whether containers outlive Down.
func (s *Set) LiveRestore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.liveRestore
}

// EngineGone stops the containers as the end of the Engine does.
// No event tells of it. Unless they outlive it: see [Set.SetLiveRestore].
func (s *Set) EngineGone() {
	if s.LiveRestore() {
		return
	}
	for _, c := range s.Containers() {
		c.engineGone()
	}
}

// CloseFiles closes the log files, which stay.
func (s *Set) CloseFiles() {
	for _, c := range s.Containers() {
		c.log.CloseFiles()
	}
}

func (s *Set) logs() []*store.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*store.Log, len(s.order))
	for i, c := range s.order {
		all[i] = c.log
	}
	return all
}

// next is a number that was not there yet. s.mu is held.
func (s *Set) next() int {
	s.serial++
	return s.serial
}

// renamed has the container be found by another name. s.mu is held.
func (s *Set) renamed(c *Ctr, name string) {
	s.dropName(c)
	s.byName[name] = c
}

// removed forgets the container. s.mu is held.
func (s *Set) removed(c *Ctr) {
	delete(s.byID, c.ID)
	s.dropName(c)
	if i := slices.Index(s.order, c); i >= 0 {
		s.order = append(s.order[:i:i], s.order[i+1:]...)
	}
}

func (s *Set) dropName(c *Ctr) {
	if s.byName[c.is.Name] == c {
		delete(s.byName, c.is.Name)
	}
}
