package say

import "sync"

// maxIDs is how many ids are known.
const maxIDs = 1000

// LastIDs are the ids of the last maxIDs containers of some kind.
type LastIDs struct {
	mu    sync.Mutex
	known map[string]struct{} // guarded by mu
	order []string            // guarded by mu: a ring
	next  int                 // guarded by mu: the oldest, once the ring is full
}

// Add says whether the id was not among them.
func (l *LastIDs) Add(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.known[id]; ok {
		return false
	}
	if l.known == nil {
		l.known = make(map[string]struct{})
	}
	l.known[id] = struct{}{}
	if len(l.order) < maxIDs {
		l.order = append(l.order, id)
		return true
	}
	delete(l.known, l.order[l.next])
	l.order[l.next] = id
	l.next = (l.next + 1) % maxIDs
	return true
}
