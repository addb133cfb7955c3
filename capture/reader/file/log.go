package file

import (
	"bytes"
	"log/slog"
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/inotify"
	"fluent-bit-docker-logs/capture/reader"
)

const (
	// watchedPoll is how often a watched file is looked at all the same: on some
	// file systems the kernel does not see what others write.
	watchedPoll = 10 * time.Second
	// fastPoll is how often a file without a watch is looked at when it was
	// written to lately; longer and longer up to slowPoll when it was not.
	fastPoll = 50 * time.Millisecond
	slowPoll = time.Second
	// MaxHeld is how many files of one log are held open. Each may keep the disk
	// space of a file that the Engine has already removed.
	MaxHeld = 8
	// fewRecords is after how many damaged lines a file without any record is
	// taken for something else.
	fewRecords = 3
)

// unseen is no number of changes.
const unseen = -1

// fileLog is the log of one container while it is read.
type fileLog struct {
	*reader.Log
	cutting
	watching
	shared  *Shared
	memory  *Memory
	path    string
	files   []*logFile // oldest first: the first is being read, the last is the newest known; never empty
	moved   *logFile   // see leaveOut; until seek
	known   heads
	turn    <-chan struct{} // a stream rotation is due
	timer   *time.Timer
	poll    time.Duration
	counted int   // files, in shared.Open
	result  error // when the log has ended
}

// cutting is how records are cut off the bytes of the files.
type cutting struct {
	cut     decode.JSONCutter
	hurt    int // damaged places of cut that the writer knows of
	deliver func(*decode.Entry) error
}

// watching is who says when it is worth while to look at the files.
type watching struct {
	wake    chan struct{}
	watch   *inotify.Watcher   // nil: poll
	armed   bool               // all files are watched
	created *inotify.Creations // of the current file; nil where they are not counted
	changes int64              // of the name, when it was last seen to be that of the newest file; unseen: never
	opened  int64              // files of these
	missed  int64              // files of these that were removed before they could be opened
}

// newLog makes what one read of the log's files knows.
func newLog(log *reader.Log, shared *Shared, memory *Memory, turn <-chan struct{}, path string) *fileLog {
	l := &fileLog{
		Log:    log,
		shared: shared,
		memory: memory,
		path:   path,
		turn:   turn,
		timer:  time.NewTimer(watchedPoll),
		poll:   fastPoll,
	}
	l.wake, l.watch, l.changes = make(chan struct{}, 1), shared.watch.Load(), unseen
	l.cut.CRI = l.Container().Driver == container.K8sFile
	l.deliver = l.accept
	return l
}

// accept hands a record on, and says before it that some are missing.
func (l *fileLog) accept(e *decode.Entry) error {
	if l.cut.Damaged != l.hurt {
		l.hurt = l.cut.Damaged
		l.Broke()
	}
	l.Accept(e)
	return nil
}

// release closes the files and ends the counting.
func (l *fileLog) release() {
	closeAll([]*logFile{l.moved})
	l.moved = nil
	l.drop(0, len(l.files))
	l.endCount()
}

func (l *fileLog) close() {
	l.release()
	l.timer.Stop()
	l.count()
}

// count keeps the number of open files of all streams up to date.
func (l *fileLog) count() {
	l.shared.Open.Add(int64(len(l.files) - l.counted))
	l.counted = len(l.files)
}

// drop closes some of the files.
func (l *fileLog) drop(from, to int) {
	for _, f := range l.files[from:to] {
		l.unwatch(f)
		f.close()
		if f.gap && to < len(l.files) { // nothing was read of it
			l.files[to].gap = true
		}
	}
	l.files = slices.Delete(l.files, from, to)
}

func (l *fileLog) unwatch(f *logFile) {
	if f.watch != nil {
		l.watch.Disarm(f.watch)
		f.watch = nil
	}
}

// lost counts and says that lines are gone, or may be: before a file that is
// not read yet, or where it is nil, here.
func (l *fileLog) lost(level slog.Level, how string, before *logFile) {
	if before != nil {
		before.gap = true
	} else {
		l.broke()
	}
	l.Lost(level, "gap: lines were lost before they could be read from the log file", "how", how)
}

// broke notes that records are missing where the log is read now.
func (l *fileLog) broke() {
	l.Out.Lock()
	defer l.Out.Unlock()
	l.Broke()
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

// meet remembers a file that is read.
func (l *fileLog) meet(f *logFile) {
	if f.head == 0 && !f.noHead {
		_, f.head, _ = f.beginning()
		f.noHead = f.head == 0 && f.size() > headSize
		l.known.add(f.head)
	}
}

// endCount ends the counting of files that are created.
func (l *fileLog) endCount() {
	if l.created != nil {
		l.watch.EndCount(l.created)
		l.created = nil
	}
}

const truncatedUnread = "the log file was truncated, lines may be lost"
