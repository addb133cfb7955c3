package capture

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// endpoint is the HTTP server of one address, shared by all instances of the
// process that name it: there is only one port to scrape. It is closed with the
// last of them, so that after a hot reload the address is free again.
type endpoint struct {
	address string
	server  *http.Server
	ended   chan struct{}
	conns   atomic.Int64

	mu    sync.Mutex
	shown []*shown // guarded by mu
}

// shown is an instance that an endpoint tells about.
type shown struct {
	name    string
	col     *Collector
	metrics prometheus.Gatherer
}

// endpoints are those of this process.
var endpoints = struct {
	mu     sync.Mutex
	byAddr map[string]*endpoint // guarded by mu
}{byAddr: make(map[string]*endpoint)}

// Bounds of what a client may cost.
const (
	maxConns      = 64
	maxHeader     = 16 << 10
	requestTime   = 10 * time.Second
	responseTime  = 30 * time.Second
	keepAliveTime = 2 * time.Minute
	closeTime     = time.Second
)

// Show has metrics and health of the instance called name served at
// Metrics_Listen until hide is called, which returns when the address is free,
// unless others are shown there. Where that cannot be, it is said and the
// capture does without.
func (c *Collector) Show(name string, metrics prometheus.Gatherer) (hide func()) {
	addr := c.cfg.MetricsListen
	if addr == "" {
		return func() {}
	}
	endpoints.mu.Lock()
	defer endpoints.mu.Unlock()
	e := endpoints.byAddr[addr]
	if e == nil {
		var err error
		if e, err = listen(addr); err != nil {
			c.log.Warn("option Metrics_Listen: the address cannot be used, metrics are not served; name another one, or off", "value", addr, "error", err)
			return func() {}
		}
		endpoints.byAddr[addr] = e
	}
	if !e.add(&shown{name, c, metrics}) {
		c.log.Warn("two inputs have the same name, metrics are served for the first one only; give each an alias of its own", "name", name)
		return func() {}
	}
	c.log.Info("metrics are served", "url", "http://"+e.address+"/")
	return sync.OnceFunc(func() {
		endpoints.mu.Lock()
		defer endpoints.mu.Unlock()
		if e.remove(c) == 0 {
			delete(endpoints.byAddr, addr)
			e.close()
		}
	})
}

func listen(addr string) (*endpoint, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	e := &endpoint{address: l.Addr().String(), ended: make(chan struct{})}
	e.server = &http.Server{
		Handler:        e.handler(),
		ReadTimeout:    requestTime,
		WriteTimeout:   responseTime,
		IdleTimeout:    keepAliveTime,
		MaxHeaderBytes: maxHeader,
		ConnState:      e.connState,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // clients that go away
	}
	go func() {
		defer close(e.ended)
		_ = guard(func() error { return e.server.Serve(l) }) // until close
	}()
	return e, nil
}

// connState turns connections away that are too many: each is a descriptor.
func (e *endpoint) connState(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		if e.conns.Add(1) > maxConns {
			_ = c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		e.conns.Add(-1)
	}
}

// close frees the address.
func (e *endpoint) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		_ = e.server.Close()
	}
	<-e.ended
}

// add says whether the instance is shown; not if its name is taken.
func (e *endpoint) add(s *shown) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.shown {
		if o.name == s.name {
			return false
		}
	}
	e.shown = append(e.shown, s)
	return true
}

// remove returns how many instances are left.
func (e *endpoint) remove(c *Collector) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range e.shown {
		if s.col == c {
			e.shown = append(e.shown[:i:i], e.shown[i+1:]...)
			break
		}
	}
	return len(e.shown)
}

// instances are those that are shown, in the order of their coming.
func (e *endpoint) instances() []*shown {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown // replaced, never changed
}
