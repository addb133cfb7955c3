package inotify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/supervise"
)

// Watcher wakes readers of log files: one inotify instance for all files of a
// Collector.
//
// It watches open files, each for one write only: who is busy reading is told
// nothing, however much is written meanwhile. And it watches their directories
// to count the files that log rotation creates, so that a reader knows when it
// has missed one.
type Watcher struct {
	f *os.File

	mu     sync.Mutex
	closed bool
	wake   map[int32]chan<- struct{} // of files; by watch descriptor; guarded by mu
	dirs   map[int32]*Creations      // by watch descriptor; guarded by mu
}

// Creations counts how often a file of one name was created.
type Creations struct {
	name string
	how  uint32 // IN_CREATE or IN_MOVED_TO
	wake chan<- struct{}
	N    atomic.Int64
	wd   int32
}

// ErrClosed is what a watcher says after Close.
var ErrClosed = errors.New("inotify is closed")

// New makes one, which passes events on once it runs.
func New() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return &Watcher{f: os.NewFile(uintptr(fd), "inotify"), wake: make(map[int32]chan<- struct{}), dirs: make(map[int32]*Creations)}, nil
}

// Arm makes the next write to the file, or its truncation, send to wake, which
// must have room for one. What was written since the file was last read may be
// missed: read it once more afterwards.
func (w *Watcher) Arm(f *os.File, wake chan<- struct{}) (wd int32, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err = withFd(f, func(fd int) (err error) {
		wd, err = w.add("/proc/self/fd/"+strconv.Itoa(fd), unix.IN_MODIFY|unix.IN_ONESHOT)
		return err
	})
	if err == nil {
		w.wake[wd] = wake
	}
	return wd, err
}

// Disarm takes back an arm whose event did not come yet.
func (w *Watcher) Disarm(wd int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.wake[wd]; ok {
		delete(w.wake, wd)
		w.remove(wd)
	}
}

// Count begins to count how often a file of that path is created, or, where its
// writer makes it under another name, is moved there. Each time either happens it
// sends to wake.
func (w *Watcher) Count(path string, moved bool, wake chan<- struct{}) (*Creations, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// The moves and deletions are asked for so that the kernel does not merge
	// two creations that follow each other.
	wd, err := w.add(filepath.Dir(path), unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return nil, err
	}
	c := &Creations{name: filepath.Base(path), how: unix.IN_CREATE, wake: wake, wd: wd}
	if moved {
		c.how = unix.IN_MOVED_TO
	}
	w.dirs[wd] = c
	return c, nil
}

// EndCount ends what count began.
func (w *Watcher) EndCount(c *Creations) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirs[c.wd] == c {
		delete(w.dirs, c.wd)
		w.remove(c.wd)
	}
}

// add adds a watch. w.mu is held.
func (w *Watcher) add(path string, events uint32) (wd int32, err error) {
	if w.closed {
		return 0, ErrClosed
	}
	err = withFd(w.f, func(in int) error {
		n, err := unix.InotifyAddWatch(in, path, events)
		wd = int32(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("inotify: %w", err)
	}
	return wd, nil
}

// remove removes a watch. w.mu is held.
func (w *Watcher) remove(wd int32) {
	if w.closed {
		return
	}
	// It may be gone already, with its file or after its event.
	_ = withFd(w.f, func(in int) error {
		_, err := unix.InotifyRmWatch(in, uint32(wd))
		return err
	})
}

// withFd calls f with the file's descriptor, which stays open meanwhile.
func withFd(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Run passes events on until close.
func (w *Watcher) Run() {
	buf := make([]byte, 16<<10)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return
		}
		w.pass(buf[:n])
	}
}

// CatchUp passes on what the kernel has told by now: run may be late.
func (w *Watcher) CatchUp() {
	buf := make([]byte, 16<<10)
	for {
		n := 0
		if err := withFd(w.f, func(fd int) (err error) {
			n, err = unix.Read(fd, buf)
			return err
		}); err != nil || n <= 0 {
			return
		}
		w.pass(buf[:n])
	}
}

// pass wakes whom the events are for.
func (w *Watcher) pass(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		end := min(len(b), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])))
		name := bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00")
		b = b[end:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for wd, wake := range w.wake {
				delete(w.wake, wd)
				supervise.Poke(wake)
			}
			continue
		}
		if c := w.dirs[wd]; c != nil {
			if mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 && string(name) == c.name {
				if mask&c.how != 0 {
					c.N.Add(1)
				}
				supervise.Poke(c.wake)
			}
			continue
		}
		// An IN_IGNORED, which follows each event, finds nothing here, unless
		// the file was armed again before the kernel had dropped the watch:
		// then it says that the new one went too.
		if wake := w.wake[wd]; wake != nil {
			delete(w.wake, wd)
			supervise.Poke(wake)
		}
	}
}

// Close ends run and frees every watch.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	_ = w.f.Close()
}
