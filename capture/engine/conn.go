package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/gate"
)

const (
	// A connection is busy after busyReads reads in a row that emptied the socket
	// (of less than littleRead; net/http and directConn ask for 4 KiB) and waited for
	// less than busyWait each: that is 4,000 records a second at least.
	busyReads  = 64
	busyWait   = 250 * time.Microsecond
	littleRead = 3 << 10
	// gather is how long the socket of a busy connection is left alone when it is
	// empty. It holds some 200 records meanwhile.
	gather = 500 * time.Microsecond
	// maxGated bounds the connections that take a descriptor more.
	maxGated = 64
)

// conn is a connection to the Engine. It is counted in open until it is closed.
//
// An Engine writes each record of a log by itself, and Go's poller wakes a thread for
// each of these, whether anybody reads or not. Waking up costs both sides more than
// the record. So a busy connection is taken from the poller, to wait at a gate, and
// its reads are made to bring many records each.
type conn struct {
	net.Conn
	local *net.UnixConn // Conn, nil if the Engine is not on this host
	open  *atomic.Int64
	gated *atomic.Int64 // connections taken from the poller

	mu     sync.Mutex
	socket *os.File   // once it is taken from the poller; the reader's to set, with mu held
	gate   *gate.Gate // of socket
	closed bool       // guarded by mu

	ended     atomic.Bool // its deadline has passed
	requested atomic.Bool // a request was written since the last read: its answer is not to be late

	// The reader's: one goroutine reads at a time.
	quick   int  // reads in a row after which it is busy
	drained bool // the last read was one of them
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.local == nil {
		return c.Conn.Read(p)
	}
	if c.requested.Swap(false) {
		c.quick, c.drained = 0, false
	}
	if c.socket != nil && c.drained {
		time.Sleep(gather)
	}
	asked := time.Now()
	if c.socket == nil {
		n, err = c.Conn.Read(p)
	} else {
		n, err = c.readGated(p)
	}
	if n >= littleRead || err != nil {
		c.drained = false
		return n, err
	}
	if c.drained = time.Since(asked) < busyWait; !c.drained {
		c.quick = 0
	} else if c.quick++; c.quick == busyReads {
		c.quick = 0
		c.detach()
	}
	return n, err
}

// readGated reads without the poller. It fails as a net.Conn does.
func (c *conn) readGated(p []byte) (int, error) {
	for {
		n, err := c.tryRead(p)
		if errors.Is(err, unix.EAGAIN) {
			if err = c.gate.Wait(); err == nil {
				continue
			}
		}
		if c.ended.Load() { // also where there is more to read
			n, err = 0, os.ErrDeadlineExceeded
		}
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case errors.Is(err, os.ErrClosed):
			err = net.ErrClosed
		}
		return 0, &net.OpError{Op: "read", Net: "unix", Addr: c.RemoteAddr(), Err: err}
	}
}

// tryRead reads what there is.
func (c *conn) tryRead(p []byte) (n int, err error) {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	no := raw.Control(func(fd uintptr) {
		for n, err = unix.Read(int(fd), p); errors.Is(err, unix.EINTR); {
			n, err = unix.Read(int(fd), p)
		}
	})
	if no != nil {
		return 0, os.ErrClosed // which os tells of by an error that has no name
	}
	return max(n, 0), err
}

// detach takes the socket from the poller, unless there are too many already.
func (c *conn) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.ended.Load() || c.socket != nil {
		return
	}
	if c.gated.Add(1) > maxGated {
		c.gated.Add(-1)
		return
	}
	if err := c.takeOff(); err != nil { // it is as good as it was
		c.gated.Add(-1)
		return
	}
	_ = c.Conn.Close() // the other descriptor: the poller forgets it
}

// takeOff makes another descriptor of the socket, and its gate. c.mu is held.
func (c *conn) takeOff() error {
	raw, err := c.local.SyscallConn()
	if err != nil {
		return err
	}
	no := raw.Control(func(fd uintptr) { c.socket, err = duplicate(int(fd)) })
	if err = errors.Join(no, err); err != nil {
		return err
	}
	raw, err = c.socket.SyscallConn()
	if err == nil {
		no = raw.Control(func(fd uintptr) { c.gate, err = gate.New(int(fd)) })
	}
	if err = errors.Join(no, err); err != nil {
		_ = c.socket.Close()
		c.socket = nil
	}
	return err
}

// duplicate returns another descriptor of a socket, which the poller does not watch.
func duplicate(old int) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// The poller watches what does not block at this moment. The flag is that of both
	// descriptors.
	err = unix.SetNonblock(fd, false)
	f := os.NewFile(uintptr(fd), "docker_host")
	if err = errors.Join(err, unix.SetNonblock(fd, true)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Write implements net.Conn. While it is taken from the poller nothing is written but
// the next request, which the Engine waits for.
func (c *conn) Write(p []byte) (int, error) {
	c.requested.Store(true)
	c.mu.Lock()
	f := c.socket
	c.mu.Unlock()
	if f != nil {
		return f.Write(p)
	}
	return c.Conn.Write(p)
}

// SetDeadline implements net.Conn for a deadline that has passed, which is what ends a
// request. Nobody sets another one, or one of reads or writes alone.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended.Store(true)
	if c.gate != nil {
		return c.gate.SetDeadline(t)
	}
	return c.Conn.SetDeadline(t)
}

// Close implements net.Conn. It may be called more than once.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.open.Add(-1)
	if c.socket == nil {
		return c.Conn.Close()
	}
	c.gated.Add(-1)
	_ = c.gate.Close() // the wait ends
	return c.socket.Close()
}
