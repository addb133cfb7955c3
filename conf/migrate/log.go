package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
)

// errGone says that a container's log is not there.
var errGone = errors.New("gone")

// log is the files of a container's log, the oldest first.
type log struct {
	id, name string
	files    []file
}

type file struct {
	*os.File
	inode   uint64
	size    int64
	rotated int // 0 is the current one
	zip     bool
}

// openLog opens the files of the container whose log tail saw at path, or that is in dir.
func openLog(id, path, dir string) (*log, error) {
	at := filepath.Dir(path)
	if dir != "" {
		at = filepath.Join(dir, id)
	}
	l := &log{id: id}
	names, err := filepath.Glob(filepath.Join(at, id+"-json.log*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		plain, zip := strings.CutSuffix(strings.TrimPrefix(filepath.Base(name), id+"-json.log"), ".gz")
		n, err := strconv.Atoi(strings.TrimPrefix(plain, "."))
		if plain != "" && (err != nil || n < 1) {
			continue // of another program
		}
		if err := l.open(file{rotated: n, zip: zip}, name); err != nil {
			l.close()
			return nil, fmt.Errorf("%w: run this as one who may read the logs, as root", err)
		}
	}
	if len(l.files) == 0 {
		// One who may not look into the directory finds nothing.
		if _, err := os.Stat(at); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: run this as one who may read the logs, as root", err)
		}
		return nil, errGone
	}
	slices.SortFunc(l.files, func(a, b file) int { return b.rotated - a.rotated })
	var about struct{ Name string }
	if text, err := os.ReadFile(filepath.Join(at, "config.v2.json")); err == nil && json.Unmarshal(text, &about) == nil {
		l.name = strings.TrimPrefix(about.Name, "/") // for people only
	}
	return l, nil
}

func (l *log) open(f file, name string) error {
	var err error
	if f.File, err = os.Open(name); err != nil {
		if errors.Is(err, os.ErrNotExist) { // removed since it was listed
			return nil
		}
		return err
	}
	l.files = append(l.files, f)
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	last := &l.files[len(l.files)-1]
	last.size = fi.Size()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		last.inode = st.Ino
	}
	return nil
}

func (l *log) close() {
	for _, f := range l.files {
		_ = f.Close()
	}
}

// begin is where docker_logs goes on behind what tail has read of the files in rows. It says that first, and then what is not as
// one would wish.
func (l *log) begin(rows []row) (p position, said []string, err error) {
	// What tail has read of each file, -1 of one that it does not know.
	read := make([]int64, len(l.files))
	for i := range l.files {
		read[i] = -1
		for _, r := range rows {
			if !l.files[i].zip && r.inode == l.files[i].inode {
				read[i] = r.offset
			}
		}
	}
	at := slices.IndexFunc(read, func(n int64) bool { return n >= 0 })
	if at < 0 {
		return position{From: "beginning"}, []string{"begins with all that its files hold",
			"note: none of them is the one that tail has read: that was rotated away and what was unread of it is lost, or it was compressed and comes again"}, nil
	}
	// A file that was read to its end is followed by the next, if tail has begun that.
	for at < len(read)-1 && read[at] >= l.files[at].size && read[at+1] >= 0 {
		at++
	}
	for i, n := range read[at+1:] {
		if n > 0 {
			said = append(said, fmt.Sprintf("note: tail has read %d bytes of %s, and not all of the file before: they come again", n, l.files[at+1+i].Name()))
		}
	}
	off := read[at]
	if off > l.files[at].size {
		said = append(said, fmt.Sprintf("note: %s is shorter than what tail has read of it (%d bytes): it was truncated, and is read from its beginning", l.files[at].Name(), off))
		off = 0
	}
	p, exact, err := l.behind(at, off)
	if err != nil {
		return p, nil, err
	}
	if exact != off {
		said = append(said, fmt.Sprintf("note: tail's offset %d is in the middle of a record, which comes once more", off))
	}
	return p, append([]string{fmt.Sprintf("begins behind byte %d of %s", exact, l.files[at].Name())}, said...), nil
}

