package store

import (
	"errors"

	"fluent-bit-docker-logs/capture/dockertest/logfile"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

var errNoFile = errors.New("dockertest: the container has no LogDir, or never ran")

// Files is what befalls the log files of a container.
type Files struct{ log *Log }

// Files are those of the log.
func (l *Log) Files() Files { return Files{l} }

// RotateLog is a log rotation now. What falls off the last file is gone for log requests too.
func (d Files) RotateLog() error {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if d.log.file == nil {
		return errNoFile
	}
	d.log.forget(d.log.file.Rotate())
	return nil
}

// LogInodes are those of the log files it created, oldest first.
func (d Files) LogInodes() []uint64 {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if d.log.file == nil {
		return d.log.inodes
	}
	return d.log.file.Inodes()
}

// TruncateLog truncates the log file from outside.
// A cron job with "> file" does that. With nuls the next write leaves a hole of NULs before
// it, as dockerd does unless the file is its first. Log requests still see all records.
func (d Files) TruncateLog(nuls bool) error {
	return d.do(func(f *logfile.File) error { return f.Truncate(nuls) })
}

// ReopenLog opens the log file anew by its name.
// The Engine does so when the container starts. Until then it writes to the file that it has
// open, wherever somebody moved that.
func (d Files) ReopenLog() error {
	return d.do(func(f *logfile.File) error { return f.Reopen() })
}

// TearLog writes half a record for line into the log file.
// It is the first keep bytes, as a crash or a full disk leaves them: the next record is glued behind them. Log requests never see the line.
func (d Files) TearLog(std wire.Std, line string, keep int) error {
	return d.do(func(f *logfile.File) error {
		b := wire.AppendJSON(nil, wire.Record{TS: d.log.opts.Clock().UnixNano(), Std: std, Data: []byte(line + "\n")})
		f.Raw(b[:min(keep, len(b))])
		return nil
	})
}

// GarbageLog writes raw bytes into the log file. Log requests never see them.
func (d Files) GarbageLog(raw []byte) error {
	return d.do(func(f *logfile.File) error {
		f.Raw(raw)
		return nil
	})
}

// HoldFiles holds the rotated files that are unpacked, until release is called.
// Somebody does who reads the log and does not come to its end ("docker logs NAME | less"). It does nothing where the Engine does not unpack files.
func (d Files) HoldFiles() (release func()) {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if !d.log.unpacks() {
		return func() {}
	}
	_, _, used := d.log.unpack()
	return func() {
		d.log.mu.Lock()
		defer d.log.mu.Unlock()
		d.log.content.unpacked.letGo(used)
	}
}

// do works on the file that is there.
func (d Files) do(what func(*logfile.File) error) error {
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	if d.log.file == nil || d.log.file.Path() == "" {
		return errNoFile
	}
	return what(d.log.file)
}
