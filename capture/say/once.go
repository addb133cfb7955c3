package say

import "sync"

// Once says things once each.
type Once struct {
	mu   sync.Mutex
	said map[string]bool // guarded by mu
}

// Do calls say unless it was called for the same thing before.
func (o *Once) Do(what string, say func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[what] {
		return
	}
	if o.said == nil {
		o.said = make(map[string]bool)
	}
	o.said[what] = true
	say()
}
