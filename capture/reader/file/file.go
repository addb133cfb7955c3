package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// Reader reads the files of a log driver themselves. Nothing is lost across the
// Engine's log rotation or the removal of a container, because an open file can
// be read to its end whatever happens to its name, and the Engine has no work
// with it.
type Reader struct {
	log    *reader.Log
	host   Host
	shared *Shared
	memory *Memory
	turn   chan struct{} // capacity 1: a stream rotation is due
}

// New makes the reader of one run of a log's stream.
func New(log *reader.Log, host Host, shared *Shared, memory *Memory) *Reader {
	return &Reader{log: log, host: host, shared: shared, memory: memory, turn: make(chan struct{}, 1)}
}

// Read implements reader.Reader. A log that cannot be read from here is
// reader.ErrNoFile.
func (f *Reader) Read(ctx context.Context, follow bool) error {
	path, err := f.host.Path(ctx)
	if err != nil {
		return err
	}
	l := newLog(f.log, f.shared, f.memory, f.turn, path)
	defer l.close()
	if err := l.open(); err != nil {
		return err
	}
	l.Opened()
	l.shared.noteDir(l.ID, path)
	l.choose()
	if err := l.begin(ctx); err != nil {
		return err
	}
	if err := l.seek(ctx); err != nil {
		return err
	}
	f.host.FromFile(path)
	l.InSync()
	return l.run(ctx, follow)
}

// Rotate implements reader.Open. The file is opened anew when it has been read
// to its end.
func (f *Reader) Rotate(context.Context) error {
	supervise.Poke(f.turn)
	return nil
}

// Behind implements reader.Open: it compares the file's size with what was read.
func (f *Reader) Behind(context.Context) (bool, error) { return f.memory.Behind(), nil }

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
			return fmt.Errorf("%w: %w", reader.ErrNoFile, err)
		}
		l.files = files
		if l.created == nil || files[len(files)-1].inode == before || try == 10 {
			return nil
		}
		// It was created meanwhile: nobody knows whether it was counted.
		l.release()
	}
}

// run delivers from the place that was sought to the end of the log.
func (l *fileLog) run(ctx context.Context, follow bool) error {
	ended := !follow
	for {
		l.count()
		if err := l.drain(ctx); err != nil {
			return err
		}
		l.Task.Beat()
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
			if ended { // the last look waits for nobody's word
				l.changes = unseen
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
	lent, err := l.shared.buffers.lend(ctx)
	if err != nil {
		return false, err
	}
	l.cut.Scratch = lent.scratch
	defer func() {
		lent.scratch, l.cut.Scratch = l.cut.Scratch, nil
		l.shared.buffers.giveBack(lent)
	}()
	if l.Out.Full() { // others were faster
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
			return false, fmt.Errorf("%w: it ended", reader.ErrNoFile)
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
	err = l.Deliver(ctx, &l.cut.Entry, func() (err error) {
		n, err = l.cut.Each(b, inode, f.off, l.deliver)
		return err
	})
	return n, err
}

// waitRoom waits for room in the outbox, and has an eye on log rotation
// meanwhile: the files that the Engine drops in this time would be lost.
func (l *fileLog) waitRoom(ctx context.Context) error {
	if !l.Out.Full() {
		return context.Cause(ctx)
	}
	for {
		err := l.WaitRoom(ctx)
		if !errors.Is(err, reader.ErrBackpressure) {
			return err
		}
		l.Task.Beat()
		if _, err := l.extend(); err != nil {
			return err
		}
	}
}

// startOver follows the truncation of a file in place, by whoever but not by an
// Engine since 20.10. Nobody can know what was written to it after it was read
// last. If a copy was made before, as by logrotate's copytruncate, that is read
// on first.
func (l *fileLog) startOver(f *logFile) error {
	target := l.Position()
	l.lost(slog.LevelWarn, truncatedUnread, nil)
	if err := f.startAt(0); err != nil {
		return fmt.Errorf("reading the log file: %w", err)
	}
	f.placed, f.trusted, f.head, f.noHead, f.end = false, false, 0, false, 0
	if c := l.copyOf(&target); c != nil {
		l.files = append([]*logFile{c}, l.files...)
	}
	return nil
}

// noteDamage counts damaged places and says so, or finds that the file does
// not hold records of the log driver at all.
func (l *fileLog) noteDamage() error {
	if l.cut.Records == 0 {
		if l.cut.Damaged < fewRecords || l.files[0].holdsRecords() {
			return nil
		}
		l.memory.alien.Store(true) // another look would find the same, and say so again
		return fmt.Errorf("%w: %s does not hold records of the log driver %s", reader.ErrNoFile, l.path, l.Container().Driver)
	}
	l.shared.damaged.Add(float64(l.cut.Damaged))
	l.cut.Damaged, l.hurt = 0, 0
	l.Said.Do("damage", func() {
		l.Say.Warn("the log file has damaged records, which are left out and counted", "path", l.path)
	})
	return nil
}
