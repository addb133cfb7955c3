package checkpoint

import (
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/position"
)

// Store is what is remembered of containers that have no stream.
//
// Of some it has the position, as the file had it or as their stream left it; of
// others, why they are not captured. By both it knows which containers are new, and
// where the capture of each begins.
type Store struct {
	log   *slog.Logger
	start Start
	ahead atomic.Int64  // by how many nanoseconds the Engine's clock is ahead of ours
	began time.Time     // this run of the agent, by our clock
	grace time.Duration // for how long a container is remembered that lists do not show

	mu      sync.Mutex
	startAt int64                // guarded by mu: when the capture first began, by the Engine's clock, nanoseconds since 1970; 0 before it was asked
	nowAt   int64                // guarded by mu: as startAt, of this run of the agent
	loaded  map[string]Entry     // guarded by mu: positions of containers that have no stream
	others  map[string]Other     // guarded by mu: containers that are not captured, by id
	absent  map[string]time.Time // guarded by mu: since when lists do not show a container that something is remembered of
	listed  bool                 // guarded by mu: a list was taken in, so that a container that is in neither is new
	unsaved bool                 // guarded by mu: what is to be saved has changed, or a save failed
}

// StoreOptions are what a Store is made with.
type StoreOptions struct {
	Start Start
	Began time.Time     // this run of the agent
	Grace time.Duration // for how long a container is remembered that lists do not show
}

// NewStore makes one that remembers nothing.
func NewStore(o StoreOptions, log *slog.Logger) *Store {
	return &Store{log: log, start: o.Start, began: o.Began, grace: o.Grace, loaded: make(map[string]Entry), others: make(map[string]Other)}
}

// Ahead is by how many nanoseconds the Engine's clock is ahead. NoteClock sets it.
func (s *Store) Ahead() *atomic.Int64 { return &s.ahead }

// Load takes over what a file holds.
func (s *Store) Load(cp *Content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startAt = cp.FirstStart.UnixNano()
	maps.Copy(s.loaded, cp.Containers)
	s.listed = cp.Others != nil
	for id, o := range cp.Others {
		o.seen = false
		s.others[id] = o
	}
}

// Len is how many containers something is remembered of. That is a position, or
// why they are not captured.
func (s *Store) Len() (positions, others int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.loaded), len(s.others)
}

// Change says that what is to be saved has changed.
func (s *Store) Change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = true
}

// LeaveOut notes why a container is not captured.
func (s *Store) LeaveOut(id string, o Other) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveOut(id, o)
}

// leaveOut is LeaveOut with mu held.
func (s *Store) leaveOut(id string, o Other) {
	o.seen = true
	before, ok := s.others[id]
	if before.Stopped { // the first look is what counts
		o.Stopped, o.Last = true, before.Last
	}
	s.unsaved = s.unsaved || !ok || before.Last != o.Last
	s.others[id] = o
}

// Existed notes that a container is not new. The first list shows it, and it has no
// stream.
func (s *Store) Existed(c *container.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.others[c.ID]; !there && !s.listed && c.Created < s.startAt {
		s.leaveOut(c.ID, Other{})
	}
}

// LeftOut is what is known of a container that is not captured. Where that is
// nothing, there is false.
func (s *Store) LeftOut(id string) (o Other, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, there = s.others[id]
	return o, there
}

// AllListed notes that a whole list was taken in. What comes from then on and is
// neither captured nor left out is new. What does not exist any more is forgotten,
// when lists have not shown it for a while: one alone may lack it.
func (s *Store) AllListed(listed map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = s.unsaved || !s.listed
	s.listed = true
	before := s.absent
	s.absent = make(map[string]time.Time)
	lacks := func(id string) (gone bool) {
		if listed[id] {
			return false
		}
		since, known := before[id]
		if !known {
			since = time.Now()
		}
		s.absent[id] = since
		return time.Since(since) >= s.grace
	}
	for id := range s.loaded {
		if lacks(id) {
			delete(s.loaded, id)
			s.unsaved = true
		}
	}
	for id := range s.others {
		if lacks(id) {
			delete(s.others, id)
			s.unsaved = true
		}
	}
}

// Begin is where the capture of a container begins. It has a stream from then
// on.
func (s *Store) Begin(c *container.Container) position.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.startPosition(c)
	delete(s.loaded, c.ID)
	delete(s.others, c.ID)
	s.unsaved = true
	return p
}

// Reserve notes where a capture begins that cannot be begun yet. The container is
// wanted.
func (s *Store) Reserve(c *container.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.loaded[c.ID]
	if p := s.startPosition(c); !ok && p.Kind != position.FromTail { // the end of a log is where it is then
		s.loaded[c.ID] = Entry{c.Name, PositionOf(&p)}
		s.unsaved = true
	}
}

// End takes over the position of a container whose stream has gone. It exists, and
// may be wanted again.
func (s *Store) End(id, name string, p *position.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded[id] = Entry{name, PositionOf(p)}
	s.unsaved = true
}

// Content is what is to be saved, without the positions of streams. It is nil if
// nothing of it has changed and moved is false, or if no Engine was there yet.
func (s *Store) Content(moved bool) *Content {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startAt == 0 || !moved && !s.unsaved {
		return nil // no Engine: so no container either
	}
	s.unsaved = false
	cp := &Content{Version: Version, Saved: time.Now().UTC(), FirstStart: time.Unix(0, s.startAt).UTC(), Containers: maps.Clone(s.loaded)}
	if s.listed {
		cp.Others = maps.Clone(s.others)
		for id, o := range cp.Others {
			if o.Unwanted != 0 && o.seen { // and is not up to now
				o.Unwanted = s.Now()
				cp.Others[id] = o
			}
		}
	}
	return cp
}

// CloseUp has all that is known saved once more. Of containers that were not
// wanted that is until when.
func (s *Store) CloseUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = s.unsaved || s.listed
}
