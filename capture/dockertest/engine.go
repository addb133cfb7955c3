package dockertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Engine is a fake Docker Engine. All methods may be called from any goroutine.
type Engine struct {
	*Streams // the log streams of all containers

	clock     func() time.Time
	dir       string // removed by Close, "" when the socket's place was given
	socket    string
	tcpWanted bool
	inMemory  bool
	retention int
	podman    string // its version; "": the Engine is Docker's

	life sync.Mutex // held by Down, Up and Close as a whole

	mu          sync.Mutex
	srv         *http.Server    // nil while down
	serving     *sync.WaitGroup // one for each listener of srv
	tcpAddr     string
	memory      *memory // nil while down, and unless InMemory
	socketMode  os.FileMode
	liveRestore bool
	api, minAPI version
	byID        map[string]*Ctr
	byName      map[string]*Ctr
	order       []*Ctr // as created
	serial      int
	overrides   []*override
	counts      map[Endpoint]int
	conns       map[net.Conn]struct{}
	noConns     *sync.Cond
	queries     []LogQuery
	changed     chan struct{} // closed at the next change; nil while nobody waits

	events eventHub
}

// Option changes how an Engine starts.
type Option func(*Engine)

// WithClock replaces the clock that stamps log records and events. It is called under locks: it must not call back into the package.
func WithClock(now func() time.Time) Option { return func(e *Engine) { e.clock = now } }

// WithAPIVersion makes the Engine start as another release, see [Engine.SetAPIVersion].
func WithAPIVersion(api, minAPI string) Option {
	return func(e *Engine) { e.SetAPIVersion(api, minAPI) }
}

// WithSocket sets the path of the unix socket. A socket that nobody serves is replaced; Close removes it.
func WithSocket(path string) Option { return func(e *Engine) { e.socket = path } }

// WithTCP makes the Engine listen on a loopback port too, see [Engine.TCPHost].
func WithTCP() Option { return func(e *Engine) { e.tcpWanted = true } }

// WithLiveRestore sets what Down does to containers, see [Engine.SetLiveRestore].
func WithLiveRestore() Option { return func(e *Engine) { e.liveRestore = true } }

// WithPodman makes the Engine Podman of that version: see podman.go.
func WithPodman(version string) Option {
	return func(e *Engine) {
		e.podman = version
		e.SetAPIVersion("1.41", "")
	}
}

// WithRetention keeps only the last n records of each container, as if older ones had been rotated away.
func WithRetention(n int) Option { return func(e *Engine) { e.retention = n } }

// Start makes an Engine that listens, and closes it when the test is over.
func Start(t testing.TB, opts ...Option) *Engine {
	t.Helper()
	e := New(opts...)
	if err := e.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// New makes an Engine. Containers can be created; nobody can connect before Serve.
func New(opts ...Option) *Engine {
	e := &Engine{
		clock:      time.Now,
		socketMode: 0o660,
		byID:       map[string]*Ctr{},
		byName:     map[string]*Ctr{},
		counts:     map[Endpoint]int{},
		conns:      map[net.Conn]struct{}{},
	}
	e.noConns = sync.NewCond(&e.mu)
	e.Streams = &Streams{e: e}
	e.events.clock = e.now
	e.SetAPIVersion("1.51", "")
	for _, o := range opts {
		o(e)
	}
	return e
}

// Serve starts to listen. The Engine runs until Close.
func (e *Engine) Serve() error {
	if e.socket == "" && !e.inMemory {
		// Not the test's own directory: its name may exceed the 108 bytes of a socket address.
		dir, err := os.MkdirTemp("", "dockertest")
		if err != nil {
			return fmt.Errorf("directory for the socket: %w", err)
		}
		e.dir, e.socket = dir, filepath.Join(dir, "docker.sock")
	}
	return e.listen()
}

// Close cuts every connection, waits for all requests to end, closes and keeps the log files, and removes the socket.
func (e *Engine) Close() {
	e.hangUp(true)
	e.mu.Lock()
	all := append([]*Ctr(nil), e.order...)
	e.mu.Unlock()
	for _, c := range all {
		c.log.closeFile()
	}
	if e.dir != "" {
		_ = os.RemoveAll(e.dir)
	}
}

// Host is the address of the socket as a client wants it: "unix:///...".
func (e *Engine) Host() string { return "unix://" + e.socket }

// Socket is the path of the unix socket.
func (e *Engine) Socket() string { return e.socket }

// TCPHost is "tcp://127.0.0.1:PORT", "" without [WithTCP]. The port survives Down and Up.
func (e *Engine) TCPHost() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tcpAddr == "" {
		return ""
	}
	return "tcp://" + e.tcpAddr
}

