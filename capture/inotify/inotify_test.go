package inotify

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/testkit"
)

// What the kernel has told is counted although nobody passed it on yet.
func TestWatcherCatchesUp(t *testing.T) {
	w, err := New() // it does not run
	testkit.Must(t, err)
	defer w.Close()
	path := filepath.Join(t.TempDir(), "log")
	wake := make(chan struct{}, 1)
	c, err := w.Count(path, false, wake)
	testkit.Must(t, err)
	for range 1000 {
		testkit.Must(t, os.WriteFile(path, nil, 0o600))
		testkit.Must(t, os.Rename(path, path+".1"))
	}
	w.CatchUp()
	if n := c.N.Load(); n != 1000 {
		t.Errorf("%d of 1000 files are counted", n)
	}
	w.CatchUp() // and does not wait
	w.EndCount(c)
}

// watched is a file with a watch, of a watcher that runs.
func watched(t *testing.T) (w *Watcher, f *os.File, x *Watch, wake chan struct{}) {
	t.Helper()
	w, err := New()
	testkit.Must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run()
	}()
	t.Cleanup(func() {
		w.Close()
		<-done
	})
	f, err = os.Create(filepath.Join(t.TempDir(), "log"))
	testkit.Must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	wake = make(chan struct{}, 1)
	x, err = w.Arm(f, wake)
	testkit.Must(t, err)
	return w, f, x, wake
}

func write(t *testing.T, f *os.File) {
	t.Helper()
	_, err := f.WriteString("line\n")
	testkit.Must(t, err)
}

// A file that is written to now and then is watched once, and each write is told.
func TestWatchStays(t *testing.T) {
	w, f, x, wake := watched(t)
	for range 5 {
		write(t, f)
		<-wake
		if !x.IsArmed() {
			t.Fatal("it is to be armed again")
		}
	}
	w.Disarm(x)
	if x.IsArmed() || len(w.watches) != 0 {
		t.Errorf("armed %v, %d watches", x.IsArmed(), len(w.watches))
	}
}

// A file whose events cost more than a watch is told of once more, and no longer watched.
func TestBusyFileIsToBeArmedAgain(t *testing.T) {
	w, f, x, wake := watched(t)
	other, err := os.Create(filepath.Join(t.TempDir(), "other"))
	testkit.Must(t, err)
	defer func() { _ = other.Close() }()
	wakeOther := make(chan struct{}, 1)
	y, err := w.Arm(other, wakeOther)
	testkit.Must(t, err)
	for x.IsArmed() { // two take turns: the kernel merges what is equal
		write(t, f)
		write(t, other)
	}
	<-wake
	<-wakeOther
	for _, of := range []struct {
		f    *os.File
		wake chan struct{}
		x    **Watch
	}{{f, wake, &x}, {other, wakeOther, &y}} {
		if !(*of.x).IsArmed() {
			*of.x, err = w.Arm(of.f, of.wake)
			testkit.Must(t, err)
		}
	}
	write(t, f)
	<-wake
}

// event is one of the kernel's.
func event(wd int32, mask uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	return append(b, make([]byte, 8)...)
}

// Where the kernel had too much to tell, everybody looks, and no number is believed.
func TestOverflow(t *testing.T) {
	w, _, x, wake := watched(t)
	created := make(chan struct{}, 1)
	c, err := w.Count(filepath.Join(t.TempDir(), "log"), false, created)
	testkit.Must(t, err)
	w.passFiles(event(-1, unix.IN_Q_OVERFLOW))
	w.passDirs(event(-1, unix.IN_Q_OVERFLOW))
	<-wake
	<-created
	if !x.IsArmed() || !c.Lost.Load() || c.Changes.Load() != 1 {
		t.Errorf("armed %v, lost %v, %d changes", x.IsArmed(), c.Lost.Load(), c.Changes.Load())
	}
	w.EndCount(c)
}

// What was created before CatchUp is counted behind it, also what Run has just read.
func TestCatchUpMissesNothing(t *testing.T) {
	w, err := New()
	testkit.Must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run()
	}()
	defer func() {
		w.Close()
		<-done
	}()
	path := filepath.Join(t.TempDir(), "log")
	c, err := w.Count(path, false, make(chan struct{}, 1))
	testkit.Must(t, err)
	for i := range int64(3000) {
		testkit.Must(t, os.WriteFile(path, nil, 0o600))
		w.CatchUp()
		if n := c.N.Load(); n != i+1 {
			t.Fatalf("%d files are counted of %d", n, i+1)
		}
		testkit.Must(t, os.Remove(path))
	}
}
