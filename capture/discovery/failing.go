package discovery

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/say"
)

// Failing is what a discovery asks the Engine for in vain.
type Failing struct {
	lists say.Trouble // with the periodic list

	mu   sync.Mutex
	byID map[string]Unanswered // containers that could not be inspected; guarded by mu
}

// Unanswered is a container that could not be inspected. Its name is that of
// the list.
type Unanswered struct {
	ID, Name string
	Since    time.Time
	Why      error // of the last inspect
}

// NewFailing makes one, of a discovery that fails at nothing.
func NewFailing() *Failing {
	return &Failing{lists: say.Trouble{What: "listing the containers"}, byID: make(map[string]Unanswered)}
}

// Lists says whether the periodic list fails.
func (f *Failing) Lists() bool { return f.lists.Present() }

// Inspects are the containers that could not be inspected, by name.
func (f *Failing) Inspects() []Unanswered {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.byID), func(a, b Unanswered) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
}

func (f *Failing) note(c *container.Container, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, known := f.byID[c.ID]
	if !known {
		one = Unanswered{ID: c.ID, Name: c.Name, Since: time.Now()}
	}
	one.Why = why
	f.byID[c.ID] = one
}

func (f *Failing) drop(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byID, id)
}
