package file

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/inotify"
)

// logFile is one file of a container's log, open: the current one, or one
// that the Engine's log rotation moved away, perhaps compressed. Nobody but
// its stream uses it.
type logFile struct {
	f     *os.File
	inode uint64
	uid   uint32
	zip   *unzip
	cri   bool           // its lines are those of the driver k8s-file
	watch *inotify.Watch // nil before the first
	cursor
	rank
}

// cursor is how far a file was read.
type cursor struct {
	off int64 // behind the last record consumed
	end int64 // behind the last byte read
	// before are the last bytes before off: whoever truncates a file in place
	// and writes on leaves other bytes there, even when the file has grown
	// beyond off again.
	before  [overlap]byte
	nbefore int
}

// rank is what is known of a file's place among those of its log.
type rank struct {
	rotated int // its number when it was opened: 0 for the current file
	// placed says that off is where begins what follows the file before.
	placed bool
	// trusted says that the Engine gave it its place among the others, which
	// no clock may question then.
	trusted bool
	// counted says that it is one of those whose creation is counted.
	counted bool
	// apart says that files may have been between it and the one before, gap
	// that there were some, which are missing.
	apart, gap bool
	head       uint32 // of what it begins with; 0: not known
	noHead     bool   // it never will be
	final      bool   // nobody writes to it any more: a later one holds what follows
}

// overlap is how many bytes before off are compared at each read: enough for
// the timestamp of the record that ends there.
const overlap = 64

var (
	// errTruncated: the file is not any more what was read of it.
	errTruncated   = errors.New("the log file was truncated")
	errFound       = errors.New("the position was found")
	errFurtherBack = errors.New("the position is further back in the files")
)

// openLogFile opens one file. It opens nothing but a regular file, and no
// symbolic link, which an Engine does not make there.
func openLogFile(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	l := &logFile{f: f}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		l.inode, l.uid = sys.Ino, sys.Uid
	}
	return l, nil
}

// openRotated opens the k-th file that log rotation moved away: path.k, or
// path.k.gz, which exists beside it while it is still being written.
func openRotated(path string, k int) (*logFile, error) {
	path += "." + strconv.Itoa(k)
	l, err := openLogFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if l, err = openLogFile(path + ".gz"); err != nil {
		return nil, err
	}
	l.zip, l.final = &unzip{}, true
	return l, nil
}

func (l *logFile) close() { _ = l.f.Close() }

// read reads the bytes behind l.off into buf, as far as they go or there are.
// io.EOF means that there are no more at the moment; bytes may come with it.
func (l *logFile) read(buf []byte) ([]byte, error) {
	if l.zip != nil {
		return l.zip.read(l.f, buf, l.off)
	}
	n, err := l.readAt(buf, l.off-int64(l.nbefore))
	l.end = l.off - int64(l.nbefore) + int64(n)
	if n < l.nbefore || !bytes.Equal(buf[:l.nbefore], l.before[:l.nbefore]) {
		return nil, errTruncated
	}
	return buf[l.nbefore:n], err
}

// readAt is ReadAt of the file. While it is written to it takes what comes short of
// the buffer for all that there is, without asking once more.
func (l *logFile) readAt(buf []byte, off int64) (int, error) {
	if l.final {
		return l.f.ReadAt(buf, off)
	}
	for {
		n, err := unix.Pread(int(l.f.Fd()), buf, off)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: l.f.Name(), Err: err}
		case n < len(buf):
			return n, io.EOF
		}
		return n, nil
	}
}

// consumed moves l.off behind the first n bytes of what read returned last.
func (l *logFile) consumed(b []byte, n int) {
	l.off += int64(n)
	if l.zip != nil {
		l.zip.keep(b[n:])
	} else if k := min(n, overlap); k > 0 {
		l.nbefore = copy(l.before[:], b[n-k:n])
	}
}

// goOn takes the place of old, another opening of the same file, which it
// closes.
func (l *logFile) goOn(old *logFile) {
	f, uid := l.f, l.uid
	*l = *old
	l.f, l.uid = f, uid
	old.close()
}

