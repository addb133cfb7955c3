package listen

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// conns are the connections that are open.
type conns struct {
	changes *wait.Changes

	mu   sync.Mutex
	open map[net.Conn]struct{}
	none *sync.Cond
}

func newConns(changes *wait.Changes) *conns {
	c := &conns{changes: changes, open: map[net.Conn]struct{}{}}
	c.none = sync.NewCond(&c.mu)
	return c
}

// state implements http.Server.ConnState.
func (c *conns) state(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateNew:
		c.open[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		if delete(c.open, conn); len(c.open) == 0 {
			c.none.Broadcast()
		}
	default:
		return
	}
	c.changes.Wake()
}

// waitNone waits until none is open. With its connection every request has ended.
func (c *conns) waitNone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) > 0 {
		c.none.Wait()
	}
}

// OpenConns is the number of open connections.
func (c *conns) OpenConns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// WaitConns waits until the number of open connections is n.
func (c *conns) WaitConns(ctx context.Context, n int) error {
	return c.changes.Until(ctx, func() error {
		if got := c.OpenConns(); got != n {
			return fmt.Errorf("%d connections are open, not %d", got, n)
		}
		return nil
	})
}

type connKey struct{}

// withConn implements http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Cutter is what closes the connection of a request at once.
// Over TCP that is a reset.
func Cutter(r *http.Request) (cut func()) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	return func() {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}
