package store

import (
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"fluent-bit-docker-logs/capture/dockertest/logfile"
	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wait"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// Options say what a log is like.
type Options struct {
	Name      string // of the container
	JSON      bool   // the driver is json-file, which cannot carry invalid UTF-8
	Journal   bool   // the driver is journald
	TTY       bool
	Retention int // how many records are kept, 0: all
	Clock     func() time.Time
	Spoken    *version.Spoken

	Files   logfile.Options // Single is of the log's own
	OnDisk  bool            // there are files
	Rotates bool            // also without, where nothing is written to files
}

// Log is the log of one container.
// It is the records, the unfinished lines, the followers, and the files if there are any.
type Log struct {
	opts Options

	mu        sync.Mutex
	running   bool
	content   content
	copier    copier
	followers map[*Follower]struct{}
	file      *logfile.File
	inodes    []uint64 // of the files of a log that was removed
}

// New makes the log of a container that has not run.
func New(opts Options) *Log {
	opts.Files.Single = func() logfile.Single { return single(opts.Spoken.API()) }
	l := &Log{opts: opts, followers: map[*Follower]struct{}{}}
	l.content.retention, l.content.unpacked = opts.Retention, unpacked{}
	l.copier = copier{clock: opts.Clock, add: l.add, tty: opts.TTY, podman: opts.Spoken.Podman != "", pieceTimes: func() bool { return opts.Journal && opts.Spoken.API() < version.V142 }}
	return l
}

// single is what an Engine does with a single file.
func single(api version.API) logfile.Single {
	switch {
	case api < version.V141:
		return logfile.Truncated
	case api < version.V142:
		return logfile.Renamed
	}
	return logfile.Unlinked
}

// Open begins a run of the container. path is that of its log file.
func (l *Log) Open(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = true
	switch {
	case l.file != nil:
	case l.opts.OnDisk && path != "":
		l.file = logfile.Open(path, l.opts.Files)
	case l.opts.Rotates:
		l.file = logfile.Count(l.opts.Files)
	}
}

// Close ends a run: unfinished lines are stored, followers end behind them. It waits for those to be through, but not for slow clients.
func (l *Log) Close() {
	l.mu.Lock()
	l.copier.finish()
	l.running = false
	l.publish()
	done := l.endFollowers()
	l.mu.Unlock()
	wait.All(done, 100*time.Millisecond)
}

// endFollowers lets each follower end behind the records that are there now.
func (l *Log) endFollowers() (done []<-chan struct{}) {
	for f := range l.followers {
		f.end = min(f.end, l.content.end())
		f.poke()
		if !f.req.Silent {
			done = append(done, f.done)
		}
	}
	return done
}

// Remove is for a container that is gone: its files are too. Who holds a file open can read on.
func (l *Log) Remove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		if l.file.Path() != "" {
			_ = os.RemoveAll(filepath.Dir(l.file.Path()))
		}
		l.inodes = l.file.Inodes()
		l.file = nil
	}
}

// CloseFiles is the end of the Engine: files are closed, and stay.
func (l *Log) CloseFiles() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	if l.file != nil {
		l.file.Close()
	}
}

// with runs f under the lock if the container runs.
// Then it writes the file and wakes the followers once.
func (l *Log) with(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return false
	}
	f()
	l.publish()
	return true
}

func (l *Log) publish() {
	if l.file != nil {
		l.file.Flush()
	}
	for f := range l.followers {
		f.poke()
	}
}

// add stores a record. The files keep count of what they hold, since what falls off the last one is gone for the API too.
func (l *Log) add(r wire.Record) {
	if l.file != nil {
		l.forget(l.file.Add(r))
	}
	if l.opts.JSON && !r.Raw && !utf8.Valid(r.Data) {
		r.Data = wire.AppendValid(nil, r.Data)
	}
	l.content.add(r)
}

// forget drops the n oldest records. Who has the log open has its files open: what was there then is read to its end.
func (l *Log) forget(n int) {
	if n == 0 {
		return
	}
	for f := range l.followers {
		f.keep(&l.content, n, f.there)
	}
	l.content.forget(n)
}

// unpacks says whether the Engine unpacks files for a log request.
func (l *Log) unpacks() bool {
	return l.opts.Files.Compress && l.file != nil && l.opts.Files.MaxFile > 1 && l.opts.Spoken.API() < version.V142
}

// unpack takes the unpacked files for a request, see unpacked.take.
func (l *Log) unpack() (shown []wire.Record, stale bool, used []*unpackedFile) {
	return l.content.unpacked.take(l.content.rotated(l.opts.Files.MaxFile, l.file.Counts()))
}
