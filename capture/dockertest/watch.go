package dockertest

import (
	"context"
	"fmt"
)

// keptQueries bounds what LogQueries remembers: twice as many are held before the older half goes.
const keptQueries = 1 << 16

func (e *Engine) logQuery(q LogQuery) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queries) == 2*keptQueries {
		e.queries = append(e.queries[:0], e.queries[keptQueries:]...)
	}
	e.queries = append(e.queries, q)
}

func (e *Engine) count(ep Endpoint) {
	e.mu.Lock()
	e.counts[ep]++
	e.wakeLocked()
	e.mu.Unlock()
}

// Requests is the number of requests to the endpoint so far, with [Any] to all of them, refused ones included.
func (e *Engine) Requests(ep Endpoint) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ep != Any {
		return e.counts[ep]
	}
	total := 0
	for _, n := range e.counts {
		total += n
	}
	return total
}

// OpenConns is the number of open connections.
func (e *Engine) OpenConns() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// WaitRequests waits until there have been at least n requests to the endpoint.
func (e *Engine) WaitRequests(ctx context.Context, ep Endpoint, n int) error {
	return e.wait(ctx, func() error {
		if got := e.Requests(ep); got < n {
			return fmt.Errorf("%d %s requests, not %d", got, ep, n)
		}
		return nil
	})
}

// WaitConns waits until the number of open connections is n.
func (e *Engine) WaitConns(ctx context.Context, n int) error {
	return e.wait(ctx, func() error {
		if got := e.OpenConns(); got != n {
			return fmt.Errorf("%d connections are open, not %d", got, n)
		}
		return nil
	})
}

// WaitSubscribers waits until the number of event streams is n.
func (e *Engine) WaitSubscribers(ctx context.Context, n int) error {
	return e.wait(ctx, func() error {
		if got := e.Subscribers(); got != n {
			return fmt.Errorf("%d event streams are open, not %d", got, n)
		}
		return nil
	})
}

// wait returns nil once check does, looking again at each change, or what check said last when ctx ends.
func (e *Engine) wait(ctx context.Context, check func() error) error {
	for {
		e.mu.Lock()
		if e.changed == nil {
			e.changed = make(chan struct{})
		}
		changed := e.changed
		e.mu.Unlock()
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

func (e *Engine) wake() {
	e.mu.Lock()
	e.wakeLocked()
	e.mu.Unlock()
}

func (e *Engine) wakeLocked() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// ForgetQueries drops what LogQueries remembers.
func (e *Engine) ForgetQueries() {
	e.mu.Lock()
	e.queries = nil
	e.mu.Unlock()
}
