package page

import (
	"iter"
	"sync"
	"time"
)

const (
	// Every is how often the lines are counted for a History.
	Every = 5 * time.Second
	// points is how many rates are kept of each container, of 4 bytes each.
	points = 60
)

// AllLines is the id of the lines of all containers. A History has them also of
// those that live for less than Every.
const AllLines = ""

// History is how many lines a second came in the last minutes. It has them of each
// container. The zero value is an empty one.
type History struct {
	mu    sync.Mutex
	at    time.Time           // of the last sample; guarded by mu
	turn  uint32              // guarded by mu: its number
	rings map[string]*history // by id; guarded by mu
}

// history is that of one container.
type history struct {
	lines uint64 // at the last sample
	turn  uint32 // the sample that it was in
	n     uint32 // rates so far
	rates [points]float32
}

// Sample notes how many lines came of each id so far. What is not among them is
// forgotten.
func (h *History) Sample(now time.Time, lines iter.Seq2[string, uint64]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, passed := h.at.IsZero(), now.Sub(h.at).Seconds()
	if !first && passed <= 0 {
		return
	}
	if first {
		h.rings = make(map[string]*history)
	}
	h.at = now
	h.turn++
	for id, n := range lines {
		r := h.rings[id]
		if r == nil {
			r = &history{}
			h.rings[id] = r
			if first { // when they came is not known
				r.lines, r.turn = n, h.turn
				continue
			}
		}
		r.rates[r.n%points] = float32(float64(n-min(n, r.lines)) / passed)
		r.n++
		r.lines, r.turn = n, h.turn
	}
	for id, r := range h.rings {
		if r.turn != h.turn {
			delete(h.rings, id)
		}
	}
}

// Rates are the lines a second of an id, oldest first. They are nil if there are
// none yet.
func (h *History) Rates(id string) []float32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rings[id]
	if r == nil || r.n == 0 {
		return nil
	}
	if r.n <= points {
		return append([]float32(nil), r.rates[:r.n]...)
	}
	next := r.n % points
	return append(append([]float32(nil), r.rates[next:]...), r.rates[:next]...)
}