// behind is the position behind the last record that ends at off or before, and its place.
func (l *log) behind(at int, off int64) (p position, exact int64, err error) {
	f := &l.files[at]
	text, err := f.before(off)
	if err != nil {
		return p, 0, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	exact = off - int64(len(text)-whole)
	marks, last := marksOf(text[:whole])
	switch {
	case len(marks) > 0:
		p = position{From: "anchor", Marks: marks}
		if !f.zip {
			p.File = spot{Inode: f.inode, End: exact - int64(whole-last.end), Size: uint32(last.size)}
		}
	case at == 0:
		p = position{From: "beginning"}
	default: // behind the file before
		if p, _, err = l.behind(at-1, l.files[at-1].length()); err != nil {
			return p, 0, err
		}
	}
	return p, exact, nil
}

// maxBefore is how much of a file before a position is looked at: what is at its end tells where it is.
const maxBefore = 4 << 20

// length is up to where a file is read: of a compressed one, as far as it goes.
func (f *file) length() int64 {
	if f.zip {
		return 1 << 62
	}
	return f.size
}

// before returns at most maxBefore bytes before off.
func (f *file) before(off int64) ([]byte, error) {
	if !f.zip {
		n := min(off, maxBefore)
		b := make([]byte, n)
		_, err := f.ReadAt(b, off-n)
		return b, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var b []byte
	for part := make([]byte, 64<<10); ; {
		n, err := z.Read(part)
		if b = append(b, part[:n]...); len(b) > 2*maxBefore {
			b = append(b[:0], b[len(b)-maxBefore:]...)
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// mark stands for a run of equal records that follow each other.
type mark struct {
	TS    int64  `json:"ts"`   // nanoseconds since 1970
	Hash  uint64 `json:"hash"` // xxhash64 of the text without its newline
	Size  uint32 `json:"size"` // of that text
	Std   uint8  `json:"std"`
	Count uint32 `json:"run"`
}

// spot is where the newest record of an anchor is in a file.
type spot struct {
	Inode uint64 `json:"inode"`
	End   int64  `json:"end"`  // behind its newline
	Size  uint32 `json:"size"` // with its newline
}

// maxMarks is how many tell apart records that are equal.
const maxMarks = 4

// marksOf returns the marks of the last records in text, the oldest first, and where in text the last one is. Lines that are no
// records are passed over, and so is half a line at the beginning.
func marksOf(text []byte) (marks []mark, last struct{ end, size int }) {
	for end := len(text); end > 0; {
		from := bytes.LastIndexByte(text[:end-1], '\n') + 1
		line := text[from:end]
		m, ok := markOf(line)
		if ok && len(marks) > 0 && m.same(&marks[len(marks)-1]) {
			marks[len(marks)-1].Count++
		} else if ok {
			if len(marks) == maxMarks {
				break
			}
			if marks = append(marks, m); len(marks) == 1 {
				last.end, last.size = end, len(line)
			}
		}
		end = from
	}
	slices.Reverse(marks)
	return marks, last
}

func (m *mark) same(o *mark) bool {
	return m.TS == o.TS && m.Hash == o.Hash && m.Size == o.Size && m.Std == o.Std
}

// markOf reads a line of a log file (moby: daemon/logger/jsonfilelog/jsonlog).
func markOf(line []byte) (m mark, ok bool) {
	var r struct {
		Log, Stream *string
		Time        time.Time
	}
	if json.Unmarshal(line, &r) != nil || r.Log == nil || r.Stream == nil || r.Time.IsZero() {
		return m, false
	}
	std := slices.Index([]string{"", "stdout", "stderr"}, *r.Stream)
	if std < 1 {
		return m, false
	}
	text := strings.TrimSuffix(*r.Log, "\n")
	return mark{TS: r.Time.UnixNano(), Hash: xxhash.Sum64String(text), Size: uint32(len(text)), Std: uint8(std), Count: 1}, true
}