// startAt sets where reading begins.
func (l *logFile) startAt(off int64) error {
	l.off, l.nbefore = off, 0
	if l.zip != nil {
		l.zip = &unzip{}
		_, err := l.f.Seek(0, io.SeekStart)
		return err
	}
	k := min(off, overlap)
	n, err := l.f.ReadAt(l.before[:k], off-k)
	l.nbefore = n
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// skipHole moves l.off over a hole, which reads as NULs, if it stands before
// one: what a truncation leaves when the Engine goes on where it was.
func (l *logFile) skipHole() {
	if l.zip != nil {
		return
	}
	if data, err := unix.Seek(int(l.f.Fd()), l.off, unix.SEEK_DATA); err == nil && data > l.off {
		_ = l.startAt(data)
	}
}

// size is that of the records in the file, for a very large compressed file
// modulo 4 GiB.
func (l *logFile) size() int64 {
	if l.zip != nil {
		_, n := l.trailer()
		return int64(n)
	}
	st, err := l.f.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}

// trailer is the checksum and the size that a gzip file ends with (RFC 1952).
func (l *logFile) trailer() (sum, size uint32) {
	st, err := l.f.Stat()
	if err != nil || st.Size() < 8 {
		return 0, 0
	}
	var b [8]byte
	if _, err := l.f.ReadAt(b[:], st.Size()-8); err != nil {
		return 0, 0
	}
	return binary.LittleEndian.Uint32(b[:4]), binary.LittleEndian.Uint32(b[4:])
}

// sameContent says whether o is l, compressed.
func (l *logFile) sameContent(o *logFile) bool {
	if l.zip != nil || o.zip == nil {
		return false
	}
	sum, size := o.trailer()
	if st, err := l.f.Stat(); err != nil || uint32(st.Size()) != size {
		return false
	}
	h := crc32.NewIEEE()
	_, err := io.Copy(h, io.NewSectionReader(l.f, 0, 1<<62))
	return err == nil && h.Sum32() == sum
}

func (l *logFile) is(o *logFile) bool {
	return l.inode == o.inode || l.sameContent(o)
}

// torn says whether the file ended before its end, as only a compressed one
// can tell.
func (l *logFile) torn() bool { return l.zip != nil && l.zip.torn }

// verify makes sure that a file is owned as it should be: by who owns its
// directory.
func (l *logFile) verify() error {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Dir(l.f.Name()), &st); err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	if st.Uid != l.uid {
		return fmt.Errorf("%s is owned by user %d and its directory by %d", l.f.Name(), l.uid, st.Uid)
	}
	return nil
}

// followsOn says whether no file was between l, which has lost its name, and
// next: log rotation drops the oldest file and creates the current one in the
// same moment. When it cannot tell it says yes.
func (l *logFile) followsOn(current *logFile) bool {
	// The kernel's timestamps are some milliseconds coarse.
	const slack = 20 * time.Millisecond
	var old unix.Stat_t
	var born unix.Statx_t
	if unix.Fstat(int(l.f.Fd()), &old) != nil || old.Nlink > 0 ||
		unix.Statx(int(current.f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &born) != nil || born.Mask&unix.STATX_BTIME == 0 {
		return true
	}
	lost := time.Unix(old.Ctim.Unix())
	return time.Unix(born.Btime.Sec, int64(born.Btime.Nsec)).Sub(lost) < slack
}

// headSize is how much of a file is searched for its head: the longest record, of
// which each byte is an escape of six, and some more.
const headSize = 8 * decode.ChunkSize

// beginning returns the first timestamp in the file, and a hash of the file
// from there to the end of the first line, by which it is told from others: a
// copy of a file begins like it, whatever its name, and no other does. A piece
// of a long line alone is no head, because the next file may begin with an
// equal one. Without a whole line the head is 0.
func (l *logFile) beginning() (first int64, head uint32, ok bool) {
	for _, size := range []int{headSize / 32, headSize} {
		b := make([]byte, size)
		if l.zip == nil {
			n, _ := l.f.ReadAt(b, 0)
			b = b[:n]
		} else {
			z, err := gzip.NewReader(io.NewSectionReader(l.f, 0, 1<<62))
			if err != nil {
				return 0, 0, false
			}
			n, _ := io.ReadFull(z, b)
			b = b[:n]
		}
		c := decode.JSONCutter{CRI: l.cri}
		_, err := c.Each(b, 0, 0, func(e *decode.Entry) error {
			if !ok || first == decode.Undated {
				first, ok = e.TS, true
			}
			if e.GoesOn() {
				return nil
			}
			head = max(1, uint32(xxhash.Sum64(b[:e.Place.End])))
			return errFound
		})
		if err != nil || len(b) < size {
			break
		}
	}
	return first, head, ok
}

// beginsWithNULs says whether a file begins with what is no record: a hole, or
// what was one when somebody copied it.
func beginsWithNULs(f *os.File) bool {
	var b [1]byte
	n, _ := f.ReadAt(b[:], 0)
	return n == 1 && b[0] == 0
}

// holdsRecords says whether there are records of the log driver in the beginning
// of the file.
func (l *logFile) holdsRecords() bool {
	_, _, ok := l.beginning()
	return ok || l.zip != nil // only json-file's are compressed
}
