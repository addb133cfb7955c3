package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection to an Engine that is the test.
type pair struct {
	*conn
	engine      *net.UnixConn
	open, gated atomic.Int64
}

func newPair(t *testing.T) *pair {
	t.Helper()
	at := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.DialUnix("unix", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{}
	if p.engine, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	p.open.Add(1)
	p.conn = &conn{Conn: c, local: c, open: &p.open, gated: &p.gated}
	t.Cleanup(func() {
		_, _ = p.Close(), p.engine.Close()
		if o, b := p.open.Load(), p.gated.Load(); o != 0 || b != 0 {
			t.Errorf("%d connections are open, %d of them gated", o, b)
		}
	})
	return p
}

// Whatever is read before, while and after a connection leaves the poller comes
// once and in order, and what is written arrives.
func TestBusyConnection(t *testing.T) {
	p := newPair(t)
	const frame = 100
	var sent atomic.Int64
	// So many are under way that a read is a little one, however late it comes.
	underWay := make(chan struct{}, littleRead/frame/2)
	stop := make(chan struct{})
	enough := sync.OnceFunc(func() { close(stop) })
	go func() {
		defer func() { _ = p.engine.CloseWrite() }()
		b := make([]byte, frame)
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			case underWay <- struct{}{}:
			}
			binary.BigEndian.PutUint64(b, i)
			if _, err := p.engine.Write(b); err != nil {
				t.Error(err)
				return
			}
			sent.Add(1)
		}
	}()
	var got bytes.Buffer
	next, after := uint64(0), 0
	buf, began := make([]byte, 4<<10), time.Now()
	for {
		n, err := p.Read(buf)
		got.Write(buf[:n])
		for got.Len() >= frame {
			if i := binary.BigEndian.Uint64(got.Next(frame)); i != next {
				t.Fatalf("record %d came, not %d", i, next)
			}
			next++
			<-underWay
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.socket != nil {
			after++
		}
		if after == 100 || p.socket == nil && time.Since(began) > time.Minute {
			enough()
		}
	}
	if p.socket == nil {
		t.Error("a connection that was busy for a minute is read through the poller")
	}
	if n := sent.Load(); int64(next) != n || got.Len() != 0 {
		t.Errorf("%d of %d records came, and %d bytes", next, n, got.Len())
	}
	if _, err := p.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(p.engine, buf[:7]); err != nil || string(buf[:n]) != "request" {
		t.Errorf("the Engine was sent %q, %v", buf[:n], err)
	}
}

// Answers to one request after the other, however quick they are, make no connection
// busy.
func TestQuickAnswers(t *testing.T) {
	p := newPair(t)
	go func() {
		for b := make([]byte, 100); ; {
			if _, err := p.engine.Read(b); err != nil {
				return
			}
			_, _ = p.engine.Write([]byte("answer"))
		}
	}()
	for range 4 * busyReads {
		if _, err := p.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Read(make([]byte, 4<<10)); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if p.socket != nil || p.quick > 1 {
		t.Error("the connection was taken for a busy one")
	}
}

// A connection with a record now and then stays with the poller.
func TestCalmConnection(t *testing.T) {
	p := newPair(t)
	for range 2 * busyReads {
		go func() {
			time.Sleep(4 * busyWait)
			_, _ = p.engine.Write([]byte("record"))
		}()
		if n, err := p.Read(make([]byte, 4<<10)); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if p.socket != nil {
		t.Error("the connection was taken for a busy one")
	}
}

// A read that waits ends as soon as the request does, with and without the poller.
func TestReadEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*pair) error
		want error
	}{
		"closed":              {func(p *pair) error { return p.Close() }, net.ErrClosed},
		"deadline":            {func(p *pair) error { return p.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"closed by the other": {func(p *pair) error { return p.engine.Close() }, io.EOF},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(map[bool]string{true: "busy ", false: "calm "}[busy]+name, func(t *testing.T) {
				p := newPair(t)
				if busy {
					p.detach()
				}
				ended := make(chan error, 1)
				go func() {
					_, err := p.Read(make([]byte, 4<<10))
					ended <- err
				}()
				time.Sleep(10 * time.Millisecond) // it waits, or will find it ended
				if err := c.end(p); err != nil {
					t.Fatal(err)
				}
				if err := <-ended; !errors.Is(err, c.want) {
					t.Errorf("the read ended with %v, not %v", err, c.want)
				}
				p.detach() // too late: there is nothing to take
				if !busy && p.socket != nil && !errors.Is(c.want, io.EOF) {
					t.Error("a connection that has ended was taken from the poller")
				}
			})
		}
	}
}

// A request that has ended reads no more, however much there is.
func TestEndedWhileBusy(t *testing.T) {
	for _, busy := range []bool{false, true} {
		p := newPair(t)
		if busy {
			p.detach()
		}
		if _, err := p.engine.Write(make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
		if err := p.SetDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Read(make([]byte, 4<<10)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("busy %v: %d bytes were read, %v", busy, n, err)
		}
	}
}

// No more connections than that take a second descriptor, whatever the containers do.
func TestGatedAreBounded(t *testing.T) {
	p := newPair(t)
	p.gated.Store(maxGated)
	p.detach()
	if n := p.gated.Load(); p.socket != nil || n != maxGated {
		t.Errorf("%d connections are gated", n)
	}
	p.gated.Store(maxGated - 1)
	if p.detach(); p.socket == nil || p.gated.Load() != maxGated {
		t.Error("the last one was not taken")
	}
	p.gated.Store(1)
}
