package gate

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Gate is shut unless somebody waits at it. The wait costs no thread.
//
// Go's poller watches an epoll instance that holds the file, in which each wait arms
// it once (EPOLLONESHOT).
type Gate struct {
	epoll *os.File
	fd    int
}

// New makes one for a descriptor, which is to outlive it.
func New(fd int) (*Gate, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	err = errors.Join(unix.SetNonblock(ep, true), unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLONESHOT}))
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &Gate{epoll: os.NewFile(uintptr(ep), "epoll"), fd: fd}, nil
}

// Wait blocks until a read would not wait. It fails with os.ErrClosed or
// os.ErrDeadlineExceeded.
func (g *Gate) Wait() error {
	raw, err := g.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(ep uintptr) (done bool) {
		events := [1]unix.EpollEvent{}
		arm := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
		if failed = unix.EpollCtl(int(ep), unix.EPOLL_CTL_MOD, g.fd, &arm); failed != nil {
			return true
		}
		n, err := unix.EpollWait(int(ep), events[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failed = err
		}
		return n > 0 || failed != nil
	})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrClosed // which os tells of by an error that has no name
	}
	return errors.Join(err, failed)
}

// SetDeadline ends waits at a time.
func (g *Gate) SetDeadline(t time.Time) error { return g.epoll.SetReadDeadline(t) }

// Close ends waits.
func (g *Gate) Close() error { return g.epoll.Close() }
