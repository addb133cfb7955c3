package dockertest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// chunkSize is where dockerd splits lines: the buffer of its copier.
const chunkSize = 16384

// logStore is the log of one container: the records, the unfinished lines, the followers, and the json-file if there is one.
type logStore struct {
	clock     func() time.Time
	sanitise  bool // json cannot carry invalid UTF-8
	tty       bool
	podman    bool
	retention int
	spec      Container
	single    func() singleFile // for jsonFile

	mu        sync.Mutex
	running   bool
	stamp     string // of the records that are being stored; see Stamped
	recs      []record
	damages   []damage
	base      uint64 // number of records forgotten = sequence number of recs[0]
	arena     []byte
	pending   [3]pending // by Std
	followers map[*follower]struct{}
	file      *jsonFile
	inodes    []uint64 // of the files of a log that was removed
	unpacked  unpacked // of log requests that are open
}

// pending is what a std stream has written since its last stored record.
type pending struct {
	buf  []byte
	more bool  // a chunk of this line is stored already
	ts   int64 // of that chunk
}

func newLogStore(e *Engine, spec Container) *logStore {
	return &logStore{
		clock:     e.now,
		sanitise:  spec.Driver == "json-file",
		tty:       spec.TTY,
		podman:    e.podman != "",
		retention: e.retention,
		spec:      spec,
		unpacked:  unpacked{},
		single: func() singleFile {
			switch api, _ := e.versions(); {
			case api < api141:
				return truncated
			case api < api142:
				return renamed
			}
			return unlinked
		},
	}
}

// Stdout writes lines to the std stream, each with a line end added ("\r\n" on a TTY). It reports whether the container ran.
func (c *Ctr) Stdout(lines ...string) bool { return c.lines(Stdout, lines) }

// Stderr is Stdout for the other std stream. A TTY has only the one.
func (c *Ctr) Stderr(lines ...string) bool { return c.lines(Stderr, lines) }

func (c *Ctr) lines(std Std, lines []string) bool {
	end := "\n"
	if c.spec.TTY {
		end = "\r\n"
	}
	return c.log.with(func() {
		for _, s := range lines {
			c.log.write(std, append(append(make([]byte, 0, len(s)+2), s...), end...), nil)
		}
	})
}

// Write writes bytes as the container's process would: stored at each newline and at 16,384 bytes without one; what follows the last
// newline is stored when the line is finished or the container stops. It reports whether the container ran: if not, nothing is stored.
func (c *Ctr) Write(std Std, b []byte) bool {
	return c.log.with(func() { c.log.write(std, b, nil) })
}

// WriteAt is Write at a given time instead of the clock's.
func (c *Ctr) WriteAt(ts time.Time, std Std, b []byte) bool {
	return c.log.with(func() { c.log.write(std, b, &ts) })
}

// Stamped stores lines with a timestamp as it is given, in the file and for log requests: as another program wrote it, or an Engine that is
// not Docker's.
func (c *Ctr) Stamped(stamp string, std Std, lines ...string) bool {
	return c.log.with(func() {
		c.log.stamp = stamp
		for _, s := range lines {
			c.log.write(std, []byte(s+"\n"), nil)
		}
		c.log.stamp = ""
	})
}

// Raw stores bytes that log requests are sent as they are, in the place of a record: what a proxy, a damaged store or a foreign driver makes of
// one. The file does not get them.
func (c *Ctr) Raw(b []byte) bool {
	return c.log.with(func() { c.log.add(record{ts: c.log.clock().UnixNano(), std: Stdout, data: b, raw: true}) })
}

// Flood stores n lines cheaply. line appends the i-th line without line end to dst and returns it.
func (c *Ctr) Flood(std Std, n int, line func(dst []byte, i int) []byte) bool {
	var buf []byte
	for i := 0; i < n; {
		if !c.log.with(func() {
			for stop := min(i+1024, n); i < stop; i++ {
				buf = line(buf[:0], i)
				if c.spec.TTY {
					buf = append(buf, '\r')
				}
				buf = append(buf, '\n')
				c.log.write(std, buf, nil)
			}
		}) {
			return false
		}
	}
	return true
}

