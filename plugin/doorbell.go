package main

import (
	"sync"

	"golang.org/x/sys/unix"
)

// doorbell wakes an instance's thread from any goroutine: an eventfd that may
// be rung before it is open and after it is closed, to no effect.
type doorbell struct {
	mu sync.Mutex
	fd int // -1 while not open; guarded by mu
}

func newDoorbell() *doorbell { return &doorbell{fd: -1} }

func (d *doorbell) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fd = fd
	return nil
}

func (d *doorbell) isOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fd >= 0
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// ring under the lock: the number of a closed fd may be somebody else's.
func (d *doorbell) ring() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd >= 0 {
		_, _ = unix.Write(d.fd, one) // EAGAIN: it rings already
	}
}

// silence must precede the look at what the bell rang for.
func (d *doorbell) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var count [8]byte
	if d.fd >= 0 {
		_, _ = unix.Read(d.fd, count[:]) // EAGAIN: nobody rang
	}
}

func (d *doorbell) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd >= 0 {
		_ = unix.Close(d.fd)
		d.fd = -1
	}
}
