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
	"time"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/gate"
	"fluent-bit-docker-logs/capture/supervise"
)

// Watcher wakes readers of log files. It has two inotify instances for all files
// of a Collector.
//
// It watches open files, and passes on what is written to them not more often than
// once in a pace, so that many lone lines cost one wake-up. And it watches their
// directories to count the files that log rotation creates, so that a reader knows
// when it has missed one: these events wait for nothing.
type Watcher struct {
	files, dirs *os.File
	gate        *gate.Gate // of files: it is shut in a pace
	end         chan struct{}
	reading     sync.Mutex // held from the read of events of directories until they are counted

	mu      sync.Mutex
	closed  bool
	watches map[int32]*Watch     // by watch descriptor; guarded by mu
	counts  map[int32]*Creations // by watch descriptor; guarded by mu
	passes  int                  // of events of files; guarded by mu
}

// Watch is that of one open file.
type Watch struct {
	wd    int32
	wake  chan<- struct{}
	armed atomic.Bool

	events, pass int // events of the last pass that had any; guarded by Watcher.mu
}

// IsArmed says whether the next write will be told. It stays so, but for a file
// that is written to very often: that one is to be watched again each time.
func (w *Watch) IsArmed() bool { return w != nil && w.armed.Load() }

// Creations counts how often a file of one name was created.
type Creations struct {
	name string
	how  uint32 // IN_CREATE or IN_MOVED_TO
	wake chan<- struct{}
	wd   int32

	N       atomic.Int64 // files created
	Changes atomic.Int64 // times the name may have become that of another file
	Lost    atomic.Bool  // the kernel had too much to tell: N is too low
}

// Seen returns how often the name changed. It returns how many files were created
// by then, too.
func (c *Creations) Seen() (changes, created int64) {
	changes = c.Changes.Load() // first: it is told behind the number
	return changes, c.N.Load()
}

// ErrClosed is what a watcher says after Close.
var ErrClosed = errors.New("inotify is closed")

const (
	// pace is the shortest time between two rounds of events of files. Fluent Bit
	// flushes once a second; what is written after a silence is told at once.
	pace = 50 * time.Millisecond
	// many is how many events of one file a round may have, until its watch is
	// removed: from there on arming it anew costs less than its events.
	many = 64
	// roomForEvents holds those of a thousand files.
	roomForEvents = 16 << 10
)

// New makes one, which passes events on once it runs.
func New() (*Watcher, error) {
	w := &Watcher{end: make(chan struct{}), watches: make(map[int32]*Watch), counts: make(map[int32]*Creations)}
	var err error
	if w.files, err = newFile(0); err == nil { // Go's poller watches what does not block at this moment
		err = withFd(w.files, func(fd int) (err error) {
			w.gate, err = gate.New(fd)
			return errors.Join(err, unix.SetNonblock(fd, true))
		})
	}
	if err == nil {
		w.dirs, err = newFile(unix.IN_NONBLOCK)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return w, nil
}

func newFile(flags int) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "inotify"), nil
}

// Arm has each write to the file, or truncation, send to wake. That must have
// room for one. What was written since the file was last read may be missed: read
// it once more afterwards.
func (w *Watcher) Arm(f *os.File, wake chan<- struct{}) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &Watch{wake: wake}
	err := withFd(f, func(fd int) (err error) {
		x.wd, err = w.add(w.files, "/proc/self/fd/"+strconv.Itoa(fd), unix.IN_MODIFY)
		return err
	})
	if err != nil {
		return nil, err
	}
	if old := w.watches[x.wd]; old != nil {
		old.armed.Store(false)
	}
	w.watches[x.wd] = x
	x.armed.Store(true)
	return x, nil
}

// Disarm ends a watch.
func (w *Watcher) Disarm(x *Watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm(x)
}

// disarm is Disarm; w.mu is held.
func (w *Watcher) disarm(x *Watch) {
	if x.armed.Swap(false) {
		delete(w.watches, x.wd)
		w.remove(w.files, x.wd)
	}
}

// Count begins to count how often a file of that path appears. It is created
// there, or moved there where its writer makes it under another name. Each time
// either happens it sends to wake.
func (w *Watcher) Count(path string, moved bool, wake chan<- struct{}) (*Creations, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// The moves and deletions are asked for so that the kernel does not merge
	// two creations that follow each other.
	wd, err := w.add(w.dirs, filepath.Dir(path), unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return nil, err
	}
	c := &Creations{name: filepath.Base(path), how: unix.IN_CREATE, wake: wake, wd: wd}
	if moved {
		c.how = unix.IN_MOVED_TO
	}
	w.counts[wd] = c
	return c, nil
}

