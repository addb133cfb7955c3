package e2e

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/docker/docker/client"

	"fluent-bit-docker-logs/docker/enginetest"
)

// door is a socket in front of an Engine that can be shut, as if the Engine were gone.
type door struct {
	path        string
	proto, addr string // of the Engine
	t           testing.TB

	mu    sync.Mutex
	l     net.Listener          // nil while shut
	conns map[net.Conn]struct{} // both sides of all that is open
	wg    sync.WaitGroup
}

// newDoor returns a door that is shut: not even its socket exists.
func newDoor(t testing.TB, e *enginetest.Engine) *door {
	t.Helper()
	u, err := client.ParseHostURL(e.Host)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{path: filepath.Join(t.TempDir(), "door.sock"), proto: u.Scheme, addr: u.Host, t: t, conns: map[net.Conn]struct{}{}}
	if d.proto == "unix" {
		d.addr = u.Path
		if d.addr == "" {
			d.addr = u.Host
		}
	}
	t.Cleanup(d.shut)
	return d
}

func (d *door) host() string { return "unix://" + d.path }

func (d *door) open() {
	d.t.Helper()
	l, err := net.Listen("unix", d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.l = l
	d.mu.Unlock()
	d.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.serve(in) })
		}
	})
}

// shut removes the socket, cuts every connection in the middle of whatever it carries and waits for them to be gone.
func (d *door) shut() {
	d.mu.Lock()
	if d.l != nil {
		_ = d.l.Close()
		d.l = nil
	}
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// keep remembers a connection for shut; false when the door is shut already.
func (d *door) keep(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.l == nil {
		_ = c.Close()
		return false
	}
	d.conns[c] = struct{}{}
	return true
}

func (d *door) drop(c net.Conn) {
	_ = c.Close()
	d.mu.Lock()
	delete(d.conns, c)
	d.mu.Unlock()
}

func (d *door) serve(in net.Conn) {
	if !d.keep(in) {
		return
	}
	defer d.drop(in)
	out, err := net.Dial(d.proto, d.addr)
	if err != nil || !d.keep(out) {
		return
	}
	defer d.drop(out)
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			// One side's end ends both: HTTP clients here do not half-close.
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	wg.Wait()
}
