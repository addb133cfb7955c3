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

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
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
func (l *log) begin(rows []row) (p checkpoint.Position, said []string, err error) {
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
		return checkpoint.PositionOf(&position.Position{}), []string{"begins with all that its files hold",
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
func (l *log) behind(at int, off int64) (entry checkpoint.Position, exact int64, err error) {
	f := &l.files[at]
	text, start, err := f.before(off)
	if err != nil {
		return entry, 0, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	exact = start + int64(whole)
	from := 0
	if start > 0 { // it may begin in the middle of a record
		from = bytes.IndexByte(text, '\n') + 1
	}
	var p position.Position
	var cut decode.JSONCutter
	_, _ = cut.Each(text[from:whole], f.inode, start+int64(from), func(e *decode.Entry) error {
		if p.Advance(position.MarkOf(e)); !f.zip {
			p.Place = e.Place
		}
		return nil
	})
	if cut.Records == 0 && at > 0 { // behind the file before
		entry, _, err = l.behind(at-1, l.files[at-1].size)
		return entry, exact, err
	}
	return checkpoint.PositionOf(&p), exact, nil
}

// maxBefore is how much of a file before a position is looked at: what is at its end tells where it is.
const maxBefore = 4 << 20

// before returns at most maxBefore bytes before off, of a compressed file those at its end, and where they begin.
func (f *file) before(off int64) (b []byte, start int64, err error) {
	if !f.zip {
		start = max(0, off-maxBefore)
		b = make([]byte, off-start)
		_, err = f.ReadAt(b, start)
		return b, start, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, 0, err
	}
	for part := make([]byte, 64<<10); ; {
		n, err := z.Read(part)
		b = append(b, part[:n]...)
		if more := len(b) - maxBefore; more > maxBefore {
			b, start = append(b[:0], b[more:]...), start+int64(more)
		}
		if errors.Is(err, io.EOF) {
			return b, start, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}