// EndCount ends what count began.
func (w *Watcher) EndCount(c *Creations) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts[c.wd] == c {
		delete(w.counts, c.wd)
		w.remove(w.dirs, c.wd)
	}
}

// add adds a watch. w.mu is held.
func (w *Watcher) add(in *os.File, path string, events uint32) (wd int32, err error) {
	if w.closed {
		return 0, ErrClosed
	}
	err = withFd(in, func(fd int) error {
		n, err := unix.InotifyAddWatch(fd, path, events)
		wd = int32(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("inotify: %w", err)
	}
	return wd, nil
}

// remove removes a watch. w.mu is held.
func (w *Watcher) remove(in *os.File, wd int32) {
	if w.closed {
		return
	}
	// It may be gone already, with its file.
	_ = withFd(in, func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(wd))
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
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.runDirs()
	}()
	w.runFiles()
	<-done
}

// runDirs passes on the events of directories.
func (w *Watcher) runDirs() {
	raw, err := w.dirs.SyscallConn()
	if err != nil {
		return
	}
	for buf := make([]byte, roomForEvents); err == nil; {
		var failed error
		err = raw.Read(func(fd uintptr) (done bool) {
			w.reading.Lock()
			defer w.reading.Unlock()
			n, err := unix.Read(int(fd), buf)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
			case err != nil || n <= 0:
				failed = fmt.Errorf("inotify: %w", err)
			default:
				w.passDirs(buf[:n])
			}
			return true
		})
		err = errors.Join(err, failed)
	}
}

// runFiles passes on the events of files.
func (w *Watcher) runFiles() {
	pause := time.NewTimer(pace)
	defer pause.Stop()
	for buf := make([]byte, roomForEvents); w.gate.Wait() == nil; {
		w.mu.Lock()
		w.passes++
		w.mu.Unlock()
		drain(w.files, buf, w.passFiles)
		pause.Reset(pace)
		select {
		case <-pause.C:
		case <-w.end:
			return
		}
	}
}

// CatchUp passes on what the kernel has told of directories. Run, which does so too,
// may be late.
func (w *Watcher) CatchUp() {
	w.reading.Lock() // or what Run has read is counted after this
	defer w.reading.Unlock()
	drain(w.dirs, make([]byte, roomForEvents), w.passDirs)
}

// drain passes on what can be read without waiting.
func drain(in *os.File, buf []byte, pass func([]byte)) {
	for {
		n := 0
		if err := withFd(in, func(fd int) (err error) {
			n, err = unix.Read(fd, buf)
			return err
		}); err != nil || n <= 0 {
			return
		}
		pass(buf[:n])
		if n < len(buf)/2 { // there was no more
			return
		}
	}
}

// each calls f for every event in b.
func each(b []byte, f func(wd int32, mask uint32, name []byte)) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		end := min(len(b), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])))
		f(wd, mask, bytes.TrimRight(b[unix.SizeofInotifyEvent:end], "\x00"))
		b = b[end:]
	}
}

// passFiles wakes the readers of the files that were written to.
func (w *Watcher) passFiles(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	each(b, func(wd int32, mask uint32, _ []byte) {
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for _, x := range w.watches {
				supervise.Poke(x.wake)
			}
			return
		}
		x := w.watches[wd]
		if x == nil { // its last events, after it was removed
			return
		}
		supervise.Poke(x.wake)
		if mask&unix.IN_IGNORED != 0 {
			x.armed.Store(false)
			delete(w.watches, wd)
			return
		}
		if x.pass != w.passes {
			x.pass, x.events = w.passes, 0
		}
		if x.events++; x.events == many {
			w.disarm(x)
		}
	})
}

// passDirs counts the files that were created, and wakes their readers.
func (w *Watcher) passDirs(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	each(b, func(wd int32, mask uint32, name []byte) {
		if mask&unix.IN_Q_OVERFLOW != 0 {
			for _, c := range w.counts {
				c.Lost.Store(true)
				c.change()
			}
			return
		}
		c := w.counts[wd]
		if c == nil || mask&(unix.IN_CREATE|unix.IN_MOVED_TO) == 0 || string(name) != c.name {
			return
		}
		if mask&c.how != 0 {
			c.N.Add(1)
		}
		c.change()
	})
}

// change tells the reader to look at the name.
func (c *Creations) change() {
	c.Changes.Add(1)
	supervise.Poke(c.wake)
}

// Close ends run and frees every watch.
func (w *Watcher) Close() {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if !closed {
		close(w.end)
	}
	w.close()
}

// close ends waits and reads. It waits for who reads, who may wait for w.mu.
func (w *Watcher) close() {
	if w.gate != nil {
		_ = w.gate.Close()
	}
	_, _ = w.files.Close(), w.dirs.Close()
}
