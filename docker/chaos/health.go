package chaos

import (
	"encoding/json"
	"io"
	"net/http"
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
