package serve

import (
	"context"
	"fmt"
	"sync"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Counts are how many requests there were.
type Counts struct {
	changes *wait.Changes

	mu sync.Mutex
	of map[Endpoint]int
}

// NewCounts begins at 0. It tells changes of each request.
func NewCounts(changes *wait.Changes) *Counts {
	return &Counts{changes: changes, of: map[Endpoint]int{}}
}

func (c *Counts) count(ep Endpoint) {
	c.mu.Lock()
	c.of[ep]++
	c.mu.Unlock()
	c.changes.Wake()
}

// Requests is the number of requests to the endpoint so far.
// With [Any] it is those to all of them. Refused ones are included.
func (c *Counts) Requests(ep Endpoint) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ep != Any {
		return c.of[ep]
	}
	total := 0
	for _, n := range c.of {
		total += n
	}
	return total
}

// WaitRequests waits until there were n requests to the endpoint.
func (c *Counts) WaitRequests(ctx context.Context, ep Endpoint, n int) error {
	return c.changes.Until(ctx, func() error {
		if got := c.Requests(ep); got < n {
			return fmt.Errorf("%d %s requests, not %d", got, ep, n)
		}
		return nil
	})
}
