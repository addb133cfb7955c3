package dockertest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
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
	eventReplay = 256  // events of the past that since= can reach
	eventQueue  = 1024 // events that a slow subscriber may be behind before it loses some
)

// eventHub keeps the last events and hands new ones to the subscribers.
type eventHub struct {
	clock func() time.Time

	mu      sync.Mutex
	past    []Event
	subs    map[*subscriber]struct{}
	drop    int           // events still to be lost
	delay   time.Duration // before an event is sent
	hold    chan struct{} // subscriptions wait for it, nil = none does
	dropped int
}

type subscriber struct {
	wake chan struct{}
	cut  func()

	// Guarded by the hub's mu.
	queue []Event
	ended bool
}

// Emit publishes any event, such as one of a network, an image or a health check.
func (e *Engine) Emit(ev Event) {
	h := &e.events
	h.mu.Lock()
	defer h.mu.Unlock()
	if ev.Type == "" {
		ev.Type = "container"
	}
	ev.Time = h.clock()
	if len(h.past) == eventReplay {
		h.past = append(h.past[:0], h.past[1:]...)
	}
	h.past = append(h.past, ev)
	if h.drop != 0 {
		h.drop--
		h.dropped++
		return
	}
	for s := range h.subs {
		if len(s.queue) == eventQueue {
			h.dropped++
			continue
		}
		s.queue = append(s.queue, ev)
		poke(s.wake)
	}
}

func (h *eventHub) forget() {
	h.mu.Lock()
	h.past = nil
	h.mu.Unlock()
}

// DropEvents makes every subscriber lose the next n events, all of them for n < 0. They stay in what since= replays.
func (e *Engine) DropEvents(n int) {
	e.events.mu.Lock()
	e.events.drop = n
	e.events.mu.Unlock()
}

// DroppedEvents counts the losses, by DropEvents and by slow subscribers.
func (e *Engine) DroppedEvents() int {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	return e.events.dropped
}

// DelayEvents makes the Engine wait before it sends an event.
func (e *Engine) DelayEvents(d time.Duration) {
	e.events.mu.Lock()
	e.events.delay = d
	e.events.mu.Unlock()
}

// HoldSubscriptions makes event requests get their response headers, but no subscription before release is called: events in between are
// lost to them unless since= reaches them. It is the race that a real Engine has, made long.
func (e *Engine) HoldSubscriptions() (release func()) {
	ch := make(chan struct{})
	e.events.mu.Lock()
	e.events.hold = ch
	e.events.mu.Unlock()
	return sync.OnceFunc(func() {
		e.events.mu.Lock()
		if e.events.hold == ch {
			e.events.hold = nil
		}
		e.events.mu.Unlock()
		close(ch)
	})
}

// CutEvents breaks every event stream; EndEvents ends it cleanly.
func (e *Engine) CutEvents() {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	for s := range e.events.subs {
		s.cut()
	}
}

// EndEvents ends every event stream with a clean EOF.
func (e *Engine) EndEvents() {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	for s := range e.events.subs {
		s.ended = true
		poke(s.wake)
	}
}

// Subscribers is the number of event streams whose subscription exists.
func (e *Engine) Subscribers() int {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	return len(e.events.subs)
}

func (e *Engine) serveEvents(w http.ResponseWriter, r *http.Request) {
	since, err1 := parseTime(r.FormValue("since"))
	until, err2 := parseTime(r.FormValue("until"))
	filters, err3 := parseFilters(r.FormValue("filters"))
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	_ = flush()

	s, ok := e.subscribe(r, since)
	if !ok {
		return
	}
	defer e.unsubscribe(s)
	var timeout <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timeout = t.C
	}
	api, _ := e.versions()
	out := json.NewEncoder(w)
	for {
		e.events.mu.Lock()
		batch, ended, delay := s.queue, s.ended, e.events.delay
		s.queue = nil
		e.events.mu.Unlock()
		for _, ev := range batch {
			told := ev
			if e.podman != "" {
				if names, ok := podmanActions[ev.Action]; ok {
					ev.Action, told.Action = names[0], names[1]
				}
			}
			if !ev.matches(filters) || !until.IsZero() && ev.Time.After(until) {
				continue
			}
			if delay > 0 && !sleep(r.Context(), delay-e.now().Sub(ev.Time)) {
				return
			}
			if out.Encode(told.message(api)) != nil {
				return
			}
		}
		if len(batch) > 0 {
			_ = flush()
			continue
		}
		if ended {
			return
		}
		select {
		case <-s.wake:
		case <-timeout:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// subscribe takes the replay and the subscription in one step: no event falls between them.
func (e *Engine) subscribe(r *http.Request, since time.Time) (*subscriber, bool) {
	h := &e.events
	h.mu.Lock()
	for h.hold != nil {
		hold := h.hold
		h.mu.Unlock()
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, false
		}
		h.mu.Lock()
	}
	conn := connOf(r)
	s := &subscriber{wake: make(chan struct{}, 1), cut: func() { cut(conn) }}
	if !since.IsZero() {
		first := len(h.past)
		for first > 0 && !h.past[first-1].Time.Before(since) {
			first--
		}
		s.queue = append(s.queue, h.past[first:]...)
	}
	if h.subs == nil {
		h.subs = map[*subscriber]struct{}{}
	}
	h.subs[s] = struct{}{}
	h.mu.Unlock()
	e.wake()
	return s, true
}

func (e *Engine) unsubscribe(s *subscriber) {
	e.events.mu.Lock()
	delete(e.events.subs, s)
	e.events.mu.Unlock()
	e.wake()
}

func (ev Event) matches(f filters) bool {
	return f.match("type", func(v string) bool { return v == ev.Type }) &&
		f.match("event", func(v string) bool { return v == ev.Action || strings.HasPrefix(ev.Action, v+":") }) &&
		f.match("label", func(v string) bool { return hasLabel(ev.Attributes, v) }) &&
		f.match("container", func(v string) bool {
			return ev.Type == "container" && (strings.HasPrefix(ev.ID, v) || ev.Attributes["name"] == strings.TrimPrefix(v, "/"))
		})
}

type message struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	Type   string
	Action string
	Actor  struct {
		ID         string
		Attributes map[string]string
	}
	Scope    string `json:"scope"`
	Time     int64  `json:"time"`
	TimeNano int64  `json:"timeNano"`
}

func (ev Event) message(api version) message {
	m := message{Type: ev.Type, Action: ev.Action, Scope: "local", Time: ev.Time.Unix(), TimeNano: ev.Time.UnixNano()}
	m.Actor.ID, m.Actor.Attributes = ev.ID, ev.Attributes
	if api < api152 && ev.Type == "container" {
		m.Status, m.ID, m.From = ev.Action, ev.ID, ev.Attributes["image"]
	}
	return m
}
