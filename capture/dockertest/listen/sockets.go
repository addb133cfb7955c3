package listen

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

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Options say where the Engine listens.
type Options struct {
	Socket   string // path of the unix socket; one in a directory of its own when empty
	TCP      bool   // on a loopback port too
	InMemory bool   // there, instead of on a socket
}

// Sockets is where the Engine listens, and its connections.
type Sockets struct {
	*conns  // those that are open
	opts    Options
	handler http.Handler
	dir     string // removed by Clean, "" when the socket's place was given

	life sync.Mutex // held while it comes or goes as a whole

	mu      sync.Mutex
	srv     *http.Server    // nil while down
	serving *sync.WaitGroup // one for each listener of srv
	tcpAddr string
	memory  *memory // nil while down, and unless InMemory
	mode    os.FileMode
}

// New makes Sockets that do not listen yet. They tell changes of each connection that comes or goes.
func New(opts Options, handler http.Handler, changes *wait.Changes) *Sockets {
	return &Sockets{conns: newConns(changes), opts: opts, handler: handler, mode: 0o660}
}

// Host is the address of the socket for a client: "unix:///...".
func (s *Sockets) Host() string { return "unix://" + s.opts.Socket }

// Socket is the path of the unix socket.
func (s *Sockets) Socket() string { return s.opts.Socket }

// TCPHost is "tcp://127.0.0.1:PORT", "" without TCP. The port survives Down and Up.
func (s *Sockets) TCPHost() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tcpAddr == "" {
		return ""
	}
	return "tcp://" + s.tcpAddr
}

// Dial connects to an Engine that listens in memory. One that is down refuses the connection.
func (s *Sockets) Dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	m := s.memory
	s.mu.Unlock()
	return m.dial(ctx)
}

// Up makes an Engine listen again, at the same addresses. Containers keep the state that Down left them in; nothing is started.
func (s *Sockets) Up() error {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv != nil {
		return nil
	}
	listeners, err := s.listeners()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0), ConnState: s.state, ConnContext: withConn}
	serving := new(sync.WaitGroup)
	for _, l := range listeners {
		serving.Go(func() { _ = srv.Serve(l) })
	}
	s.srv, s.serving = srv, serving
	return nil
}

// listeners opens what the Engine listens on. s.mu is held.
func (s *Sockets) listeners() ([]net.Listener, error) {
	if s.opts.InMemory {
		s.memory = newMemory()
		return []net.Listener{s.memory}, nil
	}
	if err := s.place(); err != nil {
		return nil, err
	}
	unix, err := net.Listen("unix", s.opts.Socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(s.opts.Socket, s.mode); err != nil {
		_ = unix.Close()
		return nil, err
	}
	listeners := []net.Listener{unix}
	if s.opts.TCP {
		addr := s.tcpAddr
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			_ = unix.Close()
			return nil, err
		}
		s.tcpAddr = tcp.Addr().String()
		listeners = append(listeners, tcp)
	}
	return listeners, nil
}

// place makes a place for the socket.
func (s *Sockets) place() error {
	if s.opts.Socket != "" {
		return removeStale(s.opts.Socket)
	}
	// Not the test's own directory: its name may exceed the 108 bytes of a socket address.
	dir, err := os.MkdirTemp("", "dockertest")
	if err != nil {
		return fmt.Errorf("directory for the socket: %w", err)
	}
	s.dir, s.opts.Socket = dir, filepath.Join(dir, "docker.sock")
	return nil
}

// removeStale removes what an Engine that is gone left there.
// It removes nothing else: the path may be a real Engine's.
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

// HangUp closes listeners and connections and waits for the requests to end. Unless it unlinks the socket, a client is
// refused there.
func (s *Sockets) HangUp(unlink bool) {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	srv, serving := s.srv, s.serving
	s.srv, s.memory = nil, nil
	s.mu.Unlock()
	if srv == nil {
		return
	}
	kept := s.opts.Socket + ".kept"
	unlink = unlink || s.opts.InMemory
	if !unlink {
		// The listener unlinks by name when it closes; under another name the file survives it.
		_ = os.Rename(s.opts.Socket, kept)
	}
	_ = srv.Close()
	serving.Wait()
	s.waitNone()
	if !unlink {
		_ = os.Rename(kept, s.opts.Socket)
	}
}

// Clean removes the socket's directory, if it has one of its own.
func (s *Sockets) Clean() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// SetSocketMode changes the permission bits of the socket.
// They are changed now and for the next Up. They do not hold up root.
func (s *Sockets) SetSocketMode(mode os.FileMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
	if s.srv == nil {
		return nil
	}
	return os.Chmod(s.opts.Socket, mode)
}
