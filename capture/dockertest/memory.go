package dockertest

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// memory is a listener without a socket: both ends of each connection are in this process, so that it works in the virtual time of
// testing/synctest.
type memory struct {
	dialed chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// InMemory makes the Engine listen in memory instead of on a socket, see [Engine.Dial].
func InMemory() Option { return func(e *Engine) { e.inMemory = true } }

// Dial connects to an Engine that listens in memory. One that is down refuses the connection.
func (e *Engine) Dial(ctx context.Context) (net.Conn, error) {
	e.mu.Lock()
	m := e.memory
	e.mu.Unlock()
	if m == nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	select {
	case m.dialed <- there:
		return here, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newMemory() *memory {
	return &memory{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.dialed:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr implements net.Listener.
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