// Forget drops the n oldest records, as if they had been rotated away. Streams that have not sent them yet skip them silently.
func (c *Ctr) Forget(n int) {
	l := c.log
	l.mu.Lock()
	l.forget(n)
	l.mu.Unlock()
}

// Forgotten is how many records are not kept any more: rotated away, see also [Ctr.Forget].
func (c *Ctr) Forgotten() int {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return int(c.log.base)
}

// RotateAway is [Ctr.Forget] where log requests that are open are sent still what they were not sent yet, as from a file that was unlinked
// while it was read.
func (c *Ctr) RotateAway(n int) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.recs))
	end := l.base + uint64(n)
	for f := range l.followers {
		if f.pos < end {
			left := slices.Clone(l.recs[max(f.pos, l.base)-l.base : n])
			f.inserts = append([]insert{{pos: end, recs: left}}, f.inserts...)
			f.pos = end
		}
	}
	l.forget(n)
}

// Records is the number of records stored since the container was created, forgotten ones included.
func (c *Ctr) Records() int {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return int(c.log.end())
}

// with runs f under the lock if the container runs, then writes the file and wakes the followers once.
func (l *logStore) with(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return false
	}
	f()
	l.publish()
	return true
}

func (l *logStore) publish() {
	if l.file != nil {
		l.file.flush()
	}
	for f := range l.followers {
		f.poke()
	}
}

// write splits like the copier of dockerd (daemon/logger/copier.go).
func (l *logStore) write(std Std, b []byte, at *time.Time) {
	if l.tty || std != Stderr {
		std = Stdout
	}
	if l.podman {
		pieces(b, func(piece []byte) {
			ts := l.clock()
			if at != nil {
				ts = *at
			}
			l.add(record{ts: ts.UnixNano(), std: std, data: piece})
		})
		return
	}
	p := &l.pending[std]
	for len(b) > 0 {
		room := chunkSize - len(p.buf)
		i := bytes.IndexByte(b[:min(len(b), room)], '\n')
		switch {
		case i >= 0:
			l.store(std, p, b[:i+1], at)
			p.more = false
			b = b[i+1:]
		case len(b) >= room:
			l.store(std, p, b[:room], at)
			b = b[room:]
		default:
			p.buf = append(p.buf, b...)
			return
		}
	}
}

// store adds the pending bytes and b as one record. All chunks of a line carry the first one's time.
func (l *logStore) store(std Std, p *pending, b []byte, at *time.Time) {
	last := p.more && b != nil && b[len(b)-1] == '\n'
	if !p.more {
		if at != nil {
			p.ts = at.UnixNano()
		} else {
			p.ts = l.clock().UnixNano()
		}
		p.more = true
	}
	if len(p.buf) > 0 {
		p.buf = append(p.buf, b...)
		b = p.buf
	}
	l.add(record{ts: p.ts, std: std, data: b, stamp: l.stamp, last: last})
	p.buf = p.buf[:0]
}

// add copies the record in; the json-file keeps count of what it holds, since what falls off the last file is gone for the API too.
func (l *logStore) add(r record) {
	if l.file != nil {
		l.forget(l.file.add(r))
	}
	if l.sanitise && !r.raw && !utf8.Valid(r.data) {
		r.data = appendValid(nil, r.data)
	}
	if cap(l.arena)-len(l.arena) < len(r.data) {
		l.arena = make([]byte, 0, max(len(r.data), min(2*cap(l.arena), 256<<10), 512))
	}
	from := len(l.arena)
	l.arena = append(l.arena, r.data...)
	r.data = l.arena[from:len(l.arena):len(l.arena)]
	l.recs = append(l.recs, r)
	if l.retention > 0 && len(l.recs) > l.retention {
		l.forget(len(l.recs) - l.retention)
	}
}

