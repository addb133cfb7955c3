package logfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// batchSize is how much is written at once.
const batchSize = 64 << 10

// Options say how files are rotated.
type Options struct {
	MaxSize  int64
	MaxFile  int
	Compress bool
	CRI      bool          // it is that of k8s-file
	Single   func() Single // what a log rotation does where there is only one file
}

// Single is what a log rotation does with the only file.
// It is the only one with max-file=1, the default.
type Single uint8

// What Engines do with it.
const (
	Truncated Single = iota // in place: Engine 19.03 and older
	Renamed                 // to .1, over what was there: Engine 20.10; log requests do not show it
	Unlinked                // Engine 23 and newer, which leave a .1 alone that is there
)

// File is the files of one container's log, rotation included. Without a path it only counts what would be in them.
type File struct {
	opts Options
	path string

	f          *os.File
	size       int64
	buf        []byte // records not written yet
	counts     []int  // records in each file, the current one last
	last       int64  // time of the last record
	compressed chan struct{}
	inodes     []uint64 // of the files that it created, oldest first
}

// Open panics if it cannot write there: the test's set-up is wrong.
func Open(path string, opts Options) *File {
	j := Count(opts)
	j.path = path
	if err := os.MkdirAll(filepath.Dir(path), 0o710); err != nil {
		panic(fmt.Sprintf("dockertest: log directory: %v", err))
	}
	// Only the first file is opened for appending: that is why a truncation later leaves a hole of NULs.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		panic(fmt.Sprintf("dockertest: log file: %v", err))
	}
	j.use(f)
	if st, err := f.Stat(); err == nil {
		j.size = st.Size()
	}
	return j
}

// Count is the File of a log that has no files.
func Count(opts Options) *File {
	opts.MaxFile = max(1, opts.MaxFile)
	return &File{opts: opts, counts: []int{0}}
}

// use has the records written to a file that was just opened.
func (j *File) use(f *os.File) {
	j.f = f
	if st, err := f.Stat(); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			j.inodes = append(j.inodes, sys.Ino)
		}
	}
}

// Path is "" where it only counts.
func (j *File) Path() string { return j.path }

// Inodes are those of the files that it created, oldest first.
func (j *File) Inodes() []uint64 { return slices.Clone(j.inodes) }

// Counts are how many records each file has, the current last. The slice is valid until the next record.
func (j *File) Counts() []int { return j.counts }

// Add takes a record for the next flush.
// It returns how many records fell off the oldest file.
func (j *File) Add(r wire.Record) (lost int) {
	if r.Raw { // it is not in the file, and goes with what is
		j.counts[len(j.counts)-1]++
		return 0
	}
	if j.opts.MaxSize > 0 && j.size+int64(len(j.buf)) >= j.opts.MaxSize {
		lost = j.Rotate()
	}
	j.buf = j.render(j.buf, r)
	j.counts[len(j.counts)-1]++
	j.last = r.TS
	if len(j.buf) >= batchSize {
		j.Flush()
	}
	return lost
}

// render appends a record as the driver writes it.
func (j *File) render(dst []byte, r wire.Record) []byte {
	if j.opts.CRI {
		return podman.AppendCRI(dst, r.TS, r.Std.String(), r.Data)
	}
	return wire.AppendJSON(dst, r)
}

// Flush writes what was added. Errors are those of a full disk: the records are lost.
func (j *File) Flush() {
	j.Raw(j.buf)
	j.buf = j.buf[:0]
}

// Raw writes bytes as they are, which are no record.
func (j *File) Raw(b []byte) {
	switch {
	case j.path == "":
		j.size += int64(len(b))
	case len(b) > 0 && j.f != nil:
		n, _ := j.f.Write(b)
		j.size += int64(n)
	}
}

// Close writes what was added.
// It waits for the last rotated file to be compressed.
func (j *File) Close() {
	j.Flush()
	j.settle()
	_ = j.f.Close() // of none fails
}

// Truncate truncates the file from outside. With nuls the next write leaves a hole of NULs before it.
func (j *File) Truncate(nuls bool) error {
	flags := os.O_WRONLY
	if !nuls {
		flags |= os.O_APPEND
	}
	f, err := os.OpenFile(j.path, flags, 0)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		_ = f.Close()
		return err
	}
	_ = j.f.Close()
	j.f = f
	return os.Truncate(j.path, 0)
}

// Reopen opens the file anew by its name.
func (j *File) Reopen() error {
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	_ = j.f.Close()
	j.use(f)
	return nil
}
