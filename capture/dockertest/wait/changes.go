package wait

import (
	"context"
	"fmt"
	"sync"
)

// Changes tells those who wait for something that they may look again. The zero value is ready.
type Changes struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change; nil while nobody waits
}

// Wake says that something has changed.
func (c *Changes) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

// Until returns nil once check does.
// It looks again at each change, and returns what check said last when ctx ends.
func (c *Changes) Until(ctx context.Context, check func() error) error {
	for {
		changed := c.coming()
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// coming is closed at the next change.
func (c *Changes) coming() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}
