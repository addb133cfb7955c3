package chaos

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// line is one line of a log, or one that came.
type line struct {
	std  string
	at   time.Time // of its first piece
	text string
	kept bool // the Engine kept it at the end
}

// witness keeps all that the Engine ever had in the log of a container: it holds each log file open from its first moment on,
// so that its content outlives its rotation, compression and removal.
type witness struct {
	dir, driver string // of the container
	inotify     *os.File
	done        chan struct{} // closed when nobody looks any more

	mu    sync.Mutex
	gone  time.Time // when the container's directory was seen to be gone
	files []*kept
	// incomplete: a file was truncated, and what it had held may not have been seen.
	incomplete bool
	noEmpty    bool // of an Engine that shows no empty line of journald
}

// kept is a log file that is open.
type kept struct {
	f     *os.File
	ino   uint64
	born  time.Time
	saved []byte // of before it was truncated
}

// watch begins before the container is started.
func watch(dir, driver string) (*witness, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	w := &witness{dir: dir, driver: driver, inotify: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{})}
	if err := w.add(dir); err != nil {
		_ = w.inotify.Close()
		return nil, err
	}
	w.look()
	go func() {
		defer close(w.done)
		buf := make([]byte, 64<<10)
		for {
			if _, err := w.inotify.Read(buf); err != nil {
				return
			}
			w.look()
		}
	}()
	return w, nil
}

// add has what comes and goes in a directory told.
func (w *witness) add(dir string) error {
	conn, err := w.inotify.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(conn.Control(func(fd uintptr) {
		_, err = unix.InotifyAddWatch(int(fd), dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE|unix.IN_DELETE_SELF)
	}), err)
}

func (w *witness) wentAt() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// current is the path of the log file. An Engine that was built without the reader of journald shows its own cache.
func (w *witness) current() string {
	switch w.driver {
	case "local":
		return filepath.Join(w.dir, "local-logs", "container.log")
	case driverJournald:
		return filepath.Join(w.dir, "container-cached.log")
	}
	return filepath.Join(w.dir, filepath.Base(w.dir)+"-json.log")
}

// look opens the files that are new.
func (w *witness) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.driver == "local" {
		_ = w.add(filepath.Join(w.dir, "local-logs")) // it comes with the start
	}
	if _, err := os.Stat(w.dir); w.gone.IsZero() && errors.Is(err, fs.ErrNotExist) {
		w.gone = time.Now()
	}
	for _, path := range w.paths() {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		var st syscall.Stat_t
		if syscall.Fstat(int(f.Fd()), &st) != nil || slices.ContainsFunc(w.files, func(k *kept) bool { return k.ino == st.Ino }) {
			_ = f.Close()
			continue
		}
		var x unix.Statx_t
		if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &x); err != nil {
			x.Btime = unix.StatxTimestamp{}
		}
		w.files = append(w.files, &kept{f: f, ino: st.Ino, born: time.Unix(x.Btime.Sec, int64(x.Btime.Nsec))})
	}
}

// paths are the log files that are there, oldest first, without the compressed ones.
func (w *witness) paths() []string {
	rotated, _ := filepath.Glob(w.current() + ".*")
	rotated = slices.DeleteFunc(rotated, func(p string) bool { return strings.HasSuffix(p, ".gz") || strings.HasSuffix(p, ".tmp") })
	slices.Sort(rotated) // fewer than ten
	slices.Reverse(rotated)
	return append(rotated, w.current())
}

// truncate truncates the current log file, as somebody else than the Engine does.
func (w *witness) truncate() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.files {
		if path := w.current(); sameFile(path, k) {
			b, err := content(k)
			if err != nil {
				return err
			}
			w.incomplete = true
			if err := os.Truncate(path, 0); err != nil {
				return err
			}
			k.saved = b
			return nil
		}
	}
	return fs.ErrNotExist
}

func sameFile(path string, k *kept) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && st.Ino == k.ino
}

// content is all that a file has held.
func content(k *kept) ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(k.f, 0, 1<<40))
	return append(slices.Clone(k.saved), b...), err
}

// joiner makes lines of records.
type joiner struct {
	apart bool // the pieces of a line have times of their own
	all   []line
	open  map[string]*line // the unfinished line of each std
}

func (j *joiner) finish(l *line) {
	j.all = append(j.all, *l)
	delete(j.open, l.std)
}

func (j *joiner) add(std string, at time.Time, text string, ended, kept bool) {
	l := j.open[std]
	if l != nil && !l.at.Equal(at) && !j.apart {
		j.finish(l) // the container was ended in the middle of the line
		l = nil
	}
	if l == nil {
		l = &line{std: std, at: at}
		j.open[std] = l
	}
	l.text += text
	l.kept = kept
	if ended {
		j.finish(l)
	}
}

