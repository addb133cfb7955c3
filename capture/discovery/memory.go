package discovery

import (
	"maps"
	"slices"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/say"
)

// memory is what inspects have told of containers without a stream.
type memory struct {
	failing *Failing // names those that are mute, and no others

	mu sync.Mutex
	// created are containers that did not run yet when they were inspected. With
	// what is known of them their log is opened at their start without another
	// question: those that live for milliseconds are gone after it; guarded by mu.
	created  map[string]*container.Container
	unwanted map[string]*container.Container // guarded by mu
	mute     map[string]mute                 // containers that could not be inspected; guarded by mu
}

// mute is a container that could not be inspected.
type mute struct {
	said time.Time            // when that was
	owed *container.Container // it is wanted, runs or ran, and has no stream: nil if it is not so
}

func newMemory(failing *Failing) *memory {
	return &memory{failing: failing, created: make(map[string]*container.Container), unwanted: make(map[string]*container.Container), mute: make(map[string]mute)}
}

// ids are those of all containers that something is remembered of.
func (m *memory) ids() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, of := range []map[string]*container.Container{m.created, m.unwanted} {
		ids = slices.AppendSeq(ids, maps.Keys(of))
	}
	return slices.AppendSeq(ids, maps.Keys(m.mute))
}

// of is what an inspect told of a container that is not wanted, nil if none did, and
// whether it could not be inspected.
func (m *memory) of(id string) (unwanted *container.Container, isMute bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, isMute = m.mute[id]
	return m.unwanted[id], isMute
}

// forget drops what is remembered. It returns a container that is owed to the
// streams, nil if it is not.
func (m *memory) forget(id string) (owed *container.Container) {
	m.mu.Lock()
	defer m.mu.Unlock()
	owed = m.mute[id].owed
	delete(m.created, id)
	delete(m.unwanted, id)
	delete(m.mute, id)
	m.failing.drop(id)
	return owed
}

// answers follows an inspect that was answered, or is not needed any more.
func (m *memory) answers(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mute, id)
	m.failing.drop(id)
}

// asksAgain follows an inspect that was not. It says whether that is to be said.
func (m *memory) asksAgain(c *container.Container, owed bool, why error) (tell bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.mute[c.ID]
	if tell = time.Since(it.said) >= say.Again; tell {
		it.said = time.Now()
	}
	if owed {
		it.owed = c
	}
	m.mute[c.ID] = it
	m.failing.note(c, why)
	return tell
}

// wants says whether an inspected container is wanted.
func (m *memory) wants(c *container.Container, wanted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.unwanted, c.ID); !wanted {
		m.unwanted[c.ID] = c
	}
}

// waits remembers a container that was never started.
func (m *memory) waits(c *container.Container) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.created[c.ID] = c
}

// started takes a container that was never started, and is wanted, out of the
// memory; nil if there is none.
func (m *memory) started(id string, wanted func(*container.Container) bool) *container.Container {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.created[id]
	if c == nil || !wanted(c) {
		return nil
	}
	delete(m.created, id)
	return c
}
