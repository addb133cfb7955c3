package serve

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connTable bounds the connections to an endpoint: each is a descriptor. For a
// new one that would be too many, the one that has idled for longest is closed;
// where none idles the new one is turned away, unless it is of this machine, for
// which there is a reserve: a health check must not fail by what others do.
type connTable struct {
	mu   sync.Mutex
	idle map[net.Conn]time.Time // since when it waits for a request, zero while it has one; guarded by mu
}

const (
	maxConns     = 64
	reserveConns = 16
)

// state is told of each connection's changes by the HTTP server.
func (t *connTable) state(c net.Conn, s http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch s {
	case http.StateNew:
		if t.idle == nil {
			t.idle = make(map[net.Conn]time.Time)
		}
		if !t.room(c) {
			_ = c.Close()
		}
		t.idle[c] = time.Now()
	case http.StateIdle:
		t.idle[c] = time.Now()
	case http.StateActive:
		t.idle[c] = time.Time{}
	case http.StateClosed, http.StateHijacked:
		delete(t.idle, c)
	}
}

// room makes room for c. t.mu is held.
func (t *connTable) room(c net.Conn) bool {
	if len(t.idle) < maxConns {
		return true
	}
	var longest net.Conn
	for o, since := range t.idle {
		if !since.IsZero() && (longest == nil || since.Before(t.idle[longest])) {
			longest = o
		}
	}
	if longest != nil {
		_ = longest.Close()
		delete(t.idle, longest)
		return true
	}
	return len(t.idle) < maxConns+reserveConns && fromHere(c)
}

// fromHere says whether the other end is on this machine.
func fromHere(c net.Conn) bool {
	from, ok := c.RemoteAddr().(*net.TCPAddr)
	to, ok2 := c.LocalAddr().(*net.TCPAddr)
	return ok && ok2 && (from.IP.IsLoopback() || from.IP.Equal(to.IP))
}

// len is how many connections there are.
func (t *connTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}
