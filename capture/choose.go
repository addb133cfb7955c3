package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/engine"
)

// The values of the option Reader.
const (
	readerAuto   = "auto"   // the file where it can be read, else the API: follow who writes, poll who is quiet
	readerFile   = "file"   // the file or nothing
	readerFollow = "follow" // the API, one open request for each log
	readerPoll   = "poll"   // the API, asked now and then
)

// readers are the ways in which one run of a stream reads.
type readers struct {
	file   *fileReader
	follow *followReader
	poll   *pollReader
}

func newReaders(c *Collector) *readers {
	follow := &followReader{api: c.api}
	return &readers{
		file:   &fileReader{watch: c.filesWatch, turn: make(chan struct{}, 1)},
		follow: follow,
		poll:   &pollReader{follow: follow},
	}
}

// readerNotes is what a stream remembers of its reads, so that it says each
// thing once.
type readerNotes struct {
	mu           sync.Mutex
	reader       string // how the log is read; guarded by mu
	saidAPI      bool   // guarded by mu
	saidDamage   bool   // guarded by mu
	saidOutrun   bool   // guarded by mu
	saidHeld     bool   // guarded by mu
	saidNoFollow bool   // guarded by mu
}

// readBy reads the log in the way that the option Reader and the container
// allow, and how much it writes asks for. The position is the same in all ways.
func (s *stream) readBy(ctx context.Context, r *readers, follow bool) error {
	choice := s.col.cfg.Reader
	if choice == readerAuto || choice == readerFile {
		err := s.readFile(ctx, r.file, follow)
		if !errors.Is(err, errNoFile) || choice == readerFile {
			return err
		}
		// As tryFile: thousands of streams come here, once, and then only wait.
		_ = apart(func() error { s.sayAPI(err); return nil })
	}
	if s.toBegin() {
		if err := apart(func() error { return r.follow.begin(ctx, s) }); err != nil {
			return err
		}
	}
	switch {
	case !follow:
		err := r.follow.read(ctx, s, false)
		if err == nil {
			s.polledAt(time.Time{})
		}
		return err
	case choice == readerPoll || s.parked.Load() || r.follow.slow:
	case choice == readerFollow, !s.quiet.Load() && s.col.slots.take(s, s.col.cfg.ActiveRate):
		s.notes.note(readerFollow)
		return s.readOpen(ctx, r.follow)
	}
	s.notes.note(readerPoll)
	return r.poll.read(ctx, s, true)
}

// readFile has the log read from its file, to its end or as it is written.
func (s *stream) readFile(ctx context.Context, r *fileReader, follow bool) error {
	if s.col.cfg.Reader == readerAuto {
		if s.parked.Load() {
			return errParked
		}
		// Most that have no file never will: they are not to pay for the deep
		// calls of the attempt as long as they live.
		if err := apart(func() error { return s.tryFile(ctx) }); err != nil {
			return err
		}
	}
	if follow {
		return s.readOpen(ctx, r)
	}
	return r.read(ctx, s, false)
}

// tryFile says whether the log's file can be opened.
func (s *stream) tryFile(ctx context.Context) error {
	path, err := s.logPath(ctx)
	if err != nil {
		return err
	}
	if s.alien.Load() {
		return fmt.Errorf("%w: %s does not hold its records", errNoFile, path)
	}
	return openable(path)
}

func openable(path string) error {
	f, err := openLogFile(path)
	if err == nil {
		defer f.close()
		err = f.verify()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoFile, err)
	}
	return nil
}

// errParked says why a file is not opened that could be.
var errParked = fmt.Errorf("%w: too many files are open (FD_Limit)", errNoFile)

// note remembers how the log is read; changed says that it was not read so
// before.
func (n *readerNotes) note(reader string) (changed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed = n.reader != reader
	n.reader = reader
	return changed
}

// sayOnce calls say unless it was called for the same note before.
func (n *readerNotes) sayOnce(said *bool, say func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !*said {
		*said = true
		say()
	}
}

// now is how the log is read, "" before it was.
func (n *readerNotes) now() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reader
}

// sayAPI says why the log is not read from its file, once until it was.
func (s *stream) sayAPI(reason error) {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if !s.notes.saidAPI {
		s.notes.saidAPI = true
		s.log.Info("the log is read through the Engine's API", "reason", reason)
	}
}

// sayFile says that the log is read from its file, once until it was not.
func (s *stream) sayFile(path string) {
	if s.notes.note(readerFile) {
		s.notes.mu.Lock()
		defer s.notes.mu.Unlock()
		s.notes.saidAPI = false
		s.log.Info("the log is read from its file", "path", path)
	}
}

// logPath is the path of the container's log file, if it has one that can be
// reached from here.
func (s *stream) logPath(ctx context.Context) (string, error) {
	c := s.container()
	switch {
	case !c.HasFile() && s.col.cfg.Reader == readerFile:
		return "", fmt.Errorf("%w from a file (option Reader), its driver is %s", engine.ErrUnreadable, c.Driver)
	case !c.HasFile():
		return "", fmt.Errorf("%w: the log driver is %s", errNoFile, c.Driver)
	case !strings.HasPrefix(s.col.cfg.DockerHost, "unix://"):
		return "", fmt.Errorf("%w: the Engine is not on this host", errNoFile)
	case c.LogPath == "":
		// Before its first start the Engine did not name it. Another question
		// may be one too many for a container that lives for milliseconds.
		if path := s.col.likelyLogPath(s.id); path != "" {
			return path, nil
		}
		var err error
		if c, err = s.col.api.Inspect(ctx, s.id); err != nil {
			return "", err
		}
		s.task.Beat()
		s.describe(c)
		if c.LogPath == "" {
			return "", fmt.Errorf("%w: the Engine names none", errNoFile)
		}
	}
	return c.LogPath, nil
}

// fileAppeared says whether a log that is read through the API could be read
// from its file by now.
func (s *stream) fileAppeared() bool {
	c := s.container()
	if s.col.cfg.Reader != readerAuto || s.parked.Load() || s.alien.Load() || s.notes.now() == readerFile ||
		!c.HasFile() || c.LogPath == "" || !strings.HasPrefix(s.col.cfg.DockerHost, "unix://") {
		return false
	}
	return openable(c.LogPath) == nil
}

// noteLogDir remembers where the Engine keeps its log files.
func (c *Collector) noteLogDir(id, path string) {
	if dir, ok := strings.CutSuffix(path, logPathIn("", id)); ok && c.logDir.Load() == nil {
		c.logDir.Store(&dir)
	}
}

// likelyLogPath is where a container's log file is if the Engine keeps it where
// it keeps others; "" if there is none.
func (c *Collector) likelyLogPath(id string) string {
	dir := c.logDir.Load()
	if dir == nil {
		return ""
	}
	path := logPathIn(*dir, id)
	if _, err := inodeOf(path); err != nil {
		return ""
	}
	return path
}

func logPathIn(dir, id string) string { return dir + "/" + id + "/" + id + "-json.log" }