// podmanTail is what a tail of n gives.
func (l *logStore) podmanTail(n int) (tail []record) {
	for _, r := range l.recs {
		if k := len(tail) - 1; k >= 0 && r.data[len(r.data)-1] != '\n' {
			tail[k].data = glue(tail[k].data, r.data)
			continue
		}
		tail = append(tail, r)
	}
	return tail[max(0, len(tail)-n):]
}

func (l *logStore) forget(n int) {
	n = min(n, len(l.recs))
	clear(l.recs[:n])
	l.recs = l.recs[n:]
	l.base += uint64(n)
}

func (l *logStore) end() uint64 { return l.base + uint64(len(l.recs)) }

// open begins a run of the container.
func (l *logStore) open(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = true
	switch {
	case l.file != nil:
	case l.spec.LogDir != "" && path != "":
		l.file = openJSONFile(path, l.spec, l.single)
	case l.spec.Rotates:
		l.file = countFiles(l.spec)
	}
}

// HoldFiles takes the rotated files as the Engine unpacks them for a log request now, as somebody does who reads the log and does not come to its
// end ("docker logs NAME | less"), until release is called. It does nothing where the Engine does not unpack files.
func (c *Ctr) HoldFiles() (release func()) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.unpacks(c.e) {
		return func() {}
	}
	_, _, used := l.unpacked.take(l.rotated())
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unpacked.letGo(used)
	}
}

// unpacks says whether the Engine unpacks files for a log request.
func (l *logStore) unpacks(e *Engine) bool {
	api, _ := e.versions()
	return l.spec.Compress && l.file != nil && l.file.maxFile > 1 && api < api142
}

// rotated are the records of the rotated files, by their numbers.
func (l *logStore) rotated() [][]record {
	files, counts := make([][]record, l.file.maxFile), l.file.counts
	to := len(l.recs) - counts[len(counts)-1]
	for n := 1; n < len(files) && n < len(counts); n++ {
		from := max(0, to-counts[len(counts)-1-n])
		files[n], to = l.recs[from:to:to], from
	}
	return files
}

// close ends a run: unfinished lines are stored, followers end behind them. It waits for those to be through, but not for slow clients.
func (l *logStore) close() {
	l.mu.Lock()
	for std := range l.pending {
		if p := &l.pending[std]; len(p.buf) > 0 {
			l.store(Std(std), p, nil, nil)
		}
		l.pending[std] = pending{}
	}
	l.running = false
	l.publish()
	done := l.endFollowers()
	l.mu.Unlock()
	waitAll(done, 100*time.Millisecond)
}

// endFollowers lets each follower end behind the records that are there now.
func (l *logStore) endFollowers() (done []<-chan struct{}) {
	for f := range l.followers {
		f.end = min(f.end, l.end())
		f.poke()
		if !f.silent {
			done = append(done, f.done)
		}
	}
	return done
}

// remove is for a container that is gone: its records and files are too. Who holds a file open can read on.
func (l *logStore) remove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.close()
		if l.file.path != "" {
			_ = os.RemoveAll(filepath.Dir(l.file.path))
		}
		l.inodes = l.file.inodes
		l.file = nil
	}
}

func (l *logStore) closeFile() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	if l.file != nil {
		l.file.close()
	}
}

// waitAll waits for all channels to be closed, in all at most d.
func waitAll(done []<-chan struct{}, d time.Duration) {
	if len(done) == 0 {
		return
	}
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for _, ch := range done {
		select {
		case <-ch:
		case <-timeout.C:
			return
		}
	}
}

// appendValid appends b with every byte that is not UTF-8 replaced by U+FFFD.
func appendValid(dst, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, b[:size]...)
		}
		b = b[size:]
	}
	return dst
}
