package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

// endpoint is the HTTP server of one address, shared by all instances of the
// process that name it: there is only one port to scrape. It is closed with the
// last of them, so that after a hot reload the address is free again.
type endpoint struct {
	name    string // as Metrics_Listen has it
	version string // of the plugin
	log     *slog.Logger
	server  *http.Server
	conns   connTable
	busy    supervise.Semaphore // held by requests that cost something
	stop    context.CancelFunc
	ending  sync.WaitGroup

	mu    sync.Mutex
	shown []*shown // guarded by mu
}

// Instance is what is told about.
type Instance interface {
	// View tells how it is.
	View() *status.View
	// Away is for how long records wait for Fluent Bit in vain. It is 0 while that is
	// no longer than it may be; it waits for nothing.
	Away() time.Duration
	// Lines yields how many lines came of each container, by id. Those of all are under
	// [page.AllLines].
	Lines(yield func(id string, lines uint64) bool)
}

// Input is an instance and what it is shown with.
type Input struct {
	Name     string // no other at the address has it
	Instance Instance
	Metrics  prometheus.Gatherer
	// Containers are the metrics of each container, for the instance of that name. They
	// are asked for after Metrics; nil: there are none.
	Containers func(instance string) []*dto.MetricFamily
	Log        *slog.Logger
	Panics     prometheus.Counter // that were caught
	Version    string             // of the plugin
}

// shown is an input that an endpoint tells about.
type shown struct {
	Input
	history page.History
}

// endpoints are those of this process.
var endpoints = struct {
	mu     sync.Mutex
	byAddr map[string]*endpoint // guarded by mu
}{byAddr: make(map[string]*endpoint)}

// Bounds of what a client may cost.
const (
	maxRequests   = 4 // that are worked on at a time
	maxHeader     = 16 << 10
	requestTime   = 10 * time.Second
	responseTime  = 30 * time.Second
	keepAliveTime = 2 * time.Minute
	closeTime     = time.Second
)

// listenAgain is the pause before an address is tried again that could not be
// used.
const listenAgain = 5 * time.Second

// Show has metrics and health of an input served at addr. That lasts until hide is
// called, which returns when the address is free, unless others are shown there.
// While that cannot be, it is said in the log and tried again. Without addr nothing
// is served.
func Show(addr string, in Input) (hide func()) {
	if addr == "" {
		return func() {}
	}
	endpoints.mu.Lock()
	defer endpoints.mu.Unlock()
	e := endpoints.byAddr[addr]
	if e == nil {
		e = newEndpoint(addr, in.Version, in.Log)
		endpoints.byAddr[addr] = e
	}
	s := &shown{Input: in}
	if !e.add(s) {
		in.Log.Warn("two inputs have the same name, metrics are served for the first one only; give each an alias of its own", "name", in.Name)
		return func() {}
	}
	return sync.OnceFunc(func() {
		endpoints.mu.Lock()
		defer endpoints.mu.Unlock()
		if e.remove(s) == 0 {
			delete(endpoints.byAddr, addr)
			e.close()
		}
	})
}

// newEndpoint serves at the address as soon as that can be used, until close.
func newEndpoint(addr, version string, log *slog.Logger) *endpoint {
	ctx, stop := context.WithCancel(context.Background())
	e := &endpoint{name: addr, version: version, log: log, busy: make(supervise.Semaphore, maxRequests), stop: stop}
	e.server = &http.Server{
		Handler:        e.handler(),
		ReadTimeout:    requestTime,
		WriteTimeout:   responseTime,
		IdleTimeout:    keepAliveTime,
		MaxHeaderBytes: maxHeader,
		ConnState:      e.conns.state,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // clients that go away
	}
	l := e.listen(true)
	e.ending.Go(func() { e.sample(ctx) })
	e.ending.Go(func() {
		for ctx.Err() == nil {
			if l == nil {
				supervise.Sleep(ctx, listenAgain)
			} else {
				_ = supervise.Catch(func() error { return e.server.Serve(l) }) // until close
			}
			if ctx.Err() == nil {
				l = e.listen(l != nil)
			}
		}
		if l != nil {
			_ = l.Close() // as Serve has done, unless it was never called
		}
	})
	return e
}

// sample counts the lines of all instances for the page, until ctx is done.
func (e *endpoint) sample(ctx context.Context) {
	for supervise.Sleep(ctx, page.Every) {
		for _, s := range e.instances() {
			e.caught("/", func() { s.history.Sample(time.Now(), s.Instance.Lines) })
		}
	}
}

// listen tries once; nil if the address cannot be used, for which say asks for a
// word in the log.
func (e *endpoint) listen(say bool) net.Listener {
	l, err := net.Listen("tcp", e.name)
	if err == nil {
		e.log.Info("metrics are served", "url", "http://"+l.Addr().String()+"/")
		return l
	}
	if say {
		e.log.Warn("option Metrics_Listen: the address cannot be used, metrics are not served, it is tried again; name another one, or off", "value", e.name, "error", err)
	}
	return nil
}

// close frees the address.
func (e *endpoint) close() {
	e.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		_ = e.server.Close()
	}
	e.ending.Wait()
}

// add says whether the instance is shown; not if its name is taken.
func (e *endpoint) add(s *shown) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.shown {
		if o.Name == s.Name {
			return false
		}
	}
	e.shown = append(e.shown, s)
	return true
}

// remove returns how many instances are left.
func (e *endpoint) remove(in *shown) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range e.shown {
		if s == in {
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
