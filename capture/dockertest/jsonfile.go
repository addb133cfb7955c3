package dockertest

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unicode/utf8"
)

// jsonFile writes the files of the json-file driver as dockerd does (daemon/logger/loggerutils/logfile.go), log rotation included. Without a
// path it only counts what would be in them: see Container.Rotates.
// It is guarded by the mu of its logStore.
type jsonFile struct {
	path     string
	maxSize  int64
	maxFile  int
	compress bool
	cri      bool              // it is that of k8s-file
	single   func() singleFile // what a log rotation does where there is only one file

	f          *os.File
	size       int64
	buf        []byte // records not written yet
	counts     []int  // records in each file, the current one last
	last       int64  // time of the last record
	compressed chan struct{}
	inodes     []uint64 // of the files that it created, oldest first
}

// singleFile is what becomes of the log file at a log rotation when the container has only one (max-file=1, the default).
type singleFile uint8

const (
	truncated singleFile = iota // in place: Engine 19.03 and older
	renamed                     // to .1, over what was there: Engine 20.10; log requests do not show it
	unlinked                    // Engine 23 and newer, which leave a .1 alone that is there
)

// openJSONFile panics if it cannot write there: the test's set-up is wrong.
func openJSONFile(path string, spec Container, single func() singleFile) *jsonFile {
	j := &jsonFile{path: path, maxSize: spec.MaxSize, maxFile: max(1, spec.MaxFile), compress: spec.Compress, cri: spec.Driver == k8sFile, single: single, counts: []int{0}}
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

// use has the records written to a file that was just opened.
func (j *jsonFile) use(f *os.File) {
	j.f = f
	if st, err := f.Stat(); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			j.inodes = append(j.inodes, sys.Ino)
		}
	}
}

// countFiles is the jsonFile of a log that has no files.
func countFiles(spec Container) *jsonFile {
	return &jsonFile{maxSize: spec.MaxSize, maxFile: max(1, spec.MaxFile), counts: []int{0}}
}

// add takes a record for the next flush and returns how many records fell off the oldest file.
func (j *jsonFile) add(r record) (lost int) {
	if r.raw { // it is not in the file, and goes with what is
		j.counts[len(j.counts)-1]++
		return 0
	}
	if j.maxSize > 0 && j.size+int64(len(j.buf)) >= j.maxSize {
		lost = j.rotate()
	}
	if j.cri {
		j.buf = appendCRI(j.buf, r.ts, r.std.String(), r.data)
	} else {
		j.buf = appendJSON(j.buf, r)
	}
	j.counts[len(j.counts)-1]++
	j.last = r.ts
	if len(j.buf) >= batchSize {
		j.flush()
	}
	return lost
}

// flush writes what was added. Errors are those of a full disk: the records are lost.
func (j *jsonFile) flush() {
	j.raw(j.buf)
	j.buf = j.buf[:0]
}

func (j *jsonFile) raw(b []byte) {
	switch {
	case j.path == "":
		j.size += int64(len(b))
	case len(b) > 0 && j.f != nil:
		n, _ := j.f.Write(b)
		j.size += int64(n)
	}
}

func (j *jsonFile) close() {
	j.flush()
	j.settle()
	_ = j.f.Close() // of none fails
}

// settle waits for the last rotated file to be compressed.
func (j *jsonFile) settle() {
	if j.compressed != nil {
		<-j.compressed
	}
}

func (j *jsonFile) rotate() (lost int) {
	j.flush()
	j.settle()
	j.size = 0
	if j.path != "" {
		j.rotateFiles()
	}
	j.counts = append(j.counts, 0)
	if over := len(j.counts) - j.maxFile; over > 0 {
		for _, n := range j.counts[:over] {
			lost += n
		}
		j.counts = append(j.counts[:0], j.counts[over:]...)
	}
	return lost
}

