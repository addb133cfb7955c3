package discovery

import (
	"sync"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// newsbox holds the events until the discovery gets at them, so that a burst
// never holds up the event stream: a subscriber that is slow loses events.
type newsbox struct {
	ready chan struct{}
	mu    sync.Mutex
	news  []engine.Event // guarded by mu
	lost  bool           // guarded by mu: there were too many
}

// maxNews bounds the events that wait; beyond it the list tells.
const maxNews = 8192

func newNewsbox() *newsbox {
	return &newsbox{ready: make(chan struct{}, 1)}
}

func (n *newsbox) put(a engine.Event) {
	n.mu.Lock()
	if len(n.news) < maxNews {
		n.news = append(n.news, a)
	} else {
		n.lost = true
	}
	n.mu.Unlock()
	supervise.Poke(n.ready)
}

// take returns what came since the last call; all is false if that is not
// everything.
func (n *newsbox) take() (news []engine.Event, all bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	news, all = n.news, !n.lost
	n.news, n.lost = nil, false
	return news, all
}
