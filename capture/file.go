package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/inotify"
)

// fileReader reads the files of the json-file driver themselves: nothing is
// lost across the Engine's log rotation or the removal of a container, because
// an open file can be read to its end whatever happens to its name, and the
// Engine has no work with it.
type fileReader struct {
	watch func() *inotify.Watcher // nil where there is no inotify
	turn  chan struct{}           // capacity 1: a stream rotation is due
}

const (
	// watchedPoll is how often a watched file is looked at all the same: on some
	// file systems the kernel does not see what others write.
	watchedPoll = 10 * time.Second
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
	moved   *logFile   // see leaveOut; until seek
	cut     decode.JSONCutter
	hurt    int // damaged places of cut that the stream knows of
	deliver func(*decode.Entry) error

	wake      chan struct{}
	turn      <-chan struct{}
	watch     *inotify.Watcher // nil: poll
	armed     bool             // all files are watched
	known     heads
	created   *inotify.Creations // of the current file; nil where they are not counted
	opened    int64              // files of these
	counted   int                // files, in Collector.files
	missed    int64              // files of these that were removed before they could be opened
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
		s:     s,
		path:  path,
		wake:  make(chan struct{}, 1),
		turn:  f.turn,
		watch: f.watch(),
		timer: time.NewTimer(watchedPoll),
		poll:  fastPoll,
	}
	l.cut.CRI = s.container().Driver == container.K8sFile
	l.deliver = l.accept
	defer l.close()
	if err := l.open(); err != nil {
		return err
	}
	s.opened()
	s.col.noteLogDir(s.id, path)
	l.choose()
	if err := l.begin(ctx); err != nil {
		return err
	}
	if err := l.seek(ctx); err != nil {
		return err
	}
	s.sayFile(path)
	s.inSync()
	return l.run(ctx, follow)
}

// accept hands a record on, and says before it that some are missing.
func (l *fileLog) accept(e *decode.Entry) error {
	if l.cut.Damaged != l.hurt {
		l.hurt = l.cut.Damaged
		l.s.broke()
	}
	l.s.accept(e)
	return nil
}

// open opens all files of the log, and has those counted that are created from
// then on.
func (l *fileLog) open() error {
	for try := 0; ; try++ {
		before, _ := inodeOf(l.path)
		if l.watch != nil {
			// Without it the reader polls, which needs no saying twice.
			l.created, _ = l.watch.Count(l.path, l.cut.CRI, l.wake)
		}
		files, _, err := logFiles(l.path, nil, l.cut.CRI)
		if err == nil {
			err = files[len(files)-1].verify()
		}
		if err != nil {
			closeAll(files)
			return fmt.Errorf("%w: %w", errNoFile, err)
		}
		l.files = files
		if l.created == nil || files[len(files)-1].inode == before || try == 10 {
			return nil
		}
		// It was created meanwhile: nobody knows whether it was counted.
		l.release()
	}
}

// release closes the files and ends the counting.
func (l *fileLog) release() {
	closeAll([]*logFile{l.moved})
	l.moved = nil
	l.drop(0, len(l.files))
	if l.created != nil {
		l.watch.EndCount(l.created)
		l.created = nil
	}
}

func (l *fileLog) close() {
	l.release()
	l.timer.Stop()
	l.count()
}

// count keeps the number of open files of all streams up to date.
func (l *fileLog) count() {
	l.s.col.files.Add(int64(len(l.files) - l.counted))
	l.counted = len(l.files)
}

