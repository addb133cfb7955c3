package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/inotify"
	"fluent-bit-docker-logs/capture/reader"
)

// Host is a stream as the reader of files sees it.
type Host interface {
	reader.Host
	// Path is that of the log file. The error is reader.ErrNoFile where none can be
	// reached from here.
	Path(ctx context.Context) (string, error)
	// FromFile says that the log is read from there.
	FromFile(path string)
}

// Shared is what the readers of all log files have in common.
type Shared struct {
	log     *slog.Logger
	damaged prometheus.Counter
	// follows says in a simulation whether no log file was created between two
	// inodes, or after the first (0), which else the kernel tells. Usually nil.
	follows func(id string, old, next uint64) bool
	buffers *readBuffers
	Open    atomic.Int64 // log files that are

	watch         atomic.Pointer[inotify.Watcher] // nil outside of Watch and where there is no inotify
	saidUnwatched sync.Once
	dir           atomic.Pointer[string] // where the Engine keeps its log files, once one was opened
}

// NewShared makes it. What is damaged is counted. follows is usually nil: it
// says in a simulation whether no log file was created between two inodes, or after
// the first (0), which else the kernel tells.
func NewShared(log *slog.Logger, damaged prometheus.Counter, follows func(id string, old, next uint64) bool) *Shared {
	return &Shared{log: log, damaged: damaged, follows: follows, buffers: newReadBuffers()}
}

// Watch begins to watch log files until stop is called.
func (c *Shared) Watch() (stop func()) {
	w, err := inotify.New()
	if err != nil {
		c.sayUnwatched(err)
		return func() {}
	}
	c.watch.Store(w)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run()
	}()
	return func() {
		w.Close()
		<-done
	}
}

// Watches says whether log files are watched.
func (c *Shared) Watches() bool { return c.watch.Load() != nil }

// sayUnwatched says that some log files are not watched.
func (c *Shared) sayUnwatched(err error) {
	if errors.Is(err, inotify.ErrClosed) {
		return
	}
	c.saidUnwatched.Do(func() {
		c.log.Warn("log files cannot be watched, they are looked at once a second (fs.inotify.max_user_instances, max_user_watches)", "error", err)
	})
}

// noteDir remembers where the Engine keeps its log files.
func (c *Shared) noteDir(id, path string) {
	if dir, ok := strings.CutSuffix(path, pathIn("", id)); ok && c.dir.Load() == nil {
		c.dir.Store(&dir)
	}
}

// LikelyPath is where a container's log file should be. It is told by where others
// are. It is "" if there is none.
func (c *Shared) LikelyPath(id string) string {
	dir := c.dir.Load()
	if dir == nil {
		return ""
	}
	path := pathIn(*dir, id)
	if _, err := inodeOf(path); err != nil {
		return ""
	}
	return path
}

func pathIn(dir, id string) string { return dir + "/" + id + "/" + id + "-json.log" }

// Openable says why a log file cannot be read. It is nil if it can.
func Openable(path string) error {
	f, err := openLogFile(path)
	if err == nil {
		defer f.close()
		err = f.verify()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", reader.ErrNoFile, err)
	}
	return nil
}

// Memory is what one run of a stream leaves to the next.
type Memory struct {
	alien atomic.Bool // its file holds something else than its records

	mu   sync.Mutex
	path string       // of the log file that is or was read; guarded by mu
	end  decode.Place // how far it was read; guarded by mu
}

// IsAlien says whether the log's file holds something else than its records.
func (m *Memory) IsAlien() bool { return m.alien.Load() }

// readUpTo notes how far the newest file was read.
func (m *Memory) readUpTo(path string, end decode.Place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.path, m.end = path, end
}

// Behind says whether the log's file holds more than was read.
func (m *Memory) Behind() bool {
	m.mu.Lock()
	path, read := m.path, m.end
	m.mu.Unlock()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return false // log rotation is under way, or the container was removed
	}
	return st.Ino != read.Inode || st.Size > read.End
}