func (j *jsonFile) rotateFiles() {
	_ = j.f.Close()
	if j.cri {
		f, err := replace(j.path)
		if err != nil {
			panic(fmt.Sprintf("dockertest: log rotation: %v", err))
		}
		j.use(f)
		return
	}
	ext := ""
	if j.compress {
		ext = ".gz"
	}
	switch {
	case j.maxFile > 1:
		for i := j.maxFile - 1; i > 1; i-- {
			_ = os.Rename(j.path+"."+strconv.Itoa(i-1)+ext, j.path+"."+strconv.Itoa(i)+ext)
		}
		_ = os.Rename(j.path, j.path+".1")
	default:
		switch j.single() {
		case renamed:
			_ = os.Rename(j.path, j.path+".1")
		case unlinked:
			_ = os.Remove(j.path)
		}
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o640)
	if err != nil {
		panic(fmt.Sprintf("dockertest: log rotation: %v", err))
	}
	j.use(f)
	if j.compress && j.maxFile > 1 {
		done := make(chan struct{})
		j.compressed = done
		last := time.Unix(0, j.last).UTC()
		go func() {
			defer close(done)
			_ = compressFile(j.path+".1", last)
		}()
	}
}

// compressFile makes name.gz and then removes name: for a while there are both.
func compressFile(name string, last time.Time) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(name+".gz", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	zw := gzip.NewWriter(out)
	zw.Extra, _ = json.Marshal(map[string]time.Time{"lastTime": last})
	if _, err := io.Copy(zw, in); err != nil {
		return err
	}
	if err := zw.Close(); err != nil {
		return err
	}
	return os.Remove(name)
}

func appendJSON(dst []byte, r record) []byte {
	dst = appendString(append(dst, `{"log":`...), r.data)
	dst = append(append(append(dst, `,"stream":"`...), r.std.String()...), `","time":"`...)
	if r.stamp == "" {
		dst = time.Unix(0, r.ts).UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	dst = append(dst, r.stamp...)
	return append(dst, "\"}\n"...)
}

// appendString escapes what dockerd escapes and nothing else (daemon/logger/jsonfilelog/jsonlog).
func appendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == '<' || c == '>' || c == '&':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRune(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&15])
			default:
				dst = append(dst, s[i:i+size]...)
			}
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

var errNoFile = errors.New("dockertest: the container has no LogDir, or never ran")

// LogPath is the path of the log file that inspect reports. Without a LogDir there is no such file.
func (c *Ctr) LogPath() string { return c.logPath() }

// RotateLog is a log rotation now. What falls off the last file is gone for log requests too.
func (c *Ctr) RotateLog() error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.log.file == nil {
		return errNoFile
	}
	c.log.forget(c.log.file.rotate())
	return nil
}

// LogInodes are the inodes of the log files that the Engine has created, oldest first.
func (c *Ctr) LogInodes() []uint64 {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.log.file == nil {
		return c.log.inodes
	}
	return slices.Clone(c.log.file.inodes)
}

// TruncateLog truncates the log file from outside, as a cron job with "> file" does. With nuls the next write leaves a hole of NULs before
// it, as dockerd does unless the file is its first. Log requests still see all records.
func (c *Ctr) TruncateLog(nuls bool) error {
	return c.withFile(func(j *jsonFile) error {
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
	})
}

// ReopenLog opens the log file anew by its name, as the Engine does when the container starts. Until then it writes to the file that it has
// open, wherever somebody moved that.
func (c *Ctr) ReopenLog() error {
	return c.withFile(func(j *jsonFile) error {
		f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
		if err != nil {
			return err
		}
		_ = j.f.Close()
		j.use(f)
		return nil
	})
}

// TearLog writes the first keep bytes of a record for line into the log file, as a crash or a full disk does: the next record is glued behind
// them. Log requests never see the line.
func (c *Ctr) TearLog(std Std, line string, keep int) error {
	return c.withFile(func(j *jsonFile) error {
		b := appendJSON(nil, record{ts: c.e.now().UnixNano(), std: std, data: []byte(line + "\n")})
		j.raw(b[:min(keep, len(b))])
		return nil
	})
}

// GarbageLog writes raw bytes into the log file. Log requests never see them.
func (c *Ctr) GarbageLog(raw []byte) error {
	return c.withFile(func(j *jsonFile) error {
		j.raw(raw)
		return nil
	})
}

func (c *Ctr) withFile(do func(*jsonFile) error) error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if c.log.file == nil || c.log.file.path == "" {
		return errNoFile
	}
	return do(c.log.file)
}
