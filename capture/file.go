package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fileReader reads the files of the json-file driver themselves: nothing is
// lost across the Engine's log rotation or the removal of a container, because
// an open file can be read to its end whatever happens to its name, and the
// Engine has no work with it.
type fileReader struct {
	watch func() *watcher // nil where there is no inotify
}

const (
	// watchedPoll is how often a watched file is looked at all the same: on some
	// file systems the kernel does not see what others write.
	watchedPoll = 5 * time.Second
	// fastPoll is how often a file without a watch is looked at when it was
	// written to lately; longer and longer up to slowPoll when it was not.
	fastPoll = 50 * time.Millisecond
	slowPoll = time.Second
	// lookPace is the least time between two looks at a file that is written to
	// all the time, so that lines are taken many at once.
	lookPace = 5 * time.Millisecond
	// hasty is how long after a log rotation lookPace is left out: the next one
	// may be near.
	hasty = time.Second
	// maxHeld is how many files of one log are held open at most: each may
	// keep the disk space of a file that the Engine has already removed.
	maxHeld = 8
	// fewRecords is after how many damaged lines a file without any record is
	// taken for something else.
	fewRecords = 3
)

// fileLog is the log of one container while it is read.
type fileLog struct {
	s       *stream
	path    string
	files   []*logFile // oldest first: the first is being read, the last is the newest known; never empty
	cut     recordCutter
	deliver func(*entry) error

	wake      chan struct{}
	watch     *watcher // nil: poll
	armed     bool
	created   *creations // of the current file; nil where they are not counted
	opened    int64      // files of these
	missed    int64      // files of these that were removed before they could be opened
	wd        int32
	timer     *time.Timer
	poll      time.Duration
	lookedAt  time.Time
	rotatedAt time.Time
	result    error // when the log has ended
}

// read implements reader. A log that cannot be read from here is errNoFile.
func (f *fileReader) read(ctx context.Context, s *stream, follow bool) error {
	path, err := s.logPath(ctx)
	if err != nil {
		return err
	}
	l := &fileLog{
		s:       s,
		path:    path,
		deliver: func(e *entry) error { s.accept(e); return nil },
		wake:    make(chan struct{}, 1),
		watch:   f.watch(),
		timer:   time.NewTimer(watchedPoll),
		poll:    fastPoll,
	}
	defer l.close()
	if l.watch != nil {
		// Without it the reader polls, which needs no saying twice.
		l.created, _ = l.watch.count(path, l.wake)
	}
	if err := l.open(); err != nil {
		return err
	}
	s.opened()
	s.col.noteLogDir(s.id, path)
	if err := l.seek(ctx); err != nil {
		return err
	}
	s.sayReader("the log is read from its file", "path", path)
	return l.run(ctx, follow)
}

