package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Event is one event of the Engine.
type Event struct {
	Type       string // "container" when empty
	Action     string
	ID         string // of the actor
	Attributes map[string]string

	Time time.Time // set by Emit
}

const (
	replayed = 256  // events of the past that since= can reach
	queued   = 1024 // events that a slow subscriber may be behind before it loses some
)

// Hub keeps the last events and hands new ones to the subscribers.
type Hub struct {
	clock   func() time.Time
	changes *wait.Changes

	mu      sync.Mutex
	past    []Event
	subs    map[*Subscription]struct{}
	drop    int           // events still to be lost
	delay   time.Duration // before an event is sent
	hold    chan struct{} // subscriptions wait for it, nil = none does
	dropped int
}

// NewHub makes a Hub without a past. It tells changes of each subscription that begins or ends.
func NewHub(clock func() time.Time, changes *wait.Changes) *Hub {
	return &Hub{clock: clock, changes: changes, subs: map[*Subscription]struct{}{}}
}

// Subscription is one event stream. Its fields are guarded by the Hub's lock.
type Subscription struct {
	Wake chan struct{} // gets a token when there is something to take
	hub  *Hub
	cut  func()

	queue []Event
	ended bool
}

// Emit publishes an event of any kind.
// It may be one of a network, an image or a health check.
func (h *Hub) Emit(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ev.Type == "" {
		ev.Type = "container"
	}
	ev.Time = h.clock()
	if len(h.past) == replayed {
		h.past = append(h.past[:0], h.past[1:]...)
	}
	h.past = append(h.past, ev)
	if h.drop != 0 {
		h.drop--
		h.dropped++
		return
	}
	for s := range h.subs {
		if len(s.queue) == queued {
			h.dropped++
			continue
		}
		s.queue = append(s.queue, ev)
		wait.Poke(s.Wake)
	}
}

// ForgetEvents forgets the past: since reaches none of it.
func (h *Hub) ForgetEvents() {
	h.mu.Lock()
	h.past = nil
	h.mu.Unlock()
}

// DropEvents makes every subscriber lose the next n events.
// For n < 0 that is all of them. They stay in what since= replays.
func (h *Hub) DropEvents(n int) {
	h.mu.Lock()
	h.drop = n
	h.mu.Unlock()
}

// DroppedEvents counts the losses, by DropEvents and by slow subscribers.
func (h *Hub) DroppedEvents() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped
}

// DelayEvents makes the Engine wait before it sends an event.
func (h *Hub) DelayEvents(d time.Duration) {
	h.mu.Lock()
	h.delay = d
	h.mu.Unlock()
}

// HoldSubscriptions lets no subscription begin before release is called.
// Event requests get their response headers: events in between are
// lost to them unless since= reaches them. It is the race that a real Engine has, made long.
func (h *Hub) HoldSubscriptions() (release func()) {
	ch := make(chan struct{})
	h.mu.Lock()
	h.hold = ch
	h.mu.Unlock()
	return sync.OnceFunc(func() {
		h.mu.Lock()
		if h.hold == ch {
			h.hold = nil
		}
		h.mu.Unlock()
		close(ch)
	})
}

// CutEvents breaks every event stream; EndEvents ends it cleanly.
func (h *Hub) CutEvents() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.cut()
	}
}

// EndEvents ends every event stream with a clean EOF.
func (h *Hub) EndEvents() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.ended = true
		wait.Poke(s.Wake)
	}
}

// Subscribers is the number of event streams whose subscription exists.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// WaitSubscribers waits until the number of event streams is n.
func (h *Hub) WaitSubscribers(ctx context.Context, n int) error {
	return h.changes.Until(ctx, func() error {
		if got := h.Subscribers(); got != n {
			return fmt.Errorf("%d event streams are open, not %d", got, n)
		}
		return nil
	})
}

// Subscribe takes what since reaches and subscribes, in one step.
// No event falls between them. cut is called to break
// the stream. It returns false when ctx ends before.
func (h *Hub) Subscribe(ctx context.Context, since time.Time, cut func()) (*Subscription, bool) {
	h.mu.Lock()
	for h.hold != nil {
		hold := h.hold
		h.mu.Unlock()
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, false
		}
		h.mu.Lock()
	}
	s := &Subscription{Wake: make(chan struct{}, 1), hub: h, cut: cut}
	if !since.IsZero() {
		first := len(h.past)
		for first > 0 && !h.past[first-1].Time.Before(since) {
			first--
		}
		s.queue = append(s.queue, h.past[first:]...)
	}
	h.subs[s] = struct{}{}
	h.mu.Unlock()
	h.changes.Wake()
	return s, true
}

// Take takes the events to send.
// Each may be sent so long after its time as delay says. ended says that none will follow.
func (s *Subscription) Take() (batch []Event, delay time.Duration, ended bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	batch, s.queue = s.queue, nil
	return batch, s.hub.delay, s.ended
}

// Leave ends the subscription.
func (s *Subscription) Leave() {
	s.hub.mu.Lock()
	delete(s.hub.subs, s)
	s.hub.mu.Unlock()
	s.hub.changes.Wake()
}
