package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// errOverflow says why it is not known any more how many files were created.
var errOverflow = errors.New("the kernel had more to tell than it keeps (fs.inotify.max_queued_events)")

// extend opens the files that log rotation has begun since the newest one.
// That one is final then: log rotation closes it first.
func (l *fileLog) extend() (newer bool, err error) {
	if len(l.files) >= MaxHeld {
		l.dropEmpty()
		return false, nil
	}
	var created, changes int64
	if l.created != nil {
		// Before looking at the files: what is counted here is there or was.
		if changes, created = l.created.Seen(); changes == l.changes {
			return false, nil
		}
		if l.created.Lost.Load() {
			l.shared.sayUnwatched(errOverflow)
			l.endCount()
		}
	}
	last := l.files[len(l.files)-1]
	inode, err := inodeOf(l.path)
	if err != nil {
		// Log rotation is between two steps, or the container was removed.
		l.poll = min(l.poll, fastPoll)
		return false, nil //nolint:nilerr // not an error here
	}
	if inode == last.inode {
		l.changes = changes
		l.checkMissed(created)
		return false, nil
	}
	files, found, err := logFiles(l.path, last, l.cut.CRI)
	switch {
	case errors.Is(err, os.ErrPermission):
		return false, fmt.Errorf("%w: %w", reader.ErrNoFile, err)
	case errors.Is(err, errMoving):
		return true, nil // look again
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		l.Trouble.Report(l.Say, fmt.Errorf("opening the next log file: %w", err))
		return false, nil
	case len(files) == 0: // somebody has put the newest in its place again
		return false, nil
	}
	if !found {
		files = l.known.unread(files, l.files)
	}
	c := l.Container()
	moved := c.MaxSize > 0 && last.size() >= c.MaxSize // by the Engine, then
	lost := !found && l.created == nil && !l.followsOn(last, files[len(files)-1])
	room := MaxHeld - len(l.files)
	cut := len(files) > room
	if cut {
		closeAll(files[room:]) // and opened later
		files = files[:room]
	}
	for _, f := range files {
		f.trusted, f.counted = moved && f.rotated < max(1, c.MaxFile), true
	}
	files[0].apart = !found
	l.files = append(l.files, files...)
	l.opened += int64(len(files))
	switch {
	case lost:
		l.lost(slog.LevelError, removedUnread, files[0])
	case l.created != nil && !cut:
		if !found {
			created = l.createdUntil(files[len(files)-1], created)
		}
		l.checkMissed(created)
	}
	return true, nil
}

// followsOn says whether no file was between last, which is not among the log's
// files any more, and current.
func (l *fileLog) followsOn(last, current *logFile) bool {
	if follows := l.shared.follows; follows != nil {
		return follows(l.ID, last.inode, current.inode)
	}
	return last.followsOn(current)
}

const removedUnread = "the Engine's log rotation removed files before they were read"

// dropEmpty makes room where many files are held because the log is moved away
// again and again, and its writer goes on in the first.
func (l *fileLog) dropEmpty() {
	for i := len(l.files) - 2; i > 0; i-- {
		if !l.files[i].placed && l.files[i].size() == 0 {
			l.drop(i, i+1)
		}
	}
}

// checkMissed compares how many files were created with those opened.
func (l *fileLog) checkMissed(created int64) {
	if missed := created - l.opened; l.created != nil && missed > l.missed {
		l.missed = missed
		l.lost(slog.LevelError, removedUnread, l.newestApart())
	}
}

// createdUntil is how many files were created up to newest: at least those that
// were counted, of which the last events may not have been passed on.
func (l *fileLog) createdUntil(newest *logFile, counted int64) int64 {
	l.watch.CatchUp()
	n := l.created.N.Load()
	if inode, err := inodeOf(l.path); err != nil || inode != newest.inode {
		return counted // there are newer ones, which are not open yet
	}
	return n
}

// checkGone follows the end of a log: where it was removed with its container,
// files that were created and not opened by then never will be. What told of the
// end does not know that: it may have come before.
func (l *fileLog) checkGone() {
	last := l.files[len(l.files)-1]
	_, err := inodeOf(l.path)
	switch {
	case err == nil && !errors.Is(l.result, engine.ErrGone):
	case l.created != nil:
		l.watch.CatchUp()
		l.checkMissed(l.created.N.Load())
	case l.shared.follows != nil && !l.shared.follows(l.ID, last.inode, 0):
		l.lost(slog.LevelError, removedUnread, nil)
	}
}

// newestApart is the file before which others were missed, nil where it is
// being read already.
func (l *fileLog) newestApart() *logFile {
	for i := len(l.files) - 1; i > 0; i-- {
		if l.files[i].apart {
			return l.files[i]
		}
	}
	return nil
}

// wait waits until it is worth while to look at the file again, or the
// container has stopped: then its log is read once more to its end.
func (l *fileLog) wait(ctx context.Context) (ended bool, err error) {
	if l.rewatch() {
		return false, nil
	}
	d := supervise.OnGrid(watchedPoll)
	if !l.armed || l.created == nil {
		d = l.poll
		l.poll = min(2*l.poll, slowPoll)
	}
	l.timer.Reset(d)
	select {
	case <-l.wake:
	case <-l.timer.C:
		l.changes = unseen
	case <-l.turn:
		return false, l.reopen()
	case <-l.Poke:
		return l.stopped(ctx), nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return false, nil
}

// reopen is the stream rotation of a file: it exchanges the open file for the
// one that has its name now, if that is the same one still, and makes sure that
// it may be read as it was at first.
func (l *fileLog) reopen() error {
	old := l.files[0]
	if len(l.files) > 1 {
		return nil // it does not have the name
	}
	fresh, err := openLogFile(l.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // log rotation is under way, or the container was removed
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return nil // better the old one than none
	case err == nil && fresh.inode != old.inode:
		fresh.close()
		return nil // extend opens it, when the old one was read to its end
	case err == nil:
		err = fresh.verify()
	}
	if err != nil {
		if fresh != nil {
			fresh.close()
		}
		return fmt.Errorf("%w: %w", reader.ErrNoFile, err)
	}
	fresh.goOn(old)
	l.files[0] = fresh
	l.Rotated()
	l.InSync()
	return nil
}

// rewatch watches the files and says whether it did not before: then they must
// be looked at once more.
func (l *fileLog) rewatch() (again bool) {
	if l.armed = false; l.watch == nil {
		return false
	}
	for _, f := range l.files {
		if f.watch.IsArmed() {
			continue
		}
		watch, err := l.watch.Arm(f.f, l.wake)
		if err != nil {
			l.shared.sayUnwatched(err)
			return false
		}
		f.watch, again = watch, true
	}
	l.armed = true
	return again
}

// stopped says whether the container does not run any more. Discovery has
// asked the Engine already, unless it was removed meanwhile or runs anew.
func (l *fileLog) stopped(ctx context.Context) bool {
	if !l.Container().Running {
		return true
	}
	c, err := l.Inspect(ctx)
	switch {
	case errors.Is(err, engine.ErrGone):
		l.result = engine.ErrGone
		return true
	case err != nil:
		return false // discovery looks again when the Engine answers
	}
	return !c.Running
}

// readUpTo notes what was read of the newest file.
func (l *fileLog) readUpTo() {
	f := l.files[len(l.files)-1]
	end := f.end
	if len(l.files) > 1 {
		end = f.off // there is no more in it than what is left out
	}
	if !f.placed {
		end = f.size() // it holds no record
	}
	l.memory.readUpTo(l.path, decode.Place{Inode: f.inode, End: end})
}