// SetLiveRestore sets whether containers outlive Down. Without it (the default) Down stops them; with it they run on, and no event tells of it.
func (e *Engine) SetLiveRestore(on bool) {
	e.mu.Lock()
	e.liveRestore = on
	e.mu.Unlock()
}

// Down ends the Engine like a clean stop of dockerd: the socket file vanishes (ENOENT), every connection is cut, the events of the past are
// forgotten. It returns when the last request has ended.
func (e *Engine) Down() { e.down(true) }

// Crash ends the Engine like a killed dockerd: as Down, but the socket file stays, so that a connection is refused (ECONNREFUSED).
func (e *Engine) Crash() { e.down(false) }

func (e *Engine) down(unlink bool) {
	e.hangUp(unlink)
	e.events.forget()
	e.mu.Lock()
	var stopped []*Ctr
	if !e.liveRestore {
		stopped = append(stopped, e.order...)
	}
	e.mu.Unlock()
	for _, c := range stopped {
		c.stopSilently()
	}
}

// Up makes an Engine that is down listen again, at the same addresses. Containers keep the state that Down left them in; nothing is started.
func (e *Engine) Up() error { return e.listen() }

func (e *Engine) listen() error {
	e.life.Lock()
	defer e.life.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv != nil {
		return nil
	}
	listeners, err := e.listeners()
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:   http.HandlerFunc(e.serve),
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnState: e.connState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	serving := new(sync.WaitGroup)
	for _, l := range listeners {
		serving.Go(func() { _ = srv.Serve(l) })
	}
	e.srv, e.serving = srv, serving
	return nil
}

// listeners opens what the Engine listens on. e.mu is held.
func (e *Engine) listeners() ([]net.Listener, error) {
	if e.inMemory {
		e.memory = newMemory()
		return []net.Listener{e.memory}, nil
	}
	if err := removeStale(e.socket); err != nil {
		return nil, err
	}
	unix, err := net.Listen("unix", e.socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(e.socket, e.socketMode); err != nil {
		_ = unix.Close()
		return nil, err
	}
	listeners := []net.Listener{unix}
	if e.tcpWanted {
		addr := e.tcpAddr
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			_ = unix.Close()
			return nil, err
		}
		e.tcpAddr = tcp.Addr().String()
		listeners = append(listeners, tcp)
	}
	return listeners, nil
}

// removeStale removes what an Engine that is gone left there, and nothing else: the path may be a real Engine's.
func removeStale(socket string) error {
	st, err := os.Lstat(socket)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is there and no socket", socket)
	}
	if c, err := net.Dial("unix", socket); err == nil {
		_ = c.Close()
		return fmt.Errorf("somebody serves on %s", socket)
	}
	return os.Remove(socket)
}

// hangUp closes listeners and connections and waits for the requests to end.
func (e *Engine) hangUp(unlink bool) {
	e.life.Lock()
	defer e.life.Unlock()
	e.mu.Lock()
	srv, serving := e.srv, e.serving
	e.srv, e.memory = nil, nil
	e.mu.Unlock()
	if srv == nil {
		return
	}
	kept := e.socket + ".kept"
	unlink = unlink || e.inMemory
	if !unlink {
		// The listener unlinks by name when it closes; under another name the file survives it.
		_ = os.Rename(e.socket, kept)
	}
	_ = srv.Close()
	serving.Wait()
	e.mu.Lock()
	for len(e.conns) > 0 { // with its connection every request has ended
		e.noConns.Wait()
	}
	e.mu.Unlock()
	if !unlink {
		_ = os.Rename(kept, e.socket)
	}
}

// SetSocketMode changes the permission bits of the socket, now and for the next Up. They do not hold up root.
func (e *Engine) SetSocketMode(mode os.FileMode) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.socketMode = mode
	if e.srv == nil {
		return nil
	}
	return os.Chmod(e.socket, mode)
}

type connKey struct{}

func connOf(r *http.Request) net.Conn {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	return c
}

func (e *Engine) connState(c net.Conn, s http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch s {
	case http.StateNew:
		e.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		if delete(e.conns, c); len(e.conns) == 0 {
			e.noConns.Broadcast()
		}
	default:
		return
	}
	e.wakeLocked()
}

func (e *Engine) now() time.Time { return e.clock() }