// lines are all, also those that have no end.
func (j *joiner) lines() []line {
	for _, l := range j.open {
		j.finish(l)
	}
	return j.all
}

// lines are those of the log, in the order of each std stream.
func (w *witness) lines() ([]line, error) {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.driver == driverJournald && len(w.files) == 0 {
		return w.journaled()
	}
	all := joiner{open: map[string]*line{}}
	there := map[uint64]bool{}
	for _, path := range w.paths() {
		var st syscall.Stat_t
		if syscall.Stat(path, &st) == nil {
			there[st.Ino] = true
		}
	}
	parse := parseJSONFile
	if w.driver != "" { // a cache has the form of the driver local
		parse = parseLocal
	}
	type held struct {
		*kept
		content []byte
		first   time.Time // record
	}
	var files []held
	for _, k := range w.files {
		b, err := content(k)
		if err != nil {
			return nil, err
		}
		h := held{kept: k, content: b}
		parse(b[:min(len(b), 256<<10)], func(_ string, at time.Time, _ string, _ bool) {
			if h.first.IsZero() {
				h.first = at
			}
		})
		if len(b) > 0 {
			files = append(files, h)
		}
	}
	// What was seen later may be older: names change while they are looked at. Files of one tick of the kernel's clock have one time.
	slices.SortStableFunc(files, func(a, b held) int { return cmp.Or(a.born.Compare(b.born), a.first.Compare(b.first)) })
	for _, k := range files {
		parse(k.content, func(std string, at time.Time, text string, ended bool) { all.add(std, at, text, ended, there[k.ino]) })
	}
	return all.lines(), nil
}

func (w *witness) close() {
	_ = w.inotify.Close()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.files {
		_ = k.f.Close()
	}
}

// parseJSONFile gives the records of a log file of the driver json-file; what is none is left out.
func parseJSONFile(b []byte, record func(std string, at time.Time, text string, ended bool)) {
	for text := range strings.SplitSeq(string(b), "\n") {
		var r struct {
			Log, Stream string
			Time        time.Time
		}
		text = strings.TrimLeft(text, "\x00")
		for text != "" && json.Unmarshal([]byte(text), &r) != nil { // one that was written in part may be before it
			i := strings.Index(text[1:], `{"log":"`)
			text = text[1+max(i, -1):]
			if i < 0 {
				text = ""
			}
		}
		if text == "" {
			continue
		}
		log, ended := strings.CutSuffix(r.Log, "\n")
		record(r.Stream, r.Time, log, ended)
	}
}

// parseLocal gives the records of a log file of the driver local: frames of a length, a protobuf of daemon/logger's LogEntry
// (1 source, 2 time_nano, 3 line, 4 partial, 5 its metadata, of which 1 is last), and the length again. Where one was written
// in part, the Engine finds those behind it from the end.
func parseLocal(b []byte, record func(std string, at time.Time, text string, ended bool)) {
	for len(b) >= 8 {
		n := int(binary.BigEndian.Uint32(b))
		if n == 0 || len(b) < n+8 || int(binary.BigEndian.Uint32(b[4+n:])) != n {
			break
		}
		parseEntry(b[4:4+n], record)
		b = b[n+8:]
	}
	var behind [][]byte
	for len(b) >= 8 {
		n := int(binary.BigEndian.Uint32(b[len(b)-4:]))
		if n == 0 || len(b) < n+8 || int(binary.BigEndian.Uint32(b[len(b)-8-n:])) != n {
			break
		}
		behind = append(behind, b[len(b)-4-n:len(b)-4])
		b = b[:len(b)-8-n]
	}
	slices.Reverse(behind)
	for _, entry := range behind {
		parseEntry(entry, record)
	}
}

func parseEntry(entry []byte, record func(std string, at time.Time, text string, ended bool)) {
	var std, text string
	var nanos uint64
	partial, last := false, false
	for len(entry) > 0 {
		key, k := binary.Uvarint(entry)
		v, m := binary.Uvarint(entry[k:])
		entry = entry[k+m:]
		switch key {
		case 1<<3 | 2:
			std, entry = string(entry[:v]), entry[v:]
		case 2 << 3:
			nanos = v
		case 3<<3 | 2:
			text, entry = string(entry[:v]), entry[v:]
		case 4 << 3:
			partial = v != 0
		case 5<<3 | 2:
			last = v > 1 && entry[0] == 1<<3 && entry[1] != 0
			entry = entry[v:]
		}
	}
	record(std, time.Unix(0, int64(nanos)), text, !partial || last)
}
