package gate

import (
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is one whose reading end Go's poller does not watch, and its gate.
func pipe(t *testing.T) (r int, w *os.File, g *Gate) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	g, err := New(p[0])
	if err != nil {
		t.Fatal(err)
	}
	w = os.NewFile(uintptr(p[1]), "pipe")
	t.Cleanup(func() { _, _, _ = g.Close(), w.Close(), unix.Close(p[0]) })
	return p[0], w, g
}

// read reads all there is, at the gate while there is nothing.
func read(t *testing.T, fd int, g *Gate, want int) (n int) {
	t.Helper()
	for buf := make([]byte, 100); n < want; {
		k, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
		case err != nil:
			t.Fatal(err)
		case k == 0:
			return n
		}
		n += max(k, 0)
	}
	return n
}

// Whatever is written, before a wait, in it or between two, is read.
func TestGate(t *testing.T) {
	const writes = 10_000
	fd, w, g := pipe(t)
	go func() {
		for i := range writes {
			if i%100 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			if _, err := w.Write([]byte("line")); err != nil {
				t.Error(err)
			}
		}
		_ = w.Close()
	}()
	if n := read(t, fd, g, writes*4+1); n != writes*4 { // and the end
		t.Errorf("%d bytes came of %d", n, writes*4)
	}
}

// A wait ends with its gate, and at its deadline; another one goes on then.
func TestWaitEnds(t *testing.T) {
	fd, w, g := pipe(t)
	if err := g.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := g.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the wait ended with %v", err)
	}
	if err := g.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("line")); err != nil {
		t.Fatal(err)
	}
	if n := read(t, fd, g, 4); n != 4 {
		t.Errorf("%d bytes came", n)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = g.Close() })
	for range 2 { // the second one comes too late
		if err := g.Wait(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the wait ended with %v", err)
		}
	}
}