// run delivers from the place that was sought to the end of the log.
func (l *fileLog) run(ctx context.Context, follow bool) error {
	ended := !follow
	for {
		l.count()
		if err := l.drain(ctx); err != nil {
			return err
		}
		l.s.task.Beat()
		l.lookedAt = time.Now()
		newer, err := l.extend()
		switch {
		case err != nil:
			return err
		case newer:
		case ended:
			l.checkGone()
			return l.result
		default:
			if ended, err = l.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// drain delivers what the files hold, to the end of the newest that is known.
func (l *fileLog) drain(ctx context.Context) error {
	for {
		if err := l.waitRoom(ctx); err != nil {
			return err
		}
		f, eof := l.files[0], true
		if !f.placed {
			if err := l.place(ctx, f); err != nil {
				return err
			}
		}
		if f.placed || f.final {
			var err error
			if eof, err = l.block(ctx); err != nil {
				return err
			}
		}
		if !eof {
			continue
		}
		// Whoever moved the log away may write on in it: a file is at its end
		// when a later one has what follows, and it was read once more since.
		var err error
		if f.final, err = l.followed(ctx); err != nil {
			return err
		}
		if !f.final {
			l.readUpTo()
			return nil
		}
	}
}

// block delivers one buffer full of the first file, and says whether there was
// no more. It holds the buffer only while it reads: whoever waits for room has
// none.
func (l *fileLog) block(ctx context.Context) (eof bool, err error) {
	lent, err := l.s.col.buffers.lend(ctx)
	if err != nil {
		return false, err
	}
	l.cut.Scratch = lent.scratch
	defer func() {
		lent.scratch, l.cut.Scratch = l.cut.Scratch, nil
		l.s.col.buffers.giveBack(lent)
	}()
	if l.s.col.out.Full() { // others were faster
		return false, nil
	}
	for buf := lent.bytes; ; {
		f := l.files[0]
		final := f.final // it must have been before the read, or the last bytes may be missing
		b, err := f.read(buf)
		if errors.Is(err, errTruncated) {
			return false, l.startOver(f)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("reading the log file: %w", err)
		}
		n, err2 := l.take(ctx, f, b)
		if err2 != nil {
			return false, err2
		}
		if n > 0 {
			l.poll = fastPoll
		}
		f.consumed(b, n)
		if l.cut.Damaged > 0 {
			if err := l.noteDamage(); err != nil {
				return false, err
			}
		}
		switch {
		case err == nil && n == 0:
			buf = l.noRecord(f, b, buf)
			continue
		case err == nil:
			return false, nil
		case !final:
			return true, nil
		}
		if len(bytes.TrimRight(b[n:], "\x00")) > 0 || f.torn() {
			l.cut.Damaged++
		}
		if l.drop(0, 1); len(l.files) == 0 {
			return false, fmt.Errorf("%w: it ended", errNoFile)
		}
		return false, nil
	}
}

// take delivers the whole records in b and returns how many bytes they are.
func (l *fileLog) take(ctx context.Context, f *logFile, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	l.meet(f)
	if f.gap {
		f.gap = false
		l.broke()
	}
	inode := f.inode
	if f.zip != nil {
		inode = 0
	}
	err = l.s.deliver(ctx, &l.cut.Entry, func() (err error) {
		n, err = l.cut.Each(b, inode, f.off, l.deliver)
		return err
	})
	return n, err
}

// noRecord goes on where the whole buffer holds no line's end: in a hole, in a
// long record, or in bytes that are none.
func (l *fileLog) noRecord(f *logFile, b, buf []byte) []byte {
	switch {
	case len(bytes.TrimLeft(b, "\x00")) == 0:
		f.consumed(b, len(b))
		f.skipHole()
	case len(buf) < decode.MaxFrame:
		return make([]byte, 2*len(buf))
	default:
		l.cut.Damaged++
		f.consumed(b, len(b))
	}
	return buf
}

// waitRoom waits for room in the outbox, and has an eye on log rotation
// meanwhile: the files that the Engine drops in this time would be lost.
func (l *fileLog) waitRoom(ctx context.Context) error {
	if !l.s.col.out.Full() {
		return context.Cause(ctx)
	}
	for {
		err := l.s.waitRoom(ctx)
		if !errors.Is(err, errBackpressure) {
			return err
		}
		l.s.task.Beat()
		if _, err := l.extend(); err != nil {
			return err
		}
	}
}

const truncatedUnread = "the log file was truncated, lines may be lost"

// startOver follows the truncation of a file in place, by whoever but not by an
// Engine since 20.10. Nobody can know what was written to it after it was read
// last. If a copy was made before, as by logrotate's copytruncate, that is read
// on first.
func (l *fileLog) startOver(f *logFile) error {
	target := l.s.position()
	l.lost(slog.LevelWarn, truncatedUnread, nil)
	l.rotatedAt = time.Now()
	if err := f.startAt(0); err != nil {
		return fmt.Errorf("reading the log file: %w", err)
	}
	f.placed, f.trusted, f.head, f.noHead, f.end = false, false, 0, false, 0
	if c := l.copyOf(&target); c != nil {
		l.files = append([]*logFile{c}, l.files...)
	}
	return nil
}

// lost counts and says that lines are gone, or may be: before a file that is
// not read yet, or where it is nil, here.
func (l *fileLog) lost(level slog.Level, how string, before *logFile) {
	if before != nil {
		before.gap = true
	} else {
		l.broke()
	}
	l.s.lost(level, "gap: lines were lost before they could be read from the log file", "how", how)
}

// broke notes that records are missing where the log is read now.
func (l *fileLog) broke() {
	l.s.col.out.Lock()
	defer l.s.col.out.Unlock()
	l.s.broke()
}

// noteDamage counts damaged places and says so, or finds that the file does
// not hold records of the log driver at all.
func (l *fileLog) noteDamage() error {
	if l.cut.Records == 0 {
		if l.cut.Damaged < fewRecords || l.files[0].holdsRecords() {
			return nil
		}
		l.s.alien.Store(true) // another look would find the same, and say so again
		return fmt.Errorf("%w: %s does not hold records of the log driver %s", errNoFile, l.path, l.s.container().Driver)
	}
	l.s.col.metrics.damaged.Add(float64(l.cut.Damaged))
	l.cut.Damaged, l.hurt = 0, 0
	notes := &l.s.notes
	notes.sayOnce(&notes.saidDamage, func() {
		l.s.log.Warn("the log file has damaged records, which are left out and counted", "path", l.path)
	})
	return nil
}