// logPath is the path of the container's log file, if it has one that can be
// reached from here.
func (s *stream) logPath(ctx context.Context) (string, error) {
	c := s.container()
	switch {
	case c.Driver != "json-file" && s.col.cfg.Reader == readerFile:
		return "", fmt.Errorf("%w from a file (option Reader), its driver is %s", errUnreadable, c.Driver)
	case c.Driver != "json-file":
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
		if c, err = s.col.api.inspect(ctx, s.id); err != nil {
			return "", err
		}
		s.describe(c)
		if c.LogPath == "" {
			return "", fmt.Errorf("%w: the Engine names none", errNoFile)
		}
	}
	return c.LogPath, nil
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

// open opens all files of the log.
func (l *fileLog) open() error {
	files, _, err := logFiles(l.path, nil)
	if err == nil {
		err = files[len(files)-1].verify()
	}
	if err != nil {
		closeAll(files)
		return fmt.Errorf("%w: %w", errNoFile, err)
	}
	l.files = files
	return nil
}

func (l *fileLog) close() {
	l.unwatch()
	if l.created != nil {
		l.watch.endCount(l.created)
	}
	l.timer.Stop()
	closeAll(l.files)
}

// run delivers from the place that was sought to the end of the log.
func (l *fileLog) run(ctx context.Context, follow bool) error {
	ended := !follow
	for {
		err := l.drain(ctx)
		if err != nil {
			return err
		}
		l.s.tailWasEmpty()
		l.lookedAt = time.Now()
		newer, err := l.extend()
		switch {
		case err != nil:
			return err
		case newer:
		case ended:
			return l.result
		default:
			if ended, err = l.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// buffers are for the time of a drain only, so that a file without news holds
// none.
var buffers = sync.Pool{New: func() any { b := make([]byte, maxWindow); return &b }}

// drain delivers what the files hold, to the end of the newest that is known.
func (l *fileLog) drain(ctx context.Context) error {
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	buf := *pooled
	for {
		if err := l.waitRoom(ctx); err != nil {
			return err
		}
		f := l.files[0]
		final := f.final // it must have been before the read, or the last bytes may be missing
		behind := !f.whole
		b, err := f.read(buf)
		if errors.Is(err, errTruncated) {
			if err := l.startOver(f, behind); err != nil {
				return err
			}
			continue
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading the log file: %w", err)
		}
		n := l.take(f, b)
		if n > 0 {
			l.poll = fastPoll
		}
		f.consumed(b, n)
		if l.cut.damaged > 0 {
			if err := l.noteDamage(); err != nil {
				return err
			}
		}
		switch {
		case err == nil && n == 0:
			buf = l.noRecord(f, b, buf)
		case err == nil:
		case !final:
			return nil
		default:
			if len(bytes.TrimRight(b[n:], "\x00")) > 0 {
				l.cut.damaged++
			}
			f.close()
			if l.files = l.files[1:]; len(l.files) == 0 {
				return fmt.Errorf("%w: it ended", errNoFile)
			}
		}
	}
}

// take delivers the whole records in b and returns how many bytes they are.
func (l *fileLog) take(f *logFile, b []byte) int {
	if len(b) == 0 {
		return 0
	}
	inode := f.inode
	if f.zip != nil {
		inode = 0
	}
	o := l.s.col.out
	o.mu.Lock()
	n, _ := l.cut.each(b, inode, f.off, l.deliver)
	l.s.publish()
	tell := o.wakes()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
	return n
}

// noRecord goes on where the whole buffer holds no line's end: in a hole, in a
// long record, or in bytes that are none.
func (l *fileLog) noRecord(f *logFile, b, buf []byte) []byte {
	switch {
	case len(bytes.TrimLeft(b, "\x00")) == 0:
		f.consumed(b, len(b))
		f.skipHole()
	case len(buf) < maxFrame:
		return append(buf, make([]byte, len(buf))...)
	default:
		l.cut.damaged++
		f.consumed(b, len(b))
	}
	return buf
}

// waitRoom waits for room in the outbox, and has an eye on log rotation
// meanwhile: the files that the Engine drops in this time would be lost.
func (l *fileLog) waitRoom(ctx context.Context) error {
	if o := l.s.col.out; o.size() < o.limit {
		return context.Cause(ctx)
	}
	for {
		err := l.s.waitRoom(ctx)
		if !errors.Is(err, errBackpressure) {
			return err
		}
		if _, err := l.extend(); err != nil {
			return err
		}
	}
}

// startOver goes back to the beginning of a file that was truncated.
func (l *fileLog) startOver(f *logFile, behind bool) error {
	if behind {
		l.lost("the log file was truncated before it was read to its end")
	} else {
		l.s.log.Debug("the log file was truncated")
	}
	l.rotatedAt = time.Now()
	if err := f.startAt(0); err != nil {
		return fmt.Errorf("reading the log file: %w", err)
	}
	f.skipHole()
	return nil
}

// sayGapAgain is how often it is said that lines of a container were lost.
const sayGapAgain = time.Minute

// lost counts and says that lines are gone.
func (l *fileLog) lost(how string) {
	l.s.col.metrics.gaps.Inc()
	notes := &l.s.notes
	if notes.gaps++; time.Since(notes.saidGap) < sayGapAgain {
		return
	}
	l.s.log.Error("gap: lines were lost before they could be read from the log file", "how", how, "times", notes.gaps)
	notes.gaps, notes.saidGap = 0, time.Now()
}

// noteDamage counts damaged places and says so, or finds that the file does
// not hold records of the json-file driver at all.
func (l *fileLog) noteDamage() error {
	if l.cut.records == 0 {
		if l.cut.damaged < fewRecords || l.files[0].holdsRecords() {
			return nil
		}
		return fmt.Errorf("%w: %s does not hold json-file records", errNoFile, l.path)
	}
	l.s.col.metrics.damaged.Add(float64(l.cut.damaged))
	l.cut.damaged = 0
	if !l.s.notes.saidDamage {
		l.s.notes.saidDamage = true
		l.s.log.Warn("the log file has damaged records, which are left out and counted", "path", l.path)
	}
	return nil
}

// extend opens the files that log rotation has begun since the newest one.
// That one is final then: log rotation closes it first.
func (l *fileLog) extend() (newer bool, err error) {
	if len(l.files) >= maxHeld {
		return false, nil
	}
	var created int64
	if l.created != nil {
		created = l.created.n.Load() // before looking at the files: what is counted here is there or was
	}
	last := l.files[len(l.files)-1]
	inode, err := inodeOf(l.path)
	if err != nil {
		// Log rotation is between two steps, or the container was removed.
		l.poll = min(l.poll, fastPoll)
		return false, nil
	}
	if inode == last.inode {
		l.checkMissed(created)
		return false, nil
	}
	files, found, err := logFiles(l.path, last)
	switch {
	case errors.Is(err, os.ErrPermission):
		return false, fmt.Errorf("%w: %w", errNoFile, err)
	case errors.Is(err, errMoving):
		return true, nil // look again
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		l.s.trouble.report(l.s.log, fmt.Errorf("opening the next log file: %w", err))
		return false, nil
	}
	last.final = true
	room := maxHeld - len(l.files)
	cut := len(files) > room
	if cut {
		closeAll(files[room:])
		files = files[:room]
		files[room-1].final = false // what comes after it is opened later
	}
	l.files = append(l.files, files...)
	l.opened += int64(len(files))
	l.unwatch()
	l.rotatedAt = time.Now()
	switch {
	case cut:
	case l.created != nil:
		l.checkMissed(created)
	case !found && !last.followsOn(files[len(files)-1]):
		l.lost(removedUnread)
	}
	return true, nil
}

const removedUnread = "the Engine's log rotation removed files before they were read"

// checkMissed compares how many files were created with those opened.
func (l *fileLog) checkMissed(created int64) {
	if missed := created - l.opened; l.created != nil && missed > l.missed {
		l.missed = missed
		l.lost(removedUnread)
	}
}

func inodeOf(path string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// wait waits until it is worth while to look at the file again, or the
// container has stopped: then its log is read once more to its end.
func (l *fileLog) wait(ctx context.Context) (ended bool, err error) {
	if l.rewatch() {
		return false, nil
	}
	d := watchedPoll
	if !l.armed || l.created == nil {
		d = l.poll
		l.poll = min(2*l.poll, slowPoll)
	}
	l.timer.Reset(d)
	select {
	case <-l.wake:
		l.armed = false
		now := time.Now()
		if d := lookPace - now.Sub(l.lookedAt); d > 0 && now.Sub(l.rotatedAt) > hasty {
			return false, l.sleep(ctx, d)
		}
	case <-l.timer.C:
	case <-l.s.poke:
		return l.stopped(ctx), nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return false, nil
}

func (l *fileLog) sleep(ctx context.Context, d time.Duration) error {
	l.timer.Reset(d)
	select {
	case <-l.timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// rewatch watches the newest file and says whether it did not before: then
// the file must be looked at once more.
func (l *fileLog) rewatch() bool {
	if l.armed || l.watch == nil {
		return false
	}
	wd, err := l.watch.arm(l.files[len(l.files)-1].f, l.wake)
	if err != nil {
		l.s.col.sayUnwatched(err)
		return false
	}
	l.wd, l.armed = wd, true
	return true
}

func (l *fileLog) unwatch() {
	if l.wd != 0 {
		l.watch.disarm(l.wd)
		l.wd, l.armed = 0, false
	}
}

// stopped says whether the container does not run any more. Discovery has
// asked the Engine already, unless it was removed meanwhile or runs anew.
func (l *fileLog) stopped(ctx context.Context) bool {
	if !l.s.container().Running {
		return true
	}
	c, err := l.s.col.api.inspect(ctx, l.s.id)
	switch {
	case errors.Is(err, errGone):
		l.result = errGone
		return true
	case err != nil:
		return false // discovery looks again when the Engine answers
	}
	l.s.describe(c)
	return !c.Running
}
