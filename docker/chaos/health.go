package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// look is what /readyz said at a moment.
type look struct {
	at       time.Time
	status   int // 0: nobody answered
	problems []string
}

// watcher asks /readyz all the time.
type watcher struct {
	client *http.Client
	url    string
	quit   chan struct{}
	once   sync.Once
	done   chan struct{}

	mu    sync.Mutex
	looks []look
}

func watchHealth(client *http.Client, url string) *watcher {
	h := &watcher{client: client, url: url, quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			l := h.look()
			h.mu.Lock()
			h.looks = append(h.looks, l)
			h.mu.Unlock()
			select {
			case <-tick.C:
			case <-h.quit:
				return
			}
		}
	}()
	return h
}

func (h *watcher) look() look {
	l := look{at: time.Now()}
	resp, err := h.client.Get(h.url)
	if err != nil {
		return l
	}
	defer func() { _ = resp.Body.Close() }()
	l.status = resp.StatusCode
	b, _ := io.ReadAll(resp.Body)
	var all struct {
		Problems  []string
		Instances []struct{ Problems []string }
	}
	_ = json.Unmarshal(b, &all)
	l.problems = all.Problems
	for _, i := range all.Instances {
		l.problems = append(l.problems, i.Problems...)
	}
	return l
}

// readyWithin waits for an answer that says ready, at most for d.
func (h *watcher) readyWithin(d time.Duration) bool {
	for end := time.Now().Add(d); ; {
		if h.look().status == http.StatusOK {
			return true
		}
		if !time.Now().Before(end) {
			return false
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// last is what was wrong when it was asked last.
func (h *watcher) last() string {
	l := h.look()
	if l.status == 0 {
		return "no answer"
	}
	return strings.Join(l.problems, "; ")
}

// all is what was said so far.
func (h *watcher) all() []look {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.looks[:len(h.looks):len(h.looks)]
}

func (h *watcher) close() {
	h.once.Do(func() { close(h.quit) })
	<-h.done
}

// misjudged says when /readyz was wrong.
func (w *world) misjudged() (all []string) {
	w.mu.Lock()
	wounds, downs := slices.Clone(w.wounds), slices.Clone(w.downs)
	w.mu.Unlock()
	const after = 25 * time.Second // what is tried again after a while may fail until then
	well := func(at time.Time) bool {
		return !slices.ContainsFunc(append(slices.Clone(wounds), downs...), func(s span) bool { return s.meets(at.Add(-after), at) })
	}
	var since time.Time
	for _, l := range w.health.all() {
		if l.status != http.StatusServiceUnavailable || !well(l.at) {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = l.at
		}
		if d := l.at.Sub(since); d > 5*time.Second {
			all = append(all, fmt.Sprintf("not ready for %v although nothing is wrong: %s", d.Round(time.Second), strings.Join(l.problems, "; ")))
			break
		}
	}
	for _, s := range wounds {
		within, ok := w.noticed(s.kind)
		if !ok || s.to.Sub(s.from) < within || slices.ContainsFunc(downs, func(d span) bool { return d.meets(s.from.Add(-startTime), s.to) }) {
			continue
		}
		ready := 0
		for _, l := range w.health.all() {
			switch {
			case !s.meets(l.at, l.at):
			case l.status == http.StatusServiceUnavailable:
				ready = -1 << 30
			case l.status == http.StatusOK:
				ready++
			}
		}
		if ready > 3 {
			all = append(all, fmt.Sprintf("ready all the time while it was so for %v: %s", s.to.Sub(s.from).Round(time.Second), s.kind))
		}
	}
	return all
}

// noticed is how long a fault may last before /readyz says so; ok is false of one that it does not name.
func (w *world) noticed(kind string) (within time.Duration, ok bool) {
	const busy = 3 * time.Second // so may a machine be
	switch kind {
	case "proxy away", "engine is killed":
		return busy, true
	case "engine stops", "half open": // a heartbeat, and how long its answer is waited for
		return time.Duration(w.p.Heartbeat)*time.Millisecond + 10*time.Second + busy, true
	case "disk full": // looked at each 15 seconds
		return 15*time.Second + busy, true
	}
	return 0, false
}
